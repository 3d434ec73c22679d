//! Receive buffers provided to the kernel, and the guards that lend them out.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The kernel wants the ring of descriptions aligned to a page.
const PAGE: usize = 4096;
/// Consecutive buffers begin this many bytes further apart than their size, so that the first
/// lines of many short receives do not fall into the same few sets of the caches.
const COLOUR: usize = 128;

/// `struct io_uring_buf`: one entry of the ring. The tail of the ring is the last field of the
/// first entry.
#[repr(C)]
struct Description {
    address: u64,
    length: u32,
    id: u16,
    tail: u16,
}

/// A ring of equally sized buffers from which the kernel takes one for each receive.
///
/// A buffer is at any time either the kernel's or held by exactly one [`Buffer`] guard, which
/// gives it back when dropped.
pub struct ProvidedBufRing {
    /// Name of the first buffer; the others follow. Rings of one owner have no name in common.
    first: u16,
    ring: NonNull<Description>,
    memory: NonNull<u8>,
    count: u16,
    size: usize,
    tail: Cell<u16>,
    lent: Cell<u16>,
    /// For every buffer whether a guard holds it; checked in debug builds.
    held: Box<[Cell<bool>]>,
}

impl ProvidedBufRing {
    /// Allocates `count` buffers (a power of two, at most 32,768) of `size` bytes, which the
    /// kernel names from `first` on.
    ///
    /// # Errors
    /// `InvalidInput` for a bad count or size, `OutOfMemory` if the allocator refuses.
    pub(crate) fn new(first: u16, count: u16, size: u32) -> io::Result<Rc<Self>> {
        if !count.is_power_of_two() || size == 0 || first.checked_add(count).is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let size = size as usize;
        let ring = allocate(Self::ring_layout(count)?)?.cast::<Description>();
        let memory = match Self::memory_layout(count, size).and_then(allocate) {
            Ok(memory) => memory,
            Err(error) => {
                // SAFETY: allocated above with this layout and not used since.
                unsafe { dealloc(ring.as_ptr().cast(), Self::ring_layout(count)?) };
                return Err(error);
            }
        };
        let held = (0..count).map(|_| Cell::new(true)).collect();
        let (tail, lent) = (Cell::new(0), Cell::new(count));
        let this = Self { first, ring, memory, count, size, tail, lent, held };
        (0..count).for_each(|id| this.give_back(id));
        Ok(Rc::new(this))
    }

    fn ring_layout(count: u16) -> io::Result<Layout> {
        Layout::from_size_align(usize::from(count) * size_of::<Description>(), PAGE)
            .map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    fn memory_layout(count: u16, size: usize) -> io::Result<Layout> {
        Layout::from_size_align(usize::from(count) * (size + COLOUR), PAGE)
            .map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    /// Number of buffers.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Buffers held by guards at the moment.
    #[must_use]
    pub const fn lent(&self) -> u16 {
        self.lent.get()
    }

    /// Address of the ring, for registering it.
    pub(crate) fn address(&self) -> u64 {
        self.ring.as_ptr() as u64
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        debug_assert!(id < self.count);
        // SAFETY: `id < count` (ids come from `take`, which checks), so the offset stays inside
        // the allocation of `count * (size + COLOUR)` bytes.
        unsafe { self.memory.as_ptr().add(usize::from(id) * (self.size + COLOUR)) }
    }

    /// Wraps the buffer that the kernel calls `name` and has filled with `length` bytes. `None` if
    /// it is none of this ring.
    ///
    /// # Safety
    /// The kernel has handed over buffer `name` in a completion that is turned into a guard once.
    pub(crate) unsafe fn take(self: &Rc<Self>, name: u16, length: usize) -> Option<Buffer> {
        let id = name.checked_sub(self.first)?;
        if id >= self.count || length > self.size {
            return None;
        }
        debug_assert!(!self.held[usize::from(id)].replace(true), "a buffer is lent twice");
        self.lent.set(self.lent.get() + 1);
        Some(Buffer { ring: Rc::clone(self), id, length: length as u32 })
    }

    /// Makes a buffer the kernel's again.
    fn give_back(&self, id: u16) {
        debug_assert!(self.held[usize::from(id)].replace(false), "a buffer is returned twice");
        self.lent.set(self.lent.get() - 1);
        let tail = self.tail.get();
        let slot = usize::from(tail & (self.count - 1));
        // SAFETY: 1. `slot < count`, inside the allocation; 2. the kernel reads an entry only
        // between its head and the published tail, and at most `count` buffers exist, so it does
        // not read this entry now; 3. the fields are written one by one, without a reference
        // that would cover the tail in the first entry.
        unsafe {
            let entry = self.ring.as_ptr().add(slot);
            (&raw mut (*entry).address).write(self.buffer(id) as u64);
            (&raw mut (*entry).length).write(self.size as u32);
            (&raw mut (*entry).id).write(self.first + id);
        }
        self.tail.set(tail.wrapping_add(1));
        // SAFETY: the field is a live, aligned `u16`, accessed by both sides atomically only.
        let shared = unsafe { AtomicU16::from_ptr(&raw mut (*self.ring.as_ptr()).tail) };
        shared.store(self.tail.get(), Ordering::Release);
    }
}

impl fmt::Debug for ProvidedBufRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProvidedBufRing({} x {}, {} lent)", self.count, self.size, self.lent.get())
    }
}

impl Drop for ProvidedBufRing {
    fn drop(&mut self) {
        // No guard is left (each holds an `Rc`), and the ring that used the memory has
        // unregistered it, or else keeps an `Rc` for ever.
        if let (Ok(ring), Ok(memory)) =
            (Self::ring_layout(self.count), Self::memory_layout(self.count, self.size))
        {
            // SAFETY: both were allocated with these layouts and are freed once, here.
            unsafe {
                dealloc(self.ring.as_ptr().cast(), ring);
                dealloc(self.memory.as_ptr(), memory);
            }
        }
    }
}

fn allocate(layout: Layout) -> io::Result<NonNull<u8>> {
    // SAFETY: the layouts above are never of size zero (count and size are checked).
    NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Bytes received, in a buffer on loan from a [`ProvidedBufRing`]; dropping it gives the buffer
/// back to the kernel.
pub struct Buffer {
    ring: Rc<ProvidedBufRing>,
    id: u16,
    length: u32,
}

impl Buffer {
    /// Whether the receive has filled it to the end, so that more may be waiting.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.length as usize == self.ring.size
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: 1. the memory is allocated as long as the `Rc` lives and was zeroed, so it is
        // initialised; 2. `length` is at most the buffer's size (checked by `take`); 3. the
        // kernel does not write to a buffer that it has handed over, until `give_back`.
        unsafe { std::slice::from_raw_parts(self.ring.buffer(self.id), self.length as usize) }
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        self.ring.give_back(self.id);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({}, {} bytes)", self.id, self.length)
    }
}
