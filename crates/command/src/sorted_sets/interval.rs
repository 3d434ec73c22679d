//! Parts of a sorted set, as commands name them.

use crate::{Args, Error};
use kevy_data::number::parse_f64_bound;
use kevy_data::sorted_set::{LexBound, LexRange, ScoreBound, ScoreRange, SortedSetRef};
use std::ops::Range;

/// What [`Interval::ranks`] finds is described by…
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// the ranks of the first and the last member;
    Rank,
    /// the lowest and the highest score;
    Score,
    /// the first and the last member in the order of bytes.
    Lex,
}

/// A part of a sorted set.
#[derive(Clone, Copy)]
pub(super) enum Interval<'a> {
    /// From one rank to another, both included; negative ones count from the end.
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(LexRange<'a>),
}

impl<'a> Interval<'a> {
    /// The two next arguments: the lower and the upper end, or if `swapped` the other way round.
    pub(super) fn read(args: &mut Args<'a>, by: By, swapped: bool) -> Result<Self, Error> {
        if by == By::Rank {
            return Ok(Self::Ranks(args.int()?, args.int()?));
        }
        let (first, second) = (args.bytes()?, args.bytes()?);
        let (min, max) = if swapped { (second, first) } else { (first, second) };
        if by == By::Score {
            let range = score_bound(min).zip(score_bound(max));
            let range = range.map(|(min, max)| Self::Scores(ScoreRange { min, max }));
            return range.ok_or(Error::new("ERR min or max is not a float"));
        }
        let range = lex_bound(min).zip(lex_bound(max));
        let range = range.map(|(min, max)| Self::Members(LexRange { min, max }));
        range.ok_or(Error::new("ERR min or max not valid string range item"))
    }

    /// The ranks, in ascending order, of the members in the interval. Those of [`Interval::Ranks`]
    /// are counted from the other end if `reverse`.
    pub(super) fn ranks(&self, set: SortedSetRef<'_>, reverse: bool) -> Range<usize> {
        match self {
            Self::Ranks(start, stop) => ranks(*start, *stop, set.len(), reverse),
            Self::Scores(range) => set.scores(range),
            Self::Members(range) => set.members(range, reverse),
        }
    }
}

fn ranks(start: i64, stop: i64, len: usize, reverse: bool) -> Range<usize> {
    let len = len as i64;
    let from_start = |rank: i64| if rank < 0 { rank + len } else { rank };
    let (start, end) = (from_start(start).max(0), from_start(stop).saturating_add(1).min(len));
    if start >= end {
        return 0..0;
    }
    if reverse {
        (len - end) as usize..(len - start) as usize
    } else {
        start as usize..end as usize
    }
}

/// The end of an interval of scores: a float, behind a `(` if it is itself outside.
fn score_bound(text: &[u8]) -> Option<ScoreBound> {
    let (open, number) = match text {
        [b'(', number @ ..] => (true, number),
        number => (false, number),
    };
    Some(ScoreBound { score: parse_f64_bound(number)?, open })
}

/// The end of an interval of members.
fn lex_bound(text: &[u8]) -> Option<LexBound<'_>> {
    match text {
        b"-" => Some(LexBound::Start),
        b"+" => Some(LexBound::End),
        [b'[', member @ ..] => Some(LexBound::Closed(member)),
        [b'(', member @ ..] => Some(LexBound::Open(member)),
        _ => None,
    }
}

/// The part of a range that `LIMIT offset count` leaves, counted from its upper end if `reverse`. A
/// negative count is no limit, a negative offset leaves nothing.
pub(super) fn limited(ranks: Range<usize>, offset: i64, count: i64, reverse: bool) -> Range<usize> {
    let Ok(offset) = usize::try_from(offset) else { return 0..0 };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let Range { start, end } = ranks;
    if reverse {
        let end = end.saturating_sub(offset).max(start);
        end.saturating_sub(count).max(start)..end
    } else {
        let start = start.saturating_add(offset).min(end);
        start..start.saturating_add(count).min(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_from_either_end() {
        assert_eq!(ranks(0, -1, 5, false), 0..5);
        assert_eq!(ranks(1, 2, 5, false), 1..3);
        assert_eq!(ranks(1, 2, 5, true), 2..4);
        assert_eq!(ranks(-2, i64::MAX, 5, false), 3..5);
        assert_eq!(ranks(-2, i64::MAX, 5, true), 0..2);
        assert_eq!(ranks(i64::MIN, i64::MAX, 5, true), 0..5);
        for (start, stop) in [(5, 9), (3, 2), (0, -6), (i64::MAX, i64::MAX), (i64::MAX, i64::MIN)] {
            assert!(ranks(start, stop, 5, false).is_empty(), "{start} {stop}");
        }
    }

    #[test]
    fn limits_count_in_the_direction_of_reading() {
        assert_eq!(limited(2..9, 1, 3, false), 3..6);
        assert_eq!(limited(2..9, 1, 3, true), 5..8);
        assert_eq!(limited(2..9, 0, -1, true), 2..9);
        assert_eq!(limited(2..9, 5, 100, false), 7..9);
        assert!(limited(2..9, 7, 1, false).is_empty() && limited(2..9, 7, 1, true).is_empty());
        assert!(limited(2..9, -1, 5, false).is_empty() && limited(2..9, 0, 0, true).is_empty());
        assert!(limited(2..9, i64::MAX, i64::MAX, false).is_empty());
    }
}
