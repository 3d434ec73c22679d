//! `cargo xtask accept`: the long runs that are done by hand before a release, on the release build.

use crate::process::{cargo, root, run};
use anyhow::{Result, bail};

const SUITES: &[&str] = &["differential", "serializability", "simulation", "robustness"];

/// Runs the named suites, or all.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    if let Some(unknown) = arguments.iter().find(|name| !SUITES.contains(&name.as_str())) {
        bail!("unknown suite {unknown:?}; there are {}", SUITES.join(", "));
    }
    crate::setup::run_all()?;
    run(&mut cargo(&["build", "--release", "-p", "kevy", "-p", "kevy-tests"]))?;
    for suite in SUITES {
        if arguments.is_empty() || arguments.iter().any(|name| name == suite) {
            accept(suite)?;
        }
    }
    Ok(())
}

fn accept(suite: &str) -> Result<()> {
    let mut command = match suite {
        "differential" => cargo(&[
            "run",
            "--release",
            "-p",
            "kevy-tests",
            "--",
            "differential",
            "--ops",
            "100000",
        ]),
        "serializability" => cargo(&[
            "run",
            "--release",
            "-p",
            "kevy-tests",
            "--",
            "serializability",
            "--seconds",
            "30",
        ]),
        "simulation" => cargo(&["run", "--release", "-p", "kevy-sim", "--", "1", "20000"]),
        _ => cargo(&["test", "--release", "-p", "kevy-tests"]),
    };
    run(command.env("KEVY_BIN", root().join("target/release/kevy")))
}
