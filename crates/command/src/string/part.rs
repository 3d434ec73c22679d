//! Parts of a string.

use super::check_length;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::IntBuffer;
use kevy_keyspace::Keyspace;
use std::ops::Range;

pub(super) const APPEND: Row = Row {
    name: "append",
    arity: 3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Appends to the string of a key, which is made if it does not exist.",
        since: "2.0.0",
        group: Group::String,
        complexity: "O(1) amortized: room grows by doubling",
        syntax: "key value",
    },
    run: Run::Keys(append),
};
fn append(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let limit = ks.max_bulk();
    let added = args.peek().map_or(0, <[u8]>::len);
    let string = ks.update_string(&key)?;
    let length = match string.value().map(|value| value.len()) {
        Some(held) => {
            check_length(held, added, limit)?;
            string.append(args.bytes()?)
        }
        None => {
            string.set(args.text()?);
            added
        }
    };
    reply.integer(length as i64);
    Ok(Effect::one(EventClass::String, "append"))
}

pub(super) const SETRANGE: Row = Row {
    name: "setrange",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Overwrites a part of a string, which grows if it must.",
        since: "2.2.0",
        group: Group::String,
        complexity: "O(M) where M is the length of the value argument, beside zero bytes that are filled in",
        syntax: "key offset value",
    },
    run: Run::Keys(setrange),
};
fn setrange(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let offset =
        usize::try_from(args.int()?).map_err(|_| Error::new("ERR offset is out of range"))?;
    let value = args.bytes()?;
    let limit = ks.max_bulk();
    let string = ks.update_string(&key)?;
    if value.is_empty() {
        reply.integer(string.value().map_or(0, |value| value.len() as i64));
        return Ok(Effect::none());
    }
    check_length(offset, value.len(), limit)?;
    reply.integer(string.set_range(offset, value) as i64);
    Ok(Effect::one(EventClass::String, "setrange"))
}

pub(super) const GETRANGE: Row = Row {
    name: "getrange",
    arity: 4,
    flags: Flags::READONLY,
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns a part of a string; negative positions count from its end.",
        since: "2.4.0",
        group: Group::String,
        complexity: "O(N) where N is the length of the returned string.",
        syntax: "key start end",
    },
    run: Run::Keys(getrange),
};
pub(super) const SUBSTR: Row = Row {
    name: "substr",
    arity: 4,
    flags: Flags::READONLY,
    categories: Categories::STRING,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns a part of a string; the former name of GETRANGE.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(N) where N is the length of the returned string.",
        syntax: "key start end",
    },
    run: Run::Keys(getrange),
};
fn getrange(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let (start, end) = (args.int()?, args.int()?);
    match ks.string(&key)? {
        None => reply.bulk(b""),
        Some(value) => {
            let mut buffer = IntBuffer::new();
            let bytes = value.as_bytes(&mut buffer);
            reply.bulk(&bytes[range(start, end, bytes.len())]);
        }
    }
    Ok(Effect::none())
}

/// The bytes from `start` to `end`, both included, negative from the end of `length` bytes.
fn range(start: i64, end: i64, length: usize) -> Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let position = |at: i64| match usize::try_from(at) {
        Ok(at) => at,
        Err(_) => length.saturating_sub(usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let (start, end) = (position(start), position(end).saturating_add(1).min(length));
    if start < end { start..end } else { 0..0 }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn positions_count_from_either_end() {
        for (start, end, expected) in [
            (0, 3, 0..4),
            (0, -1, 0..10),
            (-3, -1, 7..10),
            (-100, 2, 0..3),
            (5, 100, 5..10),
            (10, 12, 0..0),
            (4, 3, 0..0),
            (-1, -3, 0..0),
            (-20, -15, 0..1),
            (i64::MIN, i64::MAX, 0..10),
            (i64::MAX, i64::MIN, 0..0),
        ] {
            assert_eq!(range(start, end, 10), expected, "{start} {end}");
        }
        assert_eq!(range(0, -1, 0), 0..0);
    }
}
