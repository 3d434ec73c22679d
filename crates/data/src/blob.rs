//! Reference-counted byte bodies.

use crate::class::allocated;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// The head of the one allocation of a blob; `capacity` bytes of body follow it.
#[repr(C)]
struct Head {
    refs: AtomicUsize,
    len: usize,
    capacity: usize,
}

const HEAD: usize = size_of::<Head>();

/// Room reserved for a body whose announced bytes have not arrived yet.
const FIRST_ROOM: usize = 1 << 20;
/// Up to this size an appended-to body doubles; beyond, it grows by a quarter.
const DOUBLING_LIMIT: usize = 1 << 20;
/// As for `Arc`: reached only by leaking clones, and then the count must not wrap.
const MAX_REFS: usize = isize::MAX as usize;

/// The memory for a body could not be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl std::error::Error for OutOfMemory {}

/// A byte body shared by reference count: a stored value that replies point to without copying it.
///
/// One word wide. Immutable while shared: changing a shared blob first gives the changer its own
/// copy, so bytes that are being sent never change.
pub struct Blob {
    head: NonNull<Head>,
}

// SAFETY: 1. The count is atomic. 2. Body, length and capacity are changed only through `&mut
// Blob` after the count has been seen to be 1, with acquire ordering against the release of every
// other owner's drop: no other owner can be reading then.
unsafe impl Send for Blob {}
// SAFETY: as for `Send`; `&Blob` only reads, and cloning from several threads is an atomic add.
unsafe impl Sync for Blob {}

/// The layout of a blob with room for `capacity` bytes, or none if no such size exists.
fn layout(capacity: usize) -> Option<Layout> {
    let size = HEAD.checked_add(capacity)?;
    Layout::from_size_align(size, align_of::<Head>()).ok()
}

/// Allocates a blob of length 0, owned once.
fn allocate(capacity: usize) -> Result<NonNull<Head>, OutOfMemory> {
    let layout = layout(capacity).ok_or(OutOfMemory)?;
    // SAFETY: the layout has at least the size of `Head`, which is not 0.
    let head = NonNull::new(unsafe { alloc(layout) }.cast::<Head>()).ok_or(OutOfMemory)?;
    // SAFETY: fresh memory of at least the size and the alignment of `Head`.
    unsafe { head.write(Head { refs: AtomicUsize::new(1), len: 0, capacity }) };
    Ok(head)
}

/// As [`allocate`], for memory that the process cannot go on without.
fn allocate_or_abort(capacity: usize) -> NonNull<Head> {
    allocate(capacity).unwrap_or_else(|_| give_up(capacity))
}

#[cold]
fn give_up(capacity: usize) -> ! {
    handle_alloc_error(layout(capacity).unwrap_or(Layout::new::<Head>()))
}

impl Blob {
    /// A blob with a copy of `bytes`, of exactly their size.
    pub fn new(bytes: &[u8]) -> Self {
        let mut blob = Blob::with_capacity(bytes.len());
        blob.extend(bytes);
        blob
    }

    /// An empty blob with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Blob { head: allocate_or_abort(capacity) }
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: `head` points to an initialised `Head` for as long as an owner exists; nobody
        // holds a `&mut Head` meanwhile (fields are written through raw pointers, under `&mut
        // self` of the only owner).
        unsafe { self.head.as_ref() }
    }

    /// The first byte of the body.
    #[inline]
    fn body(&self) -> *mut u8 {
        // SAFETY: the allocation is at least `HEAD` bytes long.
        unsafe { self.head.as_ptr().cast::<u8>().add(HEAD) }
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: 1. `len` bytes of the body are initialised, in one allocation. 2. They change
        // only under `&mut self` of the only owner, which the returned borrow excludes.
        unsafe { std::slice::from_raw_parts(self.body(), self.head().len) }
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.head().len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes the body can grow to without a new allocation.
    pub fn capacity(&self) -> usize {
        self.head().capacity
    }

    /// Bytes this blob takes from the allocator, its head included.
    pub fn memory(&self) -> usize {
        allocated(HEAD + self.capacity())
    }

    /// Whether nobody else shares the body.
    pub fn is_unique(&self) -> bool {
        // Acquire: pairs with the release of the other owners' drops, so that their reads of the
        // body come before any write of ours.
        self.head().refs.load(Ordering::Acquire) == 1
    }

    /// Makes this the only owner of a body with room for `capacity` bytes, growing geometrically
    /// where the old one was too small.
    pub fn reserve_unique(&mut self, capacity: usize) {
        let held = self.capacity();
        if !self.is_unique() {
            let mut own = Blob::with_capacity(capacity.max(self.len()));
            own.extend(self.as_bytes());
            *self = own;
        } else if capacity > held {
            let step = if held < DOUBLING_LIMIT { held } else { held / 4 };
            if self.resize(capacity.max(held.saturating_add(step))).is_err() {
                self.resize(capacity).unwrap_or_else(|_| give_up(capacity));
            }
        }
    }

    /// Changes the capacity of a body owned once. `capacity` is at least the length.
    fn resize(&mut self, capacity: usize) -> Result<(), OutOfMemory> {
        debug_assert!(self.is_unique() && capacity >= self.len());
        let (Some(old), Some(new)) = (layout(self.capacity()), layout(capacity)) else {
            return Err(OutOfMemory);
        };
        // SAFETY: 1. The block was allocated with layout `old`. 2. The new size is not 0 and fits
        // `isize` as `layout` has checked. 3. The only owner is `self`: no other pointer dangles.
        let moved = unsafe { realloc(self.head.as_ptr().cast(), old, new.size()) };
        self.head = NonNull::new(moved.cast::<Head>()).ok_or(OutOfMemory)?;
        // SAFETY: the block is live and ours alone.
        unsafe { (&raw mut (*self.head.as_ptr()).capacity).write(capacity) };
        Ok(())
    }

    /// Appends bytes; copies the body first if it is shared, or too small.
    pub fn extend(&mut self, bytes: &[u8]) {
        let len = self.len();
        self.reserve_unique(len.checked_add(bytes.len()).unwrap_or_else(|| give_up(usize::MAX)));
        // SAFETY: 1. `reserve_unique` made room for `len + bytes.len()` bytes, owned by us alone.
        // 2. `bytes` cannot overlap them: they are behind our `&mut self`.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.body().add(len), bytes.len());
            self.set_len(len + bytes.len());
        }
    }

    /// Appends `count` zero bytes.
    pub fn extend_zeros(&mut self, count: usize) {
        let len = self.len();
        self.reserve_unique(len.checked_add(count).unwrap_or_else(|| give_up(usize::MAX)));
        // SAFETY: as in `extend`.
        unsafe {
            self.body().add(len).write_bytes(0, count);
            self.set_len(len + count);
        }
    }

    /// # Safety
    /// The first `len` bytes of the body are initialised, and this is the only owner.
    unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity());
        // SAFETY: the block is live and, as the caller promises, ours alone.
        unsafe { (&raw mut (*self.head.as_ptr()).len).write(len) }
    }

    /// The bytes for changing; copies them first if they are shared.
    pub fn make_mut(&mut self) -> &mut [u8] {
        self.reserve_unique(self.len());
        // SAFETY: `len` bytes are initialised, owned by us alone, borrowed from `&mut self`.
        unsafe { std::slice::from_raw_parts_mut(self.body(), self.head().len) }
    }
}

impl Clone for Blob {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed: who clones already holds a reference, so the body cannot go away meanwhile.
        if self.head().refs.fetch_add(1, Ordering::Relaxed) > MAX_REFS {
            std::process::abort();
        }
        Blob { head: self.head }
    }
}

impl Drop for Blob {
    #[inline]
    fn drop(&mut self) {
        // Release: our reads of the body come before the last owner's free.
        if self.head().refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        if let Some(layout) = layout(self.capacity()) {
            // SAFETY: 1. We were the last owner. 2. The block was allocated with this layout:
            // `capacity` is what it was last allocated or reallocated with.
            unsafe { dealloc(self.head.as_ptr().cast(), layout) }
        }
    }
}

impl AsRef<[u8]> for Blob {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head || self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Blob {}

/// The destination of a body under way, of a size known from its header.
///
/// Room is reserved as bytes arrive: at most 1 MiB at first and then in doublings, so that a
/// client which announces 512 MB and sends nothing gets no memory.
#[derive(Debug)]
pub struct BlobBuilder {
    blob: Blob,
    size: usize,
}

impl BlobBuilder {
    /// A destination for `size` bytes.
    ///
    /// # Errors
    /// The first room could not be had.
    pub fn with_capacity(size: usize) -> Result<Self, OutOfMemory> {
        let head = allocate(size.min(FIRST_ROOM))?;
        Ok(BlobBuilder { blob: Blob { head }, size })
    }

    /// Bytes that are still to come.
    pub fn remaining(&self) -> usize {
        self.size - self.blob.len()
    }

    /// Bytes that have arrived.
    pub fn len(&self) -> usize {
        self.blob.len()
    }

    /// Whether nothing has arrived.
    pub fn is_empty(&self) -> bool {
        self.blob.is_empty()
    }

    /// Bytes held from the allocator now.
    pub fn memory(&self) -> usize {
        self.blob.memory()
    }

    /// Takes as many of `bytes` as are still expected and says how many.
    ///
    /// # Errors
    /// The room for them could not be had; nothing was taken.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<usize, OutOfMemory> {
        let taken = bytes.len().min(self.remaining());
        let needed = self.blob.len() + taken;
        if needed > self.blob.capacity() {
            let doubled = self.blob.capacity().saturating_mul(2).min(self.size);
            self.blob.resize(doubled.max(needed))?;
        }
        self.blob.extend(&bytes[..taken]);
        Ok(taken)
    }

    /// The body, without copying it. What is missing (see [`remaining`](Self::remaining)) is not
    /// part of it.
    pub fn freeze(self) -> Blob {
        self.blob
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_its_bytes_when_the_other_changes() {
        let mut blob = Blob::new(b"one");
        let sent = blob.clone();
        assert!(!blob.is_unique());
        blob.extend(b"two");
        blob.make_mut()[0] = b'O';
        assert_eq!(sent.as_bytes(), b"one");
        assert_eq!(blob.as_bytes(), b"Onetwo");
        drop(sent);
        assert!(blob.is_unique());
    }

    #[test]
    fn unique_bodies_grow_in_place_with_room_to_spare() {
        let mut blob = Blob::new(&[7; 100]);
        blob.extend(&[8]);
        assert!(blob.capacity() >= 200);
        blob.extend_zeros(3);
        assert_eq!(blob.len(), 104);
        assert_eq!(&blob.as_bytes()[99..], [7, 8, 0, 0, 0]);
        assert!(blob.memory() >= blob.capacity() + HEAD);
    }

    #[test]
    fn a_builder_reserves_as_bytes_arrive() {
        let mut builder = BlobBuilder::with_capacity(usize::MAX / 4).expect("first room");
        assert!(builder.memory() <= FIRST_ROOM + PAGE_SLACK);
        assert_eq!(builder.extend(b"abc"), Ok(3));
        assert_eq!(builder.remaining(), usize::MAX / 4 - 3);
        assert_eq!(builder.freeze().as_bytes(), b"abc");
    }

    const PAGE_SLACK: usize = 8192;

    #[test]
    fn a_builder_takes_no_more_than_announced_and_freezes_at_exact_size() {
        let mut builder = BlobBuilder::with_capacity(5).expect("room");
        assert_eq!(builder.extend(b"abcd"), Ok(4));
        assert_eq!(builder.extend(b"efgh"), Ok(1));
        assert_eq!(builder.remaining(), 0);
        let blob = builder.freeze();
        assert_eq!((blob.as_bytes(), blob.capacity()), (&b"abcde"[..], 5));
    }

    #[test]
    #[cfg_attr(miri, ignore = "megabytes take long")]
    fn a_builder_doubles_to_the_exact_size() {
        let size = 5 * FIRST_ROOM / 2;
        let mut builder = BlobBuilder::with_capacity(size).expect("room");
        let chunk = vec![9; 16 * 1024];
        while builder.remaining() > 0 {
            builder.extend(&chunk).expect("room");
        }
        let blob = builder.freeze();
        assert_eq!((blob.len(), blob.capacity()), (size, size));
    }

    #[test]
    fn owners_on_several_threads() {
        let blob = Blob::new(b"shared");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut mine = blob.clone();
                scope.spawn(move || {
                    mine.extend(b" no more");
                    assert_eq!(mine.as_bytes(), b"shared no more");
                });
            }
        });
        assert_eq!(blob.as_bytes(), b"shared");
        assert!(blob.is_unique());
    }
}
