//! Meeting members in no order: at random, and in steps.

use super::{write_member, write_members};
use crate::walk::{WalkOptions, write_walk};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::sorted_set::{SortedSet, SortedSetRef};
use kevy_data::{IntBuffer, Item, Random, choose};
use kevy_keyspace::Keyspace;
use std::collections::HashSet;

/// More than this part of a set is chosen by going over all of it, less by drawing ranks.
const CHOSEN_PART: usize = 3;
/// Members that may be asked for with repetition: a few words must not make a reply that fills
/// the memory.
const MOST_REPEATED: usize = 1 << 24;

const OUT_OF_RANGE: Error = Error::new("ERR value is out of range");

pub(super) const ZRANDMEMBER: Row = Row {
    name: "zrandmember",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns members chosen at random, with repetition if the count is negative.",
        since: "6.2.0",
        group: Group::SortedSet,
        complexity: "O(N) where N is the number of members returned",
        syntax: "key [count [WITHSCORES]]",
    },
    run: Run::Keys(zrandmember),
};
fn zrandmember(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let mut random = Random::new(ks.random());
    if args.at_end() {
        match ks.read::<SortedSet>(&key)?.and_then(|set| set.get(random.below(set.len()))) {
            Some((member, _)) => write_member(reply, member),
            None => reply.null(),
        }
        return Ok(Effect::none());
    }
    let count = args.int()?;
    if count == i64::MIN {
        let (min, max) = (-i64::MAX, i64::MAX);
        let text = format!("ERR value is out of range, value must between {min} and {max}");
        return Err(Error::owned(text));
    }
    let with_scores = args.option("WITHSCORES");
    args.end()?;
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(OUT_OF_RANGE);
    }
    let Some(set) = ks.read::<SortedSet>(&key)? else {
        reply.array(0);
        return Ok(Effect::none());
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let chosen = match count {
        0.. => distinct(set, wanted, &mut random),
        _ if wanted > MOST_REPEATED => return Err(OUT_OF_RANGE),
        _ => repeated(set, wanted, &mut random),
    };
    write_members(reply, chosen.into_iter(), with_scores);
    Ok(Effect::none())
}

/// Random members, none of them twice.
fn distinct<'a>(set: SortedSetRef<'a>, count: usize, random: &mut Random) -> Vec<(Item<'a>, f64)> {
    let len = set.len();
    if count.saturating_mul(CHOSEN_PART) > len {
        return choose(set.iter(), len, count, random).collect();
    }
    let mut ranks = HashSet::with_capacity(count);
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let rank = random.below(len);
        if ranks.insert(rank) {
            chosen.extend(set.get(rank));
        }
    }
    chosen
}

/// Random members, some of them perhaps again.
fn repeated<'a>(set: SortedSetRef<'a>, count: usize, random: &mut Random) -> Vec<(Item<'a>, f64)> {
    let len = set.len();
    if count.saturating_mul(CHOSEN_PART) > len {
        let all: Vec<_> = set.iter().collect();
        return (0..count).map(|_| all[random.below(len)]).collect();
    }
    (0..count).filter_map(|_| set.get(random.below(len))).collect()
}

pub(super) const ZSCAN: Row = Row {
    name: "zscan",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns some members with their scores and where to go on: a walk in steps.",
        since: "2.8.0",
        group: Group::SortedSet,
        complexity: "O(1) for every call, O(N) for a whole walk",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
    },
    run: Run::Keys(zscan),
};
fn zscan(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let cursor = WalkOptions::read_cursor(&mut args)?;
    let Some(set) = ks.read::<SortedSet>(&key)? else {
        write_walk(reply, |_| (0, 0));
        return Ok(Effect::none());
    };
    let options = WalkOptions::read(&mut args)?;
    write_walk(reply, |reply| {
        let (mut found, mut buffer) = (0, IntBuffer::new());
        let next = set.walk(cursor, options.count, |member, score| {
            let member = member.text(&mut buffer);
            if options.matches(member) {
                reply.bulk(member);
                reply.bulk_double(score);
                found += 2;
            }
        });
        (next, found)
    });
    Ok(Effect::none())
}
