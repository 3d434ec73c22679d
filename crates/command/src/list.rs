//! Commands kept for later: the queue of `MULTI`, a batch for another shard, frames of the log.

use crate::Args;
use kevy_data::Blob;
use kevy_resp::Span;

/// Positions are 32 bits, so that a list may hold so many bytes beside its [`Blob`]s, and so many
/// arguments. Unit tests reach a lower limit.
const LIMIT: usize = if cfg!(test) { 1 << 12 } else { u32::MAX as usize };

/// What an argument costs beside its bytes.
const SPAN: usize = size_of::<Span>();

/// A list of commands that owns its bytes.
///
/// What would exceed 4 GiB, large values received into their own allocations apart, is not taken:
/// whoever adds a command must look at the answer.
#[derive(Clone, Debug, Default)]
pub struct CommandList {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    blobs: Vec<Blob>,
    items: Vec<Item>,
    /// Bytes of the blobs.
    blob_bytes: usize,
}

/// One command of the list.
#[derive(Clone, Copy, Debug)]
struct Item {
    first: u32,
    count: u32,
    blob: Option<u32>,
}

impl CommandList {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many commands there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of all arguments, and 8 for each of them.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.bytes.len() + self.blob_bytes + self.spans.len() * SPAN
    }

    /// Forgets all commands and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.blobs.clear();
        self.items.clear();
        self.blob_bytes = 0;
    }

    /// Appends a command by its arguments, the name first. `false`: it did not fit, and the list
    /// is as before.
    #[must_use]
    pub fn push<'a>(&mut self, args: impl IntoIterator<Item = &'a [u8]>) -> bool {
        self.push_item(args, None)
    }

    /// Appends a command whose last argument is `value`, which is shared, not copied. `false`: it
    /// did not fit, and the list is as before.
    #[must_use]
    pub fn push_with<'a>(
        &mut self,
        args: impl IntoIterator<Item = &'a [u8]>,
        value: &Blob,
    ) -> bool {
        self.push_item(args, Some(value))
    }

    /// Appends a copy of `args`; a value received into its own allocation is shared, not copied.
    /// `false`: they did not fit, and the list is as before.
    #[must_use]
    pub fn push_args(&mut self, args: &Args<'_>) -> bool {
        let inline = args.len() - usize::from(args.blob().is_some());
        self.push_item(args.iter().take(inline), args.blob())
    }

    /// As [`push_args`](Self::push_args), with `text` in place of the argument at `at`, which is
    /// not the last.
    #[must_use]
    pub fn push_args_with(&mut self, args: &Args<'_>, at: usize, text: &[u8]) -> bool {
        debug_assert!(at + 1 < args.len());
        let inline = args.len() - usize::from(args.blob().is_some());
        let given = args.iter().take(inline).enumerate();
        self.push_item(given.map(|(of, arg)| if of == at { text } else { arg }), args.blob())
    }

    /// Appends copies of all commands of `other`. `false`: they did not fit, and the list is as
    /// before.
    #[must_use]
    pub fn append(&mut self, other: &Self) -> bool {
        let fits = self.bytes.len() + other.bytes.len() <= LIMIT
            && self.spans.len() + other.spans.len() <= LIMIT;
        let (Some(bytes), Some(spans), Some(blobs)) =
            (index(self.bytes.len()), index(self.spans.len()), index(self.blobs.len()))
        else {
            return false;
        };
        if !fits {
            return false;
        }
        self.bytes.extend_from_slice(&other.bytes);
        let moved = |span: &Span| Span { start: span.start + bytes, ..*span };
        self.spans.extend(other.spans.iter().map(moved));
        self.blobs.extend_from_slice(&other.blobs);
        self.blob_bytes += other.blob_bytes;
        self.items.extend(other.items.iter().map(|item| Item {
            first: item.first + spans,
            blob: item.blob.map(|blob| blob + blobs),
            ..*item
        }));
        true
    }

    /// The arguments of the command at `at`, without placed keys.
    ///
    /// # Panics
    /// If there is no such command.
    #[must_use]
    pub fn args(&self, at: usize, placement: kevy_keyspace::Placement) -> Args<'_> {
        let item = self.items[at];
        let spans = &self.spans[item.first as usize..(item.first + item.count) as usize];
        let blob = item.blob.map(|blob| &self.blobs[blob as usize]);
        Args::new(&self.bytes, spans, blob, &[], placement)
    }

    fn push_item<'a>(
        &mut self,
        args: impl IntoIterator<Item = &'a [u8]>,
        blob: Option<&Blob>,
    ) -> bool {
        let (bytes, spans) = (self.bytes.len(), self.spans.len());
        let Some(item) = self.push_spans(args, blob.is_some()) else {
            self.bytes.truncate(bytes);
            self.spans.truncate(spans);
            return false;
        };
        if let Some(blob) = blob {
            self.blob_bytes += blob.as_ref().len();
            self.blobs.push(blob.clone());
        }
        self.items.push(item);
        true
    }

    /// Appends arguments, and an empty one for a blob that is to be pushed then.
    fn push_spans<'a>(
        &mut self,
        args: impl IntoIterator<Item = &'a [u8]>,
        blob: bool,
    ) -> Option<Item> {
        let first = index(self.spans.len())?;
        for arg in args {
            self.push_span(arg)?;
        }
        let blob = if blob {
            // Each blob stands for a span, so that there are no more of them.
            self.push_span(b"")?;
            Some(index(self.blobs.len())?)
        } else {
            None
        };
        Some(Item { first, count: index(self.spans.len())? - first, blob })
    }

    fn push_span(&mut self, arg: &[u8]) -> Option<()> {
        let start = index(self.bytes.len())?;
        let len = index(arg.len())?;
        index(self.bytes.len() + arg.len())?;
        index(self.spans.len() + 1)?;
        self.bytes.extend_from_slice(arg);
        self.spans.push(Span { start, len });
        Some(())
    }
}

/// A position or length, if it is within the limit.
fn index(value: usize) -> Option<u32> {
    if value <= LIMIT { u32::try_from(value).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kevy_keyspace::Placement;

    fn commands(list: &CommandList) -> Vec<Vec<Vec<u8>>> {
        let args = |at| list.args(at, Placement::new(1)).iter().map(<[u8]>::to_vec).collect();
        (0..list.len()).map(args).collect()
    }

    fn words(text: &str) -> impl Iterator<Item = &[u8]> {
        text.split(' ').map(str::as_bytes)
    }

    /// A `SET` whose value has its own allocation.
    fn with_blob(value: &[u8]) -> CommandList {
        let spans =
            [Span { start: 0, len: 3 }, Span { start: 3, len: 1 }, Span { start: 0, len: 0 }];
        let blob = Blob::new(value);
        let args = Args::new(b"SETk", &spans, Some(&blob), &[], Placement::new(1));
        let mut list = CommandList::new();
        assert!(list.push_args(&args));
        list
    }

    #[test]
    fn commands_come_back_as_they_went_in() {
        let mut list = with_blob(&[7; 10_000]);
        assert!(list.push(words("DEL a b")));
        assert!(list.push([]));
        let mut all = CommandList::new();
        assert!(all.push(words("PING")) && all.append(&list));
        let word = |text: &str| text.as_bytes().to_vec();
        let expected = [
            vec![word("PING")],
            vec![word("SET"), word("k"), vec![7; 10_000]],
            vec![word("DEL"), word("a"), word("b")],
            vec![],
        ];
        assert_eq!(commands(&all), expected);
    }

    #[test]
    fn bytes_are_those_of_arguments_and_of_their_positions() {
        let mut list = with_blob(&[7; 10_000]);
        assert_eq!(list.bytes_len(), 10_004 + 3 * 8);
        assert!(list.push(words("DEL a b")));
        assert_eq!(list.bytes_len(), 10_009 + 6 * 8);
        let copy = list.clone();
        assert!(list.append(&copy));
        assert_eq!(list.bytes_len(), 2 * copy.bytes_len());
        list.clear();
        assert_eq!(list.bytes_len(), 0);
    }

    #[test]
    fn what_exceeds_the_limit_is_refused_whole() {
        let mut list = with_blob(&[7; LIMIT]);
        let value = vec![b'v'; LIMIT / 2];
        assert!(list.push([&b"APPEND"[..], b"a", &value]));
        let (before, bytes) = (commands(&list), list.bytes_len());
        assert!(!list.push([&b"APPEND"[..], b"b", &value]));
        let copy = list.clone();
        assert!(!list.append(&copy));
        let spans = [Span { start: 0, len: value.len() as u32 }; 2];
        assert!(!list.push_args(&Args::new(&value, &spans, None, &[], Placement::new(1))));
        assert_eq!((commands(&list), list.bytes_len()), (before, bytes));
        assert!(list.push(words("GET a")));
        assert_eq!(commands(&list).last().map(Vec::len), Some(2));
    }

    #[test]
    fn arguments_without_bytes_are_limited_too() {
        let mut list = CommandList::new();
        assert!(!list.push(std::iter::repeat_n(&b""[..], LIMIT + 1)));
        assert!(list.push(std::iter::repeat_n(&b""[..], LIMIT)));
        assert!(!list.push(words("PING")));
        assert_eq!((list.len(), list.bytes_len()), (1, LIMIT * SPAN));
    }
}
