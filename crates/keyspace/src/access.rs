//! The access clock of a record: when it was last used or, under an LFU policy, how often.
//!
//! Its 24 bits are the seconds of the last use, as Redis' LRU clock, or from the low bits a
//! logarithmic counter of uses (8) and the minutes of the last use (16). When the policy changes,
//! what stands there is read in the new sense until the key is used again, as in Redis.

/// How uses of keys are counted for the LFU policies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lfu {
    /// How much rarer each further count gets; 0: every use counts (`lfu-log-factor`).
    pub log_factor: u32,
    /// Minutes without use that take one off the counter; 0: nothing does (`lfu-decay-time`).
    pub decay_minutes: u32,
}

/// What the access clock of a key is to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage {
    /// Seconds since the last use.
    Idle(u64),
    /// The logarithmic counter of uses.
    Frequency(u8),
}

/// The clock that tells so; none if it tells something else under the present policy.
pub(crate) fn told(lfu: Option<Lfu>, now_ms: i64, usage: Usage) -> Option<u32> {
    match (lfu, usage) {
        (None, Usage::Idle(idle)) => {
            let idle = u32::try_from(idle).unwrap_or(CLOCK_MAX).min(CLOCK_MAX);
            Some(seconds(now_ms).wrapping_sub(idle))
        }
        (Some(_), Usage::Frequency(counter)) => Some(joined(now_ms, counter)),
        _ => None,
    }
}

/// The largest number that the clock holds.
const CLOCK_MAX: u32 = (1 << 24) - 1;

/// The counter of a new key: it outlasts keys that have not been used for a while.
const NEW: u8 = 5;

/// The clock of a key that comes into being.
#[inline]
pub(crate) fn new(lfu: Option<Lfu>, now_ms: i64) -> u32 {
    match lfu {
        None => seconds(now_ms),
        Some(_) => joined(now_ms, NEW),
    }
}

/// The clock of a key that is used, before which it had `clock`. `random` is called at most once,
/// for a number uniform in all 64 bits.
#[inline]
pub(crate) fn used(lfu: Option<Lfu>, clock: u32, now_ms: i64, random: impl FnOnce() -> u64) -> u32 {
    match lfu {
        None => seconds(now_ms),
        Some(lfu) => lfu.used(clock, now_ms, random()),
    }
}

#[inline]
fn seconds(now_ms: i64) -> u32 {
    (now_ms / 1000) as u32
}

fn minutes(now_ms: i64) -> u16 {
    (now_ms / 60_000) as u16
}

fn joined(now_ms: i64, counter: u8) -> u32 {
    u32::from(minutes(now_ms)) << 8 | u32::from(counter)
}

impl Lfu {
    /// The counter of uses in an access clock, less what has decayed until now.
    #[must_use]
    pub fn frequency(self, clock: u32, now_ms: i64) -> u8 {
        let counter = clock as u8;
        let elapsed = minutes(now_ms).wrapping_sub((clock >> 8) as u16);
        // Without a decay time there is no division, and nothing to take off.
        let decayed = u32::from(elapsed).checked_div(self.decay_minutes).unwrap_or(0);
        counter.saturating_sub(u8::try_from(decayed).unwrap_or(u8::MAX))
    }

    /// Decays the counter, then adds one with a probability that falls with each count.
    #[cold]
    fn used(self, clock: u32, now_ms: i64, random: u64) -> u32 {
        let counter = self.frequency(clock, now_ms);
        let one_in = u64::from(counter.saturating_sub(NEW)) * u64::from(self.log_factor) + 1;
        let counts = random <= u64::MAX / one_in;
        joined(now_ms, counter.saturating_add(u8::from(counts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const LFU: Lfu = Lfu { log_factor: 10, decay_minutes: 1 };

    #[test]
    fn without_lfu_the_clock_is_seconds() {
        let random = || unreachable!("nothing is left to chance");
        assert_eq!(new(None, 7_999), 7);
        assert_eq!(used(None, 7, 12_000, random), 12);
    }

    #[test]
    fn new_keys_start_at_five_and_decay_to_zero() {
        let now = 100 * MINUTE;
        let clock = new(Some(LFU), now);
        assert_eq!(clock, 100 << 8 | 5);
        let after = |minutes| LFU.frequency(clock, now + minutes * MINUTE);
        assert_eq!([0, 1, 4, 5, 6, 1_000].map(after), [5, 4, 1, 0, 0, 0]);
    }

    #[test]
    fn decay_follows_its_time() {
        let clock = 100 << 8 | 200;
        let after = |decay_minutes, minutes: i64| {
            Lfu { decay_minutes, ..LFU }.frequency(clock, (100 + minutes) * MINUTE)
        };
        assert_eq!((after(10, 9), after(10, 10), after(10, 95)), (200, 199, 191));
        assert_eq!(after(0, 60_000), 200);
    }

    #[test]
    fn minutes_begin_again_after_sixteen_bits() {
        let clock = new(Some(LFU), 65_535 * MINUTE);
        assert_eq!(LFU.frequency(clock, 65_537 * MINUTE), 3);
    }

    #[test]
    fn a_clock_can_be_told() {
        let now = 10_000_000 * 1000;
        assert_eq!(told(None, now, Usage::Idle(7)), Some(9_999_993));
        let far = told(None, now, Usage::Idle(u64::MAX));
        assert_eq!(far.map(|clock| clock & CLOCK_MAX), Some((10_000_000 + 1) & CLOCK_MAX));
        assert_eq!(told(None, now, Usage::Frequency(7)), None);
        assert_eq!(told(Some(LFU), now, Usage::Idle(7)), None);
        let clock = told(Some(LFU), now, Usage::Frequency(200));
        assert_eq!(clock.map(|clock| LFU.frequency(clock, now)), Some(200));
    }

    #[test]
    fn uses_count_ever_more_rarely() {
        let chance = |counter: u32, random| LFU.used(counter, 0, random) - counter == 1;
        // Up to the start every use counts; six counts one time in eleven.
        assert!(chance(0, u64::MAX) && chance(5, u64::MAX));
        assert!(chance(6, u64::MAX / 11) && !chance(6, u64::MAX / 11 + 1));
        assert!(chance(254, 0));
        assert_eq!(LFU.used(255, 0, 0), 255);
        let always = Lfu { log_factor: 0, ..LFU };
        assert_eq!(always.used(200, 0, u64::MAX), 201);
        let hardly = Lfu { log_factor: u32::MAX, ..LFU };
        assert_eq!(hardly.used(200, 0, u64::MAX / 2), 200);
    }

    #[test]
    fn a_use_decays_before_it_counts() {
        let clock = used(Some(LFU), 100 << 8 | 9, 103 * MINUTE, || 0);
        assert_eq!(clock, 103 << 8 | 7);
    }
}
