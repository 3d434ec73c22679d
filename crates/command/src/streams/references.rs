//! Deleting entries with regard to the groups that still need them.

use super::{clamped, id};
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::stream::{Groups, IdBuffer, StreamId};
use kevy_data::{Change, Stream};
use kevy_keyspace::{Key, Keyspace};

pub(super) const XDELEX: Row = Row {
    name: "xdelex",
    arity: -5,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Deletes entries of a stream, with what is pending or unless something is.",
        since: "8.2.0",
        group: Group::Stream,
        complexity: "O(G) for each entry where G is the number of groups",
        syntax: "key [KEEPREF | DELREF | ACKED] IDS numids:integer id [id ...]",
    },
    run: Run::Keys(xdelex),
};
fn xdelex(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let call = Call::read(&mut args)?;
    run(ks, &key, &call, reply, |stream, id, log| {
        if call.references == References::Drop {
            log.forget(stream.groups_mut(), id);
        }
        if !stream.entries().contains(id) {
            return NOT_FOUND;
        }
        if call.references == References::Respect && is_needed(stream.groups(), id) {
            return KEPT;
        }
        log.delete(stream, id);
        DELETED
    })
}

pub(super) const XACKDEL: Row = Row {
    name: "xackdel",
    arity: -6,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE).union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Acknowledges entries and deletes them, with what is pending or unless something is.",
        since: "8.2.0",
        group: Group::Stream,
        complexity: "O(G) for each entry where G is the number of groups",
        syntax: "key group [KEEPREF | DELREF | ACKED] IDS numids:integer id [id ...]",
    },
    run: Run::Keys(xackdel),
};
fn xackdel(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, group) = (args.key()?, args.bytes()?);
    let call = Call::read(&mut args)?;
    run(ks, &key, &call, reply, |stream, id, log| {
        if !log.acknowledge(stream.groups_mut(), group, id) {
            return NOT_FOUND;
        }
        match call.references {
            References::Drop => log.forget(stream.groups_mut(), id),
            References::Respect if is_needed(stream.groups(), id) => return KEPT,
            References::Respect | References::Keep => {}
        }
        log.delete(stream, id);
        DELETED
    })
}

/// What has become of an entry, as the reply says it.
const NOT_FOUND: i64 = -1;
const DELETED: i64 = 1;
const KEPT: i64 = 2;

/// What is to become of what is pending of an entry that is deleted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum References {
    /// It stays pending.
    Keep,
    /// It is pending no more, in no group.
    Drop,
    /// An entry that is pending, or that a group has yet to read, is not deleted.
    Respect,
}

/// Whether a group has the entry pending or has yet to read it. Without groups nobody has read
/// it.
fn is_needed(groups: &Groups, id: StreamId) -> bool {
    let needs =
        |group: &kevy_data::stream::Group| group.last_id < id || group.pending(id).is_some();
    groups.is_empty() || groups.iter().any(|(_, group)| needs(group))
}

struct Call {
    references: References,
    ids: Vec<StreamId>,
}

impl Call {
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let (mut references, mut ids) = (None, None);
        while !args.at_end() {
            let chosen = [
                ("KEEPREF", References::Keep),
                ("DELREF", References::Drop),
                ("ACKED", References::Respect),
            ]
            .into_iter()
            .find(|(word, _)| args.option(word));
            match chosen {
                Some((_, chosen)) if references.is_none() => references = Some(chosen),
                None if ids.is_none() && args.option("IDS") => ids = Some(read_ids(args)?),
                _ => return Err(Error::SYNTAX),
            }
        }
        let ids = ids.ok_or(Error::SYNTAX)?;
        Ok(Self { references: references.unwrap_or(References::Keep), ids })
    }
}

fn read_ids(args: &mut Args<'_>) -> Result<Vec<StreamId>, Error> {
    let count = args.int().ok().and_then(|count| usize::try_from(count).ok());
    let count = count
        .filter(|&count| count > 0)
        .ok_or(Error::new("ERR Number of IDs must be a positive integer"))?;
    if count > args.remaining() {
        return Err(Error::new("ERR The `numids` parameter must match the number of arguments"));
    }
    (0..count).map(|_| id(args.bytes()?)).collect()
}

/// Does `each` to all entries of the call, and replies what has become of them.
fn run(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    call: &Call,
    reply: &mut Reply<'_>,
    mut each: impl FnMut(&mut Stream, StreamId, &mut Log<'_>) -> i64,
) -> Result<Effect, Error> {
    let mut frames = CommandList::new();
    let updated = ks.update_existing::<Stream, _>(key, |stream| {
        let mut log = Log { key: key.bytes, frames: &mut frames, changes: 0 };
        let outcomes: Vec<i64> = call.ids.iter().map(|&id| each(stream, id, &mut log)).collect();
        Change::when(log.changes > 0, (outcomes, log.changes))
    })?;
    let (outcomes, changes) = match updated {
        Some(updated) => updated.result,
        None => (vec![NOT_FOUND; call.ids.len()], 0),
    };
    reply.array(outcomes.len());
    outcomes.iter().for_each(|&outcome| reply.integer(outcome));
    if changes == 0 {
        return Ok(Effect::none());
    }
    let logged = Logged::Frames(Box::new(frames));
    let effect = Effect { changes: clamped(changes), logged, ..Effect::none() };
    Ok(match outcomes.contains(&DELETED) {
        true => effect.event(EventClass::Stream, "xdel", 1),
        false => effect,
    })
}

/// What was changed, as commands that any server of the family knows.
struct Log<'a> {
    key: &'a [u8],
    frames: &'a mut CommandList,
    changes: u64,
}

impl Log<'_> {
    fn push(&mut self, command: &[u8], group: Option<&[u8]>, id: StreamId) {
        let mut buffer = IdBuffer::new();
        let head = [command, self.key].into_iter().chain(group);
        // Three frames for a short argument: what fits in a call fits in the list.
        let pushed = self.frames.push(head.chain([id.text(&mut buffer)]));
        debug_assert!(pushed, "a list has room for what a call may say");
        self.changes += 1;
    }

    /// Deletes an entry.
    fn delete(&mut self, stream: &mut Stream, id: StreamId) {
        if stream.entries_mut().delete(id) {
            self.push(b"XDEL", None, id);
        }
    }

    /// Ends that an entry is pending in a group; whether it was.
    fn acknowledge(&mut self, groups: &mut Groups, group: &[u8], id: StreamId) -> bool {
        let Some(mut of) = groups.get_mut(group) else { return false };
        let acknowledged = of.remove_pending(id).is_some();
        if acknowledged {
            self.push(b"XACK", Some(group), id);
        }
        acknowledged
    }

    /// Ends that an entry is pending in any group.
    fn forget(&mut self, groups: &mut Groups, id: StreamId) {
        let having = groups.iter().filter(|(_, group)| group.pending(id).is_some());
        for (name, _) in having {
            self.push(b"XACK", Some(name), id);
        }
        groups.remove_pending(id);
    }
}
