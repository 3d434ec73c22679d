//! The turn of a shard.

use crate::admit;
use crate::conn::{Conn, Conns, Lane, Life, Pending, Slot};
use crate::door::{Boxes, Ready};
use crate::round::{Chunk, ItemRef, Round, Source, Why};
use crate::run::{Meter, Runner, publish, stores_of, time, version};
use crate::service::{Action, ConnId, Event, Now, Peer, PeerAddress, Service, Wait};
use crate::work::{Batch, Caller, Item, Job, StoreSet};
use crate::world::{Commands, Mail, Moment, Paused, World};
use kevy_command::session::{ClientFlags, Origin};
use kevy_command::{Client, Multi, Output, Session, Settings};
use kevy_data::Blob;
use kevy_keyspace::{Changes, Store};
use kevy_resp::{Mark, Proto};
use smallvec::SmallVec;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many commands are prefetched together: enough to overlap the misses of main memory, few
/// enough for their lines to stay in the first-level cache.
const PREFETCH: usize = 16;

/// Commands that a shard runs on one store before it looks who else waits for it: some 50 µs.
const HOLDING: usize = 128;

/// Commands of others that a shard runs in a row before it hands a store over.
const BUDGET: usize = 256;

/// Commands of its own clients in one turn; more stay buffered for the next.
const TURN_ITEMS: usize = 4096;

/// How long a graceful shutdown waits for clients to read their replies, in ns.
const LINGER_NS: u64 = 1_000_000_000;

/// Batches kept for reuse.
const POOL: usize = 64;

/// Unread output beyond which a client that has not authenticated is closed, in bytes.
const UNAUTHENTICATED_OUTPUT: usize = 64 << 10;

/// Unexecuted input of a client that waits beyond which no more is received, in bytes.
const WAITING_INPUT: usize = 1 << 20;

/// Last words to a client of another machine in protected mode.
const PROTECTED: &str = "-DENIED The server is in protected mode: no password is set, so only \
    clients of the same machine are served. To serve others, set one with 'requirepass', or, if \
    the network is trusted, set 'protected-mode no', by CONFIG SET from the same machine or in the \
    configuration file.\r\n";

/// One core of the server, without I/O.
pub struct Shard<C: Commands> {
    pub(crate) index: usize,
    pub(crate) world: Arc<World>,
    commands: Arc<C>,
    pub(crate) settings: Arc<Settings>,
    settings_version: u64,
    pub(crate) now: Now,
    pub(crate) conns: Conns,
    round: Round,
    changes: Changes,
    /// Connections with buffered input that may go on.
    again: Vec<ConnId>,
    /// Connections that `CLIENT PAUSE` holds back.
    paused: Vec<ConnId>,
    actions: Vec<Action>,
    mail: Vec<Mail>,
    /// Work that this shard has to run, with its stores.
    ready: VecDeque<Ready<Store, Batch>>,
    #[expect(clippy::vec_box, reason = "batches travel in their boxes: only these are moved")]
    pool: Vec<Box<Batch>>,
    batches: u64,
    /// Own batches that have not come home.
    outstanding: BTreeSet<u64>,
    /// Barriers asked for by others: the first batch they need not wait for, who asks, and for whom.
    barriers: Vec<(u64, usize, ConnId)>,
    drained: bool,
    /// When the graceful shutdown was noticed, in ns of the monotonic clock.
    stopping_since: Option<u64>,
    pub(crate) tick: crate::tick::Tick,
}

impl<C: Commands> Shard<C> {
    /// The shard `index` of a world.
    #[must_use]
    pub fn new(index: usize, world: Arc<World>, commands: Arc<C>) -> Self {
        let settings = world.settings();
        let stores = world.stores();
        Self {
            index,
            settings_version: world.settings_version(),
            settings,
            commands,
            now: Now::default(),
            conns: Conns::default(),
            round: Round::new(stores),
            changes: Changes::new(),
            again: Vec::new(),
            paused: Vec::new(),
            actions: Vec::new(),
            mail: Vec::new(),
            ready: VecDeque::new(),
            pool: Vec::new(),
            batches: 0,
            outstanding: BTreeSet::new(),
            barriers: Vec::new(),
            drained: false,
            stopping_since: None,
            tick: crate::tick::Tick::default(),
            world,
        }
    }

    /// Connections of this shard.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    // What arrives.

    fn begin_turn(&mut self, now: &Now) {
        self.now = *now;
        self.refresh_settings();
        self.world.shard_counters(self.index).turns.add(1);
    }

    fn refresh_settings(&mut self) {
        let version = self.world.settings_version();
        if version != self.settings_version {
            self.settings_version = version;
            self.settings = self.world.settings();
        }
    }

    fn read_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        self.world.inbox(self.index).take(&mut mail);
        for mail in mail.drain(..) {
            match mail {
                Mail::Done(batch) => self.bring_home(batch),
                Mail::Run(ready) => {
                    self.ready.push_back(ready);
                    self.work_off();
                }
                Mail::Barrier { from, conn } => {
                    // What was published before the question is in force after the answer.
                    self.refresh_settings();
                    self.barriers.push((self.batches, from, conn));
                }
                Mail::Passed(conn) => self.passed(conn),
                Mail::Kill(client) => self.kill(client),
                Mail::Look => {}
            }
        }
        self.mail = mail;
        self.answer_barriers();
    }

    fn received(&mut self, events: &[Event<'_>], at: usize, id: ConnId, bytes: &[u8]) {
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
    fn check_input(&mut self, id: ConnId) {
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

    fn ended(&mut self, events: &[Event<'_>], id: ConnId) {
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

    fn sent(&mut self, id: ConnId, sent: usize) {
        self.world.shard_counters(self.index).sent.add(sent as u64);
        if let Some(conn) = self.conns.get(id) {
            conn.unsent = conn.unsent.saturating_sub(sent);
            let client = &conn.session.client;
            count(&client.sent, sent);
            client.output.store((conn.out.len() + conn.unsent) as u64, Ordering::Relaxed);
            if conn.out.len() + conn.unsent <= self.settings.output_soft_limit {
                conn.over_soft_since = None;
            }
        }
    }

    // The round.

    /// Reads the next commands of a connection into the round.
    fn admit(&mut self, id: ConnId, source: Source, bytes: &[u8], from: usize) {
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
        );
        let (consumed, why) =
            admit::admit(&mut runner, conn, &mut self.round, bytes, from, paused);
        runner.stop();
        self.round.end(consumed, why, ordered);
        note_activity(conn, &self.round, &self.now);
    }

    /// Goes on with the buffered input of a connection.
    fn go_on(&mut self, id: ConnId) {
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

    /// Runs the plan of the round and delivers what can be delivered.
    fn run_round(&mut self, events: &[Event<'_>]) {
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
            self.run_group(events, &joint.stores, &joint.items);
            joint.items.clear();
            self.round.joints[at] = joint;
        }
        self.deliver();
    }

    /// Runs items that need exactly `stores`, or leaves them at the doors.
    fn run_group(&mut self, events: &[Event<'_>], stores: &[u32], items: &[ItemRef]) {
        self.world.moment(self.index, Moment::BeforeTake);
        let taken = match stores {
            [store] => self
                .world
                .doors
                .take(*store)
                .map(|box_| SmallVec::from_iter([(*store, box_)])),
            stores => self.world.doors.take_all(stores),
        };
        match taken {
            Some(boxes) => self.run_here(events, boxes, items),
            None => self.leave(events, stores, items),
        }
        // Whoever waited for the stores goes on now, not when the round is over.
        self.work_off();
    }

    /// Runs items with their stores held.
    fn run_here(&mut self, events: &[Event<'_>], mut boxes: Boxes<Store>, items: &[ItemRef]) {
        self.world.moment(self.index, Moment::Taken);
        let Self { round, conns, world, commands, settings, changes, index, now, .. } = self;
        let mut runner = runner(world, &**commands, settings, *index, now, changes);
        runner.now_ms = time(&mut boxes, runner.now_ms);
        for window in items.chunks(PREFETCH) {
            prefetch(&boxes, window.iter().map(|at| &round.items[at.item as usize]), round);
            for at in window {
                run_item(&mut runner, round, conns, events, *at, &mut boxes);
            }
        }
        runner.stop();
        self.put_back(boxes);
    }

    /// Leaves items at the doors of their stores, with copies of their arguments.
    fn leave(&mut self, events: &[Event<'_>], stores: &[u32], items: &[ItemRef]) {
        let mut batch = self.pool.pop().unwrap_or_default();
        batch.origin = self.index;
        batch.now_ms = self.now.unix_ms();
        batch.number = self.batches;
        self.batches += 1;
        for &at in items {
            let item = self.round.take(at);
            let chunk = &mut self.round.chunks[at.chunk as usize];
            batch.note_part(chunk.conn, item.component);
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
    fn put_back(&mut self, boxes: Boxes<Store>) {
        self.world.moment(self.index, Moment::BeforePut);
        for (id, mut store) in boxes {
            publish(&self.world, id, &mut store, self.now.unix_ms());
            self.ready.extend(self.world.doors.put(id, store));
            self.world.moment(self.index, Moment::Put);
        }
    }

    /// Runs the work that has become ready, whoever's it is, within a budget; beyond that, and
    /// where the work needs the sessions of its clients, it goes to its own shard.
    fn work_off(&mut self) {
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

    fn run_batch(&mut self, ready: Ready<Store, Batch>) {
        let Ready { mut boxes, mut batch } = ready;
        self.world.moment(self.index, Moment::Taken);
        let Self { conns, world, commands, settings, changes, index, now, .. } = self;
        let mut runner = runner(world, &**commands, settings, *index, now, changes);
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
                runner.run(item, material, bytes, &mut boxes, session, out);
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
        self.put_back(boxes);
    }

    /// Hands out the replies of the round.
    fn deliver(&mut self) {
        let mut chunks = std::mem::take(&mut self.round.chunks);
        for chunk in chunks.drain(..) {
            self.finish_chunk(chunk);
        }
        self.round.chunks = chunks;
        self.round.clear();
    }

    fn finish_chunk(&mut self, mut chunk: Chunk) {
        let id = chunk.conn;
        let Some(conn) = self.conns.get(id) else { return };
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
            conn.lane = Lane::Waiting(Box::new(pending(&chunk, &self.round)));
            self.check_input(id);
            return;
        }
        let end = chunk.end;
        emit_before(&mut chunk, &self.round.items, &self.round.scratch, conn, end);
        self.after_chunk(id, chunk.why);
    }

    /// All commands of a chunk have run and their replies are in the output.
    fn after_chunk(&mut self, id: ConnId, why: Why) {
        let Some(conn) = self.conns.get(id) else { return };
        match why {
            Why::Drained => {
                if conn.life == Life::Ending {
                    return self.close(id);
                }
            }
            Why::GoOn => self.again.push(id),
            Why::Paused => {
                conn.lane = Lane::Paused;
                self.paused.push(id);
            }
            Why::Barrier => self.ask_barrier(id),
            Why::Closed => return self.close(id),
        }
        self.note_output(id);
    }

    /// A batch of this shard's clients has run.
    fn bring_home(&mut self, mut batch: Box<Batch>) {
        self.outstanding.remove(&batch.number);
        let mut first = 0;
        for at in 0..batch.parts.len() {
            let part = batch.parts[at];
            let items = &batch.items[first..first + part.count as usize];
            first += part.count as usize;
            let Some(conn) = self.conns.get(part.conn) else { continue };
            // A chunk that is still being planned or run gets its reply there.
            if conn.in_round {
                let replies = items.iter().map(|item| item.reply);
                self.round_reply(part.conn, part.component, &batch.out, replies);
                continue;
            }
            let Lane::Waiting(pending) = &mut conn.lane else { continue };
            pending.file(part.component, &batch.out, items.iter().map(|item| item.reply));
            if pending.missing == 0 {
                self.resume(part.conn);
            }
        }
        if batch.recycle() && self.pool.len() < POOL {
            self.pool.push(batch);
        }
    }

    /// Files replies for a chunk of the round that has not been delivered yet.
    fn round_reply(
        &mut self,
        id: ConnId,
        component: u32,
        from: &Output,
        replies: impl Iterator<Item = (Mark, Mark)>,
    ) {
        let Some(chunk) = self.round.chunks.iter_mut().find(|chunk| chunk.conn == id) else {
            return;
        };
        chunk.missing -= 1;
        let items = self.round.items[chunk.emitted..chunk.end].iter_mut();
        let mine = items.filter(|item| item.is_away() && item.component == component);
        for (item, (begin, mark)) in mine.zip(replies) {
            let here = self.round.scratch.mark();
            self.round.scratch.append_range(from, begin, mark);
            item.reply = (here, self.round.scratch.mark());
            item.stores = StoreSet::None;
        }
    }

    /// All replies of a waiting chunk are there.
    fn resume(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let Lane::Waiting(pending) = std::mem::replace(&mut conn.lane, Lane::Ready) else { return };
        let Conn { out, life, .. } = conn;
        pending.deliver(out);
        match life {
            Life::Aborted => return,
            Life::Closing => {}
            Life::Open | Life::Ending => self.again.push(id),
        }
        if pending.why == Why::Drained {
            self.note_output(id);
        } else {
            self.again.retain(|other| *other != id);
            self.after_chunk(id, pending.why);
        }
    }

    // Barriers.

    /// Holds the output of a connection back until all shards have passed this moment.
    fn ask_barrier(&mut self, id: ConnId) {
        let shards = self.world.shards();
        let Some(conn) = self.conns.get(id) else { return };
        let reply = Box::new(std::mem::take(&mut conn.out));
        conn.lane = Lane::Barrier { missing: shards, reply };
        for shard in 0..shards {
            let mail = Mail::Barrier { from: self.index, conn: id };
            if shard == self.index {
                self.barriers.push((self.batches, shard, id));
            } else {
                self.world.post(shard, mail);
            }
        }
    }

    fn answer_barriers(&mut self) {
        let oldest = self.outstanding.first().copied().unwrap_or(u64::MAX);
        let mut at = 0;
        while let Some(&(until, from, conn)) = self.barriers.get(at) {
            if oldest < until {
                at += 1;
                continue;
            }
            self.barriers.remove(at);
            if from == self.index {
                self.passed(conn);
            } else {
                self.world.post(from, Mail::Passed(conn));
            }
        }
    }

    fn passed(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let Lane::Barrier { missing, reply } = &mut conn.lane else { return };
        *missing -= 1;
        if *missing > 0 {
            return;
        }
        let mut whole = std::mem::take(&mut **reply);
        whole.append(&mut conn.out);
        conn.out = whole;
        conn.lane = Lane::Ready;
        self.again.push(id);
        self.note_output(id);
    }

    // Output and ends.

    /// The output of a connection may have grown: tells the driver, and looks at the limits.
    fn note_output(&mut self, id: ConnId) {
        let now = self.now.mono_ns;
        let Some(conn) = self.conns.get(id) else { return };
        if conn.life == Life::Aborted {
            return;
        }
        if conn.receive_paused && matches!(conn.lane, Lane::Ready) {
            conn.receive_paused = false;
            self.actions.push(Action::ResumeReceive(id));
        }
        if conn.out.is_empty() {
            return;
        }
        let held = conn.out.len() + conn.unsent;
        let over = |limit: usize| limit > 0 && held > limit;
        let soft = if over(self.settings.output_soft_limit) {
            let since = *conn.over_soft_since.get_or_insert(now);
            now.saturating_sub(since) > self.settings.output_soft_seconds * 1_000_000_000
        } else {
            false
        };
        let unknown = !conn.session.authenticated && held > UNAUTHENTICATED_OUTPUT;
        conn.session.client.output.store(held as u64, Ordering::Relaxed);
        if over(self.settings.output_hard_limit) || soft || unknown {
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
        }
    }

    fn kill(&mut self, client: u64) {
        let found = self.conns.iter_mut().find(|conn| conn.session.client.id == client);
        if let Some(id) = found.map(|conn| conn.id) {
            self.abort(id);
        }
    }

    /// Tells the stores that keys are no longer watched.
    fn release_watches(&mut self, session: &mut Session) {
        session.unwatch();
        if session.unwatched.is_empty() {
            return;
        }
        let stores = stores_of(&self.world, session.unwatched.iter());
        let caller = Caller {
            client: session.client.id,
            db: 0,
            proto: Proto::Resp2,
            no_touch: true,
            silent: true,
        };
        let mut batch = self.pool.pop().unwrap_or_default();
        batch.origin = self.index;
        batch.now_ms = self.now.unix_ms();
        batch.number = self.batches;
        self.batches += 1;
        batch.items.push(Item::new(Job::Unwatch, caller, StoreSet::None));
        self.outstanding.insert(batch.number);
        let ready = match stores[..] {
            [store] => self.world.doors.enter(store, batch),
            _ => self.world.doors.enter_all(&stores, batch),
        };
        self.ready.extend(ready);
        self.work_off();
    }

    /// Lets those go on that a pause has held back.
    fn end_pause(&mut self) {
        if self.paused.is_empty() || self.world.paused(self.now.unix_ms()) == Paused::All {
            return;
        }
        for id in std::mem::take(&mut self.paused) {
            if let Some(conn) = self.conns.get(id)
                && matches!(conn.lane, Lane::Paused)
            {
                conn.lane = Lane::Ready;
                self.again.push(id);
            }
        }
    }

    /// Whether nothing of this shard is under way any more.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.outstanding.is_empty()
            && self.again.is_empty()
            && self.ready.is_empty()
            && self.barriers.is_empty()
            && self.actions.is_empty()
            && !self.world.inbox(self.index).is_full()
    }

    /// During a graceful shutdown: closes the connections when their replies are there, and tells
    /// the others when nothing is left.
    fn wind_up(&mut self) {
        if !self.world.stopping() {
            return;
        }
        let idle = |conn: &&mut Conn| {
            matches!(conn.life, Life::Open | Life::Ending)
                && matches!(conn.lane, Lane::Ready | Lane::Paused)
        };
        let again = &self.again;
        let ended = self.conns.iter_mut().filter(idle).map(|conn| conn.id);
        let ended: Vec<ConnId> = ended.filter(|id| !again.contains(id)).collect();
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

    pub(crate) fn tick_parts(&mut self) -> (&World, &mut Changes) {
        (&self.world, &mut self.changes)
    }

    pub(crate) fn put_back_idle(&mut self, boxes: Boxes<Store>) {
        self.put_back(boxes);
        self.work_off();
    }

    pub(crate) fn has_runnable(&self) -> bool {
        !self.again.is_empty() || !self.ready.is_empty()
    }

    pub(crate) fn has_paused(&self) -> bool {
        !self.paused.is_empty()
    }
}

impl<C: Commands> Service for Shard<C> {
    type Body = Blob;

    fn connect(&mut self, peer: Peer) -> Result<ConnId, Vec<u8>> {
        let counters = self.world.shard_counters(self.index);
        if !self.world.enter_client(self.settings.max_clients) {
            counters.refused.add(1);
            return Err(b"-ERR max number of clients reached\r\n".to_vec());
        }
        let id = self.world.next_client_id();
        let client = Arc::new(Client::new(id, origin(peer, self.index), self.now.unix_ms()));
        let open = self.settings.password.is_none();
        if self.settings.protected_mode && open && !client.is_local() {
            counters.refused.add(1);
            self.world.leave_client();
            return Err(PROTECTED.as_bytes().to_vec());
        }
        counters.connections.add(1);
        self.world.add_client(Arc::clone(&client));
        let authenticated = open;
        Ok(self.conns.insert(Session::new(client, authenticated)))
    }

    fn turn(&mut self, now: &Now, events: &[Event<'_>]) {
        self.begin_turn(now);
        self.read_mail();
        for (at, event) in events.iter().enumerate() {
            match *event {
                Event::Received(id, bytes) => self.received(events, at, id, bytes),
                Event::EndOfStream(id) => self.ended(events, id),
                Event::Failed(id) => {
                    if self.conns.get(id).is_some_and(|conn| conn.in_round) {
                        self.run_round(events);
                    }
                    self.abort(id);
                }
                Event::Sent(id, count) => self.sent(id, count),
            }
            if self.round.items.len() >= TURN_ITEMS {
                self.run_round(events);
            }
        }
        self.run_round(events);
        self.work_off();
        self.end_pause();
        let mut done = 0;
        while !self.again.is_empty() && done < TURN_ITEMS {
            for id in std::mem::take(&mut self.again) {
                self.go_on(id);
                done += self.round.chunk_len().max(1);
                if self.round.items.len() >= TURN_ITEMS {
                    self.run_round(&[]);
                }
            }
            self.run_round(&[]);
        }
        self.answer_barriers();
        self.run_tick();
        self.wind_up();
    }

    fn actions(&mut self, out: &mut Vec<Action>) {
        out.append(&mut self.actions);
    }

    fn take_output(&mut self, conn: ConnId, out: &mut Output) {
        if let Some(conn) = self.conns.get(conn) {
            std::mem::swap(&mut conn.out, out);
            conn.unsent += out.len();
            conn.send_noted = false;
        }
    }

    fn closed(&mut self, id: ConnId) {
        // Batches of it that are still under way find nobody and are forgotten; what they did
        // stays done.
        if let Some(mut conn) = self.conns.remove(id) {
            self.world.remove_client(conn.session.client.id);
            self.release_watches(&mut conn.session);
        }
    }

    fn wait(&self) -> Wait {
        if self.has_runnable() || !self.actions.is_empty() {
            return Wait::Now;
        }
        self.next_tick()
    }

    fn before_sleep(&mut self) -> bool {
        self.world.inbox(self.index).before_sleep()
    }

    fn after_sleep(&mut self) {
        self.world.inbox(self.index).after_sleep();
    }

    fn finished(&self) -> bool {
        self.world.stopping() && self.drained && self.world.all_drained()
    }
}

impl<C: Commands> std::fmt::Debug for Shard<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("index", &self.index).finish_non_exhaustive()
    }
}

fn runner<'a, C: Commands>(
    world: &'a World,
    commands: &'a C,
    settings: &'a Settings,
    index: usize,
    now: &Now,
    changes: &'a mut Changes,
) -> Runner<'a> {
    Runner {
        world,
        table: commands.table(),
        host: commands.host(),
        settings,
        counters: world.shard_counters(index),
        shard: index,
        now_ms: now.unix_ms(),
        now_us: now.unix_us,
        changes,
        meter: Meter::default(),
    }
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
        runner.run(item, &round.material, bytes, boxes, Some(session), out);
    } else {
        let item = &mut round.items[at.item as usize];
        let begin = round.scratch.mark();
        let bytes = chunk.bytes(events);
        let session = Some(&mut conn.session);
        runner.run(item, &round.material, bytes, boxes, session, &mut round.scratch);
        item.reply = (begin, round.scratch.mark());
    }
}

/// Copies replies from the scratch to the output, up to item `end`.
#[inline]
fn emit_before(chunk: &mut Chunk, items: &[Item], scratch: &Output, conn: &mut Conn, end: usize) {
    while chunk.emitted < end {
        let (begin, mark) = items[chunk.emitted].reply;
        conn.out.append_range(scratch, begin, mark);
        chunk.emitted += 1;
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

/// What remains of a chunk whose components have not all run.
fn pending(chunk: &Chunk, round: &Round) -> Pending {
    let mut pending = Pending {
        slots: Vec::with_capacity(chunk.end - chunk.emitted),
        out: Output::new(),
        missing: chunk.missing as usize,
        why: chunk.why,
    };
    for item in &round.items[chunk.emitted..chunk.end] {
        if item.is_away() {
            pending.slots.push(Slot::Component(item.component));
        } else {
            let here = pending.out.mark();
            pending.out.append_range(&round.scratch, item.reply.0, item.reply.1);
            pending.slots.push(Slot::Here(here, pending.out.mark()));
        }
    }
    pending
}

/// Whether an item touches its client's session.
fn needs_home(item: &Item) -> bool {
    let Job::Transaction(_, transaction) = &item.job else { return false };
    admit::touches_session(&transaction.queue.meta)
}

/// Adds to a number that only this thread writes.
fn count(number: &AtomicU64, more: usize) {
    number.store(number.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
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

fn origin(peer: Peer, shard: usize) -> Origin {
    let (address, local_address, unix) = match peer.address {
        PeerAddress::Tcp { peer, local } => (peer.to_string(), local.to_string(), false),
        PeerAddress::Unix(path) => {
            let path = format!("{}:0", path.display());
            (path.clone(), path, true)
        }
    };
    Origin { address, local_address, fd: peer.fd, shard, unix }
}
