//! The hash function of keys and members.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use ahash::RandomState;

static STATE: OnceLock<RandomState> = OnceLock::new();

/// The hash of `bytes` under keys that are random for each process, so that nobody can prepare
/// keys that collide. All 64 bits are usable.
#[inline]
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = STATE.get_or_init(random_state).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Makes [`hash`] a fixed function of `seed`, for reproducible runs. Effective only before the
/// first use of [`hash`] in the process; answers whether it was.
pub fn set_seed(seed: u64) -> bool {
    STATE.set(RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0x6b65_7679)).is_ok()
}

fn random_state() -> RandomState {
    // The standard library's keys come from the operating system.
    let random = std::hash::RandomState::new();
    RandomState::with_seeds(
        random.hash_one(0_u8),
        random.hash_one(1_u8),
        random.hash_one(2_u8),
        random.hash_one(3_u8),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of 1,024 values of a bit field over many similar keys stay within 5 sigma.
    fn assert_spread(shift: u32) {
        const KEYS: usize = 1 << 18;
        let mut counts = [0_f64; 1024];
        for i in 0..KEYS {
            let hash = hash(format!("key:{i:012}").as_bytes());
            counts[(hash >> shift) as usize % 1024] += 1.0;
        }
        let expected = KEYS as f64 / 1024.0;
        let chi: f64 = counts.iter().map(|c| (c - expected) * (c - expected) / expected).sum();
        // Chi-square with 1,023 degrees of freedom: mean 1,023, sigma 45.
        assert!((1023.0 - 5.0 * 45.3..1023.0 + 5.0 * 45.3).contains(&chi), "shift {shift}: {chi}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "statistics need many hashes and no pointers")]
    fn top_low_and_tag_bits_are_spread() {
        for shift in [54, 44, 34, 24, 8, 0] {
            assert_spread(shift);
        }
    }

    #[test]
    fn short_and_empty_keys_differ() {
        let mut hashes: Vec<_> = (0..=255_u8).map(|b| hash(&[b])).collect();
        hashes.push(hash(b""));
        hashes.push(hash(&[0, 0]));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 258);
    }
}
