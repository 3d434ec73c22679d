//! Measures servers that speak the Redis protocol: a load generator, a null server as the limit,
//! and comparisons of several servers in one run.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line tool prints its results")]

pub mod chart;
pub mod client;
pub mod compare;
pub mod grid;
pub mod idle;
pub mod keys;
pub mod load;
pub mod load_command;
pub mod machine;
pub mod memory;
pub mod null;
pub mod process;
pub mod scan;
pub mod servers;
pub mod stall;
pub mod template;
pub mod workload;
