//! Counting.

use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::number::LongDouble;
use kevy_keyspace::{Keyspace, StringRef, Text};

pub(super) const INCR: Row = Row {
    name: "incr",
    arity: 2,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Adds 1 to the integer of a key; an absent key counts as 0.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(incr),
};
fn incr(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    add(ks, args, 1, reply)
}

pub(super) const DECR: Row = Row {
    name: "decr",
    arity: 2,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Subtracts 1 from the integer of a key; an absent key counts as 0.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(decr),
};
fn decr(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    add(ks, args, -1, reply)
}

pub(super) const INCRBY: Row = Row {
    name: "incrby",
    arity: 3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Adds a number to the integer of a key; an absent key counts as 0.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key increment",
    },
    run: Run::Keys(incrby),
};
fn incrby(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let increment = second_int(args)?;
    add(ks, args, increment, reply)
}

pub(super) const DECRBY: Row = Row {
    name: "decrby",
    arity: 3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Subtracts a number from the integer of a key; an absent key counts as 0.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key decrement",
    },
    run: Run::Keys(decrby),
};
fn decrby(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let increment = second_int(args)?.checked_neg();
    let increment = increment.ok_or(Error::new("ERR decrement would overflow"))?;
    add(ks, args, increment, reply)
}

fn second_int(mut args: Args<'_>) -> Result<i64, Error> {
    args.seek(2);
    args.int()
}

fn add(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    increment: i64,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let string = ks.update_string(&args.key()?)?;
    let old = match string.value() {
        Some(value) => value.as_i64().ok_or(Error::NOT_INTEGER)?,
        None => 0,
    };
    let new = old
        .checked_add(increment)
        .ok_or(Error::new("ERR increment or decrement would overflow"))?;
    string.set_int(new);
    reply.integer(new);
    Ok(Effect::one(EventClass::String, "incrby"))
}

pub(super) const INCRBYFLOAT: Row = Row {
    name: "incrbyfloat",
    arity: 3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Adds a number with a fraction to that of a key; an absent key counts as 0.",
        since: "2.6.0",
        group: Group::String,
        complexity: "O(1)",
        syntax: "key increment:double",
    },
    run: Run::Keys(incrbyfloat),
};
fn incrbyfloat(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let string = ks.update_string(&key)?;
    let old = match string.value() {
        Some(value) => parse(value)?,
        None => LongDouble::ZERO,
    };
    let new = old + LongDouble::parse(args.bytes()?).ok_or(Error::NOT_FLOAT)?;
    if !new.is_finite() {
        return Err(Error::new("ERR increment would produce NaN or Infinity"));
    }
    let text = new.to_text();
    // The outcome is recorded, not the sum: another machine may add in another precision.
    let mut frames = CommandList::new();
    if !frames.push([b"SET", key.bytes, text.as_bytes(), b"KEEPTTL"]) {
        return Err(Error::OUT_OF_MEMORY);
    }
    string.set(Text::Verbatim(text.as_bytes()));
    reply.bulk(text.as_bytes());
    Ok(Effect::logged(Logged::Frames(Box::new(frames)), EventClass::String, "incrbyfloat"))
}

fn parse(value: StringRef<'_>) -> Result<LongDouble, Error> {
    let mut buffer = kevy_data::IntBuffer::new();
    LongDouble::parse(value.as_bytes(&mut buffer)).ok_or(Error::NOT_FLOAT)
}
