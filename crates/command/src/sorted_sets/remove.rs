//! Removing members.

use super::interval::{By, Interval};
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::sorted_set::SortedSet;
use kevy_data::{Change, Collection};
use kevy_keyspace::{Keyspace, Updated};

pub(super) const ZREM: Row = Row {
    name: "zrem",
    arity: -3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes members from a sorted set.",
        since: "1.2.0",
        group: Group::SortedSet,
        complexity: "O(M*log(N)) where N is the number of members and M that of those removed",
        syntax: "key member [member ...]",
    },
    run: Run::Keys(zrem),
};
fn zrem(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let updated = ks.update_existing::<SortedSet, _>(&args.key()?, |set| {
        let mut removed = 0;
        while let Some(member) = args.peek() {
            args.seek(args.position() + 1);
            removed += usize::from(set.remove(member).is_some());
        }
        Change::when(removed > 0, removed)
    })?;
    Ok(finish(updated, "zrem", reply))
}

pub(super) const ZREMRANGEBYRANK: Row = Row {
    name: "zremrangebyrank",
    arity: 4,
    flags: Flags::WRITE,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes the members from one rank to another.",
        since: "2.0.0",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those removed",
        syntax: "key start:integer stop:integer",
    },
    run: Run::Keys(zremrangebyrank),
};
fn zremrangebyrank(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    remove_range(ks, args, By::Rank, "zremrangebyrank", reply)
}

pub(super) const ZREMRANGEBYSCORE: Row = Row {
    name: "zremrangebyscore",
    arity: 4,
    flags: Flags::WRITE,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes the members with scores in an interval.",
        since: "1.2.0",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those removed",
        syntax: "key min:double max:double",
    },
    run: Run::Keys(zremrangebyscore),
};
fn zremrangebyscore(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    remove_range(ks, args, By::Score, "zremrangebyscore", reply)
}

pub(super) const ZREMRANGEBYLEX: Row = Row {
    name: "zremrangebylex",
    arity: 4,
    flags: Flags::WRITE,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes the members in an interval, where all scores are alike.",
        since: "2.8.9",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those removed",
        syntax: "key min max",
    },
    run: Run::Keys(zremrangebylex),
};
fn zremrangebylex(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    remove_range(ks, args, By::Lex, "zremrangebylex", reply)
}

fn remove_range(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    by: By,
    event: &'static str,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let interval = Interval::read(&mut args, by, false)?;
    let updated = ks.update_existing::<SortedSet, _>(&key, |set| {
        let removed = set.remove_range(interval.ranks(set.as_ref(), false));
        Change::when(removed > 0, removed)
    })?;
    Ok(finish(updated, event, reply))
}

/// Answers how many members were removed from the key of argument 1.
fn finish(updated: Option<Updated<usize>>, event: &'static str, reply: &mut Reply<'_>) -> Effect {
    let (removed, emptied) = updated.map_or((0, false), |done| (done.result, done.removed));
    reply.integer(removed as i64);
    if removed == 0 {
        return Effect::none();
    }
    let changes = u32::try_from(removed).unwrap_or(u32::MAX);
    let effect = Effect::as_given(changes).event(EventClass::SortedSet, event, 1);
    if emptied { effect.event(EventClass::Generic, "del", 1) } else { effect }
}
