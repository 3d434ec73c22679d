//! Where a hash lives: positions in hash space, bucket counts and load limits.
//!
//! Bits of a hash: the top 40 give the position (directory, bucket, scan cursor), bits 8 to 15 the
//! tag. The lowest 8 select the store that holds the key, so all keys of one map may share them.

/// Slots of one bucket; with 8-byte elements a bucket is one cache line of 64 bytes.
pub(crate) const SLOTS: usize = 7;

/// Bits of a hash that order the table, and therefore bits of a scan cursor.
pub(crate) const POSITION_BITS: u32 = 40;

/// Hash bits below the position.
const DROPPED_BITS: u32 = 64 - POSITION_BITS;

/// Buckets of a segment just after a split or a merge.
pub(crate) const BASE_BUCKETS: u32 = 128;

/// Buckets of a segment that splits when it is full (1,344 slots of which the limit fills 1,142:
/// some 20 µs to split with the elements out of cache).
pub(crate) const TOP_BUCKETS: u32 = 192;

/// A segment that cannot split, because its hashes agree in too many bits, grows up to this.
pub(crate) const MOST_BUCKETS: u32 = 1 << 15;

/// Directory prefix in bits of a table's first split, which is into 16 segments.
pub(crate) const FIRST_DEPTH: u32 = 4;

/// Longest directory prefix in bits.
pub(crate) const MAX_DEPTH: u32 = 24;

// A split hands each half `next_size(TOP) / 2` buckets.
const _: () = assert!(next_size(TOP_BUCKETS) == 2 * BASE_BUCKETS);
// A merge divides bucket numbers by a whole number, so it needs no hash.
const _: () = assert!((2 * TOP_BUCKETS).is_multiple_of(BASE_BUCKETS));
// Each bucket of the deepest, widest segment covers at least one position: a scan advances.
const _: () = assert!((MOST_BUCKETS as u64) <= 1 << (POSITION_BITS - MAX_DEPTH));

/// Elements above which a segment of `buckets` grows: 85 % of its slots.
///
/// With capacities in steps of 3/2 and 4/3 this keeps 8-byte elements below 14 bytes each at every
/// count; above it, elements that do not fit beside their bucket become frequent.
pub(crate) const fn limit(buckets: u32) -> u32 {
    if buckets == 1 { SLOTS as u32 } else { buckets * SLOTS as u32 * 17 / 20 }
}

/// Elements below which a segment may be rebuilt with `buckets`: 7/8 of the limit, so that the
/// next few insertions do not undo it.
pub(crate) const fn shrink_limit(buckets: u32) -> u32 {
    limit(buckets) * 7 / 8
}

/// The bucket count after `buckets` in the series 1, 2, 3, 4, 6, 8, 12, … (2ᵏ and 3·2ᵏ).
///
/// These times 64 bytes are size classes of the usual allocators, so nothing is lost to rounding.
pub(crate) const fn next_size(buckets: u32) -> u32 {
    if buckets.is_power_of_two() && buckets > 1 {
        buckets / 2 * 3
    } else {
        (buckets + 1).next_power_of_two()
    }
}

/// A place in the space that orders a table: the first 40 bits of a hash, left-aligned.
///
/// A table of one segment is ordered by the hash itself. A larger one is ordered by the hash warped
/// by `x ↦ x·(5/8 + 3/8·x)` on `0 ≤ x < 1`. That is monotone and makes the density of elements
/// vary by a factor of 2.2 over the space. So segments reach their limits one after another while a
/// table doubles, instead of all at about the same count, and the memory per element stays nearly
/// constant. Within one segment of 16 or more the density varies by 5 % at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

impl Position {
    pub(crate) const START: Self = Self(0);

    /// The position of `hash` in a table of one segment.
    #[inline]
    pub(crate) const fn narrow(hash: u64) -> Self {
        Self(hash >> DROPPED_BITS << DROPPED_BITS)
    }

    /// The position of `hash` in a table of several segments.
    #[inline]
    pub(crate) const fn wide(hash: u64) -> Self {
        // Only the bits of the cursor count: so the order of positions is that of cursors.
        let Self(x) = Self::narrow(hash);
        let factor = (5 << 61) + (x >> 2) + (x >> 3);
        Self::narrow(multiply_high(x, factor))
    }

    /// The least cursor, which is the first 40 bits of a hash, with its position here or behind.
    pub(crate) const fn narrow_cursor(self) -> u64 {
        self.0 >> DROPPED_BITS
    }

    /// As [`Self::narrow_cursor`], in a table of several segments.
    pub(crate) fn wide_cursor(self) -> u64 {
        // Bisection, as `wide` is monotone: all below `low` are before, all from `high` are not.
        let (mut low, mut high) = (0, 1 << POSITION_BITS);
        while low < high {
            let middle = (low + high) / 2;
            if Self::wide(middle << DROPPED_BITS) < self {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The hash that begins at `cursor`; bits beyond the 40 are ignored.
    pub(crate) const fn hash_at(cursor: u64) -> u64 {
        cursor << DROPPED_BITS
    }

    /// Index into a directory of `2^depth` slots.
    #[inline]
    pub(crate) const fn prefix(self, depth: u32) -> usize {
        // Two shifts, as a shift by 64 is undefined for depth 0.
        (self.0 >> 1 >> (63 - depth)) as usize
    }

    /// The bucket, of `buckets`, of a segment whose prefix has `depth` bits.
    #[inline]
    pub(crate) const fn home(self, depth: u32, buckets: u32) -> u32 {
        multiply_high(self.0 << depth, buckets as u64) as u32
    }

    /// First position of the segment with `depth` prefix bits that contains this one.
    pub(crate) const fn segment_start(self, depth: u32) -> Self {
        Self(self.0 & !(u64::MAX >> depth))
    }

    /// First position behind the segment that contains this one; `None` at the end of the space.
    pub(crate) fn segment_end(self, depth: u32) -> Option<Self> {
        if depth == 0 {
            return None;
        }
        let last = self.0 | (u64::MAX >> depth);
        last.checked_add(1).map(Self)
    }

    /// First position of bucket `home` in the segment that contains this one, `home < buckets`.
    pub(crate) const fn bucket_start(self, depth: u32, buckets: u32, home: u32) -> Self {
        let width = POSITION_BITS - depth;
        // The least f with f·buckets / 2^width ≥ home; at most 15 + 40 bits.
        let offset = ((home as u64) << width).div_ceil(buckets as u64);
        Self(self.segment_start(depth).0 + (offset << DROPPED_BITS))
    }
}

/// Upper half of the product: `a·b / 2^64`.
#[inline]
const fn multiply_high(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

/// The byte kept beside an element to skip those that cannot match; never 0, which marks a free slot.
#[inline]
pub(crate) const fn tag(hash: u64) -> u8 {
    let byte = (hash >> 8) as u8;
    byte | (byte == 0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_series() {
        let mut sizes = vec![1];
        while sizes.len() < 12 {
            sizes.push(next_size(sizes[sizes.len() - 1]));
        }
        assert_eq!(sizes, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]);
    }

    #[test]
    fn positions_keep_the_order_of_hashes() {
        let step = u64::MAX / 9973;
        let positions: Vec<_> = (0..9973).map(|i| Position::wide(i * step)).collect();
        assert!(positions.is_sorted());
        assert!(Position::wide(u64::MAX).0 >> DROPPED_BITS > (1 << POSITION_BITS) - 10);
        assert_eq!(Position::wide(0), Position::START);
    }

    #[test]
    fn a_position_depends_on_the_cursor_bits_only() {
        for hash in [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, u64::MAX] {
            let start = Position::hash_at(hash >> DROPPED_BITS);
            assert_eq!(Position::narrow(start), Position::narrow(hash));
            assert_eq!(Position::wide(start), Position::wide(hash));
        }
    }

    #[test]
    fn a_cursor_is_the_least_at_its_position() {
        for i in 1..if cfg!(miri) { 20 } else { 1000_u64 } {
            let position = Position::narrow(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let cursor = position.wide_cursor();
            assert!(Position::wide(Position::hash_at(cursor)) >= position);
            assert!(Position::wide(Position::hash_at(cursor - 1)) < position);
        }
    }

    #[test]
    fn a_bucket_starts_at_its_least_position() {
        for depth in [0, 1, 5, 24] {
            for buckets in [1, 2, 3, 12, 128, 192, MOST_BUCKETS] {
                let any = Position::narrow(0x9e37_79b9_7f4a_7c15);
                for home in [0, 1, buckets / 3, buckets - 1].into_iter().filter(|&h| h < buckets) {
                    let start = any.bucket_start(depth, buckets, home);
                    assert_eq!(start.home(depth, buckets), home, "{depth} {buckets} {home}");
                    if home > 0 {
                        let before = Position(start.0 - (1 << DROPPED_BITS));
                        assert_eq!(before.home(depth, buckets), home - 1);
                    }
                }
            }
        }
    }

    #[test]
    fn segments_tile_the_space() {
        let last = Position::narrow(u64::MAX);
        assert_eq!(last.segment_end(3), None);
        assert_eq!(last.segment_end(0), None);
        let mut at = Position::START;
        let mut count = 1;
        while let Some(next) = at.segment_end(3) {
            assert_eq!(next.segment_start(3), next);
            at = next;
            count += 1;
        }
        assert_eq!(count, 8);
    }
}
