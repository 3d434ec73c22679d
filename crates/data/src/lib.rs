//! The value types of kevy and their representation in memory.
//!
//! A [`Record`] is a key with its value in one heap block; a [`Blob`] is the shared body of a large
//! string; [`number`] reads and writes numbers by Redis' rules. There is no time here (deadlines
//! are plain numbers) and nothing that finds a key: tables and stores are elsewhere.

pub mod bits;
mod blob;
mod block;
mod class;
pub mod dump;
mod expiry;
mod float;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod geohash;
mod hash;
pub mod hyperloglog;
pub mod intset;
mod limits;
mod list;
pub mod number;
pub mod packed;
mod random;
mod record;
mod set;
pub mod sorted_set;
pub mod stream;
mod text;
mod thin;
mod value;
mod walk;

pub use blob::{Blob, BlobBuilder, OutOfMemory};
pub use class::allocated;
pub use expiry::{Due, ExpiryIndex};
pub use hash::{Field, Fields, Hash, HashLimits, HashRef};
pub use intset::{IntSet, IntSetRef};
pub use limits::Limits;
pub use list::{List, ListIter, ListNode, ListRef, NodeLimit, Side};
pub use packed::{Item, Packed, PackedRef};
pub use random::{Random, Selection, choose};
pub use record::{Encoding, Kind, Record};
pub use set::{Set, SetIter, SetRef};
pub use sorted_set::{SortedSet, SortedSetRef};
pub use stream::Stream;
pub use text::{IntBuffer, StringRef, Text};
pub use thin::ThinBytes;
pub use value::{Change, Collection, Held, Value};
pub use walk::walk;
