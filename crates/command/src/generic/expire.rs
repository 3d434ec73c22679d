//! When keys expire.

use crate::deadline::{Unit, invalid};
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Logged,
    Reply, Row, Run,
};
use kevy_keyspace::{Keyspace, Record};

pub(super) const EXPIRE: Row = Row {
    name: "expire",
    arity: -3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets a key expire so many seconds from now.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key seconds [NX | XX | GT | LT]",
    },
    run: Run::Keys(expire),
};
fn expire(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    set_deadline(ks, args, Unit::Seconds, "expire", reply)
}

pub(super) const PEXPIRE: Row = Row {
    name: "pexpire",
    arity: -3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets a key expire so many milliseconds from now.",
        since: "2.6.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key milliseconds [NX | XX | GT | LT]",
    },
    run: Run::Keys(pexpire),
};
fn pexpire(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    set_deadline(ks, args, Unit::Milliseconds, "pexpire", reply)
}

pub(super) const EXPIREAT: Row = Row {
    name: "expireat",
    arity: -3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets a key expire at a Unix time in seconds.",
        since: "1.2.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key unix-time-seconds [NX | XX | GT | LT]",
    },
    run: Run::Keys(expireat),
};
fn expireat(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    set_deadline(ks, args, Unit::UnixSeconds, "expireat", reply)
}

pub(super) const PEXPIREAT: Row = Row {
    name: "pexpireat",
    arity: -3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets a key expire at a Unix time in milliseconds.",
        since: "2.6.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key unix-time-milliseconds [NX | XX | GT | LT]",
    },
    run: Run::Keys(pexpireat),
};
fn pexpireat(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    set_deadline(ks, args, Unit::UnixMilliseconds, "pexpireat", reply)
}

fn set_deadline(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    unit: Unit,
    command: &str,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, time) = (args.key()?, args.bytes()?);
    let condition = Condition::read(&mut args)?;
    let time = kevy_data::number::parse_i64(time).ok_or(Error::NOT_INTEGER)?;
    let deadline = unit.deadline(time, ks.now_ms()).ok_or_else(|| invalid(command))?;
    let held = ks.find(&key).map(Record::deadline);
    if !held.is_some_and(|held| condition.holds(held, deadline)) {
        reply.integer(0);
        return Ok(Effect::none());
    }
    reply.integer(1);
    if deadline <= ks.now_ms() {
        ks.remove(&key);
        return Ok(Effect::logged(Logged::Delete, EventClass::Generic, "del"));
    }
    ks.set_deadline(&key, Some(deadline));
    Ok(Effect::logged(Logged::ExpireAt(deadline), EventClass::Generic, "expire"))
}

/// When a deadline is changed; no deadline counts as one that is never reached.
#[derive(Clone, Copy, Default)]
struct Condition {
    if_none: bool,
    if_any: bool,
    if_later: bool,
    if_sooner: bool,
}

impl Condition {
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let mut condition = Self::default();
        while let Some(option) = args.peek() {
            let known = [
                ("NX", &mut condition.if_none),
                ("XX", &mut condition.if_any),
                ("GT", &mut condition.if_later),
                ("LT", &mut condition.if_sooner),
            ];
            let Some((_, flag)) = known.into_iter().find(|(word, _)| args.option(word)) else {
                return Err(Error::quoting("ERR Unsupported option ", option, ""));
            };
            *flag = true;
        }
        condition.check()
    }

    fn check(self) -> Result<Self, Error> {
        if self.if_none && (self.if_any || self.if_later || self.if_sooner) {
            return Err(Error::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if self.if_later && self.if_sooner {
            return Err(Error::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(self)
    }

    fn holds(self, held: Option<i64>, wanted: i64) -> bool {
        !(self.if_none && held.is_some()
            || self.if_any && held.is_none()
            || self.if_later && held.is_none_or(|held| wanted <= held)
            || self.if_sooner && held.is_some_and(|held| wanted >= held))
    }
}

pub(super) const TTL: Row = Row {
    name: "ttl",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns in how many seconds a key expires.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(ttl),
};
fn ttl(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let now_ms = ks.now_ms();
    tell(ks, args, reply, |deadline| rounded_seconds(remaining(deadline, now_ms)))
}

pub(super) const PTTL: Row = Row {
    name: "pttl",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns in how many milliseconds a key expires.",
        since: "2.6.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(pttl),
};
fn pttl(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let now_ms = ks.now_ms();
    tell(ks, args, reply, |deadline| remaining(deadline, now_ms))
}

pub(super) const EXPIRETIME: Row = Row {
    name: "expiretime",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the Unix time in seconds at which a key expires.",
        since: "7.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(expiretime),
};
fn expiretime(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    tell(ks, args, reply, rounded_seconds)
}

pub(super) const PEXPIRETIME: Row = Row {
    name: "pexpiretime",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the Unix time in milliseconds at which a key expires.",
        since: "7.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(pexpiretime),
};
fn pexpiretime(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    tell(ks, args, reply, |deadline| deadline)
}

/// Tells of a key's deadline; -1 if it has none, -2 if there is no key.
fn tell(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
    of: impl FnOnce(i64) -> i64,
) -> Result<Effect, Error> {
    reply.integer(match ks.deadline(&args.key()?) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => of(deadline),
    });
    Ok(Effect::none())
}

fn remaining(deadline: i64, now_ms: i64) -> i64 {
    deadline.saturating_sub(now_ms).max(0)
}

fn rounded_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

pub(super) const PERSIST: Row = Row {
    name: "persist",
    arity: 2,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Lets a key never expire.",
        since: "2.2.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(persist),
};
fn persist(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    if ks.find(&key).and_then(Record::deadline).is_none() {
        reply.integer(0);
        return Ok(Effect::none());
    }
    ks.set_deadline(&key, None);
    reply.integer(1);
    Ok(Effect::one(EventClass::Generic, "persist"))
}
