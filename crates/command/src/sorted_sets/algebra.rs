//! Unions, intersections and differences of sorted sets. Sets may stand in for them: the score of
//! each of their members is 1.

use super::{store, write_members};
use crate::row::{Begin, Find};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::sorted_set::{SortedSet, SortedSetBuilder, SortedSetRef};
use kevy_data::{Collection, IntBuffer, Item, Kind, Limits, Set, SetRef};
use kevy_keyspace::{Key, Keyspace, Record};

pub(super) const ZUNION: Row = Row {
    name: "zunion",
    arity: -3,
    flags: Flags::READONLY.union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec {
        flags: KeyFlags::RO.union(KeyFlags::ACCESS),
        begin: Begin::Index(1),
        find: Find::KeyNum { index: 0, first: 1, step: 1 },
        variant: None,
    }],
    tips: &[],
    doc: Doc {
        summary: "Returns the members of all sorted sets.",
        since: "6.2.0",
        group: Group::SortedSet,
        complexity: "O(N)+O(M*log(M)) where N is the number of members of all sorted sets and M that of the outcome",
        syntax: "numkeys:integer key [key ...] [WEIGHTS weight:double [weight:double ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    },
    run: Run::Keys(zunion),
};
fn zunion(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let request = Request::read(ks, &mut args, Operation::Union, Allowed::Scores, "zunion")?;
    write_members(reply, request.result(ks, &UNPACKED).as_ref().iter(), request.with_scores);
    Ok(Effect::none())
}

pub(super) const ZUNIONSTORE: Row = Row {
    name: "zunionstore",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[
        KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE)),
        KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(2),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            variant: None,
        },
    ],
    tips: &[],
    doc: Doc {
        summary: "Keeps the members of all sorted sets under a key, whatever that held.",
        since: "2.0.0",
        group: Group::SortedSet,
        complexity: "O(N)+O(M*log(M)) where N is the number of members of all sorted sets and M that of the outcome",
        syntax: "destination numkeys:integer key [key ...] [WEIGHTS weight:double [weight:double ...]] [AGGREGATE <SUM | MIN | MAX>]",
    },
    run: Run::Keys(zunionstore),
};
fn zunionstore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let destination = args.key()?;
    let request = Request::read(ks, &mut args, Operation::Union, Allowed::Neither, "zunionstore")?;
    let value = request.result(ks, ks.limits());
    Ok(store(ks, (1, &destination), value, "zunionstore", reply))
}

pub(super) const ZINTER: Row = Row {
    name: "zinter",
    arity: -3,
    flags: Flags::READONLY.union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec {
        flags: KeyFlags::RO.union(KeyFlags::ACCESS),
        begin: Begin::Index(1),
        find: Find::KeyNum { index: 0, first: 1, step: 1 },
        variant: None,
    }],
    tips: &[],
    doc: Doc {
        summary: "Returns the members that all sorted sets have.",
        since: "6.2.0",
        group: Group::SortedSet,
        complexity: "O(N*K)+O(M*log(M)) where N is the number of members of the smallest sorted set, K that of the keys and M that of the outcome",
        syntax: "numkeys:integer key [key ...] [WEIGHTS weight:double [weight:double ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    },
    run: Run::Keys(zinter),
};
fn zinter(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let request = Request::read(ks, &mut args, Operation::Inter, Allowed::Scores, "zinter")?;
    write_members(reply, request.result(ks, &UNPACKED).as_ref().iter(), request.with_scores);
    Ok(Effect::none())
}

pub(super) const ZINTERSTORE: Row = Row {
    name: "zinterstore",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[
        KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE)),
        KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(2),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            variant: None,
        },
    ],
    tips: &[],
    doc: Doc {
        summary: "Keeps the members that all sorted sets have under a key, whatever that held.",
        since: "2.0.0",
        group: Group::SortedSet,
        complexity: "O(N*K)+O(M*log(M)) where N is the number of members of the smallest sorted set, K that of the keys and M that of the outcome",
        syntax: "destination numkeys:integer key [key ...] [WEIGHTS weight:double [weight:double ...]] [AGGREGATE <SUM | MIN | MAX>]",
    },
    run: Run::Keys(zinterstore),
};
fn zinterstore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let destination = args.key()?;
    let request = Request::read(ks, &mut args, Operation::Inter, Allowed::Neither, "zinterstore")?;
    let value = request.result(ks, ks.limits());
    Ok(store(ks, (1, &destination), value, "zinterstore", reply))
}

pub(super) const ZINTERCARD: Row = Row {
    name: "zintercard",
    arity: -3,
    flags: Flags::READONLY.union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec {
        flags: KeyFlags::RO.union(KeyFlags::ACCESS),
        begin: Begin::Index(1),
        find: Find::KeyNum { index: 0, first: 1, step: 1 },
        variant: None,
    }],
    tips: &[],
    doc: Doc {
        summary: "Returns how many members all sorted sets have.",
        since: "7.0.0",
        group: Group::SortedSet,
        complexity: "O(N*K) where N is the number of members of the smallest sorted set and K that of the keys",
        syntax: "numkeys:integer key [key ...] [LIMIT limit:integer]",
    },
    run: Run::Keys(zintercard),
};
fn zintercard(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let request = Request::read(ks, &mut args, Operation::Inter, Allowed::Limit, "zintercard")?;
    let sources = request.sources(ks);
    let most = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    let mut count = 0;
    intersect(&sources, request.aggregate, |_, _| {
        count += 1;
        most.is_none_or(|most| count < most)
    });
    reply.integer(count as i64);
    Ok(Effect::none())
}

pub(super) const ZDIFF: Row = Row {
    name: "zdiff",
    arity: -3,
    flags: Flags::READONLY.union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec {
        flags: KeyFlags::RO.union(KeyFlags::ACCESS),
        begin: Begin::Index(1),
        find: Find::KeyNum { index: 0, first: 1, step: 1 },
        variant: None,
    }],
    tips: &[],
    doc: Doc {
        summary: "Returns the members of the first sorted set that no other has.",
        since: "6.2.0",
        group: Group::SortedSet,
        complexity: "O(L+(N-K)log(N)) worst case, where L is the number of members of all sorted sets, N that of the first and K that of the outcome",
        syntax: "numkeys:integer key [key ...] [WITHSCORES]",
    },
    run: Run::Keys(zdiff),
};
fn zdiff(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let request = Request::read(ks, &mut args, Operation::Diff, Allowed::Scores, "zdiff")?;
    write_members(reply, request.result(ks, &UNPACKED).as_ref().iter(), request.with_scores);
    Ok(Effect::none())
}

pub(super) const ZDIFFSTORE: Row = Row {
    name: "zdiffstore",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::MOVABLE_KEYS),
    categories: Categories::SORTEDSET,
    keys: &[
        KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE)),
        KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(2),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            variant: None,
        },
    ],
    tips: &[],
    doc: Doc {
        summary: "Keeps the members of the first sorted set that no other has under a key, whatever that held.",
        since: "6.2.0",
        group: Group::SortedSet,
        complexity: "O(L+(N-K)log(N)) worst case, where L is the number of members of all sorted sets, N that of the first and K that of the outcome",
        syntax: "destination numkeys:integer key [key ...]",
    },
    run: Run::Keys(zdiffstore),
};
fn zdiffstore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let destination = args.key()?;
    let request = Request::read(ks, &mut args, Operation::Diff, Allowed::Neither, "zdiffstore")?;
    let value = request.result(ks, ks.limits());
    Ok(store(ks, (1, &destination), value, "zdiffstore", reply))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

/// Which option a command has that others have not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// `WITHSCORES`.
    Scores,
    /// `LIMIT`.
    Limit,
    Neither,
}

/// How the scores that a member has in several sorted sets become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// Never NaN: what is undefined counts as 0.
    fn join(self, held: f64, other: f64) -> f64 {
        match self {
            Self::Sum => number(held + other),
            Self::Min if other < held => other,
            Self::Max if other > held => other,
            Self::Min | Self::Max => held,
        }
    }
}

/// The score, or 0 in place of what is no number, as the sum of two infinities may be.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What is asked for.
struct Request<'a> {
    operation: Operation,
    keys: Vec<Key<'a>>,
    /// One for each key.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// Most members to be counted; 0: all.
    limit: i64,
}

/// For outcomes that are answered and not stored: packing would turn a score of -0 into 0.
const UNPACKED: Limits = Limits { zset_max_listpack_entries: 0, ..Limits::DEFAULT };

impl<'a> Request<'a> {
    /// Reads the number of keys, the keys, and what stands behind. The types of the keys are
    /// looked at before the options.
    fn read(
        ks: &mut Keyspace<'_>,
        args: &mut Args<'a>,
        operation: Operation,
        allowed: Allowed,
        command: &str,
    ) -> Result<Self, Error> {
        let count = args.int()?;
        if count < 1 {
            let text = format!("ERR at least 1 input key is needed for '{command}' command");
            return Err(Error::owned(text));
        }
        let count = usize::try_from(count).ok().filter(|count| *count <= args.remaining());
        let count = count.ok_or(Error::SYNTAX)?;
        let keys = (0..count).map(|_| args.key()).collect::<Result<Vec<_>, _>>()?;
        for key in &keys {
            let kind = ks.get(key).map(Record::kind);
            if kind.is_some_and(|kind| !matches!(kind, Kind::SortedSet | Kind::Set)) {
                return Err(Error::WRONG_TYPE);
            }
        }
        let mut request = Request {
            operation,
            weights: vec![1.0; count],
            keys,
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: 0,
        };
        while !args.at_end() {
            request.option(args, allowed)?;
        }
        Ok(request)
    }

    fn option(&mut self, args: &mut Args<'_>, allowed: Allowed) -> Result<(), Error> {
        let scored = self.operation != Operation::Diff && allowed != Allowed::Limit;
        let left = args.remaining();
        if scored && left > self.keys.len() && args.option("WEIGHTS") {
            for weight in &mut self.weights {
                *weight =
                    args.float().map_err(|_| Error::new("ERR weight value is not a float"))?;
            }
        } else if scored && left > 1 && args.option("AGGREGATE") {
            self.aggregate = if args.option("SUM") {
                Aggregate::Sum
            } else if args.option("MIN") {
                Aggregate::Min
            } else if args.option("MAX") {
                Aggregate::Max
            } else {
                return Err(Error::SYNTAX);
            };
        } else if allowed == Allowed::Scores && args.option("WITHSCORES") {
            self.with_scores = true;
        } else if allowed == Allowed::Limit && left > 1 && args.option("LIMIT") {
            self.limit = args.int_from(0, Error::new("ERR LIMIT can't be negative"))?;
        } else {
            return Err(Error::SYNTAX);
        }
        Ok(())
    }

    /// The sorted sets, from the smallest to the largest unless their order matters: sums of
    /// floats depend on it.
    fn sources<'k>(&self, ks: &'k Keyspace<'_>) -> Vec<Source<'k>> {
        let source = |(key, weight): (&Key<'_>, &f64)| {
            let record = ks.at(key);
            let sorted = record.and_then(Record::collection::<SortedSet>).map(Members::Sorted);
            let plain = record.and_then(Record::collection::<Set>).map(Members::Plain);
            Source { members: sorted.or(plain).unwrap_or(Members::None), weight: *weight }
        };
        let mut sources: Vec<_> = self.keys.iter().zip(&self.weights).map(source).collect();
        if self.operation != Operation::Diff {
            sources.sort_by_key(|source| source.members.len());
        }
        sources
    }

    fn result(&self, ks: &Keyspace<'_>, limits: &Limits) -> SortedSet {
        let (sources, mut builder) = (self.sources(ks), SortedSetBuilder::new());
        match self.operation {
            Operation::Union => unite(&sources, self.aggregate, &mut builder),
            Operation::Inter => intersect(&sources, self.aggregate, |member, score| {
                builder.add(member, |_| score);
                true
            }),
            Operation::Diff => subtract(&sources, &mut builder),
        }
        builder.finish(limits)
    }
}

/// A sorted set or a set with its weight.
struct Source<'k> {
    members: Members<'k>,
    weight: f64,
}

#[derive(Clone, Copy)]
enum Members<'k> {
    Sorted(SortedSetRef<'k>),
    Plain(SetRef<'k>),
    None,
}

/// The score of a member of a set.
const PLAIN: f64 = 1.0;

impl<'k> Members<'k> {
    fn len(self) -> usize {
        match self {
            Self::Sorted(set) => set.len(),
            Self::Plain(set) => set.len(),
            Self::None => 0,
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Sorted(set) => set.score(member),
            Self::Plain(set) => set.contains(member).then_some(PLAIN),
            Self::None => None,
        }
    }

    fn iter(self) -> impl Iterator<Item = (Item<'k>, f64)> {
        let (sorted, plain) = match self {
            Self::Sorted(set) => (Some(set.iter()), None),
            Self::Plain(set) => (None, Some(set.iter().map(|member| (member, PLAIN)))),
            Self::None => (None, None),
        };
        sorted.into_iter().flatten().chain(plain.into_iter().flatten())
    }
}

impl Source<'_> {
    fn weighted(&self, score: f64) -> f64 {
        number(self.weight * score)
    }
}

fn unite(sources: &[Source<'_>], aggregate: Aggregate, builder: &mut SortedSetBuilder) {
    let mut buffer = IntBuffer::new();
    for source in sources {
        for (member, score) in source.members.iter() {
            let score = source.weighted(score);
            builder.add(member.text(&mut buffer), |held| {
                held.map_or(score, |held| aggregate.join(held, score))
            });
        }
    }
}

/// Calls `each` with every common member and its score, until it says `false`.
fn intersect(
    sources: &[Source<'_>],
    aggregate: Aggregate,
    mut each: impl FnMut(&[u8], f64) -> bool,
) {
    let Some((smallest, others)) = sources.split_first() else { return };
    let mut buffer = IntBuffer::new();
    for (member, score) in smallest.members.iter() {
        let member = member.text(&mut buffer);
        let joined = others.iter().try_fold(smallest.weighted(score), |held, source| {
            let other = source.weight * source.members.score(member)?;
            Some(aggregate.join(held, other))
        });
        if let Some(score) = joined
            && !each(member, score)
        {
            return;
        }
    }
}

/// The members of the first source that are in no other: asked for in all others one by one, or
/// taken out as they are met there, whatever looks at fewer members.
fn subtract(sources: &[Source<'_>], builder: &mut SortedSetBuilder) {
    let Some((first, others)) = sources.split_first() else { return };
    let mut buffer = IntBuffer::new();
    let all: usize = sources.iter().map(|source| source.members.len()).sum();
    // Asking ends at the first that has the member, half of the way on average.
    let ask = first.members.len().saturating_mul(sources.len()) / 2 <= all;
    for (member, score) in first.members.iter() {
        let member = member.text(&mut buffer);
        if !ask || others.iter().all(|other| other.members.score(member).is_none()) {
            builder.add(member, |_| score);
        }
    }
    if ask {
        return;
    }
    for (member, _) in others.iter().flat_map(|other| other.members.iter()) {
        if builder.is_empty() {
            return;
        }
        builder.remove(member.text(&mut buffer));
    }
}
