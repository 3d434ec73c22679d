//! What `SCAN`, `SSCAN`, `HSCAN` and `ZSCAN` share: cursor, options and the shape of the reply.

use crate::{Args, Error, Reply, glob};

/// The options of a walk in steps.
pub struct WalkOptions<'a> {
    pattern: Option<&'a [u8]>,
    /// About how many elements a step looks at; at least 1.
    pub count: usize,
    /// The type of keys that is wanted.
    pub kind: Option<&'a [u8]>,
}

impl<'a> WalkOptions<'a> {
    /// The cursor is no number.
    pub const INVALID_CURSOR: Error = Error::new("ERR invalid cursor");

    /// The cursor of a walk over one collection, to be read before the key is looked at; the
    /// options are read behind that, and not at all if there is no such key, as in Redis.
    pub fn read_cursor(args: &mut Args<'_>) -> Result<u64, Error> {
        cursor_number(args.bytes()?).ok_or(Self::INVALID_CURSOR)
    }

    /// Reads `[MATCH pattern] [COUNT count]` to the end of the arguments.
    pub fn read(args: &mut Args<'a>) -> Result<Self, Error> {
        let mut options = Self::default();
        while !args.at_end() {
            options.read_one(args)?;
        }
        Ok(options)
    }

    /// Reads `[MATCH pattern] [COUNT count] [TYPE type]` to the end of the arguments.
    pub fn read_with_type(args: &mut Args<'a>) -> Result<Self, Error> {
        let mut options = Self::default();
        while !args.at_end() {
            if args.remaining() >= 2 && args.option("TYPE") {
                options.kind = Some(args.bytes()?);
            } else {
                options.read_one(args)?;
            }
        }
        Ok(options)
    }

    /// Reads one option with its value, for commands that know others beside.
    pub fn read_one(&mut self, args: &mut Args<'a>) -> Result<(), Error> {
        if args.remaining() < 2 {
            return Err(Error::SYNTAX);
        }
        if args.option("COUNT") {
            let count = usize::try_from(args.int()?).ok().filter(|count| *count > 0);
            self.count = count.ok_or(Error::SYNTAX)?;
        } else if args.option("MATCH") {
            self.pattern = Some(args.bytes()?).filter(|pattern| !glob::matches_all(pattern));
        } else {
            return Err(Error::SYNTAX);
        }
        Ok(())
    }

    /// Whether every name is wanted.
    pub fn matches_all(&self) -> bool {
        self.pattern.is_none()
    }

    /// Whether an element or key of this name is wanted.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name, false))
    }
}

impl Default for WalkOptions<'_> {
    fn default() -> Self {
        Self { pattern: None, count: 10, kind: None }
    }
}

/// Writes a step of a walk: the cursor to go on with, then the elements that `elements` writes.
/// It answers with that cursor and how many replies it has written.
pub fn write_walk(reply: &mut Reply<'_>, elements: impl FnOnce(&mut Reply<'_>) -> (u64, usize)) {
    let mark = reply.mark();
    let (cursor, found) = elements(reply);
    let cursor = cursor.to_string();
    let head = format!("*2\r\n${}\r\n{cursor}\r\n*{found}\r\n", cursor.len());
    reply.output().insert(mark, head.as_bytes());
}

/// A cursor's number, read as C's `strtoul` does where Redis calls it: nothing is 0, and a minus
/// counts down from 2^64.
pub fn cursor_number(text: &[u8]) -> Option<u64> {
    let (negative, digits) = match text {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_c_reads_them() {
        assert_eq!(cursor_number(b""), Some(0));
        assert_eq!(cursor_number(b"-1"), Some(u64::MAX));
        assert_eq!(cursor_number(b"+5"), Some(5));
        for wrong in [&b"x"[..], b" 1", b"-", b"1 ", b"18446744073709551616", b"+-1"] {
            assert_eq!(cursor_number(wrong), None);
        }
    }
}
