//! Lists.

use super::code;
use super::packed::Sequence;
use super::read::{Malformed, Reader};
use super::write::Writer;
use super::ziplist;
use crate::{Collection, IntBuffer, Limits, List, ListNode, ListRef, NodeLimit, Side, Text};

/// A node that is one large element.
const PLAIN: u64 = 1;
/// A node that is a packed sequence.
const PACKED: u64 = 2;

pub(super) fn write(list: ListRef<'_>, writer: &mut Writer<'_>) {
    writer.byte(code::LIST_QUICKLIST_2);
    writer.length(list.nodes().count() as u64);
    for node in list.nodes() {
        match node {
            ListNode::Packed(packed) => {
                writer.length(PACKED);
                writer.string(packed.bytes());
            }
            ListNode::Plain(blob) => {
                writer.length(PLAIN);
                writer.string(blob.as_bytes());
            }
        }
    }
}

pub(super) fn read(code: u8, reader: &mut Reader<'_>, limits: &Limits) -> Result<List, Malformed> {
    let limit = NodeLimit::new(limits.list_max_listpack_size);
    let mut list = List::default();
    let buffer = &mut IntBuffer::new();
    match code {
        code::LIST => {
            for _ in 0..reader.length()? {
                list.push(Side::Right, reader.string()?.text(), limit);
            }
        }
        code::LIST_ZIPLIST => {
            // One that is larger than a node is divided.
            let items = ziplist::read(reader.string()?.as_bytes(buffer))?;
            for item in items.as_ref().iter() {
                list.push(Side::Right, Text::Bytes(item.text(buffer)), limit);
            }
        }
        code::LIST_QUICKLIST => {
            for _ in 0..reader.length()? {
                let items = ziplist::read(reader.string()?.as_bytes(buffer))?;
                list.push_node(ListNode::Packed(items.as_ref()));
            }
        }
        _ => {
            for _ in 0..reader.length()? {
                read_node(&mut list, reader, limit)?;
            }
        }
    }
    list.settle(limit);
    if list.is_empty() { Err(Malformed) } else { Ok(list) }
}

fn read_node(list: &mut List, reader: &mut Reader<'_>, limit: NodeLimit) -> Result<(), Malformed> {
    let container = reader.length()?;
    let node = reader.string()?;
    let buffer = &mut IntBuffer::new();
    match (container, node.as_bytes(buffer)) {
        (PACKED, bytes) => {
            let sequence = Sequence::read(bytes)?;
            list.push_node(ListNode::Packed(sequence.as_ref()));
            Ok(())
        }
        (PLAIN, [_, ..]) => {
            list.push(Side::Right, node.text(), limit);
            Ok(())
        }
        _ => Err(Malformed),
    }
}
