//! Scanning by cursor, and random samples.

use crate::geometry::Position;
use crate::map::KevyMap;

/// Empty buckets that one call of [`KevyMap::scan`] passes over.
const MOST_EMPTY_BUCKETS: usize = 64;

/// Random places that one call of [`KevyMap::sample`] looks at before it takes the next element.
/// A segment is rarely less than a quarter full, so 64 misses are a matter of tables just cleared.
const MOST_ATTEMPTS: usize = 64;

/// Segments that one call of [`KevyMap::sample`] looks at, should they be empty.
const MOST_SEGMENTS: usize = 64;

impl<T> KevyMap<T> {
    /// Calls `f` for the elements of the first bucket at or after `cursor` that has any, and
    /// answers the cursor to go on with; 0 begins a scan and says that it is complete. A cursor is
    /// below 2⁴⁰. A call passes over a bounded number of empty buckets, so `f` may not be called.
    ///
    /// Every element that is in the table from the beginning to the end of a scan is reported at
    /// least once, whatever is inserted and removed meanwhile: the cursor is a position in hash
    /// space, all elements before it have been reported, and buckets, however sizes change, are
    /// intervals of that space; the interval that contains the cursor is reported whole. So an
    /// element may come twice only if its segment changed its size in between.
    pub fn scan(&self, cursor: u64, mut f: impl FnMut(&T)) -> u64 {
        let mut position = self.directory.position_at(cursor);
        for _ in 0..MOST_EMPTY_BUCKETS {
            let slot = self.directory.slot(position);
            let (depth, size) = (slot.depth(), slot.size());
            let mut found = false;
            let mut next = position.segment_end(depth);
            if let Some(segment) = slot.segment() {
                let home = position.home(depth, size);
                found = segment.for_each_of(home, &mut f);
                if home + 1 < size {
                    next = Some(position.bucket_start(depth, size, home + 1));
                }
            }
            match next {
                None => return 0,
                Some(next) => position = next,
            }
            if found {
                break;
            }
        }
        self.directory.cursor(position).unwrap_or(0)
    }

    /// An element chosen by the 64 random bits `random`, each about as likely as any other (within
    /// some percent). `None` if the table is empty, or so sparse that a bounded search fails.
    pub fn sample(&self, random: u64) -> Option<&T> {
        let mut position = self.directory.position(random);
        let mut state = random;
        for _ in 0..MOST_SEGMENTS {
            let slot = self.directory.slot(position);
            // A segment holds as many elements as its share of the hashes, which is also the
            // chance to come here: any of its elements will do, if all are equally likely.
            if let Some(segment) = slot.segment().filter(|segment| segment.count() > 0) {
                let places = segment.places();
                let mut draw = || {
                    state = mix(state);
                    ((u128::from(state) * places as u128) >> 64) as usize
                };
                let drawn = (0..MOST_ATTEMPTS).find_map(|_| segment.nth(draw()));
                let first = draw();
                let place = drawn.or_else(|| {
                    (first..places).chain(0..first).find_map(|number| segment.nth(number))
                });
                return segment.get(place?);
            }
            position = position.segment_end(slot.depth()).unwrap_or(Position::START);
        }
        None
    }
}

/// The next state of SplitMix64, finalised: a bijection whose output bits all depend on all input
/// bits.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
