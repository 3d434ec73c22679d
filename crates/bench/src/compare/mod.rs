//! `kevy-bench compare`: servers side by side under the same loads, alternating within one run.
//!
//! Machines differ and are noisy, so a figure alone says little. What counts is the ratio to
//! another server in the same repetition, and above all to two limits: the *null* server, which
//! answers without a store, and the *control*, as many one-shard servers as shards, which share
//! nothing and have the connections dealt to them.

mod contest;
mod redis_benchmark;
mod single;
mod suites;

use crate::chart;
use crate::grid::Grid;
use crate::machine;
use crate::process;
use crate::servers::Recipe;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A set of scenarios that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// One serving thread on a core of its own.
    OneShard,
    /// Two serving threads, nothing pinned, with the control.
    TwoShard,
    /// Four and eight serving threads, with the control.
    #[value(name = "shards-4-8")]
    ManyShards,
    /// The log, with and without a sync for each reply.
    Durability,
    /// Worst delay seen by another client.
    Stall,
    /// Bytes for each item.
    Memory,
    /// Start, memory and CPU of a server without work.
    Idle,
}

impl Suite {
    fn title(self) -> &'static str {
        match self {
            Self::OneShard => "One shard",
            Self::TwoShard => "Two shards",
            Self::ManyShards => "Four and eight shards",
            Self::Durability => "Durability",
            Self::Stall => "Stalls",
            Self::Memory => "Memory",
            Self::Idle => "Idle",
        }
    }

    fn slug(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Options of `compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// What to compare; several separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "one-shard")]
    suite: Vec<Suite>,
    /// The kevy to measure; left out of the comparison if not given.
    #[arg(long)]
    kevy: Option<PathBuf>,
    /// More options for kevy, in one text.
    #[arg(long, default_value = "")]
    kevy_options: String,
    /// The redis-server to compare with.
    #[arg(long, default_value = "redis-server")]
    redis: String,
    /// Leave redis out.
    #[arg(long)]
    no_redis: bool,
    /// Leave the null server out.
    #[arg(long)]
    no_null: bool,
    /// Another server, as name=command line with {port}, and {shards} if it has threads.
    #[arg(long)]
    server: Vec<Recipe>,
    /// How often each scenario is repeated.
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Measured seconds of each load.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Threads of the load generator where nothing is pinned.
    #[arg(long, default_value_t = 1)]
    generator_threads: usize,
    /// Keys and members of the stall scenarios.
    #[arg(long, default_value_t = 5_000_000)]
    stall_count: u64,
    /// Connections of the idle suite.
    #[arg(long, default_value_t = 10_000)]
    idle_connections: usize,
    /// Only scenarios whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Short and rough: 3 repetitions of half a second, a tenth of the items.
    #[arg(long)]
    quick: bool,
    /// Run redis-benchmark too where it has the scenario.
    #[arg(long)]
    redis_benchmark: bool,
    /// Directory for tables, charts and raw figures.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
}

impl CompareArgs {
    fn repetitions(&self) -> usize {
        if self.quick { 3 } else { self.repetitions.max(1) }
    }

    fn measured(&self) -> Result<Duration> {
        Ok(Duration::try_from_secs_f64(if self.quick { 0.5 } else { self.seconds })?)
    }

    /// A number of items, less of them for a quick run.
    fn items(&self, count: u64) -> u64 {
        if self.quick { count / 10 } else { count }
    }

    fn wants(&self, scenario: &str) -> bool {
        scenario.contains(&self.only)
    }

    fn null(&self) -> Result<Option<Recipe>> {
        if self.no_null {
            return Ok(None);
        }
        let program = std::env::current_exe()?;
        let options = "null --port {port} --threads {shards} --value-size {value}";
        Ok(Some(Recipe::new(NULL, &format!("'{}' {options}", program.display()))))
    }

    fn redis(&self) -> Option<Recipe> {
        let options = format!("--port {{port}} {NO_LOG} --io-threads {{shards}}");
        (!self.no_redis).then(|| Recipe::new(REDIS, &format!("'{}' {options}", self.redis)))
    }

    fn kevy(&self) -> Result<Option<Recipe>> {
        let Some(path) = &self.kevy else {
            return Ok(None);
        };
        let path = path.canonicalize().with_context(|| format!("no {}", path.display()))?;
        let options = format!("--port {{port}} --shards {{shards}} {NO_LOG} {}", self.kevy_options);
        Ok(Some(Recipe::new(KEVY, &format!("'{}' {options}", path.display()))))
    }

    /// `shards` one-shard servers side by side.
    fn control(&self, shards: usize) -> Result<Option<Recipe>> {
        Ok(self.kevy()?.map(|kevy| Recipe {
            name: CONTROL.to_owned(),
            command: kevy.command.replace("{shards}", "1"),
            instances: shards,
        }))
    }

    /// All servers but the control.
    fn servers(&self) -> Result<Vec<Recipe>> {
        let mut servers = Vec::new();
        servers.extend(self.null()?);
        servers.extend(self.redis());
        servers.extend(self.server.iter().cloned());
        servers.extend(self.kevy()?);
        Ok(servers)
    }
}

const KEVY: &str = "kevy";
const REDIS: &str = "redis";
const NULL: &str = "null";
const CONTROL: &str = "control";
/// What the ratios of the tables are to.
const BASES: [&str; 3] = [NULL, REDIS, CONTROL];
/// How a server is told to persist nothing; replaced where it shall.
const NO_LOG: &str = "--save '' --appendonly no";

/// What a suite measured.
struct Findings {
    /// Sentences before the tables.
    notes: Vec<String>,
    grids: Vec<Grid>,
    /// Rows of a chart have scales of their own.
    separate_scales: bool,
}

/// Runs the suites, prints their tables, and writes tables, charts and raw figures.
///
/// # Errors
/// A server cannot be started, or a load cannot be run at all.
pub fn main(args: &CompareArgs) -> Result<()> {
    process::raise_file_limit();
    fs::create_dir_all(&args.out)?;
    let machine = machine_facts(args)?;
    for &suite in &args.suite {
        let findings = match suite {
            Suite::OneShard => suites::one_shard(args)?,
            Suite::TwoShard => suites::two_shard(args)?,
            Suite::ManyShards => suites::many_shards(args)?,
            Suite::Durability => suites::durability(args)?,
            Suite::Stall => single::stall(args)?,
            Suite::Memory => single::memory(args)?,
            Suite::Idle => single::idle(args)?,
        };
        if findings.grids.iter().all(Grid::is_empty) {
            bail!("the suite {} measured nothing", suite.slug());
        }
        let markdown = to_markdown(suite, &findings, &machine);
        println!("{markdown}");
        write_results(&args.out, suite, &findings, &machine, &markdown)?;
    }
    Ok(())
}

fn machine_facts(args: &CompareArgs) -> Result<Vec<(String, String)>> {
    let mut facts: Vec<(String, String)> =
        machine::describe().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for recipe in args.servers()? {
        let version = recipe.program().and_then(|program| machine::version(&program));
        facts.push((recipe.name, version.unwrap_or_else(|| "version unknown".to_owned())));
    }
    Ok(facts)
}

fn to_markdown(suite: Suite, findings: &Findings, machine: &[(String, String)]) -> String {
    let mut text = format!("## {}\n\n", suite.title());
    for note in &findings.notes {
        let _ = writeln!(text, "{note}\n");
    }
    text.push_str(
        "Medians of all repetitions with their extremes; ratios are medians of the ratios \
         within each repetition.\n\n",
    );
    for grid in findings.grids.iter().filter(|grid| !grid.is_empty()) {
        let _ = writeln!(text, "### {}\n\n{}", grid.title, grid.to_markdown(KEVY, &BASES));
        let _ = writeln!(text, "![{}]({})\n", grid.title, chart_name(suite, grid));
    }
    text.push_str("Measured on:\n\n");
    for (name, value) in machine {
        let _ = writeln!(text, "- {name}: {value}");
    }
    text
}

fn chart_name(suite: Suite, grid: &Grid) -> String {
    format!("{}-{}.svg", suite.slug(), grid.slug)
}

fn write_results(
    out: &Path,
    suite: Suite,
    findings: &Findings,
    machine: &[(String, String)],
    markdown: &str,
) -> Result<()> {
    fs::write(out.join(format!("{}.md", suite.slug())), markdown)?;
    for grid in findings.grids.iter().filter(|grid| !grid.is_empty()) {
        let svg = chart::to_svg(grid, findings.separate_scales);
        fs::write(out.join(chart_name(suite, grid)), svg)?;
    }
    let grids: Vec<_> = findings.grids.iter().map(Grid::to_json).collect();
    let raw = json!({ "suite": suite.slug(), "machine": machine, "grids": grids });
    fs::write(out.join(format!("{}.json", suite.slug())), format!("{raw:#}\n"))?;
    Ok(())
}
