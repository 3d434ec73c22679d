//! The cycle counter behind the times in statistics. Reading it costs a fraction of what a clock
//! costs.

use std::time::Instant;

/// Reads the counter.
#[must_use]
pub fn read() -> u64 {
    tick_counter::stop()
}

/// What a tick is worth: found out by comparing counter and clock over the life of the process,
/// so that nothing has to be calibrated at the start.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    ticks: u64,
    instant: Instant,
}

impl Scale {
    /// Begins to compare.
    #[must_use]
    pub fn start() -> Self {
        Self { ticks: read(), instant: Instant::now() }
    }

    /// Ticks of one microsecond.
    #[must_use]
    pub fn ticks_per_micro(&self) -> f64 {
        let micros = self.instant.elapsed().as_secs_f64() * 1e6;
        let ticks = read().saturating_sub(self.ticks) as f64;
        if micros > 0.0 && ticks > 0.0 { ticks / micros } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_measured_pause_is_as_long_as_it_was() {
        let scale = Scale::start();
        let (ticks, instant) = (read(), Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (ticks, micros) = (read() - ticks, instant.elapsed().as_secs_f64() * 1e6);
        let measured = ticks as f64 / scale.ticks_per_micro();
        assert!((measured / micros - 1.0).abs() < 0.05, "{measured} for {micros} us");
    }
}
