//! The table and its basic operations.

use crate::directory::Directory;
use crate::geometry::{Position, tag};
use crate::prefetch::prefetch;
use crate::walk::Walk;

/// A hash table of `T`, given hashes and equality by the caller.
///
/// The same element must always come with the same hash, and `eq` must hold for at most one
/// element of a hash; otherwise elements may not be found, but nothing worse happens. A panic in a
/// closure leaves the table as it was.
pub struct KevyMap<T> {
    pub(crate) directory: Directory<T>,
    pub(crate) len: usize,
    /// Bytes allocated.
    pub(crate) memory: usize,
    pub(crate) walk: Walk,
    /// Nothing lies before this position; where clearing goes on.
    pub(crate) clear_from: Position,
}

impl<T> Default for KevyMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> KevyMap<T> {
    /// An empty table, without any allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            directory: Directory::new(),
            len: 0,
            memory: 0,
            walk: Walk::new(),
            clear_from: Position::START,
        }
    }

    /// Number of elements.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes allocated by the table itself, not by what its elements point to.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// The element with `hash` for which `eq` holds.
    #[inline]
    pub fn find(&self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&T> {
        let position = self.directory.position(hash);
        let (_, value) = self.directory.slot(position).find(position, tag(hash), eq)?;
        Some(value)
    }

    /// As [`Self::find`], to be changed in place; its hash must stay the same.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let position = self.directory.position(hash);
        let (place, _) = self.directory.slot(position).find(position, tag(hash), eq)?;
        self.directory.segment_mut(position)?.get_mut(place)
    }

    /// Adds an element that is not in the table yet. `hasher` gives the hash of any element of
    /// the table; it is called for those of one segment if that has to grow.
    #[inline]
    pub fn insert_unique(&mut self, hash: u64, value: T, hasher: impl Fn(&T) -> u64) {
        self.insert_at(hash, value, hasher);
    }

    /// Removes and gives back the element with `hash` for which `eq` holds. Gives memory back as
    /// the table empties, at most one segment's a call.
    #[inline]
    pub fn remove(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<T> {
        let position = self.directory.position(hash);
        let (place, _) = self.directory.slot(position).find(position, tag(hash), eq)?;
        self.remove_at(position, place)
    }

    /// Hints that an element with `hash` will be looked for: its bucket is brought near.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        let position = self.directory.position(hash);
        if let Some((_, bucket)) = self.directory.slot(position).home(position) {
            prefetch(std::ptr::from_ref(bucket));
        }
    }

    /// Calls `f` for the elements that may be the one with `hash`, usually none or one. Meant for
    /// bringing near what they point to, once [`Self::prefetch`] has taken effect; an element may
    /// be missed.
    #[inline]
    pub fn candidates(&self, hash: u64, mut f: impl FnMut(&T)) {
        let position = self.directory.position(hash);
        if let Some((_, bucket)) = self.directory.slot(position).home(position) {
            bucket.matches(tag(hash)).filter_map(|slot| bucket.get(slot)).for_each(&mut f);
        }
    }

    /// All elements, in no useful order. Takes as long as it takes: for tables of any size see
    /// [`Self::scan`].
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.directory.segments().flat_map(|segment| segment.iter())
    }

    /// Removes the elements of one segment, at most some 1,100, and hands them to `f`. Answers
    /// `false` if there are none left.
    pub fn drain_segment(&mut self, mut f: impl FnMut(T)) -> bool {
        while let Some(position) = self.first_segment() {
            let Some(mut segment) = self.directory.take(position) else { continue };
            self.memory -= segment.memory();
            self.len -= segment.count() as usize;
            if segment.count() > 0 {
                segment.drain(|_, _, value| f(value));
                return true;
            }
        }
        false
    }

    /// Removes and drops up to `budget` elements; how many it were, less only if none are left.
    /// The memory of the table itself goes with them.
    ///
    /// During a walk, hand the table over before.
    pub fn clear_slice(&mut self, budget: usize) -> usize {
        self.drain_slice(budget, drop)
    }

    /// As [`Self::clear_slice`], the elements being handed to `f`.
    pub fn drain_slice(&mut self, budget: usize, mut f: impl FnMut(T)) -> usize {
        let mut cleared = 0;
        let mut from = 0;
        while cleared < budget
            && let Some(position) = self.first_segment()
        {
            let Some(segment) = self.directory.segment_mut(position) else { break };
            let stash = segment.stash_memory();
            let value = segment.pop(&mut from);
            self.memory -= stash - segment.stash_memory();
            let emptied = segment.count() == 0;
            self.len -= usize::from(value.is_some());
            cleared += usize::from(value.is_some());
            if emptied && let Some(segment) = self.directory.take(position) {
                self.memory -= segment.memory();
            }
            if let Some(value) = value {
                f(value);
            }
        }
        cleared
    }

    /// The position of the first segment. Without any, the directory is given back.
    fn first_segment(&mut self) -> Option<Position> {
        loop {
            let slot = self.directory.slot(self.clear_from);
            if slot.segment().is_some() {
                return Some(self.clear_from);
            }
            let Some(next) = self.clear_from.segment_end(slot.depth()) else {
                self.clear_from = Position::START;
                if self.len == 0 {
                    self.reset();
                }
                return None;
            };
            self.clear_from = next;
        }
    }

    /// Gives back everything, with no element left.
    pub(crate) fn reset(&mut self) {
        debug_assert!(self.is_empty());
        self.directory = Directory::new();
        self.memory = 0;
        self.clear_from = Position::START;
        self.walk.restart();
    }
}
