//! The commands that make up nearly all traffic do not allocate.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use kevy_command::{CommandList, FAMILIES, Output, PlacedKey, Reply, Table};
use kevy_keyspace::{Changes, Context, Keyspace, Placement, Store};
use kevy_resp::Proto;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of the second of two equal calls.
fn allocations(store: &mut Store, table: &Table, call: &str) -> usize {
    let placement = Placement::new(1);
    let mut list = CommandList::new();
    assert!(list.push(call.split(' ').map(str::as_bytes)));
    let args = list.args(0, placement);
    let found = table.find(&args).unwrap();
    let mut keys = Vec::new();
    found.row.each_key(&args, |arg, _| {
        let key = args.key_at(arg).unwrap();
        keys.push(PlacedKey { arg: arg as u32, store: key.store, hash: key.hash });
    });
    let args = args.with_keys(&keys);
    let (mut out, mut changes) = (Output::new(), Changes::new());
    let mut run = |out: &mut Output| {
        let context = Context {
            db: 0,
            now_ms: 1_000_000,
            client: 1,
            no_touch: false,
            lfu: None,
            max_bulk: 512 << 20,
            placement,
            limits: &kevy_data::Limits::DEFAULT,
            changes: &mut changes,
        };
        let mut ks = Keyspace::one(store, context);
        let outcome = kevy_command::call(found, &mut ks, args, &mut Reply::new(out, Proto::Resp2));
        drop(outcome.unwrap());
    };
    // Connections keep their output's memory.
    out.reserve(4096);
    run(&mut out);
    out.clear();
    let region = Region::new(ALLOCATOR);
    run(&mut out);
    region.change().allocations + region.change().reallocations
}

/// One test for all: allocations are counted for the whole process, and the harness makes some
/// for each test.
#[test]
fn what_is_frequent_does_not_allocate() {
    frequent_commands_do_not_allocate();
    fields_are_read_without_allocations_and_overwritten_in_tables();
}

fn frequent_commands_do_not_allocate() {
    let table = Table::new(FAMILIES).unwrap();
    let mut store = Store::new(0, 1);
    for call in [
        "SET a value",
        "GET a",
        "STRLEN a",
        "SET n 1",
        "INCR n",
        "DECRBY n 3",
        "MSET a 1234567 b 2 c 3 d 4",
        "MGET a b c d none",
        "SET a value EX 100",
        "SET a value XX KEEPTTL",
        "SETEX a 100 value",
        "GETEX a EX 200",
        "EXPIRE a 100",
        "TTL a",
        "EXISTS a b none",
        "SETNX a 1",
        "DEL none",
        "TYPE a",
    ] {
        assert_eq!(allocations(&mut store, &table, call), 0, "{call}");
    }
}

fn fields_are_read_without_allocations_and_overwritten_in_tables() {
    let table = Table::new(FAMILIES).unwrap();
    let mut store = Store::new(0, 1);
    allocations(&mut store, &table, "HSET h a 1 b two c 3");
    let long = "x".repeat(65);
    allocations(&mut store, &table, &format!("HSET table a 1 b two long {long}"));
    for call in [
        "HGET h b",
        "HMGET h a b none",
        "HEXISTS h none",
        "HSTRLEN h b",
        "HLEN h",
        "HGETALL h",
        "HGET table b",
        "HSET table a 2 b six",
        "HINCRBY table a 1",
        "HDEL table none",
    ] {
        assert_eq!(allocations(&mut store, &table, call), 0, "{call}");
    }
    // The value inside the key's record is taken out to be changed.
    assert!(allocations(&mut store, &table, "HSET h a 2") <= 1);
}
