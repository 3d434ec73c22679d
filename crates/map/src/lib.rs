//! `KevyMap`: a hash table for millions of small entries that never stops the world.
//!
//! ```
//! use kevy_map::{KevyMap, hash};
//!
//! let mut map: KevyMap<Box<(String, u32)>> = KevyMap::new();
//! let of = |entry: &Box<(String, u32)>| hash(entry.0.as_bytes());
//! map.insert_unique(hash(b"one"), Box::new(("one".into(), 1)), of);
//! assert_eq!(map.find(hash(b"one"), |e| e.0 == "one").map(|e| e.1), Some(1));
//! assert!(map.remove(hash(b"two"), |e| e.0 == "two").is_none());
//! ```
//!
//! Like `hashbrown::HashTable` it is given hashes and equality by the caller. Unlike it:
//!
//! - It grows and shrinks one *segment* of at most 1,344 slots at a time (extendible hashing), so
//!   no call but the rare copy of the directory (24 bytes for some 600 elements) takes longer than
//!   some tens of microseconds, whatever the size.
//! - It is ordered by hash, so a scan cursor is a position in hash space, which survives growth and
//!   shrinking: what is in the table throughout a scan is reported, hardly ever twice.
//! - An 8-byte element takes 13 to 13.4 bytes at any count from some ten thousand, and below 17
//!   from a hundred.
//! - A walk visits every segment once, while writers go on; they hand over a segment's old state
//!   before they change it. That is what a snapshot without `fork` needs.
//!
//! Where things are: `geometry` (positions, sizes, limits), `bucket` (one cache line), `segment`
//! (a run of buckets), `directory` (positions to segments), `map` (the operations), `growth`
//! (when and how segments change size), `entry`, `scan`, `walk`, `hash`, `prefetch`.
//!
//! Deliberately absent: keys and values (an element is a `T`), time, threads, I/O. `unsafe` is in
//! `bucket`, `segment`, `directory` and `prefetch` only.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "slots are uninitialised memory where their tag says so")]
mod bucket;
#[expect(unsafe_code, reason = "neighbouring slots name the same segment")]
mod directory;
mod entry;
mod geometry;
mod growth;
mod hash;
mod map;
#[expect(unsafe_code, reason = "a processor's hint has no safe form")]
mod prefetch;
mod scan;
#[expect(unsafe_code, reason = "buckets are also reached through the directory")]
mod segment;
mod walk;

pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use hash::{hash, set_seed};
pub use map::KevyMap;
pub use prefetch::prefetch_read;
