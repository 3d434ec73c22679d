//! Commands that wait for data. What redis-server does too is asked of it as well.

use anyhow::{Result, ensure};
use kevy_tests::client::Client;
use kevy_tests::environment::{Need, Program};
use kevy_tests::server::{Layout, Server, eventually, on_each};
use std::time::{Duration, Instant};

/// Runs `test` on kevy with one and several shards on each driver, and on redis-server.
fn on_all(test: fn(&mut Server) -> Result<()>) -> Result<()> {
    on_each(&[1, 2, 3], &[], test)?;
    if Need::RedisServer.wanted() {
        test(&mut Server::oracle(&[])?)?;
    }
    Ok(())
}

fn info(server: &Server, field: &str) -> Result<i64> {
    let text = server.client()?.words("INFO clients")?.text();
    let line =
        text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")).map(str::to_owned));
    Ok(line.and_then(|value| value.parse().ok()).unwrap_or(-1))
}

/// Waits until so many clients wait.
fn waiting(server: &Server, clients: i64) -> Result<()> {
    eventually(&format!("{clients} clients wait"), || {
        Ok(info(server, "blocked_clients")? == clients)
    })
}

/// A client whose command waits.
fn waiter(server: &Server, command: &str) -> Result<Client> {
    let before = info(server, "blocked_clients")?;
    let mut client = server.client()?;
    client.send(&command.split(' ').collect::<Vec<_>>())?;
    waiting(server, before + 1)?;
    Ok(client)
}

/// The reply of a client, one line for each part.
fn reply(client: &mut Client) -> Result<String> {
    Ok(format!("{:?}", client.read()?))
}

fn said(client: &mut Client, command: &str) -> Result<String> {
    Ok(format!("{:?}", client.words(command)?))
}

#[test]
fn data_of_each_type_ends_the_waiting() -> Result<()> {
    on_all(|server| {
        let mut writer = server.client()?;
        writer.words("XGROUP CREATE stream-g g $ MKSTREAM")?;
        let cases = [
            ("BLPOP none list 0", "RPUSH list a b", "LPUSH list a"),
            ("BRPOP none list 0", "RPUSH list a b", "LPUSH list b"),
            ("BLMPOP 0 2 none list LEFT COUNT 5", "RPUSH list a b", ""),
            ("BLMOVE list other LEFT RIGHT 0", "RPUSH list a b", ""),
            ("BRPOPLPUSH list other 0", "RPUSH list a b", ""),
            ("BZPOPMIN none zset 0", "ZADD zset 1 a 2 b", ""),
            ("BZPOPMAX none zset 0", "ZADD zset 1 a 2 b", ""),
            ("BZMPOP 0 2 none zset MAX COUNT 5", "ZADD zset 1 a 2 b", ""),
            ("XREAD BLOCK 0 STREAMS stream $", "XADD stream 5-1 f v", ""),
            ("XREAD BLOCK 0 COUNT 1 STREAMS none stream 0 $", "XADD stream 6-1 f v", ""),
            ("XREADGROUP GROUP g c BLOCK 0 STREAMS stream-g >", "XADD stream-g 5-1 f v", ""),
        ];
        for (waits, writes, _) in cases {
            writer.words("DEL list other zset")?;
            let mut client = waiter(server, waits)?;
            writer.words(writes)?;
            let late = reply(&mut client)?;
            // The same, when the data is there first.
            writer.words("DEL list other zset")?;
            if !waits.starts_with('X') {
                writer.words(writes)?;
                let early = said(&mut client, waits)?;
                ensure!(late == early, "{waits}: {late} after waiting, {early} at once");
            }
            ensure!(!late.contains("ERR") && !late.contains("(nil)"), "{waits}: {late}");
        }
        Ok(())
    })
}

#[test]
fn time_runs_out_and_not_before() -> Result<()> {
    on_all(|server| {
        let mut client = server.client()?;
        let commands = [
            "BLPOP a b 0.05",
            "BRPOP a 0.05",
            "BLMPOP 0.05 1 a LEFT",
            "BLMOVE a b LEFT LEFT 0.05",
            "BRPOPLPUSH a b 0.05",
            "BZPOPMIN a 0.05",
            "BZMPOP 0.05 2 a b MIN",
            "XREAD BLOCK 50 STREAMS a 0",
        ];
        for proto in ["HELLO 2", "HELLO 3"] {
            client.words(proto)?;
            for command in commands {
                let begin = Instant::now();
                let said = said(&mut client, command)?;
                let took = begin.elapsed();
                ensure!(said.contains("(nil)"), "{command}: {said}");
                ensure!(took >= Duration::from_millis(50), "{command} after {took:?}");
                ensure!(took < Duration::from_secs(2), "{command} after {took:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn timeouts_are_looked_at() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        let cases = [
            ("-1", "timeout is negative"),
            ("-0.001", "timeout is negative"),
            ("x", "timeout is not a float or out of range"),
            ("nan", "timeout is not a float or out of range"),
            ("9223372036854775807", "timeout is out of range"),
            ("inf", "timeout is out of range"),
        ];
        for (timeout, error) in cases {
            for command in ["BLPOP a", "BZPOPMAX a", "BLMOVE a b LEFT LEFT"] {
                let said = said(&mut client, &format!("{command} {timeout}"))?;
                ensure!(said.contains(&format!("ERR {error}")), "{command} {timeout}: {said}");
            }
        }
        for (timeout, error) in [("x", "not an integer or out of range"), ("-1", "negative")] {
            let said = said(&mut client, &format!("XREAD BLOCK {timeout} STREAMS a 0"))?;
            ensure!(said.contains(&format!("ERR timeout is {error}")), "{timeout}: {said}");
        }
        Ok(())
    })
}

#[test]
fn who_came_first_is_served_first() -> Result<()> {
    on_all(|server| {
        let mut clients = Vec::new();
        for _ in 0..12 {
            clients.push(waiter(server, "BLPOP queue 0")?);
        }
        let mut writer = server.client()?;
        let words: Vec<String> = (0..6).map(|n| n.to_string()).collect();
        ensure!(writer.words(&format!("RPUSH queue {}", words.join(" ")))?.integer() == Some(6));
        for n in 6..12 {
            ensure!(writer.words(&format!("RPUSH queue {n}"))?.integer() == Some(1));
        }
        for (n, client) in clients.iter_mut().enumerate() {
            let reply = client.read()?;
            let got = reply.items().and_then(|items| items.get(1)).map(|item| item.text());
            ensure!(got == Some(n.to_string()), "client {n} got {reply:?}");
        }
        ensure!(writer.words("EXISTS queue")?.integer() == Some(0));
        Ok(())
    })
}

#[test]
fn what_stands_behind_waits_too() -> Result<()> {
    on_all(|server| {
        let mut client = server.client()?;
        client.send_raw(b"PING\r\nSET before 1\r\nBLPOP queue 0\r\nGET after\r\n")?;
        ensure!(client.read()?.text() == "PONG" && client.read()?.is_ok());
        waiting(server, 1)?;
        let mut writer = server.client()?;
        ensure!(writer.words("GET before")?.text() == "1");
        writer.words("SET after 2")?;
        writer.words("RPUSH queue x")?;
        ensure!(client.read()?.items().is_some_and(|items| items.len() == 2));
        ensure!(client.read()?.text() == "2");
        Ok(())
    })
}

#[test]
fn transactions_wait_for_nobody_and_are_seen_whole() -> Result<()> {
    on_all(|server| {
        let mut client = waiter(server, "BLPOP queue 0")?;
        let mut other = server.client()?;
        for command in
            ["MULTI", "RPUSH queue a", "DEL queue", "BLPOP queue 0", "BLMOVE queue b LEFT LEFT 0"]
        {
            other.words(command)?;
        }
        let said = other.words("EXEC")?;
        let nothing = |at: usize| {
            said.items().is_some_and(|items| format!("{:?}", items[at]).contains("(nil)"))
        };
        ensure!(nothing(2) && nothing(3), "{said:?}");
        for command in ["MULTI", "RPUSH queue a", "LPUSH queue b", "SET queue2 x", "EXEC"] {
            other.words(command)?;
        }
        let got = client.read()?;
        ensure!(got.items().is_some_and(|items| items[1].text() == "b"), "{got:?}");
        Ok(())
    })
}

#[test]
fn an_element_passes_through_a_chain_of_moves() -> Result<()> {
    on_all(|server| {
        let mut clients = Vec::new();
        for n in 0..5 {
            clients.push(waiter(server, &format!("BLMOVE list:{n} list:{} LEFT RIGHT 0", n + 1))?);
        }
        let mut writer = server.client()?;
        writer.words("RPUSH list:0 x")?;
        for client in &mut clients {
            ensure!(client.read()?.text() == "x");
        }
        ensure!(writer.words("LRANGE list:5 0 -1")?.items().is_some_and(|items| items.len() == 1));
        // In a circle of two, and onto itself.
        let mut one = waiter(server, "BLMOVE a b LEFT RIGHT 0")?;
        let mut two = waiter(server, "BLMOVE b a LEFT RIGHT 0")?;
        writer.words("RPUSH a x")?;
        ensure!(one.read()?.text() == "x" && two.read()?.text() == "x");
        ensure!(writer.words("LLEN a")?.integer() == Some(1));
        let mut itself = waiter(server, "BLMOVE c c LEFT RIGHT 0")?;
        writer.words("RPUSH c 1 2")?;
        ensure!(itself.read()?.text() == "1");
        ensure!(writer.words("LINDEX c 0")?.text() == "2");
        Ok(())
    })
}

#[test]
fn a_destination_of_another_type_is_an_error_and_loses_nothing() -> Result<()> {
    on_all(|server| {
        let mut writer = server.client()?;
        writer.words("SET text x")?;
        let mut first = waiter(server, "BLMOVE list text LEFT RIGHT 0")?;
        let mut second = waiter(server, "BLPOP list 0")?;
        writer.words("RPUSH list a")?;
        ensure!(first.read()?.is_error());
        ensure!(second.read()?.items().is_some_and(|items| items[1].text() == "a"));
        // A key of another type serves nobody.
        let mut client = waiter(server, "BLPOP list 0")?;
        writer.words("ZADD list 1 a")?;
        writer.words("DEL list")?;
        writer.words("RPUSH list b")?;
        ensure!(client.read()?.items().is_some_and(|items| items[1].text() == "b"));
        Ok(())
    })
}

#[test]
fn every_way_in_which_a_list_appears_serves() -> Result<()> {
    on_all(|server| {
        let mut writer = server.client()?;
        let ways: [&[&str]; 6] = [
            &["RPUSH other x", "RENAME other key"],
            &["RPUSH other x", "COPY other key"],
            &["SELECT 1", "RPUSH key x", "MOVE key 0", "SELECT 0"],
            &["SELECT 1", "RPUSH key x", "SWAPDB 0 1", "SELECT 0"],
            &["RPUSH other x", "LMOVE other key LEFT LEFT"],
            &["RPUSH other x", "SORT other ALPHA STORE key"],
        ];
        for way in ways {
            writer.words("FLUSHALL")?;
            let mut client = waiter(server, "BLPOP key 0")?;
            for command in way {
                let said = writer.words(command)?;
                if said.is_error() && command.starts_with("SORT") {
                    // Not there yet.
                    writer.words("RPUSH key x")?;
                    continue;
                }
                ensure!(!said.is_error(), "{command}: {said:?}");
            }
            let got = client.read()?;
            ensure!(got.items().is_some_and(|items| items[1].text() == "x"), "{way:?}: {got:?}");
        }
        Ok(())
    })
}

#[test]
fn who_hangs_up_takes_nothing() -> Result<()> {
    on_all(|server| {
        for half in [true, false] {
            let client = waiter(server, "BLPOP a b c 0")?;
            if half {
                client.half_close()?;
            }
            drop(client);
            waiting(server, 0)?;
            let mut writer = server.client()?;
            for key in ["a", "b", "c"] {
                writer.words(&format!("RPUSH {key} x"))?;
                ensure!(writer.words(&format!("LPOP {key}"))?.text() == "x");
            }
        }
        Ok(())
    })
}

#[test]
fn other_clients_see_and_end_the_waiting() -> Result<()> {
    on_all(|server| {
        let mut other = server.client()?;
        let mut client = server.client()?;
        let id = client.words("CLIENT ID")?.integer().unwrap_or(0);
        let unblock = |how: &str| format!("CLIENT UNBLOCK {id}{how}");
        ensure!(other.words(&unblock(""))?.integer() == Some(0));
        for (how, expected) in [
            ("", "(nil)"),
            (" TIMEOUT", "(nil)"),
            (" ERROR", "UNBLOCKED client unblocked via CLIENT UNBLOCK"),
        ] {
            client.send(&["BLPOP", "a", "b", "0"])?;
            waiting(server, 1)?;
            let list = other.words("CLIENT LIST")?.text();
            let line = list.lines().find(|line| line.starts_with(&format!("id={id} ")));
            ensure!(line.is_some_and(|line| line.contains(" flags=b ")), "{list}");
            ensure!(other.words(&unblock(how))?.integer() == Some(1));
            let got = reply(&mut client)?;
            ensure!(got.contains(expected), "{how}: {got}");
            ensure!(other.words(&unblock(how))?.integer() == Some(0));
            waiting(server, 0)?;
        }
        let said = said(&mut other, &unblock(" NOW"))?;
        ensure!(said.contains("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"), "{said}");
        client.send(&["BLPOP", "a", "b", "0"])?;
        waiting(server, 1)?;
        ensure!(other.words(&format!("CLIENT KILL ID {id}"))?.integer() == Some(1));
        ensure!(client.read_to_end()?.is_empty());
        waiting(server, 0)
    })
}

#[test]
fn silent_clients_are_unblocked_silently() -> Result<()> {
    on_all(|server| {
        let mut client = server.client()?;
        client.send_raw(b"CLIENT REPLY SKIP\r\nBLPOP queue 0\r\nPING\r\n")?;
        waiting(server, 1)?;
        server.client()?.words("RPUSH queue x")?;
        ensure!(client.read()?.text() == "PONG");
        Ok(())
    })
}

#[test]
fn keys_and_clients_that_wait_are_counted() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let one = waiter(server, "BLPOP a b c 0")?;
        let two = waiter(server, "BLPOP b c d 100")?;
        ensure!(info(server, "total_blocking_keys")? == 4);
        ensure!(info(server, "clients_in_timeout_table")? == 1);
        drop((one, two));
        waiting(server, 0)?;
        ensure!(info(server, "total_blocking_keys")? == 0);
        Ok(())
    })
}

#[test]
fn readers_of_a_group_learn_that_it_has_gone() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut writer = server.client()?;
        let losses = [
            ("XGROUP DESTROY stream g", "NOGROUP"),
            ("DEL stream", "NOGROUP"),
            ("FLUSHALL", "NOGROUP"),
            ("SET stream text", "WRONGTYPE"),
        ];
        for (loss, error) in losses {
            writer.words("DEL stream")?;
            writer.words("XGROUP CREATE stream g $ MKSTREAM")?;
            let mut client = waiter(server, "XREADGROUP GROUP g c BLOCK 0 STREAMS stream >")?;
            writer.words(loss)?;
            let got = reply(&mut client)?;
            ensure!(got.contains(error), "{loss}: {got}");
        }
        // Readers without a group are all served, and only by what is new to them.
        writer.words("DEL stream")?;
        let mut readers = Vec::new();
        for _ in 0..5 {
            readers.push(waiter(server, "XREAD BLOCK 0 STREAMS stream 5-0")?);
        }
        writer.words("XADD stream 4-0 f v")?;
        waiting(server, 5)?;
        writer.words("XADD stream 6-0 f v")?;
        for reader in &mut readers {
            ensure!(reply(reader)?.contains("6-0"));
        }
        Ok(())
    })
}

#[test]
fn nobody_who_waits_keeps_the_server_from_stopping() -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(&[1, 2]) {
        let mut server = Server::start(&program, layout, &[])?;
        let mut client = waiter(&server, "BLPOP queue 0")?;
        server.signal("TERM")?;
        ensure!(client.read_to_end()?.is_empty());
        ensure!(server.wait()?.success());
    }
    Ok(())
}

#[test]
fn input_goes_on_being_taken_while_a_client_waits() -> Result<()> {
    on_all(|server| {
        let mut client = waiter(server, "BLPOP queue 0")?;
        let value = "v".repeat(100_000);
        for n in 0..5 {
            client.send(&["SET", &format!("large:{n}"), &value])?;
        }
        let mut writer = server.client()?;
        ensure!(writer.words("EXISTS large:0")?.integer() == Some(0));
        writer.words("RPUSH queue x")?;
        ensure!(client.read()?.items().is_some());
        for _ in 0..5 {
            ensure!(client.read()?.is_ok());
        }
        ensure!(writer.words("STRLEN large:4")?.integer() == Some(100_000));
        Ok(())
    })
}
