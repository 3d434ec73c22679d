//! Random commands from templates.
//!
//! A template is a line of words. An upper-case word stands for itself, a lower-case one for a
//! random value of that [`Slot`]. `[a|b]` is one of the alternatives or nothing, `(a|b)` one of
//! the alternatives, and `...` behind a word or a group repeats it one to three times. A leading
//! `=` keeps the line from being mutated into an invalid one.

use crate::payloads::PAYLOADS;
use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// The arguments of a command, its name first.
pub type Arguments = Vec<Vec<u8>>;

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    pieces: Vec<Piece>,
    mutable: bool,
}

#[derive(Debug)]
enum Piece {
    Word(&'static str),
    Slot(Slot),
    Choice { alternatives: Vec<Vec<Piece>>, optional: bool },
    Repeated(Box<Piece>),
}

/// What a lower-case word stands for.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Key,
    /// A key that is mostly used for one type: the slot's name says which.
    TypedKey(&'static str),
    Value,
    /// A member of a set, or a field of a hash: one of few.
    Member,
    Score,
    /// An end of a range of scores.
    ScoreBound,
    /// An end of a range of members.
    LexBound,
    /// An id of a stream's entry.
    Id,
    /// The same, but none that depends on the time, and none that only newer versions know.
    EntryId,
    Index,
    Longitude,
    Latitude,
    /// A distance.
    Length,
    Integer,
    Offset,
    Float,
    Seconds,
    Milliseconds,
    UnixSeconds,
    UnixMilliseconds,
    Database,
    Pattern,
    /// What an element is sorted by: keys of other templates.
    ByPattern,
    /// What is got for an element.
    GetPattern,
    Count,
    Name,
    Junk,
    BitOffset,
    BitType,
    /// What `DUMP` has answered.
    Payload,
}

const SLOTS: &[(&str, Slot)] = &[
    ("key", Slot::Key),
    ("list", Slot::TypedKey("list")),
    ("set", Slot::TypedKey("set")),
    ("zset", Slot::TypedKey("zset")),
    // Sorted sets whose members have one score.
    ("lexset", Slot::TypedKey("lexset")),
    ("hash", Slot::TypedKey("hash")),
    ("stream", Slot::TypedKey("stream")),
    ("bitmap", Slot::TypedKey("bitmap")),
    ("hll", Slot::TypedKey("hll")),
    ("geo", Slot::TypedKey("geo")),
    ("member", Slot::Member),
    ("field", Slot::Member),
    ("score", Slot::Score),
    ("score-bound", Slot::ScoreBound),
    ("lex-bound", Slot::LexBound),
    ("id", Slot::Id),
    ("entry-id", Slot::EntryId),
    ("index", Slot::Index),
    ("longitude", Slot::Longitude),
    ("latitude", Slot::Latitude),
    ("length", Slot::Length),
    ("value", Slot::Value),
    ("integer", Slot::Integer),
    ("offset", Slot::Offset),
    ("float", Slot::Float),
    ("seconds", Slot::Seconds),
    ("milliseconds", Slot::Milliseconds),
    ("unix-seconds", Slot::UnixSeconds),
    ("unix-milliseconds", Slot::UnixMilliseconds),
    ("database", Slot::Database),
    ("pattern", Slot::Pattern),
    ("by-pattern", Slot::ByPattern),
    ("get-pattern", Slot::GetPattern),
    ("count", Slot::Count),
    ("name", Slot::Name),
    ("junk", Slot::Junk),
    ("bit-offset", Slot::BitOffset),
    ("bit-type", Slot::BitType),
    ("payload", Slot::Payload),
];

impl Template {
    /// Reads a template.
    pub fn parse(line: &'static str) -> Result<Template> {
        let (mutable, line) = match line.strip_prefix('=') {
            Some(rest) => (false, rest),
            None => (true, line),
        };
        let mut tokens = tokens(line);
        let pieces = sequence(&mut tokens)?;
        if let Some(token) = tokens.first() {
            bail!("unexpected {token:?}");
        }
        Ok(Template { pieces, mutable })
    }
}

/// Brackets, bars and dots are tokens of their own.
fn tokens(line: &'static str) -> &'static [&'static str] {
    let mut found = Vec::new();
    for word in line.split_ascii_whitespace() {
        let mut rest = word;
        while !rest.is_empty() {
            let length = if rest.starts_with("...") {
                3
            } else if rest.starts_with(['[', ']', '(', ')', '|']) {
                1
            } else {
                let stops = [rest.find(['[', ']', '(', ')', '|']), rest.find("...")];
                stops.into_iter().flatten().min().unwrap_or(rest.len())
            };
            let (token, after) = rest.split_at(length);
            found.push(token);
            rest = after;
        }
    }
    found.leak()
}

fn sequence(tokens: &mut &[&'static str]) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    while let Some((&token, rest)) = tokens.split_first() {
        if matches!(token, "|" | "]" | ")") {
            break;
        }
        *tokens = rest;
        match token {
            "..." => {
                let last = pieces.pop().context("nothing to repeat")?;
                pieces.push(Piece::Repeated(Box::new(last)));
            }
            "[" => pieces.push(choice(tokens, "]")?),
            "(" => pieces.push(choice(tokens, ")")?),
            word => pieces.push(word_or_slot(word)?),
        }
    }
    Ok(pieces)
}

fn choice(tokens: &mut &[&'static str], close: &str) -> Result<Piece> {
    let mut alternatives = vec![sequence(tokens)?];
    loop {
        let (&token, rest) = tokens.split_first().context("a bracket is not closed")?;
        *tokens = rest;
        match token {
            "|" => alternatives.push(sequence(tokens)?),
            token if token == close => break,
            token => bail!("unexpected {token:?}"),
        }
    }
    Ok(Piece::Choice { alternatives, optional: close == "]" })
}

fn word_or_slot(word: &'static str) -> Result<Piece> {
    if !word.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Ok(Piece::Word(word));
    }
    let slot = SLOTS.iter().find(|(name, _)| *name == word);
    let (_, slot) = slot.with_context(|| format!("no slot is called {word:?}"))?;
    Ok(Piece::Slot(*slot))
}

/// A source of random commands, reproducible from its seed.
pub struct Generator {
    rng: StdRng,
}

impl Generator {
    /// A generator with `seed`.
    pub fn new(seed: u64) -> Generator {
        Generator { rng: StdRng::seed_from_u64(seed) }
    }

    /// Its random numbers.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// A command from `template`: mostly valid, sometimes spoilt.
    pub fn command(&mut self, template: &Template) -> Arguments {
        let mut arguments = Arguments::new();
        self.fill(&template.pieces, &mut arguments);
        if template.mutable && self.rng.random_ratio(1, 8) {
            self.spoil(&mut arguments);
        }
        if self.rng.random_ratio(1, 5) {
            self.change_case(&mut arguments);
        }
        arguments
    }

    fn fill(&mut self, pieces: &[Piece], out: &mut Arguments) {
        for piece in pieces {
            match piece {
                Piece::Word(word) => out.push(word.as_bytes().to_vec()),
                Piece::Slot(slot) => {
                    let value = self.slot(*slot);
                    out.push(value);
                }
                Piece::Choice { alternatives, optional } => {
                    if *optional && self.rng.random_ratio(1, 2) {
                        continue;
                    }
                    let index = self.rng.random_range(0..alternatives.len());
                    self.fill(&alternatives[index], out);
                }
                Piece::Repeated(piece) => {
                    for _ in 0..self.rng.random_range(1..=3) {
                        self.fill(std::slice::from_ref(piece), out);
                    }
                }
            }
        }
    }

    /// Makes a command wrong in one of the ways in which clients are wrong.
    fn spoil(&mut self, arguments: &mut Arguments) {
        let at = self.rng.random_range(0..arguments.len());
        match self.rng.random_range(0..5) {
            0 => {
                arguments.pop();
            }
            1 => {
                let junk = self.slot(Slot::Junk);
                arguments.push(junk);
            }
            2 => arguments.push(arguments[at].clone()),
            3 if at > 0 => {
                arguments.remove(at);
            }
            _ if at > 0 => arguments[at] = self.slot(Slot::Junk),
            _ => arguments[0] = b"NOSUCHCOMMAND".to_vec(),
        }
        if arguments.is_empty() {
            arguments.push(b"PING".to_vec());
        }
    }

    fn change_case(&mut self, arguments: &mut Arguments) {
        match self.rng.random_range(0..3) {
            0 => arguments[0].make_ascii_lowercase(),
            1 => arguments[0].iter_mut().step_by(2).for_each(|b| b.make_ascii_lowercase()),
            _ => {
                if let Some(last) = arguments.last_mut() {
                    last.make_ascii_lowercase();
                }
            }
        }
    }

    fn slot(&mut self, slot: Slot) -> Vec<u8> {
        match slot {
            Slot::Key => self.key(),
            // Now and then a key of any type: the errors about types count too.
            Slot::TypedKey(_) if self.rng.random_ratio(1, 16) => self.key(),
            Slot::TypedKey(kind) => format!("{kind}:{}", self.rng.random_range(0..6)).into_bytes(),
            Slot::Member => self.member(),
            Slot::Score => match self.rng.random_range(0..8) {
                0 => self.one_of(SCORES),
                1 => format!("{}.5", self.rng.random_range(-20..20)).into_bytes(),
                _ => self.rng.random_range(-20..40).to_string().into_bytes(),
            },
            Slot::ScoreBound => match self.rng.random_range(0..6) {
                0 => self.one_of(SCORES),
                1 => self.one_of(&["-inf", "+inf", "inf", "(-inf", "(+inf", "(", "("]),
                2 => format!("({}", self.rng.random_range(-20..40)).into_bytes(),
                _ => self.rng.random_range(-20..40).to_string().into_bytes(),
            },
            Slot::LexBound => match self.rng.random_range(0..6) {
                0 => self.one_of(&["-", "+", "", "[", "(", "a", "+a", "-b", "(-"]),
                1..3 => self.one_of(&["-", "+"]),
                at => {
                    let mut bound = if at == 3 { b"(".to_vec() } else { b"[".to_vec() };
                    bound.extend(self.member());
                    bound
                }
            },
            Slot::EntryId => {
                let id = self.slot(Slot::Id);
                if id == b"*" || id == b"+" { b"**".to_vec() } else { id }
            }
            Slot::Id => match self.rng.random_range(0..8) {
                0 => self.one_of(IDS),
                1 => self.rng.random_range(0..40).to_string().into_bytes(),
                _ => {
                    let (ms, seq) = (self.rng.random_range(0..40), self.rng.random_range(0..3));
                    format!("{ms}-{seq}").into_bytes()
                }
            },
            Slot::Longitude => self.coordinate(180),
            Slot::Latitude => self.coordinate(85),
            Slot::Length => match self.rng.random_range(0..10) {
                0 => self.one_of(&["0", "-1", "a", "", "inf", "1e-300", "1e9", "20000000"]),
                1..4 => self.rng.random_range(1..10).to_string().into_bytes(),
                _ => self.rng.random_range(10..6000).to_string().into_bytes(),
            },
            Slot::Index => match self.rng.random_range(0..12) {
                0 => self.one_of(EXTREMES),
                1 => self.one_of(&["", "a", "1.0", "100000", "-100000"]),
                _ => self.rng.random_range(-12..12).to_string().into_bytes(),
            },
            Slot::Value => self.value(),
            Slot::Integer => self.integer(),
            Slot::Float => self.one_of(FLOATS),
            Slot::Offset => match self.rng.random_range(0..12) {
                0 => self.one_of(&["536870912", "9223372036854775807", "-9223372036854775808"]),
                1 => self.one_of(&["4294967296", "", "a", "1.0"]),
                2 => self.rng.random_range(0..3000).to_string().into_bytes(),
                _ => self.rng.random_range(-12..60).to_string().into_bytes(),
            },
            Slot::Seconds => self.time(5_000, 100_000_000, SECONDS),
            Slot::Milliseconds => self.time(5_000_000, 100_000_000_000, MILLISECONDS),
            Slot::UnixSeconds => self.time(4_102_444_800, 4_133_980_800, SECONDS),
            Slot::UnixMilliseconds => self.time(4_102_444_800_000, 4_133_980_800_000, MILLISECONDS),
            Slot::Database => match self.rng.random_range(0..12) {
                0 => self.one_of(&["15", "16", "-1", "x", "2147483648", "99999999999999999999"]),
                _ => self.rng.random_range(0..4).to_string().into_bytes(),
            },
            Slot::Pattern => self.one_of(PATTERNS),
            Slot::ByPattern => self.one_of(&["key:*", "hash:*->1", "hash:*->m1", "set:*", "*"]),
            Slot::GetPattern => match self.rng.random_range(0..3) {
                0 => self.one_of(&["#", "*->", "nothing", "hash:*->", ""]),
                _ => self.slot(Slot::ByPattern),
            },
            Slot::Count => self.one_of(&["1", "10", "1000", "100000", "0", "-1", "x", "07"]),
            Slot::Name => self.one_of(&["", "worker", "a-b.c", "with space", "new\nline", "é"]),
            Slot::Junk => self.one_of(JUNK),
            Slot::BitOffset => match self.rng.random_range(0..16) {
                0 => self.one_of(&["4294967296", "4294967295000", "-1", "#9223372036854775807"]),
                1 => self.one_of(JUNK),
                2 => self.rng.random_range(0..10_000).to_string().into_bytes(),
                3..6 => format!("#{}", self.rng.random_range(-1..12)).into_bytes(),
                _ => self.rng.random_range(0..150).to_string().into_bytes(),
            },
            Slot::Payload => {
                PAYLOADS.choose(&mut self.rng).map(|bytes| bytes.to_vec()).unwrap_or_default()
            }
            Slot::BitType => match self.rng.random_range(0..12) {
                0 => self.one_of(&["u64", "i65", "u0", "i0", "U8", "8", "i", "i-1", "u+8", "u08"]),
                1 => self.one_of(&["i64", "u63", "i1", "u1"]),
                _ => {
                    let sign = if self.rng.random_bool(0.5) { 'i' } else { 'u' };
                    format!("{sign}{}", self.rng.random_range(1..=63)).into_bytes()
                }
            },
        }
    }

    fn one_of(&mut self, choices: &[&str]) -> Vec<u8> {
        choices.choose(&mut self.rng).map(|text| text.as_bytes().to_vec()).unwrap_or_default()
    }

    fn key(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..40) {
            0 => Vec::new(),
            1 => b"\x00\r\n\xff".to_vec(),
            2 => vec![b'L'; 300],
            3..6 => self.one_of(&["{tag}1", "{tag}2", "{}3", "a{b}{c}"]),
            _ => format!("key:{}", self.rng.random_range(0..14)).into_bytes(),
        }
    }

    /// A longitude or latitude: mostly in one region, near which the areas are.
    fn coordinate(&mut self, max: i32) -> Vec<u8> {
        match self.rng.random_range(0..12) {
            0 => self.one_of(&["180", "-180", "85.05112878", "-85.05112878", "85.06", "a", "0"]),
            1..4 => {
                let (whole, part) =
                    (self.rng.random_range(-max..max), self.rng.random_range(0..10_000));
                format!("{whole}.{part:04}").into_bytes()
            }
            _ => {
                let (whole, part) =
                    (self.rng.random_range(10..18), self.rng.random_range(0..1_000_000));
                format!("{whole}.{part:06}").into_bytes()
            }
        }
    }

    fn member(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..24) {
            0 => {
                self.one_of(&["", "1.5", "01", "-0", "9223372036854775807", "9223372036854775808"])
            }
            1 => self.value(),
            // Around the longest that Redis packs.
            2 => vec![b'm'; self.rng.random_range(63..67)],
            3 => b"\x00\xffbinary\r\n".to_vec(),
            4..12 => self.rng.random_range(-3..40).to_string().into_bytes(),
            _ => format!("m{}", self.rng.random_range(0..30)).into_bytes(),
        }
    }

    fn integer(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..10) {
            0 => self.one_of(EXTREMES),
            1 => self.one_of(JUNK),
            2 => self.rng.random::<i64>().to_string().into_bytes(),
            _ => self.rng.random_range(-1000..20_000).to_string().into_bytes(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..12) {
            0..4 => self.integer(),
            4 => self.one_of(FLOATS),
            5 => self.one_of(JUNK),
            // Around the longest string that Redis embeds in its object.
            6 => vec![b'e'; self.rng.random_range(42..48)],
            7 => {
                let length = self.rng.random_range(0..2_000);
                (0..length).map(|_| self.rng.random()).collect()
            }
            8 => {
                let length = self.rng.random_range(0..40);
                (0..length).map(|_| *b"acgt".choose(&mut self.rng).unwrap_or(&b'a')).collect()
            }
            9 if self.rng.random_ratio(1, 10) => {
                let length = self.rng.random_range(10_000..200_000);
                vec![b'x'; length]
            }
            _ => format!("v{}", self.rng.random_range(0..100)).into_bytes(),
        }
    }

    /// Never a time that passes while the test runs.
    fn time(&mut self, from: i64, to: i64, odd: &[&str]) -> Vec<u8> {
        match self.rng.random_range(0..6) {
            0 => self.one_of(odd),
            _ => self.rng.random_range(from..to).to_string().into_bytes(),
        }
    }
}

const SCORES: &[&str] = &[
    "inf",
    "-inf",
    "+inf",
    "nan",
    "-0",
    "0",
    "1e300",
    "-1e300",
    "1e-300",
    "0.1",
    "1e400",
    "0x10",
    "3.0",
    "17179869184",
    "9007199254740993",
    "",
    "a",
    "1 ",
    " 1",
    "1e",
    "1_0",
];

const IDS: &[&str] = &[
    "-",
    "+",
    "$",
    ">",
    "*",
    "0",
    "0-0",
    "0-1",
    "18446744073709551615-18446744073709551615",
    "18446744073709551616-0",
    "5-*",
    "1-",
    "-1",
    "(5",
    "(5-1",
    "(-",
    "a",
    "",
    "1-1-1",
];

const FLOATS: &[&str] = &[
    "0",
    "-0",
    "1",
    "0.1",
    "-0.1",
    "0.2",
    "1.5",
    "3.0",
    "5.0e3",
    "5e-3",
    "1e17",
    "1e-17",
    "1e-20",
    "1e300",
    "1e308",
    "1e4000",
    "-1e4000",
    "1e5000",
    "inf",
    "-inf",
    "+inf",
    "Infinity",
    "nan",
    "NaN",
    "0x1p3",
    "0x10",
    " 1",
    "1 ",
    "1.",
    ".5",
    "+1.5",
    "123456789.123456789",
    "0.30000000000000004",
    "17179869184.5",
    "9007199254740993",
    "1.7976931348623157e308",
    "3.14159265358979323846",
    "99999999999999999999.99",
    "1e",
    "e1",
    "--1",
    "1,5",
    "",
];
const EXTREMES: &[&str] = &[
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "-9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "4294967295",
    "2147483648",
    "9999",
    "10000",
    "0",
    "-1",
];
/// No zero byte: what redis-server makes of it depends on which of its functions see C strings.
const JUNK: &[&str] = &[
    "",
    " ",
    "a",
    "1.5",
    "+1",
    "-0",
    "01",
    "1 ",
    " 1",
    "0x10",
    "1e3",
    "nan",
    "inf",
    "NX",
    "GET",
    "EX",
    "\r\n",
    "*",
    "é",
    "99999999999999999999999",
    "9223372036854775808",
    "-",
    "KEEPTTL",
    "MATCH",
    "nosuch",
];
const SECONDS: &[&str] = &[
    "0",
    "-1",
    "-1000",
    "1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775",
    "9223372036854776",
    "-9223372036854776",
    "abc",
    "",
    "1.5",
    "+100",
    "0100",
];
// A time of 1 ms would pass during the test.
const MILLISECONDS: &[&str] = &[
    "0",
    "-1",
    "-1000",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "-9223372036854775807",
    "abc",
    "",
    "1.5",
    "+100000000",
    "0100",
];
const PATTERNS: &[&str] = &[
    "*",
    "key:*",
    "key:?",
    "key:1[0-3]",
    "key:[^1]",
    "{tag}*",
    "*1",
    "nosuch",
    "",
    "\\*",
    "[",
    "[a",
    "key:[1",
    "key:\\1",
    "**",
    "k*y:*",
    "?",
    "[z-a]*",
    "*[0-9]",
    "LLL*",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_expand_to_their_shape() {
        let template =
            Template::parse("=SET key value [EX seconds|PX milliseconds] (NX|XX)...").unwrap();
        let mut generator = Generator::new(7);
        for _ in 0..200 {
            let command = generator.command(&template);
            assert!((4..=8).contains(&command.len()), "{command:?}");
            assert!(command[0].eq_ignore_ascii_case(b"SET"));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_commands() {
        let template = Template::parse("MSET (key value)...").unwrap();
        let of = |seed| {
            let mut generator = Generator::new(seed);
            (0..50).map(|_| generator.command(&template)).collect::<Vec<_>>()
        };
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }

    #[test]
    fn mistakes_in_templates_are_found() {
        assert!(Template::parse("GET nosuchslot").is_err());
        assert!(Template::parse("GET [key").is_err());
        assert!(Template::parse("...").is_err());
        assert!(Template::parse("GET key]").is_err());
    }
}
