//! One bit.

use super::offset;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::{IntBuffer, bits, number};
use kevy_keyspace::Keyspace;

pub(super) const SETBIT: Row = Row {
    name: "setbit",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::BITMAP,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets or clears one bit of a string, which grows if it must, and returns what it was.",
        since: "2.2.0",
        group: Group::Bitmap,
        complexity: "O(1) amortized: room grows by doubling",
        syntax: "key offset value:integer",
    },
    run: Run::Keys(setbit),
};
fn setbit(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let at = offset(ks, &mut args)?;
    let on = match number::parse_i64(args.bytes()?) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(Error::new("ERR bit is not an integer or out of range")),
    };
    let len = (at >> 3) as usize + 1;
    let string = ks.update_string(&key)?;
    let mut buffer = IntBuffer::new();
    let held = string.value().map_or(&[][..], |value| value.as_bytes(&mut buffer));
    let (was, fits) = (bits::get(held, at), held.len() >= len);
    reply.integer(i64::from(was));
    if fits && was == on {
        string.make_raw();
        return Ok(Effect::none());
    }
    bits::set(string.bytes_mut(len), at, on);
    Ok(Effect::one(EventClass::String, "setbit"))
}

pub(super) const GETBIT: Row = Row {
    name: "getbit",
    arity: 3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::BITMAP,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns one bit of a string; 0 beyond its end.",
        since: "2.2.0",
        group: Group::Bitmap,
        complexity: "O(1)",
        syntax: "key offset",
    },
    run: Run::Keys(getbit),
};
fn getbit(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let at = offset(ks, &mut args)?;
    let mut buffer = IntBuffer::new();
    let held = ks.string(&key)?.map_or(&[][..], |value| value.as_bytes(&mut buffer));
    reply.integer(i64::from(bits::get(held, at)));
    Ok(Effect::none())
}
