//! Work for stores: single commands and the batches in which they wait at a door.

use crate::door::StoreId;
use crate::service::ConnId;
use kevy_command::session::Transaction;
use kevy_command::{Args, Found, Output, PlacedKey};
use kevy_data::Blob;
use kevy_keyspace::{Placement, Waiter};
use kevy_resp::{Mark, Proto, Span};
use std::sync::Arc;

/// A piece of a vector, by positions that survive the vector's growth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Piece {
    first: u32,
    count: u32,
}

impl Piece {
    /// From `first` to the present end of a vector.
    pub(crate) fn since(first: usize, end: usize) -> Self {
        Self { first: first as u32, count: (end - first) as u32 }
    }

    pub(crate) fn of<T>(self, whole: &[T]) -> &[T] {
        &whole[self.first as usize..][..self.count as usize]
    }
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Job {
    /// Run the handler of the row.
    Call(Found),
    /// Run a transaction; the row is the one that ended it.
    Transaction(Found, Box<Transaction>),
    /// Forget the keys that the client watches in the stores held.
    Unwatch,
    /// Look through the lines of a waiter, which needs all its stores.
    Serve(Arc<Waiter>),
    /// Take waiters out of the lines of the stores held.
    Forget(Vec<Arc<Waiter>>),
    /// Nothing more: the reply is there already.
    Said,
}

/// What a handler needs to know of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) conn: ConnId,
    pub(crate) client: u64,
    pub(crate) db: usize,
    pub(crate) proto: Proto,
    pub(crate) no_touch: bool,
    /// The reply is not wanted.
    pub(crate) silent: bool,
}

impl Caller {
    /// The shard itself.
    pub(crate) fn nobody() -> Self {
        let conn = ConnId { slot: u32::MAX, generation: 0 };
        Self { conn, client: 0, db: 0, proto: Proto::Resp2, no_touch: true, silent: true }
    }
}

/// Argument bytes that lie elsewhere than in the input of the chunk.
#[derive(Debug)]
pub(crate) struct OwnBytes {
    pub(crate) bytes: Vec<u8>,
    /// The last argument, received straight into its own allocation.
    pub(crate) blob: Option<Blob>,
}

/// One command on its way.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) job: Job,
    pub(crate) caller: Caller,
    pub(crate) spans: Piece,
    pub(crate) keys: Piece,
    pub(crate) own: Option<Box<OwnBytes>>,
    /// Its stores.
    pub(crate) stores: StoreSet,
    /// Which of the chunk's components it belongs to.
    pub(crate) component: u32,
    /// Its position in the round from which it was taken away.
    pub(crate) place: u32,
    /// Whether it may change keys.
    pub(crate) writes: bool,
    /// Whether it names several keys, or commands: then it waits for all earlier ones.
    pub(crate) several: bool,
    /// Where its reply is, once there is one.
    pub(crate) reply: (Mark, Mark),
    /// It waits, and its reply comes later.
    pub(crate) waiter: Option<Arc<Waiter>>,
}

impl Item {
    /// Whether it was taken away to be run elsewhere and its reply is not there.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.job, Job::Said) && !matches!(self.stores, StoreSet::None)
    }

    /// A command that needs no arguments of its own.
    pub(crate) fn new(job: Job, caller: Caller, stores: StoreSet) -> Self {
        Self {
            job,
            caller,
            spans: Piece::default(),
            keys: Piece::default(),
            own: None,
            stores,
            component: 0,
            place: 0,
            writes: false,
            several: false,
            reply: (Mark::default(), Mark::default()),
            waiter: None,
        }
    }
}

/// The stores of an item.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreSet {
    /// None: it has run already.
    None,
    /// One.
    One(StoreId),
    /// Several: a piece of the round's store lists, ascending.
    Many(Piece),
}

/// What the items' positions refer to.
#[derive(Debug, Default)]
pub(crate) struct Material {
    pub(crate) spans: Vec<Span>,
    pub(crate) keys: Vec<PlacedKey>,
}

impl Material {
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.keys.clear();
    }

    /// The arguments of `item`; `bytes` is the input of its chunk.
    #[inline]
    pub(crate) fn args<'a>(
        &'a self,
        item: &'a Item,
        bytes: &'a [u8],
        placement: Placement,
    ) -> Args<'a> {
        let (bytes, blob) = match &item.own {
            Some(own) => (&own.bytes[..], own.blob.as_ref()),
            None => (bytes, None),
        };
        Args::new(bytes, item.spans.of(&self.spans), blob, item.keys.of(&self.keys), placement)
    }
}

/// Consecutive items of a batch that belong to one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) conn: ConnId,
    pub(crate) count: u32,
}

/// Commands that wait at doors, with copies of their arguments and room for their replies. All of
/// it goes home when they have run, and its memory is used again.
#[derive(Debug, Default)]
pub struct Batch {
    /// The shard whose clients sent the commands.
    pub(crate) origin: usize,
    /// The time at which they were sent, in Unix milliseconds.
    pub(crate) now_ms: i64,
    /// Counts the batches of its origin.
    pub(crate) number: u64,
    /// It needs the sessions of its clients, so it runs at its origin.
    pub(crate) home_only: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) material: Material,
    pub(crate) items: Vec<Item>,
    pub(crate) parts: Vec<Part>,
    pub(crate) out: Output,
}

/// Batches whose buffers have grown beyond this many bytes are not kept for reuse.
const KEEP_AT_MOST: usize = 256 << 10;

impl Batch {
    /// Forgets everything but the memory. `false` if that is too much to keep.
    pub(crate) fn recycle(&mut self) -> bool {
        self.home_only = false;
        self.bytes.clear();
        self.material.clear();
        self.items.clear();
        self.parts.clear();
        self.out.clear();
        self.bytes.capacity() + self.out.bytes_capacity() <= KEEP_AT_MOST
    }

    /// Takes `item` over, its arguments copied.
    pub(crate) fn push(&mut self, mut item: Item, from: &Material, bytes: &[u8]) {
        let first = self.material.spans.len();
        if item.own.is_some() {
            self.material.spans.extend_from_slice(item.spans.of(&from.spans));
        } else {
            for span in item.spans.of(&from.spans) {
                let start = self.bytes.len() as u32;
                self.bytes.extend_from_slice(span.of(bytes));
                self.material.spans.push(Span { start, len: span.len });
            }
        }
        item.spans = Piece::since(first, self.material.spans.len());
        let first = self.material.keys.len();
        self.material.keys.extend_from_slice(item.keys.of(&from.keys));
        item.keys = Piece::since(first, self.material.keys.len());
        self.items.push(item);
    }

    /// Notes that the next item belongs to `conn`'s chunk.
    pub(crate) fn note_part(&mut self, conn: ConnId) {
        match self.parts.last_mut() {
            Some(part) if part.conn == conn => part.count += 1,
            _ => self.parts.push(Part { conn, count: 1 }),
        }
    }
}
