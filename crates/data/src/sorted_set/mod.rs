//! Sorted sets: members with scores, in the order of the scores, and among equal scores in that of
//! their bytes.
//!
//! A small set is a packed sequence (`small`); a large one a counted B+-tree (`tree`) beside a hash
//! table (`indexed`) of members (`member`). Intervals of scores or members (`order`) become ranges
//! of *ranks*, positions from 0 in ascending order; everything else is done by rank.

mod build;
mod indexed;
mod member;
mod order;
mod small;
mod tree;

pub use build::SortedSetBuilder;
pub use order::{LexBound, LexRange, ScoreBound, ScoreRange, cmp_scores};

use crate::{Collection, Encoding, IntBuffer, Item, Kind, Limits, Packed, PackedRef};
use indexed::Indexed;
use small::Small;
use std::ops::Range;

/// Blocks of memory that may be freed at once.
const LIGHT: usize = 64;

/// A set of strings with scores, in their order.
#[derive(Clone, Debug)]
pub struct SortedSet(Form);

#[derive(Clone, Debug)]
enum Form {
    Small(Packed),
    Large(Box<Indexed>),
}

/// A sorted set for reading.
#[derive(Clone, Copy, Debug)]
pub struct SortedSetRef<'a>(View<'a>);

#[derive(Clone, Copy, Debug)]
enum View<'a> {
    Small(Small<'a>),
    Large(&'a Indexed),
}

/// The score of a member before and after a change; none: it was not there, or nothing was to be
/// done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scored {
    /// Before.
    pub old: Option<f64>,
    /// What the change decided on.
    pub new: Option<f64>,
}

impl<'a> SortedSetRef<'a> {
    /// Number of members.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        match self.0 {
            View::Small(small) => small.len(),
            View::Large(large) => large.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    #[inline]
    #[must_use]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self.0 {
            View::Small(small) => small.score(member),
            View::Large(large) => large.score(member),
        }
    }

    /// The rank of a member and its score.
    #[must_use]
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self.0 {
            View::Small(small) => small.rank(member),
            View::Large(large) => large.rank(member),
        }
    }

    /// The ranks of the scores in an interval.
    #[must_use]
    pub fn scores(self, range: &ScoreRange) -> Range<usize> {
        match self.0 {
            View::Small(small) => small.scores(range),
            View::Large(large) => large.scores(range),
        }
    }

    /// The ranks of the members in an interval, where all scores are alike. Otherwise members are
    /// in no order, and what comes of it may depend on the direction in which they are looked for.
    #[must_use]
    pub fn members(self, range: &LexRange<'_>, reverse: bool) -> Range<usize> {
        match self.0 {
            View::Small(small) => small.members(range, reverse),
            View::Large(large) => large.members(range),
        }
    }

    /// The members with these ranks, with their scores; from both ends. The text of an item is
    /// the member, whether it is an integer or not.
    #[inline]
    #[must_use]
    pub fn range(self, ranks: Range<usize>) -> Iter<'a> {
        Iter(match self.0 {
            View::Small(small) => Ends::Small(small.range(ranks)),
            View::Large(large) => Ends::Large(large.range(ranks)),
        })
    }

    /// All members in order, as [`range`](Self::range).
    #[must_use]
    pub fn iter(self) -> Iter<'a> {
        self.range(0..self.len())
    }

    /// The member with a rank, and its score.
    #[must_use]
    pub fn get(self, rank: usize) -> Option<(Item<'a>, f64)> {
        self.range(rank..rank.saturating_add(1)).next()
    }

    /// Calls `each` with about `count` members and their scores from `cursor` on, all of them if
    /// the set is small, and returns where to go on; 0 is the start and the end. Every member that
    /// is there throughout is met at least once.
    pub fn walk(self, cursor: u64, count: usize, mut each: impl FnMut(Item<'a>, f64)) -> u64 {
        match self.0 {
            View::Small(_) => {
                self.iter().for_each(|(member, score)| each(member, score));
                0
            }
            View::Large(large) => {
                large.walk(cursor, count, |member, score| each(Item::Bytes(member), score))
            }
        }
    }

    /// The packed sequence of members and scores, if it is one.
    #[must_use]
    pub fn packed(self) -> Option<PackedRef<'a>> {
        match self.0 {
            View::Small(small) => Some(small.0),
            View::Large(_) => None,
        }
    }
}

impl SortedSet {
    /// The set that a packed sequence from elsewhere is: members in order, each followed by its
    /// score. None if it is not one.
    #[must_use]
    pub fn from_packed(packed: Packed) -> Option<Self> {
        Small(packed.as_ref()).is_sound().then_some(SortedSet(Form::Small(packed)))
    }

    /// The set of members that come in its order, small if `limits` allow it.
    #[must_use]
    pub fn from_ordered<'a>(
        members: impl Iterator<Item = (Item<'a>, f64)> + Clone,
        limits: &Limits,
    ) -> Self {
        let (mut len, mut longest, mut total) = (0, 0, 0);
        for (member, _) in members.clone() {
            let member_len = member.text_len();
            len += 1;
            longest = longest.max(member_len);
            total += member_len;
        }
        if !fits(limits, len, longest) || !small::fits(total, 0, len) {
            return SortedSet(Form::Large(Box::new(Indexed::from_ordered(members))));
        }
        let (mut packed, mut buffer) = (Packed::new(), IntBuffer::new());
        for (member, score) in members {
            small::append(&mut packed, member.text(&mut buffer), score);
        }
        SortedSet(Form::Small(packed))
    }

    /// Sets the score of a member to what `decide` makes of the present one; not NaN. None: nothing
    /// is done. A new member may make the set a large one, by `limits`.
    pub fn update(
        &mut self,
        member: &[u8],
        limits: &Limits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Scored {
        let packed = match &mut self.0 {
            Form::Large(large) => return large.update(member, decide),
            Form::Small(packed) => packed,
        };
        let score = match small::update(packed, member, decide) {
            Ok(done) => return done,
            Err(new) => new,
        };
        let len = Small(packed.as_ref()).len() + 1;
        if fits(limits, len, member.len()) && small::fits(packed.byte_len(), member.len(), 1) {
            small::insert(packed, member, score);
        } else {
            let mut large = Indexed::from_ordered(Small(packed.as_ref()).range(0..len));
            large.update(member, |_| Some(score));
            self.0 = Form::Large(Box::new(large));
        }
        Scored { old: None, new: Some(score) }
    }

    /// Removes a member; its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Small(packed) => small::remove(packed, member),
            Form::Large(large) => large.remove(member),
        }
    }

    /// Removes the members with these ranks; how many.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let before = self.as_ref().len();
        let ranks = ranks.start.min(before)..ranks.end.min(before);
        match &mut self.0 {
            Form::Small(packed) => small::remove_range(packed, ranks),
            Form::Large(large) => large.remove_range(ranks),
        }
        before - self.as_ref().len()
    }
}

/// Whether a set of so many members remains small with another one of this length.
fn fits(limits: &Limits, len: usize, member_len: usize) -> bool {
    len <= limits.zset_max_listpack_entries && member_len <= limits.zset_max_listpack_value
}

impl Default for SortedSet {
    fn default() -> Self {
        SortedSet(Form::Small(Packed::new()))
    }
}

impl Collection for SortedSet {
    const KIND: Kind = Kind::SortedSet;
    type Ref<'a> = SortedSetRef<'a>;

    #[inline]
    fn as_ref(&self) -> SortedSetRef<'_> {
        SortedSetRef(match &self.0 {
            Form::Small(packed) => View::Small(Small(packed.as_ref())),
            Form::Large(large) => View::Large(large),
        })
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    fn encoding(this: SortedSetRef<'_>) -> Encoding {
        match this.0 {
            View::Small(_) => Encoding::Listpack,
            View::Large(_) => Encoding::Skiplist,
        }
    }

    fn memory(&self) -> usize {
        match &self.0 {
            Form::Small(packed) => packed.memory(),
            Form::Large(large) => large.memory(),
        }
    }

    fn free_slice(&mut self, budget: usize) -> usize {
        match &mut self.0 {
            Form::Small(_) => 0,
            Form::Large(large) => large.free_slice(budget),
        }
    }

    fn is_heavy(&self) -> bool {
        match &self.0 {
            Form::Small(_) => false,
            Form::Large(large) => large.blocks() > LIGHT,
        }
    }

    fn inline(&self) -> Option<(bool, &[u8])> {
        self.as_ref().packed().map(|packed| (false, packed.bytes()))
    }

    fn from_inline(_: bool, bytes: &[u8]) -> Self {
        SortedSet(Form::Small(PackedRef::new(bytes).to_packed()))
    }

    #[inline]
    fn ref_inline(_: bool, bytes: &[u8]) -> SortedSetRef<'_> {
        SortedSetRef(View::Small(Small(PackedRef::new(bytes))))
    }
}

/// Members in order with their scores; from both ends.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Ends<'a>);

#[derive(Clone, Debug)]
enum Ends<'a> {
    Small(small::Iter<'a>),
    Large(indexed::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Ends::Small(small) => small.next(),
            Ends::Large(large) => large.next().map(|(member, score)| (Item::Bytes(member), score)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Ends::Small(small) => small.size_hint(),
            Ends::Large(large) => large.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Ends::Small(small) => small.next_back(),
            Ends::Large(large) => {
                large.next_back().map(|(member, score)| (Item::Bytes(member), score))
            }
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests;
