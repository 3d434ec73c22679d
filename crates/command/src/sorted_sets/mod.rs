//! Sorted sets.

pub(crate) mod add;
mod algebra;
mod get;
mod interval;
mod pop;
mod random;
mod range;
mod remove;

use crate::{Effect, EventClass, Reply, Row};
use kevy_data::Item;
use kevy_data::sorted_set::{Iter, SortedSet};
use kevy_keyspace::{Key, Keyspace};
use kevy_resp::Proto;

/// Commands for sorted sets.
pub const SORTED_SETS: &[&Row] = &[
    &add::ZADD,
    &add::ZINCRBY,
    &get::ZCARD,
    &get::ZSCORE,
    &get::ZMSCORE,
    &get::ZRANK,
    &get::ZREVRANK,
    &get::ZCOUNT,
    &get::ZLEXCOUNT,
    &range::ZRANGE,
    &range::ZRANGESTORE,
    &range::ZREVRANGE,
    &range::ZRANGEBYSCORE,
    &range::ZREVRANGEBYSCORE,
    &range::ZRANGEBYLEX,
    &range::ZREVRANGEBYLEX,
    &remove::ZREM,
    &remove::ZREMRANGEBYRANK,
    &remove::ZREMRANGEBYSCORE,
    &remove::ZREMRANGEBYLEX,
    &pop::ZPOPMIN,
    &pop::ZPOPMAX,
    &pop::ZMPOP,
    &pop::BZPOPMIN,
    &pop::BZPOPMAX,
    &pop::BZMPOP,
    &random::ZRANDMEMBER,
    &random::ZSCAN,
    &algebra::ZUNION,
    &algebra::ZUNIONSTORE,
    &algebra::ZINTER,
    &algebra::ZINTERSTORE,
    &algebra::ZINTERCARD,
    &algebra::ZDIFF,
    &algebra::ZDIFFSTORE,
];

/// Writes a member.
pub(crate) fn write_member(reply: &mut Reply<'_>, member: Item<'_>) {
    match member {
        Item::Int(value) => reply.bulk_integer(value),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Writes an array of members. With their scores it is twice as long, in RESP3 one of pairs.
fn write_members<'a>(
    reply: &mut Reply<'_>,
    members: impl ExactSizeIterator<Item = (Item<'a>, f64)>,
    with_scores: bool,
) {
    let pairs = with_scores && reply.proto() == Proto::Resp3;
    let flat = with_scores && !pairs;
    reply.array(members.len() * if flat { 2 } else { 1 });
    for (member, score) in members {
        if pairs {
            reply.array(2);
        }
        write_member(reply, member);
        if with_scores {
            reply.double(score);
        }
    }
}

/// As [`write_members`], from the last to the first if `reverse`.
fn write_range(reply: &mut Reply<'_>, members: Iter<'_>, reverse: bool, with_scores: bool) {
    if reverse {
        write_members(reply, members.rev(), with_scores);
    } else {
        write_members(reply, members, with_scores);
    }
}

/// Makes `value` the value of the key at argument `at`, or removes the key if it is empty, and
/// answers how many members it has.
pub(crate) fn store(
    ks: &mut Keyspace<'_>,
    (at, destination): (usize, &Key<'_>),
    value: SortedSet,
    event: &'static str,
    reply: &mut Reply<'_>,
) -> Effect {
    use kevy_data::Collection;
    let len = value.as_ref().len();
    reply.integer(len as i64);
    let existed = ks.put_value(destination, value);
    match (len, existed) {
        (0, false) => Effect::none(),
        (0, true) => Effect::as_given(1).event(EventClass::Generic, "del", at),
        _ => Effect::as_given(1).event(EventClass::SortedSet, event, at),
    }
}
