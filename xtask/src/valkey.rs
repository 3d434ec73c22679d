//! `cargo xtask valkey`: the listed tests of Valkey's own suite against the release build.
//!
//! The checkout and the runner live outside the repository; `docs/valkey-suite-tests.txt` names
//! the tests that count, those which use only what is there.

use crate::process::{cargo, command, root, run, succeeds};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

const LIST: &str = "docs/valkey-suite-tests.txt";
const REPORT: &str = "target/valkey/report.json";

/// Runs the suite of the checkout given by `--src` with the runner given by `--runner`, on the
/// server given by `KEVY_BIN` or else the release build, and counts. `--only UNIT` runs one unit.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let source = option("--src").context("--src CHECKOUT is missing")?;
    let runner = option("--runner").context("--runner RUN.PY is missing")?;
    let mut listed = listed(&fs::read_to_string(LIST).context(LIST)?)?;
    if let Some(only) = option("--only") {
        listed.retain(|unit, _| *unit == only);
        ensure!(!listed.is_empty(), "no listed test is in {only}");
    }
    ensure!(succeeds(command("tclsh", &[]).arg("/dev/null")), "tclsh is missing: install tcl");
    run_suite(&source, &runner, &listed)?;
    let report = serde_json::from_slice(&fs::read(REPORT)?)?;
    count(&listed, &report)
}

/// Names of the listed tests by unit.
type Listed = BTreeMap<String, BTreeSet<String>>;

fn listed(text: &str) -> Result<Listed> {
    let mut listed = Listed::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (unit, name) = line.split_once('\t').with_context(|| format!("no tab in {line:?}"))?;
        listed.entry(unit.to_owned()).or_default().insert(name.to_owned());
    }
    Ok(listed)
}

fn run_suite(source: &str, runner: &str, listed: &Listed) -> Result<()> {
    let program = match std::env::var_os("KEVY_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            run(&mut cargo(&["build", "--release", "-p", "kevy"]))?;
            root().join("target/release/kevy")
        }
    };
    let start = format!(
        "{} --port {{port}} --dir {{dir}} --save \"\" --enable-debug-command yes --enable-protected-configs yes",
        program.display()
    );
    let units: Vec<&str> = listed.keys().map(String::as_str).collect();
    let mut suite =
        command("python3", &[runner, "--src", source, "--start", &start, "--out", REPORT]);
    suite.args(["--units", &units.join(",")]);
    suite.args(["--cli-bin", "/usr/bin/redis-cli", "--benchmark-bin", "/usr/bin/redis-benchmark"]);
    run(&mut suite)
}

/// Prints how many of the listed tests passed, by unit, and each that did not.
fn count(listed: &Listed, report: &Value) -> Result<()> {
    let (mut passed, mut total) = (0, 0);
    let mut failures = Vec::new();
    for (unit, names) in listed {
        let tests = &report["units"][unit]["tests"];
        let mut good = 0;
        for name in names {
            let test = &tests[name.as_str()];
            if test["status"] == "ok" {
                good += 1;
            } else {
                let status = test["status"].as_str().unwrap_or("not reached");
                let error = test["error"].as_str().unwrap_or_default();
                failures.push(format!("{unit}: {name}: {status} {error}"));
            }
        }
        println!("{unit:<24} {good:>4} of {:>4}", names.len());
        passed += good;
        total += names.len();
    }
    println!("valkey: {passed} of {total} listed tests passed");
    if !failures.is_empty() {
        bail!("{} did not:\n{}", failures.len(), failures.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_and_counted() {
        let list = listed("# head\na\tone\na\ttwo\nb\tthree\n").unwrap();
        assert_eq!(list["a"].len(), 2);
        let report = serde_json::json!({"units": {
            "a": {"tests": {"one": {"status": "ok"}, "two": {"status": "ok"}}},
            "b": {"tests": {"three": {"status": "ok"}}},
        }});
        assert!(count(&list, &report).is_ok());
        let report = serde_json::json!({"units": {"a": {"tests": {"one": {"status": "ok"}}}}});
        let error = count(&list, &report).unwrap_err().to_string();
        assert!(error.starts_with("2 did not"), "{error}");
    }
}
