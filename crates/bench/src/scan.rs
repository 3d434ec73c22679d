//! Counts complete replies in a stream of bytes, split anywhere, without keeping the bytes.
//!
//! A generator must know only *how many* replies have arrived and whether they were errors. So
//! bodies are skipped by their length, and nothing is stored but an unfinished header line.

use anyhow::{Result, bail};
use memchr::memchr;

/// A header line of a frame (`$64`, `*3`, `:1`) that is not longer may be split over reads.
/// Longer lines are simple strings and errors, of which only the beginning is kept.
const LINE_KEPT: usize = 120;

/// Resumable position in a stream of replies.
#[derive(Default)]
pub struct Scanner {
    /// Bytes of a body and its line end that are still to come.
    skip: usize,
    /// Elements of the aggregate under way that are still to come, all levels together.
    nested: u64,
    /// An attribute or a push is under way: it is not an answer to a request.
    aside: bool,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    errors: u64,
    first_error: Option<String>,
}

impl Scanner {
    /// Takes in the next bytes and returns the number of replies completed by them.
    ///
    /// # Errors
    /// The bytes are not RESP.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<u64> {
        let mut completed = 0;
        if self.skip > 0 {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip > 0 {
                return Ok(0);
            }
            completed += self.finish_element();
        }
        if !self.line.is_empty() && !bytes.is_empty() {
            let Some(newline) = memchr(b'\n', bytes) else {
                self.keep(bytes);
                return Ok(completed);
            };
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&bytes[..=newline]);
            bytes = &bytes[newline + 1..];
            completed += self.header(&line, &mut bytes)?;
        }
        while !bytes.is_empty() {
            let Some(newline) = memchr(b'\n', bytes) else {
                self.keep(bytes);
                break;
            };
            let (line, rest) = bytes.split_at(newline + 1);
            let before = bytes.len();
            bytes = rest;
            let finished = self.header(line, &mut bytes)?;
            completed += finished;
            if finished == 1 && matches!(line[0], b'$' | b'+' | b':') {
                completed += pass_repetitions(line, before - bytes.len(), &mut bytes);
            }
        }
        Ok(completed)
    }

    /// Error replies seen so far.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// The text of the first error reply.
    pub fn first_error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_KEPT.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// One header line with its newline; `rest` is what follows it and loses the body.
    #[inline]
    fn header(&mut self, line: &[u8], rest: &mut &[u8]) -> Result<u64> {
        match line[0] {
            b'$' | b'=' | b'!' => {
                let len = number(line)?;
                if len < 0 {
                    return Ok(self.finish_element());
                }
                if line[0] == b'!' {
                    self.note_error("bulk error");
                }
                let whole = len as usize + 2;
                if rest.len() < whole {
                    self.skip = whole - rest.len();
                    *rest = &[];
                    return Ok(0);
                }
                *rest = &rest[whole..];
                Ok(self.finish_element())
            }
            b'+' | b':' | b'_' | b',' | b'#' | b'(' => Ok(self.finish_element()),
            b'-' => {
                self.note_error(&String::from_utf8_lossy(&line[1..]));
                Ok(self.finish_element())
            }
            b'*' | b'~' => self.begin(number(line)?),
            b'%' => self.begin(number(line)?.saturating_mul(2)),
            b'>' => {
                self.aside = self.nested == 0;
                self.begin(number(line)?)
            }
            b'|' => {
                // An attribute stands before an element and is not one.
                self.aside = self.nested == 0;
                self.nested += u64::from(self.nested > 0);
                self.begin(number(line)?.saturating_mul(2))
            }
            _ => bail!("not a reply: {:?}", String::from_utf8_lossy(line)),
        }
    }

    /// An aggregate of `len` elements begins; it is itself an element of what encloses it.
    fn begin(&mut self, len: i64) -> Result<u64> {
        if len <= 0 {
            return Ok(self.finish_element());
        }
        // The element under way is replaced by its own elements, unless nothing encloses it.
        self.nested = self.nested.saturating_sub(1) + len as u64;
        Ok(0)
    }

    #[inline]
    fn finish_element(&mut self) -> u64 {
        if self.nested > 1 {
            self.nested -= 1;
            return 0;
        }
        self.nested = 0;
        u64::from(!std::mem::take(&mut self.aside))
    }

    fn note_error(&mut self, text: &str) {
        self.errors += 1;
        if self.first_error.is_none() {
            self.first_error = Some(text.trim_end().chars().take(LINE_KEPT).collect());
        }
    }
}

/// Pipelines bring the same reply over and over: passes the frames of `len` bytes that begin with
/// the same line as the last one, and hence are as long, and returns how many there were.
#[inline]
fn pass_repetitions(line: &[u8], len: usize, bytes: &mut &[u8]) -> u64 {
    let mut passed = 0;
    while bytes.len() >= len && bytes.starts_with(line) {
        *bytes = &bytes[len..];
        passed += 1;
    }
    passed
}

/// The decimal number between the type byte of a line and its end.
#[inline]
fn number(line: &[u8]) -> Result<i64> {
    let digits = line[1..].strip_suffix(b"\r\n").unwrap_or_default();
    let (negative, digits) = match digits.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        bail!("bad length in a reply: {:?}", String::from_utf8_lossy(line));
    }
    let mut value = 0i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            bail!("bad length in a reply: {:?}", String::from_utf8_lossy(line));
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPLIES: &[&str] = &[
        "+OK\r\n",
        ":-12\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "$0\r\n\r\n",
        "$5\r\na\r\n\nb\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "*0\r\n",
        "*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n",
        "%1\r\n+k\r\n*1\r\n%0\r\n",
        "~1\r\n=7\r\ntxt:abc\r\n",
        "(123456789012345678901234567890\r\n",
        "*3\r\n*1\r\n*1\r\n*0\r\n+x\r\n:1\r\n",
    ];

    #[test]
    fn counts_each_kind_once() {
        for reply in REPLIES {
            let mut scanner = Scanner::default();
            assert_eq!(scanner.feed(reply.as_bytes()).unwrap(), 1, "{reply:?}");
            assert_eq!(scanner.feed(b"+OK\r\n").unwrap(), 1, "after {reply:?}");
        }
    }

    #[test]
    fn pushes_and_attributes_are_not_answers() {
        let mut scanner = Scanner::default();
        let bytes = b">2\r\n+invalidate\r\n*1\r\n+k\r\n|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n\
            *2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n";
        assert_eq!(scanner.feed(bytes).unwrap(), 2);
    }

    #[test]
    fn errors_are_counted_also_inside_arrays() {
        let mut scanner = Scanner::default();
        let bytes = b"-ERR first\r\n*2\r\n-WRONGTYPE second\r\n+OK\r\n!3\r\nabc\r\n";
        assert_eq!(scanner.feed(bytes).unwrap(), 3);
        assert_eq!((scanner.errors(), scanner.first_error()), (3, Some("ERR first")));
    }

    #[test]
    fn long_lines_in_pieces_keep_only_their_beginning() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.feed(b"-ERR ").unwrap(), 0);
        for _ in 0..1000 {
            assert_eq!(scanner.feed(&[b'x'; 100]).unwrap(), 0);
        }
        assert!(scanner.line.len() <= LINE_KEPT);
        assert_eq!(scanner.feed(b"\r\n:1\r\n").unwrap(), 2);
    }

    #[test]
    fn rubbish_is_refused() {
        for bytes in [&b"hello\r\n"[..], b"$x\r\n", b"$\r\n", b"\n", b"$1\n"] {
            assert!(Scanner::default().feed(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 256,
            failure_persistence: None,
            rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
            ..ProptestConfig::default()
        })]

        #[test]
        fn splits_do_not_matter(
            picks in prop::collection::vec(0..REPLIES.len(), 1..40),
            cuts in prop::collection::vec(1usize..9, 1..20),
        ) {
            let stream: Vec<u8> = picks.iter().flat_map(|&i| REPLIES[i].bytes()).collect();
            let mut scanner = Scanner::default();
            let (mut at, mut count, mut turn) = (0, 0, 0);
            while at < stream.len() {
                let end = stream.len().min(at + cuts[turn % cuts.len()]);
                count += scanner.feed(&stream[at..end]).unwrap();
                (at, turn) = (end, turn + 1);
            }
            prop_assert_eq!(count, picks.len() as u64);
        }
    }
}
