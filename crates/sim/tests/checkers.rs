//! The simulation can fail: faults are seen, and a seed repeats its run.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]

use kevy_sim::{Mutant, Options, simulate};

/// The first objection to runs with a fault, within so many seeds.
fn objection(mutant: Mutant, seeds: u64) -> String {
    let options = Options { mutant, ..Options::default() };
    let mut failures = (0..seeds).filter_map(|seed| simulate(seed, options).err());
    let Some(failure) = failures.next() else { panic!("{mutant:?} is not seen") };
    failure.what
}

#[test]
fn several_stores_taken_one_after_the_other_are_seen() {
    objection(Mutant::KeyByKey, 100);
}

#[test]
fn writes_out_of_order_are_seen() {
    let first = objection(Mutant::Unordered, 2_000);
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
