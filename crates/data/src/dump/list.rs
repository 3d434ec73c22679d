//! Lists.

use super::code;
use super::packed::Sequence;
use super::read::{Malformed, Reader};
use super::write::Writer;
use super::ziplist;
use crate::{IntBuffer, Limits, List, ListRef, Packed};

/// A node that is one large element.
const PLAIN: u64 = 1;
/// A node that is a packed sequence.
const PACKED: u64 = 2;

pub(super) fn write(list: ListRef<'_>, writer: &mut Writer<'_>) {
    writer.byte(code::LIST_QUICKLIST_2);
    let packed: Packed = list.iter().collect();
    writer.length(1);
    writer.length(PACKED);
    writer.string(packed.as_ref().bytes());
}

pub(super) fn read(code: u8, reader: &mut Reader<'_>, _: &Limits) -> Result<List, Malformed> {
    let mut list = List::default();
    let mut buffer = IntBuffer::new();
    let nodes = if code == code::LIST_ZIPLIST { 1 } else { reader.length()? };
    for _ in 0..nodes {
        let packed = code == code::LIST_QUICKLIST_2
            && match reader.length()? {
                PACKED => true,
                PLAIN => false,
                _ => return Err(Malformed),
            };
        let node = reader.string()?;
        let bytes = node.as_bytes(&mut buffer);
        let sequence = match code {
            code::LIST_QUICKLIST_2 if packed => Sequence::read(bytes)?,
            code::LIST_QUICKLIST | code::LIST_ZIPLIST => Sequence::Made(ziplist::read(bytes)?),
            _ => {
                list.push_back(bytes);
                continue;
            }
        };
        let mut buffer = IntBuffer::new();
        sequence.as_ref().iter().for_each(|item| {
            list.push_back(item.text(&mut buffer));
        });
    }
    if crate::Collection::is_empty(&list) { Err(Malformed) } else { Ok(list) }
}
