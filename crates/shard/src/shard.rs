//! The turn of a shard.

use crate::blocked::Waits;
use crate::conn::{Conns, Lane};
use crate::credit::Credit;
use crate::door::{Boxes, Ready};
use crate::round::Round;
use crate::run::{Meter, Runner};
use crate::serve::Aftermath;
use crate::service::{Action, ConnId, Event, Now, Peer, PeerAddress, Service, Wait};
use crate::work::Batch;
use crate::world::{Commands, Mail, Paused, World};
use kevy_command::session::Origin;
use kevy_command::{Client, Output, Session, Settings};
use kevy_data::Blob;
use kevy_keyspace::Store;
use smallvec::SmallVec;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Commands that a turn admits; more stay buffered for the next. Less than a millisecond of work.
pub(crate) const TURN_ITEMS: usize = 2048;

/// Commands that a round plans together.
const ROUND_ITEMS: usize = 1024;

/// Last words to a client of another machine in protected mode.
const PROTECTED: &str = "-DENIED The server is in protected mode: no password is set, so only \
    clients of the same machine are served. To serve others, set one with 'requirepass', or, if \
    the network is trusted, set 'protected-mode no', by CONFIG SET from the same machine or in the \
    configuration file.\r\n";

/// One core of the server, without I/O.
pub struct Shard<C: Commands> {
    pub(crate) index: usize,
    pub(crate) world: Arc<World>,
    pub(crate) commands: Arc<C>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) settings_version: u64,
    pub(crate) now: Now,
    pub(crate) conns: Conns,
    pub(crate) round: Round,
    pub(crate) after: Aftermath,
    pub(crate) waits: Waits,
    /// Connections with buffered input that may go on.
    pub(crate) again: VecDeque<ConnId>,
    /// Connections that `CLIENT PAUSE` holds back.
    pub(crate) paused: Vec<ConnId>,
    /// What was suspended when the last of them was held back.
    pub(crate) pause_seen: Paused,
    /// Commands admitted in this turn.
    pub(crate) spent: usize,
    pub(crate) actions: Vec<Action>,
    pub(crate) mail: Vec<Mail>,
    /// Work that this shard has to run, with its stores.
    pub(crate) ready: VecDeque<Ready<Store, Batch>>,
    #[expect(clippy::vec_box, reason = "batches travel in their boxes: only these are moved")]
    pub(crate) pool: Vec<Box<Batch>>,
    pub(crate) batches: u64,
    /// Own batches that have not come home.
    pub(crate) outstanding: BTreeSet<u64>,
    /// Barriers asked for by others: the first batch they need not wait for, who asks, and for whom.
    pub(crate) barriers: Vec<(u64, usize, ConnId)>,
    /// The memory in use is above `maxmemory`.
    pub(crate) full: bool,
    pub(crate) drained: bool,
    /// When the graceful shutdown was noticed, in ns of the monotonic clock.
    pub(crate) stopping_since: Option<u64>,
    pub(crate) tick: crate::tick::Tick,
    /// Whether looking again for stores that are out pays.
    pub(crate) credit: Credit,
}

impl<C: Commands> Shard<C> {
    /// The shard `index` of a world.
    #[must_use]
    pub fn new(index: usize, world: Arc<World>, commands: Arc<C>) -> Self {
        let settings = world.settings();
        let stores = world.stores();
        let databases = settings.databases;
        Self {
            index,
            settings_version: world.settings_version(),
            settings,
            commands,
            now: Now::default(),
            conns: Conns::default(),
            round: Round::new(stores),
            after: Aftermath::new(databases),
            waits: Waits::default(),
            again: VecDeque::new(),
            paused: Vec::new(),
            pause_seen: Paused::Nothing,
            spent: 0,
            actions: Vec::new(),
            mail: Vec::new(),
            ready: VecDeque::new(),
            pool: Vec::new(),
            batches: 0,
            outstanding: BTreeSet::new(),
            barriers: Vec::new(),
            full: false,
            drained: false,
            stopping_since: None,
            tick: crate::tick::Tick::default(),
            credit: Credit::default(),
            world,
        }
    }

    /// Connections of this shard.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    fn begin_turn(&mut self, now: &Now) {
        self.now = *now;
        self.spent = 0;
        self.refresh_settings();
        let limit = self.settings.max_memory;
        self.full = limit > 0 && self.world.used_memory() > limit;
        self.world.shard_counters(self.index).turns.add(1);
    }

    /// Goes on with buffered input, whoever has waited longest first, as far as the turn allows.
    fn go_on_with_all(&mut self) {
        loop {
            while self.spent < TURN_ITEMS
                && self.round.items.len() < ROUND_ITEMS
                && let Some(id) = self.again.pop_front()
            {
                self.go_on(id);
            }
            if self.round.is_empty() {
                return;
            }
            self.run_round(&[]);
        }
    }

    pub(crate) fn refresh_settings(&mut self) {
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
                Mail::Served(served) => self.served(*served),
                Mail::Unblock { conn, ticket, error } => self.unblocked(conn, ticket, error),
                Mail::Look => {}
            }
        }
        self.mail = mail;
        self.answer_barriers();
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
        // Connections come before the turn that would see new settings: a new password holds for
        // them.
        self.refresh_settings();
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
            if self.round.items.len() >= ROUND_ITEMS {
                self.run_round(events);
            }
        }
        self.run_round(events);
        self.work_off();
        self.end_pause();
        self.time_out();
        self.go_on_with_all();
        self.answer_barriers();
        self.run_tick();
        self.forget_waiters();
        self.wind_up();
    }

    fn actions(&mut self, out: &mut Vec<Action>) {
        out.append(&mut self.actions);
    }

    fn take_output(&mut self, conn: ConnId, out: &mut Output) {
        let Some(conn) = self.conns.get(conn) else { return };
        std::mem::swap(&mut conn.out, out);
        conn.unsent += out.len();
        conn.send_noted = false;
        count(&conn.session.client.sent, out.len());
        self.world.shard_counters(self.index).sent.add(out.len() as u64);
    }

    fn closed(&mut self, id: ConnId) {
        // Batches of it that are still under way find nobody and are forgotten; what they did
        // stays done.
        self.stop_waiting(id);
        if let Some(mut conn) = self.conns.remove(id) {
            if let Lane::Waiting(pending) = &conn.lane
                && let Some(waiter) = &pending.waiter
            {
                self.abandon(waiter);
            }
            self.world.remove_client(conn.session.client.id);
            self.release_watches(&mut conn.session);
        }
        self.forget_waiters();
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

pub(crate) fn runner<'a, C: Commands>(
    world: &'a World,
    commands: &'a C,
    settings: &'a Settings,
    index: usize,
    now: &Now,
    after: &'a mut Aftermath,
    full: bool,
) -> Runner<'a> {
    Runner {
        world,
        table: commands.table(),
        host: commands.host(),
        settings,
        counters: world.shard_counters(index),
        shard: index,
        full,
        now_ms: now.unix_ms(),
        now_us: now.unix_us,
        home: index,
        after,
        gathered: SmallVec::new(),
        meter: Meter::default(),
    }
}

/// Adds to a number that only this thread writes.
pub(crate) fn count(number: &AtomicU64, more: usize) {
    number.store(number.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
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
