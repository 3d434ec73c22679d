//! `cargo xtask test`: every test, with fixed seeds and bounded time.

use crate::process::{cargo, root, run, watch, without};
use anyhow::{Result, bail};
use std::process::Command;
use std::time::Instant;

/// What a run of the test programs said about itself.
#[derive(Default)]
struct Counts {
    programs: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds a line such as `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
        self.programs += 1;
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Installs what is missing, builds the server and runs all tests, or those whose name contains
/// the first of `arguments`.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let started = Instant::now();
    crate::setup::run_all()?;
    run(&mut cargo(&["build", "--profile", "fast", "-p", "kevy"]))?;

    let mut counts = Counts::default();
    let mut crates = cargo(&["test", "--workspace", "--exclude", "kevy-tests", "--no-fail-fast"]);
    let mut servers = cargo(&["test", "-p", "kevy-tests", "--no-fail-fast"]);
    let mut good = true;
    for command in [&mut crates, &mut servers] {
        good &= watch(for_tests(command).args(arguments), |line| counts.add(line))?;
    }

    println!();
    println!(
        "tests: {} passed, {} failed, {} ignored in {} programs, {} s",
        counts.passed,
        counts.failed,
        counts.ignored,
        counts.programs,
        started.elapsed().as_secs()
    );
    for name in without() {
        println!("not run: what needs {name} (left out by KEVY_TEST_WITHOUT)");
    }
    println!(
        "not run: the long runs of `cargo xtask accept`, Valkey's suite (`cargo xtask valkey`)"
    );
    if !good {
        bail!("there are failures");
    }
    Ok(())
}

/// What a test program needs to know: the server to test.
fn for_tests(command: &mut Command) -> &mut Command {
    command.env("KEVY_BIN", root().join("target/fast/kevy"))
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn counts_add_up_over_programs() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        counts
            .add("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!((counts.programs, counts.passed, counts.failed, counts.ignored), (2, 4, 2, 1));
    }
}
