//! What the table promises beyond behaving like a map: bounded steps, scans that report
//! everything, fair samples, survival of panics.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kevy_map::KevyMap;

/// SplitMix64's finaliser: a bijection, so distinct keys have distinct hashes.
fn hash(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn insert(map: &mut KevyMap<u64>, key: u64) {
    map.insert_unique(hash(key), key, |&key| hash(key));
}

fn filled(keys: u64) -> KevyMap<u64> {
    let mut map = KevyMap::new();
    (0..keys).for_each(|key| insert(&mut map, key));
    map
}

const MANY: u64 = if cfg!(miri) { 1300 } else { 300_000 };

#[test]
fn an_insertion_rehashes_one_segment_at_most() {
    let mut map = KevyMap::new();
    let calls = Cell::new(0_u32);
    let (mut most, mut all) = (0, 0_u64);
    for key in 0..MANY {
        calls.set(0);
        map.insert_unique(hash(key), key, |&key| {
            calls.set(calls.get() + 1);
            hash(key)
        });
        most = most.max(calls.get());
        all += u64::from(calls.get());
    }
    assert!(most <= 1200, "{most}");
    assert!(all < 4 * MANY, "{all} for {MANY}");
}

#[test]
fn a_scan_of_an_unchanged_table_reports_everything_once() {
    for keys in [0, 1, 5, 100, 1142, 1143, 5000, MANY].into_iter().filter(|&keys| keys <= MANY) {
        let map = filled(keys);
        let mut seen = vec![0_u8; keys as usize];
        let mut cursor = 0;
        loop {
            let mut reported = 0;
            let next = map.scan(cursor, |&key| {
                seen[key as usize] += 1;
                reported += 1;
            });
            assert!(reported < 30 && (next == 0 || next > cursor && next < 1 << 40));
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert!(seen.iter().all(|&times| times == 1), "{keys} keys");
    }
}

#[test]
fn a_scan_of_a_sparse_table_advances_in_bounded_steps() {
    let mut map = filled(MANY);
    for key in 0..MANY - 3 {
        map.remove(hash(key), |&other| other == key);
    }
    let (mut cursor, mut calls, mut found) = (0, 0, 0);
    loop {
        cursor = map.scan(cursor, |_| found += 1);
        calls += 1;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(found, 3);
    assert!(calls < 100, "{calls}");
}

#[test]
fn samples_are_fair() {
    // Small, just split, and many segments of unequal load.
    for keys in [3, 100, 1200, 8000] {
        let keys = if cfg!(miri) { 3 } else { keys };
        let map = filled(keys);
        let draws = keys * 40;
        let mut counts = vec![0_f64; keys as usize];
        for draw in 0..draws {
            if let Some(&key) = map.sample(hash(draw ^ 0x1234_5678_0000)) {
                counts[key as usize] += 1.0;
            }
        }
        assert_eq!(counts.iter().sum::<f64>(), draws as f64);
        let chi: f64 = counts.iter().map(|c| (c - 40.0) * (c - 40.0) / 40.0).sum();
        let bound = keys as f64 + 5.0 * (2.0 * keys as f64).sqrt();
        assert!(chi < bound, "{keys} keys: {chi} > {bound}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "statistics need many draws and no pointers")]
fn samples_of_a_table_that_has_shrunk_are_fair() {
    let mut map = filled(MANY);
    for left in [300, 30, 3] {
        for key in left..MANY {
            map.remove(hash(key), |&other| other == key);
        }
        let mut counts = vec![0_f64; left as usize];
        for draw in 0..left * 300 {
            counts[*map.sample(hash(draw ^ 0x5678)).unwrap() as usize] += 1.0;
        }
        let chi: f64 = counts.iter().map(|c| (c - 300.0) * (c - 300.0) / 300.0).sum();
        assert!(chi < left as f64 + 5.0 * (2.0 * left as f64).sqrt(), "{left} left: {chi}");
    }
}

#[test]
fn a_sparse_table_still_gives_samples() {
    let mut map = filled(MANY);
    for key in 1..MANY {
        map.remove(hash(key), |&other| other == key);
    }
    let found = (0..100).filter(|&random| map.sample(hash(random)) == Some(&0)).count();
    assert_eq!(found, 100);
}

#[test]
fn a_panicking_closure_leaves_the_table_as_it_was() {
    let mut map = KevyMap::new();
    for key in 0..3000_u64 {
        let item = Box::new(key);
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            map.insert_unique(hash(key), item, |_| panic!("no hash today"));
        }));
        if attempt.is_err() {
            assert_eq!(map.len() as u64, key);
            map.insert_unique(hash(key), Box::new(key), |item| hash(**item));
        }
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            map.remove(hash(key), |_| panic!("no equality either")).is_some()
        }));
        assert!(attempt.is_err());
        if cfg!(miri) && key > 100 {
            return;
        }
    }
    assert!((0..3000).all(|key| map.find(hash(key), |item| **item == key).is_some()));
}

#[test]
fn elements_may_have_any_size() {
    fn check<T: Clone + PartialEq>(of: impl Fn(u64) -> T, key_of: impl Fn(&T) -> u64) {
        let keys = if cfg!(miri) { 200 } else { 5000 };
        let mut map = KevyMap::new();
        for key in 0..keys {
            map.insert_unique(hash(key), of(key), |value| hash(key_of(value)));
        }
        for key in (0..keys).step_by(2) {
            assert!(map.remove(hash(key), |value| key_of(value) == key) == Some(of(key)));
        }
        for key in 0..keys {
            let found = map.find(hash(key), |value| key_of(value) == key);
            assert_eq!(found.is_some(), key % 2 == 1);
        }
    }
    check(|key| key as u16, |&value| u64::from(value));
    check(|key| (key, [7_u8; 9]), |value| value.0);
    check(|key| key.to_string(), |value| value.parse().unwrap());
    check(|key| [key; 20], |value| value[19]);
}

#[test]
fn prefetching_names_the_right_elements() {
    let map = filled(MANY);
    let (mut named, mut others) = (0, 0);
    for key in 0..1000 {
        map.prefetch(hash(key));
        map.candidates(hash(key), |&other| if other == key { named += 1 } else { others += 1 });
    }
    assert!(named > 800 && others < 100, "{named} {others}");
}

#[test]
fn a_walk_proceeds_by_itself_and_through_writers() {
    let mut map = filled(MANY);
    let mut seen: HashMap<u64, u32> = HashMap::new();
    map.begin_walk();
    let mut key = MANY;
    while map.walk_next(|&key| *seen.entry(key).or_default() += 1) {
        for _ in 0..50 {
            map.walk_segment_of(hash(key), |&key| *seen.entry(key).or_default() += 1);
            insert(&mut map, key);
            let old = key - MANY;
            if old < MANY {
                map.walk_segment_of(hash(old), |&key| *seen.entry(key).or_default() += 1);
                map.remove(hash(old), |&other| other == old);
            }
            key += 1;
        }
    }
    assert_eq!(seen.len() as u64, MANY);
    assert!(seen.iter().all(|(&key, &times)| key < MANY && times == 1));
    assert!(!map.unwalked(hash(key)));
}
