//! The table against a `HashMap`, under random operations.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use kevy_map::{Entry, KevyMap};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// An element that counts how often it is alive.
#[derive(Clone)]
struct Item {
    key: u64,
    version: u32,
    _alive: Rc<()>,
}

/// How keys become hashes: well, badly in several ways, or not at all.
#[derive(Clone, Copy, Debug)]
enum Quality {
    Good,
    SharedPrefix,
    FewValues,
    Constant,
}

impl Quality {
    fn hash(self, key: u64) -> u64 {
        let mut z = key.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        match self {
            Self::Good => z,
            Self::SharedPrefix => z >> 20,
            Self::FewValues => (z & 7) << 60 | (z & 0x300),
            Self::Constant => 42,
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert { first: u64, count: u64 },
    Remove { first: u64, count: u64 },
    Change { key: u64 },
    Clear { budget: usize },
    Drain,
    BeginWalk,
    Walk,
    BeginScan,
    Scan { calls: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let most = if cfg!(miri) { 40_u64 } else { 1500 };
    let keys = if cfg!(miri) { 100_u64 } else { 6000 };
    prop_oneof![
        6 => (0..keys, 1..most).prop_map(|(first, count)| Op::Insert { first, count }),
        5 => (0..keys, 1..most).prop_map(|(first, count)| Op::Remove { first, count }),
        2 => (0..keys).prop_map(|key| Op::Change { key }),
        1 => (0..2000_usize).prop_map(|budget| Op::Clear { budget }),
        1 => Just(Op::Drain),
        1 => Just(Op::BeginWalk),
        4 => Just(Op::Walk),
        1 => Just(Op::BeginScan),
        4 => (1..200_usize).prop_map(|calls| Op::Scan { calls }),
    ]
}

/// The table, its model, and what the walk and the scan under way have reported.
struct Both {
    quality: Quality,
    map: KevyMap<Item>,
    model: HashMap<u64, u32>,
    alive: Rc<()>,
    /// State at the beginning of the walk, and what was handed over since.
    walk: Option<(BTreeMap<u64, u32>, BTreeMap<u64, u32>)>,
    /// Cursor, keys in the table ever since the scan began, keys reported.
    scan: Option<(u64, HashSet<u64>, HashSet<u64>)>,
}

impl Both {
    fn new(quality: Quality) -> Self {
        let (map, model) = (KevyMap::new(), HashMap::new());
        Self { quality, map, model, alive: Rc::new(()), walk: None, scan: None }
    }

    fn item(&self, key: u64, version: u32) -> Item {
        Item { key, version, _alive: self.alive.clone() }
    }

    /// The protocol of a writer during a walk.
    fn before_change(&mut self, hash: u64) {
        if self.map.unwalked(hash)
            && let Some((_, handed)) = &mut self.walk
        {
            self.map.walk_segment_of(hash, |item| hand_over(handed, item));
            assert!(!self.map.unwalked(hash));
        }
    }

    fn insert(&mut self, key: u64) {
        let (quality, hash) = (self.quality, self.quality.hash(key));
        let item = self.item(key, 0);
        if self.model.contains_key(&key) {
            return;
        }
        self.before_change(hash);
        if key.is_multiple_of(2) {
            self.map.insert_unique(hash, item, |item| quality.hash(item.key));
        } else {
            let Entry::Vacant(entry) = self.map.entry(hash, |item| item.key == key) else {
                panic!("{key} is not in the model");
            };
            assert_eq!(entry.insert(item, |item| quality.hash(item.key)).key, key);
        }
        self.model.insert(key, 0);
    }

    fn remove(&mut self, key: u64) {
        let hash = self.quality.hash(key);
        self.before_change(hash);
        let removed = if key.is_multiple_of(2) {
            self.map.remove(hash, |item| item.key == key)
        } else {
            match self.map.entry(hash, |item| item.key == key) {
                Entry::Occupied(entry) => Some(entry.remove()),
                Entry::Vacant(_) => None,
            }
        };
        assert_eq!(removed.map(|item| item.version), self.model.remove(&key));
        self.gone(key);
    }

    fn gone(&mut self, key: u64) {
        if let Some((_, since, _)) = &mut self.scan {
            since.remove(&key);
        }
    }

    fn change(&mut self, key: u64) {
        let hash = self.quality.hash(key);
        self.before_change(hash);
        if let Some(item) = self.map.find_mut(hash, |item| item.key == key) {
            item.version += 1;
        }
        if let Some(version) = self.model.get_mut(&key) {
            *version += 1;
        }
    }

    fn finish_walk(&mut self) {
        while self.walk_next() {}
    }

    /// One step; at the end the state handed over must be the one of the beginning.
    fn walk_next(&mut self) -> bool {
        let Some((begin, handed)) = &mut self.walk else { return false };
        if self.map.walk_next(|item| hand_over(handed, item)) {
            return true;
        }
        assert_eq!(begin, handed);
        assert!(!self.map.is_walking());
        self.walk = None;
        false
    }

    fn forget_absent(&mut self) {
        let (map, quality) = (&self.map, self.quality);
        self.model.retain(|&key, _| map.find(quality.hash(key), |i| i.key == key).is_some());
        if let Some((_, since, _)) = &mut self.scan {
            since.retain(|key| self.model.contains_key(key));
        }
    }

    fn scan(&mut self, calls: usize) {
        for _ in 0..calls {
            let Some((cursor, since, seen)) = &mut self.scan else { return };
            *cursor = self.map.scan(*cursor, |item| {
                seen.insert(item.key);
            });
            assert!(*cursor < 1 << 40);
            if *cursor == 0 {
                assert!(since.is_subset(seen), "missed {:?}", since.difference(seen));
                self.scan = None;
            }
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert { first, count } => (first..first + count).for_each(|key| self.insert(key)),
            Op::Remove { first, count } => (first..first + count).for_each(|key| self.remove(key)),
            Op::Change { key } => self.change(key),
            Op::Clear { budget } => {
                self.finish_walk();
                let before = self.map.len();
                assert_eq!(self.map.clear_slice(budget), budget.min(before));
                self.forget_absent();
            }
            Op::Drain => {
                self.finish_walk();
                let mut drained = Vec::new();
                let any = self.map.drain_segment(|item| drained.push(item.key));
                assert_eq!(any, !drained.is_empty());
                for key in drained {
                    assert!(self.model.remove(&key).is_some());
                    self.gone(key);
                }
            }
            Op::BeginWalk => {
                self.finish_walk();
                self.map.begin_walk();
                let begin = self.model.iter().map(|(&key, &version)| (key, version)).collect();
                self.walk = Some((begin, BTreeMap::new()));
            }
            Op::Walk => {
                self.walk_next();
            }
            Op::BeginScan => {
                self.scan = Some((0, self.model.keys().copied().collect(), HashSet::new()));
            }
            Op::Scan { calls } => self.scan(calls),
        }
    }

    /// The table holds exactly what the model holds, and every element is alive once.
    fn check(&self) {
        assert_eq!(self.map.len(), self.model.len());
        assert_eq!(Rc::strong_count(&self.alive), 1 + self.model.len());
        for (&key, &version) in &self.model {
            let found = self.map.find(self.quality.hash(key), |item| item.key == key);
            assert_eq!(found.map(|item| item.version), Some(version), "{key}");
        }
        let mut keys: Vec<_> = self.map.iter().map(|item| item.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), self.model.len());
        assert!(
            (0..64).all(|i| self.map.sample(Quality::Good.hash(i)).is_some()) || keys.is_empty()
        );
    }
}

fn hand_over(handed: &mut BTreeMap<u64, u32>, item: &Item) {
    assert_eq!(handed.insert(item.key, item.version), None, "handed over twice");
}

fn run(quality: Quality, ops: &[Op]) {
    let mut both = Both::new(quality);
    for op in ops {
        both.apply(op);
        both.check();
    }
    both.finish_walk();
    both.scan(usize::MAX);
    let alive = both.alive.clone();
    drop(both);
    assert_eq!(Rc::strong_count(&alive), 1);
}

fn config(cases: u32, seed: u64) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 2 } else { cases },
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(48, 1))]
    #[test]
    fn behaves_like_a_hash_map(ops in prop::collection::vec(op(), 1..40)) {
        run(Quality::Good, &ops);
    }
}

proptest! {
    #![proptest_config(config(12, 2))]
    #[test]
    fn stays_correct_with_bad_hashes(
        quality in prop_oneof![Just(Quality::SharedPrefix), Just(Quality::FewValues), Just(Quality::Constant)],
        ops in prop::collection::vec(op(), 1..8),
    ) {
        run(quality, &ops);
    }
}
