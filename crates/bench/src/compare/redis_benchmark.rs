//! The same load by `redis-benchmark`, with the server's CPU time measured around it.

use super::contest::Case;
use crate::client::Target;
use crate::process;
use crate::servers::Running;
use anyhow::{Context, Result, anyhow, bail};
use std::process::Command;

/// What one run of it yields.
#[derive(Clone, Copy, Debug)]
pub(super) struct BenchmarkResult {
    /// Microseconds of the server's CPU time for each request.
    pub(super) server_us: f64,
    /// Requests per second, as it reports them.
    pub(super) per_second: f64,
}

/// Runs it, if it knows the operation and the server is a single process.
///
/// # Errors
/// It is not installed or fails.
pub(super) fn run(
    case: &Case,
    server: &Running,
    requests: u64,
    cores: &[usize],
) -> Result<Option<BenchmarkResult>> {
    let known = matches!(case.mix, "get" | "set" | "incr" | "lpush" | "lpop" | "hset" | "zadd");
    let targets = server.targets();
    let ([Target::Tcp(host, port)], true) = (targets.as_slice(), known) else {
        return Ok(None);
    };
    let arguments = [
        ("-h", host.clone()),
        ("-p", port.to_string()),
        ("-c", case.clients.to_string()),
        ("-P", case.pipeline.to_string()),
        ("-d", case.value_size.to_string()),
        ("-r", case.keyspace.to_string()),
        ("-n", requests.max(1).to_string()),
        ("-t", case.mix.to_owned()),
    ];
    let mut command = Command::new("redis-benchmark");
    for (option, value) in arguments {
        command.arg(option).arg(value);
    }
    command.args(["-q", "--csv"]);
    let before = server.cpu_ns()?;
    let output = std::thread::scope(|scope| {
        // A child inherits the cores of the thread that starts it.
        let runner = scope.spawn(|| -> Result<_> {
            if !cores.is_empty() {
                process::pin(cores)?;
            }
            command.output().context("cannot run redis-benchmark")
        });
        runner.join().map_err(|_| anyhow!("running redis-benchmark panicked"))?
    })?;
    let used = server.cpu_ns()?.saturating_sub(before);
    if !output.status.success() {
        bail!("redis-benchmark failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let per_second = requests_per_second(&String::from_utf8_lossy(&output.stdout))?;
    let server_us = used as f64 / 1000.0 / requests.max(1) as f64;
    Ok(Some(BenchmarkResult { server_us, per_second }))
}

/// The second field of the last line: `"GET","123456.78",…`.
fn requests_per_second(csv: &str) -> Result<f64> {
    let line = csv.lines().rev().find(|line| line.starts_with('"')).unwrap_or_default();
    let field = line.split(',').nth(1).unwrap_or_default();
    field.trim_matches('"').parse().with_context(|| format!("not a result: {csv}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_csv_of_redis_benchmark() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"GET\",\"98039.22\",\"0.268\"\n";
        assert_eq!(requests_per_second(csv).unwrap(), 98039.22);
        assert!(requests_per_second("").is_err());
        assert!(requests_per_second("\"test\",\"rps\"\n").is_err());
    }
}
