//! The keyspace: keys, their records, their deadlines and their watches.
//!
//! A [`Store`] is one part of the data; a [`Keyspace`] is the stores that a command holds, seen as
//! one. Handlers of commands get a `&mut Keyspace` and never know how many stores stand behind it.
//!
//! There are no commands here, no threads, no I/O and no clock: the time is a value in the
//! [`Context`].
#![forbid(unsafe_code)]

mod access;
mod changes;
mod collection;
mod entry;
mod garbage;
mod keyspace;
mod placement;
mod store;
mod string;
mod table;
mod waiters;
mod watches;
mod whole;

pub use access::{Lfu, Usage};
pub use changes::{Change, Changed, Changes};
pub use collection::Updated;
pub use entry::Entry;
pub use kevy_data::{Encoding, Kind, Limits, Record, StringRef, Text};
pub use keyspace::{Context, Expiry, Keyspace, WrongType};
pub use placement::{Key, Placement, hash_tag};
pub use store::{DatabaseFigures, Store, StoreStats};
pub use string::StringMut;
pub use waiters::{Cancelled, Claimed, WaitedKey, Waiter};
