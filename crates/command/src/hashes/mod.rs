//! Hashes.

mod expire;
mod fields;
mod get;
mod number;
mod set;
mod walk;
mod with;

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
    &expire::HEXPIRE,
    &expire::HPEXPIRE,
    &expire::HEXPIREAT,
    &expire::HPEXPIREAT,
    &expire::HPERSIST,
    &expire::HTTL,
    &expire::HPTTL,
    &expire::HEXPIRETIME,
    &expire::HPEXPIRETIME,
    &with::HGETDEL,
    &with::HGETEX,
    &with::HSETEX,
];

/// Up to where hashes are packed.
fn limits(ks: &Keyspace<'_>) -> HashLimits {
    HashLimits::from(ks.limits())
}
