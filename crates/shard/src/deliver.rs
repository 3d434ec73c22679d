//! Bringing replies into the order of their commands, wherever these ran.

use crate::conn::{Conn, Lane, Life, Pending, Slot};
use crate::round::{Chunk, Round, Source, Why};
use crate::service::ConnId;
use crate::shard::Shard;
use crate::work::{Batch, Item, StoreSet};
use crate::world::Commands;
use kevy_command::{ClientFlags, Output};
use kevy_keyspace::Waiter;
use std::sync::Arc;

/// Batches kept for reuse.
const POOL: usize = 64;

impl<C: Commands> Shard<C> {
    /// Hands out the replies of the round.
    pub(crate) fn deliver(&mut self) {
        let mut chunks = std::mem::take(&mut self.round.chunks);
        for chunk in chunks.drain(..) {
            self.finish_chunk(chunk);
        }
        self.round.chunks = chunks;
        self.round.clear();
    }

    pub(crate) fn finish_chunk(&mut self, mut chunk: Chunk) {
        let id = chunk.conn;
        // Only the last command of a chunk can wait.
        let last = self.round.items[chunk.first..chunk.end].last_mut();
        let waiter = last.and_then(|item| item.waiter.take());
        let Some(conn) = self.conns.get(id) else {
            return waiter.iter().for_each(|waiter| self.abandon(waiter));
        };
        conn.in_round = false;
        if let Source::Input(bytes) = std::mem::replace(&mut chunk.source, Source::Event(0)) {
            conn.input.bytes = bytes;
            conn.input.at = chunk.consumed;
            conn.input.compact();
        }
        if conn.life == Life::Closing {
            conn.input = crate::conn::Input::default();
        }
        if chunk.missing > 0 {
            conn.lane = Lane::Waiting(Box::new(pending(&chunk, &self.round, waiter)));
            self.check_input(id);
            return;
        }
        let end = chunk.end;
        emit_before(&mut chunk, &self.round.items, &self.round.scratch, conn, end);
        self.end_chunk(id, chunk.why, waiter);
    }

    /// All commands of a chunk have run, but for the last one if that waits.
    fn end_chunk(&mut self, id: ConnId, why: Why, waiter: Option<Arc<Waiter>>) {
        match waiter {
            Some(waiter) => self.park(id, waiter),
            None => self.after_chunk(id, why),
        }
    }

    /// All commands of a chunk have run and their replies are in the output.
    pub(crate) fn after_chunk(&mut self, id: ConnId, why: Why) {
        let Some(conn) = self.conns.get(id) else { return };
        match why {
            Why::Drained => {
                if conn.life == Life::Ending {
                    return self.close(id);
                }
            }
            Why::GoOn => self.let_go_on(id),
            Why::Paused(held_by) if held_by == self.world.paused(self.now.unix_ms()) => {
                conn.lane = Lane::Paused;
                conn.session.client.set_flags(ClientFlags::BLOCKED, true);
                self.paused.push(id);
                self.pause_seen = held_by;
            }
            // The pause has ended while the commands before were under way.
            Why::Paused(_) => self.let_go_on(id),
            Why::Barrier => self.ask_barrier(id),
            Why::Closed => return self.close(id),
        }
        self.note_output(id);
        self.check_input(id);
    }

    /// A batch of this shard's clients has run.
    pub(crate) fn bring_home(&mut self, mut batch: Box<Batch>) {
        self.outstanding.remove(&batch.number);
        let mut first = 0;
        for at in 0..batch.parts.len() {
            let part = batch.parts[at];
            let items = &batch.items[first..first + part.count as usize];
            first += part.count as usize;
            let Some(conn) = self.conns.get(part.conn) else {
                let waiters = items.iter().filter_map(|item| item.waiter.as_ref());
                waiters.for_each(|waiter| self.abandon(waiter));
                continue;
            };
            // A chunk that is still being planned or run gets its reply there.
            if conn.in_round {
                self.round_reply(part.conn, items, &batch.out);
                continue;
            }
            let Lane::Waiting(pending) = &mut conn.lane else { continue };
            pending.file(items, &batch.out);
            if pending.missing == 0 {
                self.resume(part.conn);
            }
        }
        if batch.recycle() && self.pool.len() < POOL {
            self.pool.push(batch);
        }
    }

    /// Files replies for a chunk of the round that has not been delivered yet.
    fn round_reply(&mut self, id: ConnId, items: &[Item], from: &Output) {
        let Some(chunk) = self.round.chunks.iter_mut().find(|chunk| chunk.conn == id) else {
            return;
        };
        chunk.missing -= 1;
        for item in items {
            let here = self.round.scratch.mark();
            self.round.scratch.append_range(from, item.reply.0, item.reply.1);
            let place = &mut self.round.items[item.place as usize];
            debug_assert!(place.is_away(), "a reply for each command");
            place.reply = (here, self.round.scratch.mark());
            place.stores = StoreSet::None;
            place.waiter.clone_from(&item.waiter);
        }
    }

    /// All replies of a waiting chunk are there.
    pub(crate) fn resume(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let Lane::Waiting(pending) = std::mem::replace(&mut conn.lane, Lane::Ready) else { return };
        let Conn { out, life, .. } = conn;
        pending.deliver(out);
        if *life == Life::Aborted {
            return pending.waiter.iter().for_each(|waiter| self.abandon(waiter));
        }
        // There may be more in the input than what had been looked at when the chunk was read.
        match pending.why {
            Why::Drained => self.end_chunk(id, Why::GoOn, pending.waiter),
            why => self.end_chunk(id, why, pending.waiter),
        }
    }
}

/// Copies replies from the scratch to the output, up to item `end`.
#[inline]
pub(crate) fn emit_before(
    chunk: &mut Chunk,
    items: &[Item],
    scratch: &Output,
    conn: &mut Conn,
    end: usize,
) {
    while chunk.emitted < end {
        let (begin, mark) = items[chunk.emitted].reply;
        conn.out.append_range(scratch, begin, mark);
        chunk.emitted += 1;
    }
}

/// What remains of a chunk whose components have not all run.
fn pending(chunk: &Chunk, round: &Round, waiter: Option<Arc<Waiter>>) -> Pending {
    let mut pending = Pending {
        slots: Vec::with_capacity(chunk.end - chunk.emitted),
        first: chunk.emitted,
        out: Output::new(),
        missing: chunk.missing as usize,
        why: chunk.why,
        waiter,
    };
    for item in &round.items[chunk.emitted..chunk.end] {
        if item.is_away() {
            pending.slots.push(Slot::Away);
        } else {
            let here = pending.out.mark();
            pending.out.append_range(&round.scratch, item.reply.0, item.reply.1);
            pending.slots.push(Slot::Here(here, pending.out.mark()));
        }
    }
    pending
}
