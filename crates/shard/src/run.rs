//! Running commands over the stores that are held for them.

use crate::admit::touches_session;
use crate::counters::ShardCounters;
use crate::door::{Boxes, StoreId};
use crate::serve::Aftermath;
use crate::work::{Caller, Item, Job, Material};
use crate::world::World;
use kevy_command::session::{Transaction, WatchedKey};
use kevy_command::{
    After, Args, Call, CommandId, Effect, Found, Outcome, Output, Reply, Run, Session, Settings,
    Table, call, call_session,
};
use kevy_keyspace::{Changes, Context, Keyspace, Store, Waiter};
use smallvec::SmallVec;
use std::any::Any;
use std::sync::Arc;

/// What running needs beside the stores.
pub(crate) struct Runner<'a> {
    pub(crate) world: &'a World,
    pub(crate) table: &'a Table,
    pub(crate) host: &'a dyn Any,
    pub(crate) settings: &'a Settings,
    pub(crate) counters: &'a ShardCounters,
    pub(crate) shard: usize,
    /// The memory in use is above `maxmemory`.
    pub(crate) full: bool,
    pub(crate) now_ms: i64,
    pub(crate) now_us: i64,
    /// The shard of the client whose command runs.
    pub(crate) home: usize,
    pub(crate) after: &'a mut Aftermath,
    /// Stores taken in this holding beside those it began with, to serve clients that wait.
    pub(crate) gathered: SmallVec<[StoreId; 4]>,
    pub(crate) meter: Meter,
}

/// Measures the time of commands. Consecutive calls of one command share a measurement, so that
/// the clock is not read for each.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    running: Option<CommandId>,
    since: u64,
}

impl Runner<'_> {
    /// Runs one item over its stores; its reply goes to `out`, or comes later to the waiter.
    #[inline]
    pub(crate) fn run(
        &mut self,
        item: &Item,
        material: &Material,
        bytes: &[u8],
        boxes: &mut Boxes<Store>,
        session: Option<&mut Session>,
        out: &mut Output,
    ) -> Option<Arc<Waiter>> {
        let begin = out.mark();
        let caller = item.caller;
        let mut waiter = None;
        match &item.job {
            Job::Call(found) => {
                let args = material.args(item, bytes, self.world.placement);
                match found.row.run {
                    Run::Blocking(run) => {
                        waiter = self.block(run, *found, args, caller, boxes, out);
                    }
                    _ => self.call(*found, args, caller, boxes, out),
                }
            }
            Job::Transaction(found, transaction) => {
                self.transaction(*found, transaction, caller, boxes, session, out);
            }
            Job::Unwatch => {
                // Stores gathered to serve somebody else are not the item's.
                let own = boxes.iter_mut().filter(|(id, _)| !self.gathered.contains(id));
                own.for_each(|(_, store)| store.unwatch(caller.client));
            }
            Job::Serve(waiter) => self.serve_deferred(waiter, boxes),
            Job::Forget(waiters) => {
                for waiter in waiters {
                    boxes.iter_mut().for_each(|(_, store)| store.forget(waiter));
                }
            }
            Job::Said => {}
        }
        if caller.silent {
            out.rewind(begin);
        }
        // A transaction is served as a whole: nobody comes between its commands.
        if self.after.changes.take_woken() {
            self.serve(boxes);
        }
        waiter
    }

    /// Calls the handler of a row that runs over stores.
    #[inline]
    fn call(
        &mut self,
        found: Found,
        args: Args<'_>,
        caller: Caller,
        boxes: &mut Boxes<Store>,
        out: &mut Output,
    ) {
        self.start(found.id);
        let mut reply = Reply::new(out, caller.proto);
        let outcome = call(found, &mut self.keyspace(caller, boxes), args, &mut reply);
        self.commit(found, outcome);
    }

    /// The one place where the effects of a command leave it, for every caller.
    #[inline]
    pub(crate) fn commit(&mut self, found: Found, outcome: Outcome) {
        let counters = self.counters.command(found.id);
        counters.calls.add(1);
        match outcome {
            Ok(effect) => self.record(effect),
            Err(error) => {
                counters.failed.add(1);
                self.counters.error(error.code());
            }
        }
        self.counters.processed.add(1);
        self.after.changes.clear();
    }

    /// Records what a command did.
    #[inline]
    pub(crate) fn record(&mut self, effect: Effect) {
        if effect.changes > 0 {
            self.counters.changes.add(effect.changes.into());
        }
        // Watches were broken by the keyspace at each change; nobody else listens yet.
        self.after.changes.clear();
    }

    #[inline]
    pub(crate) fn keyspace<'k>(
        &'k mut self,
        caller: Caller,
        boxes: &'k mut Boxes<Store>,
    ) -> Keyspace<'k> {
        let changes = &mut self.after.changes;
        let context = context(self.settings, self.world, self.now_ms, caller, changes);
        match boxes.as_mut_slice() {
            [(_, store)] => Keyspace::one(store, context),
            stores => Keyspace::many(stores, context),
        }
    }

    /// Runs a transaction: all its stores are held, so nobody sees it half done.
    fn transaction(
        &mut self,
        found: Found,
        transaction: &Transaction,
        caller: Caller,
        boxes: &mut Boxes<Store>,
        mut session: Option<&mut Session>,
        out: &mut Output,
    ) {
        if session.is_none() && touches_session(&transaction.queue.meta) {
            // The client has gone and its session with it, so its commands would run in another
            // database than it selected. It gets no reply: none of them has run.
            self.release(caller, boxes);
            return;
        }
        self.start(found.id);
        self.counters.command(found.id).calls.add(1);
        self.counters.processed.add(1);
        if !transaction.watched.is_empty() && self.release(caller, boxes) {
            Reply::new(out, caller.proto).null_array();
            return;
        }
        let queue = &transaction.queue;
        Reply::new(out, caller.proto).array(queue.list.len());
        let Caller { mut proto, mut db, .. } = caller;
        for (at, queued) in queue.meta.iter().enumerate() {
            let args = queue.list.args(at, self.world.placement);
            let caller = Caller { db, proto, silent: false, ..caller };
            match (queued.found.row.run, &mut session) {
                (Run::Connection(handler) | Run::Server(handler), Some(session)) => {
                    let mut reply = Reply::new(out, proto);
                    // Whatever it asks of the runtime has no meaning inside a transaction.
                    let _ = self.call_session(handler, queued.found, session, args, &mut reply);
                    (proto, db) = (session.proto, session.db);
                }
                // See the beginning.
                (Run::Connection(_) | Run::Server(_), None) => {}
                _ => self.call(queued.found, args, caller, boxes, out),
            }
        }
    }

    /// Whether a watched key has changed; forgets the watches.
    fn release(&mut self, caller: Caller, boxes: &mut Boxes<Store>) -> bool {
        let mut keyspace = self.keyspace(caller, boxes);
        let broken = keyspace.watch_broken(caller.client);
        keyspace.unwatch(caller.client);
        broken
    }

    /// Calls a handler that needs the session and no store.
    pub(crate) fn call_session(
        &mut self,
        handler: kevy_command::row::ConnectionFn,
        found: Found,
        session: &mut Session,
        args: Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<After, ()> {
        self.start(found.id);
        let mut given = Call {
            session,
            settings: self.settings,
            table: self.table,
            host: self.host,
            shard: self.shard,
            now_ms: self.now_ms,
            now_us: self.now_us,
        };
        let outcome = call_session(handler, &mut given, args, reply);
        let after = outcome.as_ref().copied().map_err(|_| ());
        self.commit(found, outcome.map(|_| Effect::none()));
        after
    }

    /// Counts the time from now on for this command.
    #[inline]
    pub(crate) fn start(&mut self, id: CommandId) {
        if self.meter.running != Some(id) {
            self.switch(Some(id));
        }
    }

    fn switch(&mut self, next: Option<CommandId>) {
        let now = self.world.ticks();
        if let Some(id) = self.meter.running {
            let elapsed = now.saturating_sub(self.meter.since);
            self.counters.command(id).ticks.add(elapsed);
        }
        self.meter = Meter { running: next, since: now };
    }

    /// Ends the measurement under way.
    pub(crate) fn stop(&mut self) {
        if self.meter.running.is_some() {
            self.switch(None);
        }
    }
}

/// The circumstances under which a command runs.
#[inline]
pub(crate) fn context<'k>(
    settings: &'k Settings,
    world: &World,
    now_ms: i64,
    caller: Caller,
    changes: &'k mut Changes,
) -> Context<'k> {
    Context {
        db: caller.db,
        now_ms,
        client: caller.client,
        no_touch: caller.no_touch,
        lfu: settings.lfu,
        max_bulk: settings.max_bulk,
        placement: world.placement,
        limits: &settings.limits,
        changes,
    }
}

/// The time at which commands run over `boxes`: never earlier than any that used them before.
#[inline]
pub(crate) fn time(boxes: &mut Boxes<Store>, now_ms: i64) -> i64 {
    let now_ms = boxes.iter_mut().fold(now_ms, |now_ms, (_, store)| store.time(now_ms));
    if boxes.len() > 1 {
        for (_, store) in boxes {
            store.time(now_ms);
        }
    }
    now_ms
}

/// Publishes what others read of a store without taking its box.
pub(crate) fn publish(world: &World, id: StoreId, store: &mut Store, now_ms: i64) {
    let counters = world.store_counters(id);
    let stats = store.stats();
    counters.hits.set(stats.hits);
    counters.misses.set(stats.misses);
    counters.expired.set(stats.expired);
    debug_assert!(!store.has_ready(), "waiters are served before a store is put back");
    counters.waited.set(store.waited_keys() as u64);
    counters.loss_waited.set(store.loss_waited_keys() as u64);
    counters.memory_aside.set(store.memory_aside() as u64);
    for db in store.take_touched() {
        let Some(published) = counters.dbs.get(db) else { continue };
        let figures = store.figures(db, now_ms);
        published.keys.set(figures.keys as u64);
        published.volatile.set(figures.volatile as u64);
        published.average_ttl.set(u64::try_from(figures.avg_ttl_ms).unwrap_or(0));
        published.memory.set(store.memory_of(db) as u64);
    }
}

/// The stores of keys that a client watched.
pub(crate) fn stores_of<'a>(
    world: &World,
    keys: impl Iterator<Item = &'a WatchedKey>,
) -> Vec<StoreId> {
    let mut stores: Vec<StoreId> = keys.map(|w| world.placement.key(&w.key).store).collect();
    stores.sort_unstable();
    stores.dedup();
    stores
}
