//! The longest common subsequence of two strings.

/// A run of equal bytes in both strings; positions of its first and last byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Match {
    /// First and last position in the first string.
    pub(crate) a: (usize, usize),
    /// First and last position in the second string.
    pub(crate) b: (usize, usize),
}

impl Match {
    /// Number of bytes.
    pub(crate) const fn len(&self) -> usize {
        self.a.1 - self.a.0 + 1
    }
}

/// Which prefixes have the longer common subsequence, one bit for each pair of positions.
///
/// The lengths themselves are needed one row at a time only; the way back is told by this bit and
/// by the bytes. So it takes `a.len() × b.len()` bits.
#[derive(Debug)]
pub(crate) struct Ways {
    /// Set where leaving out the byte of `a` loses less than leaving out that of `b`.
    shorten_a: Vec<u64>,
    width: usize,
    /// The length of the longest common subsequence.
    pub(crate) len: usize,
}

/// The length alone.
pub(crate) fn length(a: &[u8], b: &[u8]) -> usize {
    rows(a, b, |_, _| {})
}

/// The length and the way to find the subsequence; `None` if memory is short.
pub(crate) fn ways(a: &[u8], b: &[u8]) -> Option<Ways> {
    let words = (a.len().checked_mul(b.len())?).div_ceil(64);
    let mut shorten_a = Vec::new();
    shorten_a.try_reserve_exact(words).ok()?;
    shorten_a.resize(words, 0);
    let mut ways = Ways { shorten_a, width: b.len(), len: 0 };
    ways.len = rows(a, b, |i, j| {
        let bit = i * b.len() + j;
        ways.shorten_a[bit / 64] |= 1 << (bit % 64);
    });
    Some(ways)
}

/// Fills the table of lengths row by row and calls `longer_above` where the entry above is longer
/// than the entry to the left.
fn rows(a: &[u8], b: &[u8], mut longer_above: impl FnMut(usize, usize)) -> usize {
    let mut row = vec![0_u32; b.len() + 1];
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let (above, left) = (row[j + 1], row[j]);
            if above > left {
                longer_above(i, j);
            }
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(left) };
            diagonal = above;
        }
    }
    row[b.len()] as usize
}

impl Ways {
    /// The matching runs, from the last to the first.
    pub(crate) fn matches(&self, a: &[u8], b: &[u8]) -> Vec<Match> {
        let (mut i, mut j) = (a.len(), b.len());
        let mut found: Vec<Match> = Vec::new();
        while i > 0 && j > 0 {
            if a[i - 1] != b[j - 1] {
                if self.shortens_a(i - 1, j - 1) {
                    i -= 1
                } else {
                    j -= 1
                }
                continue;
            }
            (i, j) = (i - 1, j - 1);
            match found.last_mut() {
                Some(run) if (run.a.0, run.b.0) == (i + 1, j + 1) => (run.a.0, run.b.0) = (i, j),
                _ => found.push(Match { a: (i, i), b: (j, j) }),
            }
        }
        found
    }

    /// The subsequence itself.
    pub(crate) fn subsequence(&self, a: &[u8], b: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        for run in self.matches(a, b).iter().rev() {
            bytes.extend_from_slice(&a[run.a.0..=run.a.1]);
        }
        bytes
    }

    fn shortens_a(&self, i: usize, j: usize) -> bool {
        let bit = i * self.width + j;
        self.shorten_a[bit / 64] >> (bit % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, for short strings.
    fn model(a: &[u8], b: &[u8]) -> usize {
        match (a, b) {
            ([], _) | (_, []) => 0,
            ([x, a @ ..], [y, b @ ..]) if x == y => 1 + model(a, b),
            ([_, shorter @ ..], [_, rest @ ..]) => model(shorter, b).max(model(a, rest)),
        }
    }

    fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
        let mut rest = whole.iter();
        part.iter().all(|byte| rest.any(|other| other == byte))
    }

    proptest! {
        #![proptest_config(crate::test::config(300))]
        #[test]
        fn it_is_common_and_longest(a in "[abc]{0,8}", b in "[abc]{0,8}") {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let ways = ways(a, b).unwrap();
            let common = ways.subsequence(a, b);
            prop_assert!(is_subsequence(&common, a) && is_subsequence(&common, b));
            prop_assert_eq!(common.len(), model(a, b));
            prop_assert_eq!((ways.len, length(a, b)), (common.len(), common.len()));
            prop_assert_eq!(ways.matches(a, b).iter().map(Match::len).sum::<usize>(), ways.len);
        }
    }
}
