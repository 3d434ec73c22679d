//! Values of directives: reading them from words, and showing them.

use std::fmt::Write as _;

use super::compound::{
    self, BufferLimit, Events, ReplicaOf, SavePoint, ShutdownFlags, parse_percentiles,
};
use super::directive::{Form, Kind};

/// The value of one directive. Its variant is the one that the directive's [`Kind`] names.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Int`]; wide enough for the signed and the unsigned 64-bit numbers.
    Int(i128),
    /// Of [`Kind::Text`].
    Text(Vec<u8>),
    /// Of [`Kind::Choice`]: the value of the word.
    Choice(u8),
    /// Of [`Kind::ShutdownFlags`].
    ShutdownFlags(ShutdownFlags),
    /// Of [`Kind::Save`].
    Save(Vec<SavePoint>),
    /// Of [`Kind::OutputBuffers`]: normal clients, replicas, subscribers.
    OutputBuffers([BufferLimit; 3]),
    /// Of [`Kind::OomScores`]: primary, replica, background child.
    OomScores([i32; 3]),
    /// Of [`Kind::Events`].
    Events(Events),
    /// Of [`Kind::Words`].
    Words(Vec<Vec<u8>>),
    /// Of [`Kind::Percentiles`].
    Percentiles(Vec<f64>),
    /// Of [`Kind::ReplicaOf`].
    ReplicaOf(Option<ReplicaOf>),
}

/// A further condition on a string; the error is the reason that users read.
pub(super) type Check = fn(&[u8]) -> Result<(), &'static str>;

/// The [`Check`] that everything passes.
pub(super) fn any(_: &[u8]) -> Result<(), &'static str> {
    Ok(())
}

impl Kind {
    /// The value that holds if no directive is given.
    pub fn default_value(&self) -> Value {
        match *self {
            Kind::Bool { default } => Value::Bool(default),
            Kind::Int { default, .. } => Value::Int(default),
            Kind::Text { default, .. } => Value::Text(default.into()),
            Kind::Choice { default, .. } => Value::Choice(default),
            Kind::ShutdownFlags => Value::ShutdownFlags(ShutdownFlags::default()),
            Kind::Save => Value::Save(compound::DEFAULT_SAVE.to_vec()),
            Kind::OutputBuffers => Value::OutputBuffers(compound::DEFAULT_BUFFER_LIMITS),
            Kind::OomScores => Value::OomScores(compound::DEFAULT_OOM_SCORES),
            Kind::Events => Value::Events(Events::default()),
            Kind::Words { default, .. } => {
                Value::Words(default.split_ascii_whitespace().map(Into::into).collect())
            }
            Kind::Percentiles { default } => Value::Percentiles(default.to_vec()),
            Kind::ReplicaOf => Value::ReplicaOf(None),
        }
    }

    /// Reads a value from the words that follow the directive's name. What the words leave open
    /// (classes of output buffers not named) is taken from `current`.
    ///
    /// The error is the reason in the words of Redis.
    pub fn parse(&self, words: &[Vec<u8>], current: &Value) -> Result<Value, String> {
        match self {
            Kind::Bool { .. } => parse_bool(single(words)?).map(Value::Bool),
            Kind::Int { min, max, form, .. } => {
                parse_int(single(words)?, *min, *max, *form).map(Value::Int)
            }
            Kind::Text { check, .. } => {
                let word = single(words)?;
                check(word)?;
                Ok(Value::Text(word.to_vec()))
            }
            Kind::Choice { words: known, .. } => parse_choice(words, known).map(Value::Choice),
            Kind::ShutdownFlags => Ok(Value::ShutdownFlags(ShutdownFlags::parse(words)?)),
            Kind::Save => compound::parse_save(words).map(Value::Save),
            Kind::OutputBuffers => {
                let limits = match current {
                    Value::OutputBuffers(limits) => *limits,
                    _ => compound::DEFAULT_BUFFER_LIMITS,
                };
                compound::parse_buffer_limits(words, limits).map(Value::OutputBuffers)
            }
            Kind::OomScores => compound::parse_oom_scores(words).map(Value::OomScores),
            Kind::Events => Ok(Value::Events(Events::parse(single(words)?)?)),
            Kind::Words { max, .. } => parse_words(words, *max).map(Value::Words),
            Kind::Percentiles { .. } => parse_percentiles(words).map(Value::Percentiles),
            Kind::ReplicaOf => ReplicaOf::parse(words).map(Value::ReplicaOf),
        }
    }

    /// The value as `CONFIG GET` shows it.
    pub fn show(&self, value: &Value) -> Vec<u8> {
        match (self, value) {
            (Kind::Int { form, .. }, Value::Int(number)) => show_int(*number, *form).into(),
            (Kind::Choice { words, .. }, Value::Choice(value)) => word_of(words, *value).into(),
            (_, Value::Bool(value)) => if *value { "yes" } else { "no" }.into(),
            (_, Value::Text(text)) => text.clone(),
            (_, Value::ShutdownFlags(flags)) => flags.show().into(),
            (_, Value::Save(points)) => compound::show_save(points).into(),
            (_, Value::OutputBuffers(limits)) => compound::show_buffer_limits(limits).into(),
            (_, Value::OomScores(scores)) => {
                format!("{} {} {}", scores[0], scores[1], scores[2]).into()
            }
            (_, Value::Events(events)) => events.show().into(),
            (_, Value::Words(words)) => words.join(&b' '),
            (_, Value::Percentiles(list)) => compound::show_percentiles(list).into(),
            (_, Value::ReplicaOf(Some(primary))) => primary.show(),
            (_, Value::ReplicaOf(None) | Value::Int(_) | Value::Choice(_)) => Vec::new(),
        }
    }
}

fn single(words: &[Vec<u8>]) -> Result<&[u8], String> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".into()),
    }
}

fn parse_bool(word: &[u8]) -> Result<bool, String> {
    if word.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

fn parse_choice(words: &[Vec<u8>], known: &'static [(&'static str, u8)]) -> Result<u8, String> {
    let word = single(words)?;
    let found = known.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|&(_, value)| value).ok_or_else(|| not_one_of(known.iter().map(|&(name, _)| name)))
}

/// The reason for a word that is none of `known`.
pub(super) fn not_one_of(known: impl Iterator<Item = &'static str>) -> String {
    let known: Vec<&str> = known.collect();
    format!("argument(s) must be one of the following: {}", known.join(", "))
}

/// The first word of a value.
pub(super) fn word_of(words: &[(&'static str, u8)], value: u8) -> &'static str {
    words.iter().find(|(_, it)| *it == value).map_or("unknown", |&(word, _)| word)
}

/// A list of words; one empty word means none.
fn parse_words(words: &[Vec<u8>], max: usize) -> Result<Vec<Vec<u8>>, String> {
    if words.len() > max {
        return Err("Too many bind addresses specified.".into());
    }
    if let [word] = words
        && word.is_empty()
    {
        return Ok(Vec::new());
    }
    Ok(words.to_vec())
}

fn parse_int(word: &[u8], min: i128, max: i128, form: Form) -> Result<i128, String> {
    let (number, reason) = match form {
        Form::Plain => {
            let number = canonical_i64(word).map(i128::from);
            (number, "argument couldn't be parsed into an integer")
        }
        Form::Octal => (parse_octal(word), "argument couldn't be parsed as an octal number"),
        Form::Memory => (memory_number(word), "argument must be a memory value"),
        Form::MemoryOrPercent => {
            let number = memory_number(word).or_else(|| parse_percent(word));
            (number, "argument must be a memory or percent value")
        }
    };
    let number = number.ok_or(reason)?;
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(match form {
        Form::MemoryOrPercent if number < 0 => {
            format!("percentage argument must be less or equal to {}", -min)
        }
        Form::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
        _ => format!("argument must be between {min} and {max} inclusive"),
    })
}

/// A decimal number in the one form that Redis takes for integers: no plus sign, no leading zero,
/// no white space.
pub(super) fn canonical_i64(word: &[u8]) -> Option<i64> {
    let word = str::from_utf8(word).ok()?;
    let digits = word.strip_prefix('-').unwrap_or(word);
    let canonical = word == "0"
        || (digits.starts_with(|first: char| ('1'..='9').contains(&first))
            && digits.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { word.parse().ok() } else { None }
}

fn memory_number(word: &[u8]) -> Option<i128> {
    parse_memory(word).map(i128::from)
}

/// A number of bytes: digits and a unit, in any case. `b` or nothing is 1; `k`, `m`, `g` are powers
/// of 1000, `kb`, `mb`, `gb` powers of 1024. No digits are zero, as in Redis. `None` also if the
/// number does not fit.
pub fn parse_memory(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit: u64 = match word[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number = match str::from_utf8(&word[..digits]).ok()? {
        "" => 0,
        digits => digits.parse::<u64>().ok()?,
    };
    number.checked_mul(unit)
}

/// `n%` as `-n`.
fn parse_percent(word: &[u8]) -> Option<i128> {
    let number = canonical_i64(word.strip_suffix(b"%")?)?;
    (number >= 0).then_some(-i128::from(number))
}

fn parse_octal(word: &[u8]) -> Option<i128> {
    let word = str::from_utf8(word).ok()?;
    let digits = word.strip_prefix('-').unwrap_or(word);
    let number = i128::from(u32::from_str_radix(digits, 8).ok()?);
    Some(if digits.len() == word.len() { number } else { -number })
}

fn show_int(number: i128, form: Form) -> String {
    match form {
        Form::Octal => format!("{number:o}"),
        Form::MemoryOrPercent if number < 0 => format!("{}%", -number),
        _ => number.to_string(),
    }
}

/// A number as `CONFIG REWRITE` writes it: bytes in the greatest unit that divides them.
pub(super) fn rewrite_int(number: i128, form: Form) -> String {
    match form {
        Form::Memory | Form::MemoryOrPercent if number >= 0 => rewrite_memory(number),
        _ => show_int(number, form),
    }
}

/// Bytes in the greatest unit that divides them.
pub(super) fn rewrite_memory(bytes: i128) -> String {
    for (unit, name) in [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes != 0 && bytes % unit == 0 {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// Joins what `item` writes for each element with spaces.
pub(super) fn spaced<T>(items: &[T], mut item: impl FnMut(&T, &mut String)) -> String {
    let mut out = String::new();
    for (at, it) in items.iter().enumerate() {
        if at > 0 {
            let _ = out.write_char(' ');
        }
        item(it, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_units() {
        let cases: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("", Some(0)),
            ("mb", Some(0)),
            ("1b", Some(1)),
            ("1k", Some(1000)),
            ("1kb", Some(1024)),
            ("2M", Some(2_000_000)),
            ("2MB", Some(2 << 20)),
            ("1g", Some(1_000_000_000)),
            ("1Gb", Some(1 << 30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999gb", None),
            ("-1", None),
            ("+1", None),
            ("1tb", None),
            ("1 mb", None),
            ("1.5gb", None),
        ];
        for &(word, expected) in cases {
            assert_eq!(parse_memory(word.as_bytes()), expected, "{word}");
        }
    }

    #[test]
    fn integers_are_canonical() {
        for (word, expected) in [("0", Some(0)), ("-5", Some(-5)), ("12", Some(12))] {
            assert_eq!(canonical_i64(word.as_bytes()), expected);
        }
        for word in ["", "-", "+1", "01", "-0", " 1", "1 ", "1x", "9223372036854775808", "٣"] {
            assert_eq!(canonical_i64(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn rewritten_memory_is_read_back() {
        for bytes in [0, 1, 1000, 1024, 1 << 20, 3 << 30, (1 << 30) + 1] {
            let text = rewrite_memory(bytes);
            assert_eq!(memory_number(text.as_bytes()), Some(bytes), "{text}");
        }
    }
}
