//! One connection: what it receives, what it is in, what it has to send.

use crate::blocked::Blocked;
use crate::round::Why;
use crate::serve::Served;
use crate::service::ConnId;
use crate::work::{Item, OwnBytes};
use kevy_command::{Output, Session};
use kevy_data::BlobBuilder;
use kevy_keyspace::Waiter;
use kevy_resp::{Mark, Parser, Span};
use std::sync::Arc;

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    pub(crate) session: Session,
    pub(crate) input: Input,
    pub(crate) lane: Lane,
    pub(crate) out: Output,
    /// Bytes in the driver's hands that have not left yet.
    pub(crate) unsent: usize,
    pub(crate) life: Life,
    /// It stands in the list of connections whose buffered input may go on.
    pub(crate) runnable: bool,
    /// A chunk of it is part of the round.
    pub(crate) in_round: bool,
    /// It stands in the list of connections with something to send.
    pub(crate) send_noted: bool,
    /// The driver was told to receive no more.
    pub(crate) receive_paused: bool,
    /// The reply of a command that waits, come before the connection knew that it does.
    pub(crate) early: Option<Box<Served>>,
    /// Since when its output is over the soft limit, in ns of the monotonic clock.
    pub(crate) over_soft_since: Option<u64>,
}

/// Whether commands are still taken from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Yes.
    Open,
    /// The peer has closed its half: what is buffered is executed, then it closes.
    Ending,
    /// No; what is to be sent is sent first.
    Closing,
    /// No, and nothing is sent.
    Aborted,
}

/// What the client is in.
#[derive(Debug)]
pub(crate) enum Lane {
    /// Its next command may be admitted.
    Ready,
    /// Commands of it wait at doors.
    Waiting(Box<Pending>),
    /// A reply waits until all shards have passed a moment.
    Barrier {
        /// Shards that have not answered.
        missing: usize,
        /// The reply.
        reply: Box<Output>,
    },
    /// `CLIENT PAUSE` holds its next command back.
    Paused,
    /// Its command waits for a key.
    Blocked(Box<Blocked>),
}

/// What has been received and not executed.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) parser: Parser,
    /// Bytes that are kept; those before `at` are executed.
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: usize,
    /// A large last argument under way.
    pub(crate) body: Option<Box<Body>>,
}

/// Below this, executed bytes at the front of the input are not worth moving the rest.
const COMPACT_FROM: usize = 16 << 10;

/// Room that an empty input keeps, in bytes: idle connections are many.
const KEEP: usize = 512;

impl Input {
    /// Bytes received and not executed.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.at + self.body.as_ref().map_or(0, |body| body.value.len())
    }

    /// Bytes buffered that have not been looked at as commands.
    pub(crate) fn buffered(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Appends what was received behind what is kept.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.compact();
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops the executed bytes if that moves no more bytes than it drops.
    pub(crate) fn compact(&mut self) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
            if self.bytes.capacity() > KEEP {
                self.bytes = Vec::new();
            }
        } else if self.at >= COMPACT_FROM && self.at * 2 >= self.bytes.len() {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
    }
}

/// A large last argument that goes straight into the allocation in which it will be stored.
#[derive(Debug)]
pub(crate) struct Body {
    /// The arguments before it.
    pub(crate) head: Vec<u8>,
    /// Where they lie.
    pub(crate) spans: Vec<Span>,
    pub(crate) value: BlobBuilder,
    /// Bytes of the closing CRLF still to come, once the value is complete.
    pub(crate) end: usize,
}

impl Body {
    /// Takes what it needs of `bytes`; gives how much that was, and whether all is there.
    ///
    /// # Errors
    /// If there is no memory for the value.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), kevy_data::OutOfMemory> {
        let taken = self.value.extend(bytes)?;
        if self.value.remaining() > 0 {
            return Ok((taken, false));
        }
        let end = self.end.min(bytes.len() - taken);
        self.end -= end;
        Ok((taken + end, self.end == 0))
    }

    /// The bytes of the command, and where its arguments lie; the value's place is empty.
    pub(crate) fn finish(mut self) -> (OwnBytes, Vec<Span>) {
        self.spans.push(Span::default());
        (OwnBytes { bytes: self.head, blob: Some(self.value.freeze()) }, self.spans)
    }
}

/// The replies of a chunk of which parts are elsewhere.
#[derive(Debug)]
pub(crate) struct Pending {
    /// For each command of the chunk whose reply is not in the output, in order.
    pub(crate) slots: Vec<Slot>,
    /// Position in the round of the first of them.
    pub(crate) first: usize,
    /// The replies that are there, in the order of their arrival.
    pub(crate) out: Output,
    /// Batches that have not come back.
    pub(crate) missing: usize,
    /// Why the chunk ended: what is to be done when it is complete.
    pub(crate) why: Why,
    /// Its last command waits.
    pub(crate) waiter: Option<Arc<Waiter>>,
}

/// Where the reply of a command is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    /// In [`Pending::out`].
    Here(Mark, Mark),
    /// Not there yet.
    Away,
}

impl Pending {
    /// Files the replies of a batch's `items`, which stand in `from`. Batches come home in any
    /// order, so each item knows its place.
    pub(crate) fn file(&mut self, items: &[Item], from: &Output) {
        for item in items {
            let slot = (item.place as usize).checked_sub(self.first);
            let Some(slot) = slot.and_then(|at| self.slots.get_mut(at)) else { continue };
            debug_assert!(matches!(slot, Slot::Away), "a reply for each command");
            let here = self.out.mark();
            self.out.append_range(from, item.reply.0, item.reply.1);
            *slot = Slot::Here(here, self.out.mark());
            if item.waiter.is_some() {
                self.waiter.clone_from(&item.waiter);
            }
        }
        self.missing -= 1;
    }

    /// Appends all replies to `out`, in the order of the commands.
    pub(crate) fn deliver(&self, out: &mut Output) {
        for slot in &self.slots {
            if let Slot::Here(begin, end) = *slot {
                out.append_range(&self.out, begin, end);
            }
        }
    }
}

/// The connections of a shard, by slot.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    slots: Vec<Place>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    conn: Option<Box<Conn>>,
}

impl Conns {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A place for a new connection.
    pub(crate) fn insert(&mut self, session: Session) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Place::default());
            (self.slots.len() - 1) as u32
        });
        let place = &mut self.slots[slot as usize];
        place.generation = place.generation.wrapping_add(1);
        let id = ConnId { slot, generation: place.generation };
        place.conn = Some(Box::new(Conn {
            id,
            session,
            input: Input::default(),
            lane: Lane::Ready,
            out: Output::new(),
            unsent: 0,
            life: Life::Open,
            runnable: false,
            in_round: false,
            send_noted: false,
            receive_paused: false,
            early: None,
            over_soft_since: None,
        }));
        self.len += 1;
        id
    }

    #[inline]
    pub(crate) fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        let place = self.slots.get_mut(id.slot as usize)?;
        if place.generation != id.generation {
            return None;
        }
        place.conn.as_deref_mut()
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        let place = self.slots.get_mut(id.slot as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let conn = place.conn.take()?;
        self.free.push(id.slot);
        self.len -= 1;
        Some(conn)
    }

    /// Number of slots, for walks in slices.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn at_slot(&mut self, slot: usize) -> Option<&mut Conn> {
        self.slots.get_mut(slot)?.conn.as_deref_mut()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Conn> {
        self.slots.iter_mut().filter_map(|place| place.conn.as_deref_mut())
    }
}
