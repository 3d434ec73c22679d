//! Sets.

mod change;
mod combine;
mod pop;
mod read;

use crate::{Args, Error, Reply, Row};
use kevy_data::Item;

/// Commands for sets.
pub const SETS: &[&Row] = &[
    &change::SADD,
    &change::SREM,
    &change::SMOVE,
    &pop::SPOP,
    &pop::SRANDMEMBER,
    &read::SCARD,
    &read::SISMEMBER,
    &read::SMISMEMBER,
    &read::SMEMBERS,
    &read::SSCAN,
    &combine::SINTER,
    &combine::SINTERCARD,
    &combine::SINTERSTORE,
    &combine::SUNION,
    &combine::SUNIONSTORE,
    &combine::SDIFF,
    &combine::SDIFFSTORE,
];

/// Writes a member.
#[inline]
fn write_member(reply: &mut Reply<'_>, member: Item<'_>) {
    match member {
        Item::Int(value) => reply.bulk_integer(value),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// The next argument as a number that is not below `least`; all else is the same error.
fn number_from(args: &mut Args<'_>, least: i64, error: &'static str) -> Result<i64, Error> {
    let number = args.int().ok().filter(|number| *number >= least);
    number.ok_or(Error::new(error))
}
