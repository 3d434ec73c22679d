//! The simulation can fail: faults are seen, and a seed repeats its run.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use kevy_sim::{Mutant, Options, simulate};

/// How many of the first `seeds` runs with a fault are objected to, and the first objection.
fn objections(mutant: Mutant, seeds: u64) -> (usize, String) {
    let options = Options { mutant, ..Options::default() };
    let failures = (0..seeds).filter_map(|seed| simulate(seed, options).err());
    let failures: Vec<String> = failures.map(|failure| failure.what).collect();
    (failures.len(), failures.into_iter().next().unwrap_or_default())
}

#[test]
fn several_stores_taken_one_after_the_other_are_seen() {
    let (count, first) = objections(Mutant::KeyByKey, 60);
    assert!(count > 10, "{count} of 60 runs were objected to: {first}");
}

#[test]
fn writes_out_of_order_are_seen() {
    let (count, first) = objections(Mutant::Unordered, 400);
    assert!(count > 0, "no run was objected to: {first}");
    assert!(first.contains("order") || first.contains("without"), "{first}");
}

#[test]
fn a_seed_repeats_its_run() {
    let run = |seed| simulate(seed, Options::default());
    for seed in 0..40 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1).unwrap().trace, run(2).unwrap().trace);
}
