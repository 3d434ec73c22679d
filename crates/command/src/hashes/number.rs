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
    let limits = limits(ks);
    ks.expire_fields(&key, [field]);
    let updated = ks.update::<Hash, _>(&key, |hash| {
        let sum = sum(hash.as_ref().at(i64::MIN).get(field), increment);
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
    ks.expire_fields(&key, [field]);
    let fields = ks.look::<Hash>(&key)?.map(|hash| hash.at(now_ms));
    let deadline = fields.and_then(|fields| fields.deadline(field)).flatten();
    let held = match fields.and_then(|fields| fields.get(field)) {
        Some(value) => LongDouble::parse(value.as_bytes(&mut IntBuffer::new()))
            .ok_or(Error::new("ERR hash value is not a float"))?,
        None => LongDouble::ZERO,
    };
    let new = held + increment;
    if !new.is_finite() {
        return Err(Error::new("ERR increment would produce NaN or Infinity"));
    }
    let text = new.to_text();
    let frames = set_to(key.bytes, field, text.as_bytes(), deadline)?;
    ks.update::<Hash, _>(&key, |hash| {
        Change::Changed(hash.set(field, Text::Verbatim(text.as_bytes()), true, limits))
    })?;
    reply.bulk(text.as_bytes());
    Ok(Effect::logged(Logged::Frames(Box::new(frames)), EventClass::Hash, "hincrbyfloat"))
}

/// Says that a field has come to this value and has kept its deadline. The outcome is recorded, not
/// the sum: another machine may add in another precision.
fn set_to(
    key: &[u8],
    field: &[u8],
    value: &[u8],
    deadline: Option<i64>,
) -> Result<CommandList, Error> {
    let mut frames = CommandList::new();
    let set = frames.push([b"HSET", key, field, value]);
    let kept = deadline.is_none_or(|deadline| {
        let deadline = deadline.to_string();
        frames.push([b"HPEXPIREAT", key, deadline.as_bytes(), b"FIELDS", b"1", field])
    });
    if set && kept { Ok(frames) } else { Err(Error::OUT_OF_MEMORY) }
}
