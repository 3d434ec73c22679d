//! What a command is: a row that says everything about it and a function that does it.
//!
//! The runtime routes, gates, logs and counts by what the [`Row`] says; nothing else in the
//! program mentions a command by its name. A handler sees a [`kevy_keyspace::Keyspace`] that
//! holds its keys, reads its arguments through [`Args`], writes its answer into a [`Reply`] and
//! returns an [`Effect`]. It knows of no shard, no socket and no clock.
#![forbid(unsafe_code)]

pub mod args;
pub mod effect;
pub mod error;
pub mod list;
pub mod row;
pub mod session;
pub mod table;

pub use args::{Args, PlacedKey};
pub use effect::{Effect, Event, EventClass, EventKey, Logged};
pub use error::Error;
pub use list::CommandList;
pub use row::{After, Call, Categories, Doc, Flags, Group, KeyFlags, KeySpec, Row, Run};
pub use session::{Client, Multi, Session, Settings};
pub use table::{CommandId, Found, Table};

/// Where replies are gathered; large values are referred to, not copied.
pub type Output = kevy_resp::Output<kevy_data::Blob>;

/// Writes one reply.
pub type Reply<'a> = kevy_resp::Reply<'a, kevy_data::Blob>;
