//! When segments change size, split and merge; each call changes one segment, or one and its
//! sibling.

use crate::directory::Directory;
use crate::geometry::{BASE_BUCKETS, MOST_BUCKETS, Position, TOP_BUCKETS, next_size, shrink_limit};
use crate::geometry::{FIRST_DEPTH, tag};
use crate::map::KevyMap;
use crate::segment::{Place, Segment, move_all};

impl<T> KevyMap<T> {
    pub(crate) fn insert_at(
        &mut self,
        hash: u64,
        value: T,
        hasher: impl Fn(&T) -> u64,
    ) -> Option<&mut T> {
        let mut position = self.directory.position(hash);
        if self.directory.slot(position).segment().is_none_or(Segment::is_at_limit) {
            self.make_room(hash, hasher);
            position = self.directory.position(hash);
        }
        let slot = self.directory.slot(position);
        let home = position.home(slot.depth(), slot.size());
        let segment = self.directory.segment_mut(position)?;
        let stash = segment.stash_memory();
        let place = segment.insert(home, tag(hash), value);
        self.memory += segment.stash_memory() - stash;
        self.len += 1;
        segment.get_mut(place)
    }

    pub(crate) fn remove_at(&mut self, position: Position, place: Place) -> Option<T> {
        let segment = self.directory.segment_mut(position)?;
        let value = segment.remove(place)?;
        let is_low = segment.is_low();
        self.len -= 1;
        if self.len == 0 && !self.directory.is_narrow() {
            self.reset();
        } else if is_low {
            self.give_back(position);
        }
        Some(value)
    }

    /// Ends with a segment for `hash` that takes one more element.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, hash: u64, hasher: impl Fn(&T) -> u64) {
        loop {
            let position = self.directory.position(hash);
            let Some(segment) = self.directory.segment_mut(position) else {
                self.create(position);
                return;
            };
            if !segment.is_at_limit() {
                return;
            }
            let (size, may_split) = (segment.size(), self.directory.may_split(position));
            if size >= TOP_BUCKETS && may_split {
                self.split(position, &hasher);
            } else if size < MOST_BUCKETS {
                self.grow(position, next_size(size), &hasher);
            } else if let Some(segment) = self.directory.segment_mut(position) {
                segment.lift_limit();
            }
        }
    }

    fn create(&mut self, position: Position) {
        let depth = self.directory.slot(position).depth();
        let size = size_of_part(depth.max(FIRST_DEPTH), 0);
        // What a new segment will hold came after the beginning of a walk.
        self.put(position, Segment::new(size, depth, self.walk.epoch()));
        self.clear_from = Position::START;
    }

    fn put(&mut self, position: Position, segment: Box<Segment<T>>) {
        self.memory += segment.memory();
        self.directory.place(position, segment);
    }

    fn take(&mut self, position: Position) -> Option<Box<Segment<T>>> {
        let segment = self.directory.take(position)?;
        self.memory -= segment.memory();
        Some(segment)
    }

    /// The hashes of one segment. Before anything moves, as `hasher` may panic; and in one loop, so
    /// that the processor waits for many elements at a time.
    fn hashes(segment: &Segment<T>, hasher: impl Fn(&T) -> u64) -> Vec<u64> {
        let mut hashes = Vec::with_capacity(segment.count() as usize);
        hashes.extend(segment.iter().map(hasher));
        hashes
    }

    fn grow(&mut self, position: Position, size: u32, hasher: impl Fn(&T) -> u64) {
        let Some(old) = self.directory.slot(position).segment() else { return };
        let (depth, hashes) = (old.depth(), Self::hashes(old, hasher));
        let mut new = [Segment::new(size, depth, old.walked)];
        if let Some(mut old) = self.take(position) {
            let directory = &self.directory;
            let home = |number: usize| directory.position(hashes[number]).home(depth, size);
            move_all(&mut old, &mut new, |number, _| (0, home(number)));
        }
        let [new] = new;
        self.put(position, new);
    }

    /// Splits in two, or in 16 if it is the table's only segment.
    fn split(&mut self, position: Position, hasher: impl Fn(&T) -> u64) {
        let Some(old) = self.directory.slot(position).segment() else { return };
        let (walked, hashes) = (old.walked, Self::hashes(old, hasher));
        let depth = self.directory.depth_of_parts(position);
        let start = position.segment_start(old.depth());
        let first = start.prefix(depth);
        let positions: Vec<_> = hashes.into_iter().map(Position::wide).collect();
        let mut counts = vec![0; 1 << (depth - old.depth())];
        positions.iter().for_each(|position| counts[position.prefix(depth) - first] += 1);
        let sizes: Vec<_> = counts.into_iter().map(|count| size_of_part(depth, count)).collect();
        let mut parts: Vec<_> =
            sizes.iter().map(|&size| Segment::new(size, depth, walked)).collect();
        if let Some(mut old) = self.take(position) {
            move_all(&mut old, &mut parts, |number, _| {
                let part = positions[number].prefix(depth) - first;
                (part, positions[number].home(depth, sizes[part]))
            });
        }
        self.change_directory(|directory| directory.split(start));
        let mut at = Some(start);
        for part in parts {
            let Some(position) = at else { break };
            self.put(position, part);
            at = position.segment_end(depth);
        }
    }

    fn change_directory(&mut self, change: impl FnOnce(&mut Directory<T>)) {
        self.memory -= self.directory.memory();
        change(&mut self.directory);
        self.memory += self.directory.memory();
    }

    /// Gives memory back at `position` if enough is free.
    #[cold]
    #[inline(never)]
    fn give_back(&mut self, position: Position) {
        if let Some(size) = self.directory.slot(position).segment().and_then(Segment::due_shrink) {
            self.shrink(position, size);
        } else if let Some(sibling) = self.directory.sibling(position)
            && self.may_merge(position, sibling)
        {
            self.merge(position.min(sibling), position.max(sibling));
        }
    }

    /// Rebuilds with a number of buckets that divides the present one: no hash is needed.
    fn shrink(&mut self, position: Position, size: u32) {
        let Some(mut old) = self.take(position) else { return };
        let ratio = old.size() / size;
        debug_assert_eq!(old.size(), ratio * size);
        let mut new = [Segment::new(size, old.depth(), old.walked)];
        move_all(&mut old, &mut new, |_, home| (0, home / ratio));
        let [new] = new;
        self.put(position, new);
    }

    fn may_merge(&self, position: Position, sibling: Position) -> bool {
        let both = [position, sibling].map(|at| self.directory.slot(at).segment());
        let both = || both.iter().flatten();
        let count: u32 = both().map(|segment| segment.count()).sum();
        // One handed over by a walk and one that is not have no common state.
        let unwalked = both().filter(|segment| self.walk.wants(segment.walked)).count();
        count <= shrink_limit(BASE_BUCKETS)
            && both().all(|segment| [BASE_BUCKETS, TOP_BUCKETS].contains(&segment.size()))
            && (unwalked == 0 || unwalked == both().count())
    }

    /// Makes one segment of two siblings. A bucket number of the whole, times a whole number, is
    /// one of the half: no hash is needed.
    fn merge(&mut self, left: Position, right: Position) {
        let depth = self.directory.slot(left).depth();
        let halves = [left, right].map(|at| self.take(at));
        self.change_directory(|directory| directory.join(left));
        let Some(walked) = halves.iter().flatten().map(|half| half.walked).max() else { return };
        let mut new = [Segment::new(BASE_BUCKETS, depth - 1, walked)];
        for (side, half) in halves.into_iter().enumerate() {
            let Some(mut half) = half else { continue };
            let (first, ratio) = (side as u32 * half.size(), 2 * half.size() / BASE_BUCKETS);
            move_all(&mut half, &mut new, |_, home| (0, (first + home) / ratio));
        }
        let [new] = new;
        self.put(left, new);
    }
}

/// The size of a segment that begins with `count` elements. One of the first segments begins as
/// small as leaves some room; later ones are always of a size that can be merged.
fn size_of_part(depth: u32, count: u32) -> u32 {
    let mut size = if depth == FIRST_DEPTH { 1 } else { BASE_BUCKETS };
    while shrink_limit(size) <= count && size < TOP_BUCKETS {
        size = next_size(size);
    }
    size
}
