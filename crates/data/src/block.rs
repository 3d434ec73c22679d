//! The heap block of a record: its layout, and the only code that touches it.
//!
//! ```text
//! offset 0      8                      8 × n         key end
//! Header | deadline i64 if flagged | key length u64 if ≥ 255 | key | payload
//! ```
//!
//! The payload is the bytes of a short string directly behind the key, or one word (an integer,
//! a blob, a boxed value) at the next multiple of 8.

use crate::Value;
use crate::blob::Blob;
use crate::class::{class_of, class_size};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

/// First word of a block.
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    /// From the low bits: access clock (24), kind (4), form (2), has deadline (1), the
    /// kind's flag (1).
    meta: u32,
    /// Size class of the block.
    class: u8,
    /// Length of the key, or `LONG_KEY`.
    key_len: u8,
    /// Length of an inline payload.
    value_len: u16,
}

const HEAD: usize = size_of::<Header>();
const ALIGN: usize = 8;
const LONG_KEY: u8 = u8::MAX;

const CLOCK_MASK: u32 = (1 << 24) - 1;
const KIND_SHIFT: u32 = 24;
const FORM_SHIFT: u32 = 28;
const DEADLINE: u32 = 1 << 30;
const FLAG: u32 = 1 << 31;

/// The longest string kept inside the block. Longer ones are blobs, which replies can share.
pub(crate) const INLINE_MAX: usize = 1024;
const _: () = assert!(INLINE_MAX <= u16::MAX as usize);

/// What a block holds behind its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Form {
    Int = 0,
    Inline = 1,
    Blob = 2,
    Value = 3,
}

/// What distinguishes blocks, but for their contents.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) form: Form,
    pub(crate) key_len: usize,
    /// Length of an inline payload; 0 for the other forms.
    pub(crate) value_len: usize,
    pub(crate) has_deadline: bool,
}

impl Shape {
    #[inline]
    fn key_at(self) -> usize {
        HEAD + 8 * usize::from(self.has_deadline)
            + 8 * usize::from(self.key_len >= LONG_KEY as usize)
    }

    #[inline]
    fn payload_at(self) -> usize {
        let key_end = self.key_at() + self.key_len;
        match self.form {
            Form::Inline => key_end,
            Form::Int | Form::Blob | Form::Value => key_end.next_multiple_of(8),
        }
    }

    /// Bytes of the whole block.
    #[inline]
    pub(crate) fn size(self) -> usize {
        self.payload_at() + if self.form == Form::Inline { self.value_len } else { 8 }
    }
}

/// An owned block. Invariants, on which every `SAFETY` below rests:
///
/// 1. The pointer is to an allocation of `class_size(header.class)` bytes, aligned to 8, owned by
///    this value alone.
/// 2. The header is initialised and describes a `Shape` whose `size()` fits the allocation; its
///    deadline and key are initialised.
/// 3. The payload of the form is initialised: `value_len` bytes, an `i64`, an owned `Blob` or an
///    owned `Box<Value>`.
///
/// Code in this file that breaks the third for a moment does not panic before it is mended.
pub(crate) struct Block {
    start: NonNull<u8>,
}

// SAFETY: a block owns plain bytes, a `Blob` or a `Box<Value>`, which are `Send`; nothing of it is tied to a thread.
unsafe impl Send for Block {}
// SAFETY: all changes need `&mut Block`; `&Block` gives `&[u8]`, `i64`, `&Blob` or `&Value`, all
// `Sync`.
unsafe impl Sync for Block {}

fn layout(class: u8) -> Layout {
    // SAFETY: 1. 8 is a power of two. 2. A class is that of a size which was checked to be far
    // below `isize::MAX` (see `allocate`).
    unsafe { Layout::from_size_align_unchecked(class_size(class), ALIGN) }
}

/// A fresh block of the class that holds `size` bytes; the class is returned with it.
fn allocate(size: usize) -> (NonNull<u8>, u8) {
    assert!(size <= isize::MAX as usize / 4, "a block of {size} bytes");
    let class = class_of(size);
    // SAFETY: the smallest class has 16 bytes, so the size is not 0.
    let start = unsafe { alloc(layout(class)) };
    (NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout(class))), class)
}

impl Block {
    /// A block of `shape` with the key in place and a payload still to be written.
    ///
    /// # Safety
    /// The caller writes the payload (invariant 3) before anything else is done with the block.
    unsafe fn with_key(key: &[u8], shape: Shape, deadline: Option<i64>, meta: u32) -> Block {
        debug_assert_eq!(key.len(), shape.key_len);
        let (start, class) = allocate(shape.size());
        let mut block = Block { start };
        // SAFETY: 1. The block holds `shape.size()` bytes, of which the header and the key are
        // parts. 2. `key` cannot overlap a fresh allocation.
        unsafe {
            block.write_head(shape, class, deadline, meta);
            ptr::copy_nonoverlapping(key.as_ptr(), block.at(shape.key_at()), key.len());
        }
        block
    }

    /// A block holding a copy of the string `bytes`, at most `INLINE_MAX` of them.
    #[inline]
    pub(crate) fn inline(key: &[u8], bytes: &[u8], deadline: Option<i64>) -> Block {
        let shape = Shape {
            form: Form::Inline,
            key_len: key.len(),
            value_len: bytes.len(),
            has_deadline: deadline.is_some(),
        };
        // SAFETY: the payload is written at once; the shape has room for it.
        unsafe {
            let block = Block::with_key(key, shape, deadline, 0);
            block.write_inline(shape, bytes);
            block
        }
    }

    /// A block holding an integer.
    #[inline]
    pub(crate) fn int(key: &[u8], value: i64, deadline: Option<i64>) -> Block {
        let shape = word_shape(Form::Int, key.len(), deadline);
        // SAFETY: the payload is written at once; the shape has a word for it.
        unsafe {
            let block = Block::with_key(key, shape, deadline, 0);
            block.at(shape.payload_at()).cast::<i64>().write(value);
            block
        }
    }

    /// A block holding a blob.
    pub(crate) fn blob(key: &[u8], blob: Blob, deadline: Option<i64>) -> Block {
        let shape = word_shape(Form::Blob, key.len(), deadline);
        // SAFETY: the payload is written at once; the shape has a word for it.
        unsafe {
            let block = Block::with_key(key, shape, deadline, 0);
            block.at(shape.payload_at()).cast::<Blob>().write(blob);
            block
        }
    }

    /// A block holding a value of its own.
    pub(crate) fn value(key: &[u8], value: Box<Value>, deadline: Option<i64>) -> Block {
        let shape = word_shape(Form::Value, key.len(), deadline);
        // SAFETY: the payload is written at once; the shape has a word for it.
        unsafe {
            let block = Block::with_key(key, shape, deadline, 0);
            block.at(shape.payload_at()).cast::<Box<Value>>().write(value);
            block
        }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: invariant 2; the header is written only under `&mut self`.
        unsafe { self.start.cast::<Header>().as_ref() }
    }

    #[inline]
    fn header_mut(&mut self) -> &mut Header {
        // SAFETY: invariant 2, and the borrow is unique.
        unsafe { self.start.cast::<Header>().as_mut() }
    }

    /// The address `offset` bytes into the block.
    ///
    /// # Safety
    /// `offset` is at most the size of the block.
    #[inline]
    unsafe fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: in bounds, as the caller promises.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// Writes the header, the deadline and the length of a long key.
    ///
    /// # Safety
    /// The block is of `class` and holds `shape.size()` bytes. A deadline is given exactly if the
    /// shape has one.
    #[inline]
    unsafe fn write_head(&mut self, shape: Shape, class: u8, deadline: Option<i64>, meta: u32) {
        debug_assert!(shape.size() <= class_size(class));
        debug_assert_eq!(shape.has_deadline, deadline.is_some());
        let kept = meta & !(DEADLINE | 3 << FORM_SHIFT);
        let flag = if shape.has_deadline { DEADLINE } else { 0 };
        let header = Header {
            meta: kept | flag | (shape.form as u32) << FORM_SHIFT,
            class,
            key_len: shape.key_len.min(LONG_KEY as usize) as u8,
            value_len: shape.value_len as u16,
        };
        // SAFETY: all offsets lie before `shape.key_at()`, hence in the block, and are multiples
        // of 8 of an address aligned to 8.
        unsafe {
            self.at(0).cast::<Header>().write(header);
            if let Some(deadline) = deadline {
                self.at(HEAD).cast::<i64>().write(deadline);
            }
            if shape.key_len >= LONG_KEY as usize {
                self.at(shape.key_at() - 8).cast::<u64>().write(shape.key_len as u64);
            }
        }
    }

    /// # Safety
    /// The block has `shape`, of inline form with `value_len == bytes.len()`.
    #[inline]
    unsafe fn write_inline(&self, shape: Shape, bytes: &[u8]) {
        debug_assert!(shape.form == Form::Inline && shape.value_len == bytes.len());
        // SAFETY: 1. In bounds by the shape. 2. Callers hold the block by value or by `&mut`, so
        // `bytes` lies elsewhere.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(shape.payload_at()), bytes.len());
        }
    }

    #[inline]
    pub(crate) fn form(&self) -> Form {
        match self.header().meta >> FORM_SHIFT & 3 {
            0 => Form::Int,
            1 => Form::Inline,
            2 => Form::Blob,
            _ => Form::Value,
        }
    }

    #[inline]
    pub(crate) fn shape(&self) -> Shape {
        let header = self.header();
        Shape {
            form: self.form(),
            key_len: self.key_len(),
            value_len: usize::from(header.value_len),
            has_deadline: self.has_deadline(),
        }
    }

    #[inline]
    fn key_len(&self) -> usize {
        match self.header().key_len {
            LONG_KEY => self.long_key_len(),
            short => usize::from(short),
        }
    }

    #[cold]
    fn long_key_len(&self) -> usize {
        let offset = HEAD + 8 * usize::from(self.has_deadline());
        // SAFETY: invariant 2: a key length of `LONG_KEY` says that the full length lies here.
        unsafe { self.at(offset).cast::<u64>().read() as usize }
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        let shape = self.shape();
        // SAFETY: invariant 2; the key changes only under `&mut self`.
        unsafe { std::slice::from_raw_parts(self.at(shape.key_at()), shape.key_len) }
    }

    #[inline]
    pub(crate) fn has_deadline(&self) -> bool {
        self.header().meta & DEADLINE != 0
    }

    #[inline]
    pub(crate) fn deadline(&self) -> Option<i64> {
        // SAFETY: invariant 2: flagged, the deadline lies behind the header.
        self.has_deadline().then(|| unsafe { self.at(HEAD).cast::<i64>().read() })
    }

    #[inline]
    pub(crate) fn kind_bits(&self) -> u32 {
        self.header().meta >> KIND_SHIFT & 15
    }

    #[inline]
    pub(crate) fn clock(&self) -> u32 {
        self.header().meta & CLOCK_MASK
    }

    #[inline]
    pub(crate) fn set_clock(&mut self, clock: u32) {
        let meta = self.header().meta;
        let wanted = meta & !CLOCK_MASK | clock & CLOCK_MASK;
        // Unchanged most times: leave the cache line clean then.
        if wanted != meta {
            self.header_mut().meta = wanted;
        }
    }

    /// A flag whose meaning is the kind's.
    #[inline]
    pub(crate) fn flag(&self) -> bool {
        self.header().meta & FLAG != 0
    }

    /// Sets the kind's bits and its flag.
    #[inline]
    pub(crate) fn set_kind(&mut self, kind_bits: u32, flag: bool) {
        debug_assert!(kind_bits < 16);
        let meta = self.header().meta;
        let kept = meta & !(FLAG | 15 << KIND_SHIFT);
        let wanted = kept | kind_bits << KIND_SHIFT | if flag { FLAG } else { 0 };
        if wanted != meta {
            self.header_mut().meta = wanted;
        }
    }

    /// Bytes of the block itself.
    #[inline]
    pub(crate) fn allocated(&self) -> usize {
        class_size(self.header().class)
    }

    /// The integer of a block of that form.
    #[inline]
    pub(crate) fn as_int(&self) -> i64 {
        let shape = self.shape();
        assert_eq!(shape.form, Form::Int);
        // SAFETY: invariant 3.
        unsafe { self.at(shape.payload_at()).cast::<i64>().read() }
    }

    /// The bytes of a block of inline form.
    #[inline]
    pub(crate) fn as_inline(&self) -> &[u8] {
        let shape = self.shape();
        assert_eq!(shape.form, Form::Inline);
        // SAFETY: invariant 3; the payload changes only under `&mut self`.
        unsafe { std::slice::from_raw_parts(self.at(shape.payload_at()), shape.value_len) }
    }

    /// The bytes of a block of inline form, for changing.
    pub(crate) fn as_inline_mut(&mut self) -> &mut [u8] {
        let shape = self.shape();
        assert_eq!(shape.form, Form::Inline);
        // SAFETY: invariant 3, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.at(shape.payload_at()), shape.value_len) }
    }

    /// The blob of a block of that form.
    #[inline]
    pub(crate) fn as_blob(&self) -> &Blob {
        let shape = self.shape();
        assert_eq!(shape.form, Form::Blob);
        // SAFETY: invariant 3; the payload changes only under `&mut self`.
        unsafe { &*self.at(shape.payload_at()).cast::<Blob>() }
    }

    /// The blob of a block of that form, for changing.
    pub(crate) fn as_blob_mut(&mut self) -> &mut Blob {
        let shape = self.shape();
        assert_eq!(shape.form, Form::Blob);
        // SAFETY: invariant 3, and the borrow is unique.
        unsafe { &mut *self.at(shape.payload_at()).cast::<Blob>() }
    }

    /// The value of a block of that form.
    #[inline]
    pub(crate) fn as_value(&self) -> &Value {
        let shape = self.shape();
        assert_eq!(shape.form, Form::Value);
        // SAFETY: invariant 3; the payload changes only under `&mut self`.
        unsafe { &*self.at(shape.payload_at()).cast::<Box<Value>>() }
    }

    /// The value of a block of that form, for changing.
    pub(crate) fn as_value_mut(&mut self) -> &mut Value {
        let shape = self.shape();
        assert_eq!(shape.form, Form::Value);
        // SAFETY: invariant 3, and the borrow is unique.
        unsafe { &mut *self.at(shape.payload_at()).cast::<Box<Value>>() }
    }

    /// Replaces the payload by a value.
    pub(crate) fn set_value(&mut self, value: Box<Value>, deadline: Option<i64>) {
        let shape = word_shape(Form::Value, self.key_len(), deadline);
        // SAFETY: the payload is written at once.
        unsafe {
            self.reshape(shape, deadline);
            self.at(shape.payload_at()).cast::<Box<Value>>().write(value);
        }
    }

    /// Takes the value out of a block of that form, which holds the integer 0 afterwards.
    pub(crate) fn take_value(&mut self) -> Box<Value> {
        let shape = self.shape();
        assert_eq!(shape.form, Form::Value);
        let meta = self.header().meta & !(3 << FORM_SHIFT) | (Form::Int as u32) << FORM_SHIFT;
        // SAFETY: 1. Invariant 3. 2. The forms have the same layout, so an integer fits where the
        // value lay, and with the form changed nobody takes it for a value again.
        unsafe {
            let payload = self.at(shape.payload_at());
            let value = payload.cast::<Box<Value>>().read();
            payload.cast::<i64>().write(0);
            self.header_mut().meta = meta;
            value
        }
    }

    /// Drops what the payload owns.
    ///
    /// # Safety
    /// `shape` is that of the block, whose payload is not used afterwards.
    unsafe fn drop_payload(&mut self, shape: Shape) {
        // SAFETY: invariant 3.
        unsafe {
            let payload = self.at(shape.payload_at());
            match shape.form {
                Form::Int | Form::Inline => {}
                Form::Blob => ptr::drop_in_place(payload.cast::<Blob>()),
                Form::Value => ptr::drop_in_place(payload.cast::<Box<Value>>()),
            }
        }
    }

    /// Replaces the payload by a copy of `bytes`, at most `INLINE_MAX` of them.
    #[inline]
    pub(crate) fn set_inline(&mut self, bytes: &[u8], deadline: Option<i64>) {
        let old = self.shape();
        let has_deadline = deadline.is_some();
        let shape = Shape {
            form: Form::Inline,
            key_len: old.key_len,
            value_len: bytes.len(),
            has_deadline,
        };
        // SAFETY: the payload is written at once, and the block has the shape then.
        unsafe {
            if self.is_laid_out_as(old, shape) {
                self.header_mut().value_len = bytes.len() as u16;
                self.write_deadline(deadline);
            } else {
                self.reshape(shape, deadline);
            }
            self.write_inline(shape, bytes);
        }
    }

    /// Whether a payload of `shape` can be written over the payload of `old`, the block's shape,
    /// with nothing else in the block changing but the deadline's value and the payload's length.
    #[inline]
    fn is_laid_out_as(&self, old: Shape, shape: Shape) -> bool {
        old.form == shape.form
            && old.has_deadline == shape.has_deadline
            && fits(shape.size(), self.allocated())
    }

    /// Overwrites the deadline where one is given.
    ///
    /// # Safety
    /// If one is given, the block has one.
    #[inline]
    unsafe fn write_deadline(&mut self, deadline: Option<i64>) {
        if let Some(deadline) = deadline {
            debug_assert!(self.has_deadline());
            // SAFETY: invariant 2: the deadline lies behind the header.
            unsafe { self.at(HEAD).cast::<i64>().write(deadline) };
        }
    }

    /// Replaces the payload by an integer.
    #[inline]
    pub(crate) fn set_int(&mut self, value: i64, deadline: Option<i64>) {
        let old = self.shape();
        let shape = word_shape(Form::Int, old.key_len, deadline);
        // SAFETY: the payload is written at once.
        unsafe {
            if self.is_laid_out_as(old, shape) {
                self.write_deadline(deadline);
            } else {
                self.reshape(shape, deadline);
            }
            self.at(shape.payload_at()).cast::<i64>().write(value);
        }
    }

    /// Replaces the payload by a blob.
    pub(crate) fn set_blob(&mut self, blob: Blob, deadline: Option<i64>) {
        let shape = word_shape(Form::Blob, self.key_len(), deadline);
        // SAFETY: the payload is written at once.
        unsafe {
            self.reshape(shape, deadline);
            self.at(shape.payload_at()).cast::<Blob>().write(blob);
        }
    }

    /// Drops the payload and gives the block another shape with the same key, where it is if the
    /// shape fits it well. Kind, clock and flag stay.
    ///
    /// # Safety
    /// The caller writes the payload of `shape` before anything else is done with the block.
    #[inline(never)]
    unsafe fn reshape(&mut self, shape: Shape, deadline: Option<i64>) {
        let old = self.shape();
        debug_assert_eq!(old.key_len, shape.key_len);
        let header = *self.header();
        if !fits(shape.size(), class_size(header.class)) {
            // SAFETY: passed on to our caller; the key is that of the shape.
            *self = unsafe { Block::with_key(self.key(), shape, deadline, header.meta) };
            return;
        }
        // SAFETY: 1. The payload is not used again before the caller rewrites it. 2. The key lies in the block before and after, both times within the
        // allocation; the regions may overlap, which `copy` permits. 3. It is moved before the
        // head is written, for the wider head may cover its old place.
        unsafe {
            self.drop_payload(old);
            if old.key_at() != shape.key_at() {
                ptr::copy(self.at(old.key_at()), self.at(shape.key_at()), shape.key_len);
            }
            self.write_head(shape, header.class, deadline, header.meta);
        }
    }

    /// Replaces this block by one with the same payload under another key or with another
    /// deadline. What the payload owns is moved, not copied.
    fn rebuild(&mut self, key: Option<&[u8]>, deadline: Option<i64>) {
        let old = self.shape();
        let key = key.unwrap_or(self.key());
        let shape = Shape { key_len: key.len(), has_deadline: deadline.is_some(), ..old };
        // SAFETY: 1. The payload's bytes are copied at once, as many as both shapes have.
        // 2. What the payload owns then belongs to the new block: the old one is freed without
        // dropping it, and forgotten.
        unsafe {
            let block = Block::with_key(key, shape, deadline, self.header().meta);
            let len = old.size() - old.payload_at();
            ptr::copy_nonoverlapping(self.at(old.payload_at()), block.at(shape.payload_at()), len);
            self.free();
            std::mem::forget(std::mem::replace(self, block));
        }
    }

    /// Puts the payload under another key.
    pub(crate) fn set_key(&mut self, key: &[u8]) {
        let deadline = self.deadline();
        self.rebuild(Some(key), deadline);
    }

    /// Adds, changes or removes the deadline; the payload stays.
    pub(crate) fn set_deadline(&mut self, deadline: Option<i64>) {
        let old = self.shape();
        if old.has_deadline && deadline.is_some() {
            // SAFETY: the block has one.
            unsafe { self.write_deadline(deadline) };
        } else if old.has_deadline != deadline.is_some() {
            let shape = Shape { has_deadline: deadline.is_some(), ..old };
            if fits(shape.size(), self.allocated()) {
                // SAFETY: the new shape fits the block.
                unsafe { self.shift(old, shape, deadline) }
            } else {
                self.rebuild(None, deadline);
            }
        }
    }

    /// Moves key and payload to where another shape, equal but for the deadline, has them.
    ///
    /// # Safety
    /// `old` is the block's shape and `shape` fits the block.
    unsafe fn shift(&mut self, old: Shape, shape: Shape, deadline: Option<i64>) {
        let header = *self.header();
        let key = (old.key_at(), shape.key_at(), old.key_len);
        let payload = (old.payload_at(), shape.payload_at(), old.size() - old.payload_at());
        // Away from the direction of the move, lest one part overwrites the other.
        let order = if shape.has_deadline { [payload, key] } else { [key, payload] };
        for (from, to, len) in order {
            // SAFETY: both places lie in the block by the two shapes; `copy` permits overlap.
            unsafe { ptr::copy(self.at(from), self.at(to), len) }
        }
        // SAFETY: the shape fits, as the caller promises.
        unsafe { self.write_head(shape, header.class, deadline, header.meta) }
    }

    /// Lengthens the bytes of a block of inline form by `bytes`, to at most `INLINE_MAX`.
    pub(crate) fn append_inline(&mut self, bytes: &[u8]) {
        let old = self.shape();
        assert_eq!(old.form, Form::Inline);
        let shape = Shape { value_len: old.value_len + bytes.len(), ..old };
        assert!(shape.value_len <= INLINE_MAX);
        let deadline = self.deadline();
        // SAFETY: 1. Where the shape fits, the payload's first bytes are in place already.
        // 2. Otherwise they are copied to the new block at once. 3. The rest is written at once.
        unsafe {
            if shape.size() <= self.allocated() {
                self.header_mut().value_len = shape.value_len as u16;
            } else {
                let mut block = Block::with_key(self.key(), shape, deadline, self.header().meta);
                let kept = self.as_inline();
                ptr::copy_nonoverlapping(kept.as_ptr(), block.at(shape.payload_at()), kept.len());
                std::mem::swap(self, &mut block);
            }
            let end = self.at(shape.payload_at() + old.value_len);
            ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len());
        }
    }

    /// Gives the allocation back, without dropping the payload.
    ///
    /// # Safety
    /// The block is not used afterwards.
    #[inline]
    unsafe fn free(&mut self) {
        let class = self.header().class;
        // SAFETY: invariant 1.
        unsafe { dealloc(self.start.as_ptr(), layout(class)) }
    }

    /// Asks the processor to fetch the first two lines of the block: most lie across two, with the
    /// end of the value in the second. A small block fetches some neighbour instead.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_line(self.start.as_ptr());
        prefetch_line(self.start.as_ptr().wrapping_add(64));
    }
}

#[inline]
fn prefetch_line(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: 1. SSE is part of every x86-64. 2. The instruction is a hint, which faults at no
    // address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        let shape = self.shape();
        if matches!(shape.form, Form::Blob | Form::Value) {
            // SAFETY: the block is not used afterwards.
            unsafe { self.drop_payload(shape) }
        }
        // SAFETY: the block is not used afterwards.
        unsafe { self.free() }
    }
}

/// The shape of a block whose payload is one word.
#[inline]
fn word_shape(form: Form, key_len: usize, deadline: Option<i64>) -> Shape {
    Shape { form, key_len, value_len: 0, has_deadline: deadline.is_some() }
}

/// Whether a block of `held` bytes is to be kept for `size` of them: it must hold them, and waste
/// less than half unless it is small anyway.
#[inline]
fn fits(size: usize, held: usize) -> bool {
    size <= held && (size * 2 > held || held <= 64)
}
