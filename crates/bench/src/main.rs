//! The command line of the benchmarks.

#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use kevy_bench::load_command;

/// Measures servers that speak the Redis protocol.
#[derive(Parser)]
#[command(name = "kevy-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send a load to a server and report throughput, latency and CPU time.
    Load(Box<load_command::LoadArgs>),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Load(args) => load_command::main(&args),
    }
}
