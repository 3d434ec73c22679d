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
    Differential(Differential),
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

#[derive(clap::Args)]
struct Differential {
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
    /// Go on after differing replies and list them at the end
    #[arg(long)]
    keep_going: bool,
}

fn main() -> Result<()> {
    match Arguments::parse().suite {
        Suite::Differential(options) => options.run_all(),
        Suite::Serializability { seconds, seed, shards } => {
            serializability(Duration::from_secs(seconds), seed, &shards)
        }
    }
}

impl Differential {
    fn run_all(&self) -> Result<()> {
        let program = Program::under_test()?;
        let mut differing = 0;
        for layout in Layout::all(&self.shards) {
            for pipelined in [false, true] {
                differing += usize::from(!self.run(&program, layout, pipelined)?);
            }
        }
        if differing > 0 {
            bail!("{differing} runs found a difference");
        }
        Ok(())
    }

    /// Whether the two servers answered alike.
    fn run(&self, program: &Program, layout: Layout, pipelined: bool) -> Result<bool> {
        let started = Instant::now();
        let ours = Server::start(program, layout, &[])?;
        let theirs = Server::oracle(&[])?;
        let mut pair = Pair::connect(&ours, &theirs, program.is_kevy)?;
        if self.keep_going {
            pair.keep_going();
        }
        let steps = steps(self.seed, self.ops, pipelined)?;
        let found = pair.run(&steps)?;
        let same = found.is_none() && pair.collected().next().is_none();
        println!(
            "{} shards, {}, {}, {} commands, seed {}: {}, {} s",
            layout.shards,
            layout.backend.name(),
            if pipelined { "pipelined" } else { "one by one" },
            steps.len(),
            self.seed,
            if same { "same" } else { "DIFFERENT" },
            started.elapsed().as_secs()
        );
        if self.coverage {
            println!("{}", theirs.client()?.words("INFO commandstats")?.text());
        }
        pair.collected().for_each(|difference| println!("{difference}\n"));
        if let Some(found) = found {
            println!("{}", minimal(&mut pair, &steps, found, Duration::from_secs(self.shrink))?);
        }
        Ok(same)
    }
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
