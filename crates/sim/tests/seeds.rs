//! Runs of many seeds. `KEVY_SIM_SEEDS=n` makes n of them, `KEVY_SIM_SEED=n` repeats one.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use kevy_sim::{Options, simulate};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn every_seed_satisfies_all_checkers() {
    let seeds = match (number("KEVY_SIM_SEED"), number("KEVY_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(2_000),
    };
    for seed in seeds {
        if let Err(failure) = simulate(seed, Options::default()) {
            panic!("{failure}");
        }
    }
}
