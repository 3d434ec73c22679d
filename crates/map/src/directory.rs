//! The directory: which segment covers a position.
//!
//! One slot, then an array of `2^depth` of them, from 16 upwards, indexed by the first bits of the position. A segment whose own
//! prefix is shorter fills a run of neighbouring slots. A slot repeats what a look-up needs, so
//! that it goes from the directory straight to the bucket. Without any segment there is no
//! allocation; with a single one the slot lies in the directory itself.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::bucket::Bucket;
use crate::geometry::{FIRST_DEPTH, MAX_DEPTH, POSITION_BITS, Position};
use crate::segment::{Place, Segment};

pub(crate) struct Slot<T> {
    /// Owned by the directory, once for the whole run of equal slots.
    segment: Option<NonNull<Segment<T>>>,
    /// Copies of the segment's fields; `size` is 0 without a segment.
    buckets: NonNull<Bucket<T>>,
    size: u32,
    /// Prefix bits of the run of slots, whether it has a segment or not.
    depth: u32,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> Slot<T> {
    const fn empty(depth: u32) -> Self {
        Self { segment: None, buckets: NonNull::dangling(), size: 0, depth }
    }

    fn of(segment: NonNull<Segment<T>>) -> Self {
        // SAFETY: the caller has just got the pointer from a box or from a slot; nothing else
        // refers to the segment meanwhile.
        let fields = unsafe { segment.as_ref() };
        let (buckets, size, depth) = (fields.buckets_pointer(), fields.size(), fields.depth());
        Self { segment: Some(segment), buckets, size, depth }
    }

    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// The home bucket of `position`, `None` without a segment.
    #[inline]
    pub(crate) fn home(&self, position: Position) -> Option<(u32, &Bucket<T>)> {
        if self.size == 0 {
            return None;
        }
        let home = position.home(self.depth, self.size);
        debug_assert!(home < self.size);
        // SAFETY: 1. `buckets` and `size` are those of a live segment: every change of a segment
        // refreshes its slots before the directory is lent out again; 2. `home < size`, as it is
        // the integer part of a fraction below 1 times `size`; 3. the bucket changes only through
        // a mutable borrow of the directory, which the borrow of `self`, a part of it, excludes.
        Some((home, unsafe { self.buckets.add(home as usize).as_ref() }))
    }

    pub(crate) fn segment(&self) -> Option<&Segment<T>> {
        // SAFETY: 1. the segment is live while a slot names it; 2. it changes only through a
        // mutable borrow of the directory, which the borrow of `self`, a part of it, excludes.
        self.segment.map(|segment| unsafe { segment.as_ref() })
    }

    /// Finds an element at `position` with `tag` for which `eq` holds.
    #[inline]
    pub(crate) fn find(
        &self,
        position: Position,
        tag: u8,
        mut eq: impl FnMut(&T) -> bool,
    ) -> Option<(Place, &T)> {
        let (home, bucket) = self.home(position)?;
        for slot in bucket.matches(tag) {
            if let Some(value) = bucket.get(slot)
                && eq(value)
            {
                return Some((Place::Slot { bucket: home, slot: slot as u8 }, value));
            }
        }
        if bucket.is_full() { self.segment()?.find_elsewhere(home, tag, &mut eq) } else { None }
    }
}

pub(crate) struct Directory<T> {
    /// The only slot while `depth` is 0.
    root: Slot<T>,
    /// The slots otherwise.
    slots: Vec<Slot<T>>,
    depth: u32,
    /// Runs of equal slots.
    runs: u32,
    owns: PhantomData<Segment<T>>,
}

// SAFETY: the directory owns its segments and their buckets alone, as a `Vec<Box<Segment<T>>>`
// would; its raw pointers are reached only through borrows of the directory.
unsafe impl<T: Send> Send for Directory<T> {}
// SAFETY: as above; shared borrows only hand out `&T`.
unsafe impl<T: Sync> Sync for Directory<T> {}

impl<T> Directory<T> {
    pub(crate) const fn new() -> Self {
        Self { root: Slot::empty(0), slots: Vec::new(), depth: 0, runs: 1, owns: PhantomData }
    }

    /// Bytes allocated for the slots.
    pub(crate) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<T>>()
    }

    /// Parts of the hashes that have a segment of their own, or none.
    pub(crate) fn runs(&self) -> u32 {
        self.runs
    }

    /// Whether there is no more than one segment, which positions follow directly from hashes.
    pub(crate) fn is_narrow(&self) -> bool {
        self.depth == 0
    }

    /// Where `hash` lies while the directory is what it is.
    #[inline]
    pub(crate) fn position(&self, hash: u64) -> Position {
        if self.depth == 0 { Position::narrow(hash) } else { Position::wide(hash) }
    }

    /// Where the scan cursor `cursor` points.
    pub(crate) fn position_at(&self, cursor: u64) -> Position {
        self.position(Position::hash_at(cursor))
    }

    /// The least cursor that points to `position` or behind it; `None` if there is none.
    pub(crate) fn cursor(&self, position: Position) -> Option<u64> {
        let wide = self.depth > 0;
        let cursor = if wide { position.wide_cursor() } else { position.narrow_cursor() };
        (cursor >> POSITION_BITS == 0).then_some(cursor)
    }

    /// The slot that covers `position`.
    #[inline]
    pub(crate) fn slot(&self, position: Position) -> &Slot<T> {
        if self.depth == 0 { &self.root } else { &self.slots[position.prefix(self.depth)] }
    }

    #[inline]
    #[expect(clippy::needless_pass_by_ref_mut, reason = "it proves that the segment is not shared")]
    pub(crate) fn segment_mut(&mut self, position: Position) -> Option<&mut Segment<T>> {
        // SAFETY: 1. the segment is live while a slot names it; 2. the mutable borrow of the
        // directory, through which alone segments and buckets are reached, makes it unique.
        self.slot(position).segment.map(|mut segment| unsafe { segment.as_mut() })
    }

    /// All segments in the order of positions.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment<T>> {
        let mut next = Some(Position::START);
        std::iter::from_fn(move || {
            let position = next?;
            let slot = self.slot(position);
            next = position.segment_end(slot.depth);
            Some(slot)
        })
        .filter_map(Slot::segment)
    }

    /// The slots of the run of `depth` prefix bits at `position`.
    fn run_mut(&mut self, position: Position, depth: u32) -> &mut [Slot<T>] {
        if self.depth == 0 {
            return std::slice::from_mut(&mut self.root);
        }
        let first = position.segment_start(depth).prefix(self.depth);
        &mut self.slots[first..first + (1 << (self.depth - depth))]
    }

    /// Puts a segment where there is none.
    pub(crate) fn place(&mut self, position: Position, segment: Box<Segment<T>>) {
        debug_assert!(self.slot(position).segment.is_none());
        let depth = segment.depth();
        // SAFETY: a box is never null.
        let segment = unsafe { NonNull::new_unchecked(Box::into_raw(segment)) };
        self.run_mut(position, depth).fill(Slot::of(segment));
    }

    /// Takes the segment out, if there is one; the run of slots stays, empty.
    pub(crate) fn take(&mut self, position: Position) -> Option<Box<Segment<T>>> {
        let Slot { segment, depth, .. } = *self.slot(position);
        self.run_mut(position, depth).fill(Slot::empty(depth));
        // SAFETY: 1. the pointer came from a box in `place`; 2. no slot names it any more, so it
        // becomes a box once.
        segment.map(|segment| unsafe { Box::from_raw(segment.as_ptr()) })
    }

    /// Whether the run at `position` can be cut in two: always within the directory; beyond it
    /// only while that stays in proportion to the number of runs, whatever the hashes are.
    pub(crate) fn may_split(&self, position: Position) -> bool {
        let depth = self.slot(position).depth;
        depth < self.depth || depth < MAX_DEPTH && 1 << depth < 8 * u64::from(self.runs + 1)
    }

    /// Prefix bits of the runs into which the one at `position` is cut.
    pub(crate) fn depth_of_parts(&self, position: Position) -> u32 {
        if self.depth == 0 { FIRST_DEPTH } else { self.slot(position).depth + 1 }
    }

    /// Cuts the empty run at `position` into parts. For the first cut the position is the start.
    pub(crate) fn split(&mut self, position: Position) {
        let Slot { segment, depth, .. } = *self.slot(position);
        debug_assert!(segment.is_none());
        if self.depth == 0 {
            self.slots = vec![Slot::empty(FIRST_DEPTH); 1 << FIRST_DEPTH];
            self.depth = FIRST_DEPTH;
            self.runs = 1 << FIRST_DEPTH;
            return;
        }
        if depth == self.depth {
            self.double();
        }
        self.run_mut(position, depth).fill(Slot::empty(depth + 1));
        self.runs += 1;
    }

    /// Whether the run at `position` has a sibling of its own depth, and that sibling's position.
    pub(crate) fn sibling(&self, position: Position) -> Option<Position> {
        let depth = self.slot(position).depth;
        if depth <= FIRST_DEPTH {
            return None;
        }
        let parent = position.segment_start(depth - 1);
        let start = position.segment_start(depth);
        let sibling = if start == parent { start.segment_end(depth)? } else { parent };
        (self.slot(sibling).depth == depth).then_some(sibling)
    }

    /// Joins the empty run at `position` with its empty sibling.
    pub(crate) fn join(&mut self, position: Position) {
        let depth = self.slot(position).depth;
        debug_assert!(depth > FIRST_DEPTH);
        let run = self.run_mut(position, depth - 1);
        debug_assert!(run.iter().all(|slot| slot.segment.is_none() && slot.depth == depth));
        run.fill(Slot::empty(depth - 1));
        self.runs -= 1;
        // Looked at so rarely that the pass over the slots is paid for, and with so much room that
        // growth does not double it again soon.
        if self.runs.is_power_of_two() && u64::from(self.runs) * 4 <= 1 << self.depth {
            self.halve();
        }
    }

    fn double(&mut self) {
        let mut slots = Vec::with_capacity(self.slots.len() * 2);
        slots.extend(self.slots.iter().flat_map(|slot| [*slot, *slot]));
        self.slots = slots;
        self.depth += 1;
    }

    /// Reduces the directory to the depth of its deepest run.
    fn halve(&mut self) {
        let deepest = self.slots.iter().map(|slot| slot.depth).max().unwrap_or(self.depth);
        let step = 1 << (self.depth - deepest);
        self.slots = self.slots.iter().step_by(step).copied().collect();
        self.depth = deepest;
    }
}

impl<T> Drop for Directory<T> {
    fn drop(&mut self) {
        let mut next = Some(Position::START);
        while let Some(position) = next {
            drop(self.take(position));
            next = position.segment_end(self.slot(position).depth);
        }
    }
}
