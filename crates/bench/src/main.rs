//! The command line of the benchmarks.

#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use kevy_bench::{compare, idle, load_command, memory, null, stall};
use std::process::ExitCode;

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
    /// Answer with fixed replies, without a store: the limit for every server.
    Null(null::NullArgs),
    /// Measure the worst delay that another client sees while a server is busy.
    Stall(stall::StallArgs),
    /// Measure the memory that each stored item takes.
    Memory(memory::MemoryArgs),
    /// Measure what a server costs while nobody asks it anything.
    Idle(idle::IdleArgs),
    /// Run the same loads against several servers in turn and compare.
    Compare(Box<compare::CompareArgs>),
}

#[expect(clippy::print_stderr, reason = "the place of errors")]
fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kevy-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Load(args) => load_command::main(&args),
        Command::Null(args) => null::main(&args),
        Command::Stall(args) => stall::main(&args),
        Command::Memory(args) => memory::main(&args),
        Command::Idle(args) => idle::main(&args),
        Command::Compare(args) => compare::main(&args),
    }
}
