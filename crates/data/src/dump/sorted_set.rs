//! Sorted sets.

use super::packed::Sequence;
use super::read::{Malformed, Reader};
use super::write::Writer;
use super::{code, ziplist};
use crate::number::parse_f64;
use crate::sorted_set::SortedSetBuilder;
use crate::{IntBuffer, Item, Limits, SortedSet, SortedSetRef};

pub(super) fn write(set: SortedSetRef<'_>, writer: &mut Writer<'_>) {
    if let Some(packed) = set.packed() {
        writer.byte(code::ZSET_LISTPACK);
        return writer.string(packed.bytes());
    }
    writer.byte(code::ZSET_2);
    writer.length(set.len() as u64);
    // The highest first: Redis then inserts at the head of its list.
    for (member, score) in set.iter().rev() {
        writer.item(member);
        writer.bytes(&score.to_le_bytes());
    }
}

pub(super) fn read(
    code: u8,
    reader: &mut Reader<'_>,
    limits: &Limits,
) -> Result<SortedSet, Malformed> {
    let buffer = &mut IntBuffer::new();
    match code {
        code::ZSET_ZIPLIST => {
            let piece = reader.string()?;
            of_pairs(Sequence::Made(ziplist::read(piece.as_bytes(buffer))?), limits)
        }
        code::ZSET_LISTPACK => {
            let piece = reader.string()?;
            of_pairs(Sequence::read(piece.as_bytes(buffer))?, limits)
        }
        _ => {
            let mut members = Members::default();
            for _ in 0..reader.length()? {
                let member = reader.string()?;
                let score = match code {
                    code::ZSET => text_score(reader)?,
                    _ => f64::from_le_bytes(reader.array()?),
                };
                members.add(member.as_bytes(buffer), score)?;
            }
            members.finish(limits)
        }
    }
}

/// The set of members each followed by its score.
fn of_pairs(sequence: Sequence<'_>, limits: &Limits) -> Result<SortedSet, Malformed> {
    let items = sequence.as_ref();
    let len = items.len();
    if len == 0 || !len.is_multiple_of(2) {
        return Err(Malformed);
    }
    if len / 2 <= limits.zset_max_listpack_entries
        && let Some(set) = SortedSet::from_packed(items.to_packed())
    {
        return Ok(set);
    }
    // Too many for one piece, or in another order.
    let (mut members, mut items) = (Members::default(), items.iter());
    let buffer = &mut IntBuffer::new();
    while let (Some(member), Some(score)) = (items.next(), items.next()) {
        let score = match score {
            Item::Int(value) => value as f64,
            Item::Bytes(text) => parse_f64(text).ok_or(Malformed)?,
        };
        members.add(member.text(buffer), score)?;
    }
    members.finish(limits)
}

/// A score as a length and a text; three lengths stand for what has none.
fn text_score(reader: &mut Reader<'_>) -> Result<f64, Malformed> {
    match reader.byte()? {
        0xFD => Ok(f64::NAN),
        0xFE => Ok(f64::INFINITY),
        0xFF => Ok(f64::NEG_INFINITY),
        len => parse_f64(reader.bytes(len.into())?).ok_or(Malformed),
    }
}

/// Members, no two of them the same.
#[derive(Default)]
struct Members(SortedSetBuilder);

impl Members {
    fn add(&mut self, member: &[u8], score: f64) -> Result<(), Malformed> {
        let before = self.0.len();
        if score.is_nan() {
            return Err(Malformed);
        }
        self.0.add(member, |_| score);
        if self.0.len() > before { Ok(()) } else { Err(Malformed) }
    }

    fn finish(self, limits: &Limits) -> Result<SortedSet, Malformed> {
        if self.0.is_empty() { Err(Malformed) } else { Ok(self.0.finish(limits)) }
    }
}
