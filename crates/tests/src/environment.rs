//! What a test run is given from outside: the server to test, budgets, and what the machine lacks.
//!
//! | variable | meaning | otherwise |
//! |---|---|---|
//! | `KEVY_BIN` | the server to test | the newest of `target/{release,fast,debug}/kevy` |
//! | `KEVY_ORACLE` | the redis-server to compare with | `redis-server` of the path |
//! | `KEVY_TEST_SEED` | seed of everything random | 1 |
//! | `KEVY_TEST_OPS` | commands of each differential run | 6000 |
//! | `KEVY_TEST_SECONDS` | length of each concurrent run | 2 |
//! | `KEVY_TEST_WITHOUT` | names of what the machine lacks | nothing |

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Something that a test needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Debian's redis-server and redis-cli.
    RedisServer,
    /// A kernel and a sandbox that allow io_uring.
    IoUring,
    /// The loopback address of IPv6.
    Ipv6,
    /// Python with redis-py.
    RedisPy,
    /// Node with ioredis.
    Ioredis,
}

impl Need {
    /// The name in `KEVY_TEST_WITHOUT`.
    pub fn name(self) -> &'static str {
        match self {
            Need::RedisServer => "redis-server",
            Need::IoUring => "io_uring",
            Need::Ipv6 => "ipv6",
            Need::RedisPy => "redis-py",
            Need::Ioredis => "ioredis",
        }
    }

    /// Whether a test with this need is to run. It is left out only by name, so that a machine
    /// that lacks something unnoticed fails.
    pub fn wanted(self) -> bool {
        let without = std::env::var("KEVY_TEST_WITHOUT").unwrap_or_default();
        !without.split(',').any(|name| name.trim() == self.name())
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// A file of `crates/tests/assets`.
pub fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

/// Seed of everything random.
pub fn seed() -> u64 {
    number("KEVY_TEST_SEED").unwrap_or(1)
}

/// Commands of each differential run.
pub fn operations() -> usize {
    number("KEVY_TEST_OPS").and_then(|n| usize::try_from(n).ok()).unwrap_or(6000)
}

/// Length of each concurrent run.
pub fn duration() -> Duration {
    Duration::from_secs(number("KEVY_TEST_SECONDS").unwrap_or(2))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A server program and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is kevy: only then may our own directives be given.
    pub is_kevy: bool,
}

impl Program {
    /// The server to test.
    pub fn under_test() -> Result<Program> {
        Program::at(match std::env::var_os("KEVY_BIN") {
            Some(path) => path.into(),
            None => {
                newest_build().context("no server built: run `cargo xtask test` or set KEVY_BIN")?
            }
        })
    }

    /// The redis-server whose behaviour counts.
    pub fn oracle() -> Result<Program> {
        Program::at(std::env::var_os("KEVY_ORACLE").unwrap_or_else(|| "redis-server".into()).into())
    }

    fn at(path: PathBuf) -> Result<Program> {
        let version = Command::new(&path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", path.display()))?;
        let is_kevy = String::from_utf8_lossy(&version.stdout).contains("kevy");
        Ok(Program { path, is_kevy })
    }
}

fn newest_build() -> Option<PathBuf> {
    let built = ["release", "fast", "debug"].iter().filter_map(|profile| {
        let path = root().join("target").join(profile).join("kevy");
        Some((path.metadata().ok()?.modified().ok()?, path))
    });
    built.max().map(|(_, path)| path)
}
