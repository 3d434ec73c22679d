//! A client's own state, and what other clients may see of it.

use crate::{CommandList, Found};
use kevy_data::Limits;
use kevy_keyspace::{Lfu, Waiter};
use kevy_resp::Proto;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The values of the configuration that commands and the shard's gates need. A new version is
/// made whenever the configuration changes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The password of the default user; none: everyone is in.
    pub password: Option<Vec<u8>>,
    /// What `HELLO` and `INFO` give as the version of Redis.
    pub compat_version: String,
    /// Number of databases.
    pub databases: usize,
    /// Memory in use above which commands that may need more are refused, in bytes; 0: no limit.
    pub max_memory: u64,
    /// How uses of keys are counted; none where `maxmemory-policy` is no LFU policy.
    pub lfu: Option<Lfu>,
    /// Longest string and longest argument, in bytes.
    pub max_bulk: usize,
    /// Up to where small values keep their compact encodings.
    pub limits: Limits,
    /// Longest input of one client that is not yet executed, in bytes.
    pub query_buffer_limit: usize,
    /// Output of a normal client that closes it, in bytes; 0: no limit.
    pub output_hard_limit: usize,
    /// Output of a normal client that closes it when it lasts, in bytes; 0: no limit.
    pub output_soft_limit: usize,
    /// How long, in seconds.
    pub output_soft_seconds: u64,
    /// Idle seconds after which a client is closed; 0: never.
    pub timeout: u64,
    /// Clients at the same time.
    pub max_clients: usize,
    /// Without a password, only clients of this machine are served (`protected-mode`).
    pub protected_mode: bool,
    /// Who may use `DEBUG` (`enable-debug-command`).
    pub debug_command: Permit,
    /// Whether a connection's writes become visible in the order in which they were sent.
    pub ordered_pipelines: bool,
    /// Whether keys are expired without being asked for.
    pub active_expire: bool,
    /// How often a second the background work of a shard runs.
    pub hz: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            password: None,
            compat_version: "7.2.4".to_owned(),
            databases: 16,
            max_memory: 0,
            lfu: None,
            max_bulk: 512 << 20,
            limits: Limits::DEFAULT,
            query_buffer_limit: 1 << 30,
            output_hard_limit: 0,
            output_soft_limit: 0,
            output_soft_seconds: 0,
            timeout: 0,
            max_clients: 10_000,
            protected_mode: false,
            debug_command: Permit::Nobody,
            ordered_pipelines: true,
            active_expire: true,
            hz: 10,
        }
    }
}

/// Who may use a command that is dangerous in the hands of strangers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permit {
    /// Nobody.
    Nobody,
    /// Clients of this machine.
    Local,
    /// All clients.
    Everybody,
}

/// What a client is doing with `MULTI`.
#[derive(Debug, Default)]
pub enum Multi {
    /// No transaction is open.
    #[default]
    Off,
    /// Commands are queued until `EXEC`.
    Queueing(Box<Queue>),
}

/// The commands queued since `MULTI`.
#[derive(Debug, Default)]
pub struct Queue {
    /// The commands.
    pub list: CommandList,
    /// What each of them is.
    pub meta: Vec<Queued>,
    /// A command could not be queued, so `EXEC` will refuse.
    pub aborted: bool,
}

/// What the queue knows of a command beside its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Queued {
    /// The command.
    pub found: Found,
}

/// A transaction taken out of its session by `EXEC`.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The commands.
    pub queue: Box<Queue>,
    /// The keys watched, to be checked and released.
    pub watched: BTreeSet<WatchedKey>,
}

/// A key given to `WATCH`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WatchedKey {
    /// Its database.
    pub db: usize,
    /// Its name.
    pub key: Box<[u8]>,
}

/// Which replies a client wants (`CLIENT REPLY`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyMode {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// Not the one of the next command.
    SkipNext,
    /// Not the one of this command.
    Skip,
}

/// The state of one client that only its own commands change.
#[derive(Debug)]
pub struct Session {
    /// What others see of it.
    pub client: Arc<Client>,
    /// The database selected.
    pub db: usize,
    /// The protocol of its replies.
    pub proto: Proto,
    /// Whether it may send commands.
    pub authenticated: bool,
    /// The transaction it is queueing.
    pub multi: Multi,
    /// The keys it watches.
    pub watched: BTreeSet<WatchedKey>,
    /// Keys that it no longer watches and whose stores do not know yet.
    pub unwatched: Vec<WatchedKey>,
    /// Which replies it wants.
    pub reply_mode: ReplyMode,
    /// Its reads do not count as uses of the keys (`CLIENT NO-TOUCH`).
    pub no_touch: bool,
}

impl Session {
    /// The state of a new client.
    #[must_use]
    pub fn new(client: Arc<Client>, authenticated: bool) -> Self {
        Self {
            client,
            db: 0,
            proto: Proto::Resp2,
            authenticated,
            multi: Multi::Off,
            watched: BTreeSet::new(),
            unwatched: Vec::new(),
            reply_mode: ReplyMode::On,
            no_touch: false,
        }
    }

    /// Whether commands are being queued.
    #[must_use]
    pub const fn in_multi(&self) -> bool {
        matches!(self.multi, Multi::Queueing(_))
    }

    /// Goes on in another database.
    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.client.db.store(u32::try_from(db).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Goes on in another version of the protocol.
    pub fn speak(&mut self, proto: Proto) {
        self.proto = proto;
        let version = if proto == Proto::Resp3 { 3 } else { 2 };
        self.client.proto.store(version, Ordering::Relaxed);
    }

    /// Begins to queue commands.
    pub fn begin(&mut self, queue: Queue) {
        self.multi = Multi::Queueing(Box::new(queue));
        self.client.queued.store(0, Ordering::Relaxed);
    }

    /// Ends the queueing; the commands queued, if there was any.
    pub fn take_queue(&mut self) -> Option<Box<Queue>> {
        let Multi::Queueing(queue) = std::mem::take(&mut self.multi) else { return None };
        self.client.queued.store(-1, Ordering::Relaxed);
        Some(queue)
    }

    /// Notes a watched key, once.
    pub fn watch(&mut self, key: WatchedKey) {
        if self.watched.insert(key) {
            self.count_watched();
        }
    }

    /// Hands over the watched keys to whoever releases them.
    pub fn take_watched(&mut self) -> BTreeSet<WatchedKey> {
        let watched = std::mem::take(&mut self.watched);
        self.count_watched();
        watched
    }

    /// Forgets the transaction and the watched keys, as `DISCARD` does.
    pub fn discard(&mut self) {
        self.take_queue();
        self.unwatch();
    }

    /// Forgets the watched keys; the runtime tells their stores.
    pub fn unwatch(&mut self) {
        self.unwatched.extend(std::mem::take(&mut self.watched));
        self.count_watched();
    }

    fn count_watched(&self) {
        let count = u32::try_from(self.watched.len()).unwrap_or(u32::MAX);
        self.client.watching.store(count, Ordering::Relaxed);
    }
}

/// What other clients may see and change of a client. Counters are written by its own shard only.
#[derive(Debug)]
pub struct Client {
    /// Never given twice.
    pub id: u64,
    /// `ip:port`, or the path of the socket and `:0`.
    pub address: String,
    /// The server's end, in the same form.
    pub local_address: String,
    /// Number of its descriptor.
    pub fd: i32,
    /// The shard it is connected to.
    pub shard: usize,
    /// When it connected, in ms since the Unix epoch.
    pub created_ms: i64,
    /// Whether it came over a Unix socket.
    pub unix: bool,
    /// When it last sent a command, in ms since the Unix epoch.
    pub active_ms: AtomicI64,
    /// The last command, as [`crate::CommandId`]; `u32::MAX` before the first.
    pub last_command: AtomicU32,
    /// The database selected.
    pub db: AtomicU32,
    /// 2 or 3.
    pub proto: AtomicU32,
    /// Commands queued by `MULTI`; -1 outside.
    pub queued: AtomicI64,
    /// Keys watched.
    pub watching: AtomicU32,
    /// Bytes received and not executed.
    pub input: AtomicU64,
    /// Bytes of replies not sent.
    pub output: AtomicU64,
    /// Bytes received so far.
    pub received: AtomicU64,
    /// Bytes sent so far.
    pub sent: AtomicU64,
    /// Commands executed so far.
    pub commands: AtomicU64,
    /// Bits of [`ClientFlags`].
    flags: AtomicU32,
    names: Mutex<Names>,
    waiter: Mutex<Option<Arc<Waiter>>>,
}

/// The texts a client says of itself.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// `CLIENT SETNAME`.
    pub name: Vec<u8>,
    /// `CLIENT SETINFO LIB-NAME`.
    pub library: Vec<u8>,
    /// `CLIENT SETINFO LIB-VER`.
    pub library_version: Vec<u8>,
}

bitflags::bitflags! {
    /// What a client is, beside its counters.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct ClientFlags: u32 {
        /// `CLIENT NO-EVICT on`.
        const NO_EVICT = 1;
        /// `CLIENT NO-TOUCH on`.
        const NO_TOUCH = 1 << 1;
        /// Some of its watched keys have changed.
        const DIRTY = 1 << 2;
        /// It will be closed after its replies have been sent.
        const CLOSING = 1 << 3;
        /// Another client asked for its end.
        const KILLED = 1 << 4;
        /// Its next command waits.
        const BLOCKED = 1 << 5;
    }
}

/// How a client came to the server.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// See [`Client::address`].
    pub address: String,
    /// See [`Client::local_address`].
    pub local_address: String,
    /// See [`Client::fd`].
    pub fd: i32,
    /// See [`Client::shard`].
    pub shard: usize,
    /// See [`Client::unix`].
    pub unix: bool,
}

impl Client {
    /// A client that has just connected.
    #[must_use]
    pub fn new(id: u64, origin: Origin, now_ms: i64) -> Self {
        Self {
            id,
            address: origin.address,
            local_address: origin.local_address,
            fd: origin.fd,
            shard: origin.shard,
            created_ms: now_ms,
            unix: origin.unix,
            active_ms: AtomicI64::new(now_ms),
            last_command: AtomicU32::new(u32::MAX),
            db: AtomicU32::new(0),
            proto: AtomicU32::new(2),
            queued: AtomicI64::new(-1),
            watching: AtomicU32::new(0),
            input: AtomicU64::new(0),
            output: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            flags: AtomicU32::new(0),
            names: Mutex::new(Names::default()),
            waiter: Mutex::new(None),
        }
    }

    /// Whether it runs on this machine: it came over a Unix socket or from a loopback address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let address = self.address.parse::<std::net::SocketAddr>();
        self.unix || address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// The flags at this moment.
    #[must_use]
    pub fn flags(&self) -> ClientFlags {
        ClientFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// Sets or clears flags.
    pub fn set_flags(&self, flags: ClientFlags, on: bool) {
        if on {
            self.flags.fetch_or(flags.bits(), Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flags.bits(), Ordering::Relaxed);
        }
    }

    /// For what it waits, while a command of it does.
    #[must_use]
    pub fn waiter(&self) -> Option<Arc<Waiter>> {
        self.waiter.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes for what it waits.
    pub fn set_waiter(&self, waiter: Option<Arc<Waiter>>) {
        *self.waiter.lock().unwrap_or_else(PoisonError::into_inner) = waiter;
    }

    /// What it says of itself.
    #[must_use]
    pub fn names(&self) -> Names {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what it says of itself.
    pub fn rename(&self, change: impl FnOnce(&mut Names)) {
        change(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_keys_is_noted_once() {
        let client = Arc::new(Client::new(1, Origin::default(), 0));
        let mut session = Session::new(client, true);
        // Comparing each with all before would take 10^10 steps.
        for number in (0..100_000_u32).chain(0..100_000) {
            session.watch(WatchedKey { db: 0, key: number.to_be_bytes().into() });
        }
        session.watch(WatchedKey { db: 1, key: 0_u32.to_be_bytes().into() });
        assert_eq!(session.client.watching.load(Ordering::Relaxed), 100_001);
        session.unwatch();
        assert_eq!((session.watched.len(), session.unwatched.len()), (0, 100_001));
        assert_eq!(session.client.watching.load(Ordering::Relaxed), 0);
    }
}
