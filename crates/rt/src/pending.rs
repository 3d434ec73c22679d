//! Outputs on their way out.

use kevy_resp::Output;
use kevy_uring::Gather;
use std::io::IoSlice;

/// Spare outputs a thread keeps: warm memory for the next replies.
const SPARE: usize = 64;
/// A spare output keeps at most so many bytes of capacity.
const WARM_CAPACITY: usize = 64 * 1024;

/// An output and how much of it has left.
pub(crate) struct Pending<B> {
    pub(crate) output: Output<B>,
    sent: usize,
}

impl<B: AsRef<[u8]>> Pending<B> {
    pub(crate) const fn new() -> Self {
        Self { output: Output::new(), sent: 0 }
    }

    /// Bytes still to be sent.
    pub(crate) fn left(&self) -> usize {
        self.output.len() - self.sent
    }

    /// So many more bytes have left.
    pub(crate) fn advance(&mut self, sent: usize) {
        debug_assert!(sent <= self.left(), "more was sent than there was");
        self.sent += sent;
    }

    fn reset(&mut self) {
        self.output.clear();
        self.output.shrink_to(WARM_CAPACITY);
        self.sent = 0;
    }
}

impl<B: AsRef<[u8]> + 'static> Gather for Pending<B> {
    fn slices<'a>(&'a self, max: usize, out: &mut Vec<IoSlice<'a>>) {
        self.output.slices(self.sent, max, out);
    }
}

/// Outputs that are not in use. The last one given back is the first to be taken: its memory is
/// still in the cache.
pub(crate) struct Pool<B> {
    #[expect(clippy::vec_box, reason = "a ring owns a payload by its address")]
    spare: Vec<Box<Pending<B>>>,
}

impl<B: AsRef<[u8]>> Pool<B> {
    pub(crate) const fn new() -> Self {
        Self { spare: Vec::new() }
    }

    pub(crate) fn take(&mut self) -> Box<Pending<B>> {
        self.spare.pop().unwrap_or_else(|| Box::new(Pending::new()))
    }

    pub(crate) fn give(&mut self, mut pending: Box<Pending<B>>) {
        // References to shared bodies end here, whether the box is kept or not.
        pending.reset();
        if self.spare.len() < SPARE {
            self.spare.push(pending);
        }
    }
}
