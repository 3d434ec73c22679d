//! Reading a string, also to remove it or to change when it expires.

use super::set::equals;
use super::write_string;
use crate::deadline::{TimeToLive, expiry_option};
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Logged,
    Reply, Row, Run,
};
use kevy_keyspace::{Key, Keyspace, Record};

pub(super) const GET: Row = Row {
    name: "get",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the string of a key.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(get),
};
fn get(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    match ks.string(&args.key()?)? {
        Some(value) => write_string(reply, value),
        None => reply.null(),
    }
    Ok(Effect::none())
}

pub(super) const STRLEN: Row = Row {
    name: "strlen",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns the length of a string in bytes.",
        since: "2.2.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(strlen),
};
fn strlen(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    reply.integer(ks.string(&args.key()?)?.map_or(0, |value| value.len() as i64));
    Ok(Effect::none())
}

pub(super) const GETDEL: Row = Row {
    name: "getdel",
    arity: 2,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Returns the string of a key and removes the key.",
        since: "6.2.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(getdel),
};
fn getdel(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let Some(value) = ks.string(&key)? else {
        reply.null();
        return Ok(Effect::none());
    };
    write_string(reply, value);
    ks.remove(&key);
    Ok(Effect::logged(Logged::Delete, EventClass::Generic, "del"))
}

pub(super) const DELIFEQ: Row = Row {
    name: "delifeq",
    arity: 3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RM.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes a key if it holds this very string; a lock is released so.",
        since: "9.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key value",
    },
    run: Run::Keys(delifeq),
};
fn delifeq(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let removed = equals(ks, &key, args.bytes()?)?;
    reply.integer(i64::from(removed));
    if !removed {
        return Ok(Effect::none());
    }
    ks.remove(&key);
    Ok(Effect::logged(Logged::Delete, EventClass::Generic, "del"))
}

pub(super) const GETEX: Row = Row {
    name: "getex",
    arity: -2,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Returns the string of a key and changes when the key expires.",
        since: "6.2.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    },
    run: Run::Keys(getex),
};
fn getex(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let wanted = getex_option(&mut args)?;
    let Some(value) = ks.string(&key)? else {
        reply.null();
        return Ok(Effect::none());
    };
    write_string(reply, value);
    match wanted {
        TimeToLive::Until { unit, .. } => {
            let deadline = wanted.deadline("getex", ks.now_ms())?;
            if unit.is_absolute() && deadline <= ks.now_ms() {
                ks.remove(&key);
                return Ok(Effect::logged(Logged::Delete, EventClass::Generic, "del"));
            }
            ks.set_deadline(&key, Some(deadline));
            Ok(Effect::logged(Logged::ExpireAt(deadline), EventClass::Generic, "expire"))
        }
        TimeToLive::Unlimited => Ok(persist(ks, &key)),
        TimeToLive::Default | TimeToLive::Kept => Ok(Effect::none()),
    }
}

/// The options in order; several of the same kind are one.
fn getex_option<'a>(args: &mut Args<'a>) -> Result<TimeToLive<'a>, Error> {
    let mut wanted = TimeToLive::Default;
    while !args.at_end() {
        if args.option("PERSIST") {
            wanted.become_one(TimeToLive::Unlimited)?;
        } else if !expiry_option(args, &mut wanted)? {
            return Err(Error::SYNTAX);
        }
    }
    Ok(wanted)
}

fn persist(ks: &mut Keyspace<'_>, key: &Key<'_>) -> Effect {
    if ks.find(key).and_then(Record::deadline).is_none() {
        return Effect::none();
    }
    ks.set_deadline(key, None);
    Effect::logged(Logged::Persist, EventClass::Generic, "persist")
}
