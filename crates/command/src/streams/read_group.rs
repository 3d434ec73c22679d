//! Reading as a consumer of a group.

use super::read::{Dialect, Options, Served, Streams};
use super::{GroupLog, id, no_group, streams_keys, write_entry, write_entry_parts, write_id};
use crate::{
    Args, Attempt, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, Logged,
    Reply, Row, Run, Wait,
};
use kevy_data::stream::{ConsumerId, Entries, Group as StreamGroup, Pending, StreamId};
use kevy_data::{Change, Stream};
use kevy_keyspace::{Key, Keyspace, Kind};

pub(super) const XREADGROUP: Row = Row {
    name: "xreadgroup",
    arity: -7,
    flags: Flags::BLOCKING.union(Flags::WRITE).union(Flags::MOVABLE_KEYS),
    categories: Categories::STREAM,
    keys: &[streams_keys(4)],
    tips: &[],
    doc: Doc {
        summary: "Returns new entries of several streams to a consumer of a group, or those pending for it; may wait for the first.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(M log N) where M is the number of entries returned and N of those pending",
        syntax: "GROUP group consumer [COUNT count] [BLOCK milliseconds] [CLAIM min-idle-time:integer] [NOACK] STREAMS key [key ...] id [id ...]",
    },
    run: Run::Blocking(xreadgroup),
};
fn xreadgroup(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    let options = Options::read(&mut args, ks.now_ms(), &GROUPED)?;
    let streams = Streams::read(&args, &options)?;
    let Some((group, consumer)) = options.group else {
        return Err(Error::new("ERR Missing GROUP option for XREADGROUP"));
    };
    let mut wanted = Vec::with_capacity(streams.keys.len());
    for at in streams.keys.clone() {
        let key = streams.key(at)?;
        let stream = ks.read::<Stream>(&key)?;
        if stream.is_none_or(|stream| stream.groups().get(group).is_none()) {
            return Err(no_such_group(&key, group));
        }
        wanted.push(wanted_of(streams.id_text(at))?);
    }
    let mut effect = Effect::none();
    let mut frames = CommandList::new();
    let mut served = Served::new(reply);
    for (at, &wanted) in streams.keys.clone().zip(&wanted) {
        let key = streams.key(at)?;
        let now_ms = ks.now_ms();
        let updated = ks.update_existing::<Stream, _>(&key, |stream| {
            let (entries, groups) = stream.parts_mut();
            let Some(mut of) = groups.get_mut(group) else { return Change::Unchanged(None) };
            let (id, created) = of.consumer_or_create(consumer, now_ms);
            of.saw(id, now_ms, false);
            let logged = frames.len();
            let log = GroupLog { key: key.bytes, group, frames: &mut frames };
            let mut reading = Reading {
                entries,
                group: &mut of,
                consumer: id,
                name: consumer,
                now_ms,
                left: options.limit,
                log,
                full: false,
                forgotten: 0,
            };
            if created {
                reading.full = !reading.log.create_consumer(consumer);
            }
            let found = reading.serve(wanted, &options, &key, &mut served, reply);
            let changes = u32::from(created) + u32::from(found) + reading.forgotten;
            Change::when(frames.len() > logged, Some((created, changes)))
        })?;
        let Some((created, changes)) = updated.and_then(|updated| updated.result) else { continue };
        if created {
            effect.push_event(EventClass::Stream, "xgroup-createconsumer", at);
        }
        effect.changes += changes;
    }
    if !frames.is_empty() {
        effect.logged = Logged::Frames(Box::new(frames));
    }
    if served.close(reply) {
        return Ok(effect.into());
    }
    Ok(match options.block {
        None => effect.into(),
        Some(timeout_ms) => {
            let wait = Wait::data(Kind::Stream, streams.keys.clone(), timeout_ms).or_loss();
            // All keys must be there for none to be missed.
            let wait = if streams.keys.len() > 1 { wait.whole() } else { wait };
            Attempt::Nothing(Wait { effect, ..wait })
        }
    })
}

const GROUPED: Dialect = Dialect { name: "xreadgroup", newest: ">", with_group: true };

fn no_such_group(key: &Key<'_>, group: &[u8]) -> Error {
    no_group(
        "NOGROUP No such key '",
        key.bytes,
        "' or consumer group '",
        group,
        "' in XREADGROUP with GROUP option",
    )
}

/// What a consumer asks for.
#[derive(Clone, Copy)]
enum Wanted {
    /// What was delivered to nobody.
    New,
    /// What is pending for it behind this id.
    Pending(StreamId),
}

fn wanted_of(text: &[u8]) -> Result<Wanted, Error> {
    const REST: &str = "ID is meaningless in the context of XREADGROUP: you want to read the \
        history of this consumer by specifying a proper ID, or use the > ID to get new messages. ";
    match text {
        b">" => Ok(Wanted::New),
        b"$" | b"+" => {
            let sign = if text == b"$" { '$' } else { '+' };
            Err(Error::owned(format!(
                "ERR The {sign} {REST}The {sign} ID would just return an empty result set."
            )))
        }
        text => match id(text)? {
            // The greatest id and `>` are one, as in Redis.
            StreamId::MAX => Ok(Wanted::New),
            id => Ok(Wanted::Pending(id)),
        },
    }
}

/// One stream that is read for a consumer.
struct Reading<'a> {
    entries: &'a Entries,
    group: &'a mut StreamGroup,
    consumer: ConsumerId,
    name: &'a [u8],
    now_ms: i64,
    /// How many entries may still be returned.
    left: usize,
    log: GroupLog<'a>,
    /// There is no room for more of the log.
    full: bool,
    /// How many deleted entries are pending no more.
    forgotten: u32,
}

impl Reading<'_> {
    /// Writes what is wanted; whether that is anything.
    fn serve(
        &mut self,
        wanted: Wanted,
        options: &Options<'_>,
        key: &Key<'_>,
        served: &mut Served,
        reply: &mut Reply<'_>,
    ) -> bool {
        let idle = match (wanted, options.claim_ms) {
            (Wanted::New, Some(idle_ms)) => self.idle_for(idle_ms),
            _ => Vec::new(),
        };
        let news = matches!(wanted, Wanted::New) && self.entries.top_id() > self.group.last_id;
        if matches!(wanted, Wanted::New) && !news && idle.is_empty() {
            return false;
        }
        served.stream(reply, key);
        let mark = reply.mark();
        let count = match wanted {
            Wanted::Pending(after) => self.write_pending(after, reply),
            Wanted::New => {
                let claimed = self.write_idle(&idle, reply);
                let told = options.claim_ms.is_some();
                claimed + self.write_new(options.no_ack, told, reply)
            }
        };
        reply.array_at(mark, count);
        true
    }

    /// Notes that an entry was delivered to the consumer. `false`: no more can be delivered.
    fn deliver(&mut self, id: StreamId, deliveries: u64) -> bool {
        let pending = Pending { delivered_ms: self.now_ms, deliveries, consumer: self.consumer };
        if !self.log.claim(id, self.name, &pending, self.group.last_id) {
            self.full = true;
            return false;
        }
        self.group.set_pending(id, pending);
        true
    }

    /// What is pending for the consumer, again; null in place of what was deleted meanwhile.
    fn write_pending(&mut self, after: StreamId, reply: &mut Reply<'_>) -> usize {
        let Some(from) = after.next() else { return 0 };
        let consumer = self.group.consumer(self.consumer);
        let ids: Vec<_> = consumer.pending_from(from).take(self.left).collect();
        let mut count = 0;
        for id in ids {
            match self.entries.get(id) {
                Some(entry) => {
                    let before = self.group.pending(id).map_or(0, |pending| pending.deliveries);
                    if !self.deliver(id, before.saturating_add(1)) {
                        break;
                    }
                    write_entry(reply, entry);
                }
                None => {
                    reply.array(2);
                    write_id(reply, id);
                    reply.null_array();
                }
            }
            count += 1;
        }
        count
    }

    /// The entries that are pending for so long, whoever has them, the longest first. Those that
    /// were deleted meanwhile are pending no more.
    fn idle_for(&mut self, idle_ms: i64) -> Vec<StreamId> {
        let until = self.now_ms.saturating_sub(idle_ms);
        loop {
            let idle = self.group.idle_until(until, self.left);
            let (there, gone): (Vec<_>, Vec<_>) =
                idle.into_iter().partition(|&id| self.entries.contains(id));
            if gone.is_empty() || !gone.into_iter().all(|id| self.forget(id)) {
                return there;
            }
        }
    }

    /// Ends that a deleted entry is pending. `false`: there is no room in the log.
    fn forget(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.group.pending(id).copied() else { return true };
        let owner = self.group.consumer(pending.consumer).name();
        // Replayed, this ends it as well: the entry is not there.
        if !self.log.claim(id, owner, &pending, self.group.last_id) {
            self.full = true;
            return false;
        }
        self.group.remove_pending(id);
        self.forgotten += 1;
        true
    }

    /// Takes over what nobody has acknowledged, with how long that is and how often it was
    /// delivered before.
    fn write_idle(&mut self, idle: &[StreamId], reply: &mut Reply<'_>) -> usize {
        let mut count = 0;
        for &id in idle {
            let (Some(entry), Some(&before)) = (self.entries.get(id), self.group.pending(id))
            else {
                continue;
            };
            if !self.deliver(id, before.deliveries.saturating_add(1)) {
                break;
            }
            reply.array(4);
            write_entry_parts(reply, entry);
            reply.integer(self.now_ms.saturating_sub(before.delivered_ms).max(0));
            reply.integer(before.deliveries as i64);
            count += 1;
        }
        if count > 0 {
            self.group.saw(self.consumer, self.now_ms, true);
        }
        self.left -= count;
        count
    }

    /// What was delivered to nobody; `told` if it is said how often that was.
    fn write_new(&mut self, no_ack: bool, told: bool, reply: &mut Reply<'_>) -> usize {
        let Some(from) = self.group.last_id.next() else { return 0 };
        let entries = self.entries;
        let mut count = 0;
        for entry in entries.range(from, StreamId::MAX).take(self.left) {
            if self.full {
                break;
            }
            let before = (self.group.last_id, self.group.entries_read);
            self.group.entries_read = entries.read_up_to(entry.id, before.1);
            self.group.last_id = entry.id;
            if !no_ack && !self.deliver(entry.id, 1) {
                (self.group.last_id, self.group.entries_read) = before;
                break;
            }
            if told {
                reply.array(4);
                write_entry_parts(reply, entry);
                reply.integer(0);
                reply.integer(0);
            } else {
                write_entry(reply, entry);
            }
            count += 1;
        }
        if count > 0 {
            self.group.saw(self.consumer, self.now_ms, !no_ack);
            self.full |= !self.log.set_id(self.group.last_id, self.group.entries_read);
        }
        count
    }
}
