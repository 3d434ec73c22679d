//! Inline commands: a line of words, as typed into a terminal.

use crate::error::ProtocolError;
use crate::parser::Span;

/// The arguments of an inline command whose quotes were resolved, and which therefore do not lie
/// in the buffer that was parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unquoted {
    /// The arguments, one after the other.
    pub bytes: Vec<u8>,
    /// Where each of them lies in `bytes`.
    pub args: Vec<Span>,
}

/// What separates words: `isspace` of C's standard locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What ends an unquoted word. Vertical tab and form feed are skipped in front of a word but
/// belong to it inside, as in Redis.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether words of `line` cannot be borrowed.
pub(crate) fn has_quotes(line: &[u8]) -> bool {
    memchr::memchr2(b'"', b'\'', line).is_some()
}

/// Appends the words of `line`, which has no quotes and begins at offset `base`.
pub(crate) fn split_plain(line: &[u8], base: usize, args: &mut Vec<Span>) {
    let mut at = 0;
    while let Some(start) = skip_spaces(line, at) {
        let len = line[start..].iter().position(|&byte| ends_word(byte));
        at = len.map_or(line.len(), |len| start + len);
        args.push(Span::new(base + start, at - start));
    }
}

/// Splits `line` into words by Redis's rules: `"…"` with the escapes `\n \r \t \b \a \xHH` and
/// `\` before any other byte, `'…'` with the escape `\'`. A quote may open anywhere in a word,
/// but what follows a closing one must be a blank or the end.
pub(crate) fn split_quoted(line: &[u8]) -> Result<Unquoted, ProtocolError> {
    let mut words = Unquoted::default();
    let mut at = 0;
    while let Some(start) = skip_spaces(line, at) {
        let begin = words.bytes.len();
        at = read_word(line, start, &mut words.bytes)?;
        words.args.push(Span::new(begin, words.bytes.len() - begin));
    }
    Ok(words)
}

fn skip_spaces(line: &[u8], at: usize) -> Option<usize> {
    line[at..].iter().position(|&byte| !is_space(byte)).map(|skipped| at + skipped)
}

/// Appends the word that begins at `at` to `out`; gives the offset behind it.
fn read_word(line: &[u8], mut at: usize, out: &mut Vec<u8>) -> Result<usize, ProtocolError> {
    while let Some(&byte) = line.get(at) {
        at += 1;
        match byte {
            b'"' => return closed(line, read_double_quoted(line, at, out)?),
            b'\'' => return closed(line, read_single_quoted(line, at, out)?),
            byte if ends_word(byte) => break,
            byte => out.push(byte),
        }
    }
    Ok(at)
}

/// A closing quote, before offset `at`, also ends the word.
fn closed(line: &[u8], at: usize) -> Result<usize, ProtocolError> {
    match line.get(at) {
        Some(&byte) if !is_space(byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(at),
    }
}

fn read_double_quoted(
    line: &[u8],
    mut at: usize,
    out: &mut Vec<u8>,
) -> Result<usize, ProtocolError> {
    loop {
        let (byte, len) = match line.get(at..).unwrap_or_default() {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'"', ..] => return Ok(at + 1),
            [b'\\', b'x', high, low, ..] if is_hex(*high) && is_hex(*low) => {
                (hex(*high) << 4 | hex(*low), 4)
            }
            [b'\\', escaped, ..] => (unescape(*escaped), 2),
            [byte, ..] => (*byte, 1),
        };
        out.push(byte);
        at += len;
    }
}

fn read_single_quoted(
    line: &[u8],
    mut at: usize,
    out: &mut Vec<u8>,
) -> Result<usize, ProtocolError> {
    loop {
        let (byte, len) = match line.get(at..).unwrap_or_default() {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'\'', ..] => return Ok(at + 1),
            [b'\\', b'\'', ..] => (b'\'', 2),
            [byte, ..] => (*byte, 1),
        };
        out.push(byte);
        at += len;
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn is_hex(digit: u8) -> bool {
    digit.is_ascii_hexdigit()
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let words = split_quoted(line).ok()?;
        Some(words.args.iter().map(|arg| arg.of(&words.bytes).to_vec()).collect())
    }

    #[track_caller]
    fn check(line: &str, expected: &[&[u8]]) {
        let expected: Vec<Vec<u8>> = expected.iter().map(|word| word.to_vec()).collect();
        assert_eq!(words(line.as_bytes()), Some(expected.clone()), "{line:?}");
        if !has_quotes(line.as_bytes()) {
            let mut plain = Vec::new();
            split_plain(line.as_bytes(), 0, &mut plain);
            let plain: Vec<_> = plain.iter().map(|arg| arg.of(line.as_bytes()).to_vec()).collect();
            assert_eq!(plain, expected, "{line:?} without quotes");
        }
    }

    #[test]
    fn words_are_separated_by_blanks() {
        check("", &[]);
        check(" \t\r ", &[]);
        check("PING", &[b"PING"]);
        check("  SET  a\tb\r", &[b"SET", b"a", b"b"]);
        check("\x0b\x0ca\x0bb", &[b"a\x0bb"]);
        check("a\\nb", &[b"a\\nb"]);
    }

    #[test]
    fn double_quotes() {
        check(r#""hello world" x"#, &[b"hello world", b"x"]);
        check(r#""""#, &[b""]);
        check(r#"foo"bar""#, &[b"foobar"]);
        check(r#""\n\r\t\b\a\q\"\\""#, &[b"\n\r\t\x08\x07q\"\\"]);
        check(r#""\x41\xfF\x4""#, &[b"A\xffx4"]);
        check(r#""it's""#, &[b"it's"]);
    }

    #[test]
    fn single_quotes() {
        check(r"'a b' ''", &[b"a b", b""]);
        check(r"'\'\n\ '", &[b"'\\n\\ "]);
        check(r#"'"'"#, &[b"\""]);
    }

    #[test]
    fn unbalanced() {
        for line in [r#"""#, "'", r#""abc"#, r#""abc\"#, r#""a"b"#, "'a'b", r#""a""b""#, r"'a\'"] {
            assert_eq!(words(line.as_bytes()), None, "{line:?}");
        }
    }
}
