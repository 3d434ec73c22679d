//! Values as bytes that leave the process: the payloads of `DUMP` and the values of RDB files.
//!
//! The format is Redis's, to the byte. A value is a [code] that tells its type and encoding, then
//! its contents; a payload of `DUMP` ends with the version of the format and a checksum:
//!
//! ```text
//! code u8 | contents | version u16 | CRC-64 of all before u64
//! ```
//!
//! Encodings that Redis no longer writes are read, but not written. Whatever is read is examined
//! throughout: a value that comes out is as good as one that commands have made, and nothing is
//! allocated for elements that a length only announces.

mod code;
mod hash;
mod list;
mod lzf;
mod packed;
mod read;
mod set;
mod sorted_set;
mod stream;
mod string;
#[cfg(test)]
mod tests;
mod write;
mod ziplist;
mod zipmap;

pub use read::{Chunk, Malformed, Reader};
pub use write::Writer;

use crate::{Hash, Limits, List, Record, Set, SortedSet, Stream};
use crc::{CRC_64_REDIS, Crc, Table};
use std::fmt;

/// The checksum of payloads and of files; a table for sixteen bytes at a time.
static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Bytes of version and checksum.
const FOOTER: usize = 10;

/// A version of the format, by the number that files and payloads bear.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Version {
    /// Of Redis 7.0.
    V10 = 10,
    /// Of Redis 7.2: small sets as they are; when a stream's consumers were last given something.
    V11 = 11,
    /// Of Redis 7.4: deadlines of fields.
    V12 = 12,
}

impl Version {
    /// The newest one that is read.
    pub const NEWEST: Self = Self::V12;
}

/// How values are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// The newest version that may be used; none: for each value the oldest that holds it without
    /// loss.
    pub version: Option<Version>,
    /// Whether strings are compressed where that makes them shorter (`rdbcompression`).
    pub compress: bool,
}

impl Default for Format {
    fn default() -> Self {
        Self { version: None, compress: true }
    }
}

/// Why a payload was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is of a newer version, or its checksum is another.
    Footer,
    /// It holds no value of a known type, or a damaged one.
    Contents,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Footer => "DUMP payload version or checksum are wrong",
            Refused::Contents => "Bad data format",
        })
    }
}

impl std::error::Error for Refused {}

impl From<Malformed> for Refused {
    fn from(Malformed: Malformed) -> Self {
        Refused::Contents
    }
}

/// The payload that `DUMP` answers for a value.
#[must_use]
pub fn dump(record: &Record, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, format);
    write(record, &mut writer);
    let version = writer.version();
    out.extend_from_slice(&(version as u16).to_le_bytes());
    out.extend_from_slice(&CHECKSUM.checksum(&out).to_le_bytes());
    out
}

/// The value of a payload, as a record of `key` without a deadline. No string in it may be longer
/// than `max_string` bytes.
///
/// # Errors
/// The payload is not intact, or not of a known version.
pub fn restore(
    key: &[u8],
    payload: &[u8],
    limits: &Limits,
    max_string: usize,
) -> Result<Record, Refused> {
    let contents = payload.len().checked_sub(FOOTER).ok_or(Refused::Footer)?;
    let (contents, mut footer) = (&payload[..contents], Reader::new(&payload[contents..]));
    let version = u16::from_le_bytes(footer.array()?);
    let checksum = CHECKSUM.checksum(&payload[..payload.len() - 8]);
    if version > Version::NEWEST as u16 || u64::from_le_bytes(footer.array()?) != checksum {
        return Err(Refused::Footer);
    }
    let mut reader = Reader::new(contents).unpacking_at_most(max_string);
    Ok(read(key, &mut reader, limits)?)
}

/// Writes the value of a record with the code in front.
pub fn write(record: &Record, writer: &mut Writer<'_>) {
    if let Some(value) = record.string() {
        string::write(value, writer);
    } else if let Some(value) = record.collection::<List>() {
        list::write(value, writer);
    } else if let Some(value) = record.collection::<Set>() {
        set::write(value, writer);
    } else if let Some(value) = record.collection::<SortedSet>() {
        sorted_set::write(value, writer);
    } else if let Some(value) = record.collection::<Hash>() {
        hash::write(value, writer);
    } else if let Some(value) = record.collection::<Stream>() {
        stream::write(value, writer);
    }
}

/// Reads a value, from its code on, as a record of `key` without a deadline.
///
/// # Errors
/// It is of no known type, or damaged.
pub fn read(key: &[u8], reader: &mut Reader<'_>, limits: &Limits) -> Result<Record, Malformed> {
    let code = reader.byte()?;
    Ok(match code {
        code::STRING => string::read(key, reader)?,
        code::LIST | code::LIST_ZIPLIST | code::LIST_QUICKLIST | code::LIST_QUICKLIST_2 => {
            Record::of(key, list::read(code, reader, limits)?, None)
        }
        code::SET | code::SET_INTSET | code::SET_LISTPACK => {
            Record::of(key, set::read(code, reader, limits)?, None)
        }
        code::ZSET | code::ZSET_2 | code::ZSET_ZIPLIST | code::ZSET_LISTPACK => {
            Record::of(key, sorted_set::read(code, reader, limits)?, None)
        }
        code::HASH
        | code::HASH_ZIPMAP
        | code::HASH_ZIPLIST
        | code::HASH_LISTPACK
        | code::HASH_METADATA_EARLY
        | code::HASH_LISTPACK_EX_EARLY
        | code::HASH_METADATA
        | code::HASH_LISTPACK_EX => Record::of(key, hash::read(code, reader, limits)?, None),
        code::STREAM | code::STREAM_2 | code::STREAM_3 => {
            Record::of(key, stream::read(code, reader)?, None)
        }
        _ => return Err(Malformed),
    })
}
