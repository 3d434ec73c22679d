//! What arrives: bytes, ends of streams, and how they become commands of the round.

use crate::admit;
use crate::conn::{Conn, Lane, Life};
use crate::round::{Round, Source};
use crate::service::{Action, ConnId, Event, Now};
use crate::shard::{Shard, TURN_ITEMS, count, runner};
use crate::world::{Commands, Paused};
use kevy_command::{ClientFlags, Multi, Session};
use std::sync::atomic::Ordering;

/// Unexecuted input beyond which no more is received from a client that has commands under way,
/// in bytes.
const INPUT_HIGH: usize = 1 << 20;

/// Unexecuted input down to which such a client is received from again, in bytes.
const INPUT_LOW: usize = INPUT_HIGH / 4;

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
        client.active_ms.store(self.now.unix_ms(), Ordering::Relaxed);
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
        let fresh = matches!(conn.lane, Lane::Ready) && conn.input.buffered() == 0;
        if fresh && self.spent < TURN_ITEMS {
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
            if matches!(conn.lane, Lane::Ready) {
                self.let_go_on(id);
            }
        }
        self.check_input(id);
    }

    /// Has the buffered input of a connection looked at.
    pub(crate) fn let_go_on(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get(id)
            && !conn.runnable
        {
            conn.runnable = true;
            self.again.push_back(id);
        }
    }

    /// Closes a client whose unexecuted input is too large. Receives no more from one that has
    /// commands under way; the bytes of a single incomplete command must go on coming.
    pub(crate) fn check_input(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let len = conn.input.len();
        conn.session.client.input.store(len as u64, Ordering::Relaxed);
        let queued = match &conn.session.multi {
            Multi::Off => 0,
            Multi::Queueing(queue) => queue.list.bytes_len(),
        };
        if len + queued > self.settings.query_buffer_limit {
            self.world.shard_counters(self.index).input_limit.add(1);
            return self.abort(id);
        }
        // One that waits for a key is received from, or its end would not be noticed; what it sends
        // is bounded by the limit above.
        let waits = matches!(conn.lane, Lane::Blocked(_));
        let under_way = !waits && (conn.runnable || !matches!(conn.lane, Lane::Ready));
        if conn.life != Life::Open {
            return;
        }
        if !conn.receive_paused && under_way && len > INPUT_HIGH {
            conn.receive_paused = true;
            self.actions.push(Action::PauseReceive(id));
        } else if conn.receive_paused && (!under_way || len <= INPUT_LOW) {
            conn.receive_paused = false;
            self.actions.push(Action::ResumeReceive(id));
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
        // Nobody can be answered who has hung up; a command that waits would be in vain.
        let done = match conn.lane {
            Lane::Blocked(_) => true,
            Lane::Ready => !conn.runnable,
            _ => false,
        };
        if done {
            self.close(id);
        }
    }

    pub(crate) fn sent(&mut self, id: ConnId, sent: usize) {
        if let Some(conn) = self.conns.get(id) {
            conn.unsent = conn.unsent.saturating_sub(sent);
            let client = &conn.session.client;
            client.active_ms.store(self.now.unix_ms(), Ordering::Relaxed);
            client.output.store((conn.out.len() + conn.unsent) as u64, Ordering::Relaxed);
            if conn.out.len() + conn.unsent <= self.settings.output_soft_limit {
                conn.over_soft_since = None;
            }
        }
    }

    /// Reads the next commands of a connection into the round.
    pub(crate) fn admit(&mut self, id: ConnId, source: Source, bytes: &[u8], from: usize) {
        self.refresh_settings();
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
            &mut self.after,
            self.full,
        );
        let (consumed, why) = admit::admit(&mut runner, conn, &mut self.round, bytes, from, paused);
        runner.stop();
        self.spent += self.round.chunk_len().max(1);
        self.round.end(consumed, why, ordered);
        note_activity(conn, &self.round, &self.now);
    }

    /// Goes on with the buffered input of a connection.
    pub(crate) fn go_on(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        conn.runnable = false;
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
        let paused = self.world.paused(self.now.unix_ms());
        if self.paused.is_empty() || paused == self.pause_seen || paused == Paused::All {
            return;
        }
        for id in std::mem::take(&mut self.paused) {
            if let Some(conn) = self.conns.get(id)
                && matches!(conn.lane, Lane::Paused)
            {
                conn.lane = Lane::Ready;
                conn.session.client.set_flags(ClientFlags::BLOCKED, false);
                self.let_go_on(id);
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
    let Session { client, multi, .. } = &conn.session;
    client.active_ms.store(now.unix_ms(), Ordering::Relaxed);
    count(&client.commands, admitted);
    let queued = match multi {
        Multi::Off => -1,
        Multi::Queueing(queue) => queue.list.len() as i64,
    };
    client.queued.store(queued, Ordering::Relaxed);
}
