//! When fields expire.

use super::fields::{Fate, read_deadline, read_fields, rest};
use crate::deadline::Unit;
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::{Change, Collection, Hash};
use kevy_keyspace::Keyspace;

pub(super) const HEXPIRE: Row = Row {
    name: "hexpire",
    arity: -6,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets fields expire so many seconds from now.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hexpire),
};
fn hexpire(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    set_deadlines(ks, args, Unit::Seconds, "hexpire", reply)
}

pub(super) const HPEXPIRE: Row = Row {
    name: "hpexpire",
    arity: -6,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets fields expire so many milliseconds from now.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hpexpire),
};
fn hpexpire(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    set_deadlines(ks, args, Unit::Milliseconds, "hpexpire", reply)
}

pub(super) const HEXPIREAT: Row = Row {
    name: "hexpireat",
    arity: -6,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets fields expire at a Unix time in seconds.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hexpireat),
};
fn hexpireat(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    set_deadlines(ks, args, Unit::UnixSeconds, "hexpireat", reply)
}

pub(super) const HPEXPIREAT: Row = Row {
    name: "hpexpireat",
    arity: -6,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets fields expire at a Unix time in milliseconds.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hpexpireat),
};
fn hpexpireat(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    set_deadlines(ks, args, Unit::UnixMilliseconds, "hpexpireat", reply)
}

/// Answers for each field: -2 if there is none, 0 if the condition does not hold, 1 if it has the
/// deadline now, 2 if that has passed and the field is gone.
fn set_deadlines(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    unit: Unit,
    command: &str,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    ks.look::<Hash>(&key)?;
    let deadline = read_deadline(&mut args, unit, ks.now_ms(), command)?;
    let condition = Condition::read(&mut args);
    read_fields(&mut args, "ERR Parameter `numFields` should be greater than 0")?;
    let fate = Fate::at(deadline, ks);
    let done = if fate == Fate::Remove { 2 } else { 1 };
    befall(ks, args, fate, reply, |held| match condition.holds(held, deadline) {
        true => Ok(done),
        false => Err(0),
    })
}

/// Lets a fate befall the fields that remain unread, and answers for each: -2 if there is none,
/// else what `answer` says to the deadline that it has; with an `Err` the field stays as it is.
fn befall(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    fate: Fate,
    reply: &mut Reply<'_>,
    answer: impl Fn(Option<i64>) -> Result<i64, i64>,
) -> Result<Effect, Error> {
    let key = args.key_at(1).ok_or(Error::SYNTAX)?;
    ks.expire_fields(&key, rest(&args));
    let mut touched = Vec::new();
    reply.array(args.remaining());
    let updated = ks.update_existing::<Hash, _>(&key, |hash| {
        for field in rest(&args) {
            let held = hash.as_ref().at(i64::MIN).deadline(field);
            let answer = held.map_or(Err(-2), &answer);
            if answer.is_ok() && fate.befall(hash, field, held.flatten()) {
                touched.push(field);
            }
            let (Ok(answer) | Err(answer)) = answer;
            reply.integer(answer);
        }
        Change::when(!touched.is_empty(), ())
    })?;
    if updated.is_none() {
        rest(&args).for_each(|_| reply.integer(-2));
    }
    Ok(fate.effect(&key, &touched, updated))
}

/// When a deadline is changed; no deadline counts as one that is never reached.
#[derive(Clone, Copy, Debug)]
enum Condition {
    Always,
    IfNone,
    IfAny,
    IfLater,
    IfSooner,
}

impl Condition {
    fn read(args: &mut Args<'_>) -> Self {
        let words = [
            ("NX", Self::IfNone),
            ("XX", Self::IfAny),
            ("GT", Self::IfLater),
            ("LT", Self::IfSooner),
        ];
        let found = words.into_iter().find(|(word, _)| args.option(word));
        found.map_or(Self::Always, |(_, condition)| condition)
    }

    fn holds(self, held: Option<i64>, wanted: i64) -> bool {
        match self {
            Self::Always => true,
            Self::IfNone => held.is_none(),
            Self::IfAny => held.is_some(),
            Self::IfLater => held.is_some_and(|held| wanted > held),
            Self::IfSooner => held.is_none_or(|held| wanted < held),
        }
    }
}

pub(super) const HPERSIST: Row = Row {
    name: "hpersist",
    arity: -5,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets fields never expire.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hpersist),
};
fn hpersist(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    ks.look::<Hash>(&key)?;
    read_fields(&mut args, NOT_POSITIVE)?;
    befall(ks, args, Fate::Persist, reply, |held| if held.is_some() { Ok(1) } else { Err(-1) })
}

/// The error of most commands for a number of fields that is none.
pub(super) const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";

pub(super) const HTTL: Row = Row {
    name: "httl",
    arity: -5,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns in how many seconds fields expire.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key FIELDS numfields field [field ...]",
    },
    run: Run::Keys(httl),
};
fn httl(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let now_ms = ks.now_ms();
    tell(ks, args, reply, |deadline| whole_seconds(deadline.saturating_sub(now_ms)))
}

pub(super) const HPTTL: Row = Row {
    name: "hpttl",
    arity: -5,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns in how many milliseconds fields expire.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hpttl),
};
fn hpttl(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let now_ms = ks.now_ms();
    tell(ks, args, reply, |deadline| deadline.saturating_sub(now_ms))
}

pub(super) const HEXPIRETIME: Row = Row {
    name: "hexpiretime",
    arity: -5,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the Unix times in seconds at which fields expire.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hexpiretime),
};
fn hexpiretime(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    tell(ks, args, reply, whole_seconds)
}

pub(super) const HPEXPIRETIME: Row = Row {
    name: "hpexpiretime",
    arity: -5,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the Unix times in milliseconds at which fields expire.",
        since: "7.4.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hpexpiretime),
};
fn hpexpiretime(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    tell(ks, args, reply, |deadline| deadline)
}

/// Tells of the deadline of each field; -1 if it has none, -2 if there is no such field.
fn tell(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
    of: impl Fn(i64) -> i64,
) -> Result<Effect, Error> {
    let (key, now_ms) = (args.key()?, ks.now_ms());
    let fields = ks.read::<Hash>(&key)?.map(|hash| hash.at(now_ms));
    read_fields(&mut args, NOT_POSITIVE)?;
    reply.array(args.remaining());
    for field in rest(&args) {
        reply.integer(match fields.and_then(|fields| fields.deadline(field)) {
            None => -2,
            Some(None) => -1,
            Some(Some(deadline)) => of(deadline),
        });
    }
    Ok(Effect::none())
}

/// Begun seconds count, unlike those of keys.
fn whole_seconds(ms: i64) -> i64 {
    ms.saturating_add(999) / 1000
}
