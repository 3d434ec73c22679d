//! Writing the pieces that values are made of.

use super::lzf::Compressor;
use super::{Format, Version};
use crate::number::parse_i64;
use crate::{IntBuffer, Item, StringRef};

/// The longest text of an integer of 32 bits.
const INT_TEXT_MAX: usize = 11;
/// Up to this many bytes a string is not worth compressing.
const SHORT: usize = 20;

/// Writes values, one behind the other.
pub struct Writer<'w> {
    out: &'w mut Vec<u8>,
    format: Format,
    needed: Version,
    compressor: Option<Box<Compressor>>,
}

impl<'w> Writer<'w> {
    /// A writer that appends to `out`.
    #[must_use]
    pub fn new(out: &'w mut Vec<u8>, format: Format) -> Self {
        Writer { out, format, needed: Version::V10, compressor: None }
    }

    /// The version of the format that what was written needs.
    #[must_use]
    pub fn version(&self) -> Version {
        self.needed
    }

    /// Whether an encoding of this version may be used, and notes that it is. `lossless`: an
    /// older encoding says the same.
    pub(super) fn may_use(&mut self, version: Version, lossless: bool) -> bool {
        let may = match self.format.version {
            Some(newest) => version <= newest,
            None => !lossless,
        };
        if may {
            self.needed = self.needed.max(version);
        }
        may
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Writes a byte.
    pub fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    /// Writes a length, or another number that is written as one.
    pub fn length(&mut self, length: u64) {
        put_length(self.out, length);
    }

    /// Writes a time in Unix milliseconds.
    pub fn time_ms(&mut self, time: i64) {
        self.bytes(&time.to_le_bytes());
    }

    /// Writes a string: as an integer if it is the text of one, or compressed if that is shorter.
    pub fn string(&mut self, bytes: &[u8]) {
        if bytes.len() <= INT_TEXT_MAX
            && let Some(value) = parse_i64(bytes)
            && self.short_int(value)
        {
            return;
        }
        if self.format.compress && bytes.len() > SHORT && self.compressed(bytes) {
            return;
        }
        self.length(bytes.len() as u64);
        self.bytes(bytes);
    }

    /// Writes the string that is the text of an integer.
    pub fn int(&mut self, value: i64) {
        if !self.short_int(value) {
            let mut buffer = IntBuffer::new();
            let text = buffer.format(value).as_bytes();
            self.length(text.len() as u64);
            self.bytes(text);
        }
    }

    /// Writes an item of a packed sequence as a string.
    pub fn item(&mut self, item: Item<'_>) {
        match item {
            Item::Int(value) => self.int(value),
            Item::Bytes(bytes) => self.string(bytes),
        }
    }

    /// Writes the string of a record.
    pub fn value(&mut self, value: StringRef<'_>) {
        match value {
            StringRef::Int(value) => self.int(value),
            StringRef::Bytes(bytes) => self.string(bytes),
            StringRef::Blob(blob) => self.string(blob.as_bytes()),
        }
    }

    /// Writes an integer in one, two or four bytes, if it fits.
    fn short_int(&mut self, value: i64) -> bool {
        if let Ok(value) = i8::try_from(value) {
            self.bytes(&[0xC0, value as u8]);
        } else if let Ok(value) = i16::try_from(value) {
            self.byte(0xC1);
            self.bytes(&value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.byte(0xC2);
            self.bytes(&value.to_le_bytes());
        } else {
            return false;
        }
        true
    }

    /// Writes a string compressed, if that makes it shorter by more than the second length takes.
    fn compressed(&mut self, bytes: &[u8]) -> bool {
        let compressor = self.compressor.get_or_insert_default();
        let Some(packed) = compressor.compress(bytes, bytes.len() - 4) else { return false };
        self.out.push(0xC3);
        put_length(self.out, packed.len() as u64);
        put_length(self.out, bytes.len() as u64);
        self.out.extend_from_slice(packed);
        true
    }
}

fn put_length(out: &mut Vec<u8>, length: u64) {
    match length {
        0..0x40 => out.push(length as u8),
        0x40..0x4000 => out.extend_from_slice(&(0x4000 | length as u16).to_be_bytes()),
        0x4000..=0xFFFF_FFFF => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}
