//! Sums over what all shards count, since the start or since `CONFIG RESETSTAT`, and rates.
//!
//! Each counter has one writer, its shard, so a reset does not touch it: what was counted by then
//! is kept as a base line and subtracted.

use kevy_shard::World;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandTotals {
    /// Calls that ran.
    pub calls: u64,
    /// Time in them, in ticks of the cycle counter.
    pub ticks: u64,
    /// Calls refused before they ran.
    pub rejected: u64,
    /// Calls that ran and gave an error.
    pub failed: u64,
}

/// Sums over all shards and stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused.
    pub refused: u64,
    /// Commands that ran.
    pub processed: u64,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Error replies.
    pub errors: u64,
    /// Clients closed for too much output.
    pub output_limit: u64,
    /// Clients closed for too much input.
    pub input_limit: u64,
    /// Look-ups that found a key.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Keys that expired.
    pub expired: u64,
    /// By the number of the command.
    pub commands: Vec<CommandTotals>,
    /// Error replies by their code.
    pub codes: BTreeMap<String, u64>,
}

impl Totals {
    /// The sums at this moment.
    #[must_use]
    pub fn read(world: &World) -> Self {
        let mut totals = Self::default();
        for shard in world.all_shard_counters() {
            totals.connections += shard.connections.get();
            totals.refused += shard.refused.get();
            totals.processed += shard.processed.get();
            totals.received += shard.received.get();
            totals.sent += shard.sent.get();
            totals.errors += shard.errors.get();
            totals.output_limit += shard.output_limit.get();
            totals.input_limit += shard.input_limit.get();
            totals.commands.resize(shard.commands.len(), CommandTotals::default());
            for (total, command) in totals.commands.iter_mut().zip(&shard.commands) {
                total.calls += command.calls.get();
                total.ticks += command.ticks.get();
                total.rejected += command.rejected.get();
                total.failed += command.failed.get();
            }
            for (code, count) in shard.codes() {
                *totals.codes.entry(code).or_default() += count;
            }
        }
        for store in world.all_store_counters() {
            totals.hits += store.hits.get();
            totals.misses += store.misses.get();
            totals.expired += store.expired.get();
        }
        totals
    }

    /// What has been added since `base`.
    #[must_use]
    pub fn since(mut self, base: &Self) -> Self {
        let fields = [
            (&mut self.connections, base.connections),
            (&mut self.refused, base.refused),
            (&mut self.processed, base.processed),
            (&mut self.received, base.received),
            (&mut self.sent, base.sent),
            (&mut self.errors, base.errors),
            (&mut self.output_limit, base.output_limit),
            (&mut self.input_limit, base.input_limit),
            (&mut self.hits, base.hits),
            (&mut self.misses, base.misses),
            (&mut self.expired, base.expired),
        ];
        for (total, base) in fields {
            *total = total.saturating_sub(base);
        }
        for (total, base) in self.commands.iter_mut().zip(&base.commands) {
            total.calls = total.calls.saturating_sub(base.calls);
            total.ticks = total.ticks.saturating_sub(base.ticks);
            total.rejected = total.rejected.saturating_sub(base.rejected);
            total.failed = total.failed.saturating_sub(base.failed);
        }
        for (code, base) in &base.codes {
            if let Some(total) = self.codes.get_mut(code) {
                *total = total.saturating_sub(*base);
            }
        }
        self.codes.retain(|_, count| *count > 0);
        self
    }
}

/// How often rates are sampled, in milliseconds.
pub const SAMPLE_MS: u64 = 100;

/// Samples over which a rate is the mean.
const SAMPLES: usize = 16;

/// What is measured as a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Commands a second.
    pub commands: f64,
    /// Bytes received a second.
    pub received: f64,
    /// Bytes sent a second.
    pub sent: f64,
}

/// The rates of the last 1.6 seconds.
#[derive(Debug, Default)]
pub struct Rates(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    /// Commands, bytes received and sent at the last sample, and when that was, in ms.
    last: Option<(i64, [u64; 3])>,
    samples: [[f64; 3]; SAMPLES],
    next: usize,
}

impl Rates {
    /// Takes a sample; `now_ms` is the time of some clock.
    pub fn sample(&self, world: &World, now_ms: i64) {
        let mut counts = [0; 3];
        for shard in world.all_shard_counters() {
            counts[0] += shard.processed.get();
            counts[1] += shard.received.get();
            counts[2] += shard.sent.get();
        }
        self.window().add(now_ms, counts);
    }

    /// The mean of the last samples.
    #[must_use]
    pub fn mean(&self) -> Rate {
        let window = self.window();
        let mean = |at: usize| window.samples.iter().map(|s| s[at]).sum::<f64>() / SAMPLES as f64;
        Rate { commands: mean(0), received: mean(1), sent: mean(2) }
    }

    /// Forgets all samples.
    pub fn reset(&self) {
        self.window().samples = Default::default();
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn add(&mut self, now_ms: i64, counts: [u64; 3]) {
        let last = self.last.replace((now_ms, counts));
        let Some((last_ms, last)) = last else { return };
        let elapsed_ms = now_ms - last_ms;
        if elapsed_ms <= 0 {
            return;
        }
        let rate =
            |at: usize| counts[at].saturating_sub(last[at]) as f64 * 1000.0 / elapsed_ms as f64;
        self.samples[self.next] = [rate(0), rate(1), rate(2)];
        self.next = (self.next + 1) % SAMPLES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_line_hides_what_was_before() {
        let mut base = Totals { processed: 5, ..Totals::default() };
        base.commands.push(CommandTotals { calls: 2, ticks: 9, rejected: 1, failed: 0 });
        base.codes.extend([("ERR".to_owned(), 3), ("WRONGTYPE".to_owned(), 1)]);
        let mut now = base.clone();
        now.processed = 8;
        now.commands[0].calls = 3;
        now.codes.insert("WRONGTYPE".to_owned(), 4);
        let since = now.since(&base);
        assert_eq!((since.processed, since.commands[0].calls, since.commands[0].ticks), (3, 1, 0));
        assert_eq!(since.codes, BTreeMap::from([("WRONGTYPE".to_owned(), 3)]));
    }

    #[test]
    fn rates_are_means_over_the_window() {
        let rates = Rates::default();
        for step in 0..=SAMPLES as u64 {
            rates.window().add(step as i64 * 100, [step * 10, 0, step]);
        }
        assert_eq!(rates.mean(), Rate { commands: 100.0, received: 0.0, sent: 10.0 });
        rates.reset();
        assert_eq!(rates.mean(), Rate::default());
    }
}
