//! Size classes of the allocator.
//!
//! Blocks are requested in the sizes that mimalloc serves: multiples of 16 bytes up to 64, then
//! four sizes for each doubling. So the slack inside a class is ours to use (a value may grow into
//! it without a new allocation), and what is accounted is what is held.

/// Above this many bytes mimalloc serves whole pages instead of size classes.
const LARGEST_CLASS: usize = 128 * 1024;
const PAGE: usize = 4096;

/// The number of the smallest class that holds `size` bytes. A class fits a byte for any size.
#[inline]
pub(crate) const fn class_of(size: usize) -> u8 {
    let words = size.div_ceil(8);
    if words <= 8 {
        return match words.next_multiple_of(2) {
            0 => 2,
            even => even as u8,
        };
    }
    let top = words - 1;
    let log = usize::BITS - 1 - top.leading_zeros();
    ((log << 2) + ((top >> (log - 2)) & 3) as u32 - 3) as u8
}

/// Bytes of a block of the class.
#[inline]
pub(crate) const fn class_size(class: u8) -> usize {
    if class <= 8 {
        return class as usize * 8;
    }
    let step = class as usize + 3;
    (5 + (step & 3)) << ((step >> 2) - 2 + 3)
}

/// What an allocation of `size` bytes takes from the allocator, in bytes; 0 for nothing.
#[inline]
pub const fn allocated(size: usize) -> usize {
    if size <= 8 {
        // Nothing, or a block of 8 bytes, which records and values never ask for.
        size.next_multiple_of(8)
    } else if size > LARGEST_CLASS {
        size.next_multiple_of(PAGE)
    } else {
        class_size(class_of(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_mimalloc() {
        let sizes = [16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640];
        for pair in sizes.windows(2) {
            assert_eq!(class_size(class_of(pair[0])), pair[0]);
            assert_eq!(class_size(class_of(pair[0] + 1)), pair[1]);
        }
        assert_eq!((allocated(1), allocated(8), allocated(9)), (8, 8, 16));
        assert_eq!(allocated(0), 0);
        assert_eq!(allocated(128 * 1024 + 1), 33 * 4096);
    }

    #[test]
    #[cfg_attr(miri, ignore = "nothing to see for Miri, and slow")]
    fn a_class_holds_its_size_and_wastes_at_most_a_quarter() {
        for size in (65..70_000).chain([1 << 29, (1 << 29) + 1, 1 << 40]) {
            let class = class_size(class_of(size));
            assert!(class >= size && class - size <= size / 4 + 8, "{size} in {class}");
        }
    }
}
