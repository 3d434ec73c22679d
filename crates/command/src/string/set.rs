//! Setting a string.

use super::write_string;
use crate::deadline::{TimeToLive, Unit, expiry_option};
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::IntBuffer;
use kevy_keyspace::{Expiry, Key, Keyspace, Text};

pub(super) const SET: Row = Row {
    name: "set",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STRING,
    keys: &[KeySpec::one(
        1,
        KeyFlags::RW
            .union(KeyFlags::ACCESS)
            .union(KeyFlags::UPDATE)
            .union(KeyFlags::VARIABLE_FLAGS),
    )
    .without(&["GET", "IFEQ", "IFNE"], 3, KeyFlags::OW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets a key to a string, whatever it held; on conditions, and for a time.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key value [NX | XX | IFEQ comparison-value | IFNE comparison-value] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    },
    run: Run::Keys(set),
};
fn set(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let value = args.text()?;
    if !args.at_end() {
        return set_with_options(ks, args, &key, value, reply);
    }
    ks.set_string(&key, value, Expiry::Clear);
    reply.ok();
    Ok(Effect::one(EventClass::String, "set"))
}

/// When a `SET` takes place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition<'a> {
    IfAbsent,
    IfPresent,
    IfEqual(&'a [u8]),
    UnlessEqual(&'a [u8]),
}

impl Condition<'_> {
    /// Whether it holds.
    fn holds(self, ks: &mut Keyspace<'_>, key: &Key<'_>) -> Result<bool, Error> {
        Ok(match self {
            Self::IfAbsent => ks.find(key).is_none(),
            Self::IfPresent => ks.find(key).is_some(),
            Self::IfEqual(value) => equals(ks, key, value)?,
            Self::UnlessEqual(value) => !equals(ks, key, value)?,
        })
    }

    /// Whether every Redis knows it.
    fn is_classic(self) -> bool {
        matches!(self, Self::IfAbsent | Self::IfPresent)
    }
}

/// Whether the key holds this very string.
pub(super) fn equals(ks: &mut Keyspace<'_>, key: &Key<'_>, value: &[u8]) -> Result<bool, Error> {
    let Some(record) = ks.find(key) else { return Ok(false) };
    let held = record.string().ok_or(Error::WRONG_TYPE)?;
    Ok(held.as_bytes(&mut IntBuffer::new()) == value)
}

struct Options<'a> {
    condition: Option<Condition<'a>>,
    get: bool,
    expiry: TimeToLive<'a>,
}

impl<'a> Options<'a> {
    fn read(args: &mut Args<'a>) -> Result<Self, Error> {
        let mut options = Self { condition: None, get: false, expiry: TimeToLive::Default };
        while !args.at_end() {
            if args.option("NX") {
                options.only(Condition::IfAbsent)?;
            } else if args.option("XX") {
                options.only(Condition::IfPresent)?;
            } else if args.remaining() > 1 && args.option("IFEQ") {
                options.only(Condition::IfEqual(args.bytes()?))?;
            } else if args.remaining() > 1 && args.option("IFNE") {
                options.only(Condition::UnlessEqual(args.bytes()?))?;
            } else if args.option("GET") {
                options.get = true;
            } else if args.option("KEEPTTL") {
                options.expiry.become_one(TimeToLive::Kept)?;
            } else if !expiry_option(args, &mut options.expiry)? {
                return Err(Error::SYNTAX);
            }
        }
        Ok(options)
    }

    fn only(&mut self, condition: Condition<'a>) -> Result<(), Error> {
        match self.condition.replace(condition) {
            Some(other) if other != condition || !other.is_classic() => Err(Error::SYNTAX),
            _ => Ok(()),
        }
    }
}

fn set_with_options(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    key: &Key<'_>,
    value: Text<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let options = Options::read(&mut args)?;
    let expiry = match options.expiry {
        TimeToLive::Default | TimeToLive::Unlimited => Expiry::Clear,
        TimeToLive::Kept => Expiry::Keep,
        TimeToLive::Until { .. } => Expiry::At(options.expiry.deadline("set", ks.now_ms())?),
    };
    if options.get {
        write_old(ks, key, reply)?;
    }
    if let Some(condition) = options.condition
        && !condition.holds(ks, key)?
    {
        if !options.get {
            reply.null();
        }
        return Ok(Effect::none());
    }
    ks.set_string(key, value, expiry);
    if !options.get {
        reply.ok();
    }
    let effect = set_effect(expiry, 2);
    let classic = options.condition.is_none_or(Condition::is_classic);
    Ok(match effect.logged {
        Logged::AsGiven if !classic => Effect { logged: unconditional(&args, expiry), ..effect },
        _ => effect,
    })
}

/// The `SET` that says the same without a condition.
fn unconditional(args: &Args<'_>, expiry: Expiry) -> Logged {
    let set = [args.get(1).unwrap_or_default(), args.get(2).unwrap_or_default()];
    let option = (expiry == Expiry::Keep).then_some(&b"KEEPTTL"[..]);
    let mut frames = CommandList::new();
    let pushed = frames.push([&b"SET"[..]].into_iter().chain(set).chain(option));
    debug_assert!(pushed, "it is shorter than what was given");
    Logged::Frames(Box::new(frames))
}

/// The string that is about to be overwritten.
fn write_old(ks: &mut Keyspace<'_>, key: &Key<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    match ks.string(key)? {
        Some(value) => write_string(reply, value),
        None => reply.null(),
    }
    Ok(())
}

/// The effect of having set argument 1 to argument `value`.
fn set_effect(expiry: Expiry, value: u32) -> Effect {
    match expiry {
        Expiry::At(deadline) => Effect::logged(
            Logged::SetUntil { value, deadline },
            EventClass::String,
            "set",
        )
        .event(EventClass::Generic, "expire", 1),
        Expiry::Keep | Expiry::Clear => Effect::one(EventClass::String, "set"),
    }
}

pub(super) const SETNX: Row = Row {
    name: "setnx",
    arity: 3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::OW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Sets a key to a string if the key does not exist.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key value",
    },
    run: Run::Keys(setnx),
};
fn setnx(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    if ks.find(&key).is_some() {
        reply.integer(0);
        return Ok(Effect::none());
    }
    ks.set_string(&key, args.text()?, Expiry::Clear);
    reply.integer(1);
    Ok(Effect::one(EventClass::String, "set"))
}

pub(super) const SETEX: Row = Row {
    name: "setex",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets a key to a string for so many seconds.",
        since: "2.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key seconds value",
    },
    run: Run::Keys(setex),
};
fn setex(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    set_for(ks, args, Unit::Seconds, "setex", reply)
}

pub(super) const PSETEX: Row = Row {
    name: "psetex",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets a key to a string for so many milliseconds.",
        since: "2.6.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key milliseconds value",
    },
    run: Run::Keys(psetex),
};
fn psetex(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    set_for(ks, args, Unit::Milliseconds, "psetex", reply)
}

fn set_for(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    unit: Unit,
    command: &str,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let wanted = TimeToLive::Until { unit, time: args.bytes()? };
    let expiry = Expiry::At(wanted.deadline(command, ks.now_ms())?);
    ks.set_string(&key, args.text()?, expiry);
    reply.ok();
    Ok(set_effect(expiry, 3))
}

pub(super) const GETSET: Row = Row {
    name: "getset",
    arity: 3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets a key to a string and returns the one it held.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key value",
    },
    run: Run::Keys(getset),
};
fn getset(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    write_old(ks, &key, reply)?;
    ks.set_string(&key, args.text()?, Expiry::Clear);
    Ok(Effect::one(EventClass::String, "set"))
}
