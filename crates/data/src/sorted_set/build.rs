//! Building a sorted set from members that come in any order, some of them more than once.

use super::indexed::{Indexed, hash_of};
use super::member::Member;
use super::{Form, SortedSet, cmp_scores, fits, small};
use crate::{Limits, Packed};
use kevy_map::{Entry, KevyMap, hash};

/// Gathers members and their scores. The order is made once, at the end.
#[derive(Default)]
pub struct SortedSetBuilder {
    members: KevyMap<Member>,
    /// Length of the longest member, and of all.
    longest: usize,
    total: usize,
}

impl SortedSetBuilder {
    /// A set that has no members yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a member, its score being what `score` makes of the one it had here; not NaN.
    pub fn add(&mut self, member: &[u8], score: impl FnOnce(Option<f64>) -> f64) {
        match self.members.entry(hash(member), |held| held.bytes() == member) {
            Entry::Occupied(mut entry) => {
                let score = score(Some(entry.get().score()));
                entry.get_mut().set_score(score);
            }
            Entry::Vacant(entry) => {
                entry.insert(Member::new(member, score(None)), hash_of);
                self.longest = self.longest.max(member.len());
                self.total += member.len();
            }
        }
    }

    /// Takes a member out again.
    pub fn remove(&mut self, member: &[u8]) {
        if let Some(removed) = self.members.remove(hash(member), |held| held.bytes() == member) {
            self.total -= removed.bytes().len();
        }
    }

    /// The set, small if `limits` allow it.
    #[must_use]
    pub fn finish(self, limits: &Limits) -> SortedSet {
        let small =
            fits(limits, self.len(), self.longest) && small::fits(self.total, 0, self.len());
        if !small {
            return SortedSet(Form::Large(Box::new(Indexed::new(self.members))));
        }
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_unstable_by(|a, b| {
            cmp_scores(a.score(), b.score()).then_with(|| a.bytes().cmp(b.bytes()))
        });
        let mut packed = Packed::new();
        for member in members {
            small::append(&mut packed, member.bytes(), member.score());
        }
        SortedSet(Form::Small(packed))
    }
}
