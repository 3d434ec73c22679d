//! What tools read about the server: INFO, CLIENT LIST, COMMAND DOCS, MEMORY, statistics.

use anyhow::{Context, Result, ensure};
use kevy_tests::environment::Program;
use kevy_tests::server::{Layout, Server, eventually, on_each};
use kevy_tests::value::Value;
use std::collections::HashMap;

/// The fields of an INFO reply.
fn info(client: &mut kevy_tests::client::Client, section: &str) -> Result<HashMap<String, String>> {
    let text = client.words(format!("INFO {section}").trim_end())?.text();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Fields without which some client, exporter or application stops.
const NEEDED: &[&str] = &[
    "redis_version",
    "redis_mode",
    "os",
    "arch_bits",
    "process_id",
    "run_id",
    "tcp_port",
    "uptime_in_seconds",
    "uptime_in_days",
    "hz",
    "connected_clients",
    "maxclients",
    "blocked_clients",
    "used_memory",
    "used_memory_human",
    "used_memory_rss",
    "used_memory_peak",
    "used_memory_peak_human",
    "maxmemory",
    "maxmemory_policy",
    "mem_fragmentation_ratio",
    "mem_allocator",
    "loading",
    "rdb_changes_since_last_save",
    "rdb_bgsave_in_progress",
    "rdb_last_save_time",
    "rdb_last_bgsave_status",
    "aof_enabled",
    "total_connections_received",
    "total_commands_processed",
    "instantaneous_ops_per_sec",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "rejected_connections",
    "expired_keys",
    "evicted_keys",
    "keyspace_hits",
    "keyspace_misses",
    "total_error_replies",
    "role",
    "connected_slaves",
    "master_repl_offset",
    "used_cpu_sys",
    "used_cpu_user",
    "cluster_enabled",
];

#[test]
fn info_has_the_fields_that_others_need() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        let fields = info(&mut client, "")?;
        let missing: Vec<_> = NEEDED.iter().filter(|name| !fields.contains_key(**name)).collect();
        ensure!(missing.is_empty(), "INFO lacks {missing:?}");
        assert_eq!(fields["tcp_port"], server.port().to_string());
        assert_eq!(fields["process_id"], server.pid().to_string());
        let text = client.words("INFO")?.text();
        for section in [
            "Server",
            "Clients",
            "Memory",
            "Persistence",
            "Stats",
            "Replication",
            "CPU",
            "Cluster",
            "Keyspace",
        ] {
            ensure!(text.contains(&format!("# {section}\r\n")), "no section {section}");
        }
        Ok(())
    })
}

#[test]
fn the_chosen_driver_and_number_of_shards_are_what_runs() -> Result<()> {
    let program = Program::under_test()?;
    if !program.is_kevy {
        return Ok(());
    }
    for layout in Layout::all(&[1, 2, 4]) {
        let server = Server::start(&program, layout, &[])?;
        let mut client = server.client()?;
        let fields = info(&mut client, "server")?;
        assert_eq!(fields["io_backend"], layout.backend.name());
        let shards = client.words("CONFIG GET shards")?;
        let shards = shards.items().context("CONFIG GET")?;
        assert_eq!(shards[1].text(), layout.shards.to_string());
    }
    Ok(())
}

#[test]
fn statistics_count_what_happened() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        client.words("CONFIG RESETSTAT")?;
        for number in 0..20 {
            client.words(&format!("SET key:{number} v"))?;
            client.words(&format!("GET key:{number}"))?;
            client.words(&format!("GET none:{number}"))?;
        }
        client.words("MGET key:1 key:2 none")?;
        client.words("INCR key:1")?;
        client.words("NOSUCH")?;
        client.words("EXPIRE key:3 1000")?;
        eventually("statistics of all shards are in INFO", || {
            let stats = info(&mut client, "stats")?;
            Ok(stats["keyspace_hits"] == "22" && stats["keyspace_misses"] == "21")
        })?;
        let commands = info(&mut client, "commandstats")?;
        ensure!(commands["cmdstat_get"].starts_with("calls=40,"), "{commands:?}");
        ensure!(commands["cmdstat_incr"].contains("failed_calls=1"), "{commands:?}");
        let errors = info(&mut client, "errorstats")?;
        assert_eq!(errors["errorstat_ERR"], "count=2");
        let keyspace = info(&mut client, "keyspace")?;
        ensure!(keyspace["db0"].starts_with("keys=20,expires=1,avg_ttl="), "{keyspace:?}");
        Ok(())
    })
}

#[test]
fn client_list_shows_every_connection() -> Result<()> {
    on_each(&[1, 4], &[], |server| {
        let mut clients = Vec::new();
        for number in 0..6 {
            let mut client = server.client()?;
            client.words(&format!("CLIENT SETNAME worker-{number}"))?;
            clients.push(client);
        }
        clients[1].words("SELECT 3")?;
        clients[2].words("MULTI")?;
        clients[2].words("PING")?;
        clients[3].words("WATCH a b")?;
        let list = clients[0].words("CLIENT LIST")?.text();
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines.len(), 6, "{list}");
        let of = |number: usize| {
            let name = format!("name=worker-{number} ");
            lines.iter().copied().find(|line| line.contains(&name)).context("a worker is missing")
        };
        let fields: Vec<&str> = of(0)?.split(' ').filter_map(|f| f.split('=').next()).collect();
        let first = [
            "id", "addr", "laddr", "fd", "name", "age", "idle", "flags", "db", "sub", "psub",
            "ssub", "multi",
        ];
        ensure!(fields.starts_with(&first), "{fields:?}");
        ensure!(of(0)?.contains("cmd=client|list"), "{list}");
        ensure!(of(1)?.contains("db=3 "), "{list}");
        ensure!(of(2)?.contains("flags=x") && of(2)?.contains("multi=1 "), "{list}");
        let address = clients[4].local_address().context("TCP")?;
        ensure!(of(4)?.contains(&format!("addr={address} ")), "{list}");
        // Closing by address reaches a connection wherever it lives.
        let reply = clients[0].words(&format!("CLIENT KILL ADDR {address}"))?;
        assert_eq!(reply, Value::Integer(1));
        ensure!(clients[4].read_to_end()?.is_empty());
        let id = clients[5].words("CLIENT ID")?.integer().context("an id")?;
        assert_eq!(clients[0].words(&format!("CLIENT KILL ID {id}"))?, Value::Integer(1));
        ensure!(clients[5].read_to_end()?.is_empty());
        eventually("the list is shorter", || {
            Ok(clients[0].words("CLIENT LIST")?.text().lines().count() == 4)
        })
    })
}

#[test]
fn client_reply_silences_a_connection() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        client.send_raw(
            b"CLIENT REPLY OFF\r\nSET a 1\r\nSET b 2\r\nNOSUCH\r\nCLIENT REPLY ON\r\nMGET a b\r\n",
        )?;
        ensure!(client.read()?.is_ok());
        assert_eq!(client.read()?.items().map(<[Value]>::len), Some(2));
        client.send_raw(b"CLIENT REPLY SKIP\r\nSET a 3\r\nGET a\r\n")?;
        assert_eq!(client.read()?.text(), "3");
        Ok(())
    })
}

#[test]
fn memory_is_accounted_for() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        let used = |client: &mut kevy_tests::client::Client| -> Result<i64> {
            Ok(info(client, "memory")?["used_memory"].parse()?)
        };
        let before = used(&mut client)?;
        let value = vec![b'v'; 1000];
        let mut keys = Vec::new();
        for number in 0..10_000 {
            keys.push([b"SET".to_vec(), format!("key:{number}").into_bytes(), value.clone()]);
        }
        client.pipeline(&keys)?;
        eventually("10 MB of values are accounted for, and not much more", || {
            Ok((10_000_000..16_000_000).contains(&(used(&mut client)? - before)))
        })?;
        let usage = client.words("MEMORY USAGE key:7")?.integer().context("MEMORY USAGE")?;
        ensure!((1000..1300).contains(&usage), "{usage}");
        client.words("FLUSHALL")?;
        eventually("memory is given back", || Ok(used(&mut client)? - before < 2_000_000))
    })
}

#[test]
fn command_docs_describe_what_there_is() -> Result<()> {
    on_each(&[1], &[], |server| {
        let mut client = server.client()?;
        let reply = client.words("COMMAND DOCS set get config|set nosuch")?;
        let items = reply.items().context("COMMAND DOCS")?;
        assert_eq!(items.len(), 6, "{reply:?}");
        let count = client.words("COMMAND COUNT")?.integer().context("COMMAND COUNT")?;
        let all = client.words("COMMAND")?;
        assert_eq!(all.items().map(|rows| rows.len() as i64), Some(count));
        // The list has the subcommands too.
        let list = client.words("COMMAND LIST")?;
        ensure!(list.items().is_some_and(|names| names.len() as i64 > count));
        Ok(())
    })
}
