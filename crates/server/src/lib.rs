//! The kevy server: configuration, command line, logging and process, around the engine.
//!
//! | module | is |
//! |---|---|
//! | [`config`] | the directives of `redis.conf`: table, loader, GET, SET, REWRITE |

#![forbid(unsafe_code)]

pub mod config;

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
