//! The clocks that services are told.

use kevy_shard::service::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks. All threads of a runtime share one beginning of [`Now::mono_ns`].
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    beginning: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { beginning: Instant::now() }
    }

    /// Both clocks, by way of the vDSO: no system call.
    #[must_use]
    pub fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { unix_us: unix.as_micros() as i64, mono_ns: self.mono_ns() }
    }

    pub(crate) fn mono_ns(&self) -> u64 {
        self.beginning.elapsed().as_nanos() as u64
    }
}
