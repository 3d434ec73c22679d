//! Hints to the processor.

/// Asks the processor to bring the first cache line of `value` near. Does nothing where there is
/// no such instruction to be had, and never changes what a program computes.
#[inline]
pub fn prefetch_read<T>(value: &T) {
    prefetch(std::ptr::from_ref(value));
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(crate) fn prefetch<T>(address: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: 1. SSE is part of every x86-64; 2. the instruction is a hint, which faults at no
    // address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
pub(crate) fn prefetch<T>(_address: *const T) {}
