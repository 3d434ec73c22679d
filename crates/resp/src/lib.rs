//! The Redis serialization protocol, versions 2 and 3.
//!
//! - [`Parser`]: commands out of the bytes of a client, as borrowed pieces of the buffer.
//! - [`Output`] and [`Reply`]: what is to be sent to a client, and the writer of replies.
//! - [`decode`]: the client's side, replies out of bytes.
//! - [`number`]: integers and doubles as text.
//!
//! Absent from here: which commands exist, sockets, clocks. Everything transforms bytes.

#![forbid(unsafe_code)]

pub mod decode;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod inline;
pub mod number;
mod output;
mod parser;
mod reply;

pub use error::ProtocolError;
pub use inline::Unquoted;
pub use output::{Mark, Output};
pub use parser::{Limits, Need, Parser, Span, Step};
pub use reply::{Proto, Reply, SHARE_FROM, write_command};

/// Property tests draw the same cases in every run and leave no files behind.
#[cfg(test)]
fn fixed_seed() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
        failure_persistence: None,
        ..Default::default()
    }
}
