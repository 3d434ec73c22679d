//! Hashes.

mod get;
mod number;
mod set;
mod walk;

use crate::Row;
use kevy_data::HashLimits;
use kevy_keyspace::Keyspace;

/// Commands for hashes.
pub const HASH: &[&Row] = &[
    &set::HSET,
    &set::HMSET,
    &set::HSETNX,
    &set::HDEL,
    &get::HGET,
    &get::HMGET,
    &get::HGETALL,
    &get::HKEYS,
    &get::HVALS,
    &get::HLEN,
    &get::HSTRLEN,
    &get::HEXISTS,
    &number::HINCRBY,
    &number::HINCRBYFLOAT,
    &walk::HRANDFIELD,
    &walk::HSCAN,
];

/// Up to where hashes are packed.
fn limits(ks: &Keyspace<'_>) -> HashLimits {
    HashLimits::from(ks.limits())
}
