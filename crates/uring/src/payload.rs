//! Owned bytes on their way out, and the message headers that describe them to the kernel.

use std::io::IoSlice;
use std::ptr;

/// The kernel takes at most so many slices in one gathered write.
pub const MAX_SLICES: usize = 1024;
/// The kernel cuts one send there, and calls it complete.
pub(crate) const MAX_BYTES: usize = 0x7FFF_F000;

/// Something that can be sent: a sequence of byte slices.
///
/// The ring owns the value while the kernel reads the slices, so they need no copying.
pub trait Gather: 'static {
    /// Appends the slices still to be sent, in order, at most `max`, none of them empty.
    fn slices<'a>(&'a self, max: usize, out: &mut Vec<IoSlice<'a>>);
}

impl Gather for Vec<u8> {
    fn slices<'a>(&'a self, _max: usize, out: &mut Vec<IoSlice<'a>>) {
        if !self.is_empty() {
            out.push(IoSlice::new(self));
        }
    }
}

/// Header and slice table of one gathered send; at a fixed address once boxed.
pub(crate) struct Message {
    header: libc::msghdr,
    /// Slices of a payload owned elsewhere. `'static` stands for "as long as the send is under
    /// way": they are never handed out and are cleared before the payload is given back.
    slices: Vec<IoSlice<'static>>,
}

/// How a payload is to be sent.
pub(crate) enum Shape {
    /// Nothing to send.
    Empty,
    /// One contiguous slice.
    Single(*const u8, usize),
    /// Several slices of so many bytes together: the header is filled in.
    Gathered(usize),
}

impl Message {
    pub(crate) fn new() -> Self {
        // SAFETY: all zeroes is a valid `msghdr`: null pointers with zero lengths.
        let header = unsafe { std::mem::zeroed() };
        Self { header, slices: Vec::new() }
    }

    /// Describes the slices of `payload`.
    ///
    /// # Safety
    /// Until [`Message::clear`] is called or `self` is dropped, `payload` stays at its address,
    /// is neither changed nor dropped, and no reference that excludes others is made to it.
    pub(crate) unsafe fn describe<P: Gather>(&mut self, payload: *const P) -> Shape {
        // SAFETY: 1. the pointer comes from a live box (caller); 2. nobody holds a `&mut` to its
        // target while the slices exist (caller); 3. so a shared borrow of any length up to the
        // end of the send is what safe code could hold as well, and the slices live as long as
        // that borrow by the signature of `Gather::slices`.
        let payload: &'static P = unsafe { &*payload };
        self.slices.clear();
        payload.slices(MAX_SLICES, &mut self.slices);
        self.slices.truncate(MAX_SLICES);
        match self.slices.as_slice() {
            [] => Shape::Empty,
            [one] => Shape::Single(one.as_ptr(), one.len()),
            many => {
                // `IoSlice` is guaranteed to have the layout of `iovec` on Unix.
                self.header.msg_iov = ptr::from_ref(many).cast::<libc::iovec>().cast_mut();
                self.header.msg_iovlen = many.len() as _;
                Shape::Gathered(many.iter().map(|slice| slice.len()).sum::<usize>().min(MAX_BYTES))
            }
        }
    }

    /// The header, to be read by the kernel as long as `self` is boxed and not touched.
    pub(crate) const fn header(&self) -> *const libc::msghdr {
        &raw const self.header
    }

    /// Forgets the payload.
    pub(crate) fn clear(&mut self) {
        self.header.msg_iov = ptr::null_mut();
        self.header.msg_iovlen = 0;
        self.slices.clear();
        if self.slices.capacity() > 64 {
            self.slices.shrink_to(64);
        }
    }
}
