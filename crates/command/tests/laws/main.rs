//! The laws of the table, the transcripts, and the comparison with redis-server.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod exchange;
mod generate;
mod laws;
mod machine;
mod oracle;
mod render;
mod transcript;
