//! Sections about the server, its clients, persistence and replication.

use std::path::Path;
use std::process::id as process_id;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use kevy_command::{Client, ClientFlags};
use kevy_shard::counters::StoreCounters;

use super::{Scene, Sheet};
use crate::cli::build_id;
use crate::config::Config;
use crate::process::Supervision;

const MS_PER_SECOND: i64 = 1000;
const SECONDS_PER_DAY: i64 = 86_400;
/// The clock of `OBJECT IDLETIME` has 24 bits.
const CLOCK_MASK: i64 = 0xff_ffff;

pub(super) fn server(scene: &Scene<'_>, sheet: &mut Sheet) {
    let (engine, call) = (scene.engine, scene.call);
    let (config, identity) = (engine.config(), &engine.identity);
    let backend = engine.control.backend().map(|backend| backend.to_string()).unwrap_or_default();
    let uptime = (call.now_ms - identity.started_ms).max(0) / MS_PER_SECOND;
    sheet.field("redis_version", &call.settings.compat_version);
    sheet.fixed(&[("redis_git_sha1", "00000000"), ("redis_git_dirty", "0")]);
    sheet.field("redis_build_id", format_args!("{:x}", build_id()));
    sheet.field("redis_mode", if config.cluster_enabled() { "cluster" } else { "standalone" });
    sheet.field("kevy_version", env!("CARGO_PKG_VERSION"));
    sheet.field("os", crate::machine::system_name());
    sheet.field("arch_bits", usize::BITS);
    sheet.field("monotonic_clock", "POSIX clock_gettime");
    sheet.field("multiplexing_api", &backend);
    sheet.field("io_backend", &backend);
    sheet.field("shards", engine.world.shards());
    sheet.field("stores", engine.world.stores());
    sheet.field("process_id", process_id());
    sheet.field(
        "process_supervised",
        match identity.supervision {
            Supervision::None => "no",
            Supervision::Systemd => "systemd",
            Supervision::Upstart => "upstart",
        },
    );
    sheet.field("run_id", &identity.run_id);
    sheet.field("tcp_port", config.port());
    sheet.field("server_time_usec", call.now_us);
    sheet.field("uptime_in_seconds", uptime);
    sheet.field("uptime_in_days", uptime / SECONDS_PER_DAY);
    sheet.field("hz", config.hz());
    sheet.field("configured_hz", config.hz());
    sheet.field("lru_clock", (call.now_ms / MS_PER_SECOND) & CLOCK_MASK);
    sheet.field("executable", identity.executable.display());
    sheet.field("config_file", config.file().unwrap_or(Path::new("")).display());
    sheet.field("io_threads_active", 0);
    listeners(&config, sheet);
}

/// One line for each kind of listener.
fn listeners(config: &Config, sheet: &mut Sheet) {
    let mut lines = Vec::new();
    if config.port() != 0 {
        let binds: String =
            config.bind().iter().map(|bind| format!("bind={},", bind.host)).collect();
        lines.push(format!("name=tcp,{binds}port={}", config.port()));
    }
    if !config.unixsocket().is_empty() {
        let path = String::from_utf8_lossy(config.unixsocket());
        lines.push(format!("name=unix,bind={path}"));
    }
    for (number, line) in lines.iter().enumerate() {
        sheet.field(&format!("listener{number}"), line);
    }
}

pub(super) fn clients(scene: &Scene<'_>, sheet: &mut Sheet) {
    let engine = scene.engine;
    let clients = engine.world.clients();
    let most = |of: fn(&Client) -> u64| clients.iter().map(|client| of(client)).max().unwrap_or(0);
    let is_blocked = |client: &&Arc<Client>| client.flags().contains(ClientFlags::BLOCKED);
    let blocked = clients.iter().filter(is_blocked).count();
    let watching = clients.iter().filter(|client| client.watching.load(Relaxed) > 0).count();
    let watched: u64 = clients.iter().map(|client| u64::from(client.watching.load(Relaxed))).sum();
    sheet.field("connected_clients", engine.world.connected());
    sheet.field("cluster_connections", 0);
    sheet.field("maxclients", scene.call.settings.max_clients);
    sheet.field("client_recent_max_input_buffer", most(|client| client.input.load(Relaxed)));
    sheet.field("client_recent_max_output_buffer", most(|client| client.output.load(Relaxed)));
    sheet.field("blocked_clients", blocked);
    sheet.fixed(&[("tracking_clients", "0"), ("pubsub_clients", "0")]);
    sheet.field("watching_clients", watching);
    sheet.field("clients_in_timeout_table", engine.world.timed_waits());
    sheet.field("total_watched_keys", watched);
    let sum =
        |of: fn(&StoreCounters) -> u64| engine.world.all_store_counters().map(of).sum::<u64>();
    sheet.field("total_blocking_keys", sum(|counters| counters.waited.get()));
    sheet.field("total_blocking_keys_on_nokey", sum(|counters| counters.loss_waited.get()));
}

pub(super) fn persistence(scene: &Scene<'_>, sheet: &mut Sheet) {
    sheet.fixed(&[
        ("loading", "0"),
        ("async_loading", "0"),
        ("current_cow_peak", "0"),
        ("current_cow_size", "0"),
        ("current_cow_size_age", "0"),
        ("current_fork_perc", "0.00"),
        ("current_save_keys_processed", "0"),
        ("current_save_keys_total", "0"),
    ]);
    let changes = scene.engine.world.all_shard_counters().map(|counters| counters.changes.get());
    sheet.field("rdb_changes_since_last_save", changes.sum::<u64>());
    sheet.fixed(&[("rdb_bgsave_in_progress", "0")]);
    sheet.field("rdb_last_save_time", scene.engine.identity.started_ms / MS_PER_SECOND);
    sheet.fixed(&[
        ("rdb_last_bgsave_status", "ok"),
        ("rdb_last_bgsave_time_sec", "-1"),
        ("rdb_current_bgsave_time_sec", "-1"),
        ("rdb_saves", "0"),
        ("rdb_last_cow_size", "0"),
        ("rdb_last_load_keys_expired", "0"),
        ("rdb_last_load_keys_loaded", "0"),
        ("aof_enabled", "0"),
        ("aof_rewrite_in_progress", "0"),
        ("aof_rewrite_scheduled", "0"),
        ("aof_last_rewrite_time_sec", "-1"),
        ("aof_current_rewrite_time_sec", "-1"),
        ("aof_last_bgrewrite_status", "ok"),
        ("aof_rewrites", "0"),
        ("aof_rewrites_consecutive_failures", "0"),
        ("aof_last_write_status", "ok"),
        ("aof_last_cow_size", "0"),
        ("module_fork_in_progress", "0"),
        ("module_fork_last_cow_size", "0"),
    ]);
}

pub(super) fn replication(scene: &Scene<'_>, sheet: &mut Sheet) {
    sheet.fixed(&[
        ("role", "master"),
        ("connected_slaves", "0"),
        ("master_failover_state", "no-failover"),
    ]);
    sheet.field("master_replid", &scene.engine.identity.replication_id);
    sheet.field("master_replid2", "0".repeat(40));
    sheet.fixed(&[
        ("master_repl_offset", "0"),
        ("second_repl_offset", "-1"),
        ("repl_backlog_active", "0"),
    ]);
    sheet.field("repl_backlog_size", scene.engine.config().repl_backlog_size());
    sheet.fixed(&[("repl_backlog_first_byte_offset", "0"), ("repl_backlog_histlen", "0")]);
}

pub(super) fn cluster(scene: &Scene<'_>, sheet: &mut Sheet) {
    sheet.field("cluster_enabled", u8::from(scene.engine.config().cluster_enabled()));
}
