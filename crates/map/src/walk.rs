//! Walking over the state of one moment while the table changes.
//!
//! A walk hands over every element that was in the table when it began, once, segment by segment,
//! each segment before its first change. The walker calls [`KevyMap::walk_next`] now and then;
//! every writer, before it inserts, removes or changes anything at a hash for which
//! [`KevyMap::unwalked`] holds, calls [`KevyMap::walk_segment_of`]. Splitting hands the mark of a
//! segment on to both halves, and segments merge only if their marks agree, so a segment is always
//! wholly handed over or wholly as it was.

use crate::geometry::Position;
use crate::map::KevyMap;
use crate::segment::Segment;

/// Segments already handed over that one call of [`KevyMap::walk_next`] passes over.
const MOST_PASSED: usize = 1024;

/// The state of a walk.
pub(crate) struct Walk {
    /// Number of the latest walk; a segment whose mark equals it is handed over.
    epoch: u32,
    /// Where the walk goes on; everything before it is handed over. `None` while there is no walk.
    from: Option<Position>,
}

impl Walk {
    pub(crate) const fn new() -> Self {
        Self { epoch: 0, from: None }
    }

    /// The table has been emptied; what comes now is no part of the walk.
    pub(crate) fn restart(&mut self) {
        self.from = self.from.map(|_| Position::START);
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether a segment with this mark is still to be handed over.
    pub(crate) fn wants(&self, walked: u32) -> bool {
        self.from.is_some() && walked != self.epoch
    }
}

impl<T> KevyMap<T> {
    /// Begins a walk over the present state. One that is under way is abandoned.
    pub fn begin_walk(&mut self) {
        // A mark left by the walk 2³² walks ago would be mistaken for the new one only if its
        // segment had not been visited in any walk since.
        self.walk.epoch = self.walk.epoch.wrapping_add(1);
        self.walk.from = Some(Position::START);
    }

    /// Abandons the walk, if one is under way.
    pub fn end_walk(&mut self) {
        self.walk.from = None;
    }

    /// Whether a walk is under way.
    #[inline]
    #[must_use]
    pub fn is_walking(&self) -> bool {
        self.walk.from.is_some()
    }

    /// Hands over the next segment (at most some 1,100 elements), if there is one among the next
    /// thousand. `false`: the walk is complete, and so is this call.
    pub fn walk_next(&mut self, mut f: impl FnMut(&T)) -> bool {
        for _ in 0..MOST_PASSED {
            let Some(position) = self.walk.from else { return false };
            let slot = self.directory.slot(position);
            let next = position.segment_end(slot.depth());
            let wanted = slot.segment().is_some_and(|segment| self.walk.wants(segment.walked));
            if wanted {
                self.hand_over(position, &mut f);
            }
            self.walk.from = next;
            if wanted {
                return true;
            }
        }
        true
    }

    /// Whether a change at `hash` must be preceded by [`Self::walk_segment_of`].
    #[inline]
    #[must_use]
    pub fn unwalked(&self, hash: u64) -> bool {
        self.is_walking()
            && (self.directory.slot(self.directory.position(hash)).segment())
                .is_some_and(|segment| self.walk.wants(segment.walked))
    }

    /// Hands over the segment of `hash`, if that is still to be done.
    pub fn walk_segment_of(&mut self, hash: u64, f: impl FnMut(&T)) {
        if self.unwalked(hash) {
            self.hand_over(self.directory.position(hash), f);
        }
    }

    fn hand_over(&mut self, position: Position, f: impl FnMut(&T)) {
        let epoch = self.walk.epoch;
        if let Some(segment) = self.directory.segment_mut(position) {
            segment.walked = epoch;
            Segment::iter(segment).for_each(f);
        }
    }
}
