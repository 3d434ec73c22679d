//! A set of integers in one piece of memory, in Redis's *intset* format.
//!
//! ```text
//! width u32: 2, 4 or 8 | number of integers u32 | integers of that width, ascending
//! ```
//!
//! All numbers are little-endian. The format is that of `intset.c`, so dumps and RDB files hold
//! these bytes as they are. Bytes that come from elsewhere are examined by [`IntSetRef::check`].
//! The width is that of the widest integer that has been in the set; it never shrinks.

const HEAD: usize = 8;

/// Bytes that an integer needs: 2, 4 or 8.
#[inline]
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

/// A set of integers, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct IntSetRef<'a> {
    bytes: &'a [u8],
}

impl<'a> IntSetRef<'a> {
    /// Bytes that hold a set of integers: those of [`bytes`](Self::bytes), or
    /// [checked](Self::check).
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.len() >= HEAD && matches!(bytes[0], 2 | 4 | 8));
        IntSetRef { bytes }
    }

    /// Bytes from elsewhere; none if they are not a set of integers with at least one.
    #[must_use]
    pub fn check(bytes: &'a [u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (width, len) = (word(0)? as usize, word(4)? as usize);
        let body = len.checked_mul(width)?;
        if !matches!(width, 2 | 4 | 8) || len == 0 || bytes.len() - HEAD != body {
            return None;
        }
        let set = IntSetRef { bytes };
        (1..len).all(|at| set.at(at - 1) < set.at(at)).then_some(set)
    }

    /// The bytes of the whole set.
    #[inline]
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of each integer.
    #[inline]
    fn width(self) -> usize {
        self.bytes[0].into()
    }

    /// Number of integers.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        (self.bytes.len() - HEAD) / self.width()
    }

    /// Whether there is no integer.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bytes.len() == HEAD
    }

    /// The integer at `index`, which is below the length.
    #[inline]
    fn at(self, index: usize) -> i64 {
        let width = self.width();
        let field = &self.bytes[HEAD + index * width..][..width];
        match *field {
            [a, b] => i16::from_le_bytes([a, b]).into(),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
            _ => {
                let mut wide = [0; 8];
                wide[..width].copy_from_slice(field);
                i64::from_le_bytes(wide)
            }
        }
    }

    /// The integer at `index`, in ascending order.
    #[inline]
    #[must_use]
    pub fn get(self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// Where `value` is, or where it would be.
    fn search(self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Integers often come in ascending order, or are not in the range at all.
        match high.checked_sub(1).map(|last| self.at(last)) {
            None => return Err(0),
            Some(last) if value > last => return Err(high),
            Some(_) => {}
        }
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.at(middle).cmp(&value) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Whether `value` is in the set.
    #[inline]
    #[must_use]
    pub fn contains(self, value: i64) -> bool {
        width_of(value) <= self.width() && self.search(value).is_ok()
    }

    /// The integers in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + use<'a> {
        (0..self.len()).map(move |index| self.at(index))
    }

    /// A copy of the set.
    #[must_use]
    pub fn to_int_set(self) -> IntSet {
        IntSet { bytes: self.bytes.to_vec() }
    }
}

/// A set of integers with memory of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntSet {
    bytes: Vec<u8>,
}

impl Default for IntSet {
    fn default() -> Self {
        Self::new()
    }
}

impl IntSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        IntSet { bytes: vec![2, 0, 0, 0, 0, 0, 0, 0] }
    }

    /// The set for reading.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> IntSetRef<'_> {
        IntSetRef { bytes: &self.bytes }
    }

    /// Bytes held from the allocator.
    #[must_use]
    pub fn memory(&self) -> usize {
        crate::allocated(self.bytes.capacity())
    }

    /// Gives back the memory that is not needed.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Adds an integer; whether it was not there.
    pub fn insert(&mut self, value: i64) -> bool {
        self.widen(width_of(value));
        let Err(index) = self.as_ref().search(value) else { return false };
        let width = self.as_ref().width();
        let (start, end) = (HEAD + index * width, self.bytes.len());
        self.bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        if start < end {
            self.bytes.copy_within(start..end, start + width);
            self.bytes[start..start + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        self.settle();
        true
    }

    /// Removes an integer; whether it was there.
    pub fn remove(&mut self, value: i64) -> bool {
        let width = self.as_ref().width();
        let Ok(index) = self.as_ref().search(value) else { return false };
        let start = HEAD + index * width;
        self.bytes.drain(start..start + width);
        self.settle();
        true
    }

    /// Gives each integer at least `width` bytes.
    fn widen(&mut self, width: usize) {
        let old = self.as_ref();
        if width <= old.width() {
            return;
        }
        let mut bytes = Vec::with_capacity(HEAD + (old.len() + 1) * width);
        bytes.extend_from_slice(&[width as u8, 0, 0, 0, 0, 0, 0, 0]);
        old.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()[..width]));
        self.bytes = bytes;
        self.settle();
    }

    /// Brings the header up to date.
    fn settle(&mut self) {
        let len = self.as_ref().len() as u32;
        self.bytes[4..HEAD].copy_from_slice(&len.to_le_bytes());
    }
}

impl FromIterator<i64> for IntSet {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        let mut set = IntSet::new();
        for value in values {
            set.insert(value);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn bytes_are_those_of_an_intset() {
        // Recorded from redis-server 7.0: DUMP of sets of these members.
        let narrow: IntSet = [3, 1, -2].into_iter().collect();
        let expected = b"\x02\0\0\0\x03\0\0\0\xfe\xff\x01\0\x03\0";
        assert_eq!(narrow.as_ref().bytes(), expected);
        let wide: IntSet = [1, 70_000, -5].into_iter().collect();
        let expected = b"\x04\0\0\0\x03\0\0\0\xfb\xff\xff\xff\x01\0\0\0\x70\x11\x01\0";
        assert_eq!(wide.as_ref().bytes(), expected);
        assert!(IntSetRef::check(expected).is_some());
    }

    #[test]
    fn widths_grow_and_stay() {
        let mut set: IntSet = [1, 2].into_iter().collect();
        for (value, width) in [(-32_769, 4), (i64::MIN, 8), (i64::MAX, 8), (5, 8)] {
            assert!(!set.as_ref().contains(value));
            assert!(set.insert(value) && !set.insert(value));
            assert_eq!(set.as_ref().width(), width);
        }
        for value in [i64::MIN, i64::MAX, -32_769] {
            assert!(set.remove(value) && !set.remove(value));
        }
        assert_eq!(set.as_ref().iter().collect::<Vec<_>>(), [1, 2, 5]);
        assert_eq!(set.as_ref().width(), 8);
    }

    #[test]
    fn disorder_and_wrong_sizes_are_refused() {
        let refused: [&[u8]; 7] = [
            b"",
            b"\x02\0\0\0\0\0\0\0",
            b"\x03\0\0\0\x01\0\0\0\x01\x02\x03",
            b"\x02\0\0\0\x02\0\0\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0",
            b"\x02\0\0\0\xff\xff\xff\xff\x01\0",
        ];
        for bytes in refused {
            assert!(IntSetRef::check(bytes).is_none(), "{bytes:?}");
        }
    }

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20..20_i64,
            -40_000..40_000_i64,
            any::<i32>().prop_map(i64::from),
            any::<i64>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn behaves_as_an_ordered_set(
            steps in proptest::collection::vec((0u8..3, value()), 1..120)
        ) {
            let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
            for (step, value) in steps {
                match step {
                    0 => prop_assert_eq!(set.remove(value), model.remove(&value)),
                    1 => prop_assert_eq!(set.as_ref().contains(value), model.contains(&value)),
                    _ => prop_assert_eq!(set.insert(value), model.insert(value)),
                }
                let view = set.as_ref();
                prop_assert_eq!(view.len(), model.len());
                prop_assert!(view.iter().eq(model.iter().copied()));
                prop_assert_eq!(IntSetRef::check(view.bytes()).is_some(), !model.is_empty());
                prop_assert_eq!(view.get(0), model.first().copied());
                prop_assert_eq!(view.get(model.len()), None);
            }
        }
    }
}
