//! A segment: a run of buckets that covers one prefix of the hash space and grows on its own.
//!
//! An element lies in its *home* bucket if there is room, else as a *guest* in the next bucket
//! (wrapping around), else in the *stash*, a plain list. Invariant, which ends most look-ups after
//! one cache line: **if a bucket has a free slot, then none of its elements lie elsewhere.**
//!
//! Which bucket an element belongs to is known without its hash: its place and the guest bit say
//! it, and the stash records it. So removals, scans and merges never touch what elements point to.

use std::ptr::NonNull;

use crate::bucket::Bucket;
use crate::geometry::{BASE_BUCKETS, FIRST_DEPTH, SLOTS, TOP_BUCKETS, limit, shrink_limit};

/// Full buckets that an insertion looks past to make room beside the home bucket. With 3, one
/// element in 80 of a segment at its limit ends in the stash; with 0, one in 24; with 8, one in
/// 140, but insertions then touch more lines than that saves.
const MOST_SHIFTS: u32 = 3;

/// Where an element of a segment lies; valid until the segment changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Slot { bucket: u32, slot: u8 },
    Stash(u32),
}

/// An element that found no room in its bucket nor beside it.
pub(crate) struct Stashed<T> {
    home: u32,
    tag: u8,
    value: T,
}

pub(crate) struct Segment<T> {
    /// Owned allocation of `size` buckets. A raw pointer, as the directory holds copies of it.
    buckets: NonNull<Bucket<T>>,
    size: u32,
    depth: u32,
    count: u32,
    /// Growth is due when `count` reaches this.
    limit: u32,
    /// Shrinking may be due when `count` falls to this.
    low: u32,
    /// Epoch of the last walk that has handed over this segment.
    pub(crate) walked: u32,
    stash: Vec<Stashed<T>>,
}

impl<T> Segment<T> {
    /// An empty segment of `size` buckets (at least 1) for a prefix of `depth` bits.
    pub(crate) fn new(size: u32, depth: u32, walked: u32) -> Box<Self> {
        debug_assert!(size > 0);
        let buckets = Box::<[Bucket<T>]>::new_zeroed_slice(size as usize);
        // SAFETY: all zeros is a valid bucket: the word is an integer, its seven tags say that no
        // slot is initialised, and the slots are `MaybeUninit`.
        let buckets = unsafe { buckets.assume_init() };
        // SAFETY: a box is never null.
        let buckets = unsafe { NonNull::new_unchecked(Box::into_raw(buckets).cast()) };
        let low = match Self::shrunk(size, depth) {
            Some(size) => shrink_limit(size),
            // Two siblings merge when their sum allows it; one of them may hold a little more.
            None if depth > FIRST_DEPTH => shrink_limit(BASE_BUCKETS) * 5 / 8,
            None => 0,
        };
        Box::new(Self {
            buckets,
            size,
            depth,
            count: 0,
            limit: limit(size),
            low,
            walked,
            stash: Vec::new(),
        })
    }

    /// The size to which a segment of `size` buckets shrinks by itself, a divisor of `size`.
    /// Otherwise it waits for its sibling, which one of the first segments never does.
    fn shrunk(size: u32, depth: u32) -> Option<u32> {
        match size {
            1 | 2 => None,
            3 => Some(1),
            _ => (depth <= FIRST_DEPTH || size > TOP_BUCKETS).then_some(size / 2),
        }
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn buckets_pointer(&self) -> NonNull<Bucket<T>> {
        self.buckets
    }

    #[inline]
    pub(crate) fn is_at_limit(&self) -> bool {
        self.count >= self.limit
    }

    /// No growth can help any more: what does not fit goes to the stash.
    pub(crate) fn lift_limit(&mut self) {
        self.limit = u32::MAX;
    }

    #[inline]
    pub(crate) fn is_low(&self) -> bool {
        self.count <= self.low
    }

    /// The size this segment should shrink to by itself now.
    pub(crate) fn due_shrink(&self) -> Option<u32> {
        Self::shrunk(self.size, self.depth).filter(|&size| self.count <= shrink_limit(size))
    }

    /// Bytes allocated for this segment.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.size as usize * size_of::<Bucket<T>>() + self.stash_memory()
    }

    pub(crate) fn stash_memory(&self) -> usize {
        self.stash.capacity() * size_of::<Stashed<T>>()
    }

    #[inline]
    pub(crate) fn buckets(&self) -> &[Bucket<T>] {
        // SAFETY: 1. `buckets` points to `size` initialised buckets that `self` owns until it is
        // dropped; 2. they change only through `&mut self`, which the borrow excludes.
        unsafe { std::slice::from_raw_parts(self.buckets.as_ptr(), self.size as usize) }
    }

    #[inline]
    fn buckets_mut(&mut self) -> &mut [Bucket<T>] {
        // SAFETY: 1. `buckets` points to `size` initialised buckets that `self` owns until it is
        // dropped; 2. the directory's copies of the pointer are only used while the directory is
        // borrowed shared, which excludes this `&mut self`, reached through the directory.
        unsafe { std::slice::from_raw_parts_mut(self.buckets.as_ptr(), self.size as usize) }
    }

    fn bucket_mut(&mut self, bucket: u32) -> &mut Bucket<T> {
        &mut self.buckets_mut()[bucket as usize]
    }

    fn bucket(&self, bucket: u32) -> &Bucket<T> {
        &self.buckets()[bucket as usize]
    }

    #[inline]
    fn after(&self, bucket: u32) -> u32 {
        if bucket + 1 == self.size { 0 } else { bucket + 1 }
    }

    fn before(&self, bucket: u32) -> u32 {
        if bucket == 0 { self.size - 1 } else { bucket - 1 }
    }

    #[inline]
    pub(crate) fn get(&self, place: Place) -> Option<&T> {
        match place {
            Place::Slot { bucket, slot } => self.bucket(bucket).get(usize::from(slot)),
            Place::Stash(at) => self.stash.get(at as usize).map(|stashed| &stashed.value),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        match place {
            Place::Slot { bucket, slot } => self.bucket_mut(bucket).get_mut(usize::from(slot)),
            Place::Stash(at) => self.stash.get_mut(at as usize).map(|stashed| &mut stashed.value),
        }
    }

    /// Looks for an element of `home` outside its bucket, which is full.
    pub(crate) fn find_elsewhere(
        &self,
        home: u32,
        tag: u8,
        eq: &mut impl FnMut(&T) -> bool,
    ) -> Option<(Place, &T)> {
        let bucket = self.after(home);
        let next = self.bucket(bucket);
        for slot in next.matches(tag) {
            if let Some(value) = next.get(slot)
                && eq(value)
            {
                return Some((Place::Slot { bucket, slot: slot as u8 }, value));
            }
        }
        if !self.bucket(home).is_stashed() {
            return None;
        }
        let candidates = self.stash.iter().enumerate();
        let mut candidates = candidates.filter(|(_, s)| s.home == home && s.tag == tag);
        let found = candidates.find(|(_, stashed)| eq(&stashed.value));
        found.map(|(at, stashed)| (Place::Stash(at as u32), &stashed.value))
    }

    /// Adds an element of bucket `home`.
    #[inline]
    pub(crate) fn insert(&mut self, home: u32, tag: u8, value: T) -> Place {
        self.count += 1;
        match self.bucket(home).free() {
            Some(slot) => {
                self.bucket_mut(home).put(slot, tag, false, value);
                Place::Slot { bucket: home, slot: slot as u8 }
            }
            None => self.insert_elsewhere(home, tag, value),
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_elsewhere(&mut self, home: u32, tag: u8, value: T) -> Place {
        debug_assert!(self.bucket(home).is_full());
        let bucket = self.after(home);
        if bucket != home
            && let Some(slot) = self.make_room(bucket)
        {
            self.bucket_mut(bucket).put(slot, tag, true, value);
            return Place::Slot { bucket, slot: slot as u8 };
        }
        self.bucket_mut(home).set_stashed(true);
        self.stash.push(Stashed { home, tag, value });
        Place::Stash(self.stash.len() as u32 - 1)
    }

    /// A free slot in `bucket`, if need be by making an element of each bucket up to the next with
    /// a free slot a guest of its neighbour. The buckets passed stay full, as the invariant wants.
    fn make_room(&mut self, bucket: u32) -> Option<usize> {
        let mut room = bucket;
        let mut free = self.bucket(room).free();
        for _ in 0..MOST_SHIFTS {
            if free.is_some() {
                break;
            }
            self.bucket(room).own().next()?;
            room = self.after(room);
            if room == bucket {
                return None;
            }
            free = self.bucket(room).free();
        }
        let mut free = free?;
        while room != bucket {
            let from = self.before(room);
            let slot = self.bucket(from).own().next()?;
            let (tag, value) = self.bucket_mut(from).take(slot)?;
            self.bucket_mut(room).put(free, tag, true, value);
            (room, free) = (from, slot);
        }
        Some(free)
    }

    /// Removes the element at `place`.
    pub(crate) fn remove(&mut self, place: Place) -> Option<T> {
        let value = match place {
            Place::Slot { bucket, slot } => {
                let (_, value) = self.bucket_mut(bucket).take(usize::from(slot))?;
                self.fill_hole(bucket);
                value
            }
            Place::Stash(at) => self.unstash(at as usize).value,
        };
        self.count -= 1;
        Some(value)
    }

    /// Restores the invariant after `hole` has got a free slot. Ends, as each round brings a guest
    /// home.
    fn fill_hole(&mut self, mut hole: u32) {
        loop {
            let next = self.after(hole);
            let (to, guest) = if next != hole
                && let Some(slot) = self.bucket(next).first_guest()
            {
                self.move_home(next, slot, hole);
                hole = next;
                continue;
            } else if self.bucket(hole).is_stashed() {
                (hole, false)
            } else if self.size > 1 && self.bucket(self.before(hole)).is_stashed() {
                (self.before(hole), true)
            } else {
                return;
            };
            let Some(at) = self.stash.iter().position(|stashed| stashed.home == to) else {
                debug_assert!(false, "the stashed bit is set without an element");
                return;
            };
            let Stashed { tag, value, .. } = self.unstash(at);
            if let Some(slot) = self.bucket(hole).free() {
                self.bucket_mut(hole).put(slot, tag, guest, value);
            }
            return;
        }
    }

    /// Moves the guest in `slot` of bucket `from` to its own bucket, which has a free slot.
    fn move_home(&mut self, from: u32, slot: usize, home: u32) {
        if let Some(free) = self.bucket(home).free()
            && let Some((tag, value)) = self.bucket_mut(from).take(slot)
        {
            self.bucket_mut(home).put(free, tag, false, value);
        }
    }

    fn unstash(&mut self, at: usize) -> Stashed<T> {
        let stashed = self.stash.swap_remove(at);
        if !self.stash.iter().any(|other| other.home == stashed.home) {
            self.bucket_mut(stashed.home).set_stashed(false);
        }
        stashed
    }

    /// All elements: bucket by bucket, then the stash.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let buckets = self.buckets().iter();
        let slots = buckets.flat_map(|bucket| bucket.occupied().filter_map(|s| bucket.get(s)));
        slots.chain(self.stash.iter().map(|stashed| &stashed.value))
    }

    /// Calls `f` for each element that belongs to bucket `home`, wherever it lies.
    pub(crate) fn for_each_of(&self, home: u32, f: &mut impl FnMut(&T)) -> bool {
        let bucket = self.bucket(home);
        let own = bucket.own().filter_map(|slot| bucket.get(slot));
        let next = self.bucket(self.after(home));
        let guests = next.guests().filter_map(|slot| next.get(slot));
        let stash = if bucket.is_stashed() { self.stash.as_slice() } else { &[] };
        let stashed = stash.iter().filter(|s| s.home == home).map(|s| &s.value);
        let mut any = false;
        for value in own.chain(guests).chain(stashed) {
            any = true;
            f(value);
        }
        any
    }

    /// Slots and stash entries, occupied or not, as numbered by [`Self::nth`].
    pub(crate) fn places(&self) -> usize {
        self.buckets().len() * SLOTS + self.stash.len()
    }

    /// The place of this number, if an element lies there.
    pub(crate) fn nth(&self, n: usize) -> Option<Place> {
        let slots = self.buckets().len() * SLOTS;
        let place = if n < slots {
            let (bucket, slot) = (n / SLOTS, n % SLOTS);
            Place::Slot { bucket: bucket as u32, slot: slot as u8 }
        } else {
            Place::Stash((n - slots) as u32)
        };
        self.get(place).map(|_| place)
    }

    /// Removes any element. `from` is where the search begins and where it ended: the buckets
    /// before it were found empty.
    pub(crate) fn pop(&mut self, from: &mut u32) -> Option<T> {
        let buckets = self.buckets().iter().enumerate().skip(*from as usize);
        let mut occupied = buckets.filter_map(|(at, b)| Some((at as u32, b.occupied().next()?)));
        let found = occupied.next();
        if found.is_none() && *from > 0 {
            *from = 0;
            return self.pop(from);
        }
        let (bucket, slot) = found?;
        *from = bucket;
        self.remove(Place::Slot { bucket, slot: slot as u8 })
    }

    /// Takes out all elements with their home bucket and tag, in the order of [`Self::iter`].
    pub(crate) fn drain(&mut self, mut f: impl FnMut(u32, u8, T)) {
        for at in 0..self.size {
            let before = self.before(at);
            let bucket = self.bucket_mut(at);
            for slot in bucket.occupied() {
                let home = if bucket.is_guest(slot) { before } else { at };
                if let Some((tag, value)) = bucket.take(slot) {
                    f(home, tag, value);
                }
            }
            bucket.set_stashed(false);
        }
        for Stashed { home, tag, value } in std::mem::take(&mut self.stash) {
            f(home, tag, value);
        }
        self.count = 0;
    }
}

impl<T> Drop for Segment<T> {
    fn drop(&mut self) {
        let buckets = std::ptr::slice_from_raw_parts_mut(self.buckets.as_ptr(), self.size as usize);
        // SAFETY: 1. pointer and length are those of the box leaked in `new`; 2. only `self` frees
        // it, once, here; 3. the directory forgets its copies of the pointer before it drops a
        // segment.
        drop(unsafe { Box::from_raw(buckets) });
    }
}

/// Moves the elements of `from` into `targets`, which are large enough. `route` gets an element's
/// number in the order of [`Segment::iter`] and its home bucket, and answers with the target and
/// the home bucket there; it must not panic.
///
/// Elements that find their home bucket full wait until all others have theirs: so as few as
/// possible are displaced.
pub(crate) fn move_all<T>(
    from: &mut Segment<T>,
    targets: &mut [Box<Segment<T>>],
    mut route: impl FnMut(usize, u32) -> (usize, u32),
) {
    let mut waiting = Vec::new();
    let mut number = 0;
    from.drain(|home, tag, value| {
        let (target, home) = route(number, home);
        number += 1;
        if targets[target].bucket(home).is_full() {
            waiting.push((target, home, tag, value));
        } else {
            targets[target].insert(home, tag, value);
        }
    });
    for (target, home, tag, value) in waiting {
        targets[target].insert(home, tag, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Position, tag};

    fn random(state: &mut u64) -> u64 {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let z = (*state ^ (*state >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        z ^ (z >> 32)
    }

    /// Fills segments to their limit and answers the share of elements in the stash.
    fn stashed(segments: u32) -> f64 {
        let (mut state, mut stashed, mut all) = (1, 0, 0);
        for _ in 0..segments {
            let mut segment = Segment::new(TOP_BUCKETS, 0, 0);
            while !segment.is_at_limit() {
                let hash = random(&mut state);
                segment.insert(Position::narrow(hash).home(0, TOP_BUCKETS), tag(hash), hash);
            }
            stashed += segment.stash.len();
            all += segment.count as usize;
        }
        stashed as f64 / all as f64
    }

    #[test]
    fn few_elements_end_in_the_stash() {
        let share = stashed(if cfg!(miri) { 1 } else { 100 });
        assert!(share < 0.02, "{share}");
    }
}
