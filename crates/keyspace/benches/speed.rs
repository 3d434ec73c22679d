//! What one command costs in the keyspace. Run by hand: `cargo bench -p kevy-keyspace`.
//!
//! In the cache: 16,000 keys, where the time is that of the instructions. Beyond it: 1,000,000
//! keys, alone and prefetched in groups of 16. Times are those the thread ran, so that a busy
//! machine disturbs less.
#![expect(clippy::print_stdout, reason = "a benchmark tells what it measures")]

use kevy_keyspace::{Changes, Context, Expiry, Keyspace, Placement, Store, Text};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUP: usize = 16;

/// Nanoseconds that this thread has run, by the scheduler's account, which is written at its ticks.
fn ran() -> f64 {
    std::thread::yield_now();
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    account.split(' ').next().and_then(|ran| ran.parse().ok()).unwrap_or(f64::NAN)
}

struct Bench {
    store: Store,
    changes: Changes,
    placement: Placement,
    /// In random order, one behind the other: what a command brings is in the cache.
    keys: Vec<[u8; 14]>,
    /// Over so many passes a time is taken.
    passes: usize,
}

impl Bench {
    fn new(count: usize) -> Self {
        let mut keys: Vec<[u8; 14]> = (0..count)
            .map(|i| format!("key:{i:010}").into_bytes().try_into().unwrap_or_default())
            .collect();
        let mut state = 1_u64;
        for at in (1..count).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            keys.swap(at, (state >> 33) as usize % (at + 1));
        }
        Bench {
            store: Store::new(0, 16),
            changes: Changes::new(),
            placement: Placement::new(1),
            keys,
            passes: (1_000_000 / count).max(1),
        }
    }

    /// Nanoseconds for each key, the best of `rounds` passes over all keys in random order. A
    /// group's table lines and records are prefetched first if `prefetch` says so. The hash of the
    /// key is part of it.
    fn measure(
        &mut self,
        rounds: usize,
        prefetch: bool,
        f: impl Fn(&mut Keyspace<'_>, &kevy_keyspace::Key<'_>, i64),
    ) -> f64 {
        let mut best = f64::MAX;
        for round in 0..rounds {
            let start = ran();
            let passes = if rounds == 1 { 1 } else { self.passes };
            for group in (0..passes).flat_map(|_| self.keys.chunks(GROUP)) {
                let keys: [_; GROUP] =
                    std::array::from_fn(|i| self.placement.key(group.get(i).unwrap_or(&group[0])));
                if prefetch {
                    keys.iter().for_each(|key| self.store.prefetch(0, key.hash));
                    keys.iter().for_each(|key| self.store.prefetch_record(0, key.hash));
                }
                for key in &keys[..group.len()] {
                    let context = Context {
                        db: 0,
                        now_ms: 1_000_000 + round as i64,
                        client: 1,
                        no_touch: false,
                        lfu: None,
                        max_bulk: 512 << 20,
                        placement: self.placement,
                        limits: &kevy_data::Limits::DEFAULT,
                        changes: &mut self.changes,
                    };
                    f(&mut Keyspace::one(&mut self.store, context), key, round as i64);
                }
            }
            best = best.min((ran() - start) / (passes * self.keys.len()) as f64);
        }
        best
    }
}

fn main() {
    for (count, rounds) in [(16_000, 5), (1_000_000, 5)] {
        let mut bench = Bench::new(count);
        let value = [b'v'; 64];
        let insert = bench.measure(1, false, |ks, key, _| {
            ks.set_string(key, Text::Bytes(&value), Expiry::Clear);
        });
        let bytes = bench.store.memory() as f64 / count as f64;
        println!("{count} keys of 14 bytes, values of 64: {bytes:.1} bytes each");
        println!(
            "  hash               {:6.1} ns",
            bench.measure(rounds, false, |_, key, _| {
                black_box(key.hash);
            })
        );
        println!("  insert             {insert:6.1} ns (once)");
        for prefetch in [false, true] {
            let how = if prefetch { "prefetched" } else { "alone" };
            let get = bench.measure(rounds, prefetch, |ks, key, _| {
                black_box(ks.string(key).ok());
            });
            let set = bench.measure(rounds, prefetch, |ks, key, _| {
                ks.set_string(key, Text::Bytes(&value), Expiry::Clear);
            });
            println!("  GET {how:10}     {get:6.1} ns");
            println!("  SET {how:10}     {set:6.1} ns");
        }
        let expiring = bench.measure(rounds, true, |ks, key, round| {
            ks.set_string(key, Text::Bytes(&value), Expiry::At(2_000_000 + round));
        });
        let incr = bench.measure(rounds, true, |ks, key, round| {
            if let Ok(string) = ks.update_string(key) {
                string.set_int(round);
            }
        });
        let renew = bench.measure(rounds, false, |ks, key, round| {
            ks.remove(key);
            ks.set_string(key, Text::Bytes(&value[..32 + (round as usize & 15)]), Expiry::Clear);
        });
        println!("  SET PXAT           {expiring:6.1} ns");
        println!("  INCR               {incr:6.1} ns");
        println!("  DEL and SET        {renew:6.1} ns");
    }
}
