//! `kevy-bench load`: options and results of a single load.

use crate::client::{Client, Greeting, Target};
use crate::keys::Distribution;
use crate::load::{self, Extent, Outcome, Plan};
use crate::workload::{self, Shape, Workload};
use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `load`; the short ones are those of `redis-benchmark`.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct LoadArgs {
    /// Host of the server.
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,
    /// Port; several ports share the connections between as many servers.
    #[arg(short, long, default_value = "6379", value_delimiter = ',')]
    port: Vec<u16>,
    /// Unix socket, instead of host and port.
    #[arg(short, long)]
    socket: Option<PathBuf>,
    /// Connections.
    #[arg(short, long, default_value_t = 50)]
    clients: usize,
    /// Connections that subscribe to the channel that `publish` sends to.
    #[arg(long, default_value_t = 0)]
    subscribers: usize,
    /// Stop after so many operations and measure all of them.
    #[arg(short = 'n', long, conflicts_with_all = ["seconds", "warmup"])]
    requests: Option<u64>,
    /// Measured time in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before the measured time.
    #[arg(long, default_value_t = 0.3)]
    warmup: f64,
    /// Operations of one connection sent together; with --rate, in flight at most.
    #[arg(short = 'P', long, default_value_t = 1)]
    pipeline: usize,
    /// Bytes of a value.
    #[arg(short = 'd', long, default_value_t = 64)]
    value_size: usize,
    /// Number of different keys.
    #[arg(short = 'r', long, default_value_t = 100_000)]
    keyspace: u64,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Cores for the threads, in turn.
    #[arg(long, value_delimiter = ',')]
    cores: Vec<usize>,
    /// Operations with shares, for example get=80,set=20. Known: ping get set setseq incr mget
    /// mset exec lpush rpush lpop rpop lrange100 sadd spop hset hget zadd zscore zpopmin publish
    /// xadd.
    #[arg(short = 't', long, default_value = "get=80,set=20")]
    mix: String,
    /// Send this command instead, for example 'SET key:{key} {value}'; several make one
    /// operation. Placeholders: {key} {rand} {seq} {value} {value:N}.
    #[arg(long, conflicts_with = "mix")]
    command: Vec<String>,
    /// Keys of an MGET or MSET, commands of an EXEC.
    #[arg(long, default_value_t = 10)]
    width: usize,
    /// How keys are drawn: uniform or zipfian[:theta].
    #[arg(long, default_value = "uniform")]
    distribution: Distribution,
    /// Open loop: start so many operations per second and count latency from when each should
    /// have been sent.
    #[arg(long)]
    rate: Option<f64>,
    /// Create what the mix reads before measuring.
    #[arg(long)]
    prefill: bool,
    /// Process whose CPU time is measured; several add up.
    #[arg(long, value_delimiter = ',')]
    server_pid: Vec<u32>,
    /// Speak RESP3.
    #[arg(short = '3', long)]
    resp3: bool,
    /// User name.
    #[arg(long)]
    user: Option<String>,
    /// Password.
    #[arg(short = 'a', long)]
    password: Option<String>,
    /// Database.
    #[arg(long, default_value_t = 0)]
    db: u32,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First number of {seq}.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

impl LoadArgs {
    fn shape(&self) -> Shape {
        Shape { value_size: self.value_size, width: self.width }
    }

    fn workload(&self) -> Result<Workload> {
        if self.command.is_empty() {
            Workload::mix(&self.mix, self.shape())
        } else {
            Workload::commands(&self.command, self.value_size)
        }
    }

    fn targets(&self) -> Vec<Target> {
        match &self.socket {
            Some(path) => vec![Target::Unix(path.clone())],
            None => self.port.iter().map(|&port| Target::Tcp(self.host.clone(), port)).collect(),
        }
    }

    fn plan(&self) -> Result<Plan> {
        if self.clients == 0 || self.pipeline == 0 || self.rate.is_some_and(|rate| rate <= 0.0) {
            bail!("clients, pipeline and rate must be above zero");
        }
        let extent = match self.requests {
            Some(count) => Extent::Operations(count),
            None => Extent::Time {
                warmup: Duration::try_from_secs_f64(self.warmup)?,
                measured: Duration::try_from_secs_f64(self.seconds)?,
            },
        };
        Ok(Plan {
            targets: self.targets(),
            greeting: Greeting {
                resp3: self.resp3,
                user: self.user.clone(),
                password: self.password.clone(),
                database: self.db,
            },
            connections: self.clients,
            subscribers: self.subscribers,
            pipeline: self.pipeline,
            threads: self.threads,
            cores: self.cores.clone(),
            workload: self.workload()?,
            distribution: self.distribution,
            keyspace: self.keyspace,
            first_sequence: self.first,
            rate: self.rate,
            extent,
            server_pids: self.server_pid.clone(),
            seed: self.seed,
        })
    }
}

/// Runs the load that the options describe and prints the outcome.
///
/// # Errors
/// See [`load::run`]; besides, options that make no sense.
pub fn main(args: &LoadArgs) -> Result<()> {
    crate::process::raise_file_limit();
    let plan = args.plan()?;
    if args.prefill {
        prefill(&plan, &args.mix, args.shape())?;
    }
    let outcome = load::run(&plan)?;
    if args.json {
        println!("{:#}", to_json(&outcome));
    } else {
        print!("{}", to_text(&outcome));
    }
    Ok(())
}

/// Creates what a mix reads on every server of the plan, one key for each of its keyspace.
///
/// # Errors
/// See [`load::run`]; besides, error replies.
pub fn prefill(plan: &Plan, mix: &str, shape: Shape) -> Result<()> {
    for workload in workload::prefill_for(mix, shape)? {
        for target in &plan.targets {
            let fill = Plan {
                greeting: plan.greeting.clone(),
                connections: 8,
                pipeline: (64 * 1024 / shape.value_size.max(1)).clamp(1, 64),
                cores: plan.cores.clone(),
                keyspace: plan.keyspace,
                seed: plan.seed,
                ..Plan::new(target.clone(), workload.clone(), Extent::Operations(plan.keyspace))
            };
            if let Some(error) = load::run(&fill)?.first_error {
                bail!("prefill of {target} failed: {error}");
            }
            // The server answers nothing more of the prefill once it has answered this.
            Client::connect(target, &plan.greeting)?.command(&["PING"])?;
        }
    }
    Ok(())
}

const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// The outcome as one JSON object; latencies in microseconds.
pub fn to_json(outcome: &Outcome) -> serde_json::Value {
    let latency: serde_json::Map<String, serde_json::Value> =
        PERCENTILES.iter().map(|&p| (format!("p{p}"), json!(outcome.latency_us(p)))).collect();
    json!({
        "operations": outcome.operations,
        "seconds": outcome.elapsed.as_secs_f64(),
        "operations_per_second": outcome.throughput(),
        "errors": outcome.errors,
        "first_error": outcome.first_error,
        "server_cpu_us_per_operation": outcome.server_us(),
        "client_cpu_us_per_operation": outcome.client_us(),
        "latency_us": latency,
        "latency_mean_us": outcome.latency.mean() / 1000.0,
    })
}

/// The outcome for people.
fn to_text(outcome: &Outcome) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "{} operations in {:.2} s: {:.0} per second\n",
        outcome.operations,
        outcome.elapsed.as_secs_f64(),
        outcome.throughput()
    );
    if let Some(us) = outcome.server_us() {
        let _ = writeln!(text, "server CPU   {us:8.3} µs per operation");
    }
    let _ = writeln!(text, "client CPU   {:8.3} µs per operation", outcome.client_us());
    for p in PERCENTILES {
        let _ = writeln!(text, "latency p{p:<5}{:11.1} µs", outcome.latency_us(p));
    }
    if let Some(error) = &outcome.first_error {
        let _ = writeln!(text, "{} error replies, the first: {error}", outcome.errors);
    }
    text
}
