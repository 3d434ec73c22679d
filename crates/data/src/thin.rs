//! Byte strings in one word: members, fields and other small strings of large collections.

use crate::class::allocated;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::{self, NonNull};

/// First byte of a length that is in the two bytes behind it.
const SHORT: u8 = 0xFE;
/// First byte of a length that is in the eight bytes behind it.
const LONG: u8 = 0xFF;

/// An owned string of bytes that never changes, one pointer wide; so is its `Option`.
///
/// Its block begins with the length: one byte below 254, three up to 65,535, nine beyond. So a
/// string of 15 bytes takes 16 from the allocator.
pub struct ThinBytes {
    /// Invariants: 1. The block was allocated with [`layout`] of the length it begins with and is
    /// owned by this value alone. 2. Length and bytes are initialised and never change.
    start: NonNull<u8>,
}

// SAFETY: the block is owned by the value alone and holds plain bytes.
unsafe impl Send for ThinBytes {}
// SAFETY: nothing changes through a shared reference.
unsafe impl Sync for ThinBytes {}

/// Bytes of the length before a string of `len` bytes.
#[inline]
const fn head(len: usize) -> usize {
    if len < SHORT as usize {
        1
    } else if len <= u16::MAX as usize {
        3
    } else {
        9
    }
}

/// The layout of the block of a string of `len` bytes.
#[inline]
fn layout(len: usize) -> Layout {
    assert!(len <= isize::MAX as usize / 2, "a string of {len} bytes");
    // SAFETY: 1. 1 is a power of two. 2. The size is below `isize::MAX`, as just asserted.
    unsafe { Layout::from_size_align_unchecked(head(len) + len, 1) }
}

impl ThinBytes {
    /// A copy of `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let len = bytes.len();
        let layout = layout(len);
        // SAFETY: the block has at least the byte of its length.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        // SAFETY: 1. The block has room for the head and then `len` bytes. 2. It is fresh, so
        // `bytes` cannot overlap it.
        unsafe {
            match head(len) {
                1 => start.write(len as u8),
                3 => {
                    start.write(SHORT);
                    start.add(1).cast::<[u8; 2]>().write((len as u16).to_le_bytes());
                }
                _ => {
                    start.write(LONG);
                    start.add(1).cast::<[u8; 8]>().write((len as u64).to_le_bytes());
                }
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), start.add(head(len)).as_ptr(), len);
        }
        ThinBytes { start }
    }

    /// Length in bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        // SAFETY: the block begins with a length as `new` has written it: its first byte tells how
        // many follow. Arrays of bytes are aligned anywhere.
        unsafe {
            match self.start.read() {
                SHORT => u16::from_le_bytes(self.start.add(1).cast::<[u8; 2]>().read()).into(),
                LONG => u64::from_le_bytes(self.start.add(1).cast::<[u8; 8]>().read()) as usize,
                len => len.into(),
            }
        }
    }

    /// Whether there are no bytes.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.len();
        // SAFETY: behind the head lie `len` initialised bytes of the same allocation, which stay
        // as they are while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.add(head(len)).as_ptr(), len) }
    }

    /// Bytes held from the allocator.
    #[inline]
    #[must_use]
    pub fn memory(&self) -> usize {
        Self::memory_of(self.len())
    }

    /// Bytes that a string of `len` bytes holds from the allocator.
    #[inline]
    #[must_use]
    pub fn memory_of(len: usize) -> usize {
        allocated(head(len) + len)
    }
}

impl Drop for ThinBytes {
    #[inline]
    fn drop(&mut self) {
        let layout = layout(self.len());
        // SAFETY: the block was allocated with this layout and nobody else refers to it.
        unsafe { dealloc(self.start.as_ptr(), layout) }
    }
}

impl Clone for ThinBytes {
    fn clone(&self) -> Self {
        ThinBytes::new(self.as_bytes())
    }
}

impl AsRef<[u8]> for ThinBytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for ThinBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ThinBytes {}

impl fmt::Debug for ThinBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_one_word_and_so_is_an_optional_one() {
        assert_eq!(size_of::<ThinBytes>(), 8);
        assert_eq!(size_of::<Option<ThinBytes>>(), 8);
    }

    #[test]
    fn strings_of_every_kind_of_head_come_back() {
        let all: Vec<u8> = (0..70_000_u32).map(|at| (at % 251) as u8).collect();
        for len in [0, 1, 14, 15, 253, 254, 255, 256, 65_535, 65_536, 70_000] {
            let thin = ThinBytes::new(&all[..len]);
            assert_eq!((thin.len(), thin.as_bytes()), (len, &all[..len]));
            assert_eq!(thin.is_empty(), len == 0);
            let copy = thin.clone();
            drop(thin);
            assert_eq!(copy, ThinBytes::new(&all[..len]));
            assert!(copy.memory() > len);
        }
        assert_eq!(ThinBytes::new(&all[..7]).memory(), 8);
        assert_eq!(ThinBytes::new(&all[..15]).memory(), 16);
        assert_eq!(ThinBytes::new(&all[..16]).memory(), 32);
    }
}
