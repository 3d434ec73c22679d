//! Counting.

use super::limits;
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::number::LongDouble;
use kevy_data::{Change, Collection, Hash, IntBuffer, StringRef, Text};
use kevy_keyspace::Keyspace;

pub(super) const HINCRBY: Row = Row {
    name: "hincrby",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Adds a number to the integer of a field; an absent field counts as 0.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(1)",
        syntax: "key field increment",
    },
    run: Run::Keys(hincrby),
};
fn hincrby(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, field, increment) = (args.key()?, args.bytes()?, args.int()?);
    let (now_ms, limits) = (ks.now_ms(), limits(ks));
    let updated = ks.update::<Hash, _>(&key, |hash| {
        let sum = sum(hash.as_ref().at(now_ms).get(field), increment);
        if let Ok(sum) = sum {
            hash.set(field, Text::Int(sum), true, limits);
        }
        Change::when(sum.is_ok(), sum)
    })?;
    reply.integer(updated.result?);
    Ok(Effect::one(EventClass::Hash, "hincrby"))
}

fn sum(value: Option<StringRef<'_>>, increment: i64) -> Result<i64, Error> {
    let held = match value {
        Some(value) => value.as_i64().ok_or(Error::new("ERR hash value is not an integer"))?,
        None => 0,
    };
    let overflow = Error::new("ERR increment or decrement would overflow");
    held.checked_add(increment).ok_or(overflow)
}

pub(super) const HINCRBYFLOAT: Row = Row {
    name: "hincrbyfloat",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Adds a number with a fraction to that of a field; an absent field counts as 0.",
        since: "2.6.0",
        group: Group::Hash,
        complexity: "O(1)",
        syntax: "key field increment:double",
    },
    run: Run::Keys(hincrbyfloat),
};
fn hincrbyfloat(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, field) = (args.key()?, args.bytes()?);
    let increment = LongDouble::parse(args.bytes()?).ok_or(Error::NOT_FLOAT)?;
    if !increment.is_finite() {
        return Err(Error::new("ERR value is NaN or Infinity"));
    }
    let (now_ms, limits) = (ks.now_ms(), limits(ks));
    let hash = ks.look::<Hash>(&key)?;
    let held = match hash.and_then(|hash| hash.at(now_ms).get(field)) {
        Some(value) => LongDouble::parse(value.as_bytes(&mut IntBuffer::new()))
            .ok_or(Error::new("ERR hash value is not a float"))?,
        None => LongDouble::ZERO,
    };
    let new = held + increment;
    if !new.is_finite() {
        return Err(Error::new("ERR increment would produce NaN or Infinity"));
    }
    let text = new.to_text();
    // The outcome is recorded, not the sum: another machine may add in another precision.
    let mut frames = CommandList::new();
    if !frames.push([b"HSET", key.bytes, field, text.as_bytes()]) {
        return Err(Error::OUT_OF_MEMORY);
    }
    ks.update::<Hash, _>(&key, |hash| {
        Change::Changed(hash.set(field, Text::Verbatim(text.as_bytes()), true, limits))
    })?;
    reply.bulk(text.as_bytes());
    Ok(Effect::logged(Logged::Frames(Box::new(frames)), EventClass::Hash, "hincrbyfloat"))
}
