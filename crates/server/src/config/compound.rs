//! Values made of several parts: save points, buffer limits, flags, percentiles, a primary.

use std::fmt::Write as _;

use super::value::{canonical_i64, not_one_of, parse_memory, rewrite_memory, spaced};

/// One save point: a snapshot is made once this many changes happened within this many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// At least 1.
    pub seconds: u64,
    /// May be 0: then time alone decides.
    pub changes: u64,
}

/// The save points that hold without a `save` directive.
pub(super) const DEFAULT_SAVE: [SavePoint; 3] = [
    SavePoint { seconds: 3600, changes: 1 },
    SavePoint { seconds: 300, changes: 100 },
    SavePoint { seconds: 60, changes: 10_000 },
];

/// The limits of the bytes that wait to be sent to clients of one class. Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferLimit {
    /// The client is closed at once beyond this many bytes.
    pub hard: u64,
    /// The client is closed after `soft_seconds` beyond this many bytes.
    pub soft: u64,
    /// See `soft`.
    pub soft_seconds: u64,
}

/// Classes of clients in the order of [`super::Value::OutputBuffers`], by the names that
/// `CONFIG GET` shows.
pub(super) const BUFFER_CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

pub(super) const DEFAULT_BUFFER_LIMITS: [BufferLimit; 3] = [
    BufferLimit { hard: 0, soft: 0, soft_seconds: 0 },
    BufferLimit { hard: 256 << 20, soft: 64 << 20, soft_seconds: 60 },
    BufferLimit { hard: 32 << 20, soft: 8 << 20, soft_seconds: 60 },
];

pub(super) const DEFAULT_OOM_SCORES: [i32; 3] = [0, 200, 800];

/// Pairs of seconds and changes; a single empty word means none.
pub(super) fn parse_save(words: &[Vec<u8>]) -> Result<Vec<SavePoint>, String> {
    let invalid = || "Invalid save parameters".to_owned();
    if let [word] = words
        && word.is_empty()
    {
        return Ok(Vec::new());
    }
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(invalid());
    }
    let mut points = Vec::with_capacity(pairs.len());
    for [seconds, changes] in pairs {
        let seconds = parse_u64(seconds).filter(|&seconds| seconds >= 1).ok_or_else(invalid)?;
        // Redis keeps changes in an int.
        let changes = parse_u64(changes).filter(|&it| it <= i32::MAX as u64).ok_or_else(invalid)?;
        points.push(SavePoint { seconds, changes });
    }
    Ok(points)
}

/// A number that is not negative, in decimal; leading zeros are fine.
fn parse_u64(word: &[u8]) -> Option<u64> {
    let word = str::from_utf8(word).ok()?;
    word.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok())
}

pub(super) fn show_save(points: &[SavePoint]) -> String {
    spaced(points, |point, out| {
        let _ = write!(out, "{} {}", point.seconds, point.changes);
    })
}

/// Groups of class, hard limit, soft limit and seconds; classes not named keep their limits.
pub(super) fn parse_buffer_limits(
    words: &[Vec<u8>],
    mut limits: [BufferLimit; 3],
) -> Result<[BufferLimit; 3], String> {
    let (groups, rest) = words.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for [class, hard, soft, seconds] in groups {
        let class = buffer_class(class)
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        let limit = || {
            Some(BufferLimit {
                hard: parse_memory(hard)?,
                soft: parse_memory(soft)?,
                soft_seconds: parse_u64(seconds)?,
            })
        };
        limits[class] = limit()
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(limits)
}

fn buffer_class(word: &[u8]) -> Option<usize> {
    let names: [&[&str]; 3] = [&["normal"], &["slave", "replica"], &["pubsub"]];
    names.iter().position(|names| names.iter().any(|it| word.eq_ignore_ascii_case(it.as_bytes())))
}

pub(super) fn show_buffer_limits(limits: &[BufferLimit; 3]) -> String {
    let classes: Vec<_> = BUFFER_CLASSES.iter().zip(limits).collect();
    spaced(&classes, |(class, limit), out| {
        let _ = write!(out, "{class} {} {} {}", limit.hard, limit.soft, limit.soft_seconds);
    })
}

/// The words of one class's line in a rewritten file.
pub(super) fn rewrite_buffer_limit(class: usize, limit: &BufferLimit) -> String {
    let name = ["normal", "replica", "pubsub"][class];
    let (hard, soft) = (rewrite_memory(limit.hard.into()), rewrite_memory(limit.soft.into()));
    format!("{name} {hard} {soft} {}", limit.soft_seconds)
}

pub(super) fn parse_oom_scores(words: &[Vec<u8>]) -> Result<[i32; 3], String> {
    let words: &[Vec<u8>; 3] =
        words.try_into().map_err(|_| "wrong number of arguments".to_owned())?;
    let mut scores = [0; 3];
    for (score, word) in scores.iter_mut().zip(words) {
        *score = str::from_utf8(word)
            .ok()
            .and_then(|word| word.parse().ok())
            .filter(|score| (-2000..=2000).contains(score))
            .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
    }
    Ok(scores)
}

/// Percentiles from 0 to 100; a single empty word means none.
pub(super) fn parse_percentiles(words: &[Vec<u8>]) -> Result<Vec<f64>, String> {
    if let [word] = words
        && word.is_empty()
    {
        return Ok(Vec::new());
    }
    words.iter().map(|word| parse_percentile(word)).collect()
}

fn parse_percentile(word: &[u8]) -> Result<f64, String> {
    let number = str::from_utf8(word).ok().and_then(|word| word.parse::<f64>().ok());
    let number = number
        .filter(|number| !number.is_nan())
        .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
    if !(0.0..=100.0).contains(&number) {
        let reason = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
        return Err(reason.into());
    }
    // Six digits after the point are what is shown; keeping no more makes a rewritten file exact.
    Ok((number * 1e6).round() / 1e6)
}

pub(super) fn show_percentiles(list: &[f64]) -> String {
    spaced(list, |number, out| {
        let text = format!("{number:.6}");
        out.push_str(text.trim_end_matches('0').trim_end_matches('.'));
    })
}

/// What a signal's shutdown does beside or instead of the ordinary; no flag is `default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownFlags {
    /// A snapshot is made even without save points.
    pub save: bool,
    /// No snapshot is made.
    pub nosave: bool,
    /// Replicas that lag are not waited for.
    pub now: bool,
    /// Errors do not stop the shutdown.
    pub force: bool,
}

impl ShutdownFlags {
    const WORDS: [&str; 5] = ["default", "save", "nosave", "now", "force"];

    pub(super) fn parse(words: &[Vec<u8>]) -> Result<Self, String> {
        let mut flags = Self::default();
        if words.is_empty() {
            return Err(not_one_of(Self::WORDS.into_iter()));
        }
        for word in words {
            match word.to_ascii_lowercase().as_slice() {
                b"default" => {}
                b"save" => flags.save = true,
                b"nosave" => flags.nosave = true,
                b"now" => flags.now = true,
                b"force" => flags.force = true,
                _ => return Err(not_one_of(Self::WORDS.into_iter())),
            }
        }
        if flags.save && flags.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        Ok(flags)
    }

    pub(super) fn show(self) -> String {
        let set = [false, self.save, self.nosave, self.now, self.force];
        let words: Vec<&str> = Self::WORDS
            .into_iter()
            .zip(set)
            .filter(|&(_, set)| set)
            .map(|(word, _)| word)
            .collect();
        if words.is_empty() { Self::WORDS[0].into() } else { words.join(" ") }
    }
}

/// The classes of keyspace events that are published: a set of bits, one for each letter of
/// `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u32);

impl Events {
    /// Letters of the classes that `A` stands for, in the order in which they are shown.
    const ALL_LETTERS: &[u8] = b"g$lshzxetd";
    /// Letters that `A` does not stand for: new keys, the two channels, missed keys.
    const OTHER_LETTERS: &[u8] = b"nKEm";

    fn bit(letter: u8) -> Option<u32> {
        let at =
            Self::ALL_LETTERS.iter().chain(Self::OTHER_LETTERS).position(|&it| it == letter)?;
        Some(1 << at)
    }

    const fn all() -> u32 {
        (1 << Self::ALL_LETTERS.len()) - 1
    }

    /// Whether the class of a letter (`g $ l s h z x e t d n`, the channels `K` and `E`, or `m`) is
    /// on. `A` asks for all the classes it stands for.
    pub fn has(self, letter: u8) -> bool {
        if letter == b'A' {
            return self.0 & Self::all() == Self::all();
        }
        Self::bit(letter).is_some_and(|bit| self.0 & bit != 0)
    }

    /// Whether nothing at all is published: no class, or no channel.
    pub fn is_off(self) -> bool {
        !(self.has(b'K') || self.has(b'E'))
    }

    pub(super) fn parse(letters: &[u8]) -> Result<Self, String> {
        let mut bits = 0;
        for &letter in letters {
            bits |= match letter {
                b'A' => Self::all(),
                _ => Self::bit(letter)
                    .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?,
            };
        }
        Ok(Self(bits))
    }

    /// The letters as `CONFIG GET` shows them: beside `A`, `n` is not shown.
    pub(super) fn show(self) -> String {
        let all = self.has(b'A');
        self.letters().filter(|&letter| !(all && letter == 'n')).collect()
    }

    /// All letters, which read back to the same set.
    pub(super) fn letters(self) -> impl Iterator<Item = char> {
        let all = self.has(b'A');
        let letters = if all { b"A" } else { Self::ALL_LETTERS };
        letters
            .iter()
            .chain(Self::OTHER_LETTERS)
            .filter(move |&&letter| self.has(letter))
            .map(|&letter| char::from(letter))
    }
}

/// The primary that this server replicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaOf {
    /// Name or address.
    pub host: Vec<u8>,
    /// Its port.
    pub port: u16,
}

impl ReplicaOf {
    pub(super) fn parse(words: &[Vec<u8>]) -> Result<Option<Self>, String> {
        let [host, port] = words else {
            return Err("wrong number of arguments".into());
        };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            return Ok(None);
        }
        let port = canonical_i64(port)
            .and_then(|port| u16::try_from(port).ok())
            .ok_or("Invalid primary port")?;
        Ok(Some(Self { host: host.clone(), port }))
    }

    pub(super) fn show(&self) -> Vec<u8> {
        let mut out = self.host.clone();
        out.extend(format!(" {}", self.port).as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn events_as_redis_shows_them() {
        for (given, shown) in [
            ("", ""),
            ("KEg", "gKE"),
            ("AKE", "AKE"),
            ("xmKn", "xnKm"),
            ("g$lshzxetdK", "AK"),
            ("AKEmn", "AKEm"),
        ] {
            let events = Events::parse(given.as_bytes()).unwrap();
            assert_eq!(events.show(), shown);
            let letters: String = events.letters().collect();
            assert_eq!(Events::parse(letters.as_bytes()), Ok(events));
        }
        assert!(Events::parse(b"q").is_err());
    }

    #[test]
    fn save_points() {
        assert_eq!(parse_save(&words("")), Ok(vec![]));
        assert_eq!(parse_save(&[]), Ok(vec![]));
        let points = parse_save(&words("900 1 60 0")).unwrap();
        assert_eq!(show_save(&points), "900 1 60 0");
        for bad in ["900", "0 1", "900 -1", "900 x", "900  1", "1 99999999999"] {
            assert!(parse_save(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn buffer_limits_keep_other_classes() {
        let limits =
            parse_buffer_limits(&words("replica 1mb 2kb 3"), DEFAULT_BUFFER_LIMITS).unwrap();
        let shown = show_buffer_limits(&limits);
        assert_eq!(shown, "normal 0 0 0 slave 1048576 2048 3 pubsub 33554432 8388608 60");
        assert_eq!(rewrite_buffer_limit(1, &limits[1]), "replica 1mb 2kb 3");
        for bad in ["normal 1 2", "foo 1 2 3", "normal a 2 3", "normal 1 2 -3", "master 1 2 3"] {
            assert!(parse_buffer_limits(&words(bad), limits).is_err(), "{bad}");
        }
    }

    #[test]
    fn percentiles_are_trimmed() {
        let list = parse_percentiles(&words("50.0 99.999 100.0 0.5 0")).unwrap();
        assert_eq!(show_percentiles(&list), "50 99.999 100 0.5 0");
        for bad in ["x", "-1", "100.1", "nan"] {
            assert!(parse_percentiles(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn shutdown_flags() {
        let flags = ShutdownFlags::parse(&words("now force save")).unwrap();
        assert_eq!(flags.show(), "save now force");
        assert_eq!(ShutdownFlags::parse(&words("default")).unwrap().show(), "default");
        assert!(ShutdownFlags::parse(&words("save nosave")).is_err());
        assert!(ShutdownFlags::parse(&[]).is_err());
    }
}
