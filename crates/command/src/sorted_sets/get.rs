//! Asking for single members and for numbers of them.

use super::interval::{By, Interval};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::sorted_set::{SortedSet, SortedSetRef};
use kevy_keyspace::Keyspace;

pub(super) const ZCARD: Row = Row {
    name: "zcard",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of members of a sorted set.",
        since: "1.2.0",
        group: Group::SortedSet,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(zcard),
};
fn zcard(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let set = ks.read::<SortedSet>(&args.key()?)?;
    reply.integer(set.map_or(0, SortedSetRef::len) as i64);
    Ok(Effect::none())
}

pub(super) const ZSCORE: Row = Row {
    name: "zscore",
    arity: 3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the score of a member.",
        since: "1.2.0",
        group: Group::SortedSet,
        complexity: "O(1)",
        syntax: "key member",
    },
    run: Run::Keys(zscore),
};
fn zscore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let set = ks.read::<SortedSet>(&args.key()?)?;
    write_score(reply, set, args.bytes()?);
    Ok(Effect::none())
}

pub(super) const ZMSCORE: Row = Row {
    name: "zmscore",
    arity: -3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the scores of several members.",
        since: "6.2.0",
        group: Group::SortedSet,
        complexity: "O(N) where N is the number of members asked for",
        syntax: "key member [member ...]",
    },
    run: Run::Keys(zmscore),
};
fn zmscore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let set = ks.read::<SortedSet>(&args.key()?)?;
    reply.array(args.remaining());
    while !args.at_end() {
        write_score(reply, set, args.bytes()?);
    }
    Ok(Effect::none())
}

fn write_score(reply: &mut Reply<'_>, set: Option<SortedSetRef<'_>>, member: &[u8]) {
    match set.and_then(|set| set.score(member)) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

pub(super) const ZRANK: Row = Row {
    name: "zrank",
    arity: -3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns how many members come before one in ascending order.",
        since: "2.0.0",
        group: Group::SortedSet,
        complexity: "O(log(N)) where N is the number of members",
        syntax: "key member [WITHSCORE]",
    },
    run: Run::Keys(zrank),
};
fn zrank(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    rank(ks, args, false, reply)
}

pub(super) const ZREVRANK: Row = Row {
    name: "zrevrank",
    arity: -3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns how many members come before one in descending order.",
        since: "2.0.0",
        group: Group::SortedSet,
        complexity: "O(log(N)) where N is the number of members",
        syntax: "key member [WITHSCORE]",
    },
    run: Run::Keys(zrevrank),
};
fn zrevrank(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    rank(ks, args, true, reply)
}

fn rank(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reverse: bool,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    if args.len() > 4 {
        return Err(Error::arity(if reverse { "zrevrank" } else { "zrank" }));
    }
    let (key, member) = (args.key()?, args.bytes()?);
    let with_score = args.option("WITHSCORE");
    args.end()?;
    let set = ks.read::<SortedSet>(&key)?;
    let Some((set, (rank, score))) = set.and_then(|set| Some((set, set.rank(member)?))) else {
        if with_score {
            reply.null_array();
        } else {
            reply.null();
        }
        return Ok(Effect::none());
    };
    let rank = if reverse { set.len() - 1 - rank } else { rank } as i64;
    if with_score {
        reply.array(2);
        reply.integer(rank);
        reply.double(score);
    } else {
        reply.integer(rank);
    }
    Ok(Effect::none())
}

pub(super) const ZCOUNT: Row = Row {
    name: "zcount",
    arity: 4,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of members with scores in an interval.",
        since: "2.0.0",
        group: Group::SortedSet,
        complexity: "O(log(N)) where N is the number of members",
        syntax: "key min:double max:double",
    },
    run: Run::Keys(zcount),
};
fn zcount(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    count(ks, args, By::Score, reply)
}

pub(super) const ZLEXCOUNT: Row = Row {
    name: "zlexcount",
    arity: 4,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of members in an interval, where all scores are alike.",
        since: "2.8.9",
        group: Group::SortedSet,
        complexity: "O(log(N)) where N is the number of members",
        syntax: "key min max",
    },
    run: Run::Keys(zlexcount),
};
fn zlexcount(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    count(ks, args, By::Lex, reply)
}

fn count(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    by: By,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let interval = Interval::read(&mut args, by, false)?;
    let set = ks.read::<SortedSet>(&key)?;
    reply.integer(set.map_or(0, |set| interval.ranks(set, false).len()) as i64);
    Ok(Effect::none())
}
