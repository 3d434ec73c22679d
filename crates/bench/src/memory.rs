//! Resident memory for each item stored.

use crate::client::{Client, Greeting, Target};
use crate::load::{self, Extent, Plan};
use crate::process;
use crate::workload::Workload;
use anyhow::{Result, bail};
use clap::Args;
use std::time::Duration;

/// Time for a server to finish what it does in the background after a load.
const SETTLE: Duration = Duration::from_millis(300);

/// A kind of item; `{seq}` must make each one new.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Name in tables.
    pub title: String,
    /// The command that adds one item.
    pub command: String,
}

impl Kind {
    /// A string under a key.
    pub fn string(key_size: usize, value_size: usize) -> Self {
        // The number takes its digits of the key.
        let prefix = "k".repeat(key_size.saturating_sub(crate::template::DIGITS));
        Self {
            title: format!("key of {key_size} B, value {value_size} B"),
            command: format!("SET {prefix}{{seq}} {{value:{value_size}}}"),
        }
    }

    /// The kinds that servers are compared by.
    pub fn all() -> Vec<Self> {
        let kind =
            |title: &str, command: &str| Self { title: title.into(), command: command.into() };
        vec![
            Self::string(14, 8),
            Self::string(14, 64),
            kind(
                "hash of 5 fields, per key",
                "HSET k:{seq} field1 value1 field2 value2 field3 value3 field4 value4 field5 value5",
            ),
            kind("member of a sorted set", "ZADD myzset {seq} member:{seq}"),
            kind("element of a list", "RPUSH mylist {seq}"),
            kind("member of a set", "SADD myset member:{seq}"),
        ]
    }
}

/// Growth for each item at one number of items.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Items stored.
    pub count: u64,
    /// Resident bytes for each of them.
    pub resident: f64,
    /// Bytes of `used_memory` for each of them, if the server reports that.
    pub used: Option<f64>,
}

/// Ten counts evenly from one million to two: tables that grow in steps look different at each.
pub fn ten_counts(million: u64) -> Vec<u64> {
    (0..10).map(|i| million + million * i / 9).collect()
}

/// Adds items up to each of `counts` (ascending) and measures the growth there. The server should
/// be fresh: memory freed before would hide growth.
///
/// # Errors
/// The server is lost, or answers with an error.
pub fn growth(
    target: &Target,
    pid: u32,
    kind: &Kind,
    counts: &[u64],
    core: Option<usize>,
) -> Result<Vec<Growth>> {
    let mut client = Client::connect(target, &Greeting::default())?;
    // Connections of the load have been paid for once this has run.
    add_items(target, "PING", 0, 1000, core)?;
    let used_memory = |client: &mut Client| client.info_number("memory", "used_memory").ok();
    let resident_before = process::resident_bytes(pid)?;
    let used_before = used_memory(&mut client);
    let mut stored = 0;
    let mut growths = Vec::new();
    for &count in counts {
        add_items(target, &kind.command, stored, count - stored, core)?;
        stored = count;
        std::thread::sleep(SETTLE);
        let resident = process::resident_bytes(pid)?.saturating_sub(resident_before);
        let used = used_memory(&mut client).zip(used_before).map(|(now, before)| now - before);
        growths.push(Growth {
            count,
            resident: resident as f64 / count as f64,
            used: used.map(|used| used as f64 / count as f64),
        });
    }
    Ok(growths)
}

fn add_items(
    target: &Target,
    command: &str,
    first: u64,
    count: u64,
    core: Option<usize>,
) -> Result<()> {
    let numbers_each = command.matches("{seq}").count().max(1) as u64;
    let plan = Plan {
        connections: 8,
        pipeline: 32,
        first_sequence: first * numbers_each,
        cores: core.into_iter().collect(),
        ..Plan::new(target.clone(), Workload::commands(&[command], 0)?, Extent::Operations(count))
    };
    match load::run(&plan)?.first_error {
        Some(error) => bail!("{command}: {error}"),
        None => Ok(()),
    }
}

/// Options of `memory`.
#[derive(Args, Debug)]
pub struct MemoryArgs {
    /// Port of a fresh server on this machine. Everything in it is deleted.
    #[arg(short, long, default_value_t = 6379)]
    port: u16,
    /// Its process; by default what INFO says.
    #[arg(long)]
    pid: Option<u32>,
    /// Items.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Measure at ten counts, from `count` to twice as many.
    #[arg(long)]
    ten: bool,
    /// Bytes of a key, 12 at least.
    #[arg(long, default_value_t = 14)]
    key_size: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_size: usize,
    /// Add items by this command instead of SET; must contain {seq}.
    #[arg(long)]
    command: Option<String>,
}

/// Measures the kind that the options describe and prints its growth.
///
/// # Errors
/// See [`growth`].
pub fn main(args: &MemoryArgs) -> Result<()> {
    let target = Target::local(args.port);
    let mut client = Client::connect(&target, &Greeting::default())?;
    let pid = match args.pid {
        Some(pid) => pid,
        None => u32::try_from(client.info_number("server", "process_id")?)?,
    };
    client.command(&["FLUSHALL"])?;
    let kind = match &args.command {
        Some(command) => Kind { title: command.clone(), command: command.clone() },
        None => Kind::string(args.key_size, args.value_size),
    };
    let counts = if args.ten { ten_counts(args.count) } else { vec![args.count] };
    println!("{}", kind.title);
    for growth in growth(&target, pid, &kind, &counts, None)? {
        let used = growth.used.map_or_else(|| "unknown".to_owned(), |used| format!("{used:.1}"));
        println!(
            "{:>9} items: resident {:.1} bytes each, used_memory {used}",
            growth.count, growth.resident
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_counts_include_both_ends() {
        let counts = ten_counts(1_000_000);
        assert_eq!((counts.len(), counts[0], counts[9]), (10, 1_000_000, 2_000_000));
        assert!(counts.is_sorted());
    }

    #[test]
    fn keys_have_the_size_asked_for() {
        let kind = Kind::string(14, 8);
        assert_eq!(kind.command, "SET kk{seq} {value:8}");
    }
}
