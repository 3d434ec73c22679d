//! When the operations of an open loop are due.
//!
//! Operation `i` of a thread is due `i / rate` seconds after the start and belongs to connection
//! `i mod connections`. Latency counts from that moment, also where the operation could only be
//! sent later because the connection was waiting: a stalled server delays all that became due
//! meanwhile, and all of it shows (no coordinated omission).

/// The timetable of one thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    interval_ns: f64,
    connections: u64,
}

impl Schedule {
    /// `rate` operations per second over all connections of the thread.
    pub(super) fn new(rate: f64, connections: usize) -> Self {
        Self { interval_ns: 1e9 / rate, connections: connections.max(1) as u64 }
    }

    /// When the `index`-th operation of the thread is due, in nanoseconds after the start.
    pub(super) fn due_ns(&self, index: u64) -> u64 {
        (index as f64 * self.interval_ns) as u64
    }

    /// The connection that the `index`-th operation belongs to.
    pub(super) fn connection(&self, index: u64) -> usize {
        (index % self.connections) as usize
    }

    /// When the `nth` operation of one connection is due.
    pub(super) fn due_on_connection_ns(&self, connection: usize, nth: u64) -> u64 {
        self.due_ns(nth * self.connections + connection as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns_evenly() {
        let schedule = Schedule::new(1000.0, 4);
        assert_eq!(schedule.due_ns(0), 0);
        assert_eq!(schedule.due_ns(1000), 1_000_000_000);
        assert_eq!((0..5).map(|i| schedule.connection(i)).collect::<Vec<_>>(), [0, 1, 2, 3, 0]);
        assert_eq!(schedule.due_on_connection_ns(1, 2), schedule.due_ns(9));
    }

    /// A server that answers at once but stands still for one second: at 1,000 operations per
    /// second about 1,000 of them waited, on average half a second, although a connection that
    /// waits for each answer has seen a single slow one.
    #[test]
    fn a_stall_delays_all_that_was_due_meanwhile() {
        let schedule = Schedule::new(1000.0, 1);
        let stall = 1_000_000_000..2_000_000_000u64;
        let mut histogram = crate::load::latency_histogram().unwrap();
        for nth in 0..10_000 {
            let due = schedule.due_on_connection_ns(0, nth);
            let answered = if stall.contains(&due) { stall.end } else { due + 1000 };
            histogram.record(answered - due).unwrap();
        }
        let slow = histogram.count_between(1_000_000, 2_000_000_000);
        assert!((990..=1000).contains(&slow), "{slow}");
        let p95 = histogram.value_at_percentile(95.0) as f64;
        assert!((p95 / 5e8 - 1.0).abs() < 0.01, "{p95}");
    }
}
