//! Removing the oldest entries.

use super::{clamped, id, limit};
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Reply, Row, Run,
};
use kevy_data::stream::{Entries, IdBuffer, StreamId, TrimHow, TrimTo};
use kevy_data::{Change, Limits, Stream};
use kevy_keyspace::Keyspace;

/// What `XADD` and `XTRIM` say of trimming.
#[derive(Clone, Copy)]
pub(super) struct Trimming {
    to: TrimTo,
    how: TrimHow,
}

/// The options of trimming as they are read.
#[derive(Default)]
pub(super) struct TrimOptions {
    to: Option<TrimTo>,
    nodes: bool,
    limit: Option<i64>,
}

impl TrimOptions {
    /// Reads the next option if it is about trimming.
    pub(super) fn read(&mut self, args: &mut Args<'_>) -> Result<bool, Error> {
        if args.remaining() < 2 {
            return Ok(false);
        }
        if args.option("MAXLEN") {
            self.strategy(args, |args| match args.int()? {
                length @ 0.. => Ok(TrimTo::Length(length.unsigned_abs())),
                _ => Err(Error::new("ERR The MAXLEN argument must be >= 0.")),
            })?;
        } else if args.option("MINID") {
            self.strategy(args, |args| id(args.bytes()?).map(TrimTo::Id))?;
        } else if args.option("LIMIT") {
            let limit = args.int()?;
            if limit < 0 {
                return Err(Error::new("ERR The LIMIT argument must be >= 0."));
            }
            self.limit = Some(limit);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn strategy(
        &mut self,
        args: &mut Args<'_>,
        threshold: impl FnOnce(&mut Args<'_>) -> Result<TrimTo, Error>,
    ) -> Result<(), Error> {
        if self.to.is_some() {
            return Err(Error::new(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        // The last argument is the threshold, whatever it looks like.
        self.nodes = args.remaining() > 1 && args.option("~");
        if !self.nodes && args.remaining() > 1 {
            args.option("=");
        }
        self.to = Some(threshold(args)?);
        Ok(())
    }

    /// What all options come to; `optional` if there need not be any.
    pub(super) fn close(self, optional: bool, limits: &Limits) -> Result<Option<Trimming>, Error> {
        let Some(to) = self.to else {
            return match self.limit {
                Some(limit) if limit > 0 => Err(Error::new(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
                _ if !optional => Err(Error::new(
                    "ERR syntax error, XTRIM must be called with a trimming strategy",
                )),
                Some(_) => Err(WITHOUT_TILDE),
                None => Ok(None),
            };
        };
        let how = match (self.nodes, self.limit) {
            (false, None) => TrimHow::Exact,
            (false, Some(_)) => return Err(WITHOUT_TILDE),
            (true, Some(given)) => TrimHow::Nodes(limit(given) as u64),
            (true, None) => TrimHow::Nodes(default_limit(limits)),
        };
        Ok(Some(Trimming { to, how }))
    }
}

const WITHOUT_TILDE: Error =
    Error::new("ERR syntax error, LIMIT cannot be used without the special ~ option");

/// How many entries go at most where the client sets no limit: 100 nodes.
fn default_limit(limits: &Limits) -> u64 {
    match 100_u64.saturating_mul(limits.stream_node_max_entries as u64) {
        0 => 10_000,
        entries => entries.min(1_000_000),
    }
}

impl Trimming {
    /// Trims; how many entries went.
    pub(super) fn apply(&self, entries: &mut Entries) -> u64 {
        entries.trim(self.to, self.how)
    }

    /// Whether it depends on how entries are kept what goes.
    pub(super) fn is_by_nodes(&self) -> bool {
        self.how != TrimHow::Exact
    }

    /// The threshold that says exactly what is left of `entries` after trimming.
    pub(super) fn outcome(&self, entries: &Entries) -> Outcome {
        match self.to {
            TrimTo::Length(_) => Outcome::Length(entries.len()),
            TrimTo::Id(_) if entries.is_empty() => Outcome::Id(StreamId::MAX),
            TrimTo::Id(_) => Outcome::Id(entries.first_id()),
        }
    }
}

/// What is left after trimming.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Length(u64),
    Id(StreamId),
}

impl Outcome {
    /// Keyword and threshold of an exact trimming with this outcome.
    pub(super) fn words(self, buffer: &mut IdBuffer) -> [Vec<u8>; 3] {
        let (keyword, threshold) = match self {
            Outcome::Length(len) => ("MAXLEN", len.to_string().into_bytes()),
            Outcome::Id(id) => ("MINID", id.text(buffer).to_vec()),
        };
        [keyword.into(), b"=".to_vec(), threshold]
    }
}

pub(super) const XTRIM: Row = Row {
    name: "xtrim",
    arity: -4,
    flags: Flags::WRITE,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Removes the oldest entries of a stream, down to a length or up to an id.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(N) where N is the number of entries removed, little for each as whole nodes go",
        syntax: "key <<MAXLEN | MINID> [=] threshold | <MAXLEN | MINID> ~ threshold [LIMIT count]>",
    },
    run: Run::Keys(xtrim),
};
fn xtrim(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let mut options = TrimOptions::default();
    while !args.at_end() {
        if !options.read(&mut args)? {
            return Err(Error::SYNTAX);
        }
    }
    let Some(trimming) = options.close(false, ks.limits())? else { return Err(Error::SYNTAX) };
    let updated = ks.update_existing::<Stream, _>(&key, |stream| {
        let removed = trimming.apply(stream.entries_mut());
        Change::when(removed > 0, (removed, trimming.outcome(stream.entries())))
    })?;
    let (removed, outcome) = updated.map_or((0, None), |updated| {
        let (removed, outcome) = updated.result;
        (removed, Some(outcome))
    });
    reply.integer(removed as i64);
    let effect = match outcome {
        Some(outcome) if removed > 0 && trimming.is_by_nodes() => {
            let [keyword, sign, threshold] = outcome.words(&mut IdBuffer::new());
            let mut frames = CommandList::new();
            let pushed = frames.push([b"XTRIM", key.bytes, &keyword, &sign, &threshold]);
            debug_assert!(pushed, "a short command fits");
            Effect::frames(clamped(removed), frames)
        }
        _ => Effect::as_given(clamped(removed)),
    };
    Ok(match removed {
        0 => effect,
        _ => effect.event(EventClass::Stream, "xtrim", 1),
    })
}
