//! Strings as arrays of bits.

mod bit;
mod field;
mod operation;
mod range;

use crate::{Args, Error, Row};
use kevy_data::number;
use kevy_keyspace::Keyspace;

/// Commands for bits.
pub const BITMAP: &[&Row] = &[
    &bit::SETBIT,
    &bit::GETBIT,
    &range::BITCOUNT,
    &range::BITPOS,
    &operation::BITOP,
    &field::BITFIELD,
    &field::BITFIELD_RO,
];

/// Reads the position of a bit, which must lie in a string of at most the longest length.
fn offset(ks: &Keyspace<'_>, args: &mut Args<'_>) -> Result<u64, Error> {
    let offset = number::parse_i64(args.bytes()?);
    checked_offset(ks, offset)
}

fn checked_offset(ks: &Keyspace<'_>, offset: Option<i64>) -> Result<u64, Error> {
    offset
        .and_then(|offset| u64::try_from(offset).ok())
        .filter(|offset| (offset >> 3) < ks.max_bulk() as u64)
        .ok_or(Error::new("ERR bit offset is not an integer or out of range"))
}
