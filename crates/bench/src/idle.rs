//! What a server costs while nobody asks it anything.

use crate::client::{Client, Greeting, Target};
use crate::process;
use anyhow::{Result, bail};
use clap::Args;
use std::time::{Duration, Instant};

/// Time for a server to finish with connections that have just been made.
const SETTLE: Duration = Duration::from_millis(500);

/// What idling costs.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Resident bytes without the connections.
    pub resident: u64,
    /// Resident bytes for each idle connection.
    pub per_connection: f64,
    /// CPU time in percent of a core, without the connections.
    pub cpu_percent: f64,
    /// CPU time in percent of a core, with the connections.
    pub cpu_percent_connected: f64,
}

/// Watches a server without connections and then with `connections` that have said `PING` once.
///
/// # Errors
/// The server is lost, or this process may not open as many files.
pub fn measure(target: &Target, pid: u32, connections: usize, seconds: f64) -> Result<Idle> {
    if process::raise_file_limit() < connections as u64 + 100 {
        bail!("the limit of open files does not allow {connections} connections");
    }
    let resident = process::resident_bytes(pid)?;
    let cpu_percent = cpu_percent(pid, seconds)?;
    let clients = (0..connections)
        .map(|_| {
            let mut client = Client::connect(target, &Greeting::default())?;
            client.command(&["PING"])?;
            Ok(client)
        })
        .collect::<Result<Vec<_>>>()?;
    std::thread::sleep(SETTLE);
    let grown = process::resident_bytes(pid)?.saturating_sub(resident);
    let cpu_percent_connected = self::cpu_percent(pid, seconds)?;
    drop(clients);
    Ok(Idle {
        resident,
        per_connection: grown as f64 / connections.max(1) as f64,
        cpu_percent,
        cpu_percent_connected,
    })
}

fn cpu_percent(pid: u32, seconds: f64) -> Result<f64> {
    let (started, before) = (Instant::now(), process::cpu_ns(pid)?);
    std::thread::sleep(Duration::try_from_secs_f64(seconds)?);
    let used = process::cpu_ns(pid)?.saturating_sub(before);
    Ok(used as f64 / started.elapsed().as_nanos() as f64 * 100.0)
}

/// Options of `idle`.
#[derive(Args, Debug)]
pub struct IdleArgs {
    /// Port of the server on this machine.
    #[arg(short, long, default_value_t = 6379)]
    port: u16,
    /// Its process; by default what INFO says.
    #[arg(long)]
    pid: Option<u32>,
    /// Idle connections.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Seconds of each watch.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// Measures the server that the options name and prints what idling costs.
///
/// # Errors
/// See [`measure`].
pub fn main(args: &IdleArgs) -> Result<()> {
    let target = Target::local(args.port);
    let pid = match args.pid {
        Some(pid) => pid,
        None => {
            let mut client = Client::connect(&target, &Greeting::default())?;
            u32::try_from(client.info_number("server", "process_id")?)?
        }
    };
    let idle = measure(&target, pid, args.connections, args.seconds)?;
    println!("resident              {:9.2} MiB", idle.resident as f64 / f64::from(1 << 20));
    println!("for each connection   {:9.0} bytes", idle.per_connection);
    println!("CPU without clients   {:9.3} % of a core", idle.cpu_percent);
    println!("CPU with connections  {:9.3} % of a core", idle.cpu_percent_connected);
    Ok(())
}
