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

#![forbid(unsafe_code)]

pub mod apply;
pub mod boot;
pub mod cli;
pub mod config;
pub mod logging;
pub mod process;

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
