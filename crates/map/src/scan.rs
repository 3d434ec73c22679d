//! Scanning by cursor, and random samples.

use crate::geometry::Position;
use crate::map::KevyMap;
use crate::segment::Segment;

/// Empty buckets that one call of [`KevyMap::scan`] passes over.
const MOST_EMPTY_BUCKETS: usize = 64;

/// Random places of a segment that [`KevyMap::sample`] looks at before it counts the elements. A
/// segment is rarely less than a quarter full.
const MOST_ATTEMPTS: usize = 16;

/// Segments that one call of [`KevyMap::sample`] draws before it takes whichever comes next. One in
/// about two is taken, in very sparse tables one in twenty.
const MOST_SEGMENTS: usize = 512;

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

    /// An element chosen by the 64 random bits `random`, each as likely as any other. `None` if
    /// the table is empty, or so sparse that a bounded search fails.
    pub fn sample(&self, random: u64) -> Option<&T> {
        let mut state = random;
        // A segment is drawn by its share of the positions and taken by how many elements it has
        // for that share, against a number that hardly any segment exceeds: the density over the
        // positions is at most 8/5 (see `Position`), and counts vary by the square root of what is
        // expected.
        let expected = self.len as f64 / f64::from(self.directory.runs());
        let most = self.len as f64 * 1.6 * (1.0 + 5.0 / expected.sqrt());
        for _ in 0..MOST_SEGMENTS {
            let slot = self.directory.slot(Position::narrow(state));
            state = mix(state);
            let Some(segment) = slot.segment() else { continue };
            let for_all = f64::from(segment.count()) * (slot.depth() as f64).exp2();
            if for_all > 0.0 && (self.directory.is_narrow() || for_all > unit(state) * most) {
                return segment_sample(segment, state);
            }
            state = mix(state);
        }
        let mut position = self.directory.position(random);
        for _ in 0..MOST_SEGMENTS {
            let slot = self.directory.slot(position);
            if let Some(segment) = slot.segment().filter(|segment| segment.count() > 0) {
                return segment_sample(segment, state);
            }
            position = position.segment_end(slot.depth()).unwrap_or(Position::START);
        }
        None
    }
}

/// Any element of a segment that has some, each as likely.
fn segment_sample<T>(segment: &Segment<T>, random: u64) -> Option<&T> {
    let (places, mut state) = (segment.places(), random);
    let mut draw = || {
        state = mix(state);
        ((u128::from(state) * places as u128) >> 64) as usize
    };
    let drawn = (0..MOST_ATTEMPTS).find_map(|_| segment.nth(draw()));
    let first = draw();
    let place =
        drawn.or_else(|| (first..places).chain(0..first).find_map(|number| segment.nth(number)))?;
    segment.get(place)
}

/// Random bits as a number from 0 to below 1.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The next state of SplitMix64, finalised: a bijection whose output bits all depend on all input
/// bits.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
