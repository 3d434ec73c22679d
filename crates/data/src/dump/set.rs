//! Sets.

use super::packed::Sequence;
use super::read::{Malformed, Reader};
use super::write::Writer;
use super::{Version, code};
use crate::packed::are_distinct;
use crate::{Collection, IntBuffer, IntSetRef, Item, Limits, Set, SetRef};

pub(super) fn write(set: SetRef<'_>, writer: &mut Writer<'_>) {
    match set.piece() {
        Some((true, ints)) => {
            writer.byte(code::SET_INTSET);
            writer.string(ints);
        }
        Some((false, packed)) if writer.may_use(Version::V11, true) => {
            writer.byte(code::SET_LISTPACK);
            writer.string(packed);
        }
        _ => {
            writer.byte(code::SET);
            writer.length(set.len() as u64);
            set.iter().for_each(|member| writer.item(member));
        }
    }
}

pub(super) fn read(code: u8, reader: &mut Reader<'_>, limits: &Limits) -> Result<Set, Malformed> {
    let buffer = &mut IntBuffer::new();
    match code {
        code::SET_INTSET => {
            let piece = reader.string()?;
            let ints = IntSetRef::check(piece.as_bytes(buffer)).ok_or(Malformed)?;
            if ints.len() <= limits.set_max_intset_entries {
                return Ok(Set::from_inline(true, ints.bytes()));
            }
            collect(ints.len(), ints.iter().map(Item::Int), limits)
        }
        code::SET_LISTPACK => {
            let piece = reader.string()?;
            let sequence = Sequence::read(piece.as_bytes(buffer))?;
            let members = sequence.as_ref();
            if members.is_empty() || !are_distinct(members.iter()) {
                return Err(Malformed);
            }
            let len = members.len();
            if len <= limits.set_max_listpack_entries {
                return Ok(Set::from_inline(false, members.bytes()));
            }
            collect(len, members.iter(), limits)
        }
        _ => read_members(reader, limits),
    }
}

/// A set of members, at least one and no two the same.
fn collect<'a>(
    len: usize,
    members: impl Iterator<Item = Item<'a>>,
    limits: &Limits,
) -> Result<Set, Malformed> {
    let mut set = Set::default();
    for (at, member) in members.enumerate() {
        add(&mut set, at, len, member, limits)?;
    }
    Ok(set)
}

fn read_members(reader: &mut Reader<'_>, limits: &Limits) -> Result<Set, Malformed> {
    let len = usize::try_from(reader.length()?).map_err(|_| Malformed)?;
    let mut set = Set::default();
    for at in 0..len {
        add(&mut set, at, len, reader.string()?.item(), limits)?;
    }
    if set.is_empty() { Err(Malformed) } else { Ok(set) }
}

/// Adds the member of that number to a set that is to have `len`.
fn add(
    set: &mut Set,
    at: usize,
    len: usize,
    member: Item<'_>,
    limits: &Limits,
) -> Result<(), Malformed> {
    if at == 0 {
        set.expect(len, member, limits);
    }
    if set.insert(member, limits) { Ok(()) } else { Err(Malformed) }
}
