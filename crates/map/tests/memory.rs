//! Memory: what is accounted is what is allocated, it is little at every count, and it goes back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kevy_map::KevyMap;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting the live bytes of each thread.
struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator; the count has no influence.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LIVE.try_with(|live| live.set(live.get().wrapping_add(layout.size())));
        // SAFETY: the caller's obligations are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = LIVE.try_with(|live| live.set(live.get().wrapping_sub(layout.size())));
        // SAFETY: the caller's obligations are those of the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> usize {
    LIVE.with(Cell::get)
}

/// Bytes allocated since `before`; wrapping, as a thread may free what another has allocated.
fn since(before: usize) -> usize {
    live().wrapping_sub(before)
}

fn hash(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn insert(map: &mut KevyMap<u64>, key: u64) {
    map.insert_unique(hash(key), key, |&key| hash(key));
}

#[test]
fn an_empty_table_allocates_nothing() {
    let before = live();
    let map: KevyMap<u64> = KevyMap::new();
    assert_eq!((live(), map.memory()), (before, 0));
    assert!(size_of::<KevyMap<u64>>() <= 112, "{}", size_of::<KevyMap<u64>>());
}

#[test]
fn what_is_accounted_is_what_is_allocated() {
    let before = live();
    let mut map = KevyMap::new();
    let keys = if cfg!(miri) { 1200 } else { 60_000 };
    let check = |map: &KevyMap<u64>, key: u64| {
        if key.is_multiple_of(37) {
            assert_eq!(map.memory(), since(before), "{} elements", map.len());
        }
    };
    for key in 0..keys {
        insert(&mut map, key);
        check(&map, key);
    }
    for key in 0..keys {
        assert!(map.remove(hash(key), |&other| other == key).is_some());
        check(&map, key);
    }
    assert_eq!(map.memory(), since(before));
    for key in 0..keys {
        insert(&mut map, key);
    }
    map.drain_segment(drop);
    assert_eq!(map.memory(), since(before));
    while map.clear_slice(100) == 100 {
        check(&map, map.len() as u64);
    }
    assert_eq!((map.len(), map.memory()), (0, 0));
    drop(map);
    assert_eq!(live(), before);
}

#[test]
fn eight_byte_elements_take_fourteen_bytes_at_most() {
    if cfg!(miri) {
        return;
    }
    let mut map = KevyMap::new();
    let mut next = 0;
    let mut worst = 0_f64;
    println!("{:>9} {:>6}", "elements", "bytes");
    for count in (1_000_000..=2_000_000).step_by(1000) {
        (next..count).for_each(|key| insert(&mut map, key));
        next = count;
        let each = map.memory() as f64 / count as f64;
        worst = worst.max(each);
        if count.is_multiple_of(100_000) {
            println!("{count:>9} {each:>6.2}");
        }
    }
    println!("{:>9} {worst:>6.2}", "worst");
    assert!(worst <= 14.0, "{worst}");
}

#[test]
fn small_tables_are_small() {
    println!("{:>9} {:>6}", "elements", "bytes");
    for (count, most) in [(1, 192), (7, 192), (50, 1100), (100, 1900), (500, 7500), (1000, 14_500)]
    {
        let mut map = KevyMap::new();
        (0..count).for_each(|key| insert(&mut map, key));
        println!("{count:>9} {:>6}", map.memory());
        assert!(map.memory() <= most, "{count}: {}", map.memory());
    }
    let mut worst = (0.0, 0);
    let mut map = KevyMap::new();
    for count in 1..if cfg!(miri) { 300 } else { 20_000_u64 } {
        insert(&mut map, count);
        let each = map.memory() as f64 / count as f64;
        if count >= 100 && each > worst.0 {
            worst = (each, count);
        }
    }
    println!("worst from 100: {:.1} each at {}", worst.0, worst.1);
    assert!(worst.0 <= 21.0, "{worst:?}");
}

#[test]
fn memory_goes_back_after_mass_deletion() {
    let keys = if cfg!(miri) { 1300 } else { 400_000 };
    let mut map = KevyMap::new();
    (0..keys).for_each(|key| insert(&mut map, key));
    let mut worst = 0_f64;
    for key in 0..keys {
        assert!(map.remove(hash(key), |&other| other == key).is_some());
        if map.len() >= 2000 {
            worst = worst.max(map.memory() as f64 / map.len() as f64);
        }
        if map.len() == 10 {
            println!("10 left: {}", map.memory());
            assert!(map.memory() < 5000, "{}", map.memory());
        }
    }
    println!("worst while shrinking: {worst:.1} each");
    assert!(worst < 45.0, "{worst}");
    assert!(map.memory() < 256, "{}", map.memory());
}
