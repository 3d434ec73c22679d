//! The word syntax of `redis.conf` lines: splitting, and quoting that splits back to the same.

/// Splits a line into words.
///
/// Words are separated by white space. A word, or its tail, may be in double quotes, where
/// `\n \r \t \b \a \xHH` and `\` before any other byte are escapes, or in single quotes, where only
/// `\'` is one. A closing quote must be followed by white space or the end of the line.
///
/// Returns `None` if quotes are unbalanced.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = next_word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Some(words)
}

/// Takes one word off the front of `rest`, which does not begin with white space.
fn next_word(rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => break,
            b'"' => {
                at = double_quoted(rest, at + 1, &mut word)?;
                break;
            }
            b'\'' => {
                at = single_quoted(rest, at + 1, &mut word)?;
                break;
            }
            _ => word.push(byte),
        }
        at += 1;
    }
    Some((word, &rest[at..]))
}

/// Reads up to the closing `"`; returns the position behind it.
fn double_quoted(rest: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *rest.get(at)? {
            b'"' => return closed(rest, at),
            b'\\' => at += escape(&rest[at + 1..], word)?,
            byte => word.push(byte),
        }
        at += 1;
    }
}

/// Appends what the escape whose backslash stands before `after` means; returns its length without
/// the backslash.
fn escape(after: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    if let [b'x', high, low, ..] = *after
        && let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low))
    {
        word.push(high * 16 + low);
        return Some(3);
    }
    word.push(match *after.first()? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    });
    Some(1)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Reads up to the closing `'`; returns the position behind it.
fn single_quoted(rest: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match rest[at.min(rest.len())..] {
            [b'\\', b'\'', ..] => {
                word.push(b'\'');
                at += 1;
            }
            [b'\'', ..] => return closed(rest, at),
            [byte, ..] => word.push(byte),
            [] => return None,
        }
        at += 1;
    }
}

/// The position behind the closing quote at `at`, if a word may end there.
fn closed(rest: &[u8], at: usize) -> Option<usize> {
    match rest.get(at + 1) {
        Some(byte) if !byte.is_ascii_whitespace() => None,
        _ => Some(at + 1),
    }
}

/// Appends `word` in double quotes, so that [`split`] gives it back unchanged.
pub fn quote(word: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => line.extend([b'\\', byte]),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            b'\t' => line.extend(b"\\t"),
            0x07 => line.extend(b"\\a"),
            0x08 => line.extend(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => line.extend(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let words = split(line.as_bytes())?;
        Some(words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect())
    }

    #[test]
    fn splits_as_documented() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \t ", &[]),
            ("port 6379", &["port", "6379"]),
            ("  a \t b  ", &["a", "b"]),
            ("save \"\"", &["save", ""]),
            ("save ''", &["save", ""]),
            (r#"a "b c" d"#, &["a", "b c", "d"]),
            (r#""\x41\x4a\n\t\"\\\q""#, &["AJ\n\t\"\\q"]),
            (r#""\xZZ""#, &["xZZ"]),
            (r"'it\'s' 'a\nb'", &["it's", r"a\nb"]),
            (r#"pre"fix ed""#, &["prefix ed"]),
        ];
        for (line, expected) in cases {
            assert_eq!(words(line).unwrap(), *expected, "{line}");
        }
    }

    #[test]
    fn refuses_unbalanced_quotes() {
        for line in ["\"", "'", "a \"b", "a 'b", "\"a\"b", "'a'b", "\"\\", "\"a\\\"", "'\\'"] {
            assert_eq!(words(line), None, "{line}");
        }
    }

    proptest! {
        #![proptest_config(crate::test_config(256))]
        #[test]
        fn quoting_splits_back(input in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..5)) {
            let mut line = Vec::new();
            for word in &input {
                quote(word, &mut line);
                line.push(b' ');
            }
            prop_assert_eq!(split(&line), Some(input));
        }

        #[test]
        fn never_panics(line in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = split(&line);
        }
    }
}
