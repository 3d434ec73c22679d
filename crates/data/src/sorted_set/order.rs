//! The order of a sorted set, and intervals of it.

use std::cmp::Ordering;

/// How two scores compare; -0 equals 0. Neither is NaN.
#[inline]
#[must_use]
pub fn cmp_scores(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or(Ordering::Equal)
}

/// One end of an interval of scores.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScoreBound {
    /// Where it is; not NaN.
    pub score: f64,
    /// The score itself is outside.
    pub open: bool,
}

/// An interval of scores; empty if the ends are the wrong way round.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScoreRange {
    /// Its lower end.
    pub min: ScoreBound,
    /// Its upper end.
    pub max: ScoreBound,
}

impl ScoreRange {
    /// Whether the interval lies above the score.
    #[inline]
    #[must_use]
    pub fn is_above(&self, score: f64) -> bool {
        let ScoreBound { score: min, open } = self.min;
        if open { score <= min } else { score < min }
    }

    /// Whether the interval lies below the score.
    #[inline]
    #[must_use]
    pub fn is_below(&self, score: f64) -> bool {
        let ScoreBound { score: max, open } = self.max;
        if open { score >= max } else { score > max }
    }

    /// Whether no score lies in the interval.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_above(self.max.score) || self.is_below(self.min.score)
    }
}

/// One end of an interval of members, in the order of their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LexBound<'a> {
    /// In front of all members.
    Start,
    /// Behind all members.
    End,
    /// At this member, which is inside.
    Closed(&'a [u8]),
    /// At this member, which is outside.
    Open(&'a [u8]),
}

/// An interval of members; empty if the ends are the wrong way round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LexRange<'a> {
    /// Its lower end.
    pub min: LexBound<'a>,
    /// Its upper end.
    pub max: LexBound<'a>,
}

impl LexRange<'_> {
    /// Whether the interval lies above the member.
    #[inline]
    #[must_use]
    pub fn is_above(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Start => false,
            LexBound::End => true,
            LexBound::Closed(min) => member < min,
            LexBound::Open(min) => member <= min,
        }
    }

    /// Whether the interval lies below the member.
    #[inline]
    #[must_use]
    pub fn is_below(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Start => true,
            LexBound::End => false,
            LexBound::Closed(max) => member > max,
            LexBound::Open(max) => member >= max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_inside_or_outside() {
        let range = |min, min_open, max, max_open| ScoreRange {
            min: ScoreBound { score: min, open: min_open },
            max: ScoreBound { score: max, open: max_open },
        };
        let (closed, open) = (range(1.0, false, 2.0, false), range(1.0, true, 2.0, true));
        assert!(!closed.is_above(1.0) && !closed.is_below(2.0) && !closed.is_empty());
        assert!(open.is_above(1.0) && open.is_below(2.0) && !open.is_empty());
        assert!(
            range(1.0, true, 1.0, false).is_empty() && range(2.0, false, 1.0, false).is_empty()
        );
        assert!(!range(-0.0, false, 0.0, false).is_empty());

        let (start, end) = (LexBound::Start, LexBound::End);
        let all = LexRange { min: start, max: end };
        assert!(!all.is_above(b"") && !all.is_below(b"\xff"));
        let none = LexRange { min: end, max: start };
        assert!(none.is_above(b"\xff") && none.is_below(b""));
        let half = LexRange { min: LexBound::Closed(b"a"), max: LexBound::Open(b"b") };
        assert!(half.is_above(b"A") && !half.is_above(b"a") && half.is_below(b"b"));
        assert!(!half.is_below(b"az"));
    }
}
