//! What is counted. Each counter has one writer, the thread that owns its row, and any number of
//! readers; reading takes no box.

use crossbeam_utils::CachePadded;
use kevy_command::CommandId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A number with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owner of the counter calls this.
    #[inline]
    pub fn add(&self, n: u64) {
        // One writer: a plain load and store suffice and cost no locked instruction.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Replaces the number.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of one command on one shard.
#[derive(Debug, Default)]
pub struct CommandCounters {
    /// Calls that ran.
    pub calls: Counter,
    /// Time in them, in ticks of the cycle counter.
    pub ticks: Counter,
    /// Calls refused before they ran.
    pub rejected: Counter,
    /// Calls that ran and gave an error.
    pub failed: Counter,
}

/// What one shard counts.
#[derive(Debug)]
pub struct ShardCounters {
    /// By [`CommandId`].
    pub commands: Box<[CommandCounters]>,
    /// Commands that ran.
    pub processed: Counter,
    /// Changes that commands made (Redis: *dirty*); not reset with the statistics.
    pub changes: Counter,
    /// Connections accepted.
    pub connections: Counter,
    /// Connections refused for `maxclients`.
    pub refused: Counter,
    /// Bytes received.
    pub received: Counter,
    /// Bytes sent.
    pub sent: Counter,
    /// Error replies.
    pub errors: Counter,
    /// Clients closed because their output grew too large.
    pub output_limit: Counter,
    /// Clients closed because their input grew too large.
    pub input_limit: Counter,
    /// Batches that waited at a door.
    pub queued_batches: Counter,
    /// Boxes handed to the shard of the oldest entry.
    pub handed_over: Counter,
    /// Turns of the loop.
    pub turns: Counter,
    /// Error replies by their code.
    codes: Mutex<BTreeMap<String, u64>>,
}

/// Codes counted one by one; more than these are a client's invention.
const MAX_CODES: usize = 128;

impl ShardCounters {
    pub(crate) fn new(commands: usize) -> Self {
        Self {
            commands: (0..commands).map(|_| CommandCounters::default()).collect(),
            processed: Counter::default(),
            changes: Counter::default(),
            connections: Counter::default(),
            refused: Counter::default(),
            received: Counter::default(),
            sent: Counter::default(),
            errors: Counter::default(),
            output_limit: Counter::default(),
            input_limit: Counter::default(),
            queued_batches: Counter::default(),
            handed_over: Counter::default(),
            turns: Counter::default(),
            codes: Mutex::default(),
        }
    }

    /// The counts of a command.
    #[inline]
    pub(crate) fn command(&self, id: CommandId) -> &CommandCounters {
        &self.commands[id.0 as usize]
    }

    /// Counts an error reply with this code.
    pub(crate) fn error(&self, code: &str) {
        self.errors.add(1);
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = codes.get_mut(code) {
            *count += 1;
        } else if codes.len() < MAX_CODES {
            codes.insert(code.to_owned(), 1);
        }
    }

    /// Error replies by their code.
    #[must_use]
    pub fn codes(&self) -> BTreeMap<String, u64> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the statistics, as `CONFIG RESETSTAT` does.
    pub fn reset(&self) {
        for command in &self.commands {
            command.calls.set(0);
            command.ticks.set(0);
            command.rejected.set(0);
            command.failed.set(0);
        }
        let all = [
            &self.processed,
            &self.connections,
            &self.refused,
            &self.received,
            &self.sent,
            &self.errors,
            &self.output_limit,
            &self.input_limit,
            &self.queued_batches,
            &self.handed_over,
        ];
        for counter in all {
            counter.set(0);
        }
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What is published of one database in one store.
#[derive(Debug, Default)]
pub struct DbCounters {
    /// Keys.
    pub keys: Counter,
    /// Keys with a deadline.
    pub volatile: Counter,
    /// Mean time to live of those, in ms.
    pub average_ttl: Counter,
    /// Bytes accounted.
    pub memory: Counter,
}

/// What is published of one store whenever its box is put back.
#[derive(Debug)]
pub struct StoreCounters {
    /// By database.
    pub dbs: Box<[DbCounters]>,
    /// Bytes accounted that belong to no database.
    pub memory_aside: Counter,
    /// Look-ups that found a key.
    pub hits: Counter,
    /// Look-ups that found none.
    pub misses: Counter,
    /// Keys that expired.
    pub expired: Counter,
    /// Keys for which somebody waits.
    pub waited: Counter,
    /// Those of them for any change of which somebody waits.
    pub loss_waited: Counter,
}

impl StoreCounters {
    /// Bytes accounted.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory_aside.get() + self.dbs.iter().map(|db| db.memory.get()).sum::<u64>()
    }

    pub(crate) fn new(databases: usize) -> CachePadded<Self> {
        CachePadded::new(Self {
            dbs: (0..databases).map(|_| DbCounters::default()).collect(),
            memory_aside: Counter::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            expired: Counter::default(),
            waited: Counter::default(),
            loss_waited: Counter::default(),
        })
    }
}
