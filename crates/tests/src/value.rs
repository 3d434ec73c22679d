//! Replies as a client sees them, in RESP2 and RESP3.

use std::fmt;

/// One reply.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `+text`
    Simple(Vec<u8>),
    /// `-text` and RESP3's `!length`
    Error(Vec<u8>),
    /// `:number`
    Integer(i64),
    /// `$length`
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` and RESP3's `_`
    Null,
    /// `*count`
    Array(Vec<Value>),
    /// `%count`: keys and values in the order in which they came
    Map(Vec<(Value, Value)>),
    /// `~count`
    Set(Vec<Value>),
    /// `>count`
    Push(Vec<Value>),
    /// `,number`, as text
    Double(Vec<u8>),
    /// `#t` and `#f`
    Boolean(bool),
    /// `(number`
    BigNumber(Vec<u8>),
    /// `=length`, with its three letters of format
    Verbatim(Vec<u8>),
}

/// The bytes are not RESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a reply: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Reads one reply from the start of `bytes` and says how long it is; `None` while it is
/// incomplete. An attribute in front of a reply is dropped.
pub fn decode(bytes: &[u8]) -> Result<Option<(Value, usize)>, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    match reader.value() {
        Ok(value) => Ok(Some((value, reader.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Malformed(why)) => Err(Malformed(why)),
    }
}

enum Stop {
    Incomplete,
    Malformed(String),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value, Stop> {
        let line = self.line()?;
        let Some((&kind, rest)) = line.split_first() else {
            return Err(Stop::Malformed("empty line".into()));
        };
        Ok(match kind {
            b'+' => Value::Simple(rest.to_vec()),
            b'-' => Value::Error(rest.to_vec()),
            b':' => Value::Integer(number(rest)?),
            b'$' => self.blob(rest)?.map_or(Value::Null, Value::Bulk),
            b'!' => self.blob(rest)?.map_or(Value::Null, Value::Error),
            b'=' => self.blob(rest)?.map_or(Value::Null, Value::Verbatim),
            b'*' => self.values(rest)?.map_or(Value::Null, Value::Array),
            b'~' => self.values(rest)?.map_or(Value::Null, Value::Set),
            b'>' => self.values(rest)?.map_or(Value::Null, Value::Push),
            b'%' => Value::Map(self.pairs(rest)?),
            b'|' => {
                self.pairs(rest)?;
                self.value()?
            }
            b'_' => Value::Null,
            b',' => Value::Double(rest.to_vec()),
            b'#' => Value::Boolean(rest == b"t"),
            b'(' => Value::BigNumber(rest.to_vec()),
            _ => return Err(Stop::Malformed(format!("{:?}", line.escape_ascii().to_string()))),
        })
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or(Stop::Incomplete)?;
        self.at += end + 2;
        Ok(&rest[..end])
    }

    fn blob(&mut self, header: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        let Ok(length) = usize::try_from(number(header)?) else { return Ok(None) };
        let rest = &self.bytes[self.at..];
        let body = rest.get(..length).ok_or(Stop::Incomplete)?;
        match rest.get(length..length + 2) {
            None => Err(Stop::Incomplete),
            Some(b"\r\n") => {
                self.at += length + 2;
                Ok(Some(body.to_vec()))
            }
            Some(_) => Err(Stop::Malformed("a bulk does not end in CRLF".into())),
        }
    }

    fn values(&mut self, header: &[u8]) -> Result<Option<Vec<Value>>, Stop> {
        let Ok(count) = usize::try_from(number(header)?) else { return Ok(None) };
        (0..count).map(|_| self.value()).collect::<Result<_, _>>().map(Some)
    }

    fn pairs(&mut self, header: &[u8]) -> Result<Vec<(Value, Value)>, Stop> {
        let count = usize::try_from(number(header)?).unwrap_or(0);
        (0..count).map(|_| Ok((self.value()?, self.value()?))).collect()
    }
}

fn number(text: &[u8]) -> Result<i64, Stop> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        Stop::Malformed(format!("{:?} is no number", text.escape_ascii().to_string()))
    })
}

impl Value {
    /// The bytes of a text, a bulk or an error.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(b) | Value::Error(b) | Value::Bulk(b) | Value::Verbatim(b) => Some(b),
            _ => None,
        }
    }

    /// The bytes as text, lossily; empty where there are none.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes().unwrap_or_default()).into_owned()
    }

    /// The number of an integer reply.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Integer(n) => Some(*n),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => Some(items),
            _ => None,
        }
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    /// Whether this is `+OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Value::Simple(text) if text == b"OK")
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Simple(b) => write!(f, "+{}", shown(b)),
            Value::Error(b) => write!(f, "-{}", shown(b)),
            Value::Integer(n) => write!(f, ":{n}"),
            Value::Bulk(b) => write!(f, "\"{}\"", shown(b)),
            Value::Null => write!(f, "(nil)"),
            Value::Array(items) => f.debug_list().entries(items).finish(),
            Value::Map(pairs) => f.debug_map().entries(pairs.iter().map(|(k, v)| (k, v))).finish(),
            Value::Set(items) => f.debug_set().entries(items).finish(),
            Value::Push(items) => f.debug_tuple("push").field(items).finish(),
            Value::Double(b) => write!(f, ",{}", shown(b)),
            Value::Boolean(b) => write!(f, "#{b}"),
            Value::BigNumber(b) => write!(f, "({}", shown(b)),
            Value::Verbatim(b) => write!(f, "={}", shown(b)),
        }
    }
}

/// Bytes for people: escaped, and cut where they are long.
pub fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 160;
    let escaped = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\'", "'");
    if bytes.len() <= LONGEST {
        return escaped(bytes);
    }
    format!("{}… ({} bytes)", escaped(&bytes[..LONGEST]), bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_of_a_reply_is_incomplete_and_the_whole_is_not() {
        let reply = b"*5\r\n$3\r\na\r\n\r\n%1\r\n+k\r\n:-7\r\n,1.5\r\n=5\r\ntxt:x\r\n_\r\n";
        for cut in 0..reply.len() {
            assert_eq!(decode(&reply[..cut]), Ok(None), "cut at {cut}");
        }
        let (value, length) = decode(reply).unwrap().unwrap();
        assert_eq!(length, reply.len());
        assert_eq!(value.items().unwrap().len(), 5);
    }

    #[test]
    fn a_bulk_without_its_end_is_malformed() {
        assert!(decode(b"$1\r\nabc").is_err());
    }
}
