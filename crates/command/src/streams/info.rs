//! `XINFO`: what a stream consists of.

use super::{no_group_of_key, subcommand_syntax, write_entries, write_entry, write_id};
use crate::docs::help;
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::Stream;
use kevy_data::stream::{Consumer, Entries, Group as StreamGroup, Range, StreamId};
use kevy_keyspace::Keyspace;

pub(super) const XINFO: Row = Row {
    name: "xinfo",
    arity: -2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Tells what a stream consists of.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "Depends on subcommand.",
        syntax: "",
    },
    run: Run::Container(&[&XINFO_STREAM, &XINFO_GROUPS, &XINFO_CONSUMERS, &XINFO_HELP]),
};

const XINFO_STREAM: Row = Row {
    name: "stream",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(2, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Tells lengths and ids of a stream, or all of it.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1), O(N) with FULL where N is the number of entries returned",
        syntax: "key [FULL [COUNT count]]",
    },
    run: Run::Keys(stream),
};
fn stream(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let subcommand = args.bytes()?;
    let stream = ks.read::<Stream>(&args.key()?)?.ok_or(Error::NO_KEY)?;
    let wrong = || subcommand_syntax("XINFO", subcommand);
    let full = match args.remaining() {
        0 => None,
        1 | 3 if args.option("FULL") => Some(match args.at_end() {
            true => FULL_COUNT,
            false if args.option("COUNT") => full_count(args.int()?),
            false => return Err(wrong()),
        }),
        _ => return Err(wrong()),
    };
    reply.map(if full.is_some() { 9 } else { 10 });
    write_facts(stream.entries(), reply);
    match full {
        None => write_edges(stream, reply),
        Some(count) => write_full(stream, count, reply),
    }
    Ok(Effect::none())
}

/// How many entries are told in full if it is not said.
const FULL_COUNT: usize = 10;

fn full_count(count: i64) -> usize {
    match count {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(FULL_COUNT),
    }
}

fn write_facts(entries: &Entries, reply: &mut Reply<'_>) {
    let number = |reply: &mut Reply<'_>, name: &str, value: u64| {
        reply.bulk(name.as_bytes());
        reply.integer(value as i64);
    };
    let id = |reply: &mut Reply<'_>, name: &str, id: StreamId| {
        reply.bulk(name.as_bytes());
        write_id(reply, id);
    };
    number(reply, "length", entries.len());
    number(reply, "radix-tree-keys", entries.nodes() as u64);
    // There is no radix tree; one has a node more than keys if they differ in the last byte.
    number(reply, "radix-tree-nodes", entries.nodes() as u64 + 1);
    id(reply, "last-generated-id", entries.last_id());
    id(reply, "max-deleted-entry-id", entries.max_deleted_id());
    number(reply, "entries-added", entries.added());
    id(reply, "recorded-first-entry-id", entries.first_id());
}

fn write_edges(stream: &Stream, reply: &mut Reply<'_>) {
    let entries = stream.entries();
    reply.bulk(b"groups");
    reply.integer(stream.groups().len() as i64);
    let edge = |reply: &mut Reply<'_>, name: &str, mut range: Range<'_>| {
        reply.bulk(name.as_bytes());
        match range.next() {
            Some(entry) => write_entry(reply, entry),
            None => reply.null(),
        }
    };
    edge(reply, "first-entry", entries.range(StreamId::MIN, StreamId::MAX));
    edge(reply, "last-entry", entries.range_back(StreamId::MIN, StreamId::MAX));
}

fn write_full(stream: &Stream, count: usize, reply: &mut Reply<'_>) {
    reply.bulk(b"entries");
    write_entries(reply, stream.entries().range(StreamId::MIN, StreamId::MAX).take(count));
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        write_progress(stream, group, reply);
        reply.bulk(b"pel-count");
        reply.integer(group.pending_len() as i64);
        reply.bulk(b"pending");
        let (mark, mut told) = (reply.mark(), 0);
        for (id, pending) in group.pending_range(StreamId::MIN, StreamId::MAX).take(count) {
            reply.array(4);
            write_id(reply, id);
            reply.bulk(group.consumer(pending.consumer).name());
            reply.integer(pending.delivered_ms);
            reply.integer(pending.deliveries as i64);
            told += 1;
        }
        reply.array_at(mark, told);
        reply.bulk(b"consumers");
        reply.array(group.consumers_len());
        for consumer in group.consumers() {
            write_consumer_full(group, consumer, count, reply);
        }
    }
}

fn write_consumer_full(
    group: &StreamGroup,
    consumer: &Consumer,
    count: usize,
    reply: &mut Reply<'_>,
) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.integer(consumer.seen_ms);
    reply.bulk(b"active-time");
    reply.integer(consumer.active_ms.unwrap_or(-1));
    reply.bulk(b"pel-count");
    reply.integer(consumer.pending_len() as i64);
    reply.bulk(b"pending");
    let (mark, mut told) = (reply.mark(), 0);
    let ids = consumer.pending_from(StreamId::MIN);
    for (id, pending) in ids.filter_map(|id| Some((id, group.pending(id)?))).take(count) {
        reply.array(3);
        write_id(reply, id);
        reply.integer(pending.delivered_ms);
        reply.integer(pending.deliveries as i64);
        told += 1;
    }
    reply.array_at(mark, told);
}

/// What a group has read and has yet to read.
fn write_progress(stream: &Stream, group: &StreamGroup, reply: &mut Reply<'_>) {
    let known = |reply: &mut Reply<'_>, value: Option<i64>| match value {
        Some(value) => reply.integer(value),
        None => reply.null(),
    };
    reply.bulk(b"last-delivered-id");
    write_id(reply, group.last_id);
    reply.bulk(b"entries-read");
    known(reply, group.entries_read.map(|read| read as i64));
    reply.bulk(b"lag");
    known(reply, stream.lag(group));
}

const XINFO_GROUPS: Row = Row {
    name: "groups",
    arity: 3,
    flags: Flags::READONLY,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(2, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Tells the consumer groups of a stream.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(groups),
};
fn groups(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    args.seek(2);
    let stream = ks.read::<Stream>(&args.key()?)?.ok_or(Error::NO_KEY)?;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.integer(group.consumers_len() as i64);
        reply.bulk(b"pending");
        reply.integer(group.pending_len() as i64);
        write_progress(stream, group, reply);
    }
    Ok(Effect::none())
}

const XINFO_CONSUMERS: Row = Row {
    name: "consumers",
    arity: 4,
    flags: Flags::READONLY,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(2, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Tells the consumers of a group.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "key group",
    },
    run: Run::Keys(consumers),
};
fn consumers(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    args.seek(2);
    let (key, name, now_ms) = (args.key()?, args.bytes()?, ks.now_ms());
    let stream = ks.read::<Stream>(&key)?.ok_or(Error::NO_KEY)?;
    let group = stream.groups().get(name).ok_or_else(|| no_group_of_key(key.bytes, name))?;
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        let since = |ms: i64| now_ms.saturating_sub(ms).max(0);
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.integer(consumer.pending_len() as i64);
        reply.bulk(b"idle");
        reply.integer(since(consumer.seen_ms));
        reply.bulk(b"inactive");
        reply.integer(consumer.active_ms.map_or(-1, since));
    }
    Ok(Effect::none())
}

const XINFO_HELP: Row = Row {
    name: "help",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::STREAM,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Tells what there is.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(help),
};
