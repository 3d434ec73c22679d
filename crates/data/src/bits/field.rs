//! Integers of any width at any bit position, as `BITFIELD` has them.

/// What becomes of a number that a field cannot hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overflow {
    /// Its low bits are kept.
    #[default]
    Wrap,
    /// The nearest number that the field can hold takes its place.
    Saturate,
    /// The field is left alone.
    Fail,
}

/// The type and place of an integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    signed: bool,
    /// 1 to 63; 64 if signed.
    bits: u32,
    /// In bits from the string's beginning.
    offset: u64,
}

impl Field {
    /// A field of `bits` bits at the bit `offset`; none if there is no such type.
    #[must_use]
    pub fn new(signed: bool, bits: u32, offset: u64) -> Option<Self> {
        let most = if signed { 64 } else { 63 };
        (1..=most).contains(&bits).then_some(Self { signed, bits, offset })
    }

    /// How many bytes a string must have to contain it.
    #[must_use]
    pub fn end(&self) -> u64 {
        (self.offset + u64::from(self.bits)).div_ceil(8)
    }

    /// The number; bits beyond the end of `bytes` are zero.
    #[must_use]
    pub fn get(&self, bytes: &[u8]) -> i64 {
        let start = usize::try_from(self.offset >> 3).unwrap_or(usize::MAX).min(bytes.len());
        let held = &bytes[start..bytes.len().min(start.saturating_add(WINDOW))];
        let mut window = [0; 16];
        window[..held.len()].copy_from_slice(held);
        let aligned = u128::from_be_bytes(window) << (self.offset & 7);
        self.number((aligned >> (128 - self.bits)) as u64)
    }

    /// Writes the number, of which the low bits count. The field must lie within `bytes`.
    ///
    /// # Panics
    /// If it does not.
    pub fn set(&self, bytes: &mut [u8], value: i64) {
        let start = (self.offset >> 3) as usize;
        let end = bytes.len().min(start + WINDOW);
        let held = &mut bytes[start..end];
        let mut window = [0; 16];
        window[..held.len()].copy_from_slice(held);
        let shift = 128 - self.bits - (self.offset & 7) as u32;
        let mask = (u128::MAX >> (128 - self.bits)) << shift;
        let value = (u128::from(value as u64) << shift) & mask;
        let window = ((u128::from_be_bytes(window) & !mask) | value).to_be_bytes();
        held.copy_from_slice(&window[..held.len()]);
    }

    /// What stands in the field after `value` was to be set; none if it is left alone.
    #[must_use]
    pub fn fit(&self, value: i64, overflow: Overflow) -> Option<i64> {
        // Redis takes the number for an unsigned field by its bits, so a negative one is too large.
        let exact = if self.signed { i128::from(value) } else { i128::from(value as u64) };
        // For a signed field Redis subtracts the number from the greatest one in 64 bits, and takes
        // a number so small that this overflows for one that is too large.
        let too_small_to_tell =
            self.signed && self.max() - exact > i128::from(i64::MAX) && self.bits < 64;
        self.fit_exact(if too_small_to_tell { self.beyond(exact) } else { exact }, overflow)
    }

    /// What stands in the field after `increment` was added to `held`; none if it is left alone.
    #[must_use]
    pub fn add(&self, held: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        self.fit_exact(i128::from(held) + i128::from(increment), overflow)
    }

    /// A number above the greatest one with the same low bits.
    fn beyond(&self, exact: i128) -> i128 {
        exact + (1 << 66)
    }

    fn fit_exact(&self, exact: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = (self.min(), self.max());
        if (min..=max).contains(&exact) {
            return Some(exact as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.number(exact as u64)),
            Overflow::Saturate => Some(exact.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }

    fn max(&self) -> i128 {
        (1 << (self.bits - u32::from(self.signed))) - 1
    }

    fn min(&self) -> i128 {
        if self.signed { -self.max() - 1 } else { 0 }
    }

    /// The number that the low bits are.
    fn number(&self, bits: u64) -> i64 {
        let unused = 64 - self.bits;
        let high = bits << unused;
        if self.signed { (high as i64) >> unused } else { (high >> unused) as i64 }
    }
}

/// The bytes that a field of 64 bits can touch.
const WINDOW: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn field(signed: bool, bits: u32, offset: u64) -> Field {
        Field::new(signed, bits, offset).expect("a field")
    }

    #[test]
    fn types_have_their_limits() {
        assert!(Field::new(false, 64, 0).is_none() && Field::new(true, 64, 0).is_some());
        assert!(Field::new(true, 65, 0).is_none() && Field::new(true, 0, 0).is_none());
        assert_eq!(field(false, 8, 1).end(), 2);
        assert_eq!(field(true, 64, 8).end(), 9);
    }

    #[test]
    fn overflow_has_three_ways() {
        let signed = field(true, 8, 0);
        assert_eq!(signed.add(100, 100, Overflow::Wrap), Some(-56));
        assert_eq!(signed.add(100, 100, Overflow::Saturate), Some(127));
        assert_eq!(signed.add(-100, -100, Overflow::Saturate), Some(-128));
        assert_eq!(signed.add(100, 100, Overflow::Fail), None);
        assert_eq!(signed.add(100, 27, Overflow::Fail), Some(127));
        let unsigned = field(false, 8, 0);
        assert_eq!(unsigned.add(200, 100, Overflow::Wrap), Some(44));
        assert_eq!(unsigned.add(5, -10, Overflow::Saturate), Some(0));
        assert_eq!(unsigned.fit(-1, Overflow::Saturate), Some(255));
        assert_eq!(unsigned.fit(-1, Overflow::Wrap), Some(255));
        let widest = field(true, 64, 0);
        assert_eq!(widest.add(i64::MAX, 1, Overflow::Wrap), Some(i64::MIN));
        assert_eq!(widest.add(i64::MIN, -1, Overflow::Saturate), Some(i64::MIN));
        assert_eq!(widest.fit(i64::MIN, Overflow::Fail), Some(i64::MIN));
    }

    #[test]
    fn the_smallest_numbers_saturate_upwards_as_in_redis() {
        let byte = field(true, 8, 0);
        assert_eq!(byte.fit(i64::MIN, Overflow::Saturate), Some(127));
        assert_eq!(byte.fit(i64::MIN + 127, Overflow::Saturate), Some(127));
        assert_eq!(byte.fit(i64::MIN + 128, Overflow::Saturate), Some(-128));
        assert_eq!(byte.fit(i64::MIN, Overflow::Wrap), Some(0));
    }

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 8 } else { 500 },
            rng_seed: RngSeed::Fixed(12),
            failure_persistence: None,
            ..Config::default()
        })]

        #[test]
        fn a_field_is_its_bits(
            mut bytes in prop::collection::vec(any::<u8>(), 0..24),
            signed in any::<bool>(),
            bits in 1_u32..64,
            offset in 0_u64..200,
            value in any::<i64>(),
        ) {
            let field = field(signed, bits, offset);
            let read = |bytes: &[u8]| {
                let high = u64::from(signed && bits::get(bytes, offset)).wrapping_neg();
                let place = |number, at| number << 1 | u64::from(bits::get(bytes, offset + at));
                (0..u64::from(bits)).fold(high, place) as i64
            };
            prop_assert_eq!(field.get(&bytes), read(&bytes));
            bytes.resize(bytes.len().max(field.end() as usize), 0x5a);
            let before = bytes.clone();
            field.set(&mut bytes, value);
            prop_assert_eq!(field.get(&bytes), field.number(value as u64));
            for at in 0..bytes.len() as u64 * 8 {
                let inside = (offset..offset + u64::from(bits)).contains(&at);
                prop_assert!(inside || bits::get(&bytes, at) == bits::get(&before, at));
            }
        }
    }
}
