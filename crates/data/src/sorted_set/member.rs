//! A member of a large sorted set: its bytes and its score in one block of memory.
//!
//! ```text
//! offset 0     8                       9, or 17
//! score f64 | length u8 | or 255, length u64 | bytes
//! ```

use crate::class::{class_of, class_size};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

const ALIGN: usize = 8;
/// Where the length is.
const LEN: usize = 8;
/// The length is in the eight bytes behind.
const LONG: u8 = u8::MAX;

/// An owned member. Invariants, on which every `SAFETY` below rests:
///
/// 1. The pointer is to an allocation of the size class that holds `size_for` its length, aligned
///    to 8; only this value frees it.
/// 2. Score, length and bytes are initialised; length and bytes never change.
/// 3. The score is written through `&mut Member` and read through `&Member` alone.
#[derive(Debug)]
pub(super) struct Member(NonNull<u8>);

/// Where a member is. It does not keep the member alive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle(NonNull<u8>);

// SAFETY: a member owns plain bytes; nothing of it is tied to a thread.
unsafe impl Send for Member {}
// SAFETY: all changes need `&mut Member`.
unsafe impl Sync for Member {}
// SAFETY: a handle is an address. What is read through it, bytes that never change, is plain
// memory; that it is alive is for those who read to see to, on any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

const fn bytes_at(len: usize) -> usize {
    if len < LONG as usize { LEN + 1 } else { LEN + 9 }
}

const fn size_for(len: usize) -> usize {
    bytes_at(len) + len
}

fn layout(len: usize) -> Layout {
    // SAFETY: 1. 8 is a power of two. 2. `Member::new` has checked that the size is far below
    // `isize::MAX`.
    unsafe { Layout::from_size_align_unchecked(class_size(class_of(size_for(len))), ALIGN) }
}

/// The bytes of a member.
///
/// # Safety
/// The pointer is that of a `Member` which lives for `'a`.
#[inline]
unsafe fn bytes<'a>(start: NonNull<u8>) -> &'a [u8] {
    // SAFETY: 1. By invariant 2 length and bytes are initialised, where `bytes_at` says. 2. They
    // never change, so they may be borrowed while the score is written.
    unsafe {
        let len = match start.add(LEN).read() {
            LONG => start.add(LEN + 1).cast::<u64>().read_unaligned() as usize,
            short => short as usize,
        };
        std::slice::from_raw_parts(start.add(bytes_at(len)).as_ptr(), len)
    }
}

impl Member {
    /// A member with these bytes and this score.
    pub(super) fn new(bytes: &[u8], score: f64) -> Self {
        let len = bytes.len();
        assert!(len <= isize::MAX as usize / 4, "a member of {len} bytes");
        // SAFETY: the smallest class has 16 bytes, so the size is not 0.
        let start = unsafe { alloc(layout(len)) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout(len)));
        // SAFETY: 1. The class holds `size_for(len)` bytes: all that is written. 2. `bytes` cannot
        // overlap a fresh allocation. 3. The start is aligned to 8, as an `f64` needs.
        unsafe {
            start.cast::<f64>().write(score);
            if len < LONG as usize {
                start.add(LEN).write(len as u8);
            } else {
                start.add(LEN).write(LONG);
                start.add(LEN + 1).cast::<u64>().write_unaligned(len as u64);
            }
            start.add(bytes_at(len)).copy_from_nonoverlapping(NonNull::from(bytes).cast(), len);
        }
        Member(start)
    }

    /// Its bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the member lives as long as it is borrowed.
        unsafe { bytes(self.0) }
    }

    /// Its score.
    #[inline]
    pub(super) fn score(&self) -> f64 {
        // SAFETY: invariants 2 and 3.
        unsafe { self.0.cast::<f64>().read() }
    }

    /// Changes its score.
    #[inline]
    pub(super) fn set_score(&mut self, score: f64) {
        // SAFETY: invariants 1 and 3.
        unsafe { self.0.cast::<f64>().write(score) }
    }

    /// Where it is, until it is dropped.
    #[inline]
    pub(super) fn handle(&self) -> Handle {
        Handle(self.0)
    }

    /// Bytes held from the allocator.
    pub(super) fn memory(&self) -> usize {
        memory(self.bytes().len())
    }
}

/// Bytes that a member of `len` bytes takes from the allocator.
pub(super) fn memory(len: usize) -> usize {
    crate::allocated(size_for(len))
}

impl Drop for Member {
    fn drop(&mut self) {
        let layout = layout(self.bytes().len());
        // SAFETY: invariant 1; the member is not used afterwards.
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

impl Handle {
    /// The bytes of the member.
    ///
    /// # Safety
    /// The member is alive and stays so for `'a`.
    #[inline]
    pub(super) unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: as the caller promises.
        unsafe { bytes(self.0) }
    }

    /// Whether this is the handle of that member.
    #[inline]
    pub(super) fn is_of(self, member: &Member) -> bool {
        self.0 == member.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_bytes_and_a_score() {
        for len in [0, 1, 7, 8, 14, 23, 24, 254, 255, 256, 70_000] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut member = Member::new(&bytes, 1.5);
            let handle = member.handle();
            member.set_score(-2.5);
            assert_eq!((member.bytes(), member.score()), (&bytes[..], -2.5));
            // SAFETY: the member is dropped below.
            assert_eq!(unsafe { handle.bytes() }, bytes);
            assert!(handle.is_of(&member) && member.memory() >= len + 9);
        }
    }

    #[test]
    fn short_members_take_few_bytes() {
        assert_eq!((memory(7), memory(8), memory(23), memory(24)), (16, 32, 32, 48));
    }
}
