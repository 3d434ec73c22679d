//! Telling what is pending.

use super::{no_key_or_group, range_end, range_start, write_id};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::Stream;
use kevy_data::stream::{Group as StreamGroup, Pending, StreamId};
use kevy_keyspace::Keyspace;

pub(super) const XPENDING: Row = Row {
    name: "xpending",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Tells which entries were delivered in a group and not acknowledged.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(N) where N is the number of entries returned, or of consumers without a range",
        syntax: "key group [[IDLE min-idle-time:integer] start:string end:string count [consumer]]",
    },
    run: Run::Keys(xpending),
};
fn xpending(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, name) = (args.key()?, args.bytes()?);
    let selection = Selection::read(args)?;
    let now_ms = ks.now_ms();
    let stream = ks.read::<Stream>(&key)?;
    let group = stream.and_then(|stream| stream.groups().get(name));
    let group = group.ok_or_else(|| no_key_or_group(key.bytes, name))?;
    match selection {
        None => summarize(group, reply),
        Some(selection) => selection.write(group, now_ms, reply),
    }
    Ok(Effect::none())
}

/// Number, least and greatest id, and how many belong to which consumer.
fn summarize(group: &StreamGroup, reply: &mut Reply<'_>) {
    reply.array(4);
    reply.integer(group.pending_len() as i64);
    let mut ids = group.pending_range(StreamId::MIN, StreamId::MAX).map(|(id, _)| id);
    let Some(first) = ids.next() else {
        reply.null();
        reply.null();
        return reply.null_array();
    };
    write_id(reply, first);
    write_id(reply, ids.next_back().unwrap_or(first));
    let (mark, mut count) = (reply.mark(), 0);
    for consumer in group.consumers().filter(|consumer| consumer.pending_len() > 0) {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_integer(consumer.pending_len() as i64);
        count += 1;
    }
    reply.array_at(mark, count);
}

/// The pending entries that are asked for.
struct Selection<'a> {
    start: StreamId,
    end: StreamId,
    count: usize,
    /// At least so many ms ago; 0: whenever.
    min_idle_ms: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Selection<'a> {
    /// The arguments behind the group; none if there are none.
    fn read(mut args: Args<'a>) -> Result<Option<Self>, Error> {
        let given = args.remaining();
        if given == 0 {
            return Ok(None);
        }
        if !(3..=6).contains(&given) {
            return Err(Error::SYNTAX);
        }
        let mut min_idle_ms = 0;
        if args.option("IDLE") {
            min_idle_ms = args.int()?;
            if args.remaining() < 3 {
                return Err(Error::SYNTAX);
            }
        }
        let (start, end) = (args.bytes()?, args.bytes()?);
        let count = usize::try_from(args.int()?.max(0)).unwrap_or(usize::MAX);
        let (start, end) = (range_start(start)?, range_end(end)?);
        // What stands behind the consumer is not looked at.
        Ok(Some(Self { start, end, count, min_idle_ms, consumer: args.peek() }))
    }

    fn write(&self, group: &StreamGroup, now_ms: i64, reply: &mut Reply<'_>) {
        let Some(name) = self.consumer else {
            let found = group.pending_range(self.start, self.end);
            return self.write_found(group, found, now_ms, reply);
        };
        let Some(consumer) = group.find_consumer(name) else { return reply.array(0) };
        let ids = group.consumer(consumer).pending_from(self.start);
        let found = ids
            .take_while(|&id| id <= self.end)
            .filter_map(|id| group.pending(id).map(|pending| (id, pending)));
        self.write_found(group, found, now_ms, reply);
    }

    fn write_found<'g>(
        &self,
        group: &StreamGroup,
        found: impl Iterator<Item = (StreamId, &'g Pending)>,
        now_ms: i64,
        reply: &mut Reply<'_>,
    ) {
        let idle = |pending: &Pending| now_ms.saturating_sub(pending.delivered_ms);
        let wanted = |pending: &Pending| self.min_idle_ms == 0 || idle(pending) >= self.min_idle_ms;
        let (mark, mut count) = (reply.mark(), 0);
        for (id, pending) in found.filter(|(_, pending)| wanted(pending)).take(self.count) {
            reply.array(4);
            write_id(reply, id);
            reply.bulk(group.consumer(pending.consumer).name());
            reply.integer(idle(pending).max(0));
            reply.integer(pending.deliveries as i64);
            count += 1;
        }
        reply.array_at(mark, count);
    }
}
