//! Long runs by hand: the suites of this package with more commands, more time and other seeds.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line tool reports on standard output")]

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use kevy_tests::differential::{Pair, minimal, steps};
use kevy_tests::environment::Program;
use kevy_tests::invariants::INVARIANTS;
use kevy_tests::server::{Layout, Server};
use kevy_tests::workload::appends;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Black-box runs against the server in KEVY_BIN, by hand")]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// Random commands to kevy and to redis-server, compared
    Differential {
        /// Commands of each run
        #[arg(long, default_value_t = 100_000)]
        ops: usize,
        /// Seed of the commands
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Numbers of shards to run with
        #[arg(long, value_delimiter = ',', default_value = "1,2,4")]
        shards: Vec<u32>,
        /// Seconds to look for a shorter way to a difference
        #[arg(long, default_value_t = 60)]
        shrink: u64,
        /// Show how often each command ran and was refused
        #[arg(long)]
        coverage: bool,
    },
    /// Concurrent clients; histories checked for strict serializability, invariants watched
    Serializability {
        /// Length of each run
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// Seed of what the clients do
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Numbers of shards to run with
        #[arg(long, value_delimiter = ',', default_value = "2,4")]
        shards: Vec<u32>,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().suite {
        Suite::Differential { ops, seed, shards, shrink, coverage } => {
            differential(ops, seed, &shards, Duration::from_secs(shrink), coverage)
        }
        Suite::Serializability { seconds, seed, shards } => {
            serializability(Duration::from_secs(seconds), seed, &shards)
        }
    }
}

fn differential(
    ops: usize,
    seed: u64,
    shards: &[u32],
    shrink: Duration,
    coverage: bool,
) -> Result<()> {
    let program = Program::under_test()?;
    let mut differing = 0;
    for layout in Layout::all(shards) {
        for pipelined in [false, true] {
            let started = Instant::now();
            let ours = Server::start(&program, layout, &[])?;
            let theirs = Server::oracle(&[])?;
            let mut pair = Pair::connect(&ours, &theirs, program.is_kevy)?;
            let steps = steps(seed, ops, pipelined)?;
            let found = pair.run(&steps)?;
            let result = if found.is_some() { "DIFFERENT" } else { "same" };
            let way = if pipelined { "pipelined" } else { "one by one" };
            println!(
                "{} shards, {}, {way}, {} commands, seed {seed}: {result}, {} s",
                layout.shards,
                layout.backend.name(),
                steps.len(),
                started.elapsed().as_secs()
            );
            if coverage {
                println!("{}", theirs.client()?.words("INFO commandstats")?.text());
            }
            if let Some(found) = found {
                differing += 1;
                println!("{}", minimal(&mut pair, &steps, found, shrink)?);
            }
        }
    }
    if differing > 0 {
        bail!("{differing} runs found a difference");
    }
    Ok(())
}

fn serializability(duration: Duration, seed: u64, shards: &[u32]) -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(shards) {
        let server = Server::start(&program, layout, &[])?;
        let head = format!("{} shards, {}", layout.shards, layout.backend.name());
        let summary = appends(&[server.address()], duration, seed)?;
        println!(
            "{head}: {} histories with {} transactions are strictly serializable",
            summary.rounds, summary.transactions
        );
        for invariant in INVARIANTS {
            let turns = invariant.hold(server.address(), duration / 4, seed)?;
            println!("{head}: {} ({turns} turns)", invariant.name);
        }
    }
    Ok(())
}
