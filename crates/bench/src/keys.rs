//! Which keys a load touches: random numbers and their distributions.

use anyhow::{Result, bail};
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use std::str::FromStr;

/// A distribution as the command line names it: `uniform` or `zipfian[:theta]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Every key equally often.
    Uniform,
    /// The key of rank `i` with a probability in proportion to `1 / i^theta`, `0 < theta < 1`.
    Zipfian(f64),
}

impl FromStr for Distribution {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, theta) = text.split_once(':').unwrap_or((text, "0.99"));
        match name {
            "uniform" => Ok(Self::Uniform),
            "zipfian" => match theta.parse::<f64>() {
                Ok(theta) if theta > 0.0 && theta < 1.0 => Ok(Self::Zipfian(theta)),
                _ => bail!("theta of zipfian must lie between 0 and 1, not '{theta}'"),
            },
            _ => bail!("unknown distribution '{text}': uniform or zipfian[:theta]"),
        }
    }
}

/// A reproducible source of key numbers below a bound.
pub struct KeySource {
    rng: SmallRng,
    keyspace: u64,
    zipfian: Option<Zipfian>,
}

impl KeySource {
    /// Numbers in `0..keyspace`; equal seeds give equal sequences. An empty keyspace gives zeros.
    pub fn new(distribution: Distribution, keyspace: u64, seed: u64) -> Self {
        let keyspace = keyspace.max(1);
        let zipfian = match distribution {
            Distribution::Uniform => None,
            Distribution::Zipfian(theta) => Some(Zipfian::new(keyspace, theta)),
        };
        Self { rng: SmallRng::seed_from_u64(seed), keyspace, zipfian }
    }

    /// The next key number by the distribution.
    #[inline]
    pub fn key(&mut self) -> u64 {
        let random = self.rng.next_u64();
        match &self.zipfian {
            None => below(random, self.keyspace),
            Some(zipfian) => zipfian.key(random),
        }
    }

    /// The next number of the keyspace, whatever the distribution is.
    #[inline]
    pub fn uniform(&mut self) -> u64 {
        below(self.rng.next_u64(), self.keyspace)
    }
}

/// Maps 64 random bits to `0..bound` without a division (bias below `bound / 2^64`).
#[inline]
fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// Zipfian ranks by the approximation of Gray et al., "Quickly generating billion-record
/// synthetic databases" (SIGMOD 1994), as YCSB uses it.
struct Zipfian {
    keyspace: u64,
    theta: f64,
    alpha: f64,
    zeta: f64,
    eta: f64,
    stride: u64,
}

impl Zipfian {
    fn new(keyspace: u64, theta: f64) -> Self {
        let zeta_of = |n: u64| (1..=n).map(|i| (i as f64).powf(-theta)).sum::<f64>();
        let zeta = zeta_of(keyspace);
        let eta = (1.0 - (2.0 / keyspace as f64).powf(1.0 - theta)) / (1.0 - zeta_of(2) / zeta);
        Self {
            keyspace,
            theta,
            alpha: 1.0 / (1.0 - theta),
            zeta,
            eta,
            stride: scattering_stride(keyspace),
        }
    }

    /// Rank 0 is the most frequent.
    fn rank(&self, random: u64) -> u64 {
        // 53 bits: as many as a double holds exactly.
        let u = (random >> 11) as f64 / (1u64 << 53) as f64;
        let uz = u * self.zeta;
        if uz < 1.0 {
            return 0;
        }
        if uz < 1.0 + 0.5f64.powf(self.theta) {
            return 1.min(self.keyspace - 1);
        }
        let rank = self.keyspace as f64 * (self.eta * u - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.keyspace - 1)
    }

    /// The frequent keys are scattered over the keyspace, each rank to a key of its own.
    fn key(&self, random: u64) -> u64 {
        let rank = u128::from(self.rank(random));
        (rank * u128::from(self.stride) % u128::from(self.keyspace)) as u64
    }
}

/// A multiplier that has no divisor in common with `keyspace`, so multiplying by it modulo
/// `keyspace` is a permutation.
fn scattering_stride(keyspace: u64) -> u64 {
    // The golden ratio spreads neighbouring ranks as far from each other as possible.
    let start = (keyspace as f64 * 0.618_033_988_749_894_9) as u64;
    (start.max(1)..).find(|&stride| gcd(stride, keyspace) == 1).unwrap_or(1)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(distribution: Distribution, keyspace: u64, draws: usize) -> Vec<u32> {
        let mut source = KeySource::new(distribution, keyspace, 7);
        let mut counts = vec![0; keyspace as usize];
        for _ in 0..draws {
            counts[source.key() as usize] += 1;
        }
        counts
    }

    #[test]
    fn names_of_distributions() {
        assert_eq!("uniform".parse::<Distribution>().unwrap(), Distribution::Uniform);
        assert_eq!("zipfian".parse::<Distribution>().unwrap(), Distribution::Zipfian(0.99));
        assert_eq!("zipfian:0.8".parse::<Distribution>().unwrap(), Distribution::Zipfian(0.8));
        for wrong in ["zipfian:1", "zipfian:x", "normal"] {
            assert!(wrong.parse::<Distribution>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn uniform_covers_the_keyspace_evenly() {
        for count in counts(Distribution::Uniform, 100, 100_000) {
            assert!((800..1200).contains(&count), "{count}");
        }
    }

    /// The frequencies of the first ranks follow 1 / rank^theta; the approximation is known to be
    /// exact for the first two and coarse for the next few.
    #[test]
    fn zipfian_frequencies_follow_the_law() {
        let (n, theta, draws) = (1000u64, 0.99, 1_000_000);
        let mut sorted = counts(Distribution::Zipfian(theta), n, draws);
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let zeta: f64 = (1..=n).map(|i| (i as f64).powf(-theta)).sum();
        let expect = |rank: i32| draws as f64 / zeta / f64::from(rank).powf(theta);
        for (rank, tolerance) in [(1, 0.02), (2, 0.02), (10, 0.15), (100, 0.15)] {
            let ratio = f64::from(sorted[rank as usize - 1]) / expect(rank);
            assert!((ratio - 1.0).abs() < tolerance, "rank {rank}: {ratio}");
        }
        let half: u32 = sorted[..30].iter().sum();
        assert!(f64::from(half) > 0.45 * draws as f64, "the head holds about half: {half}");
    }

    #[test]
    fn scattering_is_a_permutation() {
        for keyspace in [1u64, 2, 3, 10, 997, 1000, 65_536] {
            let stride = scattering_stride(keyspace);
            let mut seen = vec![false; keyspace as usize];
            for rank in 0..keyspace {
                let key = (rank * stride % keyspace) as usize;
                assert!(!std::mem::replace(&mut seen[key], true), "{keyspace}: {key} twice");
            }
        }
    }

    #[test]
    fn tiny_keyspaces_stay_in_range() {
        for keyspace in [0, 1, 2, 3] {
            for distribution in [Distribution::Uniform, Distribution::Zipfian(0.99)] {
                let mut source = KeySource::new(distribution, keyspace, 1);
                assert!((0..1000).all(|_| source.key() < keyspace.max(1)));
            }
        }
    }
}
