//! What must hold for any bytes: the body of the fuzz targets, also run on seeded inputs by the
//! ordinary tests. Each function panics where something does not hold.

use crate::decode::{self, Frame};
use crate::inline;
use crate::number;
use crate::{Limits, Need, Parser, ProtocolError, Span, Step};

/// The bytes at the front of an input that choose limits and cuts.
const CONTROL: usize = 8;

/// What a connection's bytes mean: its commands, and the error that ended them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Meaning {
    commands: Vec<Vec<Vec<u8>>>,
    error: Option<ProtocolError>,
}

/// How a connection receives its bytes.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    /// Chooses the lengths of the pieces.
    cuts: u64,
    /// Longest piece in bytes.
    longest: usize,
    /// Whether the body of a last argument is received apart from the buffer.
    apart: bool,
    /// Whether consumed bytes are dropped from the front of the buffer.
    compact: bool,
}

/// The same bytes must mean the same however they are cut, and what the plain parser below says.
pub fn parser(data: &[u8]) {
    let Some((control, stream)) = data.split_first_chunk::<CONTROL>() else { return };
    let [flags, longest, ..] = *control;
    let limits = limits(flags);
    let expected = plain(stream, &limits);
    let whole = Delivery { cuts: 1, longest: stream.len().max(1), apart: false, compact: false };
    let pieces = Delivery {
        cuts: u64::from_le_bytes(*control) | 1,
        longest: usize::from(longest).max(1),
        apart: flags & 4 != 0,
        compact: flags & 8 != 0,
    };
    let bytes = Delivery { longest: 1, ..pieces };
    for delivery in [whole, pieces, bytes] {
        assert_eq!(receive(stream, &limits, delivery), expected, "{delivery:?}");
    }
}

/// Whatever decodes is as long as [`decode::skip`] says, and is the same after encoding it.
pub fn decoder(data: &[u8]) {
    let skipped = decode::skip(data);
    let Ok(Some((frame, len))) = decode::decode(data) else { return };
    assert_eq!(skipped, Ok(Some(len)));
    assert_eq!(decode::decode(&data[..len - 1]), Ok(None));
    let mut encoded = Vec::new();
    frame.encode(&mut encoded);
    match decode::decode(&encoded) {
        Ok(Some((again, length))) => {
            assert_eq!(length, encoded.len());
            assert_eq!(text(&again), text(&frame));
        }
        other => panic!("{frame:?} was encoded as {encoded:?} and gives {other:?}"),
    }
}

/// Frames as text, in which `nan` equals itself.
fn text(frame: &Frame) -> String {
    format!("{frame:?}")
}

/// Small limits for some inputs, so that they are reached.
fn limits(flags: u8) -> Limits {
    let mut limits = match flags & 1 {
        0 => Limits::authenticated(512 * 1024 * 1024),
        _ => Limits::unauthenticated(),
    };
    if flags & 2 != 0 {
        (limits.inline, limits.multibulk, limits.bulk) = (24, 12, 100);
    }
    limits
}

/// Receives `stream` in pieces, as a connection does.
fn receive(stream: &[u8], limits: &Limits, delivery: Delivery) -> Meaning {
    let mut random = delivery.cuts;
    let mut connection = Connection::default();
    let mut rest = stream;
    while !rest.is_empty() && connection.meaning.error.is_none() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let len = 1 + (random % delivery.longest as u64) as usize;
        let (piece, later) = rest.split_at(len.min(rest.len()));
        connection.buf.extend_from_slice(piece);
        rest = later;
        rest = connection.parse(rest, limits, delivery);
    }
    connection.meaning
}

#[derive(Default)]
struct Connection {
    parser: Parser,
    buf: Vec<u8>,
    from: usize,
    meaning: Meaning,
}

impl Connection {
    /// Parses what is buffered. Gives back what is left of `rest`, the bytes not yet received,
    /// part of which may have been received apart.
    fn parse<'a>(&mut self, rest: &'a [u8], limits: &Limits, delivery: Delivery) -> &'a [u8] {
        // Arguments of an earlier command: they must stay as they are.
        let mut args = vec![Span::default()];
        loop {
            args.truncate(1);
            match self.parser.parse(&self.buf, self.from, limits, &mut args) {
                Err(error) => {
                    assert_eq!(args, [Span::default()]);
                    self.meaning.error = Some(error);
                    return rest;
                }
                Ok(Step::Command { end }) => {
                    assert!(args.len() > 1);
                    self.command(&args[1..], end);
                }
                Ok(Step::Quoted { end, args: quoted }) => {
                    let args = quoted.args.iter().map(|arg| arg.of(&quoted.bytes).to_vec());
                    self.meaning.commands.push(args.collect());
                    self.from = end;
                }
                Ok(Step::Skip { end }) => self.from = end,
                Ok(Step::Incomplete(need)) => {
                    assert_eq!(args, [Span::default()]);
                    return self.incomplete(need, rest, delivery);
                }
            }
            assert!(self.from <= self.buf.len());
            if delivery.compact {
                self.buf.drain(..std::mem::take(&mut self.from));
            }
        }
    }

    fn command(&mut self, args: &[Span], end: usize) {
        let args = args.iter().map(|arg| arg.of(&self.buf).to_vec()).collect();
        self.meaning.commands.push(args);
        self.from = end;
    }

    fn incomplete<'a>(&mut self, need: Need, rest: &'a [u8], delivery: Delivery) -> &'a [u8] {
        match need {
            Need::More => rest,
            Need::Bytes(total) => {
                assert!(total > self.buf.len());
                rest
            }
            Need::Tail { start, len, args_before } => {
                assert!(start <= self.buf.len() && start + len + 2 > self.buf.len());
                assert_eq!(args_before, self.parser.pending().len());
                if delivery.apart { self.receive_apart(start, len, rest) } else { rest }
            }
        }
    }

    /// Takes the body of the last argument out of `rest` instead of buffering it.
    fn receive_apart<'a>(&mut self, start: usize, len: usize, rest: &'a [u8]) -> &'a [u8] {
        let missing = start + len + 2 - self.buf.len();
        let Some((more, later)) = rest.split_at_checked(missing) else { return rest };
        let pending = self.parser.pending().iter();
        let mut args: Vec<Vec<u8>> =
            pending.map(|arg| arg.of(&self.buf[self.from..]).to_vec()).collect();
        let mut body = [&self.buf[start..], more].concat();
        body.truncate(len);
        args.push(body);
        self.meaning.commands.push(args);
        self.parser.reset();
        self.buf.clear();
        self.from = 0;
        later
    }
}

/// The plain parser: everything at once, one way for each rule.
fn plain(stream: &[u8], limits: &Limits) -> Meaning {
    let mut meaning = Meaning::default();
    let mut rest = stream;
    while !rest.is_empty() && meaning.error.is_none() {
        match plain_command(&mut rest, limits) {
            Ok(Some(args)) if args.is_empty() => {}
            Ok(Some(args)) => meaning.commands.push(args),
            Ok(None) => break,
            Err(error) => meaning.error = Some(error),
        }
    }
    meaning
}

/// Takes one command off `rest`; `None` if it is incomplete.
fn plain_command(rest: &mut &[u8], limits: &Limits) -> Result<Option<Vec<Vec<u8>>>, ProtocolError> {
    if rest[0] != b'*' {
        return plain_inline(rest, limits);
    }
    let too_big = ProtocolError::TooBigMultibulkCount;
    let Some(line) = plain_line(rest, limits, too_big)? else { return Ok(None) };
    let count = match number::parse_i64(&line[1..]) {
        Some(count) if count <= limits.multibulk => count,
        _ => return Err(ProtocolError::InvalidMultibulkLength),
    };
    if count > 10 && !limits.authenticated {
        return Err(ProtocolError::UnauthenticatedMultibulkLength);
    }
    let mut args = Vec::new();
    for _ in 0..count {
        let too_big = ProtocolError::TooBigBulkCount;
        let Some(line) = plain_line(rest, limits, too_big)? else { return Ok(None) };
        if line.first() != Some(&b'$') {
            return Err(ProtocolError::ExpectedDollar(*line.first().unwrap_or(&b'\r')));
        }
        let len = match number::parse_i64(&line[1..]) {
            Some(len) if (0..=limits.bulk).contains(&len) => len,
            _ => return Err(ProtocolError::InvalidBulkLength),
        };
        if len > 16384 && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        let Some((body, later)) = rest.split_at_checked(len as usize + 2) else { return Ok(None) };
        args.push(body[..len as usize].to_vec());
        *rest = later;
    }
    Ok(Some(args))
}

/// Takes a line off `rest` that ends in CR and any byte.
fn plain_line<'a>(
    rest: &mut &'a [u8],
    limits: &Limits,
    too_big: ProtocolError,
) -> Result<Option<&'a [u8]>, ProtocolError> {
    match rest.iter().position(|&byte| byte == b'\r') {
        Some(cr) if cr <= limits.inline => {
            let Some((line, later)) = rest.split_at_checked(cr + 2) else { return Ok(None) };
            *rest = later;
            Ok(Some(&line[..cr]))
        }
        _ if rest.len() > limits.inline => Err(too_big),
        _ => Ok(None),
    }
}

fn plain_inline(rest: &mut &[u8], limits: &Limits) -> Result<Option<Vec<Vec<u8>>>, ProtocolError> {
    match rest.iter().position(|&byte| byte == b'\n') {
        Some(lf) if lf <= limits.inline => {
            let line = &rest[..lf];
            *rest = &rest[lf + 1..];
            let words = inline::split_quoted(line.strip_suffix(b"\r").unwrap_or(line))?;
            Ok(Some(words.args.iter().map(|word| word.of(&words.bytes).to_vec()).collect()))
        }
        _ if rest.len() > limits.inline => Err(ProtocolError::TooBigInline),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_command;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Pieces of which wrong and right streams are made.
    const FRAGMENTS: &[&str] = &[
        "*",
        "$",
        "\r\n",
        "\r",
        "\n",
        "0",
        "1",
        "2",
        "3",
        "-1",
        "10",
        "16384",
        "16385",
        "12",
        "2147483647",
        "2147483648",
        "9223372036854775808",
        "536870913",
        "a",
        "GET",
        "key",
        " ",
        "\"",
        "'",
        "\\x4",
        "\\",
        "\0",
        "\x0b",
        "*1\r\n",
        "*2\r\n",
        "*3\r\n$3\r\nSET\r\n",
        "$1\r\na\r\n",
        "$0\r\n\r\n",
        "$12\r\nhello\r\nworld\r\n",
        "PING\r\n",
        "*0\r\n",
        "*-1\r\n",
        "+OK\r\n",
        ":1\r\n",
        "$-1\r\n",
        "%1\r\n",
        "~1\r\n",
        ">1\r\n",
        "|1\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "(12\r\n",
        "=5\r\ntxt:a\r\n",
        "!1\r\nx\r\n",
    ];

    fn fragments() -> impl Strategy<Value = Vec<u8>> {
        vec(proptest::sample::select(FRAGMENTS), 0..24)
            .prop_map(|fragments| fragments.concat().into_bytes())
    }

    fn command() -> impl Strategy<Value = Vec<u8>> {
        vec(vec(any::<u8>(), 0..200), 1..14).prop_map(|args| {
            let mut encoded = Vec::new();
            write_command(&mut encoded, &args);
            encoded
        })
    }

    /// Commands and nonsense, with some bytes changed.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![3 => command(), 1 => fragments()];
        let change = (any::<proptest::sample::Index>(), any::<u8>());
        (vec(part, 0..6), vec(change, 0..3)).prop_map(|(parts, changes)| {
            let mut stream = parts.concat();
            for (index, byte) in changes.into_iter().filter(|_| !parts.is_empty()) {
                if let Some(changed) =
                    stream.len().checked_sub(1).map(|_| index.index(stream.len()))
                {
                    stream[changed] = byte;
                }
            }
            stream
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..crate::fixed_seed() })]

        #[test]
        fn streams_mean_the_same_however_they_are_cut(
            control: [u8; CONTROL],
            stream in prop_oneof![stream(), fragments()],
        ) {
            parser(&[&control[..], &stream].concat());
        }

        #[test]
        fn mutated_replies_decode_consistently(stream in prop_oneof![fragments(), stream()]) {
            decoder(&stream);
        }
    }
}
