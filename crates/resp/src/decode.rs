//! The client's side: replies out of bytes, for tests, tools and the load generator.

use std::fmt;

use crate::number;
use crate::parser::short_line;
use crate::reply::{header, write_bulk};

/// Deepest nesting that [`decode`] follows.
const MAX_DEPTH: usize = 64;
/// Longest body in bytes, and largest number of elements.
const MAX_LENGTH: i64 = u32::MAX as i64;
/// Fewest bytes of a complete reply: `_\r\n`.
const MIN_REPLY: usize = 3;

/// A reply, of either version of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// `+`
    Simple(Vec<u8>),
    /// `-`
    Error(Vec<u8>),
    /// `!`
    BulkError(Vec<u8>),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `=`: the three bytes of the format, and the text.
    Verbatim([u8; 3], Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    /// `,`
    Double(f64),
    /// `#`
    Boolean(bool),
    /// `(`: decimal digits, perhaps with a sign.
    BigNumber(Vec<u8>),
    /// `*`
    Array(Vec<Frame>),
    /// `~`
    Set(Vec<Frame>),
    /// `>`: not the answer to a command.
    Push(Vec<Frame>),
    /// `%`
    Map(Vec<(Frame, Frame)>),
    /// `|`: attributes and the reply that they describe.
    Attribute(Vec<(Frame, Frame)>, Box<Frame>),
}

impl Frame {
    /// The bytes of a simple, bulk or verbatim string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) | Self::Verbatim(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether it stands for an absent value, in any form.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::NullBulk | Self::NullArray)
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_) | Self::BulkError(_))
    }

    /// Appends the encoded reply.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => line(out, b'+', text),
            Self::Error(text) => line(out, b'-', text),
            Self::BigNumber(digits) => line(out, b'(', digits),
            Self::Integer(value) => header(out, b':', *value),
            Self::Bulk(bytes) => write_bulk(out, bytes),
            Self::BulkError(bytes) => {
                header(out, b'!', bytes.len() as i64);
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::Verbatim(format, text) => {
                header(out, b'=', text.len() as i64 + 4);
                for part in [&format[..], b":", text, b"\r\n"] {
                    out.extend_from_slice(part);
                }
            }
            Self::NullBulk => out.extend_from_slice(b"$-1\r\n"),
            Self::NullArray => out.extend_from_slice(b"*-1\r\n"),
            Self::Null => out.extend_from_slice(b"_\r\n"),
            Self::Boolean(value) => line(out, b'#', if *value { b"t" } else { b"f" }),
            Self::Double(value) => {
                out.push(b',');
                number::write_f64(out, *value);
                out.extend_from_slice(b"\r\n");
            }
            Self::Array(items) => sequence(out, b'*', items),
            Self::Set(items) => sequence(out, b'~', items),
            Self::Push(items) => sequence(out, b'>', items),
            Self::Map(entries) => pairs(out, b'%', entries),
            Self::Attribute(entries, reply) => {
                pairs(out, b'|', entries);
                reply.encode(out);
            }
        }
    }
}

fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

fn sequence(out: &mut Vec<u8>, kind: u8, items: &[Frame]) {
    header(out, kind, items.len() as i64);
    items.iter().for_each(|item| item.encode(out));
}

fn pairs(out: &mut Vec<u8>, kind: u8, entries: &[(Frame, Frame)]) {
    header(out, kind, entries.len() as i64);
    for (key, value) in entries {
        key.encode(out);
        value.encode(out);
    }
}

/// Why bytes are not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// No type begins with this byte.
    UnknownType(u8),
    /// A number, length or boolean has the wrong form or is out of range.
    InvalidValue,
    /// A line or a body does not end in CRLF.
    MissingLineEnd,
    /// Replies are nested too deeply.
    TooDeep,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(byte) => write!(f, "unknown reply type '{}'", byte.escape_ascii()),
            Self::InvalidValue => f.write_str("invalid value in reply"),
            Self::MissingLineEnd => f.write_str("missing line end in reply"),
            Self::TooDeep => f.write_str("reply nested too deeply"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Decodes the reply at the start of `buf`: the reply and its length in bytes, or `None` if it is
/// incomplete. Nothing is allocated for elements that have not arrived.
///
/// # Errors
/// If the bytes are no reply, or nested deeper than 64 levels, or announce a length of 4 GiB or
/// more.
pub fn decode(buf: &[u8]) -> Result<Option<(Frame, usize)>, DecodeError> {
    let mut reader = Reader { buf, at: 0 };
    match reader.frame(MAX_DEPTH) {
        Ok(frame) => Ok(Some((frame, reader.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Invalid(error)) => Err(error),
    }
}

/// The length in bytes of the complete reply at the start of `buf`, or `None` if it is
/// incomplete. A push counts as a reply; attributes are part of the reply behind them. Only what
/// is needed to find the end is looked at.
///
/// # Errors
/// If a type or a length is invalid.
#[inline]
pub fn skip(buf: &[u8]) -> Result<Option<usize>, DecodeError> {
    let (mut at, mut left) = (0usize, 1u64);
    while left > 0 {
        let Some(&kind) = buf.get(at) else { return Ok(None) };
        left -= 1;
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => match find_line_feed(&buf[at..]) {
                Some(lf) => at += lf + 1,
                None => return Ok(None),
            },
            b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' | b'|' => {
                let Some((value, next)) = length(buf, at, kind)? else { return Ok(None) };
                at = next;
                match (kind, u64::try_from(value)) {
                    (_, Err(_)) => {}
                    (b'$' | b'=' | b'!', Ok(len)) => at += len as usize + 2,
                    (b'%', Ok(count)) => left = left.saturating_add(2 * count),
                    (b'|', Ok(count)) => left = left.saturating_add(2 * count + 1),
                    (_, Ok(count)) => left = left.saturating_add(count),
                }
            }
            other => return Err(DecodeError::UnknownType(other)),
        }
    }
    Ok((at <= buf.len()).then_some(at))
}

/// Most lines are shorter than what a vectorised search costs to begin.
#[inline]
fn find_line_feed(buf: &[u8]) -> Option<usize> {
    const SHORT: usize = 12;
    let near = buf.iter().take(SHORT).position(|&byte| byte == b'\n');
    near.or_else(|| memchr::memchr(b'\n', buf))
}

/// Reads `<kind><length>`: the length, -1 for an absent value, and the offset behind the line.
#[inline]
fn length(buf: &[u8], at: usize, kind: u8) -> Result<Option<(i64, usize)>, DecodeError> {
    if let Some(line) = short_line(buf, at, kind) {
        return Ok(line.value.map(|value| (value, line.next)));
    }
    let Some(lf) = memchr::memchr(b'\n', &buf[at..]) else { return Ok(None) };
    let line = buf[at + 1..at + lf].strip_suffix(b"\r").ok_or(DecodeError::MissingLineEnd)?;
    let value = number::parse_i64(line).ok_or(DecodeError::InvalidValue)?;
    let absent = value == -1 && matches!(kind, b'$' | b'*');
    if !absent && !(0..=MAX_LENGTH).contains(&value) {
        return Err(DecodeError::InvalidValue);
    }
    Ok(Some((value, at + lf + 1)))
}

/// Why decoding did not come to an end.
enum Stop {
    Incomplete,
    Invalid(DecodeError),
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Invalid(error)
    }
}

struct Reader<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn frame(&mut self, depth: usize) -> Result<Frame, Stop> {
        let depth = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let kind = *self.buf.get(self.at).ok_or(Stop::Incomplete)?;
        Ok(match kind {
            b'+' => Frame::Simple(self.line()?.to_vec()),
            b'-' => Frame::Error(self.line()?.to_vec()),
            b':' => Frame::Integer(self.integer()?),
            b'(' => Frame::BigNumber(self.big_number()?),
            b',' => Frame::Double(self.double()?),
            b'#' => Frame::Boolean(self.boolean()?),
            b'_' => self.null()?,
            b'$' => self.body(kind)?.map_or(Frame::NullBulk, |body| Frame::Bulk(body.to_vec())),
            b'!' => Frame::BulkError(self.body(kind)?.unwrap_or_default().to_vec()),
            b'=' => self.verbatim()?,
            b'*' => self.frames(kind, depth)?.map_or(Frame::NullArray, Frame::Array),
            b'~' => Frame::Set(self.frames(kind, depth)?.unwrap_or_default()),
            b'>' => Frame::Push(self.frames(kind, depth)?.unwrap_or_default()),
            b'%' => Frame::Map(self.pairs(kind, depth)?),
            b'|' => Frame::Attribute(self.pairs(kind, depth)?, Box::new(self.frame(depth)?)),
            other => return Err(DecodeError::UnknownType(other).into()),
        })
    }

    /// The text of the line under way, behind its type byte.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.buf[self.at..];
        let lf = memchr::memchr(b'\n', rest).ok_or(Stop::Incomplete)?;
        self.at += lf + 1;
        let text = rest[1..lf.max(1)].strip_suffix(b"\r");
        Ok(text.ok_or(DecodeError::MissingLineEnd)?)
    }

    fn length(&mut self, kind: u8) -> Result<i64, Stop> {
        let (value, next) = length(self.buf, self.at, kind)?.ok_or(Stop::Incomplete)?;
        self.at = next;
        Ok(value)
    }

    /// The body of a bulk string; `None` if it is absent.
    fn body(&mut self, kind: u8) -> Result<Option<&'a [u8]>, Stop> {
        let Ok(len) = usize::try_from(self.length(kind)?) else { return Ok(None) };
        let (body, rest) = self.buf[self.at..].split_at_checked(len).ok_or(Stop::Incomplete)?;
        match rest {
            [b'\r', b'\n', ..] => {
                self.at += len + 2;
                Ok(Some(body))
            }
            [] | [b'\r'] => Err(Stop::Incomplete),
            _ => Err(DecodeError::MissingLineEnd.into()),
        }
    }

    fn frames(&mut self, kind: u8, depth: usize) -> Result<Option<Vec<Frame>>, Stop> {
        let Ok(count) = usize::try_from(self.length(kind)?) else { return Ok(None) };
        let mut frames = Vec::with_capacity(self.plausible(count));
        for _ in 0..count {
            frames.push(self.frame(depth)?);
        }
        Ok(Some(frames))
    }

    fn pairs(&mut self, kind: u8, depth: usize) -> Result<Vec<(Frame, Frame)>, Stop> {
        let count = usize::try_from(self.length(kind)?).unwrap_or(0);
        let mut pairs = Vec::with_capacity(self.plausible(count));
        for _ in 0..count {
            pairs.push((self.frame(depth)?, self.frame(depth)?));
        }
        Ok(pairs)
    }

    /// As many of `count` elements as the remaining bytes can hold.
    fn plausible(&self, count: usize) -> usize {
        count.min((self.buf.len() - self.at) / MIN_REPLY)
    }

    fn integer(&mut self) -> Result<i64, Stop> {
        Ok(number::parse_i64(self.line()?).ok_or(DecodeError::InvalidValue)?)
    }

    fn big_number(&mut self) -> Result<Vec<u8>, Stop> {
        let text = self.line()?;
        let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(DecodeError::InvalidValue.into());
        }
        Ok(text.to_vec())
    }

    fn double(&mut self) -> Result<f64, Stop> {
        let text = std::str::from_utf8(self.line()?).map_err(|_| DecodeError::InvalidValue)?;
        Ok(text.parse().map_err(|_| DecodeError::InvalidValue)?)
    }

    fn boolean(&mut self) -> Result<bool, Stop> {
        match self.line()? {
            b"t" => Ok(true),
            b"f" => Ok(false),
            _ => Err(DecodeError::InvalidValue.into()),
        }
    }

    fn null(&mut self) -> Result<Frame, Stop> {
        match self.line()? {
            b"" => Ok(Frame::Null),
            _ => Err(DecodeError::InvalidValue.into()),
        }
    }

    fn verbatim(&mut self) -> Result<Frame, Stop> {
        match self.body(b'=')?.unwrap_or_default() {
            [a, b, c, b':', text @ ..] => Ok(Frame::Verbatim([*a, *b, *c], text.to_vec())),
            _ => Err(DecodeError::InvalidValue.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Output, Proto, Reply};
    use proptest::prelude::*;

    /// Decodes `text` whole, finds every proper prefix of it incomplete, and encodes it again.
    #[track_caller]
    fn check(text: &str, expected: Frame) {
        let bytes = text.as_bytes();
        assert_eq!(decode(bytes), Ok(Some((expected.clone(), bytes.len()))), "{text:?}");
        assert_eq!(skip(bytes), Ok(Some(bytes.len())), "{text:?}");
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Ok(None), "{text:?} cut at {cut}");
            assert_eq!(skip(&bytes[..cut]), Ok(None), "{text:?} cut at {cut}");
        }
        let mut encoded = Vec::new();
        expected.encode(&mut encoded);
        assert_eq!(encoded, bytes);
    }

    fn bulk(text: &str) -> Frame {
        Frame::Bulk(text.into())
    }

    #[test]
    fn scalars() {
        check("+OK\r\n", Frame::Simple("OK".into()));
        check("-ERR x\r\n", Frame::Error("ERR x".into()));
        check("!5\r\nERR x\r\n", Frame::BulkError("ERR x".into()));
        check(":-5\r\n", Frame::Integer(-5));
        check("$0\r\n\r\n", bulk(""));
        check("$11\r\nhello\r\nworl\r\n", bulk("hello\r\nworl"));
        check("$-1\r\n", Frame::NullBulk);
        check("*-1\r\n", Frame::NullArray);
        check("_\r\n", Frame::Null);
        check(",1.5\r\n", Frame::Double(1.5));
        check(",-inf\r\n", Frame::Double(f64::NEG_INFINITY));
        check("#t\r\n", Frame::Boolean(true));
        check(
            "(-123456789012345678901234\r\n",
            Frame::BigNumber("-123456789012345678901234".into()),
        );
        check("=7\r\ntxt:abc\r\n", Frame::Verbatim(*b"txt", "abc".into()));
    }

    #[test]
    fn aggregates() {
        check("*0\r\n", Frame::Array(vec![]));
        check("*2\r\n:1\r\n*1\r\n_\r\n", {
            Frame::Array(vec![Frame::Integer(1), Frame::Array(vec![Frame::Null])])
        });
        check("~1\r\n$1\r\na\r\n", Frame::Set(vec![bulk("a")]));
        check(">1\r\n+a\r\n", Frame::Push(vec![Frame::Simple("a".into())]));
        check("%1\r\n+a\r\n:1\r\n", {
            Frame::Map(vec![(Frame::Simple("a".into()), Frame::Integer(1))])
        });
        check("|1\r\n+a\r\n:1\r\n$1\r\nb\r\n", {
            let attributes = vec![(Frame::Simple("a".into()), Frame::Integer(1))];
            Frame::Attribute(attributes, Box::new(bulk("b")))
        });
    }

    #[test]
    fn invalid() {
        use DecodeError::*;
        for (text, error) in [
            ("?1\r\n", UnknownType(b'?')),
            (":a\r\n", InvalidValue),
            ("$-2\r\n", InvalidValue),
            ("%-1\r\n", InvalidValue),
            ("$4294967296\r\n", InvalidValue),
            ("$1\r\nabc", MissingLineEnd),
            ("+a\n", MissingLineEnd),
            ("#x\r\n", InvalidValue),
            ("_x\r\n", InvalidValue),
            (",x\r\n", InvalidValue),
            ("(1x\r\n", InvalidValue),
            ("=3\r\ntxt\r\n", InvalidValue),
        ] {
            assert_eq!(decode(text.as_bytes()), Err(error), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |levels| [b"*1\r\n".repeat(levels), b":1\r\n".to_vec()].concat();
        assert!(matches!(decode(&nested(MAX_DEPTH - 1)), Ok(Some(_))));
        assert_eq!(decode(&nested(MAX_DEPTH)), Err(DecodeError::TooDeep));
        assert_eq!(decode(&b"*1\r\n".repeat(100_000)), Err(DecodeError::TooDeep));
        assert_eq!(skip(&nested(100_000)), Ok(Some(400_004)));
    }

    #[test]
    fn announced_elements_are_not_allocated() {
        assert_eq!(decode(b"*4294967295\r\n"), Ok(None));
        assert_eq!(decode(b"%4294967295\r\n:1\r\n"), Ok(None));
    }

    fn frames() -> impl Strategy<Value = Frame> {
        let text = || proptest::collection::vec(b' '..=b'~', 0..12);
        let bytes = || proptest::collection::vec(any::<u8>(), 0..130);
        let leaf = prop_oneof![
            text().prop_map(Frame::Simple),
            text().prop_map(Frame::Error),
            bytes().prop_map(Frame::Bulk),
            bytes().prop_map(|text| Frame::Verbatim(*b"mkd", text)),
            any::<i64>().prop_map(Frame::Integer),
            any::<f64>().prop_map(Frame::Double),
            any::<bool>().prop_map(Frame::Boolean),
            Just(Frame::Null),
            Just(Frame::NullBulk),
            Just(Frame::NullArray),
        ];
        leaf.prop_recursive(4, 64, 12, |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..12);
            let pairs = proptest::collection::vec((inner.clone(), inner.clone()), 0..6);
            prop_oneof![
                list.clone().prop_map(Frame::Array),
                list.clone().prop_map(Frame::Set),
                list.prop_map(Frame::Push),
                pairs.clone().prop_map(Frame::Map),
                (pairs, inner).prop_map(|(pairs, reply)| Frame::Attribute(pairs, Box::new(reply))),
            ]
        })
    }

    /// Writes `frame` with the server's writer, in RESP3.
    fn write(reply: &mut Reply<'_, Vec<u8>>, frame: &Frame) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match frame {
            Frame::Simple(bytes) => reply.simple(&text(bytes)),
            Frame::Error(bytes) => reply.error(bytes),
            Frame::Bulk(bytes) if bytes.len() % 2 == 0 => reply.body(bytes.clone()),
            Frame::Bulk(bytes) => reply.bulk(bytes),
            Frame::Verbatim(format, bytes) => reply.verbatim(&text(format), bytes),
            Frame::Integer(value) => reply.integer(*value),
            Frame::Double(value) => reply.double(*value),
            Frame::Boolean(value) => reply.boolean(*value),
            Frame::Null => reply.null(),
            Frame::Array(items) => {
                reply.array(items.len());
                items.iter().for_each(|item| write(reply, item));
            }
            Frame::Set(items) => {
                let mark = reply.mark();
                items.iter().for_each(|item| write(reply, item));
                reply.set_at(mark, items.len());
            }
            Frame::Push(items) => {
                reply.push(items.len());
                items.iter().for_each(|item| write(reply, item));
            }
            Frame::Map(pairs) => {
                reply.map(pairs.len());
                write_pairs(reply, pairs);
            }
            Frame::Attribute(pairs, described) => {
                assert!(reply.attribute(pairs.len()));
                write_pairs(reply, pairs);
                write(reply, described);
            }
            other => {
                let mut encoded = Vec::new();
                other.encode(&mut encoded);
                reply.raw(&encoded);
            }
        }
    }

    fn write_pairs(reply: &mut Reply<'_, Vec<u8>>, pairs: &[(Frame, Frame)]) {
        for (key, value) in pairs {
            write(reply, key);
            write(reply, value);
        }
    }

    proptest! {
        #![proptest_config(crate::fixed_seed())]

        #[test]
        fn what_the_writer_writes_is_read_back(frame in frames()) {
            let mut out = Output::new();
            write(&mut Reply::new(&mut out, Proto::Resp3), &frame);
            let bytes = out.to_vec();
            let mut encoded = Vec::new();
            frame.encode(&mut encoded);
            prop_assert_eq!(&bytes, &encoded);
            prop_assert_eq!(skip(&bytes), Ok(Some(bytes.len())));
            prop_assert_eq!(decode(&bytes), Ok(Some((frame, bytes.len()))));
        }
    }
}
