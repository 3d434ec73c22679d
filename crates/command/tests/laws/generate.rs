//! Random calls made from the syntax lines.

use kevy_command::Row;
use kevy_command::syntax::{Argument, Kind, parse};
use kevy_data::dump::{Format, dump};
use kevy_data::{Hash, Item, Limits, List, NodeLimit, Record, Set, Side, SortedSet, Text};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Deadlines are at least so many milliseconds away, so that a comparison with a server in real time
/// is over before.
const FAR: i64 = 60_000;

/// Makes calls over a few keys, so that they meet.
pub(crate) struct Generator {
    rng: StdRng,
    /// Where the number of the keys or fields stands that are still to come.
    numkeys: Option<usize>,
    /// How many keys came last: there is a weight for each.
    keys: usize,
    /// The time about which absolute times lie, in Unix milliseconds.
    pub(crate) now_ms: i64,
    /// How many keys of streams the call has: as many ids follow.
    streams: Option<usize>,
    /// Where the number of the ids stands, and how many there are.
    numids: Option<(usize, usize)>,
}

impl Generator {
    pub(crate) fn new(seed: u64, now_ms: i64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            numkeys: None,
            keys: 1,
            streams: None,
            numids: None,
            now_ms,
        }
    }

    pub(crate) fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// A call of the command whose names are `name`: valid by its syntax, with sensible values.
    pub(crate) fn call(&mut self, name: &str, row: &Row) -> Vec<Vec<u8>> {
        let mut call: Vec<Vec<u8>> = name.split('|').map(|part| part.as_bytes().to_vec()).collect();
        (self.streams, self.numids) = (None, None);
        let arguments = parse(row.doc.syntax).unwrap_or_else(|why| panic!("{name}: {why}"));
        arguments.iter().for_each(|argument| self.argument(argument, &mut call));
        call
    }

    fn argument(&mut self, argument: &Argument, call: &mut Vec<Vec<u8>>) {
        // The weights behind the first one, which has a word in front.
        let weights = argument.multiple && argument.name == "weight";
        if argument.optional && !weights && self.rng.random_bool(0.5) {
            return;
        }
        let times = match (argument.kind, argument.multiple) {
            (_, false) => 1,
            (_, true) if weights => self.keys - 1,
            (Kind::String, true) => self.streams.unwrap_or_else(|| self.rng.random_range(1..=4)),
            (_, true) => self.rng.random_range(1..=4),
        };
        if (argument.kind == Kind::Key || argument.multiple)
            && let Some(at) = self.numkeys.take()
        {
            self.keys = times;
            call[at] = times.to_string().into_bytes();
        }
        for _ in 0..times {
            self.once(argument, call);
        }
    }

    fn once(&mut self, argument: &Argument, call: &mut Vec<Vec<u8>>) {
        if let Some(token) = &argument.token {
            call.push(token.as_bytes().to_vec());
            self.streams = self.streams.or((token == "STREAMS").then_some(0));
        }
        if argument.kind == Kind::Key {
            self.streams = self.streams.map(|count| count + 1);
        }
        if ["numkeys", "numfields"].contains(&argument.name.as_str()) {
            self.numkeys = Some(call.len());
        }
        match argument.kind {
            Kind::PureToken => {}
            Kind::OneOf => {
                let chosen = argument.children.choose(&mut self.rng).unwrap().clone();
                self.once(&chosen, call);
            }
            Kind::Block => {
                argument.children.iter().for_each(|child| self.argument(child, call));
            }
            _ if argument.name == "serialized-value" => call.push(self.payload()),
            _ => {
                call.push(self.value(argument).into_bytes());
                self.count_ids(argument, call);
            }
        }
    }

    /// Brings the number of ids up to date if there is one.
    fn count_ids(&mut self, argument: &Argument, call: &mut [Vec<u8>]) {
        match (argument.name.as_str(), self.numids) {
            ("numids", _) => self.numids = Some((call.len() - 1, 0)),
            ("id", Some((at, count))) => {
                call[at] = (count + 1).to_string().into_bytes();
                self.numids = Some((at, count + 1));
            }
            _ => {}
        }
    }

    /// The payload of a small value of any type.
    fn payload(&mut self) -> Vec<u8> {
        let (limits, texts) = (&Limits::DEFAULT, ["x", "-3", "hello"]);
        let mut list = List::default();
        let mut set = Set::default();
        let mut hash = Hash::default();
        let mut scores = SortedSet::default();
        for text in &texts[..self.rng.random_range(1..=3)] {
            let text = text.as_bytes();
            list.push(Side::Left, Text::Bytes(text), NodeLimit::new(-2));
            set.insert(Item::of(text), limits);
            hash.set(text, Text::Bytes(text), false, limits.into());
            scores.update(text, limits, |_| Some(text.len() as f64));
        }
        let record = match self.rng.random_range(0..5) {
            0 => Record::new(b"", Text::Bytes(b"value"), None),
            1 => Record::of(b"", list, None),
            2 => Record::of(b"", set, None),
            3 => Record::of(b"", hash, None),
            _ => Record::of(b"", scores, None),
        };
        dump(&record, Format::default())
    }

    fn value(&mut self, argument: &Argument) -> String {
        match (argument.kind, argument.name.as_str()) {
            (Kind::Key, _) => self.pick(&["a", "b", "c", "{a}d", "e"]),
            (Kind::Pattern, _) => self.pick(&["*", "a*", "[abc]", "?"]),
            (Kind::Double, _) => self.pick(&["0.5", "-1.25", "3.0e3", "10"]),
            (Kind::UnixTime, name) => {
                let away = if self.rng.random_bool(0.2) { -100_000..-1_000 } else { FAR..FAR * 50 };
                let ms = self.now_ms + self.rng.random_range(away);
                (if name == "unix-time-seconds" { ms / 1000 } else { ms }).to_string()
            }
            (Kind::Integer, "seconds" | "count") => {
                self.rng.random_range(FAR / 1_000..FAR / 20).to_string()
            }
            (Kind::Integer, "ttl") => match self.rng.random_bool(0.5) {
                true => "0".to_owned(),
                false => self.rng.random_range(FAR..FAR * 50).to_string(),
            },
            (Kind::Integer, "frequency") => self.rng.random_range(0..256).to_string(),
            (Kind::Integer, "milliseconds") => self.rng.random_range(FAR..FAR * 50).to_string(),
            (Kind::Integer, "offset") => self.rng.random_range(0..20).to_string(),
            (Kind::Integer, "db" | "destination-db" | "index" | "index1" | "index2") => {
                self.rng.random_range(0..3).to_string()
            }
            (Kind::Integer, "bit" | "value") => self.rng.random_range(0..2).to_string(),
            // For ever or at once: nothing depends on how long a call takes.
            (Kind::Integer, "min-idle-time") => self.pick(&["0", "0", "-1", "1000000000"]),
            (Kind::Integer, "num-vertices") => "7".to_owned(),
            (Kind::Integer, "protover") => self.rng.random_range(2..=3).to_string(),
            (Kind::Integer, "cursor") => "0".to_owned(),
            (Kind::Integer, _) => self.rng.random_range(-10..10).to_string(),
            (Kind::String, "min" | "max") => self.pick(&["-", "+", "[1", "(17", "[hello", "(x"]),
            (Kind::String, "id") if self.streams.is_some() => {
                self.pick(&[">", ">", "$", "0", "5-1", "13-0"])
            }
            (_, "id" | "last-id" | "max-deleted-id") => {
                format!("{}-{}", self.rng.random_range(0..15), self.rng.random_range(0..3))
            }
            (Kind::String, "start" | "end") => self.pick(&["-", "+", "3", "(4-1", "7-1"]),
            (_, "threshold") => self.rng.random_range(0..9).to_string(),
            (_, "group") => self.pick(&["g", "h"]),
            (_, "consumer") => self.pick(&["alice", "bob"]),
            (_, "username") => "default".to_owned(),
            (_, "command") => "get".to_owned(),
            (_, "arg") => "a".to_owned(),
            (_, "type") => "string".to_owned(),
            (_, "subcommand") => self.pick(&["getreg", "decode", "encoding", "todense"]),
            (_, "encoding") => self.pick(&["u1", "i4", "u8", "i13", "u63", "i64"]),
            _ => self.pick(&["", "1", "17", "x", "hello", "-3", "1.5", "0.1", "a b"]),
        }
    }

    fn pick(&mut self, values: &[&str]) -> String {
        (*values.choose(&mut self.rng).unwrap()).to_owned()
    }
}
