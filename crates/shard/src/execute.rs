//! Running the plan of a round, with the stores taken at their doors, and the work of others
//! that waits for them.

use crate::admit;
use crate::conn::{Conn, Conns};
use crate::deliver::emit_before;
use crate::door::{Boxes, Ready};
use crate::round::{ItemRef, Round};
use crate::run::{Runner, publish, time};
use crate::service::Event;
use crate::shard::{Shard, runner};
use crate::work::{Batch, Item, Job};
use crate::world::{Commands, Mail, Moment};
use kevy_keyspace::Store;

/// How many commands are prefetched together: enough to overlap the misses of main memory, few
/// enough for their lines to stay in the first-level cache.
const PREFETCH: usize = 16;

/// Commands that a shard runs on one store before it looks who else waits for it: some 20 µs.
const HOLDING: usize = 64;

/// Processor's pauses between two looks for stores that are out: together some 0.3 µs.
const PAUSES: u32 = 8;

/// Commands of others that a shard runs in a row before it hands a store over.
const BUDGET: usize = 256;

impl<C: Commands> Shard<C> {
    /// Runs the plan of the round and delivers what can be delivered.
    pub(crate) fn run_round(&mut self, events: &[Event<'_>]) {
        if self.round.is_empty() {
            return;
        }
        let stores = self.round.groups.len();
        for step in 0..stores {
            // The home store first: two shards with work for each other's stores do not meet.
            let store = (self.index + step) % stores;
            if self.round.groups[store].is_empty() {
                continue;
            }
            let mut items = std::mem::take(&mut self.round.groups[store]);
            for held in items.chunks(HOLDING) {
                self.run_group(events, &[store as u32], held);
            }
            items.clear();
            self.round.groups[store] = items;
        }
        for at in 0..self.round.joints_used() {
            let mut joint = std::mem::take(&mut self.round.joints[at]);
            let mut left = &joint.items[..];
            while !left.is_empty() {
                // Only whole components: their commands are not seen one without the other.
                let (held, rest) = left.split_at(whole_chunks(left));
                self.run_group(events, &joint.stores, held);
                left = rest;
            }
            joint.items.clear();
            self.round.joints[at] = joint;
        }
        self.deliver();
    }

    /// Runs items that need exactly `stores`, or leaves them at the doors.
    pub(crate) fn run_group(&mut self, events: &[Event<'_>], stores: &[u32], items: &[ItemRef]) {
        self.world.moment(self.index, Moment::BeforeTake);
        match self.world.doors.take_all(stores).or_else(|| self.wait_for(stores)) {
            Some(boxes) => self.run_here(events, boxes, items),
            None => self.leave(events, stores, items),
        }
        // Whoever waited for the stores goes on now, not when the round is over.
        self.work_off();
    }

    /// Looks again for stores that are out, if that is likely to spare leaving a batch: another
    /// shard holds them for microseconds only.
    fn wait_for(&mut self, stores: &[u32]) -> Option<Boxes<Store>> {
        if self.world.patience == 0 || !self.credit.worth_it() {
            return None;
        }
        let taken = (0..self.world.patience).find_map(|_| {
            // Leaves the doors' locks to those who bring the stores.
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
            self.world.doors.take_all(stores)
        });
        self.credit.learn(taken.is_some());
        taken
    }

    /// Runs items with their stores held.
    pub(crate) fn run_here(
        &mut self,
        events: &[Event<'_>],
        mut boxes: Boxes<Store>,
        items: &[ItemRef],
    ) {
        self.world.moment(self.index, Moment::Taken);
        let Self { round, conns, world, commands, settings, after, index, now, full, .. } = self;
        let mut runner = runner(world, &**commands, settings, *index, now, after, *full);
        runner.now_ms = time(&mut boxes, runner.now_ms);
        for window in items.chunks(PREFETCH) {
            prefetch(&boxes, window.iter().map(|at| &round.items[at.item as usize]), round);
            for at in window {
                run_item(&mut runner, round, conns, events, *at, &mut boxes);
            }
        }
        runner.stop();
        self.see_to_waiters();
        self.put_back(boxes);
    }

    /// Leaves items at the doors of their stores, with copies of their arguments.
    pub(crate) fn leave(&mut self, events: &[Event<'_>], stores: &[u32], items: &[ItemRef]) {
        let mut batch = self.new_batch();
        for &at in items {
            let item = self.round.take(at);
            let chunk = &mut self.round.chunks[at.chunk as usize];
            batch.note_part(chunk.conn);
            batch.home_only |= needs_home(&item);
            batch.push(item, &self.round.material, chunk.bytes(events));
        }
        // From here on the replies of these chunks must wait for each other.
        for part in &batch.parts {
            let chunks = self.round.chunks.iter_mut();
            if let Some(chunk) = { chunks }.find(|chunk| chunk.conn == part.conn) {
                chunk.missing += 1;
                chunk.direct = false;
            }
        }
        self.outstanding.insert(batch.number);
        self.world.shard_counters(self.index).queued_batches.add(1);
        self.world.moment(self.index, Moment::BeforeEnter);
        let ready = match stores {
            [store] => self.world.doors.enter(*store, batch),
            stores => self.world.doors.enter_all(stores, batch),
        };
        self.ready.extend(ready);
    }

    /// Puts stores back; what can go on then is this shard's to see to.
    pub(crate) fn put_back(&mut self, boxes: Boxes<Store>) {
        self.world.moment(self.index, Moment::BeforePut);
        for (id, mut store) in boxes {
            publish(&self.world, id, &mut store, self.now.unix_ms());
            self.ready.extend(self.world.doors.put(id, store));
            self.world.moment(self.index, Moment::Put);
        }
    }

    /// Runs the work that has become ready, whoever's it is, within a budget; beyond that, and
    /// where the work needs the sessions of its clients, it goes to its own shard.
    pub(crate) fn work_off(&mut self) {
        let mut budget = BUDGET;
        while let Some(ready) = self.ready.pop_front() {
            let batch = &ready.batch;
            let mine = batch.origin == self.index;
            if !mine && (batch.home_only || budget == 0) {
                self.world.shard_counters(self.index).handed_over.add(1);
                self.world.post(batch.origin, Mail::Run(ready));
                continue;
            }
            budget = budget.saturating_sub(batch.items.len());
            self.run_batch(ready);
        }
    }

    pub(crate) fn run_batch(&mut self, ready: Ready<Store, Batch>) {
        self.refresh_settings();
        let Ready { mut boxes, mut batch } = ready;
        self.world.moment(self.index, Moment::Taken);
        let Self { conns, world, commands, settings, after, index, now, full, .. } = self;
        let mut runner = runner(world, &**commands, settings, *index, now, after, *full);
        runner.home = batch.origin;
        let Batch { bytes, material, items, parts, out, home_only, now_ms, .. } = &mut *batch;
        runner.now_ms = time(&mut boxes, runner.now_ms.max(*now_ms));
        let mut parts = parts.iter();
        let mut part = parts.next();
        let mut left = part.map_or(0, |part| part.count);
        for first in (0..items.len()).step_by(PREFETCH) {
            let window = first..items.len().min(first + PREFETCH);
            prefetch_items(&boxes, &items[window.clone()], material);
            for item in &mut items[window] {
                while left == 0 && part.is_some() {
                    part = parts.next();
                    left = part.map_or(0, |part| part.count);
                }
                left = left.saturating_sub(1);
                let session = match part {
                    Some(part) if *home_only => conns.get(part.conn).map(|conn| &mut conn.session),
                    _ => None,
                };
                let begin = out.mark();
                item.waiter = runner.run(item, material, bytes, &mut boxes, session, out);
                item.reply = (begin, out.mark());
            }
        }
        runner.stop();
        // The replies leave before the boxes: so what comes from one store arrives in the order
        // in which it happened.
        if batch.origin == self.index {
            self.bring_home(batch);
        } else {
            self.world.post(batch.origin, Mail::Done(batch));
        }
        self.see_to_waiters();
        self.put_back(boxes);
    }
}

/// How many of the items are held together: those of whole chunks, up to the first at whose end
/// there are enough.
fn whole_chunks(items: &[ItemRef]) -> usize {
    let enough = items.len().min(HOLDING);
    let Some(last) = items.get(enough.saturating_sub(1)) else { return 0 };
    enough + items[enough..].iter().take_while(|item| item.chunk == last.chunk).count()
}

/// Runs one item of the round; its reply goes straight to the output where that is its place.
#[inline]
fn run_item(
    runner: &mut Runner<'_>,
    round: &mut Round,
    conns: &mut Conns,
    events: &[Event<'_>],
    at: ItemRef,
    boxes: &mut Boxes<Store>,
) {
    let chunk = &mut round.chunks[at.chunk as usize];
    let Some(conn) = conns.get(chunk.conn) else { return };
    if chunk.direct {
        emit_before(chunk, &round.items, &round.scratch, conn, at.item as usize);
        chunk.emitted = at.item as usize + 1;
        let item = &mut round.items[at.item as usize];
        let bytes = chunk.bytes(events);
        let Conn { session, out, .. } = conn;
        item.waiter = runner.run(item, &round.material, bytes, boxes, Some(session), out);
    } else {
        let item = &mut round.items[at.item as usize];
        let begin = round.scratch.mark();
        let bytes = chunk.bytes(events);
        let session = Some(&mut conn.session);
        item.waiter = runner.run(item, &round.material, bytes, boxes, session, &mut round.scratch);
        item.reply = (begin, round.scratch.mark());
    }
}

/// Has the processor fetch what the look-ups of the items will read.
#[inline]
fn prefetch<'a>(
    boxes: &Boxes<Store>,
    items: impl Iterator<Item = &'a Item> + Clone,
    round: &'a Round,
) {
    prefetch_keys(boxes, items, &round.material.keys);
}

fn prefetch_items(boxes: &Boxes<Store>, items: &[Item], material: &crate::work::Material) {
    prefetch_keys(boxes, items.iter(), &material.keys);
}

#[inline]
fn prefetch_keys<'a>(
    boxes: &Boxes<Store>,
    items: impl Iterator<Item = &'a Item> + Clone,
    keys: &[kevy_command::PlacedKey],
) {
    let store = |id: u32| match boxes.as_slice() {
        [(_, store)] => Some(&**store),
        stores => {
            let at = stores.binary_search_by_key(&id, |held| held.0).ok()?;
            Some(&*stores[at].1)
        }
    };
    for item in items.clone() {
        for key in item.keys.of(keys) {
            if let Some(store) = store(key.store) {
                store.prefetch(item.caller.db, key.hash);
            }
        }
    }
    for item in items {
        for key in item.keys.of(keys) {
            if let Some(store) = store(key.store) {
                store.prefetch_record(item.caller.db, key.hash);
            }
        }
    }
}

/// Whether an item touches its client's session.
fn needs_home(item: &Item) -> bool {
    let Job::Transaction(_, transaction) = &item.job else { return false };
    admit::touches_session(&transaction.queue.meta)
}
