//! A large sorted set: a hash table from each member to its score, beside a tree of all members in
//! order.

use super::Scored;
use super::member::{Handle, Member};
use super::order::{LexRange, ScoreRange, cmp_scores};
use super::tree::{self, Tree};
use crate::{IntBuffer, Item, walk};
use kevy_map::{Entry, KevyMap, hash};
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

/// Invariant, on which every `SAFETY` below rests: **a handle in the tree, whatever its node, is that
/// of a member in the table.** So members leave the tree before they leave the table. (The reverse
/// holds too, but for a set that is being freed.)
#[derive(Default)]
pub(super) struct Indexed {
    members: KevyMap<Member>,
    tree: Tree<Ranked>,
    /// Bytes that the members hold from the allocator.
    bytes: usize,
}

/// What stands in the tree. The score is here too, so that most comparisons end without a look at
/// the member.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    score: f64,
    member: Handle,
}

impl Ranked {
    /// How it compares with another score and member.
    ///
    /// # Safety
    /// It stands in the tree of a borrowed set, or its member is alive.
    #[inline]
    unsafe fn cmp(&self, score: f64, member: &[u8]) -> Ordering {
        // SAFETY: the member is alive, as the caller promises.
        cmp_scores(self.score, score).then_with(|| unsafe { self.member.bytes() }.cmp(member))
    }
}

pub(super) fn hash_of(member: &Member) -> u64 {
    hash(member.bytes())
}

impl Indexed {
    /// A set of these members, all different, with scores that are numbers.
    pub(super) fn new(members: KevyMap<Member>) -> Self {
        let mut ranked: Vec<Ranked> = members
            .iter()
            .map(|member| Ranked { score: member.score(), member: member.handle() })
            .collect();
        // SAFETY: all these members are in the table.
        ranked.sort_unstable_by(|a, b| unsafe { a.cmp(b.score, b.member.bytes()) });
        let bytes = members.iter().map(Member::memory).sum();
        Indexed { members, tree: Tree::from_sorted(ranked), bytes }
    }

    /// A set of members that come in its order.
    pub(super) fn from_ordered<'a>(ordered: impl Iterator<Item = (Item<'a>, f64)>) -> Self {
        let (mut large, mut buffer) = (Indexed::default(), IntBuffer::new());
        let mut ranked = Vec::with_capacity(ordered.size_hint().0);
        for (member, score) in ordered {
            let member = Member::new(member.text(&mut buffer), score);
            ranked.push(Ranked { score, member: member.handle() });
            large.bytes += member.memory();
            large.members.insert_unique(hash_of(&member), member, hash_of);
        }
        large.tree = Tree::from_sorted(ranked);
        large
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.members.memory() + self.tree.memory() + self.bytes
    }

    /// Number of blocks of memory.
    pub(super) fn blocks(&self) -> usize {
        self.members.len() + self.tree.nodes()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.members.find(hash(member), |held| held.bytes() == member).map(Member::score)
    }

    /// As [`super::SortedSet::update`].
    pub(super) fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Scored {
        match self.members.entry(hash(member), |held| held.bytes() == member) {
            Entry::Occupied(mut entry) => {
                let old = entry.get().score();
                let new = decide(Some(old));
                if let Some(score) = new
                    && score != old
                {
                    // SAFETY: handles in the tree are those of members in the table.
                    let found = self.tree.remove(|held| unsafe { held.cmp(old, member) });
                    debug_assert!(found);
                    entry.get_mut().set_score(score);
                    let ranked = Ranked { score, member: entry.get().handle() };
                    // SAFETY: as above.
                    self.tree.insert(ranked, |held| unsafe { held.cmp(score, member) });
                }
                Scored { old: Some(old), new }
            }
            Entry::Vacant(entry) => {
                let Some(score) = decide(None) else {
                    return Scored { old: None, new: None };
                };
                let held = entry.insert(Member::new(member, score), hash_of);
                self.bytes += held.memory();
                let ranked = Ranked { score, member: held.handle() };
                // SAFETY: handles in the tree are those of members in the table.
                self.tree.insert(ranked, |held| unsafe { held.cmp(score, member) });
                Scored { old: None, new: Some(score) }
            }
        }
    }

    /// Removes a member; its score.
    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self.members.entry(hash(member), |held| held.bytes() == member) {
            Entry::Occupied(entry) => {
                let score = entry.get().score();
                // SAFETY: handles in the tree are those of members in the table.
                self.tree.remove(|held| unsafe { held.cmp(score, member) });
                self.bytes -= entry.remove().memory();
                Some(score)
            }
            Entry::Vacant(_) => None,
        }
    }

    /// Removes the members with these ranks, from the first on.
    pub(super) fn remove_range(&mut self, ranks: Range<usize>) {
        let mut left = ranks.end.min(self.tree.len()).saturating_sub(ranks.start);
        let mut run = Vec::with_capacity(left.min(tree::LEAF_MAX));
        while left > 0 {
            left -= self.tree.remove_run(ranks.start, left, |ranked| run.push(ranked));
            if run.is_empty() {
                return;
            }
            for Ranked { member, .. } in run.drain(..) {
                // SAFETY: the member has left the tree, but is still in the table.
                let hash = hash(unsafe { member.bytes() });
                let removed = self.members.remove(hash, |held| member.is_of(held));
                self.bytes -= removed.map_or(0, |removed| removed.memory());
            }
        }
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        // SAFETY: handles in the tree are those of members in the table.
        let before = |held: &Ranked| unsafe { held.cmp(score, member) } == Ordering::Less;
        Some((self.tree.partition_point(before), score))
    }

    pub(super) fn scores(&self, range: &ScoreRange) -> Range<usize> {
        let start = self.tree.partition_point(|held| range.is_above(held.score));
        start..self.tree.partition_point(|held| !range.is_below(held.score)).max(start)
    }

    pub(super) fn members(&self, range: &LexRange<'_>) -> Range<usize> {
        // SAFETY: handles in the tree are those of members in the table.
        let bytes = |held: &Ranked| unsafe { held.member.bytes() };
        let start = self.tree.partition_point(|held| range.is_above(bytes(held)));
        start..self.tree.partition_point(|held| !range.is_below(bytes(held))).max(start)
    }

    /// The members with these ranks.
    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        Iter { ranked: self.tree.range(ranks) }
    }

    /// As [`super::SortedSetRef::walk`].
    pub(super) fn walk<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        mut each: impl FnMut(&'a [u8], f64),
    ) -> u64 {
        walk(&self.members, cursor, count, |member| {
            // SAFETY: the member is in the table, which is borrowed for `'a`.
            each(unsafe { member.handle().bytes() }, member.score());
        })
    }

    /// Frees up to about `budget` blocks; how many. What is left is good for nothing else.
    pub(super) fn free_slice(&mut self, budget: usize) -> usize {
        let leaves = self.tree.clear_slice(budget);
        if self.tree.len() > 0 {
            return leaves;
        }
        // No handle is left, so the members may go.
        let bytes = &mut self.bytes;
        leaves + self.members.drain_slice(budget - leaves, |member| *bytes -= member.memory())
    }
}

impl Clone for Indexed {
    fn clone(&self) -> Self {
        let (mut members, mut ranked) = (KevyMap::new(), Vec::with_capacity(self.len()));
        for (bytes, score) in self.range(0..self.len()) {
            let member = Member::new(bytes, score);
            ranked.push(Ranked { score, member: member.handle() });
            members.insert_unique(hash(bytes), member, hash_of);
        }
        Indexed { members, tree: Tree::from_sorted(ranked), bytes: self.bytes }
    }
}

impl fmt::Debug for Indexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexed").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Members in order, with their scores; from both ends.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a> {
    ranked: tree::Iter<'a, Ranked>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let ranked = self.ranked.next()?;
        // SAFETY: the set whose table holds the member is borrowed for `'a`.
        Some((unsafe { ranked.member.bytes() }, ranked.score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranked.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let ranked = self.ranked.next_back()?;
        // SAFETY: as above.
        Some((unsafe { ranked.member.bytes() }, ranked.score))
    }
}
