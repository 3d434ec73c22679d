//! Counting and finding bits.

use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::{IntBuffer, bits};
use kevy_keyspace::Keyspace;
use std::ops::Range;

pub(super) const BITCOUNT: Row = Row {
    name: "bitcount",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::BITMAP,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Counts the bits that are set in a string or a part of it.",
        since: "2.6.0",
        group: Group::Bitmap,
        complexity: "O(N)",
        syntax: "key [start end [BYTE | BIT]]",
    },
    run: Run::Keys(bitcount),
};
fn bitcount(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let part = match args.remaining() {
        0 => Part::WHOLE,
        2 | 3 => Part { start: args.int()?, end: Some(args.int()?), in_bits: unit(&mut args)? },
        _ => return Err(Error::SYNTAX),
    };
    let mut buffer = IntBuffer::new();
    let held = ks.string(&key)?.map_or(&[][..], |value| value.as_bytes(&mut buffer));
    // A negative end before a negative start is nowhere, though both may lie before the string.
    let count = match part {
        Part { start, end: Some(end), .. } if start < 0 && end < 0 && start > end => 0,
        part => {
            let range = part.within(held.len());
            bits::count_range(held, range.start, range.end)
        }
    };
    reply.integer(count as i64);
    Ok(Effect::none())
}

pub(super) const BITPOS: Row = Row {
    name: "bitpos",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::BITMAP,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Finds the first bit that is set, or is not, in a string or a part of it.",
        since: "2.8.7",
        group: Group::Bitmap,
        complexity: "O(N)",
        syntax: "key bit [start [end [BYTE | BIT]]]",
    },
    run: Run::Keys(bitpos),
};
fn bitpos(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let on = match args.int()? {
        0 => false,
        1 => true,
        _ => return Err(Error::new("ERR The bit argument must be 1 or 0.")),
    };
    let part = bitpos_part(&mut args)?;
    let mut buffer = IntBuffer::new();
    let Some(held) = ks.string(&key)?.map(|value| value.as_bytes(&mut buffer)) else {
        // As if there were zeros without end.
        reply.integer(if on { -1 } else { 0 });
        return Ok(Effect::none());
    };
    let range = part.within(held.len());
    let found = bits::find_range(held, on, range.start, range.end);
    // Where no end was given, zeros go on behind the string.
    let beyond = (!on && part.end.is_none() && !range.is_empty()).then_some(range.end);
    reply.integer(found.or(beyond).map_or(-1, |at| at as i64));
    Ok(Effect::none())
}

/// The unit is looked at before the end, as the errors show.
fn bitpos_part(args: &mut Args<'_>) -> Result<Part, Error> {
    let given = args.remaining();
    if given == 0 {
        return Ok(Part::WHOLE);
    }
    if given > 3 {
        return Err(Error::SYNTAX);
    }
    let start = args.int()?;
    let end = args.position();
    args.seek(end + 1);
    let in_bits = unit(args)?;
    args.seek(end);
    let end = if given > 1 { Some(args.int()?) } else { None };
    Ok(Part { start, end, in_bits })
}

/// Whether positions are those of bits; those of bytes if nothing is said.
fn unit(args: &mut Args<'_>) -> Result<bool, Error> {
    if args.at_end() {
        return Ok(false);
    }
    let in_bits = args.option("BIT");
    if in_bits || args.option("BYTE") { Ok(in_bits) } else { Err(Error::SYNTAX) }
}

/// A part of a string: from `start` to `end`, both included, negative from the string's end.
#[derive(Clone, Copy)]
struct Part {
    start: i64,
    /// None: the string's end.
    end: Option<i64>,
    in_bits: bool,
}

impl Part {
    const WHOLE: Self = Self { start: 0, end: None, in_bits: false };

    /// The bits of it in a string of `len` bytes.
    fn within(self, len: usize) -> Range<u64> {
        let scale = if self.in_bits { 1 } else { 8 };
        let units = len as i64 * 8 / scale;
        let position = |at: i64| if at < 0 { (units + at).max(0) } else { at };
        let start = position(self.start);
        // Not below the first unit, if there is one.
        let end = self.end.map_or(units, |end| position(end).min(units - 1) + 1);
        if start < end { (start * scale) as u64..(end * scale) as u64 } else { 0..0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn parts_count_from_either_end() {
        let part = |start, end, in_bits| Part { start, end, in_bits }.within(10);
        assert_eq!(part(0, None, false), 0..80);
        assert_eq!(part(-1, None, false), 72..80);
        assert_eq!(part(1, Some(2), false), 8..24);
        assert_eq!(part(1, Some(2), true), 1..3);
        assert_eq!(part(-3, Some(-2), true), 77..79);
        assert_eq!(part(-100, Some(-90), false), 0..8);
        assert_eq!(part(i64::MIN, Some(i64::MAX), true), 0..80);
        assert!(part(5, Some(4), false).is_empty() && part(10, Some(12), false).is_empty());
        assert!(part(i64::MAX, None, false).is_empty());
        assert!(Part { start: 0, end: Some(0), in_bits: false }.within(0).is_empty());
    }
}
