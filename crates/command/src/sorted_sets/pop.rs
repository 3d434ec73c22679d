//! Taking members from either end.

use super::{write_member, write_range};
use crate::row::{Begin, Find};
use crate::{
    Args, Attempt, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags,
    KeySpec, Logged, Reply, Row, Run, Wait,
};
use kevy_data::sorted_set::{Iter, SortedSet};
use kevy_data::{Change, Collection, Item, Kind};
use kevy_keyspace::{Key, Keyspace};
use std::ops::Range;

pub(super) const ZPOPMIN: Row = Row {
    name: "zpopmin",
    arity: -2,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes the members with the lowest scores and returns them.",
        since: "5.0.0",
        group: Group::SortedSet,
        complexity: "O(log(N)*M) where N is the number of members and M that of those taken",
        syntax: "key [count]",
    },
    run: Run::Keys(zpopmin),
};
fn zpopmin(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    pop(ks, args, End::Min, reply)
}

pub(super) const ZPOPMAX: Row = Row {
    name: "zpopmax",
    arity: -2,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes the members with the highest scores and returns them.",
        since: "5.0.0",
        group: Group::SortedSet,
        complexity: "O(log(N)*M) where N is the number of members and M that of those taken",
        syntax: "key [count]",
    },
    run: Run::Keys(zpopmax),
};
fn zpopmax(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    pop(ks, args, End::Max, reply)
}

pub(super) const ZMPOP: Row = Row {
    name: "zmpop",
    arity: -4,
    flags: Flags::WRITE.union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec {
        flags: KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE),
        begin: Begin::Index(1),
        find: Find::KeyNum { index: 0, first: 1, step: 1 },
        variant: None,
    }],
    tips: &[],
    doc: Doc {
        summary: "Removes members from an end of the first sorted set that is there, and returns them.",
        since: "7.0.0",
        group: Group::SortedSet,
        complexity: "O(K)+O(M*log(N)) where K is the number of keys, N that of members and M that of those taken",
        syntax: "numkeys:integer key [key ...] <MIN | MAX> [COUNT count]",
    },
    run: Run::Keys(zmpop),
};
fn zmpop(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let many = Many::read(&mut args)?;
    Ok(many.pop(ks, &args, reply)?.unwrap_or_else(|| {
        reply.null_array();
        Effect::none()
    }))
}

pub(super) const BZPOPMIN: Row = Row {
    name: "bzpopmin",
    arity: -3,
    flags: Flags::WRITE.union(Flags::BLOCKING).union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::range(1, -2, 1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes the member with the lowest score of the first sorted set that is there; waits for one.",
        since: "5.0.0",
        group: Group::SortedSet,
        complexity: "O(log(N)) where N is the number of members",
        syntax: "key [key ...] timeout:double",
    },
    run: Run::Blocking(bzpopmin),
};
fn bzpopmin(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    pop_or_wait(ks, args, End::Min, reply)
}

pub(super) const BZPOPMAX: Row = Row {
    name: "bzpopmax",
    arity: -3,
    flags: Flags::WRITE.union(Flags::BLOCKING).union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::range(1, -2, 1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes the member with the highest score of the first sorted set that is there; waits for one.",
        since: "5.0.0",
        group: Group::SortedSet,
        complexity: "O(log(N)) where N is the number of members",
        syntax: "key [key ...] timeout:double",
    },
    run: Run::Blocking(bzpopmax),
};
fn bzpopmax(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    pop_or_wait(ks, args, End::Max, reply)
}

pub(super) const BZMPOP: Row = Row {
    name: "bzmpop",
    arity: -5,
    flags: Flags::WRITE.union(Flags::BLOCKING).union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec {
        flags: KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE),
        begin: Begin::Index(2),
        find: Find::KeyNum { index: 0, first: 1, step: 1 },
        variant: None,
    }],
    tips: &[],
    doc: Doc {
        summary: "Removes members from an end of the first sorted set that is there; waits for one.",
        since: "7.0.0",
        group: Group::SortedSet,
        complexity: "O(K)+O(M*log(N)) where K is the number of keys, N that of members and M that of those taken",
        syntax: "timeout:double numkeys:integer key [key ...] <MIN | MAX> [COUNT count]",
    },
    run: Run::Blocking(bzmpop),
};
fn bzmpop(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    args.seek(2);
    let many = Many::read(&mut args)?;
    args.seek(1);
    let timeout_ms = args.timeout_secs(ks.now_ms())?;
    if let Some(effect) = many.pop(ks, &args, reply)? {
        return Ok(effect.into());
    }
    reply.null_array();
    Ok(Attempt::Nothing(Wait::data(
        Kind::SortedSet,
        many.first..many.first + many.keys,
        timeout_ms,
    )))
}

/// An end of the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    /// The command that takes from it, and the event that tells of it.
    const fn names(self) -> (&'static [u8], &'static str) {
        match self {
            Self::Min => (b"ZPOPMIN", "zpopmin"),
            Self::Max => (b"ZPOPMAX", "zpopmax"),
        }
    }
}

fn pop(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    end: End,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    if args.len() > 3 {
        return Err(Error::SYNTAX);
    }
    let key = args.key()?;
    let count = match args.at_end() {
        true => None,
        false => {
            let error = Error::new("ERR value is out of range, must be positive");
            Some(usize::try_from(args.int_from(0, error)?).unwrap_or(usize::MAX))
        }
    };
    // A single one is no array of pairs, not even in RESP3.
    let shape = if count.is_some() { Shape::Members } else { Shape::Flat };
    let taken = take(ks, &key, end, count.unwrap_or(1), shape, reply)?;
    let Some(taken) = taken else {
        reply.array(0);
        return Ok(Effect::none());
    };
    Ok(taken.effect(end, 1).recorded_as_given())
}

/// How what was taken is answered.
#[derive(Clone, Copy)]
enum Shape {
    /// Members and scores, in RESP3 as pairs.
    Members,
    /// Members and scores in a row.
    Flat,
    /// The key, then in the same array member and score.
    WithKey,
    /// The key, then an array of pairs.
    KeyAndPairs,
}

struct Taken {
    count: usize,
    emptied: bool,
}

impl Taken {
    /// What has been done to the key at argument `at`.
    fn effect(&self, end: End, at: usize) -> Effect {
        if self.count == 0 {
            return Effect::none();
        }
        let changes = u32::try_from(self.count).unwrap_or(u32::MAX);
        let effect = Effect { changes, ..Effect::none() };
        let effect = effect.event(EventClass::SortedSet, end.names().1, at);
        if self.emptied { effect.event(EventClass::Generic, "del", at) } else { effect }
    }
}

/// Takes up to `count` members and answers them; none, and nothing answered, if there is no key.
fn take(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    end: End,
    count: usize,
    shape: Shape,
    reply: &mut Reply<'_>,
) -> Result<Option<Taken>, Error> {
    let updated = ks.update_existing::<SortedSet, _>(key, |set| {
        let view = set.as_ref();
        let count = count.min(view.len());
        let ranks = match end {
            End::Min => 0..count,
            End::Max => view.len() - count..view.len(),
        };
        let members = view.range(ranks.clone());
        let reverse = end == End::Max;
        match shape {
            Shape::Members => write_range(reply, members, reverse, true),
            Shape::Flat | Shape::WithKey => {
                let with_key = matches!(shape, Shape::WithKey);
                reply.array(2 * count + usize::from(with_key));
                if with_key {
                    reply.bulk(key.bytes);
                }
                write_pairs(reply, members, reverse, false);
            }
            Shape::KeyAndPairs => {
                reply.array(2);
                reply.bulk(key.bytes);
                reply.array(count);
                write_pairs(reply, members, reverse, true);
            }
        }
        set.remove_range(ranks);
        Change::when(count > 0, count)
    })?;
    Ok(updated.map(|done| Taken { count: done.result, emptied: done.removed }))
}

/// What several keys are asked for.
struct Many {
    /// Which arguments are the keys.
    first: usize,
    keys: usize,
    end: End,
    count: usize,
}

impl Many {
    /// Reads all that stands behind, from the number of keys on.
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let none = Error::new("ERR numkeys should be greater than 0");
        let keys = args.int_from(1, none)?;
        let first = args.position();
        let keys = usize::try_from(keys).ok().filter(|keys| *keys < args.remaining());
        let keys = keys.ok_or(Error::SYNTAX)?;
        args.seek(first + keys);
        let end = if args.option("MIN") {
            End::Min
        } else if args.option("MAX") {
            End::Max
        } else {
            return Err(Error::SYNTAX);
        };
        let mut count = 1;
        if args.remaining() > 1 && args.option("COUNT") {
            count = args.int_from(1, Error::new("ERR count should be greater than 0"))?;
        }
        args.end()?;
        Ok(Many { first, keys, end, count: usize::try_from(count).unwrap_or(usize::MAX) })
    }

    /// Takes from the first key that is there and answers; none, and nothing answered, if there is
    /// none.
    fn pop(
        &self,
        ks: &mut Keyspace<'_>,
        args: &Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<Option<Effect>, Error> {
        let at = self.first..self.first + self.keys;
        take_first(ks, args, at, self.end, self.count, Shape::KeyAndPairs, reply)
    }
}

/// Takes from the first of the keys at these arguments that is there; what is recorded names it.
fn take_first(
    ks: &mut Keyspace<'_>,
    args: &Args<'_>,
    keys: Range<usize>,
    end: End,
    count: usize,
    shape: Shape,
    reply: &mut Reply<'_>,
) -> Result<Option<Effect>, Error> {
    for at in keys {
        let key = args.key_at(at).ok_or(Error::SYNTAX)?;
        let Some(taken) = take(ks, &key, end, count, shape, reply)? else { continue };
        let mut frames = CommandList::new();
        let count = taken.count.to_string();
        if !frames.push([end.names().0, key.bytes, count.as_bytes()]) {
            return Err(Error::OUT_OF_MEMORY);
        }
        let logged = Logged::Frames(Box::new(frames));
        return Ok(Some(Effect { logged, ..taken.effect(end, at) }));
    }
    Ok(None)
}

fn pop_or_wait(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    end: End,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    let keys = 1..args.len() - 1;
    args.seek(keys.end);
    let timeout_ms = args.timeout_secs(ks.now_ms())?;
    let taken = take_first(ks, &args, keys.clone(), end, 1, Shape::WithKey, reply)?;
    if let Some(effect) = taken {
        return Ok(effect.into());
    }
    reply.null_array();
    Ok(Attempt::Nothing(Wait::data(Kind::SortedSet, keys, timeout_ms)))
}

/// Writes members with their scores, each as an array of its own if `nested`.
fn write_pairs(reply: &mut Reply<'_>, members: Iter<'_>, reverse: bool, nested: bool) {
    let mut write = |(member, score): (Item<'_>, f64)| {
        if nested {
            reply.array(2);
        }
        write_member(reply, member);
        reply.double(score);
    };
    if reverse {
        members.rev().for_each(&mut write);
    } else {
        members.for_each(&mut write);
    }
}
