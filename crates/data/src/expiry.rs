//! The order in which many things expire: the keys of a database, the fields of a hash.

use crate::allocated;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// A deadline in Unix milliseconds and the hash of the key (or field) that it belongs to.
pub type Due = (i64, u64);

/// Entries of a full leaf: 1 KiB, a size class of the allocator.
const LEAF: usize = 64;
/// A leaf with fewer entries is merged with a neighbour where both leave room for more.
const SPARSE: usize = LEAF / 4;
const MERGED_MAX: usize = LEAF * 3 / 4;
/// What a leaf costs in the directory, in bytes: an entry of a tree about two thirds full.
const DIRECTORY_ENTRY: usize = 72;

const LOWEST: Due = (i64::MIN, 0);

/// All deadlines of a database, or of a large hash, in order: a sorted sequence cut into leaves, under a directory of
/// their lower bounds.
///
/// Entries name keys (or fields) by hash; whoever takes one looks for a record of that hash and
/// deadline. Two may share both and then have two equal entries, which are never parted to two leaves.
/// Leaves that are only appended to, as with one time to live for all keys, stay full: 16 bytes
/// a key; random insertion fills them to two thirds.
#[derive(Clone, Default, Debug)]
pub struct ExpiryIndex {
    /// By lower bound; the first leaf's is `LOWEST`. Only a sole leaf may be empty.
    leaves: BTreeMap<Due, Vec<Due>>,
    len: usize,
    sum: i128,
}

impl ExpiryIndex {
    /// Number of deadlines.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no deadline.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The earliest deadline.
    #[inline]
    pub fn first(&self) -> Option<i64> {
        if self.len == 0 {
            return None;
        }
        let (_, leaf) = self.leaves.first_key_value()?;
        leaf.first().map(|due| due.0)
    }

    /// The entry with the earliest deadline.
    pub fn first_due(&self) -> Option<Due> {
        let (_, leaf) = self.leaves.first_key_value()?;
        leaf.first().copied()
    }

    /// The latest deadline.
    pub fn last(&self) -> Option<i64> {
        let (_, leaf) = self.leaves.last_key_value()?;
        leaf.last().map(|due| due.0)
    }

    /// How many deadlines are before `now_ms`.
    pub fn count_before(&self, now_ms: i64) -> usize {
        let mut count = 0;
        for leaf in self.leaves.values() {
            let before = leaf.partition_point(|due| due.0 < now_ms);
            count += before;
            if before < leaf.len() {
                break;
            }
        }
        count
    }

    /// The mean of all deadlines; 0 if there are none.
    pub fn mean(&self) -> i64 {
        if self.len == 0 { 0 } else { (self.sum / self.len as i128) as i64 }
    }

    /// Bytes held from the allocator.
    pub fn memory(&self) -> usize {
        const BYTES: usize = allocated(LEAF * size_of::<Due>());
        self.leaves.len() * (BYTES + DIRECTORY_ENTRY)
    }

    /// Adds an entry.
    pub fn insert(&mut self, deadline: i64, hash: u64) {
        let due = (deadline, hash);
        self.len += 1;
        self.sum += i128::from(deadline);
        let Some((_, leaf)) = self.leaves.range_mut(..=due).next_back() else {
            let mut leaf = new_leaf();
            leaf.push(due);
            self.leaves.insert(LOWEST, leaf);
            return;
        };
        if leaf.len() < LEAF {
            let at = leaf.partition_point(|other| *other < due);
            leaf.insert(at, due);
        } else {
            let right = split(leaf, due);
            if let Some(first) = right.first() {
                self.leaves.insert(*first, right);
            }
        }
    }

    /// Removes an entry, if it is there.
    pub fn remove(&mut self, deadline: i64, hash: u64) {
        let due = (deadline, hash);
        let Some((bound, leaf)) = self.leaves.range_mut(..=due).next_back() else { return };
        let Ok(at) = leaf.binary_search(&due) else { return };
        leaf.remove(at);
        self.len -= 1;
        self.sum -= i128::from(deadline);
        if leaf.len() < SPARSE {
            let bound = *bound;
            self.mend(bound);
        }
    }

    /// Takes the earliest entry if its deadline is before `now_ms`.
    pub fn pop_before(&mut self, now_ms: i64) -> Option<Due> {
        let (_, leaf) = self.leaves.iter_mut().next()?;
        let due = *leaf.first().filter(|due| due.0 < now_ms)?;
        leaf.remove(0);
        self.len -= 1;
        self.sum -= i128::from(due.0);
        if leaf.is_empty() {
            self.mend(LOWEST);
        }
        Some(due)
    }

    /// Drops up to `budget` leaves, the earliest first; how many.
    pub fn clear_slice(&mut self, budget: usize) -> usize {
        let mut dropped = 0;
        while dropped < budget
            && let Some((_, leaf)) = self.leaves.pop_first()
        {
            self.len -= leaf.len();
            self.sum -= leaf.iter().map(|due| i128::from(due.0)).sum::<i128>();
            dropped += 1;
        }
        dropped
    }

    /// Merges a sparse leaf with a neighbour, or removes an empty one.
    fn mend(&mut self, bound: Due) {
        if self.len == 0 {
            self.leaves.clear();
            return;
        }
        let next = self.leaves.range((Excluded(bound), Unbounded)).next();
        let next = next.map(|(key, leaf)| (*key, leaf.len()));
        let previous = self.leaves.range(..bound).next_back();
        let previous = previous.map(|(key, leaf)| (*key, leaf.len()));
        let len = self.leaves.get(&bound).map_or(0, Vec::len);
        match (previous, next) {
            (Some((left, held)), _) if held + len <= MERGED_MAX || len == 0 => {
                self.join(left, bound);
            }
            (_, Some((right, held))) if held + len <= MERGED_MAX || len == 0 => {
                self.join(bound, right);
            }
            _ => {}
        }
    }

    /// Moves the entries of the leaf `right` into its left neighbour.
    fn join(&mut self, left: Due, right: Due) {
        let Some(mut moved) = self.leaves.remove(&right) else { return };
        let Some(leaf) = self.leaves.get_mut(&left) else { return };
        if leaf.is_empty() {
            *leaf = moved;
        } else {
            leaf.append(&mut moved);
        }
    }
}

fn new_leaf() -> Vec<Due> {
    Vec::with_capacity(LEAF)
}

/// Inserts an entry into a full leaf and returns what becomes its right neighbour; empty if the
/// leaf holds nothing but equals of the entry, and then has grown instead.
fn split(leaf: &mut Vec<Due>, due: Due) -> Vec<Due> {
    let mut right = new_leaf();
    if leaf.last().is_some_and(|last| *last < due) {
        // In order of deadlines, as most come: a full leaf stays full.
        right.push(due);
        return right;
    }
    let middle = leaf[leaf.len() / 2];
    let mut at = leaf.partition_point(|other| *other < middle);
    if at == 0 {
        at = leaf.partition_point(|other| *other <= middle);
    }
    right.extend(leaf.drain(at..));
    // An equal of the right half's first goes there, a smaller one to the left.
    let half = if right.first().is_some_and(|first| *first <= due) { &mut right } else { leaf };
    let position = half.partition_point(|other| *other < due);
    half.insert(position, due);
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn check(index: &ExpiryIndex, expected: &[Due]) {
        let held: Vec<Due> = index.leaves.values().flatten().copied().collect();
        assert_eq!(held, expected);
        assert_eq!(index.len(), expected.len());
        assert_eq!(index.first(), expected.first().map(|due| due.0));
        assert_eq!(index.last(), expected.last().map(|due| due.0));
        for now_ms in [-60, -7, 0, 9, 60] {
            let before = expected.iter().filter(|due| due.0 < now_ms).count();
            assert_eq!(index.count_before(now_ms), before);
        }
        for (bound, leaf) in &index.leaves {
            assert!(!leaf.is_empty() && leaf.first() >= Some(bound));
        }
        assert!(index.leaves.keys().next().is_none_or(|first| *first == LOWEST));
    }

    proptest! {
        #![proptest_config(Config {
            cases: 64, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..Config::default()
        })]
        #[test]
        fn it_is_a_sorted_sequence(
            operations in prop::collection::vec((0_u8..8, -50_i64..50, 0_u64..4), 0..2_000)
        ) {
            let (mut index, mut model) = (ExpiryIndex::default(), Vec::new());
            for (what, deadline, hash) in operations {
                match what {
                    0..=4 => {
                        index.insert(deadline, hash);
                        let at = model.partition_point(|other| *other < (deadline, hash));
                        model.insert(at, (deadline, hash));
                    }
                    5 | 6 => {
                        index.remove(deadline, hash);
                        if let Ok(at) = model.binary_search(&(deadline, hash)) {
                            model.remove(at);
                        }
                    }
                    _ => {
                        let due = model.first().copied().filter(|due| due.0 < deadline);
                        prop_assert_eq!(index.pop_before(deadline), due);
                        if due.is_some() {
                            model.remove(0);
                        }
                    }
                }
            }
            check(&index, &model);
            let sum: i64 = model.iter().map(|due| due.0).sum();
            prop_assert_eq!(index.mean(), if model.is_empty() { 0 } else { sum / model.len() as i64 });
        }
    }

    #[test]
    fn many_equal_entries_stay_together() {
        let mut index = ExpiryIndex::default();
        for _ in 0..300 {
            index.insert(5, 5);
        }
        index.insert(4, 0);
        index.insert(6, 0);
        for _ in 0..300 {
            index.remove(5, 5);
        }
        check(&index, &[(4, 0), (6, 0)]);
    }

    #[test]
    fn appended_leaves_are_full_and_emptied_ones_are_freed() {
        let mut index = ExpiryIndex::default();
        for i in 0..64_000 {
            index.insert(i, 0);
        }
        assert_eq!(index.leaves.len(), 1_000);
        for i in 0..63_990 {
            assert_eq!(index.pop_before(i64::MAX), Some((i, 0)));
        }
        assert_eq!(index.leaves.len(), 1);
        for i in 63_990..64_000 {
            index.remove(i, 0);
        }
        assert_eq!((index.memory(), index.first()), (0, None));
    }

    #[test]
    fn it_is_dropped_leaf_by_leaf() {
        let mut index = ExpiryIndex::default();
        for i in 0..6_400 {
            index.insert(i, 0);
        }
        assert_eq!(index.clear_slice(1), 1);
        assert_eq!((index.len(), index.leaves.len()), (6_336, 99));
        assert_eq!(index.clear_slice(0), 0);
        assert_eq!(index.clear_slice(98), 98);
        assert_eq!((index.len(), index.mean()), (64, 6_367));
        assert_eq!(index.clear_slice(5), 1);
        assert_eq!((index.len(), index.sum, index.memory()), (0, 0, 0));
    }
}
