//! The server's own state: what the commands of the server find behind their call.

use std::any::Any;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use kevy_command::{Permit, Settings, Table};
use kevy_keyspace::{Lfu, Limits};
use kevy_rt::Control;
use kevy_shard::{Commands, World};

use crate::apply;
use crate::config::choices::{MaxmemoryPolicy, PipelineOrder, ProtectedAction};
use crate::config::{Config, Id, SetContext, SetError, rewrite};
use crate::logging::Log;
use crate::machine::{self, ProcessMemory};
use crate::process::Supervision;
use crate::stats::{Rates, Totals};
use crate::ticks::Scale;

/// What the shards serve: the table of all commands, and the engine behind those of the server.
#[derive(Debug)]
pub struct ServerCommands {
    /// All commands.
    pub table: Table,
    /// What [`kevy_command::Call::host`] is.
    pub engine: Engine,
}

impl Commands for ServerCommands {
    fn table(&self) -> &Table {
        &self.table
    }

    fn host(&self) -> &dyn Any {
        &self.engine
    }
}

/// What does not change while the server runs.
#[derive(Clone, Debug)]
pub struct Identity {
    /// 40 hexadecimal digits, other ones in every run.
    pub run_id: String,
    /// The same for the history of the data.
    pub replication_id: String,
    /// Start of the server in ms since the Unix epoch.
    pub started_ms: i64,
    /// The program's own file.
    pub executable: PathBuf,
    /// Who waits for the server to be ready.
    pub supervision: Supervision,
}

impl Identity {
    /// Of a server that starts at `started_ms` (ms since the Unix epoch).
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn new(started_ms: i64, supervision: Supervision) -> io::Result<Self> {
        Ok(Self {
            run_id: machine::random_id()?,
            replication_id: machine::random_id()?,
            started_ms,
            executable: std::env::current_exe().unwrap_or_default(),
            supervision,
        })
    }
}

/// What an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration, settled.
    pub config: Config,
    /// What all shards share.
    pub world: Arc<World>,
    /// The runtime's switches.
    pub control: Arc<Control>,
    /// The log.
    pub log: Log,
    /// What does not change.
    pub identity: Identity,
    /// Asks for the end of the server.
    pub stop: Sender<crate::serve::Stop>,
}

/// The server's own state.
#[derive(Debug)]
pub struct Engine {
    /// What all shards share.
    pub world: Arc<World>,
    /// The runtime's switches.
    pub control: Arc<Control>,
    /// What does not change.
    pub identity: Identity,
    /// Rates of the last seconds.
    pub rates: Rates,
    /// What a tick of the cycle counter is worth.
    pub scale: Scale,
    log: Log,
    stop: Sender<crate::serve::Stop>,
    config: RwLock<Arc<Config>>,
    /// Held while the configuration is changed: one change after the other.
    changing: Mutex<()>,
    /// `DEBUG SET-ACTIVE-EXPIRE`.
    active_expire: AtomicBool,
    base: Mutex<Totals>,
    startup_memory: AtomicU64,
    peak_memory: AtomicU64,
}

impl Engine {
    /// A new engine.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            world: parts.world,
            control: parts.control,
            identity: parts.identity,
            rates: Rates::default(),
            scale: Scale::start(),
            log: parts.log,
            stop: parts.stop,
            config: RwLock::new(Arc::new(parts.config)),
            changing: Mutex::default(),
            active_expire: AtomicBool::new(true),
            base: Mutex::default(),
            startup_memory: AtomicU64::new(0),
            peak_memory: AtomicU64::new(0),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets directives (name, value, name, value…) and puts them into effect: all or none.
    ///
    /// # Errors
    /// As `CONFIG SET`.
    pub fn set_config(&self, arguments: &[&[u8]], protected: bool) -> Result<(), SetError> {
        let _changing = lock(&self.changing);
        let context = SetContext { protected, loading: false };
        let change = self.config().with(arguments, context)?;
        let listening = change.changed.iter().find(|id| matches!(**id, Id::BIND | Id::PORT));
        if let Some(&id) = listening {
            return Err(SetError::failed(id, "Unable to listen on this port. Check server logs."));
        }
        let config = apply::to_process(change, &self.log)?;
        self.control.set_tcp_keepalive(config.tcp_keepalive());
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.publish();
        Ok(())
    }

    /// Gives all shards the settings of now.
    fn publish(&self) {
        let active_expire = self.active_expire.load(Ordering::Relaxed);
        self.world.publish(settings(&self.config(), active_expire));
    }

    /// `DEBUG SET-ACTIVE-EXPIRE`.
    pub fn set_active_expire(&self, on: bool) {
        let _changing = lock(&self.changing);
        self.active_expire.store(on, Ordering::Relaxed);
        self.publish();
    }

    /// Writes the configuration to its file.
    ///
    /// # Errors
    /// The error line of `CONFIG REWRITE`.
    pub fn rewrite_config(&self) -> Result<(), String> {
        let _changing = lock(&self.changing);
        let config = self.config();
        let path = config.file().ok_or("ERR The server is running without a config file")?;
        let failed = |error: io::Error| {
            let text = crate::config::load::error_text(&error);
            tracing::warn!("CONFIG REWRITE failed: {text}");
            format!("ERR Rewriting config file: {text}")
        };
        let old = match std::fs::read(path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let new = rewrite::rewrite(&old, &config, None, false);
        rewrite::store(path, &new).map_err(failed)?;
        tracing::info!("CONFIG REWRITE executed with success.");
        Ok(())
    }

    /// Begins the end of the server.
    pub fn shut_down(&self) {
        // Nobody listens if the end has begun already.
        let _ = self.stop.send(crate::serve::Stop::Command);
    }

    /// The sums since the start or the last reset.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::read(&self.world).since(&lock(&self.base))
    }

    /// `CONFIG RESETSTAT`.
    pub fn reset_statistics(&self) {
        *lock(&self.base) = Totals::read(&self.world);
        self.rates.reset();
    }

    /// Takes the samples that are due every [`crate::stats::SAMPLE_MS`].
    pub fn sample(&self, now_ms: i64) {
        self.rates.sample(&self.world, now_ms);
        let _ = self.memory();
    }

    /// The server is ready: what it holds by now is what it needs for itself.
    pub fn note_startup(&self) {
        let held: u64 = self.dataset();
        let anonymous = ProcessMemory::read().anonymous;
        self.startup_memory.store(anonymous.saturating_sub(held), Ordering::Relaxed);
    }

    fn dataset(&self) -> u64 {
        self.world.all_store_counters().map(|store| store.memory()).sum()
    }

    /// Memory by the server's own account.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let clients: u64 = self.world.clients().iter().map(|client| client_memory(client)).sum();
        let startup = self.startup_memory.load(Ordering::Relaxed);
        let dataset = self.dataset();
        let used = startup + dataset + clients;
        let peak = self.peak_memory.fetch_max(used, Ordering::Relaxed).max(used);
        Memory { used, peak, startup, dataset, clients }
    }
}

/// Bytes that a client needs beside its buffers: its state, its entries in tables.
const CLIENT_BYTES: u64 = 1024;

/// Bytes that a client takes.
#[must_use]
pub fn client_memory(client: &kevy_command::Client) -> u64 {
    CLIENT_BYTES + client.input.load(Ordering::Relaxed) + client.output.load(Ordering::Relaxed)
}

/// Memory by the server's own account, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub used: u64,
    /// The most that has been used.
    pub peak: u64,
    /// What the server needs without data and clients.
    pub startup: u64,
    /// Keys, values and their tables.
    pub dataset: u64,
    /// Clients and their buffers.
    pub clients: u64,
}

/// What commands and gates need of the configuration.
#[must_use]
pub fn settings(config: &Config, active_expire: bool) -> Settings {
    let [normal, ..] = config.client_output_buffer_limits();
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let password = config.requirepass();
    Settings {
        password: (!password.is_empty()).then(|| password.to_vec()),
        compat_version: String::from_utf8_lossy(config.compat_version()).into_owned(),
        databases: config.databases() as usize,
        max_memory: config.maxmemory(),
        lfu: lfu(config),
        max_bulk: config.proto_max_bulk_len(),
        limits: limits(config),
        query_buffer_limit: config.client_query_buffer_limit(),
        output_hard_limit: bytes(normal.hard),
        output_soft_limit: bytes(normal.soft),
        output_soft_seconds: normal.soft_seconds,
        timeout: config.timeout(),
        max_clients: config.maxclients() as usize,
        protected_mode: config.protected_mode(),
        debug_command: match config.enable_debug_command() {
            ProtectedAction::No => Permit::Nobody,
            ProtectedAction::Local => Permit::Local,
            ProtectedAction::Yes => Permit::Everybody,
        },
        ordered_pipelines: config.pipeline_order() == PipelineOrder::Strict,
        active_expire,
        hz: config.hz(),
    }
}

/// Up to where small values keep their compact encodings.
fn limits(config: &Config) -> Limits {
    Limits {
        hash_max_listpack_entries: config.hash_max_listpack_entries(),
        hash_max_listpack_value: config.hash_max_listpack_value(),
        list_max_listpack_size: config.list_max_listpack_size().into(),
        list_compress_depth: config.list_compress_depth() as usize,
        set_max_intset_entries: config.set_max_intset_entries(),
        set_max_listpack_entries: config.set_max_listpack_entries(),
        set_max_listpack_value: config.set_max_listpack_value(),
        zset_max_listpack_entries: config.zset_max_listpack_entries(),
        zset_max_listpack_value: config.zset_max_listpack_value(),
        stream_node_max_bytes: config.stream_node_max_bytes(),
        stream_node_max_entries: config.stream_node_max_entries(),
        hll_sparse_max_bytes: config.hll_sparse_max_bytes(),
    }
}

/// How uses of keys are counted, if the policy needs that.
fn lfu(config: &Config) -> Option<Lfu> {
    let selected = matches!(
        config.maxmemory_policy(),
        MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu
    );
    selected.then(|| Lfu {
        log_factor: config.lfu_log_factor(),
        decay_minutes: config.lfu_decay_time(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
