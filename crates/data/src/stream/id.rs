//! Identifiers of stream entries.

use crate::text::IntBuffer;
use std::fmt;

/// The longest text that is taken for an id, in bytes.
const TEXT_MAX: usize = 127;

/// The id of an entry: Unix milliseconds and a number within the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct StreamId {
    /// Milliseconds; whoever gives ids himself may count otherwise.
    pub ms: u64,
    /// Tells entries of one millisecond apart.
    pub seq: u64,
}

impl StreamId {
    /// Below all entries: no entry has it.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The greatest id.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// An id of its two parts.
    #[inline]
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The id in the order of its bytes, as files have it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let id = u128::from_be_bytes(bytes);
        Self::new((id >> 64) as u64, id as u64)
    }

    /// The id that follows; none after the greatest.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => match self.ms.checked_add(1) {
                Some(ms) => Some(Self { ms, seq: 0 }),
                None => None,
            },
        }
    }

    /// The id before; none before the smallest.
    #[inline]
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => match self.ms.checked_sub(1) {
                Some(ms) => Some(Self { ms, seq: u64::MAX }),
                None => None,
            },
        }
    }

    /// The id that a text spells: `<ms>-<seq>`, or `<ms>` alone with `seq` for the missing part.
    /// Numbers are read as leniently as by `string2ull`, and up to a zero byte.
    #[must_use]
    pub fn parse(text: &[u8], seq: u64) -> Option<Self> {
        let text = meant(text)?;
        match text.iter().position(|&byte| byte == b'-') {
            None => Some(Self { ms: parse_u64(text)?, seq }),
            Some(dash) => {
                Some(Self { ms: parse_u64(&text[..dash])?, seq: parse_u64(&text[dash + 1..])? })
            }
        }
    }

    /// The milliseconds of `<ms>-*`.
    #[must_use]
    pub fn parse_auto_sequence(text: &[u8]) -> Option<u64> {
        let ms = meant(text)?.strip_suffix(b"-*")?;
        if ms.contains(&b'-') { None } else { parse_u64(ms) }
    }

    /// Its text, written to `buffer`.
    #[inline]
    pub fn text(self, buffer: &mut IdBuffer) -> &[u8] {
        let mut len = 0;
        let mut write = |part: &[u8]| {
            buffer.0[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        };
        let mut number = IntBuffer::new();
        write(number.format(self.ms).as_bytes());
        write(b"-");
        write(number.format(self.seq).as_bytes());
        &buffer.0[..len]
    }

    /// How far it is behind `base`, as an entry tells it. Ids of one node ascend, but `seq` may
    /// begin again, so differences wrap.
    #[inline]
    pub(super) const fn minus(self, base: Self) -> (i64, i64) {
        (self.ms.wrapping_sub(base.ms) as i64, self.seq.wrapping_sub(base.seq) as i64)
    }

    /// The reverse of [`minus`](Self::minus).
    #[inline]
    pub(super) const fn plus(self, ms: i64, seq: i64) -> Self {
        Self { ms: self.ms.wrapping_add(ms as u64), seq: self.seq.wrapping_add(seq as u64) }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Room for the text of a [`StreamId`].
pub struct IdBuffer([u8; 41]);

impl IdBuffer {
    /// Room.
    #[must_use]
    pub fn new() -> Self {
        Self([0; 41])
    }
}

impl Default for IdBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// The part of an argument that is looked at; none if it is too long to be an id.
fn meant(text: &[u8]) -> Option<&[u8]> {
    if text.len() > TEXT_MAX {
        return None;
    }
    text.split(|&byte| byte == 0).next()
}

/// A number as `string2ull` of Redis reads it: what is no canonical integer goes to `strtoull`,
/// which allows for blanks in front, a sign and leading zeros, and negates modulo 2^64.
fn parse_u64(text: &[u8]) -> Option<u64> {
    if let Some(value) = crate::number::parse_i64(text) {
        return u64::try_from(value).ok();
    }
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let text = &text[blanks..];
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(digit.into())
    })?;
    Some(if negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<StreamId> {
        StreamId::parse(text.as_bytes(), 7)
    }

    #[test]
    fn texts_are_read_as_by_redis() {
        let id = |ms, seq| Some(StreamId { ms, seq });
        for (text, expected) in [
            ("5-3", id(5, 3)),
            ("5", id(5, 7)),
            ("0-0", id(0, 0)),
            ("18446744073709551615-18446744073709551615", Some(StreamId::MAX)),
            ("18446744073709551616", None),
            ("007-+3", id(7, 3)),
            (" 5- 6", id(5, 6)),
            ("5-", None),
            ("-5", None),
            ("-", None),
            ("+", None),
            ("+5", id(5, 7)),
            ("1--5", None),
            ("1--0", id(1, 0)),
            ("1-5-6", None),
            ("1-*", None),
            ("5-3\0rest", id(5, 3)),
            ("", None),
            ("a", None),
            ("1.5", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
        assert_eq!(parse(&"0".repeat(127)), id(0, 7));
        assert_eq!(parse(&"0".repeat(128)), None);
    }

    #[test]
    fn a_star_leaves_the_sequence_open() {
        for (text, expected) in
            [("5-*", Some(5)), ("*", None), ("5*", None), ("5-1*", None), ("-5-*", None)]
        {
            assert_eq!(StreamId::parse_auto_sequence(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn neighbours() {
        let max = u64::MAX;
        for (id, next) in [
            (StreamId::new(1, 1), Some(StreamId::new(1, 2))),
            (StreamId::new(1, max), Some(StreamId::new(2, 0))),
            (StreamId::MAX, None),
        ] {
            assert_eq!(id.next(), next);
            if let Some(next) = next {
                assert_eq!(next.previous(), Some(id));
            }
        }
        assert_eq!(StreamId::MIN.previous(), None);
    }

    #[test]
    fn texts_come_back() {
        let mut buffer = IdBuffer::new();
        for id in [StreamId::MIN, StreamId::MAX, StreamId::new(1_700_000_000_000, 12)] {
            assert_eq!(StreamId::parse(id.text(&mut buffer), 0), Some(id));
            assert_eq!(id.to_string().as_bytes(), id.text(&mut buffer));
        }
    }
}
