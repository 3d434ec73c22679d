//! Output and its limits, and the ways in which a connection ends.

use crate::conn::{Conn, Lane, Life};
use crate::run::stores_of;
use crate::service::{Action, ConnId};
use crate::shard::Shard;
use crate::work::{Caller, Item, Job, StoreSet};
use crate::world::Commands;
use kevy_command::{ClientFlags, Session, Settings};
use std::sync::atomic::Ordering;

/// How long a graceful shutdown waits for clients to read their replies, in ns.
const LINGER_NS: u64 = 1_000_000_000;

/// Unread output beyond which a client that has not authenticated is closed, in bytes.
const UNAUTHENTICATED_OUTPUT: usize = 64 << 10;

impl<C: Commands> Shard<C> {
    /// The output of a connection may have grown: tells the driver, and looks at the limits.
    pub(crate) fn note_output(&mut self, id: ConnId) {
        let now = self.now.mono_ns;
        let Some(conn) = self.conns.get(id) else { return };
        if conn.life == Life::Aborted {
            return;
        }
        if conn.out.is_empty() {
            return;
        }
        let held = conn.out.len() + conn.unsent;
        conn.session.client.output.store(held as u64, Ordering::Relaxed);
        if is_over_limit(conn, &self.settings, now) {
            self.world.shard_counters(self.index).output_limit.add(1);
            return self.abort(id);
        }
        if !conn.send_noted && !matches!(conn.lane, Lane::Barrier { .. }) {
            conn.send_noted = true;
            self.actions.push(Action::Send(id));
        }
    }

    /// Closes a connection after its output has been sent.
    pub(crate) fn close(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.life == Life::Aborted {
            return;
        }
        conn.life = Life::Closing;
        conn.session.client.set_flags(ClientFlags::CLOSING, true);
        self.stop_waiting(id);
        self.note_output(id);
        if self.conns.get(id).is_some_and(|conn| conn.life == Life::Closing) {
            self.actions.push(Action::Close(id));
        }
    }

    /// Closes a connection at once.
    pub(crate) fn abort(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.life != Life::Aborted {
            conn.life = Life::Aborted;
            conn.out.clear();
            self.actions.push(Action::Abort(id));
            self.stop_waiting(id);
        }
    }

    pub(crate) fn kill(&mut self, client: u64) {
        let found = self.conns.iter_mut().find(|conn| conn.session.client.id == client);
        if let Some(id) = found.map(|conn| conn.id) {
            self.abort(id);
        }
    }

    /// Tells the stores that keys are no longer watched.
    pub(crate) fn release_watches(&mut self, session: &mut Session) {
        session.unwatch();
        if session.unwatched.is_empty() {
            return;
        }
        let stores = stores_of(&self.world, session.unwatched.iter());
        let caller = Caller { client: session.client.id, ..Caller::nobody() };
        let mut batch = self.new_batch();
        batch.items.push(Item::new(Job::Unwatch, caller, StoreSet::None));
        self.outstanding.insert(batch.number);
        let ready = match stores[..] {
            [store] => self.world.doors.enter(store, batch),
            _ => self.world.doors.enter_all(&stores, batch),
        };
        self.ready.extend(ready);
        self.work_off();
    }

    /// Whether nothing of this shard is under way any more.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.outstanding.is_empty()
            && self.again.is_empty()
            && self.ready.is_empty()
            && self.barriers.is_empty()
            && self.waits.is_settled()
            && self.actions.is_empty()
            && !self.world.inbox(self.index).is_full()
    }

    /// During a graceful shutdown: closes the connections when their replies are there, and tells
    /// the others when nothing is left.
    pub(crate) fn wind_up(&mut self) {
        if !self.world.stopping() {
            return;
        }
        let idle = |conn: &&mut Conn| {
            matches!(conn.life, Life::Open | Life::Ending)
                && matches!(conn.lane, Lane::Ready | Lane::Paused | Lane::Blocked(_))
                && !conn.runnable
        };
        let ended: Vec<ConnId> = self.conns.iter_mut().filter(idle).map(|conn| conn.id).collect();
        for id in ended {
            self.close(id);
        }
        let since = *self.stopping_since.get_or_insert(self.now.mono_ns);
        if self.now.mono_ns.saturating_sub(since) > LINGER_NS {
            let left: Vec<ConnId> = self.conns.iter_mut().map(|conn| conn.id).collect();
            for id in left {
                self.abort(id);
            }
        }
        let drained = self.is_quiet() && self.conns.len() == 0;
        if drained != self.drained {
            self.drained = drained;
            self.world.note_drained(drained);
            if drained && self.world.all_drained() {
                self.world.look();
            }
        }
    }
}

/// Whether what a connection has not read closes it. Notes since when the soft limit is exceeded.
pub(crate) fn is_over_limit(conn: &mut Conn, settings: &Settings, now_ns: u64) -> bool {
    let held = conn.out.len() + conn.unsent;
    let over = |limit: usize| limit > 0 && held > limit;
    if !conn.session.authenticated && held > UNAUTHENTICATED_OUTPUT {
        return true;
    }
    if !over(settings.output_soft_limit) {
        conn.over_soft_since = None;
        return over(settings.output_hard_limit);
    }
    let since = *conn.over_soft_since.get_or_insert(now_ns);
    let lasted = now_ns.saturating_sub(since);
    over(settings.output_hard_limit)
        || lasted > settings.output_soft_seconds.saturating_mul(1_000_000_000)
}
