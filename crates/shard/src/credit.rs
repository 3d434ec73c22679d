//! Whether waiting actively for a short while pays, learnt from its successes.

/// Credit given and lost: a wait in vain costs all of its CPU time, a success spares about half as
/// much in sleeping and waking, so waiting pays above two successes in three.
const HIT: u8 = 1;
const MISS: u8 = 2;
const FULL: u8 = 16;
/// Without credit, one chance in so many is taken all the same.
const RETRY: u16 = 256;

/// Where the expected comes late, or cannot come because the wait itself keeps the core busy, it
/// soon advises against waiting; a few successes bring the trust back.
#[derive(Debug)]
pub struct Credit {
    credit: u8,
    chances: u16,
}

impl Default for Credit {
    fn default() -> Self {
        Self { credit: FULL / 2, chances: 0 }
    }
}

impl Credit {
    /// Whether to wait this time.
    pub const fn worth_it(&mut self) -> bool {
        if self.credit >= MISS {
            return true;
        }
        self.chances = (self.chances + 1) % RETRY;
        self.chances == 0
    }

    /// Whether what was waited for has come in time.
    pub fn learn(&mut self, come: bool) {
        self.credit =
            if come { (self.credit + HIT).min(FULL) } else { self.credit.saturating_sub(MISS) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_end_it_and_hits_revive_it() {
        let mut credit = Credit::default();
        let mut tried = 0;
        for _ in 0..1024 {
            if credit.worth_it() {
                tried += 1;
                credit.learn(false);
            }
        }
        assert!((4..=8).contains(&tried), "{tried} waits in vain");
        let mut chances = 0;
        while credit.credit < FULL {
            chances += 1;
            if credit.worth_it() {
                credit.learn(true);
            }
        }
        assert!(chances < 600, "{chances} chances until it trusts again");
    }
}
