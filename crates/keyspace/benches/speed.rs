//! What one command costs in the keyspace. Run by hand: `cargo bench -p kevy-keyspace`.
//!
//! In the cache: 1,000 keys, where the time is that of the instructions. Beyond it: 1,000,000
//! keys, alone and prefetched in groups of 16.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures and tells"
)]

use kevy_keyspace::{Changes, Context, Expiry, Keyspace, Placement, Store, Text};
use std::hint::black_box;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUP: usize = 16;

struct Bench {
    store: Store,
    changes: Changes,
    placement: Placement,
    keys: Vec<Vec<u8>>,
    order: Vec<u32>,
}

impl Bench {
    fn new(count: usize) -> Self {
        let mut order: Vec<u32> = (0..count as u32).collect();
        let mut state = 1_u64;
        for at in (1..count).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(at, (state >> 33) as usize % (at + 1));
        }
        Bench {
            store: Store::new(0, 16),
            changes: Changes::new(),
            placement: Placement::new(1),
            keys: (0..count).map(|i| format!("key:{i:010}").into_bytes()).collect(),
            order,
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
            let start = Instant::now();
            for group in self.order.chunks(GROUP) {
                let keys: [_; GROUP] = std::array::from_fn(|i| {
                    let at = group.get(i).or(group.first()).copied().unwrap_or(0);
                    self.placement.key(&self.keys[at as usize])
                });
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
                        max_bulk: 512 << 20,
                        placement: self.placement,
                        changes: &mut self.changes,
                    };
                    f(&mut Keyspace::one(&mut self.store, context), key, round as i64);
                }
            }
            best = best.min(start.elapsed().as_nanos() as f64 / self.order.len() as f64);
        }
        best
    }
}

fn main() {
    for (count, rounds) in [(1_000, 300), (1_000_000, 5)] {
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
