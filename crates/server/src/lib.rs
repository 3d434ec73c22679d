//! The kevy server: configuration, command line, logging and process, around the engine.
//!
//! | module | is |
//! |---|---|
//! | [`config`] | the directives of `redis.conf`: table, loader, GET, SET, REWRITE |
//! | [`cli`] | the command line of redis-server |
//! | [`logging`] | log lines as redis-server writes them |
//! | [`process`] | daemon, process id file, signals, supervision, limits |
//! | [`apply`] | changed directives taking effect on the process |
//! | [`boot`] | all of these in the order in which a server starts and ends |
//! | [`engine`] | the server's own state: configuration in force, statistics, memory |
//! | [`serve`] | engine, shards and runtime: building them, running, ending |
//! | [`commands`] | the commands of the server: `INFO`, `CONFIG`, `CLIENT`, `DEBUG`… |
//! | [`stats`], [`ticks`], [`machine`] | what `INFO` tells, and where it comes from |

#![forbid(unsafe_code)]

pub mod apply;
pub mod boot;
pub mod cli;
pub mod commands;
pub mod config;
pub mod engine;
pub mod logging;
pub mod machine;
pub mod process;
pub mod serve;
pub mod stats;
pub mod ticks;

/// The configuration of property tests: the same cases in every run.
#[cfg(test)]
pub(crate) fn test_config(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
        ..Default::default()
    }
}
