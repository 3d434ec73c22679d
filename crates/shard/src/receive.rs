//! What arrives: bytes, ends of streams, and how they become commands of the round.

use crate::admit;
use crate::conn::{Conn, Lane, Life};
use crate::round::{Round, Source};
use crate::run::version;
use crate::service::{Action, ConnId, Event, Now};
use crate::shard::{Shard, count, runner};
use crate::world::{Commands, Paused};
use kevy_command::{ClientFlags, Multi, Session};
use std::sync::atomic::Ordering;

/// Unexecuted input of a client that waits beyond which no more is received, in bytes.
const WAITING_INPUT: usize = 1 << 20;

impl<C: Commands> Shard<C> {
    pub(crate) fn received(&mut self, events: &[Event<'_>], at: usize, id: ConnId, bytes: &[u8]) {
        if self.conns.get(id).is_some_and(|conn| conn.in_round) {
            self.run_round(events);
        }
        let Some(conn) = self.conns.get(id) else { return };
        if conn.life != Life::Open {
            return;
        }
        self.world.shard_counters(self.index).received.add(bytes.len() as u64);
        let client = &conn.session.client;
        count(&client.received, bytes.len());
        let mut from = 0;
        if let Some(body) = &mut conn.input.body {
            match body.take(bytes) {
                Ok((taken, done)) => {
                    from = taken;
                    if !done {
                        return;
                    }
                }
                Err(_) => return self.abort(id),
            }
        }
        if matches!(conn.lane, Lane::Ready) && conn.input.buffered() == 0 {
            self.admit(id, Source::Event(at), bytes, from);
            let Some(chunk) = self.round.chunks.last() else { return };
            let rest = &bytes[chunk.consumed.min(bytes.len())..];
            if let Some(conn) = self.conns.get(id)
                && conn.life == Life::Open
            {
                conn.input.push(rest);
            }
        } else {
            conn.input.push(&bytes[from..]);
            if matches!(conn.lane, Lane::Ready) && !self.again.contains(&id) {
                self.again.push(id);
            }
        }
        self.check_input(id);
    }

    /// Closes a client whose unexecuted input is too large; receives no more while it waits.
    pub(crate) fn check_input(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let len = conn.input.len();
        conn.session.client.input.store(len as u64, Ordering::Relaxed);
        if len > self.settings.query_buffer_limit {
            self.world.shard_counters(self.index).input_limit.add(1);
            return self.abort(id);
        }
        let full = len > WAITING_INPUT && !matches!(conn.lane, Lane::Ready);
        if full && !conn.receive_paused && conn.life == Life::Open {
            conn.receive_paused = true;
            self.actions.push(Action::PauseReceive(id));
        }
    }

    pub(crate) fn ended(&mut self, events: &[Event<'_>], id: ConnId) {
        if self.conns.get(id).is_some_and(|conn| conn.in_round) {
            self.run_round(events);
        }
        let Some(conn) = self.conns.get(id) else { return };
        if conn.life != Life::Open {
            return;
        }
        conn.life = Life::Ending;
        if matches!(conn.lane, Lane::Ready) && !self.again.contains(&id) {
            self.close(id);
        }
    }

    pub(crate) fn sent(&mut self, id: ConnId, sent: usize) {
        if let Some(conn) = self.conns.get(id) {
            conn.unsent = conn.unsent.saturating_sub(sent);
            let client = &conn.session.client;
            client.output.store((conn.out.len() + conn.unsent) as u64, Ordering::Relaxed);
            if conn.out.len() + conn.unsent <= self.settings.output_soft_limit {
                conn.over_soft_since = None;
            }
        }
    }

    /// Reads the next commands of a connection into the round.
    pub(crate) fn admit(&mut self, id: ConnId, source: Source, bytes: &[u8], from: usize) {
        let paused = self.world.paused(self.now.unix_ms());
        let ordered = self.settings.ordered_pipelines;
        self.round.begin(id, source);
        let Some(conn) = self.conns.get(id) else { return };
        conn.in_round = true;
        let mut runner = runner(
            &self.world,
            &*self.commands,
            &self.settings,
            self.index,
            &self.now,
            &mut self.changes,
            self.full,
        );
        let (consumed, why) = admit::admit(&mut runner, conn, &mut self.round, bytes, from, paused);
        runner.stop();
        self.round.end(consumed, why, ordered);
        note_activity(conn, &self.round, &self.now);
    }

    /// Goes on with the buffered input of a connection.
    pub(crate) fn go_on(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if !matches!(conn.lane, Lane::Ready) || conn.in_round {
            return;
        }
        if !matches!(conn.life, Life::Open | Life::Ending) {
            return;
        }
        let bytes = std::mem::take(&mut conn.input.bytes);
        let from = conn.input.at;
        self.admit(id, Source::Input(Vec::new()), &bytes, from);
        if let Some(chunk) = self.round.chunks.last_mut() {
            chunk.source = Source::Input(bytes);
        }
    }

    /// Lets those go on that a pause has held back.
    pub(crate) fn end_pause(&mut self) {
        if self.paused.is_empty() || self.world.paused(self.now.unix_ms()) == Paused::All {
            return;
        }
        for id in std::mem::take(&mut self.paused) {
            if let Some(conn) = self.conns.get(id)
                && matches!(conn.lane, Lane::Paused)
            {
                conn.lane = Lane::Ready;
                conn.session.client.set_flags(ClientFlags::BLOCKED, false);
                self.again.push(id);
            }
        }
    }
}

/// Publishes what others see of a client.
fn note_activity(conn: &Conn, round: &Round, now: &Now) {
    let admitted = round.chunk_len();
    if admitted == 0 {
        return;
    }
    let Session { client, db, proto, multi, watched, .. } = &conn.session;
    client.active_ms.store(now.unix_ms(), Ordering::Relaxed);
    count(&client.commands, admitted);
    client.db.store(*db as u32, Ordering::Relaxed);
    client.proto.store(version(*proto), Ordering::Relaxed);
    let queued = match multi {
        Multi::Off => -1,
        Multi::Queueing(queue) => queue.list.len() as i64,
    };
    client.queued.store(queued, Ordering::Relaxed);
    client.watching.store(watched.len() as u32, Ordering::Relaxed);
}
