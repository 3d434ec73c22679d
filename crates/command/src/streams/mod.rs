//! Streams.

mod acknowledge;
mod add;
mod claim;
mod delete;
mod group;
mod info;
mod pending;
mod range;
mod read;
mod read_group;
mod references;
mod trim;

use crate::error::shown;
use crate::row::{Begin, Find};
use crate::{CommandList, Error, KeyFlags, KeySpec, Reply, Row};
use kevy_data::stream::{Entry, IdBuffer, Pending, StreamId};
use kevy_data::{IntBuffer, Item};

/// Commands for streams.
pub const STREAMS: &[&Row] = &[
    &add::XADD,
    &add::XSETID,
    &trim::XTRIM,
    &delete::XDEL,
    &references::XDELEX,
    &range::XLEN,
    &range::XRANGE,
    &range::XREVRANGE,
    &read::XREAD,
    &read_group::XREADGROUP,
    &group::XGROUP,
    &acknowledge::XACK,
    &references::XACKDEL,
    &claim::XCLAIM,
    &claim::XAUTOCLAIM,
    &pending::XPENDING,
    &info::XINFO,
];

const INVALID_ID: Error = Error::new("ERR Invalid stream ID specified as stream command argument");

/// Keys in `STREAMS key … id …`: as many as ids, behind options from argument `from` on.
const fn streams_keys(from: i16) -> KeySpec {
    let values = &[("BLOCK", 1), ("COUNT", 1), ("GROUP", 2), ("CLAIM", 1)];
    KeySpec {
        flags: KeyFlags::RO.union(KeyFlags::ACCESS),
        begin: Begin::Keyword { word: "STREAMS", from, values },
        find: Find::Range { last: -1, step: 1, limit: 2 },
        variant: None,
    }
}

/// An id; its sequence is 0 if it is missing.
fn id(text: &[u8]) -> Result<StreamId, Error> {
    StreamId::parse(text, 0).ok_or(INVALID_ID)
}

/// Ids, all of them valid.
fn ids<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Result<Vec<StreamId>, Error> {
    texts.map(id).collect()
}

/// An id, or `-` or `+` for the least and the greatest; a missing sequence is `sequence`.
fn bound(text: &[u8], sequence: u64) -> Result<StreamId, Error> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        text => StreamId::parse(text, sequence).ok_or(INVALID_ID),
    }
}

/// The start of a range: `(` in front excludes the id itself.
fn range_start(text: &[u8]) -> Result<StreamId, Error> {
    match text {
        [b'(', excluded @ ..] if !excluded.is_empty() => {
            let next = id(excluded)?.next();
            next.ok_or(Error::new("ERR invalid start ID for the interval"))
        }
        text => bound(text, 0),
    }
}

/// The end of a range, as [`range_start`].
fn range_end(text: &[u8]) -> Result<StreamId, Error> {
    match text {
        [b'(', excluded @ ..] if !excluded.is_empty() => {
            let excluded = StreamId::parse(excluded, u64::MAX).ok_or(INVALID_ID)?;
            excluded.previous().ok_or(Error::new("ERR invalid end ID for the interval"))
        }
        text => bound(text, u64::MAX),
    }
}

fn write_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.text(&mut IdBuffer::new()));
}

fn write_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(value) => reply.bulk_integer(value),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// An entry: its id, and its names and values in turn.
fn write_entry(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply.array(2);
    write_entry_parts(reply, entry);
}

fn write_entry_parts(reply: &mut Reply<'_>, entry: Entry<'_>) {
    write_id(reply, entry.id);
    reply.array(2 * entry.fields.len());
    for (name, value) in entry.fields {
        write_item(reply, name);
        write_item(reply, value);
    }
}

/// An array of entries.
fn write_entries<'a>(reply: &mut Reply<'_>, entries: impl Iterator<Item = Entry<'a>>) {
    let (mark, mut count) = (reply.mark(), 0);
    for entry in entries {
        write_entry(reply, entry);
        count += 1;
    }
    reply.array_at(mark, count);
}

/// How many entries a count allows for: 0 and less are no limit.
fn limit(count: i64) -> usize {
    usize::try_from(count).ok().filter(|&count| count > 0).unwrap_or(usize::MAX)
}

/// A number of changes.
fn clamped(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// There is no such group; what was sent is repeated.
fn no_group(before: &str, first: &[u8], between: &str, second: &[u8], after: &str) -> Error {
    let (first, second) = (shown(first, usize::MAX), shown(second, usize::MAX));
    let parts = [before.as_bytes(), first, between.as_bytes(), second, after.as_bytes()];
    Error::from_bytes(parts.concat())
}

/// There is no such key or group.
fn no_key_or_group(key: &[u8], group: &[u8]) -> Error {
    no_group("NOGROUP No such key '", key, "' or consumer group '", group, "'")
}

/// There is no such group of a key that exists.
fn no_group_of_key(key: &[u8], group: &[u8]) -> Error {
    no_group("NOGROUP No such consumer group '", group, "' for key name '", key, "'")
}

/// The call of a subcommand does not fit.
fn subcommand_syntax(container: &str, subcommand: &[u8]) -> Error {
    let after = format!("'. Try {container} HELP.");
    let shown = shown(subcommand, crate::error::SHOWN);
    Error::quoting("ERR unknown subcommand or wrong number of arguments for '", shown, &after)
}

/// Changes of a group, as commands that say them whatever has become of the stream meanwhile.
struct GroupLog<'a> {
    key: &'a [u8],
    group: &'a [u8],
    frames: &'a mut CommandList,
}

impl GroupLog<'_> {
    /// Entries became pending, or no longer are if they do not exist. `false`: there is no room.
    #[must_use]
    fn claim(
        &mut self,
        id: StreamId,
        consumer: &[u8],
        pending: &Pending,
        last_id: StreamId,
    ) -> bool {
        let (mut id_text, mut last_text) = (IdBuffer::new(), IdBuffer::new());
        let (mut time, mut count) = (IntBuffer::new(), IntBuffer::new());
        self.frames.push([
            &b"XCLAIM"[..],
            self.key,
            self.group,
            consumer,
            b"0",
            id.text(&mut id_text),
            b"TIME",
            time.format(pending.delivered_ms).as_bytes(),
            b"RETRYCOUNT",
            count.format(pending.deliveries).as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last_id.text(&mut last_text),
        ])
    }

    /// The group was read up to `last_id`.
    #[must_use]
    fn set_id(&mut self, last_id: StreamId, entries_read: Option<u64>) -> bool {
        let mut text = IdBuffer::new();
        let read = entries_read.map_or("-1".to_owned(), |read| read.to_string());
        let id = last_id.text(&mut text);
        let frame =
            [&b"XGROUP"[..], b"SETID", self.key, self.group, id, b"ENTRIESREAD", read.as_bytes()];
        self.frames.push(frame)
    }

    /// A consumer came into being.
    #[must_use]
    fn create_consumer(&mut self, name: &[u8]) -> bool {
        self.frames.push([&b"XGROUP"[..], b"CREATECONSUMER", self.key, self.group, name])
    }
}
