//! Commands kept for later: the queue of `MULTI`, a batch for another shard, frames of the log.

use crate::Args;
use kevy_data::Blob;
use kevy_resp::Span;

/// A list of commands that owns its bytes.
#[derive(Clone, Debug, Default)]
pub struct CommandList {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    blobs: Vec<Blob>,
    items: Vec<Item>,
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

    /// Bytes of all arguments.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.bytes.len() + self.blobs.iter().map(|blob| blob.as_ref().len()).sum::<usize>()
    }

    /// Forgets all commands and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.blobs.clear();
        self.items.clear();
    }

    /// Appends a command by its arguments, the name first.
    pub fn push<'a>(&mut self, args: impl IntoIterator<Item = &'a [u8]>) {
        let first = self.spans.len();
        for arg in args {
            self.push_span(arg);
        }
        self.finish(first, None);
    }

    /// Appends a copy of `args`; a value received into its own allocation is shared, not copied.
    pub fn push_args(&mut self, args: &Args<'_>) {
        let first = self.spans.len();
        let inline = args.len() - usize::from(args.blob().is_some());
        for arg in args.iter().take(inline) {
            self.push_span(arg);
        }
        let blob = args.blob().map(|blob| {
            self.spans.push(Span { start: 0, len: 0 });
            self.blobs.push(blob.clone());
            index(self.blobs.len() - 1)
        });
        self.finish(first, blob);
    }

    /// Appends copies of all commands of `other`.
    pub fn append(&mut self, other: &Self) {
        let (bytes, spans, blobs) =
            (index(self.bytes.len()), index(self.spans.len()), index(self.blobs.len()));
        self.bytes.extend_from_slice(&other.bytes);
        let moved = |span: &Span| Span { start: span.start + bytes, ..*span };
        self.spans.extend(other.spans.iter().map(moved));
        self.blobs.extend_from_slice(&other.blobs);
        self.items.extend(other.items.iter().map(|item| Item {
            first: item.first + spans,
            blob: item.blob.map(|blob| blob + blobs),
            ..*item
        }));
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

    fn push_span(&mut self, arg: &[u8]) {
        let start = index(self.bytes.len());
        self.bytes.extend_from_slice(arg);
        self.spans.push(Span { start, len: index(arg.len()) });
    }

    fn finish(&mut self, first: usize, blob: Option<u32>) {
        let count = index(self.spans.len() - first);
        self.items.push(Item { first: index(first), count, blob });
    }
}

/// Positions are 32 bits: lists stay far below 4 GiB, for query buffers do.
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
