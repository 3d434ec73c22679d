//! Changing a list where its elements are.

use super::read::span;
use super::{node_limit, signed};
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::{Change, List, ListRef, Side};
use kevy_keyspace::Keyspace;

const OUT_OF_RANGE: Error = Error::new("ERR index out of range");

pub(super) const LSET: Row = Row {
    name: "lset",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::LIST,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Replaces the element of a list at an index.",
        since: "1.0.0",
        group: Group::List,
        complexity: "O(N) where N is the square root of the number of elements; O(1) at the ends.",
        syntax: "key index element",
    },
    run: Run::Keys(lset),
};
fn lset(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let list = ks.look::<List>(&key)?.ok_or(Error::NO_KEY)?;
    let index = list.index(args.int()?).ok_or(OUT_OF_RANGE)?;
    let element = args.text()?;
    let limit = node_limit(ks);
    ks.update::<List, _>(&key, |list| {
        list.set(index, element, limit);
        Change::Changed(())
    })?;
    reply.ok();
    Ok(Effect::one(EventClass::List, "lset"))
}

pub(super) const LINSERT: Row = Row {
    name: "linsert",
    arity: 5,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::LIST,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Puts an element before or behind the first that equals a given one.",
        since: "2.2.0",
        group: Group::List,
        complexity: "O(N) where N is the number of elements up to that one.",
        syntax: "key <BEFORE | AFTER> pivot element",
    },
    run: Run::Keys(linsert),
};
fn linsert(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let offset = if args.option("AFTER") {
        1
    } else if args.option("BEFORE") {
        0
    } else {
        return Err(Error::SYNTAX);
    };
    let (pivot, element) = (args.bytes()?, args.text()?);
    let Some(list) = ks.look::<List>(&key)? else {
        reply.integer(0);
        return Ok(Effect::none());
    };
    let Some(index) = list.matches(pivot, Side::Left, usize::MAX).next() else {
        reply.integer(-1);
        return Ok(Effect::none());
    };
    let len = list.len() + 1;
    let limit = node_limit(ks);
    ks.update::<List, _>(&key, |list| {
        list.insert(index + offset, element, limit);
        Change::Changed(())
    })?;
    reply.integer(len as i64);
    Ok(Effect::one(EventClass::List, "linsert"))
}

pub(super) const LREM: Row = Row {
    name: "lrem",
    arity: 4,
    flags: Flags::WRITE,
    categories: Categories::LIST,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes the elements that equal a given one: all, or so many from either end.",
        since: "1.0.0",
        group: Group::List,
        complexity: "O(N) where N is the number of elements.",
        syntax: "key count element",
    },
    run: Run::Keys(lrem),
};
fn lrem(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let count = signed(&mut args)?;
    let element = args.bytes()?;
    let side = if count < 0 { Side::Right } else { Side::Left };
    let at_most = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(at_most) => at_most,
    };
    let limit = node_limit(ks);
    let updated = ks.update_existing::<List, _>(&key, |list| {
        let removed = list.remove_equal(element, side, at_most, limit);
        Change::when(removed > 0, removed)
    })?;
    let (removed, emptied) = updated.map_or((0, false), |it| (it.result, it.removed));
    reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Effect::none());
    }
    let effect = Effect::as_given(removed as u32).event(EventClass::List, "lrem", 1);
    Ok(with_deletion(effect, emptied))
}

pub(super) const LTRIM: Row = Row {
    name: "ltrim",
    arity: 4,
    flags: Flags::WRITE,
    categories: Categories::LIST,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes all elements of a list but those from one index to another.",
        since: "1.0.0",
        group: Group::List,
        complexity: "O(N) where N is the number of elements removed.",
        syntax: "key start stop:integer",
    },
    run: Run::Keys(ltrim),
};
fn ltrim(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let (start, stop) = (args.int()?, args.int()?);
    let Some(len) = ks.look::<List>(&key)?.map(ListRef::len) else {
        reply.ok();
        return Ok(Effect::none());
    };
    let (start, kept) = span(len, start, stop);
    let limit = node_limit(ks);
    // As in Redis, a list of which nothing is removed counts as changed for its watchers.
    let updated = ks.update::<List, _>(&key, |list| {
        if kept == 0 {
            *list = List::default();
        } else {
            list.remove_at(Side::Right, len - start - kept, limit);
            list.remove_at(Side::Left, start, limit);
        }
        Change::Changed(())
    })?;
    reply.ok();
    let removed = (len - kept) as u32;
    let effect = Effect::as_given(removed).event(EventClass::List, "ltrim", 1);
    Ok(with_deletion(effect, updated.removed))
}

/// The effect, with the event that the key is gone if it is.
fn with_deletion(effect: Effect, removed: bool) -> Effect {
    if removed { effect.event(EventClass::Generic, "del", 1) } else { effect }
}
