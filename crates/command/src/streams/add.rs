//! Adding entries.

use super::trim::{Outcome, TrimOptions, Trimming};
use super::{INVALID_ID, id, write_id};
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::stream::{Entries, IdBuffer, NodeLimits, StreamId};
use kevy_data::{Change, Stream};
use kevy_keyspace::{Key, Keyspace};

/// The names and values of one entry may have so many bytes together.
const ENTRY_MAX: usize = 1 << 30;

pub(super) const XADD: Row = Row {
    name: "xadd",
    arity: -5,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Adds an entry to a stream, and may remove the oldest ones.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1) for adding, O(N) for removing N entries",
        syntax: "key [NOMKSTREAM] [<MAXLEN | MINID> [=] threshold | <MAXLEN | MINID> ~ threshold [LIMIT count]] <* | id> field value [field value ...]",
    },
    run: Run::Keys(xadd),
};
fn xadd(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let call = Call::read(ks, args)?;
    let (now_ms, limits) = (ks.now_ms(), ks.limits());
    let limits =
        NodeLimits { bytes: limits.stream_node_max_bytes, entries: limits.stream_node_max_entries };
    let change = |stream: &mut Stream| match call.add(stream.entries_mut(), now_ms, limits) {
        Ok(added) => Change::Changed(Ok(added)),
        Err(error) => Change::Unchanged(Err(error)),
    };
    let added = if call.only_existing {
        let Some(updated) = ks.update_existing(&key, change)? else {
            reply.null();
            return Ok(Effect::none());
        };
        updated.result?
    } else {
        ks.update(&key, change)?.result?
    };
    write_id(reply, added.id);
    Ok(call.effect(&key, &added))
}

/// Which id a new entry is to have.
#[derive(Clone, Copy)]
enum NewId {
    /// Of the present time, behind all others.
    Auto,
    /// Of these milliseconds, behind all others.
    AutoSequence(u64),
    /// This one.
    Given(StreamId),
}

struct Call<'a> {
    args: Args<'a>,
    only_existing: bool,
    trimming: Option<Trimming>,
    id: NewId,
    /// The argument that is the id; fields are behind it.
    id_at: usize,
}

struct Added {
    id: StreamId,
    trimmed: u64,
    outcome: Option<Outcome>,
}

impl<'a> Call<'a> {
    fn read(ks: &Keyspace<'_>, mut args: Args<'a>) -> Result<Self, Error> {
        let (mut only_existing, mut trimming) = (false, TrimOptions::default());
        let mut found = None;
        while let Some(next) = args.peek() {
            if next == b"*" {
                found = Some(NewId::Auto);
                break;
            } else if args.option("NOMKSTREAM") {
                only_existing = true;
            } else if !trimming.read(&mut args)? {
                found = Some(new_id(next)?);
                break;
            }
        }
        let id_at = args.position();
        let trimming = trimming.close(true, ks.limits())?;
        let texts = args.len().saturating_sub(id_at + 1);
        let Some(id) = found.filter(|_| texts >= 2 && texts.is_multiple_of(2)) else {
            return Err(Error::arity("xadd"));
        };
        if matches!(id, NewId::Given(StreamId::MIN)) {
            return Err(Error::new("ERR The ID specified in XADD must be greater than 0-0"));
        }
        Ok(Self { args, only_existing, trimming, id, id_at })
    }

    /// Names and values in turn.
    fn fields(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let args = self.args;
        (self.id_at + 1..args.len()).map(move |at| args.get(at).unwrap_or_default())
    }

    fn add(&self, entries: &mut Entries, now_ms: i64, limits: NodeLimits) -> Result<Added, Error> {
        let id = self.resolve(entries.last_id(), now_ms)?;
        if self.fields().map(<[u8]>::len).sum::<usize>() > ENTRY_MAX
            || !entries.append(id, self.fields(), limits)
        {
            return Err(Error::new("ERR Elements are too large to be stored"));
        }
        let trimmed = self.trimming.map_or(0, |trimming| trimming.apply(entries));
        let by_nodes = self.trimming.filter(Trimming::is_by_nodes);
        Ok(Added { id, trimmed, outcome: by_nodes.map(|trimming| trimming.outcome(entries)) })
    }

    /// The id, which must be greater than the last one.
    fn resolve(&self, last: StreamId, now_ms: i64) -> Result<StreamId, Error> {
        if last == StreamId::MAX {
            return Err(Error::new(
                "ERR The stream has exhausted the last possible ID, unable to add more items",
            ));
        }
        let id = match self.id {
            NewId::Given(id) => Some(id),
            NewId::Auto => match now_ms.max(0).unsigned_abs() {
                ms if ms > last.ms => Some(StreamId::new(ms, 0)),
                _ => last.next(),
            },
            // No later millisecond takes the place of one that is full.
            NewId::AutoSequence(ms) if ms == last.ms => last.next().filter(|next| next.ms == ms),
            NewId::AutoSequence(ms) => Some(StreamId::new(ms, 0)),
        };
        id.filter(|&id| id > last).ok_or(Error::new(
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ))
    }

    fn effect(&self, key: &Key<'_>, added: &Added) -> Effect {
        let logged = match (added.outcome, self.id) {
            (Some(outcome), _) => Logged::Frames(Box::new(self.exact(key, added.id, outcome))),
            (None, NewId::Given(_)) => Logged::AsGiven,
            (None, _) => Logged::StreamId { arg: self.id_at as u32, id: added.id },
        };
        let effect = Effect::logged(logged, EventClass::Stream, "xadd");
        match added.trimmed {
            0 => effect,
            _ => effect.event(EventClass::Stream, "xtrim", 1),
        }
    }

    /// The call with the id that was given and the trimming that took place.
    fn exact(&self, key: &Key<'_>, id: StreamId, outcome: Outcome) -> CommandList {
        let mut frames = CommandList::new();
        let (mut buffer, mut id_buffer) = (IdBuffer::new(), IdBuffer::new());
        let words = outcome.words(&mut buffer);
        let head = [&b"XADD"[..], key.bytes].into_iter();
        let call = head
            .chain(words.iter().map(Vec::as_slice))
            .chain([id.text(&mut id_buffer)])
            .chain(self.fields());
        let pushed = frames.push(call);
        debug_assert!(pushed, "it is hardly longer than the call");
        frames
    }
}

fn new_id(text: &[u8]) -> Result<NewId, Error> {
    match StreamId::parse_auto_sequence(text) {
        Some(ms) => Ok(NewId::AutoSequence(ms)),
        None => StreamId::parse(text, 0).map(NewId::Given).ok_or(INVALID_ID),
    }
}

pub(super) const XSETID: Row = Row {
    name: "xsetid",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets the last id of a stream, as replication and recovery do.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    },
    run: Run::Keys(xsetid),
};
fn xsetid(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let last_id = id(args.bytes()?)?;
    let (mut added, mut max_deleted_id) = (None, None);
    while !args.at_end() {
        if args.remaining() > 1 && args.option("ENTRIESADDED") {
            let count = u64::try_from(args.int()?);
            added = Some(count.map_err(|_| Error::new("ERR entries_added must be positive"))?);
        } else if args.remaining() > 1 && args.option("MAXDELETEDID") {
            let max = id(args.bytes()?)?;
            if last_id < max {
                return Err(Error::new(
                    "ERR The ID specified in XSETID is smaller than the provided \
                     max_deleted_entry_id",
                ));
            }
            max_deleted_id = Some(max).filter(|&max| max != StreamId::MIN);
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let set = |stream: &mut Stream| match check(stream.entries(), last_id, added) {
        Err(error) => Change::Unchanged(Err(error)),
        Ok(()) => {
            stream.entries_mut().set_last_id(last_id, added, max_deleted_id);
            Change::Changed(Ok(()))
        }
    };
    ks.update_existing(&key, set)?.ok_or(Error::NO_KEY)?.result?;
    reply.ok();
    Ok(Effect::one(EventClass::Stream, "xsetid"))
}

/// Ids must go on growing, and counts make sense.
fn check(entries: &Entries, last_id: StreamId, added: Option<u64>) -> Result<(), Error> {
    if last_id < entries.max_deleted_id() {
        return Err(Error::new(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if entries.is_empty() {
        return Ok(());
    }
    if last_id < entries.top_id() {
        return Err(Error::new(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if added.is_some_and(|added| added < entries.len()) {
        return Err(Error::new(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    Ok(())
}
