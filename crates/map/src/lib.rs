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
//! - It grows and shrinks one *segment* of about 1,300 slots at a time (extendible hashing), so
//!   no call takes longer than some tens of microseconds, whatever the size.
//! - It is ordered by hash, so a scan cursor is a position in hash space, which survives growth and
//!   shrinking: what is in the table throughout a scan is reported, hardly ever twice.
//! - It takes 11 to 14 bytes for an 8-byte element at any count.
//! - A walk visits every segment once, while writers go on; they hand over a segment's old state
//!   before they change it. That is what a snapshot without `fork` needs.
//!
//! Where things are: `geometry` (positions, sizes, limits), `bucket` (one cache line), `segment`
//! (a run of buckets), `directory` (positions to segments), `map` (the operations), `growth`
//! (when and how segments change size), `entry`, `scan`, `walk`, `hash`, `prefetch`.
//!
//! Deliberately absent: keys and values (an element is a `T`), time, threads, I/O. `unsafe` is in
//! `bucket`, `segment`, `directory` and `prefetch` only.

mod bucket;
mod directory;
mod entry;
mod geometry;
mod growth;
mod hash;
mod map;
mod prefetch;
mod scan;
mod segment;
mod walk;

pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use hash::{hash, set_seed};
pub use map::KevyMap;
pub use prefetch::prefetch_read;
