//! Loads for servers in turn.

use super::{CompareArgs, NULL, redis_benchmark};
use crate::client::Greeting;
use crate::grid::Grid;
use crate::load::{self, Extent, Outcome, Plan};
use crate::load_command::prefill;
use crate::process;
use crate::servers::{Recipe, Running, Setting};
use crate::workload::{Shape, Workload};
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Not measured at the beginning of each load.
const WARMUP: Duration = Duration::from_millis(300);

/// One load.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) title: String,
    pub(super) mix: &'static str,
    pub(super) pipeline: usize,
    pub(super) clients: usize,
    pub(super) subscribers: usize,
    pub(super) value_size: usize,
    pub(super) keyspace: u64,
    /// Keys of an `MGET`, commands of an `EXEC`.
    pub(super) width: usize,
    /// Instead of a time, so many operations: for what uses up what it was given.
    pub(super) operations: Option<u64>,
}

impl Case {
    pub(super) fn new(title: &str, mix: &'static str, pipeline: usize) -> Self {
        Self {
            title: format!("{title}, pipeline {pipeline}"),
            mix,
            pipeline,
            clients: 50,
            subscribers: 0,
            value_size: 64,
            keyspace: 100_000,
            width: 1,
            operations: None,
        }
    }

    /// The replies of the null server fit only these.
    fn suits_null(&self) -> bool {
        matches!(self.mix, "get" | "set")
    }

    fn shape(&self) -> Shape {
        Shape { value_size: self.value_size, width: self.width }
    }
}

/// Servers that run at the same time and get the same loads.
pub(super) struct Contest {
    pub(super) recipes: Vec<Recipe>,
    pub(super) cases: Vec<Case>,
    pub(super) shards: usize,
    /// The server on the first core and the load on the second.
    pub(super) pinned: bool,
}

/// The quantities that each load yields.
pub(super) struct LoadGrids {
    server_cpu: Grid,
    throughput: Grid,
    median: Grid,
    tail: Grid,
    client_cpu: Grid,
    benchmark_cpu: Grid,
    benchmark_throughput: Grid,
    failures: Vec<String>,
}

impl LoadGrids {
    pub(super) fn new() -> Self {
        let thousands = "thousand operations per second";
        Self {
            server_cpu: Grid::new("Server CPU time", "cpu", "µs per operation"),
            throughput: Grid::new("Throughput", "throughput", thousands),
            median: Grid::new("Latency, median", "p50", "µs"),
            tail: Grid::new("Latency, 99th percentile", "p99", "µs"),
            client_cpu: Grid::new("CPU time of the load generator", "client", "µs per operation"),
            benchmark_cpu: Grid::new(
                "Server CPU time under redis-benchmark",
                "redis-benchmark-cpu",
                "µs per operation",
            ),
            benchmark_throughput: Grid::new(
                "Throughput by redis-benchmark",
                "redis-benchmark-throughput",
                thousands,
            ),
            failures: Vec::new(),
        }
    }

    /// What could not be measured.
    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// A load that did not succeed leaves its cell empty and is told above the tables.
    fn fail(&mut self, case: &Case, server: &Running, error: &anyhow::Error) {
        self.add(&case.title, &server.name, None);
        let load = format!("{}, {}: ", server.name, case.title);
        if !self.failures.iter().any(|failure| failure.starts_with(&load)) {
            let failure = format!("{load}failed: {error:#}.");
            println!("{failure}");
            self.failures.push(failure);
        }
    }

    pub(super) fn into_grids(self) -> Vec<Grid> {
        vec![
            self.server_cpu,
            self.throughput,
            self.median,
            self.tail,
            self.client_cpu,
            self.benchmark_cpu,
            self.benchmark_throughput,
        ]
    }

    fn add(&mut self, case: &str, server: &str, outcome: Option<&Outcome>) {
        let add = |grid: &mut Grid, value: Option<f64>| grid.add(case, server, value);
        add(&mut self.server_cpu, outcome.and_then(Outcome::server_us));
        add(&mut self.throughput, outcome.map(|outcome| outcome.throughput() / 1000.0));
        add(&mut self.median, outcome.map(|outcome| outcome.latency_us(50.0)));
        add(&mut self.tail, outcome.map(|outcome| outcome.latency_us(99.0)));
        add(&mut self.client_cpu, outcome.map(Outcome::client_us));
    }
}

impl Contest {
    /// Runs all cases against all servers, as often as the options say, and adds the results.
    /// The servers take turns within each repetition, beginning with another one each time.
    pub(super) fn run(mut self, args: &CompareArgs, grids: &mut LoadGrids) -> Result<()> {
        self.cases.retain(|case| args.wants(&case.title));
        // Servers are started anew where the size of the values changes, for the null server's
        // replies do.
        for cases in self.cases.chunk_by(|a, b| a.value_size == b.value_size) {
            let servers = self.start(cases[0].value_size)?;
            for repetition in 0..args.repetitions() {
                for case in cases {
                    for turn in 0..servers.len() {
                        let server = &servers[(turn + repetition) % servers.len()];
                        if let Err(error) = self.turn(args, case, server, grids) {
                            grids.fail(case, server, &error);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn cores(&self) -> Result<(Vec<usize>, Vec<usize>)> {
        let allowed = process::allowed_cores()?;
        match allowed.as_slice() {
            [first, second, ..] if self.pinned => Ok((vec![*first], vec![*second])),
            _ => Ok((Vec::new(), Vec::new())),
        }
    }

    fn start(&self, value_size: usize) -> Result<Vec<Running>> {
        let (cores, _) = self.cores()?;
        let setting = Setting { shards: self.shards, value_size, cores };
        self.recipes.iter().map(|recipe| Running::start(recipe, &setting)).collect()
    }

    fn turn(
        &self,
        args: &CompareArgs,
        case: &Case,
        server: &Running,
        grids: &mut LoadGrids,
    ) -> Result<()> {
        let is_null = server.name == NULL;
        if is_null && !case.suits_null() {
            return Ok(());
        }
        let plan = self.plan(args, case, server)?;
        if !is_null {
            reset(&plan, case, server)?;
        }
        let outcome = load::run(&plan)?;
        if let Some(error) = &outcome.first_error {
            bail!("{} error replies, the first: {error}", outcome.errors);
        }
        grids.add(&case.title, &server.name, Some(&outcome));
        if args.redis_benchmark && !is_null {
            // Its grids are its own: a failure must not add to those of the load.
            if let Err(error) = self.run_redis_benchmark(args, case, server, &outcome, grids) {
                println!("{} with {}: {error:#}", case.title, server.name);
            }
        }
        Ok(())
    }

    fn plan(&self, args: &CompareArgs, case: &Case, server: &Running) -> Result<Plan> {
        let (_, cores) = self.cores()?;
        let threads = if cores.is_empty() { args.generator_threads } else { 1 };
        let extent = match case.operations {
            Some(count) => Extent::Operations(count),
            None => Extent::Time { warmup: WARMUP, measured: args.measured()? },
        };
        let workload = Workload::mix(case.mix, case.shape())?;
        let targets = server.targets();
        let first = targets.first().context("a server without processes")?.clone();
        Ok(Plan {
            targets,
            connections: case.clients,
            subscribers: case.subscribers,
            pipeline: case.pipeline,
            threads,
            cores,
            keyspace: case.keyspace,
            server_pids: server.pids(),
            ..Plan::new(first, workload, extent)
        })
    }

    fn run_redis_benchmark(
        &self,
        args: &CompareArgs,
        case: &Case,
        server: &Running,
        outcome: &Outcome,
        grids: &mut LoadGrids,
    ) -> Result<()> {
        let (_, cores) = self.cores()?;
        let seconds = args.measured()?.as_secs_f64();
        let requests = (outcome.throughput() * seconds) as u64;
        if let Some(result) = redis_benchmark::run(case, server, requests, &cores)? {
            grids.benchmark_cpu.add(&case.title, &server.name, Some(result.server_us));
            let thousands = result.per_second / 1000.0;
            grids.benchmark_throughput.add(&case.title, &server.name, Some(thousands));
        }
        Ok(())
    }
}

/// Deletes everything and creates what the case reads. Each of several servers gets all of it.
fn reset(plan: &Plan, case: &Case, server: &Running) -> Result<()> {
    server.command(&["FLUSHALL"])?;
    let plan = Plan { greeting: Greeting::default(), ..plan.clone() };
    prefill(&plan, case.mix, case.shape())
}
