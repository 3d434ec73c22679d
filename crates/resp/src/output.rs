//! What is to be sent to one connection: encoded bytes with shared bodies between them.

use std::io::IoSlice;

/// A body spliced into the bytes.
#[derive(Debug, Clone)]
struct Splice<B> {
    /// Offset in `Output::bytes` before which the body stands.
    at: usize,
    /// Offset of the body's first byte in the gathered stream. Kept so that a position in the
    /// stream is found by binary search, without touching the bodies.
    start: usize,
    body: B,
}

/// A stream of bytes to be sent, part of which lies in shared bodies.
///
/// Encoded bytes are owned; bodies (large values, messages for many subscribers) are only
/// referred to and leave in a gathered write, see [`Output::slices`]. A body must not change its
/// length while an output refers to it.
#[derive(Debug, Clone)]
pub struct Output<B> {
    bytes: Vec<u8>,
    /// In ascending order of `at` and of `start`.
    splices: Vec<Splice<B>>,
    /// Total length of all bodies in bytes.
    spliced: usize,
}

/// A position in an [`Output`], valid until the output is rewound to before it or cleared.
#[derive(Default, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    bytes: usize,
    splices: usize,
    spliced: usize,
}

impl<B> Default for Output<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> Output<B> {
    /// An empty output without any memory.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), splices: Vec::new(), spliced: 0 }
    }

    /// Bytes in the stream, bodies included.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.spliced
    }

    /// Whether there is nothing to send.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything and releases the bodies; memory for encoded bytes is kept.
    pub fn clear(&mut self) {
        self.rewind(Mark { bytes: 0, splices: 0, spliced: 0 });
    }

    /// The present end, to which [`Output::rewind`] returns.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), splices: self.splices.len(), spliced: self.spliced }
    }

    /// Takes back everything appended since `mark`.
    #[inline]
    pub fn rewind(&mut self, mark: Mark) {
        debug_assert!(mark.bytes <= self.bytes.len() && mark.splices <= self.splices.len());
        self.bytes.truncate(mark.bytes);
        self.splices.truncate(mark.splices);
        self.spliced = mark.spliced;
    }

    /// Appends encoded bytes, copying them.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Makes room for `additional` encoded bytes.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.bytes.reserve(additional);
    }

    /// The encoded bytes, for writers in this crate that append to a vector.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Bytes of memory held for encoded bytes; bodies are not counted.
    pub fn bytes_capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives memory back that exceeds both `limit` bytes and what is in use, so that a connection
    /// does not keep what its largest reply needed.
    pub fn shrink_to(&mut self, limit: usize) {
        if self.bytes.capacity() > limit {
            self.bytes.shrink_to(limit);
        }
        let entries = limit / size_of::<Splice<B>>();
        if self.splices.capacity() > entries {
            self.splices.shrink_to(entries);
        }
    }

    /// Inserts encoded bytes at `mark`, in front of everything appended since: headers whose count
    /// is known only at the end. Costs a move of the encoded bytes behind it.
    pub fn insert(&mut self, mark: Mark, bytes: &[u8]) {
        debug_assert!(mark.bytes <= self.bytes.len() && mark.splices <= self.splices.len());
        if mark.bytes == self.bytes.len() {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes.splice(mark.bytes..mark.bytes, bytes.iter().copied());
        }
        for splice in &mut self.splices[mark.splices..] {
            splice.at += bytes.len();
            splice.start += bytes.len();
        }
    }

    /// Appends all of `other`, which becomes empty. Bodies are moved. If `self` is empty the two
    /// change places, and nothing is copied.
    pub fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
            other.clear();
            return;
        }
        let (bytes, start) = (self.bytes.len(), self.len());
        self.bytes.append(&mut other.bytes);
        self.splices.extend(other.splices.drain(..).map(|splice| Splice {
            at: splice.at + bytes,
            start: splice.start + start,
            body: splice.body,
        }));
        self.spliced += std::mem::take(&mut other.spliced);
    }
}

impl<B: AsRef<[u8]>> Output<B> {
    /// Appends a shared body without copying it.
    pub fn push_body(&mut self, body: B) {
        let len = body.as_ref().len();
        if len == 0 {
            return;
        }
        self.splices.push(Splice { at: self.bytes.len(), start: self.len(), body });
        self.spliced += len;
    }

    /// The stream from byte `skip` on, gathered: appends at most `max` slices to `out`, none of
    /// them empty. `skip` may lie anywhere, also inside a body.
    pub fn slices<'a>(&'a self, skip: usize, max: usize, out: &mut Vec<IoSlice<'a>>) {
        let limit = out.len().saturating_add(max);
        // The first body that begins behind `skip`; the one before it may still be under way.
        let mut next = self.splices.partition_point(|splice| splice.start <= skip);
        let mut at = skip;
        if let Some(splice) = next.checked_sub(1).map(|index| &self.splices[index]) {
            let body = splice.body.as_ref();
            let inside = skip - splice.start;
            if let Some(rest) = body.get(inside..) {
                push_slice(out, limit, rest);
            }
            at = splice.at + inside.saturating_sub(body.len());
        }
        while let Some(splice) = self.splices.get(next) {
            push_slice(out, limit, &self.bytes[at..splice.at]);
            push_slice(out, limit, splice.body.as_ref());
            if out.len() >= limit {
                return;
            }
            at = splice.at;
            next += 1;
        }
        push_slice(out, limit, self.bytes.get(at..).unwrap_or_default());
    }

    /// The stream in one piece: for tests and tools, not for sending.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.len());
        let mut slices = Vec::new();
        self.slices(0, usize::MAX, &mut slices);
        for slice in &slices {
            whole.extend_from_slice(slice);
        }
        whole
    }
}

impl<B: AsRef<[u8]> + Clone> Output<B> {
    /// Appends what `from` holds between the marks `a` and `b`: bytes are copied, bodies cloned.
    #[inline]
    pub fn append_range(&mut self, from: &Self, a: Mark, b: Mark) {
        let (bytes, start) = (self.bytes.len(), self.len());
        self.bytes.extend_from_slice(&from.bytes[a.bytes..b.bytes]);
        if a.splices != b.splices {
            let origin = a.bytes + a.spliced;
            self.splices.extend(from.splices[a.splices..b.splices].iter().map(|splice| Splice {
                at: splice.at - a.bytes + bytes,
                start: splice.start - origin + start,
                body: splice.body.clone(),
            }));
            self.spliced += b.spliced - a.spliced;
        }
    }
}

fn push_slice<'a>(out: &mut Vec<IoSlice<'a>>, limit: usize, bytes: &'a [u8]) {
    if !bytes.is_empty() && out.len() < limit {
        out.push(IoSlice::new(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Shared = std::sync::Arc<[u8]>;

    fn body(text: &str) -> Shared {
        text.as_bytes().into()
    }

    fn sample() -> (Output<Shared>, &'static [u8]) {
        let mut out = Output::new();
        out.push_body(body("AAA"));
        out.push_body(body("B"));
        out.extend(b"cd");
        out.push_body(body(""));
        out.push_body(body("EEEE"));
        out.extend(b"f");
        out.extend(b"g");
        out.push_body(body("HH"));
        (out, b"AAABcdEEEEfgHH")
    }

    fn gather(out: &Output<Shared>, skip: usize, max: usize) -> (Vec<u8>, usize) {
        let mut slices = Vec::new();
        out.slices(skip, max, &mut slices);
        assert!(slices.iter().all(|slice| !slice.is_empty()));
        (slices.iter().flat_map(|slice| slice.to_vec()).collect(), slices.len())
    }

    #[test]
    fn slices_from_every_position() {
        let (out, whole) = sample();
        assert_eq!(out.len(), whole.len());
        for skip in 0..=whole.len() + 2 {
            let rest = whole.get(skip..).unwrap_or_default();
            assert_eq!(gather(&out, skip, usize::MAX).0, rest, "skip {skip}");
        }
    }

    #[test]
    fn chunks_of_every_size_give_the_whole_stream() {
        let (out, whole) = sample();
        for max in 1..8 {
            let mut sent = Vec::new();
            while sent.len() < whole.len() {
                let (chunk, count) = gather(&out, sent.len(), max);
                assert!(count > 0 && count <= max);
                sent.extend(chunk);
            }
            assert_eq!(sent, whole);
        }
    }

    #[test]
    fn rewinding_releases_bodies() {
        let (mut out, whole) = sample();
        let mark = out.mark();
        let shared = body("later");
        out.extend(b"x");
        out.push_body(shared.clone());
        assert_eq!(std::sync::Arc::strong_count(&shared), 2);
        out.rewind(mark);
        assert_eq!(std::sync::Arc::strong_count(&shared), 1);
        assert_eq!(out.to_vec(), whole);
        assert_eq!(out.len(), whole.len());
    }

    #[test]
    fn ranges_are_copied_between_marks() {
        let mut from = Output::new();
        from.push_body(body("before"));
        let a = from.mark();
        from.push_body(body("one"));
        from.extend(b"-two-");
        from.push_body(body("three"));
        let b = from.mark();
        from.push_body(body("behind"));
        let (mut out, whole) = sample();
        out.append_range(&from, a, b);
        let expected = [whole, b"one-two-three"].concat();
        assert_eq!(out.to_vec(), expected);
        for skip in 0..=expected.len() {
            assert_eq!(gather(&out, skip, usize::MAX).0, expected[skip..]);
        }
    }

    #[test]
    fn appending_moves_everything() {
        let (mut first, whole) = sample();
        let (mut second, _) = sample();
        first.append(&mut second);
        assert!(second.is_empty());
        let twice = [whole, whole].concat();
        assert_eq!(first.to_vec(), twice);
        assert_eq!(gather(&first, whole.len() + 7, usize::MAX).0, whole[7..]);
        let mut empty = Output::new();
        empty.append(&mut first);
        assert_eq!((empty.to_vec(), first.len()), (twice, 0));
    }

    #[test]
    fn bytes_inserted_at_a_mark_move_what_follows() {
        let mut out = Output::new();
        out.extend(b"a");
        out.push_body(body("B"));
        let mark = out.mark();
        out.push_body(body("C"));
        out.extend(b"d");
        out.insert(mark, b"<>");
        assert_eq!(out.to_vec(), b"aB<>Cd");
        assert_eq!(gather(&out, 4, 9).0, b"Cd");
        let end = out.mark();
        out.insert(end, b"!");
        assert_eq!(out.to_vec(), b"aB<>Cd!");
    }

    #[test]
    fn memory_of_a_spike_is_given_back() {
        let mut out: Output<Shared> = Output::new();
        out.extend(&[0; 100_000]);
        out.clear();
        assert!(out.bytes_capacity() >= 100_000);
        out.shrink_to(4096);
        assert!(out.bytes_capacity() <= 8192);
    }
}
