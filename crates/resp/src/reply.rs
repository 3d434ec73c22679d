//! Writing replies, in the version of the protocol that the client speaks.

use crate::number;
use crate::output::{Mark, Output};

/// Version of the protocol that a connection speaks; `HELLO` changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proto {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// Typed replies: maps, sets, doubles, booleans, pushes.
    Resp3,
}

/// Bodies below this many bytes are copied by [`Reply::shared`]: up to here the copy costs less
/// than a reference count shared between cores and a slice of its own in the gathered write.
pub const SHARE_FROM: usize = 2048;

/// Room for a header: a type byte, an `i64`, CRLF.
const HEADER: usize = 32;

/// Writes one reply, or several, to the end of an [`Output`].
///
/// Types that RESP2 lacks are written as Redis 7.2 does: a map as a flat array, a double as a
/// bulk string, a boolean as `:1` or `:0`. Aggregates are written as a header; their elements
/// follow by further calls.
#[derive(Debug)]
pub struct Reply<'a, B> {
    out: &'a mut Output<B>,
    proto: Proto,
}

impl<'a, B: AsRef<[u8]> + Clone> Reply<'a, B> {
    /// A writer to the end of `out`.
    #[inline]
    pub fn new(out: &'a mut Output<B>, proto: Proto) -> Self {
        Self { out, proto }
    }

    /// The version of the protocol in which replies are written.
    #[inline]
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// The output that is written to.
    pub fn output(&mut self) -> &mut Output<B> {
        self.out
    }

    /// The present end of the output.
    #[inline]
    pub fn mark(&self) -> Mark {
        self.out.mark()
    }

    /// Takes back everything written since `mark`.
    #[inline]
    pub fn rewind(&mut self, mark: Mark) {
        self.out.rewind(mark);
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend(b"+OK\r\n");
    }

    /// A status line. Line breaks in it become blanks.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error: `text` begins with its code (`ERR …`), without the `-` of the protocol. Line
    /// breaks at the end are dropped, others become blanks.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'-', text.as_ref());
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        header(self.out.bytes_mut(), b':', value);
    }

    /// A bulk string, copied.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        write_bulk(self.out.bytes_mut(), bytes);
    }

    /// A bulk string whose body is sent from where it lies. For bodies that may be small,
    /// [`Reply::shared`] decides.
    pub fn body(&mut self, body: B) {
        header(self.out.bytes_mut(), b'$', body.as_ref().len() as i64);
        self.out.push_body(body);
        self.out.extend(b"\r\n");
    }

    /// A bulk string, copied below [`SHARE_FROM`] bytes and otherwise sent from where it lies.
    #[inline]
    pub fn shared(&mut self, body: &B) {
        if body.as_ref().len() < SHARE_FROM {
            self.bulk(body.as_ref());
        } else {
            self.body(body.clone());
        }
    }

    /// The absence of a value: `$-1`, in RESP3 `_`.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend(match self.proto {
            Proto::Resp2 => b"$-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// The absence of an array: `*-1`, in RESP3 `_`.
    #[inline]
    pub fn null_array(&mut self) {
        self.out.extend(match self.proto {
            Proto::Resp2 => b"*-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// An array of `count` elements, which follow.
    #[inline]
    pub fn array(&mut self, count: usize) {
        header(self.out.bytes_mut(), b'*', count as i64);
    }

    /// A map of `count` pairs, which follow as key, value, key, value; in RESP2 an array of
    /// twice as many elements.
    #[inline]
    pub fn map(&mut self, count: usize) {
        let (kind, count) = self.map_header(count);
        header(self.out.bytes_mut(), kind, count);
    }

    /// A set of `count` elements, which follow; in RESP2 an array.
    #[inline]
    pub fn set(&mut self, count: usize) {
        let kind = self.typed(b'~');
        header(self.out.bytes_mut(), kind, count as i64);
    }

    /// A push of `count` elements, which follow; in RESP2 an array.
    #[inline]
    pub fn push(&mut self, count: usize) {
        let kind = self.typed(b'>');
        header(self.out.bytes_mut(), kind, count as i64);
    }

    /// The header of an array placed at `mark`, when the `count` elements were written since.
    pub fn array_at(&mut self, mark: Mark, count: usize) {
        self.header_at(mark, b'*', count as i64);
    }

    /// The header of a map placed at `mark`, when its `count` pairs were written since.
    pub fn map_at(&mut self, mark: Mark, count: usize) {
        let (kind, count) = self.map_header(count);
        self.header_at(mark, kind, count);
    }

    /// The header of a set placed at `mark`, when the `count` elements were written since.
    pub fn set_at(&mut self, mark: Mark, count: usize) {
        self.header_at(mark, self.typed(b'~'), count as i64);
    }

    /// Attributes of the reply that comes next: `count` pairs, which follow. RESP2 has none:
    /// then nothing is written, and `false` tells the caller to leave out the pairs.
    #[must_use]
    pub fn attribute(&mut self, count: usize) -> bool {
        if self.proto == Proto::Resp3 {
            header(self.out.bytes_mut(), b'|', count as i64);
        }
        self.proto == Proto::Resp3
    }

    /// A double; in RESP2 a bulk string of the same text.
    pub fn double(&mut self, value: f64) {
        match self.proto {
            Proto::Resp2 => self.bulk_double(value),
            Proto::Resp3 => {
                let out = self.out.bytes_mut();
                out.push(b',');
                number::write_f64(out, value);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A double that the caller has formatted; in RESP2 a bulk string.
    pub fn double_text(&mut self, text: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(text.as_bytes()),
            Proto::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// A bulk string with the text of a double, in both versions.
    pub fn bulk_double(&mut self, value: f64) {
        let out = self.out.bytes_mut();
        let start = out.len();
        // The text is never longer than two digits can say; with one digit, the other goes.
        out.extend_from_slice(b"$00\r\n");
        let body = out.len();
        number::write_f64(out, value);
        let len = (out.len() - body) as u8;
        out[start + 1] += len / 10;
        out[start + 2] += len % 10;
        if len < 10 {
            out.remove(start + 1);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// A boolean; in RESP2 the integers 1 and 0.
    pub fn boolean(&mut self, value: bool) {
        self.out.extend(match (self.proto, value) {
            (Proto::Resp2, true) => b":1\r\n",
            (Proto::Resp2, false) => b":0\r\n",
            (Proto::Resp3, true) => b"#t\r\n",
            (Proto::Resp3, false) => b"#f\r\n",
        });
    }

    /// An integer of any size, given as decimal text; in RESP2 a bulk string.
    pub fn big_number(&mut self, digits: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(digits.as_bytes()),
            Proto::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }

    /// Text for people. `format` is `txt` or `mkd`: three bytes, cut or filled with blanks to
    /// that. In RESP2 a bulk string without it.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if self.proto == Proto::Resp2 {
            return self.bulk(text);
        }
        let mut prefix = *b"   :";
        for (to, &from) in prefix[..3].iter_mut().zip(format.as_bytes()) {
            *to = from;
        }
        let out = self.out.bytes_mut();
        out.reserve(text.len() + HEADER);
        header(out, b'=', (text.len() + prefix.len()) as i64);
        out.extend_from_slice(&prefix);
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    }

    /// A bulk string with the text of an integer.
    #[inline]
    pub fn bulk_integer(&mut self, value: i64) {
        write_bulk(self.out.bytes_mut(), itoa::Buffer::new().format(value).as_bytes());
    }

    /// Bytes that are already encoded.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend(encoded);
    }

    /// `kind` where the version has types for aggregates, otherwise that of an array.
    fn typed(&self, kind: u8) -> u8 {
        match self.proto {
            Proto::Resp2 => b'*',
            Proto::Resp3 => kind,
        }
    }

    fn map_header(&self, pairs: usize) -> (u8, i64) {
        match self.proto {
            Proto::Resp2 => (b'*', 2 * pairs as i64),
            Proto::Resp3 => (b'%', pairs as i64),
        }
    }

    fn header_at(&mut self, mark: Mark, kind: u8, count: i64) {
        let mut front = Vec::with_capacity(HEADER);
        header(&mut front, kind, count);
        self.out.insert(mark, &front);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        let out = self.out.bytes_mut();
        let end = text.iter().rposition(|byte| !is_line_break(byte)).map_or(0, |last| last + 1);
        out.reserve(end + 3);
        out.push(kind);
        let start = out.len();
        out.extend_from_slice(&text[..end]);
        for byte in out[start..].iter_mut().filter(|byte| is_line_break(byte)) {
            *byte = b' ';
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn is_line_break(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Appends `<kind><value>\r\n`.
#[inline]
pub(crate) fn header(out: &mut Vec<u8>, kind: u8, value: i64) {
    match value {
        0..=9 => out.extend_from_slice(&[kind, b'0' + value as u8, b'\r', b'\n']),
        10..=99 => {
            let (tens, ones) = (value as u8 / 10, value as u8 % 10);
            out.extend_from_slice(&[kind, b'0' + tens, b'0' + ones, b'\r', b'\n']);
        }
        _ => long_header(out, kind, value),
    }
}

fn long_header(out: &mut Vec<u8>, kind: u8, value: i64) {
    out.reserve(HEADER);
    out.push(kind);
    number::write_i64(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
#[inline]
pub(crate) fn write_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + HEADER);
    header(out, b'$', bytes.len() as i64);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends a command as clients send it: an array of bulk strings.
pub fn write_command(out: &mut Vec<u8>, args: &[impl AsRef<[u8]>]) {
    header(out, b'*', args.len() as i64);
    for arg in args {
        write_bulk(out, arg.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Shared = std::sync::Arc<[u8]>;

    /// Checks what `write` writes in RESP2 and in RESP3.
    #[track_caller]
    fn check(resp2: &str, resp3: &str, write: impl Fn(&mut Reply<'_, Shared>)) {
        for (proto, expected) in [(Proto::Resp2, resp2), (Proto::Resp3, resp3)] {
            let mut out = Output::new();
            write(&mut Reply::new(&mut out, proto));
            assert_eq!(String::from_utf8(out.to_vec()).unwrap(), expected, "{proto:?}");
        }
    }

    #[track_caller]
    fn check_both(expected: &str, write: impl Fn(&mut Reply<'_, Shared>)) {
        check(expected, expected, write);
    }

    #[test]
    fn lines() {
        check_both("+OK\r\n", |reply| reply.ok());
        check_both("+PONG\r\n", |reply| reply.simple("PONG"));
        check_both("-ERR a  b\r\n", |reply| reply.error("ERR a\r\nb\r\n\n"));
        check_both("-\r\n", |reply| reply.error("\r\n"));
        check_both("-ERR x\r\n", |reply| reply.error(b"ERR x"));
    }

    #[test]
    fn integers() {
        for value in [0, 9, 10, 99, 100, -1, i64::MAX, i64::MIN] {
            check_both(&format!(":{value}\r\n"), |reply| reply.integer(value));
            let text = value.to_string();
            let bulk = format!("${}\r\n{text}\r\n", text.len());
            check_both(&bulk, |reply| reply.bulk_integer(value));
        }
    }

    #[test]
    fn bulks() {
        check_both("$0\r\n\r\n", |reply| reply.bulk(b""));
        check_both("$3\r\nabc\r\n", |reply| reply.bulk(b"abc"));
        check_both("$3\r\nabc\r\n", |reply| reply.body(b"abc"[..].into()));
        check_both("$0\r\n\r\n", |reply| reply.body(b""[..].into()));
        let long = "x".repeat(SHARE_FROM);
        let encoded = format!("${SHARE_FROM}\r\n{long}\r\n");
        check_both(&encoded, |reply| reply.bulk(long.as_bytes()));
        check_both(&encoded, |reply| reply.shared(&long.as_bytes().into()));
    }

    #[test]
    fn only_long_bodies_are_shared() {
        let mut out = Output::new();
        let (short, long): (Shared, Shared) =
            (vec![0; SHARE_FROM - 1].into(), vec![0; SHARE_FROM].into());
        let mut reply = Reply::new(&mut out, Proto::Resp2);
        reply.shared(&short);
        reply.shared(&long);
        assert_eq!(std::sync::Arc::strong_count(&short), 1);
        assert_eq!(std::sync::Arc::strong_count(&long), 2);
    }

    #[test]
    fn absence() {
        check("$-1\r\n", "_\r\n", |reply| reply.null());
        check("*-1\r\n", "_\r\n", |reply| reply.null_array());
    }

    #[test]
    fn aggregates() {
        check_both("*2\r\n", |reply| reply.array(2));
        check("*14\r\n", "%7\r\n", |reply| reply.map(7));
        check("*3\r\n", "~3\r\n", |reply| reply.set(3));
        check("*3\r\n", ">3\r\n", |reply| reply.push(3));
        check("", "|1\r\n+a\r\n:1\r\n", |reply| {
            if reply.attribute(1) {
                reply.simple("a");
                reply.integer(1);
            }
        });
    }

    #[test]
    fn headers_placed_afterwards() {
        check_both("+x\r\n*2\r\n:1\r\n$1\r\nb\r\n", |reply| {
            reply.simple("x");
            let mark = reply.mark();
            reply.integer(1);
            reply.body(b"b"[..].into());
            reply.array_at(mark, 2);
        });
        check("*2\r\n:1\r\n:2\r\n", "%1\r\n:1\r\n:2\r\n", |reply| {
            let mark = reply.mark();
            reply.integer(1);
            reply.integer(2);
            reply.map_at(mark, 1);
        });
        check("*0\r\n", "~0\r\n", |reply| {
            let mark = reply.mark();
            reply.set_at(mark, 0);
        });
    }

    #[test]
    fn scalars_that_resp2_lacks() {
        check("$4\r\n3.25\r\n", ",3.25\r\n", |reply| reply.double(3.25));
        check("$3\r\ninf\r\n", ",inf\r\n", |reply| reply.double(f64::INFINITY));
        check("$2\r\n17\r\n", ",17\r\n", |reply| reply.double(17.0));
        check("$3\r\n0.1\r\n", ",0.1\r\n", |reply| reply.double_text("0.1"));
        check_both("$3\r\n1.5\r\n", |reply| reply.bulk_double(1.5));
        check_both("$10\r\n0.12345678\r\n", |reply| reply.bulk_double(0.12345678));
        let longest = "-1.7976931348623157e+308";
        check_both(&format!("$24\r\n{longest}\r\n"), |reply| reply.bulk_double(f64::MIN));
        check(":1\r\n", "#t\r\n", |reply| reply.boolean(true));
        check(":0\r\n", "#f\r\n", |reply| reply.boolean(false));
        check("$3\r\n123\r\n", "(123\r\n", |reply| reply.big_number("123"));
        check("$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n", |reply| reply.verbatim("txt", b"hi"));
    }

    #[test]
    fn commands() {
        let mut out = Vec::new();
        write_command(&mut out, &["SET", "k", ""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }
}
