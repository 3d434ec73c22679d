//! Reading the pieces that values are made of.

use super::lzf;
use crate::{IntBuffer, Item, Text};
use std::fmt;

/// The bytes are not what they should be, or end too early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed data")
    }
}

impl std::error::Error for Malformed {}

/// A string as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chunk<'a> {
    /// An integer, whose text the string is.
    Int(i64),
    /// Bytes that lie in what is read.
    Bytes(&'a [u8]),
    /// Bytes that were compressed.
    Unpacked(Vec<u8>),
}

impl Chunk<'_> {
    /// The string; `buffer` holds that of an integer.
    pub fn as_bytes<'b>(&'b self, buffer: &'b mut IntBuffer) -> &'b [u8] {
        match self {
            Chunk::Int(value) => buffer.format(*value).as_bytes(),
            Chunk::Bytes(bytes) => bytes,
            Chunk::Unpacked(bytes) => bytes,
        }
    }

    /// The string for storing.
    pub fn text(&self) -> Text<'_> {
        match self {
            Chunk::Int(value) => Text::Int(*value),
            Chunk::Bytes(bytes) => Text::Bytes(bytes),
            Chunk::Unpacked(bytes) => Text::Bytes(bytes),
        }
    }

    /// The string as an item of a packed sequence.
    pub fn item(&self) -> Item<'_> {
        match self {
            Chunk::Int(value) => Item::Int(*value),
            Chunk::Bytes(bytes) => Item::of(bytes),
            Chunk::Unpacked(bytes) => Item::of(bytes),
        }
    }
}

/// What a length field holds.
enum Length {
    Plain(u64),
    /// Not a length, but the encoding of a string.
    Encoding(u8),
}

/// Reads values from bytes that may be anything.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Longest string that may come out of compressed bytes.
    unpacked_max: usize,
}

impl<'a> Reader<'a> {
    /// A reader from the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, unpacked_max: usize::MAX }
    }

    /// The same, but compressed strings longer than `max` are refused: a few bytes may stand for
    /// many.
    #[must_use]
    pub fn unpacking_at_most(self, max: usize) -> Self {
        Reader { unpacked_max: max, ..self }
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// There are not so many.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next byte.
    ///
    /// # Errors
    /// There is none.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// There are not so many.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length, or another number that is written as one. Nobody has checked what follows: reserve
    /// no memory by it.
    ///
    /// # Errors
    /// There is none.
    pub fn length(&mut self) -> Result<u64, Malformed> {
        match self.any_length()? {
            Length::Plain(length) => Ok(length),
            Length::Encoding(_) => Err(Malformed),
        }
    }

    fn any_length(&mut self) -> Result<Length, Malformed> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(first.into()),
            1 => Length::Plain(u16::from_be_bytes([first & 0x3F, self.byte()?]).into()),
            3 => Length::Encoding(first & 0x3F),
            _ => match first {
                0x80 => Length::Plain(u32::from_be_bytes(self.array()?).into()),
                0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
                _ => return Err(Malformed),
            },
        })
    }

    /// As [`length`](Self::length), for bytes in memory.
    fn size(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.length()?).map_err(|_| Malformed)
    }

    /// A string.
    ///
    /// # Errors
    /// There is none.
    pub fn string(&mut self) -> Result<Chunk<'a>, Malformed> {
        Ok(match self.any_length()? {
            Length::Plain(len) => {
                Chunk::Bytes(self.bytes(usize::try_from(len).map_err(|_| Malformed)?)?)
            }
            Length::Encoding(0) => Chunk::Int(i8::from_le_bytes(self.array()?).into()),
            Length::Encoding(1) => Chunk::Int(i16::from_le_bytes(self.array()?).into()),
            Length::Encoding(2) => Chunk::Int(i32::from_le_bytes(self.array()?).into()),
            Length::Encoding(3) => {
                let (packed, len) = (self.size()?, self.size()?);
                if len > self.unpacked_max {
                    return Err(Malformed);
                }
                Chunk::Unpacked(lzf::decompress(self.bytes(packed)?, len)?)
            }
            Length::Encoding(_) => return Err(Malformed),
        })
    }

    /// A time in Unix milliseconds.
    ///
    /// # Errors
    /// There is none.
    pub fn time_ms(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.array()?))
    }
}
