//! What a command is: a row that says everything about it and a function that does it.
//!
//! The runtime routes, gates, logs and counts by what the [`Row`] says; nothing else in the
//! program mentions a command by its name. A handler sees a [`kevy_keyspace::Keyspace`] that
//! holds its keys, reads its arguments through [`Args`], writes its answer into a [`Reply`] and
//! returns an [`Effect`]. It knows of no shard, no socket and no clock.
#![forbid(unsafe_code)]

pub mod args;
pub mod bitmap;
pub mod blocking;
pub mod call;
pub mod commands;
pub mod connection;
mod deadline;
pub mod docs;
pub mod effect;
pub mod error;
pub mod families;
pub mod generic;
pub mod geo;
pub mod glob;
pub mod hashes;
pub mod hyperloglog;
mod lcs;
pub mod list;
pub mod lists;
pub mod row;
pub mod server;
pub mod session;
pub mod sets;
pub mod sorted_sets;
pub mod streams;
pub mod string;
pub mod syntax;
pub mod table;
pub mod transactions;
pub mod walk;

pub use args::{Args, PlacedKey};
pub use blocking::{Attempt, Wait};
pub use call::{Outcome, attempt, call, call_session};
pub use effect::{Effect, Event, EventClass, EventKey, Logged};
pub use error::Error;
pub use families::FAMILIES;
pub use list::CommandList;
pub use row::{After, Call, Categories, Doc, Flags, Group, KeyFlags, KeySpec, Row, Run};
pub use session::{Client, ClientFlags, Multi, Names, Permit, ReplyMode, Session, Settings};
pub use table::{CommandId, Found, Table};

/// Where replies are gathered; large values are referred to, not copied.
pub type Output = kevy_resp::Output<kevy_data::Blob>;

/// Writes one reply.
pub type Reply<'a> = kevy_resp::Reply<'a, kevy_data::Blob>;

#[cfg(test)]
mod test {
    /// A reproducible run of so many cases.
    pub(crate) fn config(cases: u32) -> proptest::test_runner::Config {
        proptest::test_runner::Config {
            cases,
            rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
            failure_persistence: None,
            ..proptest::test_runner::Config::default()
        }
    }
}
