//! All directives of Redis 7.2 and Valkey 8, and kevy's own.
//!
//! A row is marked `pending` while the feature that it steers does not exist, and `no_effect` where
//! kevy has nothing to steer. Where Redis and Valkey differ in a default, Redis 7.2 is followed.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::check;
use super::choices::{
    AclPubsubDefault, Appendfsync, DisklessLoad, EndpointType, IoBackend, LogFormat, LogLevel,
    MaxmemoryPolicy, OomScoreAdj, PipelineOrder, PropagationError, ProtectedAction, RdbVersion,
    SanitizeDumpPayload, Supervised, SyslogFacility, TimestampFormat, TlsAuthClients,
};
use super::directive::{
    Directive, Kind, checked_optional, checked_text, choice, int, memory, memory_or_percent, octal,
    optional, special, text, yes_no,
};

const INT_MAX: i128 = i32::MAX as i128;
const INT_MIN: i128 = i32::MIN as i128;
const UINT_MAX: i128 = u32::MAX as i128;
const LONG_MAX: i128 = i64::MAX as i128;
const ULONG_MAX: i128 = u64::MAX as i128;
const PORT_MAX: i128 = u16::MAX as i128;
const MB: i128 = 1 << 20;

/// The value of a directive's word; evaluated while compiling.
macro_rules! word {
    ($choice:ident :: $word:ident) => {
        choice_row($choice::WORDS, $choice::$word as u8)
    };
}

/// Words and default of a choice.
type Choice = (&'static [(&'static str, u8)], u8);

const fn choice_row(words: &'static [(&'static str, u8)], default: u8) -> Choice {
    (words, default)
}

const fn one_of(name: &'static str, (words, default): Choice) -> Directive {
    choice(name, words, default)
}

/// Every directive that has a value. Directives that only a file may hold (`include`, `user`,
/// `rename-command`, `loadmodule`) are known to the [loader](super::load).
pub static TABLE: &[Directive] = ROWS;

const ROWS: &[Directive] = &[
    // Network.
    special("bind", Kind::Words { default: "127.0.0.1 -::1", max: 16 }),
    optional("bind-source-addr").pending(),
    yes_no("protected-mode", true),
    int("port", 6379, 0, PORT_MAX),
    int("tcp-backlog", 511, 0, INT_MAX).immutable(),
    optional("unixsocket").immutable(),
    octal("unixsocketperm", 0, 0o777).immutable(),
    optional("unixsocketgroup").immutable().pending(),
    int("timeout", 0, 0, INT_MAX),
    int("tcp-keepalive", 300, 0, INT_MAX),
    int("socket-mark-id", 0, 0, UINT_MAX).immutable().pending(),
    int("max-new-connections-per-cycle", 10, 1, 1000).no_effect(),
    int("max-new-tls-connections-per-cycle", 1, 1, 1000).no_effect(),
    // TLS.
    int("tls-port", 0, 0, PORT_MAX).pending(),
    optional("tls-cert-file").pending(),
    optional("tls-key-file").pending(),
    optional("tls-key-file-pass").sensitive().pending(),
    optional("tls-client-cert-file").pending(),
    optional("tls-client-key-file").pending(),
    optional("tls-client-key-file-pass").sensitive().pending(),
    optional("tls-dh-params-file").pending(),
    optional("tls-ca-cert-file").pending(),
    optional("tls-ca-cert-dir").pending(),
    one_of("tls-auth-clients", word!(TlsAuthClients::Yes)).pending(),
    yes_no("tls-replication", false).pending(),
    yes_no("tls-cluster", false).pending(),
    optional("tls-protocols").pending(),
    optional("tls-ciphers").pending(),
    optional("tls-ciphersuites").pending(),
    yes_no("tls-prefer-server-ciphers", false).pending(),
    yes_no("tls-session-caching", true).pending(),
    int("tls-session-cache-size", 20 * 1024, 0, INT_MAX).pending(),
    int("tls-session-cache-timeout", 300, 0, INT_MAX).pending(),
    // General.
    yes_no("daemonize", false).immutable(),
    one_of("supervised", word!(Supervised::No)).immutable(),
    optional("pidfile").immutable(),
    one_of("loglevel", word!(LogLevel::Notice)),
    text("logfile", "").immutable(),
    one_of("log-format", word!(LogFormat::Redis)),
    one_of("log-timestamp-format", word!(TimestampFormat::Legacy)),
    yes_no("hide-user-data-from-log", true).no_effect(),
    yes_no("syslog-enabled", false).immutable().pending(),
    text("syslog-ident", "redis").immutable().pending(),
    one_of("syslog-facility", word!(SyslogFacility::Local0)).immutable().pending(),
    yes_no("crash-log-enabled", true).no_effect(),
    yes_no("crash-memcheck-enabled", true).no_effect(),
    int("databases", 16, 1, INT_MAX).immutable(),
    yes_no("always-show-logo", false).immutable(),
    yes_no("set-proc-title", true).immutable().no_effect(),
    checked_text("proc-title-template", "{title} {listen-addr} {server-mode}", check::proc_title)
        .no_effect(),
    text("locale-collate", "").no_effect(),
    text("ignore-warnings", "").no_effect(),
    text("availability-zone", ""),
    yes_no("extended-redis-compatibility", false).no_effect(),
    yes_no("import-mode", false).pending(),
    // Snapshots.
    special("save", Kind::Save).pending(),
    yes_no("stop-writes-on-bgsave-error", true).pending(),
    yes_no("rdbcompression", true).pending(),
    yes_no("rdbchecksum", true).immutable().pending(),
    one_of("sanitize-dump-payload", word!(SanitizeDumpPayload::No)).no_effect(),
    checked_text("dbfilename", "dump.rdb", check::dbfilename).protected().pending(),
    yes_no("rdb-del-sync-files", false).pending(),
    yes_no("rdb-save-incremental-fsync", true).no_effect(),
    int("rdb-key-save-delay", 0, INT_MIN, INT_MAX).hidden().no_effect(),
    int("key-load-delay", 0, INT_MIN, INT_MAX).hidden().no_effect(),
    int("loading-process-events-interval-bytes", 2 * MB, 1024, INT_MAX).hidden().no_effect(),
    checked_text("dir", ".", check::dir).protected().denied_while_loading(),
    // Replication.
    special("replicaof", Kind::ReplicaOf).aliases(&["slaveof"]).immutable().pending(),
    optional("masterauth").aliases(&["primaryauth"]).sensitive().pending(),
    optional("masteruser").aliases(&["primaryuser"]).sensitive().pending(),
    yes_no("replica-serve-stale-data", true).aliases(&["slave-serve-stale-data"]).pending(),
    yes_no("replica-read-only", true).aliases(&["slave-read-only"]).pending(),
    yes_no("repl-diskless-sync", true).pending(),
    int("repl-diskless-sync-delay", 5, 0, INT_MAX).pending(),
    int("repl-diskless-sync-max-replicas", 0, 0, INT_MAX).pending(),
    one_of("repl-diskless-load", word!(DisklessLoad::Disabled)).denied_while_loading().pending(),
    yes_no("dual-channel-replication-enabled", false).pending(),
    int("repl-ping-replica-period", 10, 1, INT_MAX).aliases(&["repl-ping-slave-period"]).pending(),
    int("repl-timeout", 60, 1, INT_MAX).pending(),
    yes_no("repl-disable-tcp-nodelay", false).pending(),
    memory("repl-backlog-size", MB, 1, LONG_MAX).pending(),
    int("repl-backlog-ttl", 3600, 0, LONG_MAX).pending(),
    int("replica-priority", 100, 0, INT_MAX).aliases(&["slave-priority"]).pending(),
    one_of("propagation-error-behavior", word!(PropagationError::Ignore)).no_effect(),
    yes_no("replica-ignore-disk-write-errors", false).pending(),
    yes_no("replica-announced", true).pending(),
    int("min-replicas-to-write", 0, 0, INT_MAX).aliases(&["min-slaves-to-write"]).pending(),
    int("min-replicas-max-lag", 10, 0, INT_MAX).aliases(&["min-slaves-max-lag"]).pending(),
    optional("replica-announce-ip").aliases(&["slave-announce-ip"]).pending(),
    int("replica-announce-port", 0, 0, PORT_MAX).aliases(&["slave-announce-port"]).pending(),
    yes_no("replica-ignore-maxmemory", true).aliases(&["slave-ignore-maxmemory"]).pending(),
    yes_no("replica-lazy-flush", false).aliases(&["slave-lazy-flush"]).no_effect(),
    // Keys that clients cache.
    int("tracking-table-max-keys", 1_000_000, 0, LONG_MAX),
    // Security.
    text("aclfile", "").immutable().pending(),
    int("acllog-max-len", 128, 0, LONG_MAX),
    one_of("acl-pubsub-default", word!(AclPubsubDefault::Resetchannels)),
    optional("requirepass").sensitive(),
    one_of("enable-protected-configs", word!(ProtectedAction::No)).immutable(),
    one_of("enable-debug-command", word!(ProtectedAction::No)).immutable(),
    one_of("enable-module-command", word!(ProtectedAction::No)).immutable().no_effect(),
    // Clients.
    int("maxclients", 10_000, 1, UINT_MAX),
    memory_or_percent("maxmemory-clients", 0).pending(),
    memory("client-query-buffer-limit", 1 << 30, MB, LONG_MAX),
    special("client-output-buffer-limit", Kind::OutputBuffers),
    memory("proto-max-bulk-len", 512 * MB, MB, LONG_MAX),
    // Memory.
    memory("maxmemory", 0, 0, ULONG_MAX),
    one_of("maxmemory-policy", word!(MaxmemoryPolicy::Noeviction)).pending(),
    int("maxmemory-samples", 5, 1, 64),
    int("maxmemory-eviction-tenacity", 10, 0, 100),
    int("active-expire-effort", 1, 1, 10),
    int("lfu-log-factor", 10, 0, INT_MAX),
    int("lfu-decay-time", 1, 0, INT_MAX),
    yes_no("lazyfree-lazy-eviction", false).no_effect(),
    yes_no("lazyfree-lazy-expire", false).no_effect(),
    yes_no("lazyfree-lazy-server-del", false).no_effect(),
    yes_no("lazyfree-lazy-user-del", false).no_effect(),
    yes_no("lazyfree-lazy-user-flush", false).no_effect(),
    yes_no("jemalloc-bg-thread", true).no_effect(),
    yes_no("disable-thp", true).immutable(),
    one_of("oom-score-adj", word!(OomScoreAdj::No)).pending(),
    special("oom-score-adj-values", Kind::OomScores).pending(),
    // Defragmentation: the allocator needs none.
    yes_no("activedefrag", false).no_effect(),
    memory("active-defrag-ignore-bytes", 100 * MB, 1, LONG_MAX).no_effect(),
    int("active-defrag-threshold-lower", 10, 0, 1000).no_effect(),
    int("active-defrag-threshold-upper", 100, 0, 1000).no_effect(),
    int("active-defrag-cycle-min", 1, 1, 99).no_effect(),
    int("active-defrag-cycle-max", 25, 1, 99).no_effect(),
    int("active-defrag-max-scan-fields", 1000, 1, LONG_MAX).no_effect(),
    // Threads.
    int("shards", 0, 0, 256).immutable().own(),
    one_of("io-backend", word!(IoBackend::Auto)).immutable().own(),
    one_of("pipeline-order", word!(PipelineOrder::Strict)).immutable().own(),
    int("io-threads", 1, 1, 128).immutable(),
    yes_no("io-threads-do-reads", false).immutable().own().no_effect(),
    int("events-per-io-thread", 2, 0, INT_MAX).no_effect(),
    int("prefetch-batch-max-size", 16, 0, 128).no_effect(),
    optional("server-cpulist").aliases(&["server_cpulist"]).immutable().pending(),
    optional("bio-cpulist").aliases(&["bio_cpulist"]).immutable().no_effect(),
    optional("aof-rewrite-cpulist").aliases(&["aof_rewrite_cpulist"]).immutable().no_effect(),
    optional("bgsave-cpulist").aliases(&["bgsave_cpulist"]).immutable().no_effect(),
    // Append-only log.
    yes_no("appendonly", false).denied_while_loading().pending(),
    checked_text("appendfilename", "appendonly.aof", check::appendfilename).immutable().pending(),
    checked_text("appenddirname", "appendonlydir", check::appenddirname).immutable().pending(),
    one_of("appendfsync", word!(Appendfsync::Everysec)).pending(),
    yes_no("no-appendfsync-on-rewrite", false).no_effect(),
    int("auto-aof-rewrite-percentage", 100, 0, INT_MAX).pending(),
    memory("auto-aof-rewrite-min-size", 64 * MB, 0, LONG_MAX).pending(),
    yes_no("aof-load-truncated", true).pending(),
    yes_no("aof-use-rdb-preamble", true).pending(),
    yes_no("aof-timestamp-enabled", false).pending(),
    yes_no("aof-rewrite-incremental-fsync", true).no_effect(),
    yes_no("aof-disable-auto-gc", false).hidden().pending(),
    one_of("rdb-version", word!(RdbVersion::Auto)).own().pending(),
    // Shutdown.
    int("shutdown-timeout", 10, 0, INT_MAX).pending(),
    special("shutdown-on-sigint", Kind::ShutdownFlags).pending(),
    special("shutdown-on-sigterm", Kind::ShutdownFlags).pending(),
    // Scripts.
    int("busy-reply-threshold", 5000, 0, LONG_MAX).aliases(&["lua-time-limit"]).pending(),
    yes_no("lua-enable-insecure-api", false).hidden().no_effect(),
    // Cluster.
    yes_no("cluster-enabled", false).immutable().pending(),
    checked_text("cluster-config-file", "nodes.conf", check::cluster_config_file)
        .immutable()
        .pending(),
    int("cluster-node-timeout", 15_000, 0, LONG_MAX).pending(),
    int("cluster-ping-interval", 0, 0, LONG_MAX).hidden().pending(),
    int("cluster-port", 0, 0, PORT_MAX).immutable().pending(),
    int("cluster-replica-validity-factor", 10, 0, INT_MAX)
        .aliases(&["cluster-slave-validity-factor"])
        .pending(),
    int("cluster-migration-barrier", 1, 0, INT_MAX).pending(),
    yes_no("cluster-allow-replica-migration", true).pending(),
    yes_no("cluster-require-full-coverage", true).pending(),
    yes_no("cluster-replica-no-failover", false).aliases(&["cluster-slave-no-failover"]).pending(),
    yes_no("cluster-allow-reads-when-down", false).pending(),
    yes_no("cluster-allow-pubsubshard-when-down", true).pending(),
    memory("cluster-link-sendbuf-limit", 0, 0, ULONG_MAX).pending(),
    int("cluster-blacklist-ttl", 60, 0, ULONG_MAX).pending(),
    yes_no("cluster-slot-stats-enabled", false).pending(),
    optional("cluster-announce-ip").pending(),
    checked_optional("cluster-announce-client-ipv4", check::ipv4).pending(),
    checked_optional("cluster-announce-client-ipv6", check::ipv6).pending(),
    int("cluster-announce-port", 0, 0, PORT_MAX).pending(),
    int("cluster-announce-tls-port", 0, 0, PORT_MAX).pending(),
    int("cluster-announce-bus-port", 0, 0, PORT_MAX).pending(),
    checked_optional("cluster-announce-hostname", check::hostname).pending(),
    checked_optional("cluster-announce-human-nodename", check::nodename).pending(),
    one_of("cluster-preferred-endpoint-type", word!(EndpointType::Ip)).pending(),
    // Slow log, latency.
    int("slowlog-log-slower-than", 10_000, -1, LONG_MAX)
        .aliases(&["commandlog-execution-slower-than"]),
    int("slowlog-max-len", 128, 0, LONG_MAX).aliases(&["commandlog-slow-execution-max-len"]),
    int("commandlog-request-larger-than", MB, -1, LONG_MAX).pending(),
    int("commandlog-large-request-max-len", 128, 0, LONG_MAX).pending(),
    int("commandlog-reply-larger-than", MB, -1, LONG_MAX).pending(),
    int("commandlog-large-reply-max-len", 128, 0, LONG_MAX).pending(),
    int("latency-monitor-threshold", 0, 0, LONG_MAX),
    yes_no("latency-tracking", true),
    special(
        "latency-tracking-info-percentiles",
        Kind::Percentiles { default: &[50.0, 99.0, 99.9] },
    ),
    // Events.
    special("notify-keyspace-events", Kind::Events),
    // Encodings.
    int("hash-max-listpack-entries", 512, 0, LONG_MAX).aliases(&["hash-max-ziplist-entries"]),
    memory("hash-max-listpack-value", 64, 0, LONG_MAX).aliases(&["hash-max-ziplist-value"]),
    int("list-max-listpack-size", -2, INT_MIN, INT_MAX).aliases(&["list-max-ziplist-size"]),
    int("list-compress-depth", 0, 0, INT_MAX).no_effect(),
    int("set-max-intset-entries", 512, 0, LONG_MAX),
    int("set-max-listpack-entries", 128, 0, LONG_MAX),
    int("set-max-listpack-value", 64, 0, LONG_MAX),
    int("zset-max-listpack-entries", 128, 0, LONG_MAX).aliases(&["zset-max-ziplist-entries"]),
    memory("zset-max-listpack-value", 64, 0, LONG_MAX).aliases(&["zset-max-ziplist-value"]),
    memory("hll-sparse-max-bytes", 3000, 0, LONG_MAX),
    memory("stream-node-max-bytes", 4096, 0, LONG_MAX),
    int("stream-node-max-entries", 100, 0, LONG_MAX),
    // Background work.
    int("hz", 10, 0, INT_MAX),
    yes_no("dynamic-hz", true).no_effect(),
    yes_no("activerehashing", true).no_effect(),
    int("watchdog-period", 0, 0, INT_MAX).hidden().no_effect(),
    yes_no("use-exit-on-panic", false).hidden().no_effect(),
    yes_no("enable-debug-assert", false).immutable().hidden().no_effect(),
    text("debug-context", "").hidden().no_effect(),
    // Who we say we are.
    checked_text("compat-version", super::COMPAT_VERSION, check::version).immutable().own(),
];

/// The position of a directive in the [table](TABLE): what a [`Config`](super::Config) is indexed
/// by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u16);

impl Id {
    /// The row of the table.
    pub fn directive(self) -> &'static Directive {
        &TABLE[self.index()]
    }

    /// Position in the table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = Id> {
        (0..).take(TABLE.len()).map(Id)
    }
}

/// The position of a directive by its name. For constants: an unknown name does not compile.
pub(super) const fn id(name: &str) -> Id {
    let mut at = 0;
    while at < ROWS.len() {
        if same(ROWS[at].name, name) {
            return Id(at as u16);
        }
        at += 1;
    }
    panic!("no directive has this name")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Names and aliases in lower case.
static BY_NAME: LazyLock<HashMap<&'static str, Id>> = LazyLock::new(|| {
    let names = |id: Id| {
        let row = id.directive();
        std::iter::once(&row.name).chain(row.aliases).map(move |&name| (name, id))
    };
    Id::all().flat_map(names).collect()
});

/// Finds a directive by its name or an alias, without regard to ASCII case.
pub fn lookup(name: &[u8]) -> Option<Id> {
    let name = name.to_ascii_lowercase();
    BY_NAME.get(str::from_utf8(&name).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lower_case() {
        let rows = TABLE.iter().map(|row| 1 + row.aliases.len()).sum::<usize>();
        assert_eq!(BY_NAME.len(), rows);
        for name in BY_NAME.keys() {
            assert_eq!(*name, name.to_ascii_lowercase());
            assert!(lookup(name.to_ascii_uppercase().as_bytes()).is_some());
        }
    }

    #[test]
    fn defaults_are_valid_values() {
        for row in TABLE {
            let default = row.kind.default_value();
            let shown = row.kind.show(&default);
            let words: Vec<Vec<u8>> = if row.kind.takes_several() {
                shown.split(|&byte| byte == b' ').map(Into::into).collect()
            } else {
                vec![shown]
            };
            // An absent primary is the one value that cannot be said.
            if !matches!(row.kind, Kind::ReplicaOf) {
                assert_eq!(row.kind.parse(&words, &default), Ok(default), "{}", row.name);
            }
        }
    }
}
