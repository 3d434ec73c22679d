//! The worst delay that another client sees while a server is busy with something large.
//!
//! A probe sends `GET` again and again, each 100 µs after the last answer. A stall longer than
//! that cannot fall between two probes, and whatever the probe itself oversleeps is not counted.

use crate::client::{Client, Greeting, Target};
use crate::load::{self, Extent, Plan, latency_histogram};
use crate::process;
use crate::workload::Workload;
use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PROBE_GAP: Duration = Duration::from_micros(100);
/// How long a deletion is watched: it may go on after its reply.
const AFTERMATH: Duration = Duration::from_secs(2);
/// How long an expiry is set ahead: time enough to start the probe.
const EXPIRY_MS: u64 = 300;
/// Members added by one command while a large key is built.
const MEMBERS: usize = 50;

/// What the server is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Nothing.
    Idle,
    /// New keys are inserted by 50 clients.
    Insert,
    /// `BGSAVE` of as many keys.
    Save,
    /// `UNLINK` of a set of as many members.
    Unlink,
    /// `DEL` of such a set.
    Del,
    /// Such a set expires.
    Expire,
    /// `FLUSHALL ASYNC` with such a set.
    Flush,
}

impl Scenario {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 7] =
        [Self::Idle, Self::Insert, Self::Save, Self::Unlink, Self::Del, Self::Expire, Self::Flush];

    /// Name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Insert => "inserting keys",
            Self::Save => "BGSAVE",
            Self::Unlink => "UNLINK of a large set",
            Self::Del => "DEL of a large set",
            Self::Expire => "expiry of a large set",
            Self::Flush => "FLUSHALL ASYNC of a large set",
        }
    }
}

/// Options of `stall`.
#[derive(Args, Debug)]
pub struct StallArgs {
    /// Port of the server on this machine. Everything in it is deleted.
    #[arg(short, long, default_value_t = 6379)]
    port: u16,
    /// What the server is busy with.
    #[arg(long, value_enum, default_value = "insert")]
    scenario: Scenario,
    /// Keys or members.
    #[arg(long, default_value_t = 5_000_000)]
    count: u64,
    /// Repetitions, of which the median of the worst delays is printed.
    #[arg(long, default_value_t = 1)]
    repetitions: usize,
    /// Core for the load and the probe.
    #[arg(long)]
    core: Option<usize>,
}

/// What the probe saw.
pub struct Delays {
    /// Nanoseconds from each request of the probe to its reply.
    pub histogram: Histogram<u64>,
    /// How long the server was busy, as far as a client can tell.
    pub busy: Duration,
}

impl Delays {
    /// The worst delay in milliseconds.
    pub fn worst_ms(&self) -> f64 {
        self.histogram.max() as f64 / 1e6
    }
}

/// Prepares the scenario (not probed), then runs it under the eyes of the probe.
///
/// # Errors
/// The server is lost or answers a command of the scenario with an error.
pub fn run(target: &Target, scenario: Scenario, count: u64, core: Option<usize>) -> Result<Delays> {
    prepare(target, scenario, count, core)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let probe = scope.spawn(|| probe(target, core, &stop));
        std::thread::sleep(Duration::from_millis(100));
        let started = Instant::now();
        let acted = act(target, scenario, count, core);
        let busy = started.elapsed();
        stop.store(true, Ordering::Relaxed);
        let histogram = probe.join().map_err(|_| anyhow!("the probe panicked"))??;
        acted.map(|()| Delays { histogram, busy })
    })
}

fn probe(target: &Target, core: Option<usize>, stop: &AtomicBool) -> Result<Histogram<u64>> {
    if let Some(core) = core {
        process::pin(&[core])?;
    }
    // The probe shares its core with the load. Where that is allowed it goes first, so that its
    // own waiting for the core is not taken for the server's.
    let _ = rustix::process::setpriority_process(None, -15);
    let mut client = Client::connect(target, &Greeting::default())?;
    let mut delays = latency_histogram()?;
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        client.exchange(b"*2\r\n$3\r\nGET\r\n$5\r\nprobe\r\n", 1)?;
        delays.saturating_record(sent.elapsed().as_nanos() as u64);
        std::thread::sleep(PROBE_GAP);
    }
    Ok(delays)
}

fn prepare(target: &Target, scenario: Scenario, count: u64, core: Option<usize>) -> Result<()> {
    if scenario == Scenario::Idle {
        return Ok(());
    }
    Client::connect(target, &Greeting::default())?.command(&["FLUSHALL"])?;
    match scenario {
        Scenario::Idle | Scenario::Insert => Ok(()),
        Scenario::Save => insert_keys(target, count, core),
        Scenario::Unlink | Scenario::Del | Scenario::Expire | Scenario::Flush => {
            let command = format!("SADD big{}", " member:{seq}".repeat(MEMBERS));
            fill(target, &command, count / MEMBERS as u64, 4, core)
        }
    }
}

fn act(target: &Target, scenario: Scenario, count: u64, core: Option<usize>) -> Result<()> {
    let mut client = Client::connect(target, &Greeting::default())?;
    let mut delete = |words: &[&str]| -> Result<()> {
        client.command(words)?;
        std::thread::sleep(AFTERMATH);
        Ok(())
    };
    match scenario {
        Scenario::Idle => std::thread::sleep(AFTERMATH),
        Scenario::Insert => insert_keys(target, count, core)?,
        Scenario::Save => save(&mut client)?,
        Scenario::Unlink => delete(&["UNLINK", "big"])?,
        Scenario::Del => delete(&["DEL", "big"])?,
        Scenario::Expire => delete(&["PEXPIRE", "big", &EXPIRY_MS.to_string()])?,
        Scenario::Flush => delete(&["FLUSHALL", "ASYNC"])?,
    }
    Ok(())
}

fn insert_keys(target: &Target, count: u64, core: Option<usize>) -> Result<()> {
    fill(target, "SET key:{seq} {value:64}", count, 16, core)
}

fn fill(
    target: &Target,
    command: &str,
    operations: u64,
    pipeline: usize,
    core: Option<usize>,
) -> Result<()> {
    let workload = Workload::commands(&[command], 0)?;
    let plan = Plan {
        pipeline,
        cores: core.into_iter().collect(),
        ..Plan::new(target.clone(), workload, Extent::Operations(operations))
    };
    match load::run(&plan)?.first_error {
        Some(error) => bail!("{command}: {error}"),
        None => Ok(()),
    }
}

/// `BGSAVE`, and waits until it is done.
fn save(client: &mut Client) -> Result<()> {
    client.command(&["BGSAVE"])?;
    let limit = Instant::now() + Duration::from_secs(120);
    while client.info_number("persistence", "rdb_bgsave_in_progress")? != 0 {
        if Instant::now() > limit {
            bail!("BGSAVE does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Runs the scenario that the options name and prints what the probe saw.
///
/// # Errors
/// See [`run`].
pub fn main(args: &StallArgs) -> Result<()> {
    let target = Target::local(args.port);
    let mut worst = Vec::new();
    for _ in 0..args.repetitions.max(1) {
        let delays = run(&target, args.scenario, args.count, args.core)?;
        println!(
            "{}: busy {:.2} s, {} probes, p50 {:.3} ms, p99 {:.3} ms, worst {:.3} ms",
            args.scenario.title(),
            delays.busy.as_secs_f64(),
            delays.histogram.len(),
            delays.histogram.value_at_percentile(50.0) as f64 / 1e6,
            delays.histogram.value_at_percentile(99.0) as f64 / 1e6,
            delays.worst_ms()
        );
        worst.push(delays.worst_ms());
    }
    if let Some(spread) = crate::grid::Spread::of(worst) {
        println!("median of the worst delays: {:.3} ms", spread.median);
    }
    Ok(())
}
