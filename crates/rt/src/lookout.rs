//! Whether looking out for a while before going to sleep pays.

use std::time::Duration;

/// Credit given and lost: a miss costs a whole look-out of CPU time, a hit spares about half as
/// much in sleeping and waking, so looking out pays above two hits in three.
const HIT: u8 = 1;
const MISS: u8 = 2;
const FULL: u8 = 16;
/// Without credit, one sleep in so many is preceded by a look-out all the same.
const RETRY: u16 = 256;

/// Learns from its successes. Where the expected comes late (a distant client) or cannot come
/// because the look-out keeps the core busy, it soon does not look out any more.
#[derive(Debug)]
pub(crate) struct Lookout {
    limit: Duration,
    credit: u8,
    sleeps: u16,
}

impl Lookout {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, credit: FULL / 2, sleeps: 0 }
    }

    /// How long to look out.
    pub(crate) const fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether to look out before the next sleep.
    pub(crate) const fn worth_it(&mut self) -> bool {
        if self.limit.is_zero() {
            return false;
        }
        if self.credit >= MISS {
            return true;
        }
        self.sleeps = (self.sleeps + 1) % RETRY;
        self.sleeps == 0
    }

    /// Whether something has come in time.
    pub(crate) fn learn(&mut self, come: bool) {
        self.credit =
            if come { (self.credit + HIT).min(FULL) } else { self.credit.saturating_sub(MISS) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_end_it_and_hits_revive_it() {
        let mut lookout = Lookout::new(Duration::from_micros(20));
        let mut tried = 0;
        for _ in 0..1024 {
            if lookout.worth_it() {
                tried += 1;
                lookout.learn(false);
            }
        }
        assert!((4..=8).contains(&tried), "{tried} look-outs in vain");
        let mut sleeps = 0;
        while lookout.credit < FULL {
            sleeps += 1;
            if lookout.worth_it() {
                lookout.learn(true);
            }
        }
        assert!(sleeps < 600, "{sleeps} sleeps until it trusts again");
    }

    #[test]
    fn no_time_means_never() {
        let mut lookout = Lookout::new(Duration::ZERO);
        assert!((0..1000).all(|_| !lookout.worth_it()));
    }
}
