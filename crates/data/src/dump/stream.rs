//! Streams.

use super::read::{Malformed, Reader};
use super::write::Writer;
use super::{Version, code};
use crate::stream::{Consumer, Group, Pending, Stream, StreamId};
use crate::{IntBuffer, StringRef};
use std::collections::BTreeMap;

/// A count of entries read that is not known.
const UNKNOWN: u64 = u64::MAX;
/// The time when a consumer was last given something that never was.
const NEVER: i64 = -1;

pub(super) fn write(stream: &Stream, writer: &mut Writer<'_>) {
    let (entries, groups) = (stream.entries(), stream.groups());
    let mut consumers = groups.iter().flat_map(|(_, group)| group.consumers());
    let lossless = consumers.all(|consumer| consumer.active_ms == Some(consumer.seen_ms));
    let active = writer.may_use(Version::V11, lossless);
    writer.byte(if active { code::STREAM_3 } else { code::STREAM_2 });
    writer.length(entries.nodes() as u64);
    for (first, node) in entries.packed_nodes() {
        writer.string(&first.to_bytes());
        writer.string(node);
    }
    writer.length(entries.len());
    for id in [entries.last_id(), entries.first_id(), entries.max_deleted_id()] {
        write_id(id, writer);
    }
    writer.length(entries.added());
    writer.length(groups.len() as u64);
    for (name, group) in groups.iter() {
        writer.string(name);
        write_group(group, active, writer);
    }
}

fn write_id(id: StreamId, writer: &mut Writer<'_>) {
    writer.length(id.ms);
    writer.length(id.seq);
}

fn write_group(group: &Group, active: bool, writer: &mut Writer<'_>) {
    write_id(group.last_id, writer);
    writer.length(group.entries_read.unwrap_or(UNKNOWN));
    writer.length(group.pending_len() as u64);
    for (id, pending) in group.pending_range(StreamId::MIN, StreamId::MAX) {
        writer.bytes(&id.to_bytes());
        writer.time_ms(pending.delivered_ms);
        writer.length(pending.deliveries);
    }
    writer.length(group.consumers_len() as u64);
    group.consumers().for_each(|consumer| write_consumer(consumer, active, writer));
}

fn write_consumer(consumer: &Consumer, active: bool, writer: &mut Writer<'_>) {
    writer.value(StringRef::Bytes(consumer.name()));
    writer.time_ms(consumer.seen_ms);
    if active {
        writer.time_ms(consumer.active_ms.unwrap_or(NEVER));
    }
    writer.length(consumer.pending_len() as u64);
    consumer.pending_from(StreamId::MIN).for_each(|id| writer.bytes(&id.to_bytes()));
}

pub(super) fn read(code: u8, reader: &mut Reader<'_>) -> Result<Stream, Malformed> {
    let mut stream = Stream::new();
    read_entries(code, &mut stream, reader)?;
    for _ in 0..reader.length()? {
        let name = reader.string()?;
        let group = read_group(code, &stream, reader)?;
        if !stream.groups_mut().create(name.as_bytes(&mut IntBuffer::new()), group) {
            return Err(Malformed);
        }
    }
    Ok(stream)
}

fn read_entries(code: u8, stream: &mut Stream, reader: &mut Reader<'_>) -> Result<(), Malformed> {
    let entries = stream.entries_mut();
    for _ in 0..reader.length()? {
        let (first, node) = (reader.string()?, reader.string()?);
        let first = first.as_bytes(&mut IntBuffer::new()).try_into().map_err(|_| Malformed)?;
        if !entries.push_node(StreamId::from_bytes(first), node.as_bytes(&mut IntBuffer::new())) {
            return Err(Malformed);
        }
    }
    let len = reader.length()?;
    let last_id = read_id(reader)?;
    let (mut max_deleted_id, mut added) = (StreamId::MIN, len);
    if code != code::STREAM {
        // The first id, which the entries tell too.
        read_id(reader)?;
        max_deleted_id = read_id(reader)?;
        added = read_count(reader)?;
    }
    let sound = len == entries.len() && entries.restore(last_id, max_deleted_id, added);
    if sound { Ok(()) } else { Err(Malformed) }
}

fn read_id(reader: &mut Reader<'_>) -> Result<StreamId, Malformed> {
    Ok(StreamId::new(reader.length()?, reader.length()?))
}

/// A time in Unix milliseconds; none was before 1970.
fn read_time(reader: &mut Reader<'_>) -> Result<i64, Malformed> {
    Ok(reader.time_ms()?.max(0))
}

/// A count that can go on counting.
fn read_count(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    Some(reader.length()?).filter(|&count| i64::try_from(count).is_ok()).ok_or(Malformed)
}

fn read_group(code: u8, stream: &Stream, reader: &mut Reader<'_>) -> Result<Group, Malformed> {
    let last_id = read_id(reader)?;
    let entries_read = match code {
        code::STREAM => stream.entries().added_up_to(last_id),
        _ => Some(reader.length()?).filter(|&count| i64::try_from(count).is_ok()),
    };
    let mut group = Group::new(last_id, entries_read);
    let mut pending = BTreeMap::new();
    for _ in 0..reader.length()? {
        let id = StreamId::from_bytes(reader.array()?);
        if pending.insert(id, (read_time(reader)?, read_count(reader)?)).is_some() {
            return Err(Malformed);
        }
    }
    for _ in 0..reader.length()? {
        read_consumer(code, &mut group, &mut pending, reader)?;
    }
    // Each is pending for somebody.
    if pending.is_empty() { Ok(group) } else { Err(Malformed) }
}

/// Reads a consumer and moves to it what is pending for it: times and numbers of deliveries.
fn read_consumer(
    code: u8,
    group: &mut Group,
    pending: &mut BTreeMap<StreamId, (i64, u64)>,
    reader: &mut Reader<'_>,
) -> Result<(), Malformed> {
    let name = reader.string()?;
    let seen_ms = read_time(reader)?;
    let active_ms = match code {
        code::STREAM_3 => Some(reader.time_ms()?).filter(|&time| time >= 0),
        _ => Some(seen_ms),
    };
    let name = name.as_bytes(&mut IntBuffer::new()).to_vec();
    let (consumer, new) = group.consumer_or_create(&name, seen_ms);
    if !new {
        return Err(Malformed);
    }
    if let Some(active_ms) = active_ms {
        group.saw(consumer, active_ms, true);
        group.saw(consumer, seen_ms, false);
    }
    for _ in 0..reader.length()? {
        let id = StreamId::from_bytes(reader.array()?);
        let (delivered_ms, deliveries) = pending.remove(&id).ok_or(Malformed)?;
        group.set_pending(id, Pending { delivered_ms, deliveries, consumer });
    }
    Ok(())
}
