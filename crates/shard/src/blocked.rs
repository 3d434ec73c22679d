//! Connections whose command waits, and the ends of the waiting: served, timed out, unblocked by
//! another client, closed.

use crate::conn::{Lane, Life};
use crate::door::StoreId;
use crate::serve::{Parked, Served};
use crate::service::ConnId;
use crate::shard::Shard;
use crate::work::{Batch, Caller, Item, Job, StoreSet};
use crate::world::{Commands, Mail};
use kevy_command::{ClientFlags, Error, Reply};
use kevy_keyspace::{Cancelled, Waiter};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Commands that time out in one turn at most: less than a millisecond of work.
const TIMEOUTS: usize = 512;

/// When to ask again for the end of a waiter that somebody is serving, in ns.
const AGAIN_NS: u64 = 1_000_000;

/// The answer of `CLIENT UNBLOCK ERROR`.
const UNBLOCKED: Error = Error::new("UNBLOCKED client unblocked via CLIENT UNBLOCK");

/// What a connection waits for.
#[derive(Debug)]
pub(crate) struct Blocked {
    waiter: Arc<Waiter>,
    /// When it gives up, in ns of the monotonic clock.
    deadline_ns: Option<u64>,
}

/// The waiting of a shard's connections.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// When who gives up: a connection waits for one command at a time.
    deadlines: BTreeSet<(u64, ConnId)>,
    /// Waiters to be taken out of the lines of their stores.
    leaving: BTreeMap<StoreId, Vec<Arc<Waiter>>>,
}

impl Waits {
    /// When the next one gives up, in ns of the monotonic clock.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Whether nobody is to be taken out of lines.
    pub(crate) fn is_settled(&self) -> bool {
        self.leaving.is_empty()
    }

    fn leave(&mut self, waiter: &Arc<Waiter>) {
        for store in waiter.stores() {
            self.leaving.entry(store).or_default().push(Arc::clone(waiter));
        }
    }
}

impl<C: Commands> Shard<C> {
    /// The last command of a chunk waits, all others have their replies: the connection waits with
    /// it, unless it was served meanwhile.
    pub(crate) fn park(&mut self, id: ConnId, waiter: Arc<Waiter>) {
        let Some(conn) = self.conns.get(id) else { return self.abandon(&waiter) };
        let early = conn.early.take();
        if let Some(mut early) = early.filter(|early| early.ticket == waiter.ticket()) {
            conn.out.append(&mut early.out);
            self.waits.leave(&waiter);
            return self.proceed(id);
        }
        match conn.life {
            Life::Open => {}
            // Who has hung up gets nothing more.
            Life::Ending => {
                self.abandon(&waiter);
                return self.close(id);
            }
            Life::Closing | Life::Aborted => return self.abandon(&waiter),
        }
        let timeout_ms = waiter.call::<Parked>().map_or(0, |parked| parked.timeout_ms);
        let timeout_ns = timeout_ms.saturating_mul(1_000_000);
        let deadline_ns = (timeout_ms > 0).then(|| self.now.mono_ns.saturating_add(timeout_ns));
        self.waits.deadlines.extend(deadline_ns.map(|deadline| (deadline, id)));
        let client = &conn.session.client;
        client.set_flags(ClientFlags::BLOCKED, true);
        client.set_waiter(Some(Arc::clone(&waiter)));
        conn.lane = Lane::Blocked(Box::new(Blocked { waiter, deadline_ns }));
        self.note_output(id);
        self.check_input(id);
    }

    /// Somebody has served a client of this shard.
    pub(crate) fn served(&mut self, mut served: Served) {
        let id = served.conn;
        let Some(conn) = self.conns.get(id) else { return };
        let waits = |blocked: &Blocked| blocked.waiter.ticket() == served.ticket;
        match &conn.lane {
            Lane::Blocked(blocked) if waits(blocked) => {}
            // It does not know yet that it waits.
            _ => {
                if conn.in_round || matches!(conn.lane, Lane::Waiting(_)) {
                    conn.early = Some(Box::new(served));
                }
                return;
            }
        }
        conn.out.append(&mut served.out);
        if let Some(waiter) = self.unblock(id)
            && waiter.stores().nth(1).is_some()
        {
            // Who served it has taken it out of the stores at hand only.
            self.waits.leave(&waiter);
        }
        self.proceed(id);
    }

    /// The command of a connection has its reply.
    fn proceed(&mut self, id: ConnId) {
        self.let_go_on(id);
        self.note_output(id);
        self.check_input(id);
    }

    /// Ends the waiting of a connection, if it waits.
    fn unblock(&mut self, id: ConnId) -> Option<Arc<Waiter>> {
        let conn = self.conns.get(id)?;
        if !matches!(conn.lane, Lane::Blocked(_)) {
            return None;
        }
        let Lane::Blocked(blocked) = std::mem::replace(&mut conn.lane, Lane::Ready) else {
            return None;
        };
        conn.session.client.set_flags(ClientFlags::BLOCKED, false);
        conn.session.client.set_waiter(None);
        if let Some(deadline) = blocked.deadline_ns {
            self.waits.deadlines.remove(&(deadline, id));
        }
        Some(blocked.waiter)
    }

    /// Ends the waiting of a connection that is about to close.
    pub(crate) fn stop_waiting(&mut self, id: ConnId) {
        if let Some(waiter) = self.unblock(id) {
            self.abandon(&waiter);
        }
    }

    /// Nobody wants the reply of a waiter any more.
    pub(crate) fn abandon(&mut self, waiter: &Arc<Waiter>) {
        // Who is serving it at this moment goes on; the reply finds nobody.
        let _ = waiter.cancel();
        self.waits.leave(waiter);
    }

    /// Answers those whose time is up.
    pub(crate) fn time_out(&mut self) {
        for _ in 0..TIMEOUTS {
            let Some(&(deadline, id)) = self.waits.deadlines.first() else { return };
            if deadline > self.now.mono_ns {
                return;
            }
            self.waits.deadlines.pop_first();
            self.give_up(id);
        }
    }

    fn give_up(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let Lane::Blocked(blocked) = &mut conn.lane else { return };
        match blocked.waiter.cancel() {
            Cancelled::Yes => self.end_wait(id, None),
            // The reply is on its way.
            Cancelled::TooLate => {}
            Cancelled::Busy => {
                let again = self.now.mono_ns + AGAIN_NS;
                blocked.deadline_ns = Some(again);
                self.waits.deadlines.insert((again, id));
            }
        }
    }

    /// Another client has ended the waiting of one of this shard.
    pub(crate) fn unblocked(&mut self, id: ConnId, ticket: u64, error: bool) {
        let Some(conn) = self.conns.get(id) else { return };
        if let Lane::Blocked(blocked) = &conn.lane
            && blocked.waiter.ticket() == ticket
        {
            self.end_wait(id, error.then_some(UNBLOCKED));
        }
    }

    /// Answers a client whose waiter has been cancelled: that nothing came, or with an error.
    fn end_wait(&mut self, id: ConnId, error: Option<Error>) {
        let Some(waiter) = self.unblock(id) else { return };
        self.waits.leave(&waiter);
        let Some(conn) = self.conns.get(id) else { return };
        let Some(Parked { found, caller, .. }) = waiter.call() else { return };
        let counters = self.world.shard_counters(self.index);
        counters.command(found.id).calls.add(1);
        counters.processed.add(1);
        if let Some(error) = &error {
            counters.command(found.id).failed.add(1);
            counters.error(error.code());
        }
        if !caller.silent {
            let mut reply = Reply::new(&mut conn.out, conn.session.proto);
            match error {
                Some(error) => reply.error(error.text()),
                None => reply.null_array(),
            }
        }
        self.proceed(id);
    }

    /// Takes those who wait no more out of the lines of their stores.
    pub(crate) fn forget_waiters(&mut self) {
        while let Some((id, waiters)) = self.waits.leaving.pop_first() {
            match self.world.doors.take(id) {
                Some(mut store) => {
                    waiters.iter().for_each(|waiter| store.forget(waiter));
                    self.put_back(SmallVec::from_iter([(id, store)]));
                }
                None => self.leave_task(&[id], Job::Forget(waiters)),
            }
        }
        self.work_off();
    }

    /// Leaves a task of this shard itself at the doors of stores.
    pub(crate) fn leave_task(&mut self, stores: &[StoreId], job: Job) {
        let mut batch = self.new_batch();
        batch.items.push(Item::new(job, Caller::nobody(), StoreSet::None));
        self.outstanding.insert(batch.number);
        let ready = match stores {
            [store] => self.world.doors.enter(*store, batch),
            stores => self.world.doors.enter_all(stores, batch),
        };
        self.ready.extend(ready);
    }

    /// A batch of this shard.
    pub(crate) fn new_batch(&mut self) -> Box<Batch> {
        let mut batch = self.pool.pop().unwrap_or_default();
        batch.origin = self.index;
        batch.now_ms = self.now.unix_ms();
        batch.number = self.batches;
        self.batches += 1;
        batch
    }

    /// Sees to what a holding has gathered, before its stores are put back.
    #[inline]
    pub(crate) fn see_to_waiters(&mut self) {
        if !self.after.served.is_empty() || !self.after.deferred.is_empty() {
            self.tell_served();
        }
    }

    #[cold]
    fn tell_served(&mut self) {
        for served in std::mem::take(&mut self.after.served) {
            if served.home == self.index {
                self.served(served);
            } else {
                self.world.post(served.home, Mail::Served(Box::new(served)));
            }
        }
        for waiter in std::mem::take(&mut self.after.deferred) {
            if let Some(parked) = waiter.call::<Parked>() {
                self.leave_task(&parked.stores, Job::Serve(Arc::clone(&waiter)));
            }
        }
    }
}
