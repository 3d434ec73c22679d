//! The load generator: many connections on few threads, few system calls, no allocation for an
//! operation.

mod connection;
mod schedule;
mod worker;

use crate::client::{Greeting, Target};
use crate::keys::Distribution;
use crate::process;
use crate::workload::Workload;
use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use worker::Worker;

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// After so many operations, all of them measured.
    Operations(u64),
    /// After a time, of which the beginning is not measured.
    Time {
        /// Not measured.
        warmup: Duration,
        /// Measured.
        measured: Duration,
    },
}

/// Everything about one load.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Servers; connections are dealt to them in turn.
    pub targets: Vec<Target>,
    /// What each connection says first.
    pub greeting: Greeting,
    /// Connections that send.
    pub connections: usize,
    /// Connections that subscribe to `channel` and only read.
    pub subscribers: usize,
    /// Operations in flight on one connection: sent together, or with a `rate` at most.
    pub pipeline: usize,
    /// Threads, each with its share of the connections.
    pub threads: usize,
    /// Core for each thread; without an entry a thread runs anywhere.
    pub cores: Vec<usize>,
    /// What is sent.
    pub workload: Workload,
    /// How key numbers are drawn.
    pub distribution: Distribution,
    /// Key numbers are below this.
    pub keyspace: u64,
    /// The first number of `{seq}`.
    pub first_sequence: u64,
    /// Operations started per second, whatever the server does. Otherwise each connection sends
    /// its next pipeline when the last one has been answered.
    pub rate: Option<f64>,
    /// When it ends.
    pub extent: Extent,
    /// Processes whose CPU time is measured.
    pub server_pids: Vec<u32>,
    /// Makes the key numbers and the order of a mix reproducible.
    pub seed: u64,
}

impl Plan {
    /// A plan of closed loops with the defaults of the command line.
    pub fn new(target: Target, workload: Workload, extent: Extent) -> Self {
        Self {
            targets: vec![target],
            greeting: Greeting::default(),
            connections: 50,
            subscribers: 0,
            pipeline: 1,
            threads: 1,
            cores: Vec::new(),
            workload,
            distribution: Distribution::Uniform,
            keyspace: 100_000,
            first_sequence: 0,
            rate: None,
            extent,
            server_pids: Vec::new(),
            seed: 1,
        }
    }
}

/// What a load measured.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Operations completed in the measured time.
    pub operations: u64,
    /// The measured time.
    pub elapsed: Duration,
    /// Error replies, also those before the measured time.
    pub errors: u64,
    /// Text of one of them.
    pub first_error: Option<String>,
    /// Nanoseconds from sending (with a rate: from when it should have been sent) to the reply.
    pub latency: Histogram<u64>,
    /// CPU time of the servers in nanoseconds, if their processes are known.
    pub server_cpu_ns: Option<u64>,
    /// CPU time of this process in nanoseconds.
    pub client_cpu_ns: u64,
}

impl Outcome {
    /// Operations per second.
    pub fn throughput(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of the servers' CPU time for each operation.
    pub fn server_us(&self) -> Option<f64> {
        self.server_cpu_ns.map(|ns| self.per_operation_us(ns))
    }

    /// Microseconds of this process' CPU time for each operation.
    pub fn client_us(&self) -> f64 {
        self.per_operation_us(self.client_cpu_ns)
    }

    fn per_operation_us(&self, ns: u64) -> f64 {
        ns as f64 / 1000.0 / self.operations.max(1) as f64
    }

    /// Latency at a percentile in microseconds.
    pub fn latency_us(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1000.0
    }
}

/// A histogram of nanoseconds up to a minute with three significant digits.
pub fn latency_histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// In which part of a load its threads are.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Warmup,
    Measured,
    Over,
}

/// What the threads of a load share.
struct Shared {
    phase: AtomicU8,
    /// Operations completed, for each thread, each on a cache line of its own.
    completed: Vec<Counter>,
    start: Barrier,
}

#[repr(align(128))]
#[derive(Default)]
struct Counter(AtomicU64);

impl Shared {
    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    fn operations(&self) -> u64 {
        self.completed.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum()
    }
}

/// The counters at one moment.
struct Sample {
    at: Instant,
    operations: u64,
    server_cpu_ns: u64,
    client_cpu_ns: u64,
}

impl Sample {
    fn take(shared: &Shared, pids: &[u32]) -> Result<Self> {
        let server_cpu_ns = pids.iter().map(|&pid| process::cpu_ns(pid)).sum::<Result<u64>>()?;
        let client_cpu_ns = process::own_cpu_ns();
        Ok(Self {
            at: Instant::now(),
            operations: shared.operations(),
            server_cpu_ns,
            client_cpu_ns,
        })
    }
}

/// Runs a load to its end.
///
/// # Errors
/// A connection could not be made or was lost, or what came back is not RESP. Error replies are
/// counted instead.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let threads = plan.threads.clamp(1, plan.connections.max(1));
    let first_phase = match plan.extent {
        Extent::Operations(_) => Phase::Measured,
        Extent::Time { .. } => Phase::Warmup,
    };
    let shared = Shared {
        phase: AtomicU8::new(first_phase as u8),
        completed: (0..threads).map(|_| Counter::default()).collect(),
        start: Barrier::new(threads + 1),
    };
    let workers = (0..threads)
        .map(|thread| Worker::new(plan, &shared, thread, threads))
        .collect::<Result<Vec<_>>>()?;
    std::thread::scope(|scope| {
        let handles: Vec<_> = workers
            .into_iter()
            .enumerate()
            .map(|(thread, worker)| {
                let core = plan.cores.get(thread).copied();
                scope.spawn(move || worker.run(core))
            })
            .collect();
        // An error may be returned only after the threads have been let go.
        let before = Sample::take(&shared, &plan.server_pids);
        shared.start.wait();
        let samples = match plan.extent {
            Extent::Operations(_) => None,
            Extent::Time { warmup, measured } => {
                Some(measure(&shared, &plan.server_pids, warmup, measured))
            }
        };
        let mut outcome = Outcome::nothing()?;
        for handle in handles {
            outcome.merge(handle.join().map_err(|_| anyhow!("a load thread panicked"))??)?;
        }
        let (before, after) = match samples {
            Some(samples) => samples?,
            None => (before?, Sample::take(&shared, &plan.server_pids)?),
        };
        outcome.operations = after.operations - before.operations;
        outcome.elapsed = after.at - before.at;
        outcome.client_cpu_ns = after.client_cpu_ns - before.client_cpu_ns;
        outcome.server_cpu_ns = (!plan.server_pids.is_empty())
            .then(|| after.server_cpu_ns.saturating_sub(before.server_cpu_ns));
        Ok(outcome)
    })
}

/// Lets the threads warm up, measures, and ends them whatever happened.
fn measure(
    shared: &Shared,
    pids: &[u32],
    warmup: Duration,
    measured: Duration,
) -> Result<(Sample, Sample)> {
    std::thread::sleep(warmup);
    let before = Sample::take(shared, pids);
    shared.enter(Phase::Measured);
    std::thread::sleep(measured);
    let after = Sample::take(shared, pids);
    shared.enter(Phase::Over);
    Ok((before?, after?))
}

/// What one thread brings home.
struct Share {
    latency: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Outcome {
    fn nothing() -> Result<Self> {
        Ok(Self {
            operations: 0,
            elapsed: Duration::ZERO,
            errors: 0,
            first_error: None,
            latency: latency_histogram()?,
            server_cpu_ns: None,
            client_cpu_ns: 0,
        })
    }

    fn merge(&mut self, share: Share) -> Result<()> {
        self.latency.add(&share.latency)?;
        self.errors += share.errors;
        self.first_error = self.first_error.take().or(share.first_error);
        Ok(())
    }
}
