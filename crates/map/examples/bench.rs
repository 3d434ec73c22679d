//! Look-ups alone and prefetched in groups, insertion stalls, and memory per element.
//!
//! Look-ups are given in CPU time, so that a busy machine disturbs them less; stalls are given in
//! wall-clock time, beside those of an idle loop on the same machine.
//!
//! `cargo run --release -p kevy-map --example bench [elements, default 1000000]`

#![expect(clippy::print_stdout, reason = "it reports to whoever runs it")]

use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use kevy_map::{KevyMap, prefetch_read};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Item = Box<u64>;

/// SplitMix64's finaliser: a bijection, so distinct keys have distinct hashes.
fn hash(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn main() {
    let elements = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let map = insert(elements);
    let keys = random_keys(elements);
    report("find, present", keys.len(), || find_all(&map, &keys));
    let absent: Vec<_> = keys.iter().map(|key| key + elements).collect();
    report("find, absent", keys.len(), || find_all(&map, &absent));
    report("find, prefetched in 16s", keys.len(), || find_in_groups(&map, &keys));
    report("find, absent, in 16s", keys.len(), || find_in_groups(&map, &absent));
    remove(map, &keys);
}

/// CPU time of this thread so far, or the wall-clock time where the kernel does not tell.
fn cpu_time(begin: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
    nanoseconds.map_or_else(|| now() - begin, Duration::from_nanos)
}

/// The time that this machine takes away now and then by itself, which no code can avoid.
fn noise() -> Vec<Duration> {
    let mut gaps = Vec::new();
    let mut last = now();
    for _ in 0..2_000_000 {
        let next = now();
        gaps.push(next - last);
        last = next;
    }
    gaps
}

fn insert(elements: u64) -> KevyMap<Item> {
    let mut map: KevyMap<Item> = KevyMap::new();
    let mut times = Vec::with_capacity(elements as usize);
    let mut growing = Vec::new();
    let mut worst_memory = 0_f64;
    let begin = now();
    let cpu = cpu_time(begin);
    for key in 0..elements {
        let item = Box::new(key);
        let grew = Cell::new(false);
        let start = now();
        map.insert_unique(hash(key), item, |item| {
            grew.set(true);
            hash(**item)
        });
        let time = start.elapsed();
        times.push(time);
        if grew.get() {
            growing.push(time);
        }
        if map.len() >= elements as usize / 2 && map.len().is_multiple_of(1000) {
            worst_memory = worst_memory.max(map.memory() as f64 / map.len() as f64);
        }
    }
    let total = cpu_time(begin) - cpu;
    println!("insert, with its clock: {:.1} ns each", total.as_nanos() as f64 / elements as f64);
    quantiles("insert", times);
    quantiles("insert, growing a segment", growing);
    quantiles("idle loop", noise());
    println!("memory: at worst {worst_memory:.2} B each over the last doubling");
    map
}

fn quantiles(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let (half, p99, p9999) = (at(0.5), at(0.99), at(0.9999));
    println!("{name}: median {half:?}, 99 % {p99:?}, 99.99 % {p9999:?}, max {:?}", at(1.0));
}

fn random_keys(elements: u64) -> Vec<u64> {
    (0..2_000_000.min(elements)).map(|i| hash(i ^ 0x55) % elements).collect()
}

fn report(name: &str, count: usize, mut run: impl FnMut() -> usize) {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let begin = now();
        let start = cpu_time(begin);
        black_box(run());
        best = best.min(cpu_time(begin) - start);
    }
    println!("{name}: {:.1} ns each", best.as_nanos() as f64 / count as f64);
}

fn find_all(map: &KevyMap<Item>, keys: &[u64]) -> usize {
    let mut found = 0;
    for &key in keys {
        found += usize::from(map.find(hash(key), |item| **item == key).is_some());
    }
    found
}

fn find_in_groups(map: &KevyMap<Item>, keys: &[u64]) -> usize {
    let mut found = 0;
    for group in keys.chunks(16) {
        group.iter().for_each(|&key| map.prefetch(hash(key)));
        group.iter().for_each(|&key| map.candidates(hash(key), |item| prefetch_read(&**item)));
        found += find_all(map, group);
    }
    found
}

fn remove(mut map: KevyMap<Item>, keys: &[u64]) {
    let mut times = Vec::with_capacity(keys.len());
    for key in (0..map.len() as u64).map(|i| i.wrapping_mul(7919)) {
        let key = key % (map.len() as u64).max(1);
        let start = now();
        black_box(map.remove(hash(key), |item| **item == key));
        times.push(start.elapsed());
        if times.len() == times.capacity() {
            break;
        }
    }
    quantiles("remove", times);
    let start = now();
    let mut slices = 0;
    while map.clear_slice(1000) > 0 {
        slices += 1;
    }
    println!(
        "cleared the rest in {slices} slices of 1,000, {:?} on average",
        start.elapsed() / slices.max(1)
    );
}
