//! A small sorted set: a packed sequence of members, each followed by its score, in order.

use super::Scored;
use super::order::{LexRange, ScoreRange, cmp_scores};
use crate::IntBuffer;
use crate::packed::{Item, PACKED_MAX, Packed, PackedRef, are_distinct};
use kevy_resp::number::write_f64;
use std::cmp::Ordering;
use std::ops::Range;

/// Bytes of a member and its score beside those of the member, at most.
const OVERHEAD: usize = 64;

/// A score as it is stored: an integer where it is one, otherwise its text. As in Redis, -0 becomes 0
/// here.
struct Score {
    text: Vec<u8>,
    int: Option<i64>,
}

impl Score {
    /// Scores up to this magnitude that are whole are integers.
    const WHOLE: f64 = (1_i64 << 53) as f64;

    fn new(score: f64) -> Self {
        if score.trunc() == score && score.abs() <= Self::WHOLE {
            return Score { text: Vec::new(), int: Some(score as i64) };
        }
        let mut text = Vec::with_capacity(32);
        write_f64(&mut text, score);
        Score { text, int: None }
    }

    fn item(&self) -> Item<'_> {
        self.int.map_or(Item::of(&self.text), Item::Int)
    }

    /// The score that an item is. One that is no number, which only bytes from elsewhere can hold,
    /// is 0.
    fn of(item: Item<'_>) -> f64 {
        match item {
            Item::Int(value) => value as f64,
            Item::Bytes(text) => parse(text).unwrap_or(0.0),
        }
    }
}

fn parse(text: &[u8]) -> Option<f64> {
    let score: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!score.is_nan()).then_some(score)
}

/// A small sorted set, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small<'a>(pub(super) PackedRef<'a>);

/// The place of a member.
#[derive(Clone, Copy)]
struct Place<'a> {
    rank: usize,
    /// Position of the member in the sequence.
    at: usize,
    member: Item<'a>,
    score: f64,
}

impl<'a> Small<'a> {
    pub(super) fn len(self) -> usize {
        self.0.len() / 2
    }

    /// Whether the sequence is a sorted set: pairs in order, with scores that are numbers.
    pub(super) fn is_sound(self) -> bool {
        if !self.0.iter().count().is_multiple_of(2) {
            return false;
        }
        let numbers = self.0.iter().skip(1).step_by(2).all(|score| match score {
            Item::Int(_) => true,
            Item::Bytes(text) => parse(text).is_some(),
        });
        let ordered = |(low, high): (Place<'_>, Place<'_>)| {
            let by_score = cmp_scores(low.score, high.score);
            let buffer = &mut IntBuffer::new();
            let high = high.member.text(buffer);
            by_score.then_with(|| low.member.cmp_text(high)) == Ordering::Less
        };
        numbers
            && are_distinct(self.0.iter().step_by(2))
            && self.places().zip(self.places().skip(1)).all(ordered)
    }

    fn places(self) -> impl Iterator<Item = Place<'a>> {
        let mut at = self.0.first();
        (0..).map_while(move |rank| {
            let here = at?;
            let score = self.0.after(here);
            at = self.0.next(score);
            let (member, score) = (self.0.get(here), Score::of(self.0.get(score)));
            Some(Place { rank, at: here, member, score })
        })
    }

    /// The position of a member and its score.
    fn find(self, member: &[u8]) -> Option<(usize, f64)> {
        let at = self.0.find(self.0.first()?, member, 1)?;
        Some((at, Score::of(self.0.get(self.0.after(at)))))
    }

    pub(super) fn score(self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|(_, score)| score)
    }

    pub(super) fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        let (at, score) = self.find(member)?;
        let place = self.places().find(|place| place.at == at)?;
        Some((place.rank, score))
    }

    /// The rank of the first member of which `f` holds, or the number of members.
    fn first(self, f: impl Fn(&Place<'a>) -> bool) -> usize {
        self.places().find(f).map_or(self.len(), |place| place.rank)
    }

    pub(super) fn scores(self, range: &ScoreRange) -> Range<usize> {
        let start = self.first(|place| !range.is_above(place.score));
        start..self.first(|place| range.is_below(place.score)).max(start)
    }

    /// The ranks of the members of an interval. Where scores differ, so that members are in no
    /// order, it is those that Redis finds when it goes upwards, or downwards if `reverse`.
    pub(super) fn members(self, range: &LexRange<'_>, reverse: bool) -> Range<usize> {
        let texts: Vec<Vec<u8>> = self.places().map(|place| place.member.to_vec()).collect();
        let outside = |edge: Option<&Vec<u8>>, is_out: &dyn Fn(&[u8]) -> bool| {
            edge.is_none_or(|member| is_out(member))
        };
        if outside(texts.last(), &|member| range.is_above(member))
            || outside(texts.first(), &|member| range.is_below(member))
        {
            return 0..0;
        }
        if reverse {
            let end = texts.iter().rposition(|member| !range.is_below(member));
            let end = end.map_or(0, |last| last + 1);
            let start = texts[..end].iter().rposition(|member| range.is_above(member));
            return start.map_or(0, |below| below + 1)..end;
        }
        let start = texts.iter().position(|member| !range.is_above(member));
        let start = start.unwrap_or(texts.len());
        let len = texts[start..].iter().position(|member| range.is_below(member));
        start..len.map_or(texts.len(), |len| start + len)
    }

    /// The members with these ranks.
    pub(super) fn range(self, ranks: Range<usize>) -> Iter<'a> {
        let end = ranks.end.min(self.len());
        let (left, front) = (end.saturating_sub(ranks.start), self.seek(ranks.start));
        Iter { packed: self.0, front, back: self.seek(end), left }
    }

    /// The position of the member with a rank, or the end.
    fn seek(self, rank: usize) -> usize {
        self.0.seek(2 * rank as i64).unwrap_or(self.0.end())
    }
}

/// Sets the score of a member that is there to another one.
fn change(packed: &mut Packed, at: usize, member: &[u8], score: f64) {
    packed.remove(at, 2);
    insert(packed, member, score);
}

/// Inserts a member that is not there.
pub(super) fn insert(packed: &mut Packed, member: &[u8], score: f64) {
    let small = Small(packed.as_ref());
    let above = |place: &Place<'_>| {
        cmp_scores(place.score, score).then_with(|| place.member.cmp_text(member))
            == Ordering::Greater
    };
    let at = small.places().find(above).map_or(small.0.end(), |place| place.at);
    packed.insert(at, &[Item::of(member), Score::new(score).item()]);
}

/// Appends a member that comes behind all others.
pub(super) fn append(packed: &mut Packed, member: &[u8], score: f64) {
    packed.push_back(Item::of(member));
    packed.push_back(Score::new(score).item());
}

/// Whether a sequence of so many bytes, and another `more` members that have `added` bytes, is not
/// too long.
pub(super) fn fits(bytes: usize, added: usize, more: usize) -> bool {
    bytes + added + more * OVERHEAD < PACKED_MAX
}

/// As [`super::SortedSet::update`], as long as nothing is to be added: then the new score comes
/// back as an error.
pub(super) fn update(
    packed: &mut Packed,
    member: &[u8],
    decide: impl FnOnce(Option<f64>) -> Option<f64>,
) -> Result<Scored, f64> {
    let Some((at, old)) = Small(packed.as_ref()).find(member) else {
        return decide(None).map_or(Ok(Scored { old: None, new: None }), Err);
    };
    let new = decide(Some(old));
    if let Some(score) = new
        && score != old
    {
        change(packed, at, member, score);
    }
    Ok(Scored { old: Some(old), new })
}

/// Removes a member; its score.
pub(super) fn remove(packed: &mut Packed, member: &[u8]) -> Option<f64> {
    let (at, score) = Small(packed.as_ref()).find(member)?;
    packed.remove(at, 2);
    Some(score)
}

/// Removes the members with these ranks.
pub(super) fn remove_range(packed: &mut Packed, ranks: Range<usize>) {
    let at = Small(packed.as_ref()).seek(ranks.start);
    packed.remove(at, 2 * ranks.len());
}

/// Members in order, with their scores; from both ends.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a> {
    packed: PackedRef<'a>,
    front: usize,
    back: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let score = self.packed.after(self.front);
        let found = (self.packed.get(self.front), Score::of(self.packed.get(score)));
        self.front = self.packed.after(score);
        Some(found)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let score = self.packed.before(self.back)?;
        self.back = self.packed.before(score)?;
        Some((self.packed.get(self.back), Score::of(self.packed.get(score))))
    }
}
