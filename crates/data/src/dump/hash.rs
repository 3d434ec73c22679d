//! Hashes.

use super::packed::Sequence;
use super::read::{Chunk, Malformed, Reader};
use super::write::Writer;
use super::{Version, code, ziplist, zipmap};
use crate::packed::{PACKED_MAX, are_distinct};
use crate::{
    Collection, Hash, HashLimits, HashRef, IntBuffer, Item, Limits, Packed, PackedRef, Text,
};

/// The latest deadline of a field, in Unix milliseconds: 48 bits hold it, as in Redis.
const DEADLINE_MAX: i64 = (1 << 48) - 2;

pub(super) fn write(hash: HashRef<'_>, writer: &mut Writer<'_>) {
    let first = hash.next_deadline();
    let first = first.filter(|_| writer.may_use(Version::V12, false));
    match (hash.packed(), first) {
        (Some((false, packed)), _) => {
            writer.byte(code::HASH_LISTPACK);
            writer.string(packed.bytes());
        }
        (Some((true, packed)), Some(first)) => {
            writer.byte(code::HASH_LISTPACK_EX);
            writer.time_ms(first);
            writer.string(packed.bytes());
        }
        (Some((true, packed)), None) => {
            let (mut items, mut pairs) = (packed.iter(), Packed::new());
            while let (Some(field), Some(value), Some(_)) =
                (items.next(), items.next(), items.next())
            {
                pairs.push_back(field);
                pairs.push_back(value);
            }
            writer.byte(code::HASH_LISTPACK);
            writer.string(pairs.as_ref().bytes());
        }
        (None, first) => write_fields(hash, first, writer),
    }
}

/// Writes the fields one by one; with deadlines, relative to the first one, if there is such.
fn write_fields(hash: HashRef<'_>, first: Option<i64>, writer: &mut Writer<'_>) {
    let fields = hash.at(i64::MIN);
    writer.byte(if first.is_some() { code::HASH_METADATA } else { code::HASH });
    if let Some(first) = first {
        writer.time_ms(first);
    }
    writer.length(fields.len() as u64);
    fields.for_each(|field| {
        if let Some(first) = first {
            let after = field.deadline.map_or(0, |deadline| deadline.abs_diff(first) + 1);
            writer.length(after);
        }
        writer.value(field.name);
        writer.value(field.value);
    });
}

pub(super) fn read(code: u8, reader: &mut Reader<'_>, limits: &Limits) -> Result<Hash, Malformed> {
    let limits = HashLimits::from(limits);
    let buffer = &mut IntBuffer::new();
    match code {
        code::HASH => read_fields(reader, limits),
        code::HASH_METADATA => {
            let first = reader.time_ms()?;
            read_timed_fields(reader, Some(first), limits)
        }
        code::HASH_METADATA_EARLY => read_timed_fields(reader, None, limits),
        code::HASH_ZIPMAP => {
            let piece = reader.string()?;
            of_items(Sequence::Made(zipmap::read(piece.as_bytes(buffer))?), false, limits)
        }
        code::HASH_ZIPLIST => {
            let piece = reader.string()?;
            of_items(Sequence::Made(ziplist::read(piece.as_bytes(buffer))?), false, limits)
        }
        _ => {
            if code == code::HASH_LISTPACK_EX {
                // The first deadline, which the sequence tells too.
                reader.time_ms()?;
            }
            let piece = reader.string()?;
            let timed = code != code::HASH_LISTPACK;
            of_items(Sequence::read(piece.as_bytes(buffer))?, timed, limits)
        }
    }
}

/// The hash of a packed sequence: of pairs, or triples with deadlines in their order.
fn of_items(sequence: Sequence<'_>, timed: bool, limits: HashLimits) -> Result<Hash, Malformed> {
    let items = sequence.as_ref();
    let (len, width) = (items.len(), 2 + usize::from(timed));
    if len == 0
        || !len.is_multiple_of(width)
        || !are_distinct(items.iter().step_by(width))
        || (timed && !are_deadlines(items.iter().skip(2).step_by(3)))
    {
        return Err(Malformed);
    }
    if len / width <= limits.entries {
        return Ok(Hash::from_inline(timed, items.bytes()));
    }
    Ok(table_of(items, timed, limits))
}

/// Whether deadlines are in order, 0, which is none, at the end.
fn are_deadlines<'a>(mut items: impl Iterator<Item = Item<'a>>) -> bool {
    let mut before = 1;
    items.all(|item| match item {
        Item::Int(0) => {
            before = i64::MAX;
            true
        }
        Item::Int(deadline) => {
            let ordered = (before..=DEADLINE_MAX).contains(&deadline);
            before = deadline;
            ordered
        }
        Item::Bytes(_) => false,
    })
}

/// A hash that is no packed sequence.
fn table_of(items: PackedRef<'_>, timed: bool, limits: HashLimits) -> Hash {
    let mut hash = Hash::default();
    hash.prepare(usize::MAX, limits);
    let (mut items, buffer) = (items.iter(), &mut IntBuffer::new());
    while let (Some(field), Some(value)) = (items.next(), items.next()) {
        let deadline = match if timed { items.next() } else { None } {
            Some(Item::Int(deadline)) if deadline > 0 => Some(deadline),
            _ => None,
        };
        let field = field.text(buffer);
        hash.set(field, text(value), false, limits);
        if deadline.is_some() {
            hash.set_deadline(field, deadline);
        }
    }
    hash
}

fn text(item: Item<'_>) -> Text<'_> {
    match item {
        Item::Int(value) => Text::Int(value),
        Item::Bytes(bytes) => Text::Verbatim(bytes),
    }
}

/// Reads fields and values as strings: into one piece for as long as that is what they make.
fn read_fields(reader: &mut Reader<'_>, limits: HashLimits) -> Result<Hash, Malformed> {
    let len = reader.length()?;
    let may_be_packed = len <= limits.entries as u64;
    let (mut packed, mut left) = (Packed::new(), len);
    let mut large = None;
    while left > 0 && may_be_packed && large.is_none() {
        let (field, value) = (reader.string()?, reader.string()?);
        if fits(&packed, &field, limits) && fits(&packed, &value, limits) {
            packed.push_back(field.item());
            packed.push_back(value.item());
        } else {
            large = Some((field, value));
        }
        left -= 1;
    }
    let items = packed.as_ref();
    if !are_distinct(items.iter().step_by(2)) {
        return Err(Malformed);
    }
    if may_be_packed && large.is_none() {
        let some = !items.is_empty();
        return some.then(|| Hash::from_inline(false, items.bytes())).ok_or(Malformed);
    }
    let mut hash = table_of(items, false, limits);
    if let Some((field, value)) = large {
        set(&mut hash, &field, &value, limits)?;
    }
    for _ in 0..left {
        let (field, value) = (reader.string()?, reader.string()?);
        set(&mut hash, &field, &value, limits)?;
    }
    Ok(hash)
}

/// Reads fields with deadlines, which are relative to `first` if that is given.
fn read_timed_fields(
    reader: &mut Reader<'_>,
    first: Option<i64>,
    limits: HashLimits,
) -> Result<Hash, Malformed> {
    let mut hash = Hash::default();
    let len = reader.length()?;
    hash.prepare(usize::try_from(len).map_err(|_| Malformed)?, limits);
    for _ in 0..len {
        let told = i64::try_from(reader.length()?).map_err(|_| Malformed)?;
        let deadline = match first {
            _ if told == 0 => None,
            Some(first) => Some(first.checked_add(told - 1).ok_or(Malformed)?),
            None => Some(told),
        };
        if deadline.is_some_and(|deadline| !(1..=DEADLINE_MAX).contains(&deadline)) {
            return Err(Malformed);
        }
        let (field, value) = (reader.string()?, reader.string()?);
        set(&mut hash, &field, &value, limits)?;
        if deadline.is_some() {
            hash.set_deadline(field.as_bytes(&mut IntBuffer::new()), deadline);
        }
    }
    if hash.is_empty() { Err(Malformed) } else { Ok(hash) }
}

/// Sets a field that must be new.
fn set(
    hash: &mut Hash,
    field: &Chunk<'_>,
    value: &Chunk<'_>,
    limits: HashLimits,
) -> Result<(), Malformed> {
    let new = hash.set(field.as_bytes(&mut IntBuffer::new()), value.text(), false, limits);
    if new { Ok(()) } else { Err(Malformed) }
}

/// Whether a string may be the next item of a packed hash.
fn fits(packed: &Packed, text: &Chunk<'_>, limits: HashLimits) -> bool {
    let len = text.as_bytes(&mut IntBuffer::new()).len();
    len <= limits.length && packed.byte_len() + 2 * (len + 16) <= PACKED_MAX
}
