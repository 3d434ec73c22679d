//! Requests encoded once and patched in place.
//!
//! A template is a command whose arguments may hold placeholders:
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{key}` | a key number by the chosen distribution, 12 digits |
//! | `{rand}` | a number of the keyspace, evenly distributed, 12 digits |
//! | `{seq}` | 0, 1, 2, … over all connections of a thread, 12 digits |
//! | `{value}` | a fixed text of the chosen size |
//! | `{value:N}` | a fixed text of N bytes |
//!
//! All numbers have the same width, so the encoded frame never changes its length and only
//! digits are written before it is sent.

use crate::keys::KeySource;
use anyhow::{Result, bail};

/// Digits of a patched number.
pub const DIGITS: usize = 12;

/// Which number goes to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Key,
    Uniform,
    Sequence,
}

/// A place to write a number to, as an offset from the start of the encoded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Patch {
    at: u32,
    number: Number,
}

/// One operation of a load: one or several commands sent together, counted as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
    replies: u32,
}

impl Template {
    /// Encodes commands written as on a command line: arguments between spaces, `'…'` or `"…"`
    /// around arguments with spaces.
    ///
    /// # Errors
    /// An unfinished quotation, or no command at all.
    pub fn parse(commands: &[impl AsRef<str>], value_size: usize) -> Result<Self> {
        let mut template = Self { bytes: Vec::new(), patches: Vec::new(), replies: 0 };
        for command in commands {
            let words = split_words(command.as_ref())?;
            if words.is_empty() {
                bail!("an empty command");
            }
            template.push_command(&words, value_size);
        }
        if template.replies == 0 {
            bail!("an operation without commands");
        }
        Ok(template)
    }

    fn push_command(&mut self, words: &[String], value_size: usize) {
        self.bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            let (argument, patches) = expand(word, value_size);
            self.bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            let base = self.bytes.len() as u32;
            self.bytes.extend_from_slice(&argument);
            self.bytes.extend_from_slice(b"\r\n");
            self.patches.extend(patches.iter().map(|p| Patch { at: base + p.at, ..*p }));
        }
        self.replies += 1;
    }

    /// Length of the encoded operation in bytes.
    pub fn encoded_len(&self) -> usize {
        self.bytes.len()
    }
}

pub(crate) fn split_words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        bail!("unfinished quotation in: {text}");
    }
    words.extend(word);
    Ok(words)
}

/// An argument with room for its numbers, and the places, as offsets within the argument.
/// Braces that name no placeholder stand for themselves (they are hash tags).
fn expand(word: &str, value_size: usize) -> (Vec<u8>, Vec<Patch>) {
    let mut argument = Vec::new();
    let mut patches = Vec::new();
    let mut rest = word;
    while let Some(open) = rest.find('{') {
        argument.extend_from_slice(&rest.as_bytes()[..open]);
        rest = &rest[open..];
        let name = rest.find('}').map_or("", |close| &rest[1..close]);
        let number = match name {
            "key" => Some(Number::Key),
            "rand" => Some(Number::Uniform),
            "seq" => Some(Number::Sequence),
            _ => None,
        };
        let size = match name.split_once(':') {
            Some(("value", size)) => size.parse().ok(),
            None if name == "value" => Some(value_size),
            _ => None,
        };
        if let Some(number) = number {
            patches.push(Patch { at: argument.len() as u32, number });
            argument.extend_from_slice(&[b'0'; DIGITS]);
        } else if let Some(size) = size {
            argument.extend(value_bytes(size));
        } else {
            argument.push(b'{');
            rest = &rest[1..];
            continue;
        }
        rest = &rest[name.len() + 2..];
    }
    argument.extend_from_slice(rest.as_bytes());
    (argument, patches)
}

/// A text that neither looks like a number nor repeats itself at short distances.
fn value_bytes(size: usize) -> impl Iterator<Item = u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    (0..size).map(move |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        LETTERS[(state >> 58) as usize]
    })
}

/// Writes the low digits of `number` over all of `place`, padded with zeros.
#[inline]
fn write_digits(place: &mut [u8], mut number: u64) {
    const PAIRS: [[u8; 2]; 100] = {
        let mut pairs = [[b'0'; 2]; 100];
        let mut i = 0;
        while i < 100 {
            pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
            i += 1;
        }
        pairs
    };
    let mut pairs = place.rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first = b'0' + (number % 10) as u8;
    }
}

/// A pipeline of operations, encoded one behind the other; shared by the connections of a
/// thread, each of which has it patched just before sending.
pub struct Sheet {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
    /// Where each operation begins in `bytes` and in `patches`, and one entry for the end.
    slots: Vec<(u32, u32)>,
    replies: Vec<u32>,
    /// Leading digits of a number that are always zero and need no writing.
    fixed_digits: usize,
}

impl Sheet {
    /// Encodes the operations in order. Key numbers stay below `bound`.
    pub fn new<'a>(operations: impl IntoIterator<Item = &'a Template>, bound: u64) -> Self {
        let digits = bound.saturating_sub(1).max(1).ilog10() as usize + 1;
        let mut sheet = Self {
            bytes: Vec::new(),
            patches: Vec::new(),
            slots: vec![(0, 0)],
            replies: Vec::new(),
            fixed_digits: DIGITS.saturating_sub(digits.next_multiple_of(2)),
        };
        for operation in operations {
            let base = sheet.bytes.len() as u32;
            sheet.bytes.extend_from_slice(&operation.bytes);
            sheet.patches.extend(operation.patches.iter().map(|p| Patch { at: base + p.at, ..*p }));
            sheet.slots.push((sheet.bytes.len() as u32, sheet.patches.len() as u32));
            sheet.replies.push(operation.replies);
        }
        sheet
    }

    /// Operations of the sheet.
    pub fn operations(&self) -> usize {
        self.replies.len()
    }

    /// Replies that the operation at `slot` gets.
    #[inline]
    pub fn replies(&self, slot: usize) -> u32 {
        self.replies[slot]
    }

    /// Replies that all operations get together.
    pub fn all_replies(&self) -> u64 {
        self.replies.iter().map(|&n| u64::from(n)).sum()
    }

    /// Draws new numbers for the operations `from..to` and returns their bytes.
    #[inline]
    pub fn patched(
        &mut self,
        from: usize,
        to: usize,
        keys: &mut KeySource,
        sequence: &mut Sequence,
    ) -> &[u8] {
        let (first, last) = (self.slots[from], self.slots[to]);
        for patch in &self.patches[first.1 as usize..last.1 as usize] {
            let at = patch.at as usize;
            let (number, fixed) = match patch.number {
                Number::Key => (keys.key(), self.fixed_digits),
                Number::Uniform => (keys.uniform(), self.fixed_digits),
                Number::Sequence => (sequence.next(), 0),
            };
            write_digits(&mut self.bytes[at + fixed..at + DIGITS], number);
        }
        &self.bytes[first.0 as usize..last.0 as usize]
    }
}

/// The numbers that a thread gives to `{seq}`: threads interleave without meeting.
pub struct Sequence {
    next: u64,
    step: u64,
}

impl Sequence {
    /// The numbers `start`, `start + step`, …
    pub fn new(start: u64, step: u64) -> Self {
        Self { next: start, step }
    }

    #[inline]
    fn next(&mut self) -> u64 {
        let number = self.next;
        self.next += self.step;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Distribution;

    fn text(sheet: &mut Sheet, from: usize, to: usize, sequence: &mut Sequence) -> String {
        let mut keys = KeySource::new(Distribution::Uniform, 1, 0);
        String::from_utf8(sheet.patched(from, to, &mut keys, sequence).to_vec()).unwrap()
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(split_words("  SET k 'a b' \"c\"d '' ").unwrap(), ["SET", "k", "a b", "cd", ""]);
        assert!(split_words("SET 'k").is_err());
        assert!(Template::parse(&[" "], 1).is_err());
    }

    #[test]
    fn encodes_and_leaves_hash_tags_alone() {
        let template = Template::parse(&["SET {tag}{seq}:x {value:3}"], 9).unwrap();
        let mut sheet = Sheet::new([&template], 10);
        let text = text(&mut sheet, 0, 1, &mut Sequence::new(7, 1));
        let (head, value) = text.split_at(text.len() - 5);
        assert_eq!(head, "*3\r\n$3\r\nSET\r\n$19\r\n{tag}000000000007:x\r\n$3\r\n");
        assert!(value.ends_with("\r\n"));
    }

    #[test]
    fn patches_only_the_operations_asked_for() {
        let a = Template::parse(&["GET {seq}"], 0).unwrap();
        let b = Template::parse(&["MULTI", "INCR {seq}", "EXEC"], 0).unwrap();
        let mut sheet = Sheet::new([&a, &b, &a], 10);
        assert_eq!((sheet.replies(0), sheet.replies(1), sheet.all_replies()), (1, 3, 5));
        let mut sequence = Sequence::new(5, 10);
        let middle = text(&mut sheet, 1, 2, &mut sequence);
        assert_eq!(
            middle,
            "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$12\r\n000000000005\r\n*1\r\n$4\r\nEXEC\r\n"
        );
        let all = text(&mut sheet, 0, 3, &mut sequence);
        for number in ["000000000015", "000000000025", "000000000035"] {
            assert!(all.contains(number), "{all}");
        }
        assert!(!all.contains("000000000005"));
    }

    #[test]
    fn numbers_overwrite_longer_ones() {
        let mut place = *b"000000";
        for (number, expect) in [(987_654, "987654"), (3, "000003"), (0, "000000"), (40, "000040")]
        {
            write_digits(&mut place, number);
            assert_eq!(place, expect.as_bytes());
        }
        let mut odd = *b"999";
        write_digits(&mut odd, 42);
        assert_eq!(&odd, b"042");
    }

    #[test]
    fn every_key_of_the_keyspace_is_written_in_full() {
        for keyspace in [1, 9, 10, 11, 100, 101, 100_000, 100_001] {
            let template = Template::parse(&["GET {key}"], 0).unwrap();
            let mut sheet = Sheet::new([&template], keyspace);
            let mut keys = KeySource::new(Distribution::Uniform, keyspace, 3);
            let mut expected = KeySource::new(Distribution::Uniform, keyspace, 3);
            for _ in 0..1000 {
                let bytes = sheet.patched(0, 1, &mut keys, &mut Sequence::new(0, 1)).to_vec();
                let text = String::from_utf8(bytes).unwrap();
                let key = text.trim_end().rsplit("\r\n").next().unwrap();
                assert_eq!(key.parse::<u64>().unwrap(), expected.key(), "{keyspace}");
            }
        }
    }
}
