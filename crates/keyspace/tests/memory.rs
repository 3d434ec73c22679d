//! The account of memory against what the allocator has given out.

use kevy_keyspace::{Changes, Context, Expiry, Keyspace, Placement, Store, Text};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated and not freed since the region began. Reallocations count as either.
fn live(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated - change.bytes_deallocated
}

/// What the test harness's own thread may allocate meanwhile, in bytes: less than any of the cases
/// would leak.
const HARNESS: usize = 8 << 10;

/// Fills a store by `set` and compares the account with the allocator at several counts.
///
/// One test function runs all cases: tests on other threads would be counted too.
fn check(name: &str, set: impl Fn(&mut Keyspace<'_>, u64)) {
    let region = Region::new(ALLOCATOR);
    let placement = Placement::new(1);
    let mut changes = Changes::new();
    let mut store = Store::new(0, 16);
    let mut number = 0_u64;
    for count in [1_000, 10_000, 50_000, 65_000] {
        let changes = &mut changes;
        let context = Context {
            db: 0,
            now_ms: 1_000,
            client: 1,
            no_touch: false,
            lfu: None,
            max_bulk: 512 << 20,
            placement,
            limits: &kevy_data::Limits::DEFAULT,
            changes,
        };
        let mut ks = Keyspace::one(&mut store, context);
        while number < count {
            // Keys in no order, so that deadlines made from them are in none.
            set(&mut ks, number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            number += 1;
        }
        let (account, held) = (store.memory(), live(&region));
        let error = account as f64 / held as f64 - 1.0;
        assert!(error.abs() <= 0.03, "{name}: {account} accounted, {held} held at {count} keys");
    }
    drop((store, changes));
    let left = live(&region);
    assert!(left < HARNESS, "{name}: {left} bytes leak");
}

fn key(number: u64) -> Vec<u8> {
    format!("key:{number:020}").into_bytes()
}

#[test]
fn what_is_accounted_is_what_is_held() {
    // The hash function's state is the process's, not a store's.
    Placement::new(1).key(b"");

    check("short strings", |ks, number| {
        let name = key(number);
        ks.set_string(&ks.key(&name), Text::Bytes(&[b'v'; 64]), Expiry::Clear);
    });
    check("integers with random deadlines", |ks, number| {
        let name = key(number);
        let deadline = 1_000 + (number >> 40) as i64;
        ks.set_string(&ks.key(&name), Text::Int(5), Expiry::At(deadline));
    });
    check("integers with rising deadlines", |ks, number| {
        let name = key(number);
        let deadline = 1_000 + ks.len(0) as i64;
        ks.set_string(&ks.key(&name), Text::Int(5), Expiry::At(deadline));
    });
    // The instrumented allocator does not round to size classes, so these have the sizes of such.
    check("large strings", |ks, number| {
        let name = key(number % 5_000);
        ks.set_string(&ks.key(&name), Text::Bytes(&[b'v'; 2_048 - 24]), Expiry::Keep);
    });
    check("strings that grow and shrink", |ks, number| {
        let name = key(number % 3_000);
        let key = ks.key(&name);
        let guard = ks.update_string(&key).expect("a string");
        if number % 7 == 0 {
            guard.set(Text::Bytes(b""));
        } else {
            guard.append(&[1; 37]);
        }
        if number % 11 == 0 {
            ks.remove(&key);
        }
    });
    check("watched keys", |ks, number| {
        let name = key(number);
        ks.set_string(&ks.key(&name), Text::Bytes(&[b'v'; 64]), Expiry::Clear);
        if number % 16 == 0 {
            ks.watch(number, &ks.key(&name));
        }
    });
    check("keys watched by the dozen", |ks, number| {
        let name = key(number);
        ks.set_string(&ks.key(&name), Text::Bytes(&[b'v'; 200]), Expiry::Clear);
        if number % 8 == 0 {
            let client = ks.len(0) as u64 / 100;
            ks.watch(client, &ks.key(&name));
        }
    });
    check("keys watched by one client", |ks, number| {
        let name = key(number);
        ks.set_string(&ks.key(&name), Text::Bytes(&[b'v'; 200]), Expiry::Clear);
        if number % 8 == 0 {
            ks.watch(1, &ks.key(&name));
        }
    });
    check("a key watched by many clients", |ks, number| {
        let name = key(number);
        ks.set_string(&ks.key(&name), Text::Bytes(&[b'v'; 200]), Expiry::Clear);
        if number % 16 == 0 {
            ks.watch(number, &ks.key(b"k"));
        }
    });
}
