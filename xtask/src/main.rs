//! The repository's own commands, run as `cargo xtask <command>`.
//!
//! - `setup`: installs what the tests need beyond the Rust toolchain.
//! - `test`: `setup`, then every test with fixed seeds and bounded time.
//! - `accept`: the long runs that are done by hand before a release.
//! - `valkey`: the listed tests of Valkey's own suite against the release build.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line tool reports on standard output")]

mod accept;
mod process;
mod setup;
mod test;
mod valkey;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask setup
       cargo xtask test [FILTER]
       cargo xtask accept [differential|serializability|robustness]...
       cargo xtask valkey --src CHECKOUT --runner RUN.PY";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else {
        bail!("{USAGE}");
    };
    std::env::set_current_dir(process::root())?;
    match command.as_str() {
        "setup" => setup::run_all(),
        "test" => test::run_all(rest),
        "accept" => accept::run_all(rest),
        "valkey" => valkey::run_all(rest),
        other => bail!("unknown command {other:?}\n{USAGE}"),
    }
}
