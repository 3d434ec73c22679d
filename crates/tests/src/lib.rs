//! Black-box tests of the server. Nothing here depends on a crate of the server: what is tested is
//! the program, through its sockets, with redis-server as the oracle.

#![forbid(unsafe_code)]

pub mod client;
pub mod commands;
pub mod differences;
pub mod differential;
pub mod environment;
pub mod grammar;
pub mod history;
pub mod invariants;
pub mod payloads;
pub mod server;
pub mod value;
pub mod workload;
