//! From registers to a number: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (arXiv:1702.01284), with the operations in Redis's order, so that the results are
//! equal to the last bit.

use super::REGISTERS;

/// Bits of a hash behind those that choose the register.
const Q: usize = 50;
const M: f64 = REGISTERS as f64;
/// 1 / (2 ln 2)
#[expect(clippy::excessive_precision, reason = "as it stands in the literature")]
const ALPHA: f64 = 0.721_347_520_444_481_703_680;

/// How many registers have each value.
pub(super) struct Histogram([usize; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 64])
    }
}

impl Histogram {
    #[inline]
    pub(super) fn add(&mut self, rank: u8, count: usize) {
        self.0[usize::from(rank & 63)] += count;
    }

    pub(super) fn estimate(&self) -> u64 {
        let count = |rank: usize| self.0[rank] as f64;
        let mut z = M * tau((M - count(Q + 1)) / M);
        for rank in (1..=Q).rev() {
            z += count(rank);
            z *= 0.5;
        }
        z += M * sigma(count(0) / M);
        rounded(ALPHA * M * M / z)
    }
}

/// The nearest integer. Registers that no elements make can give an infinite number, for which
/// Redis's conversion answers the smallest integer.
fn rounded(estimate: f64) -> u64 {
    let rounded = estimate.round();
    if rounded < 9.2e18 { rounded as u64 } else { 1 << 63 }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
