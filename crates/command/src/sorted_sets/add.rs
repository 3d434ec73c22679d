//! Adding members and changing their scores.

use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::sorted_set::SortedSet;
use kevy_data::{Change, Limits};
use kevy_keyspace::{Key, Keyspace};
use smallvec::SmallVec;

pub(super) const ZADD: Row = Row {
    name: "zadd",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Adds members with scores to a sorted set, or changes their scores, on conditions.",
        since: "1.2.0",
        group: Group::SortedSet,
        complexity: "O(log(N)) for each member added, where N is the number of members",
        syntax: "key [NX | XX] [GT | LT] [CH] [INCR] score:double member [score:double member ...]",
    },
    run: Run::Keys(zadd),
};
fn zadd(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let options = Options::read(&mut args);
    if args.at_end() || !args.remaining().is_multiple_of(2) {
        return Err(Error::SYNTAX);
    }
    options.check()?;
    if options.incr && args.remaining() > 2 {
        return Err(Error::new("ERR INCR option supports a single increment-element pair"));
    }
    add(ks, &key, options, args, reply)
}

pub(super) const ZINCRBY: Row = Row {
    name: "zincrby",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::SORTEDSET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Adds a number to the score of a member; that of an absent one counts as 0.",
        since: "1.2.0",
        group: Group::SortedSet,
        complexity: "O(log(N)) where N is the number of members",
        syntax: "key increment:double member",
    },
    run: Run::Keys(zincrby),
};
fn zincrby(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    add(ks, &key, Options { incr: true, ..Options::default() }, args, reply)
}

/// What `ZADD` is told to do.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    /// Only new members.
    pub(crate) nx: bool,
    /// Only members that are there.
    pub(crate) xx: bool,
    /// Only to a greater score.
    gt: bool,
    /// Only to a lower score.
    lt: bool,
    /// The answer counts changed members too.
    pub(crate) ch: bool,
    /// The score is added to the present one.
    incr: bool,
}

impl Options {
    fn read(args: &mut Args<'_>) -> Self {
        let mut options = Self::default();
        loop {
            let set = if args.option("NX") {
                &mut options.nx
            } else if args.option("XX") {
                &mut options.xx
            } else if args.option("CH") {
                &mut options.ch
            } else if args.option("INCR") {
                &mut options.incr
            } else if args.option("GT") {
                &mut options.gt
            } else if args.option("LT") {
                &mut options.lt
            } else {
                return options;
            };
            *set = true;
        }
    }

    fn check(self) -> Result<(), Error> {
        if self.nx && self.xx {
            return Err(Error::new("ERR XX and NX options at the same time are not compatible"));
        }
        let compared = self.gt || self.lt;
        if (compared && self.nx) || (self.gt && self.lt) {
            let text = "ERR GT, LT, and/or NX options at the same time are not compatible";
            return Err(Error::new(text));
        }
        Ok(())
    }

    /// The score that a member is to have, which has `old` and was given `score`; none: it is left
    /// as it is.
    fn decide(self, old: Option<f64>, score: f64) -> Result<Option<f64>, Error> {
        let Some(old) = old else { return Ok((!self.xx).then_some(score)) };
        if self.nx {
            return Ok(None);
        }
        let new = if self.incr { old + score } else { score };
        if new.is_nan() {
            return Err(Error::new("ERR resulting score is not a number (NaN)"));
        }
        let refused = (self.lt && new >= old) || (self.gt && new <= old);
        Ok((!refused).then_some(new))
    }
}

/// What has become of the members.
#[derive(Default)]
struct Outcome {
    added: u32,
    updated: u32,
    /// The score of the last one that was not left alone.
    score: Option<f64>,
}

impl Outcome {
    fn add(
        &mut self,
        set: &mut SortedSet,
        member: &[u8],
        score: f64,
        options: Options,
        limits: &Limits,
    ) -> Result<(), Error> {
        let mut wrong = None;
        let scored = set.update(member, limits, |old| {
            options.decide(old, score).unwrap_or_else(|error| {
                wrong = Some(error);
                None
            })
        });
        if let Some(error) = wrong {
            return Err(error);
        }
        match (scored.old, scored.new) {
            (None, Some(_)) => self.added += 1,
            (Some(old), Some(new)) if old != new => self.updated += 1,
            _ => {}
        }
        self.score = scored.new;
        Ok(())
    }
}

/// Scores and their members.
pub(crate) type Pairs<'a> = SmallVec<[(f64, &'a [u8]); 4]>;

/// Adds all pairs of score and member that are left in `args`.
fn add(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    options: Options,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let mut pairs = Pairs::new();
    while !args.at_end() {
        pairs.push((args.float()?, args.bytes()?));
    }
    add_pairs(ks, key, options, pairs, reply)
}

/// Adds members to the key of argument 1.
pub(crate) fn add_pairs(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    options: Options,
    pairs: Pairs<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let limits = ks.limits();
    let updated = ks.update::<SortedSet, _>(key, |set| {
        let mut outcome = Outcome::default();
        for (score, member) in pairs {
            // Only the sum of two infinities fails, and a sum comes alone.
            if let Err(error) = outcome.add(set, member, score, options, limits) {
                return Change::Unchanged(Err(error));
            }
        }
        Change::when(outcome.added + outcome.updated > 0, Ok(outcome))
    })?;
    let Outcome { added, updated, score } = updated.result?;
    match (options.incr, score) {
        (true, Some(score)) => reply.double(score),
        (true, None) => reply.null(),
        (false, _) => reply.integer((added + if options.ch { updated } else { 0 }).into()),
    }
    let changes = added + updated;
    if changes == 0 {
        return Ok(Effect::none());
    }
    let event = if options.incr { "zincr" } else { "zadd" };
    Ok(Effect::as_given(changes).event(EventClass::SortedSet, event, 1))
}
