//! The closed sets of words that directives choose from.

/// Declares an enum whose variants are the words of a directive. A later word with the value of an
/// earlier one is another spelling of it.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal $(| $other:literal)*),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// The words and their values, in the order in which errors list them.
            pub const WORDS: &[(&str, u8)] =
                &[$(($word, $name::$variant as u8), $(($other, $name::$variant as u8),)*)+];

            /// The variant of a value; the first one if there is none.
            pub fn from_value(value: u8) -> Self {
                [$($name::$variant),+].into_iter().find(|it| *it as u8 == value)
                    .unwrap_or([$($name::$variant),+][0])
            }

            /// The word that `CONFIG GET` shows.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
    )+};
}

choices! {
    /// `maxmemory-policy`: which keys are evicted when memory runs out.
    MaxmemoryPolicy {
        /// Least recently used of those with an expiry.
        VolatileLru = "volatile-lru",
        /// Least frequently used of those with an expiry.
        VolatileLfu = "volatile-lfu",
        /// Any of those with an expiry.
        VolatileRandom = "volatile-random",
        /// Soonest to expire.
        VolatileTtl = "volatile-ttl",
        /// Least recently used.
        AllkeysLru = "allkeys-lru",
        /// Least frequently used.
        AllkeysLfu = "allkeys-lfu",
        /// Any.
        AllkeysRandom = "allkeys-random",
        /// None: writes are refused.
        Noeviction = "noeviction",
    }
    /// `loglevel`: the least level that is logged.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Without the details useful only to developers.
        Verbose = "verbose",
        /// What an operator wants to know.
        Notice = "notice",
        /// What an operator must know.
        Warning = "warning",
        /// No log at all.
        Nothing = "nothing",
    }
    /// `log-format`: the form of log lines.
    LogFormat {
        /// `PID:ROLE TIME LEVEL message`.
        Redis = "redis" | "legacy",
        /// One JSON object for each line.
        Json = "json",
        /// `key="value"` pairs.
        Logfmt = "logfmt",
    }
    /// `log-timestamp-format`: how the time is written in log lines.
    TimestampFormat {
        /// `DD Mon YYYY HH:MM:SS.mmm` in local time.
        Legacy = "legacy",
        /// `YYYY-MM-DDTHH:MM:SS.mmm+HH:MM`.
        Iso8601 = "iso8601",
        /// Milliseconds since the epoch.
        Milliseconds = "milliseconds",
    }
    /// `supervised`: who started the server and waits for it to be ready.
    Supervised {
        /// Upstart: the process stops itself once when it is ready.
        Upstart = "upstart",
        /// systemd: readiness goes to the notification socket.
        Systemd = "systemd",
        /// Whichever of the two the environment shows.
        Auto = "auto",
        /// Nobody.
        No = "no",
    }
    /// `appendfsync`: when the log is made durable.
    Appendfsync {
        /// Once a second.
        Everysec = "everysec",
        /// Before a reply leaves.
        Always = "always",
        /// When the system likes.
        No = "no",
    }
    /// `repl-diskless-load`.
    DisklessLoad {
        /// Through a file.
        Disabled = "disabled",
        /// From the socket when there is no data to lose.
        OnEmptyDb = "on-empty-db",
        /// From the socket beside the old data.
        Swapdb = "swapdb",
        /// From the socket after the old data is dropped.
        FlushBeforeLoad = "flush-before-load",
    }
    /// `tls-auth-clients`.
    TlsAuthClients {
        /// Clients need no certificate.
        No = "no",
        /// Clients must present one.
        Yes = "yes",
        /// One that is presented must be valid.
        Optional = "optional",
    }
    /// `oom-score-adj`.
    OomScoreAdj {
        /// Left alone.
        No = "no",
        /// Added to the score at start.
        Relative = "yes" | "relative",
        /// Set.
        Absolute = "absolute",
    }
    /// `acl-pubsub-default`: the channels of a new user.
    AclPubsubDefault {
        /// All.
        Allchannels = "allchannels",
        /// None.
        Resetchannels = "resetchannels",
    }
    /// `sanitize-dump-payload`: whether loaded payloads are checked in depth.
    SanitizeDumpPayload {
        /// Never.
        No = "no",
        /// Always.
        Yes = "yes",
        /// When they come from ordinary clients.
        Clients = "clients",
    }
    /// `enable-debug-command`, `enable-module-command`, `enable-protected-configs`.
    ProtectedAction {
        /// Nobody may.
        No = "no",
        /// Everybody may.
        Yes = "yes",
        /// Clients of this machine may.
        Local = "local",
    }
    /// `cluster-preferred-endpoint-type`.
    EndpointType {
        /// The address.
        Ip = "ip",
        /// The host name.
        Hostname = "hostname",
        /// None: clients use the address they have.
        Unknown = "unknown-endpoint",
    }
    /// `propagation-error-behavior`.
    PropagationError {
        /// Go on.
        Ignore = "ignore",
        /// Stop the server.
        Panic = "panic",
        /// Stop it if it is a replica.
        PanicOnReplicas = "panic-on-replicas",
    }
    /// `syslog-facility`.
    SyslogFacility {
        /// User processes.
        User = "user",
        /// Local use 0.
        Local0 = "local0",
        /// Local use 1.
        Local1 = "local1",
        /// Local use 2.
        Local2 = "local2",
        /// Local use 3.
        Local3 = "local3",
        /// Local use 4.
        Local4 = "local4",
        /// Local use 5.
        Local5 = "local5",
        /// Local use 6.
        Local6 = "local6",
        /// Local use 7.
        Local7 = "local7",
    }
    /// `io-backend`: how the shards talk to the kernel.
    IoBackend {
        /// io_uring where the kernel offers what is needed, else epoll.
        Auto = "auto",
        /// io_uring, or no start.
        IoUring = "io_uring",
        /// epoll.
        Epoll = "epoll",
    }
    /// `pipeline-order`: how strictly the writes of one connection's pipeline are ordered.
    PipelineOrder {
        /// A write is never visible before an earlier one of the same connection.
        Strict = "strict",
        /// Writes to different stores may become visible in any order.
        Relaxed = "relaxed",
    }
    /// `rdb-version`: the format version of snapshots.
    RdbVersion {
        /// The lowest that holds the data without loss of meaning.
        Auto = "auto",
        /// Redis 7.0.
        V10 = "10",
        /// Redis 7.2.
        V11 = "11",
        /// Redis 7.4.
        V12 = "12",
    }
}
