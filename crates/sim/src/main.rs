//! Runs of the simulation by hand, for as long as one likes.
#![forbid(unsafe_code)]

use kevy_sim::{Options, simulate};
use std::process::ExitCode;

const USAGE: &str = "usage: kevy-sim [--trace] FIRST [COUNT]   (COUNT 0: until one fails)";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let before = words.len();
    words.retain(|word| word != "--trace");
    let options = Options { trace: words.len() < before, ..Options::default() };
    let numbers: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let (first, count) = match numbers[..] {
        [first] => (first, 1),
        [first, 0] => (first, u64::MAX - first),
        [first, count] => (first, count),
        _ => return fail(USAGE),
    };
    for seed in first..first + count {
        match simulate(seed, options) {
            Ok(report) if count == 1 => say(&format!("{report:?}")),
            Ok(_) if (seed - first) % 1_000 == 999 => say(&format!("{} seeds", seed - first + 1)),
            Ok(_) => {}
            Err(failure) => return fail(&failure.to_string()),
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "this is what the program is for")]
fn fail(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}
