//! Setting and removing fields.

use super::limits;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::{Change, Collection, Hash};
use kevy_keyspace::Keyspace;

pub(super) const HSET: Row = Row {
    name: "hset",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets fields, and makes the hash if there is none; how many fields are new.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields to set.",
        syntax: "key field value [field value ...]",
    },
    run: Run::Keys(hset),
};
fn hset(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let (new, effect) = set_pairs(ks, args, "hset")?;
    reply.integer(new);
    Ok(effect)
}

pub(super) const HMSET: Row = Row {
    name: "hmset",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets fields, and makes the hash if there is none.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields to set.",
        syntax: "key field value [field value ...]",
    },
    run: Run::Keys(hmset),
};
fn hmset(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let (_, effect) = set_pairs(ks, args, "hmset")?;
    reply.ok();
    Ok(effect)
}

/// Sets the fields that the arguments name; how many of them are new.
#[inline]
fn set_pairs(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    command: &str,
) -> Result<(i64, Effect), Error> {
    let key = args.key()?;
    let pairs = args.remaining() / 2;
    if !args.remaining().is_multiple_of(2) {
        return Err(Error::arity(command));
    }
    let limits = limits(ks);
    ks.expire_fields(&key, args.iter().skip(2).step_by(2));
    let updated = ks.update::<Hash, _>(&key, |hash| {
        hash.prepare(pairs, limits);
        let mut new = 0;
        while let (Ok(field), Ok(value)) = (args.bytes(), args.text()) {
            new += i64::from(hash.set(field, value, false, limits));
        }
        Change::Changed(new)
    })?;
    let changes = u32::try_from(pairs).unwrap_or(u32::MAX);
    Ok((updated.result, Effect::as_given(changes).event(EventClass::Hash, "hset", 1)))
}

pub(super) const HSETNX: Row = Row {
    name: "hsetnx",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Sets a field if there is none of this name.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(1)",
        syntax: "key field value",
    },
    run: Run::Keys(hsetnx),
};
fn hsetnx(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, field, value) = (args.key()?, args.bytes()?, args.text()?);
    let limits = limits(ks);
    ks.expire_fields(&key, [field]);
    let updated = ks.update::<Hash, _>(&key, |hash| {
        let absent = !hash.as_ref().at(i64::MIN).contains(field);
        if absent {
            hash.set(field, value, false, limits);
        }
        Change::when(absent, ())
    })?;
    reply.integer(updated.changed.into());
    Ok(match updated.changed {
        true => Effect::one(EventClass::Hash, "hset"),
        false => Effect::none(),
    })
}

pub(super) const HDEL: Row = Row {
    name: "hdel",
    arity: -3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes fields, and the hash with the last of them; how many were there.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields to remove.",
        syntax: "key field [field ...]",
    },
    run: Run::Keys(hdel),
};
fn hdel(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    ks.expire_fields(&key, args.iter().skip(2));
    let updated = ks.update_existing::<Hash, _>(&key, |hash| {
        let mut removed = 0;
        while let Ok(field) = args.bytes() {
            removed += u32::from(hash.remove(field));
        }
        Change::when(removed > 0, removed)
    })?;
    let removed = updated.map_or(0, |updated| updated.result);
    reply.integer(removed.into());
    if removed == 0 {
        return Ok(Effect::none());
    }
    let effect = Effect::as_given(removed).event(EventClass::Hash, "hdel", 1);
    Ok(match updated {
        Some(updated) if updated.removed => effect.event(EventClass::Generic, "del", 1),
        _ => effect,
    })
}
