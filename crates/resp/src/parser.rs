//! The incremental parser of commands.

use smallvec::SmallVec;

use crate::error::ProtocolError;
use crate::inline::{self, Unquoted};
use crate::number;

/// Longest line of an inline command, a count or a length, in bytes without its end.
const MAX_LINE: usize = 64 * 1024;
/// Largest number of arguments that a command may announce.
const MAX_ARGS: i64 = i32::MAX as i64;
/// Default of `proto-max-bulk-len`, in bytes.
const DEFAULT_MAX_BULK: i64 = 512 * 1024 * 1024;
/// Largest number of arguments before authentication.
const UNAUTHENTICATED_ARGS: i64 = 10;
/// Largest argument before authentication, in bytes.
const UNAUTHENTICATED_BULK: i64 = 16 * 1024;
/// Buffers are addressed by the 32 bits of a [`Span`].
const MAX_BUFFER: usize = u32::MAX as usize;
/// Arguments of a partial frame remembered without heap memory: those of `SET key <large>`.
const PENDING: usize = 4;

/// A piece of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// The parser refuses buffers in which these offsets would not fit.
    #[inline]
    pub(crate) fn new(start: usize, len: usize) -> Self {
        debug_assert!(start <= MAX_BUFFER && len <= MAX_BUFFER);
        Self { start: start as u32, len: len as u32 }
    }

    /// The bytes of `buf` that it covers.
    ///
    /// # Panics
    /// If `buf` is not the buffer that was parsed, or was cut short since.
    #[inline]
    pub fn of<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        &buf[self.start as usize..][..self.len as usize]
    }

    /// The same piece with its offset counted from `origin`.
    fn relative_to(self, origin: usize) -> Self {
        Self::new(self.start as usize - origin, self.len as usize)
    }

    /// The piece whose offset was counted from `origin`.
    fn behind(self, origin: usize) -> Self {
        Self::new(self.start as usize + origin, self.len as usize)
    }
}

/// What a client may announce. It allocates nothing here, but it tells how much may have to be
/// buffered before the command is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest line in bytes.
    pub inline: usize,
    /// Largest number of arguments.
    pub multibulk: i64,
    /// Largest argument in bytes: `proto-max-bulk-len`.
    pub bulk: i64,
    /// Whether the client may do more than log in. If not, it is held to 10 arguments of at most
    /// 16 KiB.
    pub authenticated: bool,
}

impl Limits {
    /// The limits of a client that may run commands.
    pub const fn authenticated(proto_max_bulk_len: i64) -> Self {
        Self {
            inline: MAX_LINE,
            multibulk: MAX_ARGS,
            bulk: proto_max_bulk_len,
            authenticated: true,
        }
    }

    /// The limits of a client that has yet to log in.
    pub const fn unauthenticated() -> Self {
        Self { authenticated: false, ..Self::authenticated(DEFAULT_MAX_BULK) }
    }

    #[inline]
    fn check_args(&self, count: i64) -> Result<(), ProtocolError> {
        if count > self.multibulk {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        if !self.authenticated && count > UNAUTHENTICATED_ARGS {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        Ok(())
    }

    #[inline]
    fn check_bulk(&self, len: i64) -> Result<(), ProtocolError> {
        if len < 0 || len > self.bulk {
            return Err(ProtocolError::InvalidBulkLength);
        }
        if !self.authenticated && len > UNAUTHENTICATED_BULK {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        Ok(())
    }
}

/// What was found at the start of a buffer. `end` is the offset in the buffer at which the next
/// command begins.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A command; its arguments, at least one, were appended.
    Command {
        /// Where the next command begins.
        end: usize,
    },
    /// An inline command with quotes; its arguments lie in `args`, nothing was appended.
    Quoted {
        /// Where the next command begins.
        end: usize,
        /// The arguments, at least one.
        args: Box<Unquoted>,
    },
    /// Bytes without a command, not to be answered: an empty line, `*0`, `*-1`.
    Skip {
        /// Where the next command begins.
        end: usize,
    },
    /// The command is not complete.
    Incomplete(Need),
}

/// What is missing of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// More bytes, unknown how many.
    More,
    /// The buffer must reach this length for the argument under way, which is not the last.
    Bytes(usize),
    /// The last argument, whose header is complete. Whoever receives the body elsewhere than in
    /// the buffer takes the other arguments from [`Parser::pending`], calls [`Parser::reset`],
    /// and goes on behind the body and its CRLF. The parser itself does not check those two
    /// bytes, like Redis.
    Tail {
        /// Offset of the body in the buffer; it may be the buffer's length.
        start: usize,
        /// Length of the body in bytes, without its CRLF.
        len: usize,
        /// Number of arguments before it.
        args_before: usize,
    },
}

/// Parses the commands of one connection. Between commands it holds no heap memory; within one
/// it remembers what was parsed, so that resuming costs only the new bytes.
#[derive(Debug, Default)]
pub struct Parser {
    /// Arguments still to come, the one under way included; 0 before a complete `*<count>`.
    left: u32,
    /// Offset of the argument under way: of its header, or of its body if `body` is known.
    /// Offsets in the state count from the first byte of the command.
    position: usize,
    /// Length of the body under way, once its header is complete.
    body: Option<usize>,
    /// Up to here there is no end of the line under way.
    scanned: usize,
    /// Complete arguments.
    pending: SmallVec<[Span; PENDING]>,
}

/// What a call of [`Parser::parse`] was given.
#[derive(Clone, Copy)]
struct Input<'a> {
    buf: &'a [u8],
    /// Offset of the command.
    from: usize,
    limits: &'a Limits,
}

/// A complete line `<type><integer>`.
pub(crate) struct Line {
    /// `None` if it is not an integer.
    pub(crate) value: Option<i64>,
    /// Offset behind its CRLF.
    pub(crate) next: usize,
}

/// The argument under way.
#[derive(Clone, Copy)]
struct Bulk {
    /// Offset of its header or, once that is complete, of its body.
    at: usize,
    /// Length of its body in bytes, once the header is complete.
    len: Option<usize>,
}

impl Parser {
    /// A parser before its first command.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets a partial command.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The complete arguments of a partial command, as offsets from the command's first byte.
    pub fn pending(&self) -> &[Span] {
        &self.pending
    }

    /// Parses one command that begins at offset `from` of `buf`. Its arguments are appended to
    /// `args` as pieces of `buf`; if it is not complete, or an error, `args` is left alone.
    ///
    /// After [`Step::Incomplete`] the next call must present the same bytes and more; `from` may
    /// have changed with the buffer. After an error only [`Parser::reset`] is of use.
    ///
    /// # Errors
    /// What Redis 7.2 refuses, in its words. Unlike there, the answer depends only on the bytes,
    /// not on how they were cut when they arrived.
    #[inline]
    pub fn parse(
        &mut self,
        buf: &[u8],
        from: usize,
        limits: &Limits,
        args: &mut Vec<Span>,
    ) -> Result<Step, ProtocolError> {
        if buf.len() > MAX_BUFFER {
            return Err(ProtocolError::TooBigCommand);
        }
        let input = Input { buf, from, limits };
        let base = args.len();
        let step = match (self.left, buf.get(from)) {
            (0, Some(b'*')) => self.multibulk(input, args),
            (0, Some(_)) => self.inline(input, args),
            (0, None) => Ok(Step::Incomplete(Need::More)),
            _ => self.resume(input, args),
        };
        if step.is_err() {
            args.truncate(base);
        }
        step
    }

    /// Parses a command from its `*<count>` on.
    #[inline]
    fn multibulk(&mut self, input: Input<'_>, args: &mut Vec<Span>) -> Result<Step, ProtocolError> {
        let line = match short_line(input.buf, input.from, b'*') {
            Some(line) => line,
            None => match self.line(input, input.from, ProtocolError::TooBigMultibulkCount)? {
                Some(line) => line,
                None => return Ok(Step::Incomplete(Need::More)),
            },
        };
        self.scanned = 0;
        let count = line.value.ok_or(ProtocolError::InvalidMultibulkLength)?;
        input.limits.check_args(count)?;
        match u32::try_from(count) {
            Ok(count) if count > 0 => {
                self.bulks(input, Bulk { at: line.next, len: None }, count, args)
            }
            _ => Ok(Step::Skip { end: line.next }),
        }
    }

    /// Goes on within a command whose count is known.
    #[cold]
    fn resume(&mut self, input: Input<'_>, args: &mut Vec<Span>) -> Result<Step, ProtocolError> {
        let base = args.len();
        let under_way = Bulk { at: input.from + self.position, len: self.body };
        let step = self.bulks(input, under_way, self.left, args)?;
        if let Step::Command { .. } = step {
            let pending = std::mem::take(&mut self.pending);
            args.splice(base..base, pending.iter().map(|span| span.behind(input.from)));
            self.reset();
        }
        Ok(step)
    }

    /// Parses the last `left` arguments of a command, `under_way` being the first of them.
    #[inline]
    fn bulks(
        &mut self,
        input: Input<'_>,
        mut under_way: Bulk,
        mut left: u32,
        args: &mut Vec<Span>,
    ) -> Result<Step, ProtocolError> {
        let base = args.len();
        loop {
            let Bulk { mut at, len } = under_way;
            let len = match len {
                Some(len) => len,
                None => match self.bulk_header(input, at)? {
                    Some((len, next)) => {
                        at = next;
                        len
                    }
                    None => return self.pause(input, under_way, left, args, base),
                },
            };
            let end = at.saturating_add(len).saturating_add(2);
            if end > input.buf.len() {
                let under_way = Bulk { at, len: Some(len) };
                return self.pause(input, under_way, left, args, base);
            }
            args.push(Span::new(at, len));
            left -= 1;
            if left == 0 {
                return Ok(Step::Command { end });
            }
            under_way = Bulk { at: end, len: None };
        }
    }

    /// Reads `$<length>`: the length and the offset of the body, or `None` if it is incomplete.
    #[inline]
    fn bulk_header(
        &mut self,
        input: Input<'_>,
        at: usize,
    ) -> Result<Option<(usize, usize)>, ProtocolError> {
        let line = match short_line(input.buf, at, b'$') {
            Some(line) => line,
            None => match self.line(input, at, ProtocolError::TooBigBulkCount)? {
                None => return Ok(None),
                Some(_) if input.buf[at] != b'$' => {
                    return Err(ProtocolError::ExpectedDollar(input.buf[at]));
                }
                Some(line) => line,
            },
        };
        let len = line.value.ok_or(ProtocolError::InvalidBulkLength)?;
        input.limits.check_bulk(len)?;
        let len = usize::try_from(len).map_err(|_| ProtocolError::InvalidBulkLength)?;
        Ok(Some((len, line.next)))
    }

    /// Remembers how far a command came, and says what it needs. The arguments behind `base`,
    /// found in this call, leave `args`.
    #[cold]
    fn pause(
        &mut self,
        input: Input<'_>,
        under_way: Bulk,
        left: u32,
        args: &mut Vec<Span>,
        base: usize,
    ) -> Result<Step, ProtocolError> {
        self.pending.extend(args.drain(base..).map(|span| span.relative_to(input.from)));
        self.left = left;
        self.position = under_way.at - input.from;
        self.body = under_way.len;
        let Bulk { at: start, len: Some(len) } = under_way else {
            return Ok(Step::Incomplete(Need::More));
        };
        if left == 1 {
            let args_before = self.pending.len();
            return Ok(Step::Incomplete(Need::Tail { start, len, args_before }));
        }
        match start.saturating_add(len).saturating_add(2) {
            total if total > MAX_BUFFER => Err(ProtocolError::TooBigCommand),
            total => Ok(Step::Incomplete(Need::Bytes(total))),
        }
    }

    /// Reads the line `<type><integer>` at `at`; `None` if it is incomplete. Like Redis it looks
    /// for the CR and takes the byte behind it for the LF, whatever that is.
    #[cold]
    fn line(
        &mut self,
        input: Input<'_>,
        at: usize,
        too_big: ProtocolError,
    ) -> Result<Option<Line>, ProtocolError> {
        let Some(cr) = self.find(input, at, b'\r', too_big)? else { return Ok(None) };
        if cr + 1 >= input.buf.len() {
            self.scanned = cr - input.from;
            return Ok(None);
        }
        let value = number::parse_i64(input.buf.get(at + 1..cr).unwrap_or_default());
        Ok(Some(Line { value, next: cr + 2 }))
    }

    /// The offset of the first `end` at or behind `at`. If there is none yet, the bytes are not
    /// searched again by later calls.
    fn find(
        &mut self,
        input: Input<'_>,
        at: usize,
        end: u8,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let Input { buf, from, limits } = input;
        let begin = at.max(from + self.scanned);
        let limit = at.saturating_add(limits.inline).saturating_add(1);
        let window = buf.get(begin..limit.min(buf.len())).unwrap_or_default();
        match memchr::memchr(end, window) {
            Some(found) => Ok(Some(begin + found)),
            None if buf.len() >= limit => Err(too_big),
            None => {
                self.scanned = buf.len() - from;
                Ok(None)
            }
        }
    }

    /// Parses a line of words. Its end is LF, with or without a CR in front.
    #[cold]
    fn inline(&mut self, input: Input<'_>, args: &mut Vec<Span>) -> Result<Step, ProtocolError> {
        let Input { buf, from, .. } = input;
        let Some(lf) = self.find(input, from, b'\n', ProtocolError::TooBigInline)? else {
            return Ok(Step::Incomplete(Need::More));
        };
        self.scanned = 0;
        let (line, end) = (&buf[from..lf], lf + 1);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if inline::has_quotes(line) {
            let args = Box::new(inline::split_quoted(line)?);
            return Ok(Step::Quoted { end, args });
        }
        let base = args.len();
        inline::split_plain(line, from, args);
        Ok(if args.len() == base { Step::Skip { end } } else { Step::Command { end } })
    }
}

/// Reads the line `<kind><integer>` at `at` if the integer has one to nine digits, as nearly all
/// have. `None` means anything else, also an incomplete line.
#[inline(always)]
pub(crate) fn short_line(buf: &[u8], at: usize, kind: u8) -> Option<Line> {
    let line = buf.get(at..)?;
    match *line.first_chunk::<4>()? {
        [first, digit @ b'0'..=b'9', b'\r', _] if first == kind => {
            Some(Line { value: Some(i64::from(digit - b'0')), next: at + 4 })
        }
        [first, tens @ b'1'..=b'9', ones @ b'0'..=b'9', third] if first == kind => {
            let value = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
            if third == b'\r' && line.len() > 4 {
                return Some(Line { value: Some(i64::from(value)), next: at + 5 });
            }
            longer_line(line, value, at)
        }
        _ => None,
    }
}

/// Goes on behind the first two digits of `line`, whose value is `value`.
#[inline]
fn longer_line(line: &[u8], mut value: u32, at: usize) -> Option<Line> {
    /// Offset behind the ninth digit: so many always fit.
    const DIGITS_END: usize = 10;
    let mut next = 3;
    loop {
        match *line.get(next)? {
            digit @ b'0'..=b'9' if next < DIGITS_END => {
                value = value * 10 + u32::from(digit - b'0');
                next += 1;
            }
            b'\r' if next + 1 < line.len() => {
                return Some(Line { value: Some(i64::from(value)), next: at + next + 2 });
            }
            _ => return None,
        }
    }
}
