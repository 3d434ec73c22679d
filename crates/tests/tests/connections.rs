//! Connections that come, go, stall and ask for too much.

use anyhow::{Context, Result, ensure};
use kevy_tests::client::{Client, encode};
use kevy_tests::environment::{Need, Program};
use kevy_tests::server::{Layout, Server, eventually, on_each};
use kevy_tests::value::Value;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;

#[test]
fn a_half_closed_connection_gets_all_its_replies() -> Result<()> {
    on_each(&[1, 2, 4], &[], |server| {
        let mut client = server.client()?;
        client.send_raw(b"SET a 1\r\nGET a\r\n")?;
        client.half_close()?;
        assert_eq!(client.read_to_end()?, b"+OK\r\n$1\r\n1\r\n");

        let mut client = server.client()?;
        let mut expected = Vec::new();
        let mut frames = Vec::new();
        for number in 0..2_000 {
            let (key, value) = (format!("key:{number}"), number.to_string());
            encode(&mut frames, &["SET", &key, &value]);
            encode(&mut frames, &["GET", &key]);
            expected.extend(format!("+OK\r\n${}\r\n{value}\r\n", value.len()).bytes());
        }
        client.send_raw(&frames)?;
        client.half_close()?;
        assert_eq!(client.read_to_end()?, expected);
        Ok(())
    })
}

#[test]
fn thousands_of_connects_and_resets_leave_nothing_behind() -> Result<()> {
    on_each(&[2], &[], |server| {
        server.client()?.words("PING")?;
        let before = server.descriptors()?;
        for round in 0..2_000 {
            let mut client = server.client()?;
            match round % 4 {
                0 => {}
                1 => client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nhalf")?,
                2 => client.send(&["SET", &format!("key:{round}"), "value"])?,
                _ => drop(client.words("PING")?),
            }
            if round % 3 > 0 {
                client.reset_on_drop()?;
            }
        }
        eventually("the descriptors are given back", || Ok(server.descriptors()? <= before + 1))
    })
}

#[test]
fn half_commands_followed_by_silence_disturb_nobody() -> Result<()> {
    on_each(&[2], &[], |server| {
        let halves: [&[u8]; 4] =
            [b"*", b"*2\r\n$3\r\nGE", b"SET a", b"*2\r\n$3\r\nGET\r\n$5\r\nhello"];
        let mut silent = Vec::new();
        for number in 0..400 {
            let mut client = server.client()?;
            client.send_raw(halves[number % halves.len()])?;
            silent.push(client);
        }
        let mut client = server.client()?;
        for number in 0..100 {
            assert_eq!(client.words(&format!("INCR n{number}"))?, Value::Integer(1));
        }
        // What was begun can still be finished.
        let last = silent.last_mut().context("there are some")?;
        last.send_raw(b"\r\n")?;
        assert_eq!(last.read()?, Value::Null);
        Ok(())
    })
}

#[test]
fn what_is_only_declared_is_not_allocated() -> Result<()> {
    on_each(&[2], &[], |server| {
        server.client()?.words("PING")?;
        let before = server.resident()?;
        let mut clients = Vec::new();
        for number in 0..100 {
            let mut client = server.client()?;
            let header: &[u8] = match number % 3 {
                0 => b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nx",
                1 => b"*1048576\r\n$3\r\nDEL\r\n$1\r\na\r\n",
                _ => b"*2\r\n$536870912\r\nx",
            };
            client.send_raw(header)?;
            clients.push(client);
        }
        // Whoever answers this has read what came before on the other connections.
        for _ in 0..4 {
            server.client()?.words("PING")?;
        }
        let grown = server.resident()?.saturating_sub(before);
        ensure!(grown < 24 * MIB as u64, "grew by {grown} bytes");
        Ok(())
    })
}

#[test]
fn a_reader_that_stalls_gets_everything_later_and_holds_up_nobody() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        const COUNT: usize = 64;
        let value = vec![b'v'; MIB];
        let mut slow = server.client()?;
        slow.call(&[b"SET" as &[u8], b"big", &value])?;
        for _ in 0..COUNT {
            slow.send(&["GET", "big"])?;
        }
        ensure!(slow.read()?.bytes() == Some(value.as_slice()), "a value arrived damaged");
        let mut other = server.client()?;
        for _ in 0..200 {
            let started = Instant::now();
            other.words("SET small 1")?;
            ensure!(started.elapsed() < Duration::from_secs(2), "another client waited");
        }
        // What was asked for is what comes, whatever becomes of the key meanwhile.
        other.words("APPEND big tail")?;
        other.words("DEL big")?;
        for _ in 1..COUNT {
            match slow.read()? {
                Value::Bulk(bytes) => {
                    ensure!(bytes[..MIB] == value[..], "a value arrived damaged");
                }
                Value::Null => {}
                other => anyhow::bail!("{other:?}"),
            }
        }
        Ok(())
    })
}

#[test]
fn output_beyond_its_limit_closes_the_client() -> Result<()> {
    on_each(&[2], &["--client-output-buffer-limit", "normal", "8mb", "0", "0"], |server| {
        let value = vec![b'v'; MIB];
        let mut slow = server.client()?;
        slow.call(&[b"SET" as &[u8], b"big", &value])?;
        let mut frames = Vec::new();
        (0..200).for_each(|_| encode(&mut frames, &["GET", "big"]));
        slow.send_raw(&frames)?;
        let mut other = server.client()?;
        eventually("the client is closed", || {
            let list = other.words("CLIENT LIST")?.text();
            Ok(list.lines().count() == 1)
        })?;
        let received = slow.read_to_end()?;
        ensure!(received.len() < 200 * MIB, "all of it arrived");
        Ok(())
    })
}

#[test]
fn a_stranger_who_does_not_read_cannot_fill_the_memory() -> Result<()> {
    let program = Program::under_test()?;
    // redis-server lets them, up to some releases.
    if !program.is_kevy {
        return Ok(());
    }
    on_each(&[2], &["--requirepass", "secret"], |server| {
        server.client()?.words("PING")?;
        let before = server.resident()?;
        let commands = b"GET a\r\n".repeat(64 * 1024);
        let mut strangers = Vec::new();
        for _ in 0..4 {
            let mut stranger = server.client()?;
            stranger.set_patience(Duration::from_millis(300))?;
            // Sending ends as the server stops reading, or closes.
            for _ in 0..64 {
                if stranger.send_raw(&commands).is_err() {
                    break;
                }
            }
            strangers.push(stranger);
        }
        let grown = server.resident()?.saturating_sub(before);
        ensure!(grown < 32 * MIB as u64, "grew by {grown} bytes");
        let mut friend = server.client()?;
        ensure!(friend.words("AUTH secret")?.is_ok());
        ensure!(friend.words("SET a 1")?.is_ok());
        Ok(())
    })
}

#[test]
fn one_client_too_many_is_told_so() -> Result<()> {
    let check = |server: &Server| -> Result<Vec<u8>> {
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = server.client()?;
            client.words("PING")?;
            clients.push(client);
        }
        let answer = server.client()?.read_to_end()?;
        drop(clients);
        eventually("there is room again", || {
            let mut client = server.client()?;
            Ok(client.words("PING").is_ok_and(|reply| reply.text() == "PONG"))
        })?;
        Ok(answer)
    };
    let expected = b"-ERR max number of clients reached\r\n";
    let program = Program::under_test()?;
    for layout in Layout::all(&[1, 2]) {
        let server = Server::start(&program, layout, &["--maxclients", "10"])?;
        assert_eq!(check(&server)?, expected);
    }
    Ok(())
}

#[test]
fn idle_clients_are_closed_after_the_timeout() -> Result<()> {
    on_each(&[2], &["--timeout", "1"], |server| {
        let mut idle = server.client()?;
        idle.words("PING")?;
        let started = Instant::now();
        ensure!(idle.read_to_end()?.is_empty());
        let waited = started.elapsed();
        ensure!(waited > Duration::from_millis(900), "closed after {waited:?}");
        ensure!(waited < Duration::from_secs(6), "closed after {waited:?}");
        Ok(())
    })
}

#[test]
fn the_unix_socket_serves_as_tcp_does() -> Result<()> {
    on_each(&[2], &["--unixsocket", "kevy.sock", "--unixsocketperm", "700"], |server| {
        use std::os::unix::fs::PermissionsExt;
        let path = server.directory().join("kevy.sock");
        assert_eq!(path.metadata()?.permissions().mode() & 0o777, 0o700);
        let mut clients = Vec::new();
        for number in 0..8 {
            let mut client = Client::connect_unix(&path)?;
            assert_eq!(client.words("INCR shared")?, Value::Integer(number + 1));
            clients.push(client);
        }
        assert_eq!(server.client()?.words("GET shared")?.text(), "8");
        Ok(())
    })
}

#[test]
fn ipv6_is_served_where_it_is_bound() -> Result<()> {
    if !Need::Ipv6.wanted() {
        return Ok(());
    }
    on_each(&[2], &["--bind", "127.0.0.1", "::1"], |server| {
        let address: SocketAddr = (Ipv6Addr::LOCALHOST, server.port()).into();
        let mut client = Client::connect(address)?;
        assert_eq!(client.words("PING")?.text(), "PONG");
        Ok(())
    })
}
