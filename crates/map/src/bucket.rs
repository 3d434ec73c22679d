//! One bucket: seven slots and a word that says everything about them.

use std::mem::MaybeUninit;

use crate::geometry::SLOTS;

/// One bit at the top of each of the seven tag bytes.
const TOPS: u64 = 0x0080_8080_8080_8080;
/// A one in each of the seven tag bytes.
const ONES: u64 = 0x0001_0101_0101_0101;
/// First of the seven guest bits.
const GUEST_SHIFT: u32 = 56;
const GUESTS: u64 = 0x7f << GUEST_SHIFT;
const STASHED: u64 = 1 << 63;

/// Seven slots behind a control word; 64 bytes and one cache line for 8-byte `T`.
///
/// The word, from the low end: seven tag bytes (0 marks a free slot), seven *guest* bits (the
/// element belongs to the preceding bucket, which was full), and the *stashed* bit (elements that
/// belong here lie in the segment's stash).
///
/// Invariant: slot `i` is initialised exactly when tag byte `i` is not 0.
///
/// All zeros is an empty bucket.
#[repr(C, align(64))]
pub(crate) struct Bucket<T> {
    word: u64,
    slots: [MaybeUninit<T>; SLOTS],
}

impl<T> Bucket<T> {
    /// Occupied slots whose tag is `tag`, which is not 0.
    #[inline]
    pub(crate) fn matches(&self, tag: u8) -> Slots {
        Slots(zero_bytes(self.word ^ (u64::from(tag) * ONES)))
    }

    /// All occupied slots.
    #[inline]
    pub(crate) fn occupied(&self) -> Slots {
        Slots(!zero_bytes(self.word) & TOPS)
    }

    /// Occupied slots whose elements belong to this bucket.
    pub(crate) fn own(&self) -> impl Iterator<Item = usize> + use<T> {
        let guests = self.word & GUESTS;
        self.occupied().filter(move |slot| guests >> (GUEST_SHIFT as usize + slot) & 1 == 0)
    }

    /// Occupied slots whose elements belong to the preceding bucket.
    pub(crate) fn guests(&self) -> impl Iterator<Item = usize> + use<T> {
        let guests = (self.word & GUESTS) >> GUEST_SHIFT;
        (0..SLOTS).filter(move |slot| guests >> slot & 1 == 1)
    }

    pub(crate) fn first_guest(&self) -> Option<usize> {
        let guests = (self.word & GUESTS) >> GUEST_SHIFT;
        (guests != 0).then(|| guests.trailing_zeros() as usize)
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        zero_bytes(self.word) == 0
    }

    pub(crate) fn is_guest(&self, slot: usize) -> bool {
        self.word >> (GUEST_SHIFT as usize + slot) & 1 == 1
    }

    #[inline]
    pub(crate) fn is_stashed(&self) -> bool {
        self.word & STASHED != 0
    }

    pub(crate) fn set_stashed(&mut self, stashed: bool) {
        self.word = self.word & !STASHED | if stashed { STASHED } else { 0 };
    }

    /// The tag of `slot`, 0 if it is free.
    #[inline]
    pub(crate) fn tag(&self, slot: usize) -> u8 {
        debug_assert!(slot < SLOTS);
        (self.word >> (8 * slot)) as u8
    }

    /// Lowest free slot.
    #[inline]
    pub(crate) fn free(&self) -> Option<usize> {
        Slots(zero_bytes(self.word)).next()
    }

    #[inline]
    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        if self.tag(slot) == 0 {
            return None;
        }
        // SAFETY: 1. the tag is not 0, so by the invariant the slot is initialised;
        // 2. the reference borrows `self`, so nothing moves the element out meanwhile.
        Some(unsafe { self.slots[slot].assume_init_ref() })
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        if self.tag(slot) == 0 {
            return None;
        }
        // SAFETY: 1. the tag is not 0, so by the invariant the slot is initialised;
        // 2. the reference borrows `self` mutably, so it is the only one.
        Some(unsafe { self.slots[slot].assume_init_mut() })
    }

    /// Fills the free slot `slot`.
    #[inline]
    pub(crate) fn put(&mut self, slot: usize, tag: u8, guest: bool, value: T) {
        debug_assert!(tag != 0 && self.tag(slot) == 0);
        self.slots[slot].write(value);
        self.word |=
            u64::from(tag) << (8 * slot) | u64::from(guest) << (GUEST_SHIFT as usize + slot);
    }

    /// Takes the element out of `slot`, with its tag.
    #[inline]
    pub(crate) fn take(&mut self, slot: usize) -> Option<(u8, T)> {
        let tag = self.tag(slot);
        if tag == 0 {
            return None;
        }
        self.word &= !(0xff << (8 * slot) | 1 << (GUEST_SHIFT as usize + slot));
        // SAFETY: 1. the tag was not 0, so by the invariant the slot was initialised;
        // 2. the tag is 0 now, so the slot counts as free and is never read or dropped again.
        Some((tag, unsafe { self.slots[slot].assume_init_read() }))
    }
}

impl<T> Drop for Bucket<T> {
    fn drop(&mut self) {
        if std::mem::needs_drop::<T>() {
            for slot in self.occupied() {
                drop(self.take(slot));
            }
        }
    }
}

/// A set of slots: bit `8·i + 7` for slot `i`; iterates in ascending order.
#[derive(Clone, Copy)]
pub(crate) struct Slots(u64);

impl Iterator for Slots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

/// The top bit of each tag byte that is 0. Exact: no carry passes from one byte to the next.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    let low = TOPS - ONES; // 0x7f in each tag byte
    let nonzero = ((word & low) + low) | word;
    !nonzero & TOPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty<T>() -> Bucket<T> {
        Bucket { word: 0, slots: [const { MaybeUninit::uninit() }; SLOTS] }
    }

    #[test]
    fn a_bucket_of_pointers_is_one_cache_line() {
        assert_eq!(size_of::<Bucket<Box<u8>>>(), 64);
        assert_eq!(align_of::<Bucket<Box<u8>>>(), 64);
    }

    #[test]
    fn zero_bytes_are_found_exactly() {
        // The simple algorithm, slot by slot, is the oracle.
        let mut state = 7_u64;
        for _ in 0..if cfg!(miri) { 200 } else { 10_000 } {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let word = state ^ (state >> 29);
            let word = word & if state & 1 == 0 { 0xff00_80ff_00ff_0100 } else { u64::MAX };
            let slow: Vec<_> = (0..SLOTS).filter(|i| (word >> (8 * i)) as u8 == 0).collect();
            assert_eq!(Slots(zero_bytes(word)).collect::<Vec<_>>(), slow, "{word:016x}");
        }
    }

    #[test]
    fn elements_go_in_and_out_and_the_rest_is_dropped_once() {
        let counted = std::rc::Rc::new(());
        let mut bucket = empty();
        for slot in 0..SLOTS {
            assert_eq!(bucket.free(), Some(slot));
            bucket.put(slot, slot as u8 + 1, slot % 2 == 1, counted.clone());
        }
        bucket.set_stashed(true);
        assert!(bucket.is_full() && bucket.is_stashed());
        assert_eq!(bucket.guests().collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(bucket.own().collect::<Vec<_>>(), [0, 2, 4, 6]);
        assert_eq!(bucket.matches(4).collect::<Vec<_>>(), [3]);
        assert!(bucket.take(3).is_some_and(|(tag, _)| tag == 4));
        assert!(bucket.take(3).is_none() && bucket.get(3).is_none() && !bucket.is_guest(3));
        assert_eq!(bucket.free(), Some(3));
        assert_eq!(std::rc::Rc::strong_count(&counted), 1 + SLOTS - 1);
        drop(bucket);
        assert_eq!(std::rc::Rc::strong_count(&counted), 1);
    }
}
