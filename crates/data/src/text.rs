//! Strings as they come in and as they lie in a record.

use crate::Blob;

/// A string to be stored.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Bytes to be copied; stored as an integer if they are the canonical text of one.
    Bytes(&'a [u8]),
    /// Bytes to be copied and kept as bytes, as `INCRBYFLOAT` does.
    Verbatim(&'a [u8]),
    /// A body that is taken over without a copy where it is large enough.
    Blob(Blob),
    /// An integer.
    Int(i64),
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Text::Bytes(bytes)
    }
}

impl From<i64> for Text<'_> {
    fn from(value: i64) -> Self {
        Text::Int(value)
    }
}

impl From<Blob> for Text<'_> {
    fn from(blob: Blob) -> Self {
        Text::Blob(blob)
    }
}

/// The string of a record, borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StringRef<'a> {
    /// Kept as an integer; its text is the decimal one.
    Int(i64),
    /// Kept inside the record.
    Bytes(&'a [u8]),
    /// Kept as a body of its own, which replies may share.
    Blob(&'a Blob),
}

/// Room for the text of an integer.
pub type IntBuffer = itoa::Buffer;

impl<'a> StringRef<'a> {
    /// The bytes; `buffer` holds them if they are the text of an integer.
    #[inline]
    pub fn as_bytes<'b>(&self, buffer: &'b mut IntBuffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            StringRef::Int(value) => buffer.format(*value).as_bytes(),
            StringRef::Bytes(bytes) => bytes,
            StringRef::Blob(blob) => blob.as_bytes(),
        }
    }

    /// Length of the text in bytes.
    pub fn len(&self) -> usize {
        match self {
            StringRef::Int(value) => decimal_len(*value),
            StringRef::Bytes(bytes) => bytes.len(),
            StringRef::Blob(blob) => blob.len(),
        }
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the text.
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_bytes(&mut IntBuffer::new()).to_vec()
    }

    /// The integer that this is or spells, by the rules of [`parse_i64`](crate::number::parse_i64).
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            StringRef::Int(value) => Some(*value),
            StringRef::Bytes(bytes) => crate::number::parse_i64(bytes),
            StringRef::Blob(_) => None,
        }
    }
}

/// Characters of the decimal text of `value`.
fn decimal_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
    digits + usize::from(value < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_texts() {
        for value in [0, 1, -1, 9, 10, -10, 99, 100, i64::MAX, i64::MIN] {
            assert_eq!(StringRef::Int(value).len(), value.to_string().len());
            assert_eq!(StringRef::Int(value).to_vec(), value.to_string().as_bytes());
        }
    }
}
