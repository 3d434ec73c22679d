//! Choosing elements at random.

/// A source of uniform numbers, from one seed: SplitMix64.
///
/// Not for secrets. Whoever answers a client seeds it from the store's own source.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A source whose numbers follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0. No number is likelier than another by more than
    /// `bound` in 2^64.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        debug_assert!(bound > 0);
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }
}

/// Chooses some of so many elements as they come by, every choice being equally likely (selection
/// sampling).
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    left: usize,
    wanted: usize,
}

impl Selection {
    /// Will choose `count` of `len` elements, or all if they are fewer.
    #[must_use]
    pub fn new(len: usize, count: usize) -> Self {
        Selection { left: len, wanted: count.min(len) }
    }

    /// Whether the next element is chosen.
    #[inline]
    pub fn takes_next(&mut self, random: &mut Random) -> bool {
        let taken = self.wanted > 0 && random.below(self.left.max(1)) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted -= usize::from(taken);
        taken
    }

    /// Whether all that were wanted have been chosen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.wanted == 0
    }
}

/// Chooses `count` of the `len` elements of an iterator, or all if they are fewer; in the order in
/// which they come. Every choice is equally likely.
pub fn choose<I: IntoIterator>(
    elements: I,
    len: usize,
    count: usize,
    random: &mut Random,
) -> impl Iterator<Item = I::Item> {
    let mut selection = Selection::new(len, count);
    let mut elements = elements.into_iter();
    std::iter::from_fn(move || {
        while !selection.is_complete() {
            let element = elements.next()?;
            if selection.takes_next(random) {
                return Some(element);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(1);
        let mut met = [0; 7];
        for _ in 0..7000 {
            met[random.below(7)] += 1;
        }
        assert!(met.iter().all(|&count| (850..1150).contains(&count)), "{met:?}");
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn every_choice_is_equally_likely() {
        let mut random = Random::new(2);
        let mut met = std::collections::BTreeMap::<Vec<u8>, u32>::new();
        for _ in 0..10_000 {
            *met.entry(choose(0..5_u8, 5, 2, &mut random).collect()).or_default() += 1;
        }
        assert_eq!(met.len(), 10);
        assert!(met.values().all(|count| (850..1150).contains(count)), "{met:?}");
        assert_eq!(choose(0..5, 5, 9, &mut random).count(), 5);
        assert_eq!(choose(0..5, 5, 0, &mut random).count(), 0);
    }
}
