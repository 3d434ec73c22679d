//! Strings.

mod get;
mod many;
mod number;
mod part;
mod set;
mod subsequence;

use crate::{Error, Reply, Row};
use kevy_keyspace::StringRef;

/// Commands for strings.
pub const STRING: &[&Row] = &[
    &get::GET,
    &get::GETDEL,
    &get::DELIFEQ,
    &get::GETEX,
    &get::STRLEN,
    &set::SET,
    &set::SETNX,
    &set::SETEX,
    &set::PSETEX,
    &set::GETSET,
    &many::MGET,
    &many::MSET,
    &many::MSETNX,
    &many::MSETEX,
    &number::INCR,
    &number::DECR,
    &number::INCRBY,
    &number::DECRBY,
    &number::INCRBYFLOAT,
    &part::APPEND,
    &part::SETRANGE,
    &part::GETRANGE,
    &part::SUBSTR,
    &subsequence::LCS,
];

/// Writes a string as it lies in the keyspace; large ones are shared, not copied.
#[inline]
pub(crate) fn write_string(reply: &mut Reply<'_>, value: StringRef<'_>) {
    match value {
        StringRef::Int(value) => reply.bulk_integer(value),
        StringRef::Bytes(bytes) => reply.bulk(bytes),
        StringRef::Blob(blob) => reply.shared(blob),
    }
}

/// A string that grows to `offset + added` bytes must not exceed the limit.
fn check_length(offset: usize, added: usize, limit: usize) -> Result<(), Error> {
    match offset.checked_add(added) {
        Some(length) if length <= limit => Ok(()),
        _ => Err(Error::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)")),
    }
}
