//! Sections about what has been counted.

use super::{Scene, Sheet};

pub(super) fn stats(scene: &Scene<'_>, sheet: &mut Sheet) {
    let totals = &scene.totals;
    let rate = scene.engine.rates.mean();
    sheet.field("total_connections_received", totals.connections);
    sheet.field("total_commands_processed", totals.processed);
    sheet.field("instantaneous_ops_per_sec", rate.commands as u64);
    sheet.field("total_net_input_bytes", totals.received);
    sheet.field("total_net_output_bytes", totals.sent);
    sheet.fixed(&[("total_net_repl_input_bytes", "0"), ("total_net_repl_output_bytes", "0")]);
    sheet.field("instantaneous_input_kbps", format_args!("{:.2}", rate.received / 1024.0));
    sheet.field("instantaneous_output_kbps", format_args!("{:.2}", rate.sent / 1024.0));
    sheet.fixed(&[
        ("instantaneous_input_repl_kbps", "0.00"),
        ("instantaneous_output_repl_kbps", "0.00"),
    ]);
    sheet.field("rejected_connections", totals.refused);
    sheet.fixed(&[("sync_full", "0"), ("sync_partial_ok", "0"), ("sync_partial_err", "0")]);
    sheet.field("expired_keys", totals.expired);
    sheet.fixed(&[
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", "0"),
        ("expire_cycle_cpu_milliseconds", "0"),
        ("evicted_keys", "0"),
        ("evicted_clients", "0"),
        ("total_eviction_exceeded_time", "0"),
        ("current_eviction_exceeded_time", "0"),
    ]);
    sheet.field("keyspace_hits", totals.hits);
    sheet.field("keyspace_misses", totals.misses);
    sheet.fixed(&[
        ("pubsub_channels", "0"),
        ("pubsub_patterns", "0"),
        ("pubsubshard_channels", "0"),
        ("latest_fork_usec", "0"),
        ("total_forks", "0"),
        ("migrate_cached_sockets", "0"),
        ("slave_expires_tracked_keys", "0"),
        ("active_defrag_hits", "0"),
        ("active_defrag_misses", "0"),
        ("active_defrag_key_hits", "0"),
        ("active_defrag_key_misses", "0"),
        ("total_active_defrag_time", "0"),
        ("current_active_defrag_time", "0"),
        ("tracking_total_keys", "0"),
        ("tracking_total_items", "0"),
        ("tracking_total_prefixes", "0"),
        ("unexpected_error_replies", "0"),
    ]);
    sheet.field("total_error_replies", totals.errors);
    sheet.fixed(&[
        ("dump_payload_sanitizations", "0"),
        ("io_threaded_reads_processed", "0"),
        ("io_threaded_writes_processed", "0"),
        ("reply_buffer_shrinks", "0"),
        ("reply_buffer_expands", "0"),
    ]);
    sheet.field("client_query_buffer_limit_disconnections", totals.input_limit);
    sheet.field("client_output_buffer_limit_disconnections", totals.output_limit);
    sheet.fixed(&[("acl_access_denied_auth", "0"), ("acl_access_denied_cmd", "0")]);
    sheet.fixed(&[("acl_access_denied_key", "0"), ("acl_access_denied_channel", "0")]);
}

pub(super) fn commandstats(scene: &Scene<'_>, sheet: &mut Sheet) {
    let per_micro = scene.engine.scale.ticks_per_micro();
    for (id, entry) in scene.call.table.entries() {
        let Some(counts) = scene.totals.commands.get(usize::from(id.0)) else { continue };
        if counts.calls == 0 && counts.rejected == 0 && counts.failed == 0 {
            continue;
        }
        let micros = counts.ticks as f64 / per_micro;
        let each = micros / counts.calls.max(1) as f64;
        sheet.line(format_args!(
            "cmdstat_{}:calls={},usec={},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
            entry.full_name, counts.calls, micros as u64, counts.rejected, counts.failed
        ));
    }
}

pub(super) fn errorstats(scene: &Scene<'_>, sheet: &mut Sheet) {
    for (code, count) in &scene.totals.codes {
        sheet.field(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub(super) fn keyspace(scene: &Scene<'_>, sheet: &mut Sheet) {
    for db in 0..scene.call.settings.databases {
        let (mut keys, mut volatile, mut ttl_sum) = (0, 0, 0_u128);
        for store in scene.engine.world.all_store_counters() {
            let Some(figures) = store.dbs.get(db) else { continue };
            keys += figures.keys.get();
            volatile += figures.volatile.get();
            let ttl = u128::from(figures.average_ttl.get());
            ttl_sum += ttl * u128::from(figures.volatile.get());
        }
        if keys > 0 {
            let ttl = ttl_sum / u128::from(volatile.max(1));
            sheet.line(format_args!("db{db}:keys={keys},expires={volatile},avg_ttl={ttl}"));
        }
    }
}

pub(super) fn shards(scene: &Scene<'_>, sheet: &mut Sheet) {
    let engine = scene.engine;
    for (shard, counters) in engine.world.all_shard_counters().enumerate() {
        sheet.line(format_args!(
            "shard{shard}:clients={},commands={},turns={},queued_batches={},handed_over={},\
             net_input_bytes={},net_output_bytes={}",
            engine.control.connections(shard),
            counters.processed.get(),
            counters.turns.get(),
            counters.queued_batches.get(),
            counters.handed_over.get(),
            counters.received.get(),
            counters.sent.get()
        ));
    }
    for (store, counters) in engine.world.all_store_counters().enumerate() {
        let keys: u64 = counters.dbs.iter().map(|db| db.keys.get()).sum();
        sheet.line(format_args!(
            "store{store}:keys={keys},memory={},hits={},misses={},expired={}",
            counters.memory(),
            counters.hits.get(),
            counters.misses.get(),
            counters.expired.get()
        ));
    }
}
