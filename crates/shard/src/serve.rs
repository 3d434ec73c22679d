//! Serving those who wait for keys, by whoever holds the stores.
//!
//! A command that finds nothing leaves a [`Waiter`] in its stores. Whoever changes one of the
//! keys runs it again before the stores are put back, first come first served. A waiter whose
//! attempt needs stores that are out keeps its place, and nobody behind it in its line is served,
//! until a batch over all its stores has its turn.

use crate::door::{Boxes, StoreId};
use crate::run::{Runner, context, time};
use crate::service::ConnId;
use crate::work::Caller;
use kevy_command::blocking::AttemptFn;
use kevy_command::{Args, Attempt, CommandList, Error, Found, Output, Reply, Run, Wait, attempt};
use kevy_keyspace::{Changes, Claimed, Keyspace, Store, WaitedKey, Waiter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The call of a [`Waiter`].
pub(crate) struct Parked {
    pub(crate) found: Found,
    pub(crate) caller: Caller,
    /// The shard of its client.
    pub(crate) home: usize,
    /// How long it waits, in ms; 0: for ever.
    pub(crate) timeout_ms: u64,
    /// Its one command.
    list: CommandList,
    /// All its stores, ascending.
    pub(crate) stores: Box<[StoreId]>,
    /// Its attempt needs all of them.
    whole: bool,
    /// A batch over all of them is on its way.
    deferred: AtomicBool,
}

/// The reply for a client that waited.
#[derive(Debug)]
pub struct Served {
    pub(crate) home: usize,
    pub(crate) conn: ConnId,
    pub(crate) ticket: u64,
    pub(crate) out: Output,
}

/// What a holding gathers, to be seen to before its stores are put back.
pub(crate) struct Aftermath {
    pub(crate) changes: Changes,
    pub(crate) served: Vec<Served>,
    /// Waiters that need a batch over all their stores.
    pub(crate) deferred: Vec<Arc<Waiter>>,
    /// An empty store, in the place of those not held.
    nowhere: Store,
}

impl Aftermath {
    pub(crate) fn new(databases: usize) -> Self {
        Self {
            changes: Changes::new(),
            served: Vec::new(),
            deferred: Vec::new(),
            nowhere: Store::new(StoreId::MAX, databases),
        }
    }
}

/// What has become of a waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    /// It was served, or was over before, or there was nothing for it: the next one's turn.
    Next,
    /// It has to be served before those behind it, and is not yet.
    Halt,
}

impl Runner<'_> {
    /// Tries a command that may wait. Who finds nothing is entered among the waiters, and its
    /// reply will come later.
    pub(crate) fn block(
        &mut self,
        run: AttemptFn,
        found: Found,
        args: Args<'_>,
        caller: Caller,
        boxes: &mut Boxes<Store>,
        out: &mut Output,
    ) -> Option<Arc<Waiter>> {
        self.start(found.id);
        let begin = out.mark();
        let mut reply = Reply::new(out, caller.proto);
        let wait = match attempt(run, &mut self.keyspace(caller, boxes), args, &mut reply) {
            Ok(Attempt::Nothing(wait)) => wait,
            Ok(Attempt::Done(effect)) => {
                self.commit(found, Ok(effect));
                return None;
            }
            Err(error) => {
                self.commit(found, Err(error));
                return None;
            }
        };
        out.rewind(begin);
        let Some(waiter) = self.waiter(found, wait, &args, caller) else {
            let error = Error::OUT_OF_MEMORY;
            Reply::new(out, caller.proto).error(error.text());
            self.commit(found, Err(error));
            return None;
        };
        boxes.iter_mut().for_each(|(_, store)| store.wait(&waiter));
        Some(waiter)
    }

    /// Makes the waiter of a call; none if the call is too long to be kept.
    fn waiter(
        &mut self,
        found: Found,
        wait: Wait,
        args: &Args<'_>,
        caller: Caller,
    ) -> Option<Arc<Waiter>> {
        self.record(wait.effect);
        let mut list = CommandList::new();
        match wait.again {
            Some(again) => list = *again,
            None if list.push_args(args) => {}
            None => return None,
        }
        let placed = |at: usize| args.key_at(at);
        let waited =
            |key: kevy_keyspace::Key<'_>| WaitedKey { store: key.store, bytes: key.bytes.into() };
        let keys = wait.keys.filter_map(placed).map(waited).collect();
        let mut stores = Vec::new();
        found.row.each_key(args, |at, _| stores.extend(placed(at).map(|key| key.store)));
        stores.sort_unstable();
        stores.dedup();
        let parked = Parked {
            found,
            caller,
            home: self.home,
            timeout_ms: wait.timeout_ms,
            list,
            stores: stores.into(),
            whole: wait.whole,
            deferred: AtomicBool::new(false),
        };
        let ticket = self.world.next_ticket();
        let call = Box::new(parked);
        Some(Arc::new(Waiter::new(ticket, caller.db, wait.kind, wait.loss, keys, call)))
    }

    /// Looks through the lines of the keys that have changed and for which somebody waits.
    #[cold]
    pub(crate) fn serve(&mut self, boxes: &mut Boxes<Store>) {
        loop {
            let ready = boxes.iter_mut().find_map(|(id, store)| Some((*id, store.take_ready()?)));
            let Some((store, (db, key))) = ready else { return };
            self.serve_line(boxes, store, db, &key);
        }
    }

    fn serve_line(&mut self, boxes: &mut Boxes<Store>, id: StoreId, db: usize, key: &[u8]) {
        let key = self.world.placement.key(key);
        let mut from = 0;
        loop {
            let Ok(at) = boxes.binary_search_by_key(&id, |held| held.0) else { return };
            let store = &boxes[at].1;
            let Some(waiter) = store.next_waiter(db, &key, from, self.now_ms) else { return };
            from = waiter.ticket() + 1;
            if self.serve_waiter(boxes, &waiter) == Service::Halt {
                return;
            }
        }
    }

    fn serve_waiter(&mut self, boxes: &mut Boxes<Store>, waiter: &Arc<Waiter>) -> Service {
        let Some(parked) = waiter.call::<Parked>() else { return Service::Next };
        if parked.deferred.load(Ordering::Acquire) {
            return Service::Halt;
        }
        if parked.whole && !self.gather(boxes, &parked.stores) {
            self.defer(waiter, parked);
            return Service::Halt;
        }
        match waiter.claim() {
            Claimed::Yes => {}
            Claimed::TooLate => return Service::Next,
            Claimed::Elsewhere => return Service::Halt,
        }
        let mut out = Output::new();
        let news = if self.retry(parked, boxes, &mut out) {
            let news = waiter.finish();
            boxes.iter_mut().for_each(|(_, store)| store.forget(waiter));
            let Parked { home, caller: Caller { conn, .. }, .. } = *parked;
            self.after.served.push(Served { home, conn, ticket: waiter.ticket(), out });
            news
        } else {
            waiter.release()
        };
        if news {
            self.defer(waiter, parked);
        }
        Service::Next
    }

    /// Runs the attempt of a waiter once more. Whether it has its reply.
    fn retry(&mut self, parked: &Parked, boxes: &mut Boxes<Store>, out: &mut Output) -> bool {
        let Parked { found, caller, list, whole, .. } = parked;
        let Run::Blocking(run) = found.row.run else { return false };
        self.start(found.id);
        let args = list.args(0, self.world.placement);
        let mut reply = Reply::new(out, caller.proto);
        let mut keyspace =
            if *whole { self.keyspace(*caller, boxes) } else { self.partial(*caller, boxes) };
        let outcome = match attempt(run, &mut keyspace, args, &mut reply) {
            Ok(Attempt::Nothing(wait)) => {
                self.record(wait.effect);
                return false;
            }
            Ok(Attempt::Done(effect)) => Ok(effect),
            Err(error) => Err(error),
        };
        self.commit(*found, outcome);
        if caller.silent {
            out.clear();
        }
        true
    }

    /// A keyspace of the stores held, in which nothing is found of others.
    fn partial<'k>(&'k mut self, caller: Caller, boxes: &'k mut Boxes<Store>) -> Keyspace<'k> {
        let Aftermath { changes, nowhere, .. } = &mut *self.after;
        let context = context(self.settings, self.world, self.now_ms, caller, changes);
        Keyspace::partial(boxes, nowhere, context)
    }

    /// Takes those of `stores` that are not held, if they lie at their doors. Whether all are
    /// held then. They are put back with the others.
    fn gather(&mut self, boxes: &mut Boxes<Store>, stores: &[StoreId]) -> bool {
        for &id in stores {
            let Err(at) = boxes.binary_search_by_key(&id, |held| held.0) else { continue };
            let Some(store) = self.world.doors.take(id) else { return false };
            boxes.insert(at, (id, store));
            self.gathered.push(id);
            self.now_ms = time(boxes, self.now_ms);
        }
        true
    }

    /// Asks for a batch over all stores of a waiter.
    fn defer(&mut self, waiter: &Arc<Waiter>, parked: &Parked) {
        if !parked.deferred.swap(true, Ordering::AcqRel) {
            self.after.deferred.push(Arc::clone(waiter));
        }
    }

    /// The batch over all stores of a waiter has its turn: its lines are looked through.
    pub(crate) fn serve_deferred(&mut self, waiter: &Waiter, boxes: &mut Boxes<Store>) {
        if let Some(parked) = waiter.call::<Parked>() {
            parked.deferred.store(false, Ordering::Release);
        }
        boxes.iter_mut().for_each(|(_, store)| store.note_ready(waiter));
        self.serve(boxes);
    }
}
