//! Runs of many seeds. `KEVY_SIM_SEEDS=n` makes n of them, `KEVY_SIM_SEED=n` repeats one.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use kevy_sim::{Options, simulate};
use std::thread;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs every `step`-th seed from `first` on; the first objection, in words.
fn run(first: u64, step: u64, end: u64) -> Option<String> {
    let seeds = (first..end).step_by(step as usize);
    let mut failures = seeds.filter_map(|seed| simulate(seed, Options::default()).err());
    failures.next().map(|failure| failure.to_string())
}

#[test]
fn every_seed_satisfies_all_checkers() {
    let (first, end) = match (number("KEVY_SIM_SEED"), number("KEVY_SIM_SEEDS")) {
        (Some(seed), _) => (seed, seed + 1),
        (None, count) => (0, count.unwrap_or(2_000)),
    };
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let failures: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|at| scope.spawn(move || run(first + at, threads, end))).collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("no panic")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
