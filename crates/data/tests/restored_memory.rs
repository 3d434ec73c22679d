//! What restoring takes from the allocator is bounded by what was sent.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use kevy_data::dump::{Format, Reader, Version, Writer, read, write};
use kevy_data::{Hash, Item, Limits, List, NodeLimit, Random, Record, Set, Side, SortedSet, Text};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated in all for each byte sent: elements of one byte become allocations of their
/// own, and compressed bytes stand for 88 times as many, which are then copied to where they stay.
const FOR_EACH_BYTE: usize = 600;
/// What small values take all the same, and the harness's own thread meanwhile.
const ROOM: usize = 128 << 10;

fn check(contents: &[u8], limits: &Limits) {
    let region = Region::new(ALLOCATOR);
    let record = read(b"key", &mut Reader::new(contents), limits);
    let change = region.change();
    drop(record);
    let allocated = change.bytes_allocated + change.bytes_reallocated.max(0) as usize;
    let allowed = ROOM + FOR_EACH_BYTE * contents.len();
    assert!(allocated <= allowed, "{allocated} bytes for {}", contents.escape_ascii());
}

fn values() -> Vec<Vec<u8>> {
    let limits =
        &Limits { set_max_intset_entries: 4, hash_max_listpack_entries: 4, ..Limits::DEFAULT };
    let (mut list, mut set, mut hash) = (List::default(), Set::default(), Hash::default());
    let mut scores = SortedSet::default();
    for number in 0..40 {
        let text = format!("{number}{}", "abc".repeat(number % 30));
        let text = text.as_bytes();
        list.push(Side::Right, Text::Bytes(text), NodeLimit::new(7));
        set.insert(Item::of(text), limits);
        hash.set(text, Text::Bytes(text), false, limits.into());
        hash.set_deadline(text, Some(1000 + number as i64));
        scores.update(text, limits, |_| Some(number as f64));
    }
    let records = [
        Record::new(b"key", Text::Bytes(&[b'a'; 3000]), None),
        Record::of(b"key", list, None),
        Record::of(b"key", set, None),
        Record::of(b"key", hash, None),
        Record::of(b"key", scores, None),
    ];
    let format = Format { version: Some(Version::V12), compress: true };
    let contents = records.iter().map(|record| {
        let mut out = Vec::new();
        write(record, &mut Writer::new(&mut out, format));
        out
    });
    contents.collect()
}

/// One test function: those on other threads would be counted too.
#[test]
fn nothing_is_allocated_for_promises() {
    let mut random = Random::new(7);
    let limits = Limits::DEFAULT;
    // A length of 2^62, 2^32 - 1 or 2^30 behind every code.
    let lengths: [&[u8]; 3] =
        [b"\x81\x40\0\0\0\0\0\0\0", b"\x80\xff\xff\xff\xff", b"\xc3\x05\x80\x40\0\0\0"];
    for code in 0..=26 {
        for length in lengths {
            check(&[&[code], length].concat(), &limits);
            check(&[&[code], length, &[0; 40]].concat(), &limits);
            check(&[&[code, 1, 2, 3, 4, 5, 6, 7, 8], length, &[1; 40]].concat(), &limits);
        }
    }
    for value in values() {
        check(&value, &limits);
        for _ in 0..400 {
            let mut damaged = value.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(damaged.len());
                damaged[at] = random.bits() as u8;
            }
            check(&damaged, &limits);
        }
    }
}
