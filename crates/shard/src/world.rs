//! What all shards share.

use crate::counters::{ShardCounters, StoreCounters};
use crate::door::{Doors, Ready, StoreId};
use crate::inbox::Inbox;
use crate::serve::{Parked, Served};
use crate::service::{ConnId, Wake};
use crate::work::Batch;
use crossbeam_utils::CachePadded;
use kevy_command::session::ClientFlags;
use kevy_command::{Client, Settings, Table};
use kevy_keyspace::{Cancelled, Placement, Store, Waiter};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The commands that a shard serves. A shard knows rows; which rows there are is said here.
pub trait Commands: Send + Sync + 'static {
    /// All commands.
    fn table(&self) -> &Table;

    /// What the rows of the server's own family find as [`kevy_command::Call::host`].
    fn host(&self) -> &dyn Any;
}

/// What shards tell each other.
pub enum Mail {
    /// A batch has run and brings its replies home.
    Done(Box<Batch>),
    /// Work of this shard's clients with all its stores: run it.
    Run(Ready<Store, Batch>),
    /// Answer when everything admitted so far has run.
    Barrier {
        /// The shard that asks.
        from: usize,
        /// Its connection that waits.
        conn: ConnId,
    },
    /// The answer to [`Mail::Barrier`].
    Passed(ConnId),
    /// Close this client.
    Kill(u64),
    /// A client that waited has its reply.
    Served(Box<Served>),
    /// The waiting of a client was ended by another one.
    Unblock {
        /// Its connection.
        conn: ConnId,
        /// What it waited for.
        ticket: u64,
        /// It is answered with an error.
        error: bool,
    },
    /// Something that all shards read has changed: look.
    Look,
}

/// A moment in the life of a store's box, for a driver that decides who goes on (the simulator).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// A shard is about to come for stores.
    BeforeTake,
    /// Some were out, and it is about to enter the queues.
    BeforeEnter,
    /// It holds them and has not begun.
    Taken,
    /// It has run what it wanted and still holds them.
    BeforePut,
    /// It has put one back.
    Put,
}

/// Called at the moments of a shard's holdings with the number of the shard.
pub type Hook = Box<dyn Fn(usize, Moment) + Send + Sync>;

/// How a world is made.
#[derive(Default)]
pub struct WorldOptions {
    /// Number of shards, at least 1.
    pub shards: usize,
    /// The first version of the settings.
    pub settings: Settings,
    /// Number of commands, to count them.
    pub commands: usize,
    /// Reads a cycle counter, for statistics only.
    pub ticks: Option<fn() -> u64>,
    /// How often a shard looks again for stores that it needs and does not find at their doors,
    /// before it leaves its work there and turns to other things.
    pub patience: u32,
    /// See [`Hook`].
    pub hook: Option<Hook>,
}

/// How often a waiter that somebody tries to serve is asked whether it still waits.
const UNBLOCK_TRIES: usize = 10_000;

/// What all shards share.
pub struct World {
    pub(crate) doors: Doors<Store, Batch>,
    pub(crate) placement: Placement,
    inboxes: Box<[CachePadded<Inbox<Mail>>]>,
    shard_counters: Box<[CachePadded<ShardCounters>]>,
    store_counters: Box<[CachePadded<StoreCounters>]>,
    settings: RwLock<Arc<Settings>>,
    settings_version: AtomicU64,
    clients: Mutex<BTreeMap<u64, Arc<Client>>>,
    connected: AtomicUsize,
    next_client: AtomicU64,
    next_ticket: AtomicU64,
    pause: Pause,
    stopping: AtomicBool,
    drained: AtomicUsize,
    ticks: Option<fn() -> u64>,
    pub(crate) patience: u32,
    hook: Option<Hook>,
}

/// `CLIENT PAUSE`.
#[derive(Debug, Default)]
struct Pause {
    /// Until when, in ms since the Unix epoch; 0: not at all.
    until_ms: AtomicI64,
    /// Reads wait too.
    all: AtomicBool,
}

/// What waits while clients are paused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paused {
    /// Nothing.
    Nothing,
    /// Commands that may write.
    Writes,
    /// All commands.
    All,
}

impl World {
    /// Stores, doors and inboxes for `options.shards` shards.
    #[must_use]
    pub fn new(options: WorldOptions) -> Arc<Self> {
        let shards = options.shards.max(1);
        let stores = shards.next_power_of_two() as u32;
        let databases = options.settings.databases;
        Arc::new(Self {
            doors: Doors::new((0..stores).map(|id| Store::new(id, databases))),
            placement: Placement::new(stores),
            inboxes: (0..shards).map(|_| CachePadded::new(Inbox::default())).collect(),
            shard_counters: (0..shards)
                .map(|_| CachePadded::new(ShardCounters::new(options.commands)))
                .collect(),
            store_counters: (0..stores).map(|_| StoreCounters::new(databases)).collect(),
            settings: RwLock::new(Arc::new(options.settings)),
            settings_version: AtomicU64::new(0),
            clients: Mutex::default(),
            connected: AtomicUsize::new(0),
            next_client: AtomicU64::new(1),
            next_ticket: AtomicU64::new(1),
            pause: Pause::default(),
            stopping: AtomicBool::new(false),
            drained: AtomicUsize::new(0),
            ticks: options.ticks,
            patience: options.patience,
            hook: options.hook,
        })
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.inboxes.len()
    }

    /// Number of stores.
    #[must_use]
    pub fn stores(&self) -> usize {
        self.doors.len()
    }

    /// Where keys live.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// What a shard counts.
    #[must_use]
    pub fn shard_counters(&self, shard: usize) -> &ShardCounters {
        &self.shard_counters[shard]
    }

    /// What all shards count.
    pub fn all_shard_counters(&self) -> impl Iterator<Item = &ShardCounters> {
        self.shard_counters.iter().map(|counters| &**counters)
    }

    /// What is published of all stores.
    pub fn all_store_counters(&self) -> impl Iterator<Item = &StoreCounters> {
        self.store_counters.iter().map(|counters| &**counters)
    }

    /// Bytes that the stores hold, as last published.
    #[must_use]
    pub fn used_memory(&self) -> u64 {
        self.all_store_counters().map(StoreCounters::memory).sum()
    }

    pub(crate) fn store_counters(&self, id: StoreId) -> &StoreCounters {
        &self.store_counters[id as usize]
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn settings_version(&self) -> u64 {
        self.settings_version.load(Ordering::Acquire)
    }

    /// Publishes other settings. Every shard uses them from its next turn on; a command that
    /// answers [`kevy_command::After::Barrier`] is answered when all do.
    pub fn publish(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.settings_version.fetch_add(1, Ordering::AcqRel);
    }

    /// Names what wakes a shard's thread.
    pub fn set_waker(&self, shard: usize, waker: Arc<dyn Wake>) {
        self.inboxes[shard].set_waker(waker);
    }

    pub(crate) fn inbox(&self, shard: usize) -> &Inbox<Mail> {
        &self.inboxes[shard]
    }

    /// Posts mail to a shard.
    pub fn post(&self, shard: usize, mail: Mail) {
        self.inboxes[shard].post(mail);
    }

    /// Clients connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// Takes one of `max` places for clients; `false` if all are taken.
    pub(crate) fn enter_client(&self, max: usize) -> bool {
        let enter = |n| (n < max).then_some(n + 1);
        self.connected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter).is_ok()
    }

    /// Gives a place for a client back.
    pub(crate) fn leave_client(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn next_client_id(&self) -> u64 {
        self.next_client.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add_client(&self, client: Arc<Client>) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).insert(client.id, client);
    }

    pub(crate) fn remove_client(&self, id: u64) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.leave_client();
    }

    /// All clients, in the order in which they connected.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.values().cloned().collect()
    }

    /// The number of a new waiter, greater than any drawn before.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.next_ticket.fetch_add(1, Ordering::SeqCst)
    }

    /// Clients whose command waits, and not for ever.
    #[must_use]
    pub fn timed_waits(&self) -> usize {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let timed = |waiter: &Waiter| waiter.call().is_some_and(|p: &Parked| p.timeout_ms > 0);
        clients.values().filter_map(|client| client.waiter()).filter(|w| timed(w)).count()
    }

    /// Ends the waiting of a client, as if its time were up or with an error. Whether it waited.
    pub fn unblock(&self, client: u64, error: bool) -> bool {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.get(&client).cloned();
        drop(clients);
        let Some(waiter) = client.and_then(|client| client.waiter()) else { return false };
        let Some(parked) = waiter.call::<Parked>() else { return false };
        for _ in 0..UNBLOCK_TRIES {
            match waiter.cancel() {
                Cancelled::Yes => {
                    let (conn, ticket) = (parked.caller.conn, waiter.ticket());
                    self.post(parked.home, Mail::Unblock { conn, ticket, error });
                    return true;
                }
                Cancelled::TooLate => return false,
                // Whoever tries to serve it needs microseconds.
                Cancelled::Busy => std::hint::spin_loop(),
            }
        }
        false
    }

    /// Asks for the end of a client.
    pub fn kill(&self, client: &Client) {
        client.set_flags(ClientFlags::KILLED, true);
        self.post(client.shard, Mail::Kill(client.id));
    }

    /// Suspends commands until `until_ms` (ms since the Unix epoch). As in Redis, a pause under
    /// way is neither shortened nor weakened.
    pub fn pause(&self, until_ms: i64, all: bool, now_ms: i64) {
        let under_way = self.pause.until_ms.load(Ordering::Relaxed) > now_ms;
        let stays_all = under_way && self.pause.all.load(Ordering::Relaxed);
        self.pause.all.store(all || stays_all, Ordering::Relaxed);
        if under_way {
            self.pause.until_ms.fetch_max(until_ms, Ordering::Relaxed);
        } else {
            self.pause.until_ms.store(until_ms, Ordering::Relaxed);
        }
    }

    /// Ends a pause.
    pub fn unpause(&self) {
        self.pause.until_ms.store(0, Ordering::Relaxed);
        self.pause.all.store(false, Ordering::Relaxed);
        self.look();
    }

    /// What is suspended at this moment.
    #[must_use]
    #[inline]
    pub fn paused(&self, now_ms: i64) -> Paused {
        let until = self.pause.until_ms.load(Ordering::Relaxed);
        if until == 0 || until <= now_ms {
            Paused::Nothing
        } else if self.pause.all.load(Ordering::Relaxed) {
            Paused::All
        } else {
            Paused::Writes
        }
    }

    /// When the pause ends, in ms since the Unix epoch; 0: there is none.
    #[must_use]
    pub fn paused_until_ms(&self) -> i64 {
        self.pause.until_ms.load(Ordering::Relaxed)
    }

    /// Begins a graceful shutdown: what was received is executed and answered, then the shards'
    /// threads end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.look();
    }

    /// Whether a graceful shutdown has begun.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// A shard has nothing outstanding any more (`true`), or has again (`false`).
    pub(crate) fn note_drained(&self, drained: bool) {
        if drained {
            self.drained.fetch_add(1, Ordering::SeqCst);
        } else {
            self.drained.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn all_drained(&self) -> bool {
        self.drained.load(Ordering::SeqCst) == self.shards()
    }

    /// Has every shard take a turn.
    pub fn look(&self) {
        for inbox in &self.inboxes {
            inbox.post(Mail::Look);
        }
    }

    /// Whether every store lies at its door and nobody has mail. Nothing is under way then, for
    /// whatever is waits at a door, has a box or is mail.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.doors.is_at_rest() && self.inboxes.iter().all(|inbox| !inbox.is_full())
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.map_or(0, |ticks| ticks())
    }

    #[inline]
    pub(crate) fn moment(&self, shard: usize, moment: Moment) {
        if let Some(hook) = &self.hook {
            hook(shard, moment);
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("shards", &self.shards()).finish_non_exhaustive()
    }
}
