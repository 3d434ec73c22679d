//! Typed access to directives.

use super::Config;
use super::choices::{
    AclPubsubDefault, Appendfsync, IoBackend, LogFormat, LogLevel, MaxmemoryPolicy, PipelineOrder,
    ProtectedAction, RdbVersion, Supervised, TimestampFormat,
};
use super::compound::{BufferLimit, Events, ReplicaOf, SavePoint, ShutdownFlags};
use super::table::{Id, id};
use super::value::Value;

pub(super) const ACTIVEDEFRAG: Id = id("activedefrag");
/// `databases`.
pub(super) const DATABASES: Id = id("databases");
pub(super) const DIR: Id = id("dir");
pub(super) const HZ: Id = id("hz");
pub(super) const MAXCLIENTS: Id = id("maxclients");
pub(super) const PIDFILE: Id = id("pidfile");
/// As many stores as keys can be spread over.
const MAX_SHARDS: usize = 256;

pub(super) const SHARDS: Id = id("shards");

/// Directives that take effect in other parts of the program when they change.
impl Id {
    /// `bind`.
    pub const BIND: Id = id("bind");
    /// `client-output-buffer-limit`.
    pub const CLIENT_OUTPUT_BUFFER_LIMIT: Id = id("client-output-buffer-limit");
    /// `dir`.
    pub const DIR: Id = DIR;
    /// `logfile`.
    pub const LOGFILE: Id = id("logfile");
    /// `log-format`.
    pub const LOG_FORMAT: Id = id("log-format");
    /// `log-timestamp-format`.
    pub const LOG_TIMESTAMP_FORMAT: Id = id("log-timestamp-format");
    /// `loglevel`.
    pub const LOGLEVEL: Id = id("loglevel");
    /// `maxclients`.
    pub const MAXCLIENTS: Id = MAXCLIENTS;
    /// `maxmemory`.
    pub const MAXMEMORY: Id = id("maxmemory");
    /// `port`.
    pub const PORT: Id = id("port");
    /// `requirepass`.
    pub const REQUIREPASS: Id = id("requirepass");
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// Name or address; `*` for all of IPv4 and `::*` for all of IPv6.
    pub host: String,
    /// If the machine does not have this address, that is no error.
    pub optional: bool,
}

/// Declares accessors: `doc name: type = "directive" by raw accessor;`.
macro_rules! accessors {
    ($raw:ident: $($(#[$doc:meta])* $name:ident: $type:ty = $directive:literal;)+) => {
        impl Config {$(
            $(#[$doc])*
            pub fn $name(&self) -> $type {
                const AT: Id = id($directive);
                self.$raw(AT).into_accessed()
            }
        )+}
    };
}

/// From the raw form of a value to the type of an accessor.
trait IntoAccessed<T> {
    fn into_accessed(self) -> T;
}

impl IntoAccessed<bool> for bool {
    fn into_accessed(self) -> bool {
        self
    }
}

macro_rules! from_int {
    ($($type:ty),+) => {$(
        /// Bounds in the table keep values in range; a value outside becomes the nearest.
        impl IntoAccessed<$type> for i128 {
            fn into_accessed(self) -> $type {
                let nearest = if self < 0 { <$type>::MIN } else { <$type>::MAX };
                self.try_into().unwrap_or(nearest)
            }
        }
    )+};
}
from_int!(u16, u32, u64, i32, i64, usize);

macro_rules! from_choice {
    ($($type:ty),+) => {$(
        impl IntoAccessed<$type> for u8 {
            fn into_accessed(self) -> $type {
                <$type>::from_value(self)
            }
        }
    )+};
}
from_choice!(
    AclPubsubDefault,
    Appendfsync,
    IoBackend,
    LogFormat,
    LogLevel,
    MaxmemoryPolicy,
    PipelineOrder,
    ProtectedAction,
    RdbVersion,
    Supervised,
    TimestampFormat
);

impl<'c> IntoAccessed<&'c [u8]> for &'c [u8] {
    fn into_accessed(self) -> &'c [u8] {
        self
    }
}

/// The raw forms. A mismatch of accessor and table is caught by the test below.
impl Config {
    fn bool(&self, id: Id) -> bool {
        matches!(self.value(id), Value::Bool(true))
    }

    fn int(&self, id: Id) -> i128 {
        match *self.value(id) {
            Value::Int(number) => number,
            ref other => unreachable_kind(id, other, 0),
        }
    }

    fn choice(&self, id: Id) -> u8 {
        match *self.value(id) {
            Value::Choice(value) => value,
            ref other => unreachable_kind(id, other, 0),
        }
    }

    fn text(&self, id: Id) -> &[u8] {
        match self.value(id) {
            Value::Text(text) => text,
            other => unreachable_kind(id, other, &[]),
        }
    }
}

/// A value whose kind is not that of the accessor: the table was changed and this file was not.
fn unreachable_kind<T>(id: Id, value: &Value, fallback: T) -> T {
    debug_assert!(false, "accessor of {} meets {value:?}", id.directive().name);
    fallback
}

accessors! { bool:
    /// `always-show-logo`.
    always_show_logo: bool = "always-show-logo";
    /// `activerehashing`.
    activerehashing: bool = "activerehashing";
    /// `appendonly`.
    appendonly: bool = "appendonly";
    /// `aof-load-truncated`.
    aof_load_truncated: bool = "aof-load-truncated";
    /// `aof-timestamp-enabled`.
    aof_timestamp_enabled: bool = "aof-timestamp-enabled";
    /// `aof-use-rdb-preamble`.
    aof_use_rdb_preamble: bool = "aof-use-rdb-preamble";
    /// `cluster-enabled`.
    cluster_enabled: bool = "cluster-enabled";
    /// `daemonize`.
    daemonize: bool = "daemonize";
    /// `disable-thp`: no transparent huge pages.
    disable_thp: bool = "disable-thp";
    /// `latency-tracking`.
    latency_tracking: bool = "latency-tracking";
    /// `lazyfree-lazy-user-del`: DEL counts its deletions as lazy.
    lazyfree_lazy_user_del: bool = "lazyfree-lazy-user-del";
    /// `lazyfree-lazy-user-flush`.
    lazyfree_lazy_user_flush: bool = "lazyfree-lazy-user-flush";
    /// `protected-mode`.
    protected_mode: bool = "protected-mode";
    /// `rdbchecksum`.
    rdbchecksum: bool = "rdbchecksum";
    /// `rdbcompression`.
    rdbcompression: bool = "rdbcompression";
    /// `replica-read-only`.
    replica_read_only: bool = "replica-read-only";
    /// `replica-serve-stale-data`.
    replica_serve_stale_data: bool = "replica-serve-stale-data";
    /// `stop-writes-on-bgsave-error`.
    stop_writes_on_bgsave_error: bool = "stop-writes-on-bgsave-error";
}

accessors! { int:
    /// `acllog-max-len`.
    acllog_max_len: usize = "acllog-max-len";
    /// `active-expire-effort`, 1 to 10.
    active_expire_effort: u32 = "active-expire-effort";
    /// `auto-aof-rewrite-min-size` in bytes.
    auto_aof_rewrite_min_size: u64 = "auto-aof-rewrite-min-size";
    /// `auto-aof-rewrite-percentage`; 0 is never.
    auto_aof_rewrite_percentage: u32 = "auto-aof-rewrite-percentage";
    /// `busy-reply-threshold` in milliseconds.
    busy_reply_threshold: u64 = "busy-reply-threshold";
    /// `client-query-buffer-limit` in bytes.
    client_query_buffer_limit: usize = "client-query-buffer-limit";
    /// `databases`.
    databases: u32 = "databases";
    /// `hash-max-listpack-entries`.
    hash_max_listpack_entries: usize = "hash-max-listpack-entries";
    /// `hash-max-listpack-value` in bytes.
    hash_max_listpack_value: usize = "hash-max-listpack-value";
    /// `hll-sparse-max-bytes`.
    hll_sparse_max_bytes: usize = "hll-sparse-max-bytes";
    /// `hz`: turns of background work a second, 1 to 500.
    hz: u32 = "hz";
    /// `io-threads`: a hint, see [`Config::shards`].
    io_threads: u32 = "io-threads";
    /// `latency-monitor-threshold` in milliseconds; 0 is off.
    latency_monitor_threshold: u64 = "latency-monitor-threshold";
    /// `lfu-decay-time` in minutes.
    lfu_decay_time: u32 = "lfu-decay-time";
    /// `lfu-log-factor`.
    lfu_log_factor: u32 = "lfu-log-factor";
    /// `list-compress-depth`.
    list_compress_depth: u32 = "list-compress-depth";
    /// `list-max-listpack-size`: elements if positive, else a size class from -1 (4 KiB) to -5.
    list_max_listpack_size: i32 = "list-max-listpack-size";
    /// `maxclients`.
    maxclients: u32 = "maxclients";
    /// `maxmemory` in bytes; 0 is no limit.
    maxmemory: u64 = "maxmemory";
    /// `maxmemory-clients`: bytes, minus a percentage of `maxmemory`, or 0 for no limit.
    maxmemory_clients: i64 = "maxmemory-clients";
    /// `maxmemory-eviction-tenacity`, 0 to 100.
    maxmemory_eviction_tenacity: u32 = "maxmemory-eviction-tenacity";
    /// `maxmemory-samples`.
    maxmemory_samples: usize = "maxmemory-samples";
    /// `port`; 0 is none.
    port: u16 = "port";
    /// `proto-max-bulk-len` in bytes.
    proto_max_bulk_len: usize = "proto-max-bulk-len";
    /// `repl-backlog-size` in bytes.
    repl_backlog_size: u64 = "repl-backlog-size";
    /// `repl-timeout` in seconds.
    repl_timeout: u64 = "repl-timeout";
    /// `set-max-intset-entries`.
    set_max_intset_entries: usize = "set-max-intset-entries";
    /// `set-max-listpack-entries`.
    set_max_listpack_entries: usize = "set-max-listpack-entries";
    /// `set-max-listpack-value` in bytes.
    set_max_listpack_value: usize = "set-max-listpack-value";
    /// `shutdown-timeout` in seconds.
    shutdown_timeout: u64 = "shutdown-timeout";
    /// `slowlog-log-slower-than` in microseconds; negative is never.
    slowlog_log_slower_than: i64 = "slowlog-log-slower-than";
    /// `slowlog-max-len`.
    slowlog_max_len: usize = "slowlog-max-len";
    /// `stream-node-max-bytes`.
    stream_node_max_bytes: usize = "stream-node-max-bytes";
    /// `stream-node-max-entries`.
    stream_node_max_entries: usize = "stream-node-max-entries";
    /// `tcp-backlog`.
    tcp_backlog: i32 = "tcp-backlog";
    /// `tcp-keepalive` in seconds; 0 is off.
    tcp_keepalive: u32 = "tcp-keepalive";
    /// `timeout` of idle clients in seconds; 0 is never.
    timeout: u64 = "timeout";
    /// `tls-port`; 0 is none.
    tls_port: u16 = "tls-port";
    /// `tracking-table-max-keys`; 0 is no limit.
    tracking_table_max_keys: usize = "tracking-table-max-keys";
    /// `unixsocketperm`; 0 leaves the mode to the umask.
    unixsocketperm: u32 = "unixsocketperm";
    /// `zset-max-listpack-entries`.
    zset_max_listpack_entries: usize = "zset-max-listpack-entries";
    /// `zset-max-listpack-value` in bytes.
    zset_max_listpack_value: usize = "zset-max-listpack-value";
}

accessors! { choice:
    /// `acl-pubsub-default`.
    acl_pubsub_default: AclPubsubDefault = "acl-pubsub-default";
    /// `appendfsync`.
    appendfsync: Appendfsync = "appendfsync";
    /// `enable-debug-command`.
    enable_debug_command: ProtectedAction = "enable-debug-command";
    /// `enable-module-command`.
    enable_module_command: ProtectedAction = "enable-module-command";
    /// `enable-protected-configs`.
    enable_protected_configs: ProtectedAction = "enable-protected-configs";
    /// `io-backend`.
    io_backend: IoBackend = "io-backend";
    /// `log-format`.
    log_format: LogFormat = "log-format";
    /// `log-timestamp-format`.
    log_timestamp_format: TimestampFormat = "log-timestamp-format";
    /// `loglevel`.
    loglevel: LogLevel = "loglevel";
    /// `maxmemory-policy`.
    maxmemory_policy: MaxmemoryPolicy = "maxmemory-policy";
    /// `pipeline-order`.
    pipeline_order: PipelineOrder = "pipeline-order";
    /// `rdb-version`.
    rdb_version: RdbVersion = "rdb-version";
    /// `supervised`.
    supervised: Supervised = "supervised";
}

accessors! { text:
    /// `aclfile`; empty if there is none.
    aclfile: &[u8] = "aclfile";
    /// `appenddirname`.
    appenddirname: &[u8] = "appenddirname";
    /// `appendfilename`.
    appendfilename: &[u8] = "appendfilename";
    /// `compat-version`: the Redis version that clients are told.
    compat_version: &[u8] = "compat-version";
    /// `dbfilename`.
    dbfilename: &[u8] = "dbfilename";
    /// `dir`; absolute once the server has started.
    dir: &[u8] = "dir";
    /// `logfile`; empty for standard output.
    logfile: &[u8] = "logfile";
    /// `pidfile`; empty if there is none.
    pidfile: &[u8] = "pidfile";
    /// `requirepass`; empty if there is none.
    requirepass: &[u8] = "requirepass";
    /// `unixsocket`; empty if there is none.
    unixsocket: &[u8] = "unixsocket";
}

impl Config {
    /// `bind`: the addresses to listen on.
    pub fn bind(&self) -> Vec<BindAddress> {
        let Value::Words(words) = self.value(Id::BIND) else { return Vec::new() };
        let address = |word: &Vec<u8>| {
            let optional = word.first() == Some(&b'-');
            let host = String::from_utf8_lossy(&word[usize::from(optional)..]).into_owned();
            BindAddress { host, optional }
        };
        words.iter().map(address).collect()
    }

    /// `save`: the save points.
    pub fn save(&self) -> &[SavePoint] {
        const AT: Id = id("save");
        match self.value(AT) {
            Value::Save(points) => points,
            other => unreachable_kind(AT, other, &[]),
        }
    }

    /// `client-output-buffer-limit`: of normal clients, replicas, subscribers.
    pub fn client_output_buffer_limits(&self) -> [BufferLimit; 3] {
        match self.value(Id::CLIENT_OUTPUT_BUFFER_LIMIT) {
            Value::OutputBuffers(limits) => *limits,
            other => unreachable_kind(
                Id::CLIENT_OUTPUT_BUFFER_LIMIT,
                other,
                super::compound::DEFAULT_BUFFER_LIMITS,
            ),
        }
    }

    /// `notify-keyspace-events`.
    pub fn notify_keyspace_events(&self) -> Events {
        const AT: Id = id("notify-keyspace-events");
        match self.value(AT) {
            Value::Events(events) => *events,
            other => unreachable_kind(AT, other, Events::default()),
        }
    }

    /// `latency-tracking-info-percentiles`.
    pub fn latency_tracking_info_percentiles(&self) -> &[f64] {
        const AT: Id = id("latency-tracking-info-percentiles");
        match self.value(AT) {
            Value::Percentiles(list) => list,
            other => unreachable_kind(AT, other, &[]),
        }
    }

    /// `replicaof`: the primary, if this is a replica.
    pub fn replicaof(&self) -> Option<&ReplicaOf> {
        const AT: Id = id("replicaof");
        match self.value(AT) {
            Value::ReplicaOf(primary) => primary.as_ref(),
            other => unreachable_kind(AT, other, None),
        }
    }

    /// `shutdown-on-sigint`.
    pub fn shutdown_on_sigint(&self) -> ShutdownFlags {
        self.shutdown_flags(const { id("shutdown-on-sigint") })
    }

    /// `shutdown-on-sigterm`.
    pub fn shutdown_on_sigterm(&self) -> ShutdownFlags {
        self.shutdown_flags(const { id("shutdown-on-sigterm") })
    }

    fn shutdown_flags(&self, id: Id) -> ShutdownFlags {
        match self.value(id) {
            Value::ShutdownFlags(flags) => *flags,
            other => unreachable_kind(id, other, ShutdownFlags::default()),
        }
    }

    /// The number of shards: the ones that run; before the start `shards`, or else one for each of
    /// `cores`, but no more than `io-threads` if that is above 1, for then somebody counted.
    pub fn shards(&self, cores: usize) -> usize {
        if self.running_shards > 0 {
            return self.running_shards;
        }
        let shards: usize = self.int(SHARDS).into_accessed();
        let hint: usize = self.int(const { id("io-threads") }).into_accessed();
        match (shards, hint) {
            (0, 0 | 1) => cores.clamp(1, MAX_SHARDS),
            (0, hint) => cores.clamp(1, hint.min(MAX_SHARDS)),
            (shards, _) => shards,
        }
    }

    /// Whether a client, of this machine or not, may do what `action` guards.
    pub fn allows(&self, action: ProtectedAction, client_is_local: bool) -> bool {
        match action {
            ProtectedAction::No => false,
            ProtectedAction::Yes => true,
            ProtectedAction::Local => client_is_local,
        }
    }

    /// Whether a client may set protected directives.
    pub fn allows_protected(&self, client_is_local: bool) -> bool {
        self.allows(self.enable_protected_configs(), client_is_local)
    }
}
