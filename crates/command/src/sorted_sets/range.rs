//! Parts of a sorted set, in order.

use super::interval::{By, Interval, limited};
use super::{store, write_range};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::sorted_set::{SortedSet, SortedSetRef};
use kevy_keyspace::Keyspace;
use std::ops::Range;

pub(super) const ZRANGE: Row = Row {
    name: "zrange",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members from one end of a range to the other: of ranks, scores, or bytes.",
        since: "1.2.0",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those returned",
        syntax: "key start:integer stop:integer [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
    },
    run: Run::Keys(zrange),
};
fn zrange(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, options) = (args.key()?, Options::default());
    let (selection, with_scores) = Selection::read(&mut args, options)?;
    match ks.read::<SortedSet>(&key)? {
        Some(set) => selection.write(set, with_scores, reply),
        None => reply.array(0),
    }
    Ok(Effect::none())
}

pub(super) const ZRANGESTORE: Row = Row {
    name: "zrangestore",
    arity: -5,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::SORTEDSET,
    keys: &[
        KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE)),
        KeySpec::one(2, KeyFlags::RO.union(KeyFlags::ACCESS)),
    ],
    tips: &[],
    doc: Doc {
        summary: "Keeps a range of a sorted set under another key, whatever that held.",
        since: "6.2.0",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those kept",
        syntax: "destination source min:integer max:integer [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
    },
    run: Run::Keys(zrangestore),
};
fn zrangestore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (destination, source) = (args.key()?, args.key()?);
    let options = Options { store: true, ..Options::default() };
    let (selection, _) = Selection::read(&mut args, options)?;
    let limits = ks.limits();
    let found = ks.read::<SortedSet>(&source)?;
    let value = found.map_or_else(SortedSet::default, |set| {
        SortedSet::from_ordered(set.range(selection.ranks(set)), limits)
    });
    Ok(store(ks, (1, &destination), value, "zrangestore", reply))
}

pub(super) const ZREVRANGE: Row = Row {
    name: "zrevrange",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members from one rank to another, in descending order.",
        since: "1.2.0",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those returned",
        syntax: "key start:integer stop:integer [WITHSCORES]",
    },
    run: Run::Keys(zrevrange),
};
fn zrevrange(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    range(ks, args, By::Rank, true, reply)
}

pub(super) const ZRANGEBYSCORE: Row = Row {
    name: "zrangebyscore",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members with scores in an interval.",
        since: "1.0.5",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those returned",
        syntax: "key min:double max:double [WITHSCORES] [LIMIT offset count]",
    },
    run: Run::Keys(zrangebyscore),
};
fn zrangebyscore(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    range(ks, args, By::Score, false, reply)
}

pub(super) const ZREVRANGEBYSCORE: Row = Row {
    name: "zrevrangebyscore",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members with scores in an interval, in descending order.",
        since: "2.2.0",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those returned",
        syntax: "key max:double min:double [WITHSCORES] [LIMIT offset count]",
    },
    run: Run::Keys(zrevrangebyscore),
};
fn zrevrangebyscore(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    range(ks, args, By::Score, true, reply)
}

pub(super) const ZRANGEBYLEX: Row = Row {
    name: "zrangebylex",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members in an interval, where all scores are alike.",
        since: "2.8.9",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those returned",
        syntax: "key min max [LIMIT offset count]",
    },
    run: Run::Keys(zrangebylex),
};
fn zrangebylex(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    range(ks, args, By::Lex, false, reply)
}

pub(super) const ZREVRANGEBYLEX: Row = Row {
    name: "zrevrangebylex",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the members in an interval, where all scores are alike, in descending order.",
        since: "2.8.9",
        group: Group::SortedSet,
        complexity: "O(log(N)+M) where N is the number of members and M that of those returned",
        syntax: "key max min [LIMIT offset count]",
    },
    run: Run::Keys(zrevrangebylex),
};
fn zrevrangebylex(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    range(ks, args, By::Lex, true, reply)
}

/// A command whose name says what its range is of, and its direction.
fn range(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    by: By,
    reverse: bool,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let options = Options { by: Some(by), reverse: Some(reverse), ..Options::default() };
    let (selection, with_scores) = Selection::read(&mut args, options)?;
    match ks.read::<SortedSet>(&key)? {
        Some(set) => selection.write(set, with_scores, reply),
        None => reply.array(0),
    }
    Ok(Effect::none())
}

/// What stands behind the two ends of a range. What the command's name says is not an option.
#[derive(Default)]
struct Options {
    by: Option<By>,
    reverse: Option<bool>,
    /// Offset and count.
    limit: Option<(i64, i64)>,
    with_scores: bool,
    /// The range is kept, so that its scores are not to be asked for.
    store: bool,
}

impl Options {
    fn read(mut self, args: &mut Args<'_>) -> Result<Self, Error> {
        let named = (self.by, self.reverse);
        while !args.at_end() {
            if !self.store && args.option("WITHSCORES") {
                self.with_scores = true;
            } else if args.remaining() > 2 && args.option("LIMIT") {
                self.limit = Some((args.int()?, args.int()?));
            } else if named.1.is_none() && self.reverse.is_none() && args.option("REV") {
                self.reverse = Some(true);
            } else if named.0.is_none() && self.by.is_none() && args.option("BYLEX") {
                self.by = Some(By::Lex);
            } else if named.0.is_none() && self.by.is_none() && args.option("BYSCORE") {
                self.by = Some(By::Score);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(self)
    }

    fn check(&self) -> Result<(), Error> {
        let limited = self.limit.is_some_and(|(_, count)| count != -1);
        if limited && self.by.is_none_or(|by| by == By::Rank) {
            return Err(Error::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if self.with_scores && self.by == Some(By::Lex) {
            return Err(Error::new(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        Ok(())
    }
}

/// Which members a command wants, and in which direction.
struct Selection<'a> {
    interval: Interval<'a>,
    reverse: bool,
    /// Offset and count.
    limit: (i64, i64),
}

impl<'a> Selection<'a> {
    /// The two ends of a range and the options behind; and whether scores are wanted too.
    fn read(args: &mut Args<'a>, options: Options) -> Result<(Self, bool), Error> {
        let mut behind = *args;
        behind.seek(args.position() + 2);
        let options = options.read(&mut behind)?;
        options.check()?;
        let reverse = options.reverse.unwrap_or(false);
        let interval = Interval::read(args, options.by.unwrap_or(By::Rank), reverse)?;
        let limit = options.limit.unwrap_or((0, -1));
        Ok((Selection { interval, reverse, limit }, options.with_scores))
    }

    fn ranks(&self, set: SortedSetRef<'_>) -> Range<usize> {
        let ranks = self.interval.ranks(set, self.reverse);
        match self.interval {
            // No limit was allowed but one that is none.
            Interval::Ranks(..) => ranks,
            _ => limited(ranks, self.limit.0, self.limit.1, self.reverse),
        }
    }

    fn write(&self, set: SortedSetRef<'_>, with_scores: bool, reply: &mut Reply<'_>) {
        let members = set.range(self.ranks(set));
        write_range(reply, members, self.reverse, with_scores);
    }
}
