//! A map by ids that mostly come in ascending order: full blocks in a tree.
//!
//! A tree of single ids splits its leaves in halves that never fill when ids ascend; blocks are
//! filled to the last place instead.

use super::{StreamId, tree_memory};
use crate::class::allocated;
use std::collections::BTreeMap;

/// Most ids of a block.
const BLOCK: usize = 64;

/// A map by ids.
#[derive(Clone, Debug)]
pub(super) struct IdMap<V> {
    /// Sorted, not empty, each kept under an id that is not greater than its first and greater
    /// than all ids of the block before.
    blocks: BTreeMap<StreamId, Vec<(StreamId, V)>>,
    len: usize,
    /// Bytes that the blocks hold from the allocator.
    held: usize,
}

impl<V> Default for IdMap<V> {
    fn default() -> Self {
        Self { blocks: BTreeMap::new(), len: 0, held: 0 }
    }
}

fn held<V>(block: &Vec<(StreamId, V)>) -> usize {
    allocated(block.capacity() * size_of::<(StreamId, V)>())
}

fn place<V>(block: &[(StreamId, V)], id: StreamId) -> Result<usize, usize> {
    // Ids behind all others are the common case.
    match block.last() {
        Some((last, _)) if *last < id => Err(block.len()),
        _ => block.binary_search_by_key(&id, |(id, _)| *id),
    }
}

impl<V: Copy> IdMap<V> {
    /// Number of ids.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes held from the allocator. O(1).
    pub(super) fn memory(&self) -> usize {
        self.held + tree_memory::<StreamId, Vec<(StreamId, V)>>(self.blocks.len())
    }

    /// The value of an id.
    pub(super) fn get(&self, id: StreamId) -> Option<&V> {
        let (_, block) = self.blocks.range(..=id).next_back()?;
        place(block, id).ok().map(|at| &block[at].1)
    }

    /// The ids from one to another with their values, from either end.
    pub(super) fn range(
        &self,
        from: StreamId,
        to: StreamId,
    ) -> impl DoubleEndedIterator<Item = (StreamId, &V)> {
        let start = self.blocks.range(..=from).next_back().map_or(from, |(first, _)| *first);
        // The ends of a range must not be exchanged.
        let blocks = (from <= to).then(|| self.blocks.range(start..=to));
        blocks.into_iter().flatten().flat_map(move |(_, block)| {
            let end = block.partition_point(|(id, _)| *id <= to);
            let start = block.partition_point(|(id, _)| *id < from).min(end);
            block[start..end].iter().map(|(id, value)| (*id, value))
        })
    }

    /// Sets the value of an id; what it was before.
    pub(super) fn insert(&mut self, id: StreamId, value: V) -> Option<V> {
        let Some((_, block)) = self.blocks.range_mut(..=id).next_back() else {
            self.add_block(id, vec![(id, value)]);
            self.len += 1;
            return None;
        };
        let at = match place(block, id) {
            Ok(at) => return Some(std::mem::replace(&mut block[at].1, value)),
            Err(at) => at,
        };
        self.len += 1;
        if block.len() < BLOCK {
            self.held -= held(block);
            block.insert(at, (id, value));
            self.held += held(block);
        } else if at == BLOCK {
            self.add_block(id, vec![(id, value)]);
        } else {
            self.held -= held(block);
            let mut upper = block.split_off(BLOCK / 2);
            match at.checked_sub(BLOCK / 2) {
                Some(at) if at > 0 => upper.insert(at, (id, value)),
                _ => block.insert(at, (id, value)),
            }
            self.held += held(block);
            let first = upper[0].0;
            self.add_block(first, upper);
        }
        None
    }

    fn add_block(&mut self, first: StreamId, block: Vec<(StreamId, V)>) {
        self.held += held(&block);
        self.blocks.insert(first, block);
    }

    /// Removes an id; its value.
    pub(super) fn remove(&mut self, id: StreamId) -> Option<V> {
        let (&first, block) = self.blocks.range_mut(..=id).next_back()?;
        let at = place(block, id).ok()?;
        self.held -= held(block);
        let (_, value) = block.remove(at);
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(&first);
            return Some(value);
        }
        if block.len() <= block.capacity() / 4 {
            block.shrink_to(2 * block.len());
        }
        self.held += held(block);
        if block.len() <= BLOCK / 4 {
            self.join_next(first);
            if let Some((&before, _)) = self.blocks.range(..first).next_back() {
                self.join_next(before);
            }
        }
        Some(value)
    }

    /// Joins the block kept under `first` with the next one if they fill half a block at most, so
    /// that scattered ids do not hold a block each.
    fn join_next(&mut self, first: StreamId) {
        let mut from = self.blocks.range(first..);
        let (Some((_, block)), Some((&next, following))) = (from.next(), from.next()) else {
            return;
        };
        if block.len() + following.len() > BLOCK / 2 {
            return;
        }
        let following = self.blocks.remove(&next).unwrap_or_default();
        self.held -= held(&following);
        if let Some(block) = self.blocks.get_mut(&first) {
            self.held -= held(block);
            block.extend(following);
            self.held += held(block);
        }
    }

    /// Removes the first id with its value.
    pub(super) fn pop_first(&mut self) -> Option<StreamId> {
        let (_, block) = self.blocks.first_key_value()?;
        let id = block[0].0;
        self.remove(id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    #[test]
    fn ascending_ids_fill_their_blocks() {
        let mut map = IdMap::default();
        for ms in 0..64_000 {
            map.insert(StreamId::new(ms, 0), ms);
        }
        assert_eq!((map.len(), map.blocks.len()), (64_000, 1000));
        assert!(map.memory() < 64_000 * 27, "{}", map.memory());
        for ms in (0..64_000).filter(|ms| ms % 32 != 0) {
            map.remove(StreamId::new(ms, 0));
        }
        assert_eq!(map.len(), 2000);
        assert!(map.memory() < 2000 * 60, "{}", map.memory());
    }

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 3 } else { 100 },
            rng_seed: RngSeed::Fixed(0x6b65_7679),
            failure_persistence: None,
            ..Config::default()
        })]

        #[test]
        fn maps_are_as_their_model(
            steps in prop::collection::vec((0u8..4, 0u64..700), 1..if cfg!(miri) { 40 } else { 1500 }),
            ends in (0u64..700, 0u64..700),
        ) {
            let (mut map, mut model) = (IdMap::default(), BTreeMap::new());
            let mut top = 0;
            for (at, (what, ms)) in steps.into_iter().enumerate() {
                let any = StreamId::new(ms, 0);
                match what {
                    0 => {
                        top += ms / 300;
                        let id = StreamId::new(top, 0);
                        prop_assert_eq!(map.insert(id, at), model.insert(id, at));
                    }
                    1 => prop_assert_eq!(map.insert(any, at), model.insert(any, at)),
                    _ => prop_assert_eq!(map.remove(any), model.remove(&any)),
                }
                prop_assert_eq!(map.get(any), model.get(&any));
                prop_assert_eq!(map.len(), model.len());
            }
            let all: Vec<_> = map.range(StreamId::MIN, StreamId::MAX).map(|e| (e.0, *e.1)).collect();
            prop_assert_eq!(&all, &model.clone().into_iter().collect::<Vec<_>>());
            let (from, to) = (StreamId::new(ends.0, 0), StreamId::new(ends.1, 0));
            let inside = |e: &&(StreamId, usize)| from <= e.0 && e.0 <= to;
            let found: Vec<_> = map.range(from, to).map(|e| (e.0, *e.1)).collect();
            prop_assert_eq!(found, all.iter().filter(inside).copied().collect::<Vec<_>>());
            let back: Vec<_> = map.range(from, to).rev().map(|e| (e.0, *e.1)).collect();
            prop_assert_eq!(back, all.iter().rev().filter(inside).copied().collect::<Vec<_>>());
            let held: usize = map.blocks.values().map(held).sum();
            prop_assert_eq!(held, map.held);
            while map.pop_first().is_some() {}
            prop_assert_eq!((map.len(), map.memory()), (0, 0));
        }
    }
}
