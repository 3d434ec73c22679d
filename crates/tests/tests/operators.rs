//! What operators do to a running server: CLIENT, CONFIG, DEBUG, SHUTDOWN.

use anyhow::{Context, Result, ensure};
use kevy_tests::client::Client;
use kevy_tests::environment::Program;
use kevy_tests::server::{Layout, Server, eventually, on_each};
use std::time::{Duration, Instant};

fn id_of(client: &mut Client) -> Result<i64> {
    client.words("CLIENT ID")?.integer().context("CLIENT ID")
}

fn count_of_clients(client: &mut Client) -> Result<usize> {
    Ok(client.words("CLIENT LIST")?.text().lines().count())
}

#[test]
fn killed_clients_are_gone_when_the_reply_comes() -> Result<()> {
    on_each(&[1, 2, 4], &[], |server| {
        let mut operator = server.client()?;
        let mut others = Vec::new();
        for number in 0..6 {
            let mut client = server.client()?;
            client.words(&format!("CLIENT SETNAME other{number}"))?;
            others.push(client);
        }
        assert_eq!(count_of_clients(&mut operator)?, 7);
        let first = id_of(&mut others[0])?;
        assert_eq!(operator.words(&format!("CLIENT KILL ID {first}"))?.integer(), Some(1));
        assert_eq!(count_of_clients(&mut operator)?, 6);
        ensure!(others[0].words("PING").is_err(), "a killed client is served");
        let address = others[1].local_address().context("an address")?;
        ensure!(operator.words(&format!("CLIENT KILL {address}"))?.is_ok());
        ensure!(operator.words(&format!("CLIENT KILL {address}"))?.is_error());
        assert_eq!(operator.words("CLIENT KILL TYPE pubsub")?.integer(), Some(0));
        assert_eq!(operator.words("CLIENT KILL TYPE normal")?.integer(), Some(4));
        assert_eq!(count_of_clients(&mut operator)?, 1);
        // Who kills itself still gets the reply.
        let killed = operator.words("CLIENT KILL TYPE normal SKIPME no")?;
        assert_eq!(killed.integer(), Some(1));
        ensure!(operator.words("PING").is_err(), "a client survived its own end");
        Ok(())
    })
}

#[test]
fn a_pause_holds_back_writes_or_everything_until_it_ends() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        const SHORT: Duration = Duration::from_millis(150);
        let (mut operator, mut client) = (server.client()?, server.client()?);
        client.words("SET key before")?;
        operator.words("CLIENT PAUSE 60000 WRITE")?;
        assert_eq!(client.words("GET key")?.text(), "before");
        client.send(&["SET", "key", "after"])?;
        ensure!(client.read_within(SHORT)?.is_none(), "a write was not held back");
        assert_eq!(operator.words("GET key")?.text(), "before");
        operator.words("CLIENT UNPAUSE")?;
        ensure!(client.read()?.is_ok());

        let begin = Instant::now();
        operator.words("CLIENT PAUSE 300")?;
        assert_eq!(client.words("GET key")?.text(), "after");
        ensure!(begin.elapsed() >= Duration::from_millis(295), "a read was not held back");
        Ok(())
    })
}

#[test]
fn settings_hold_for_all_clients_once_they_are_answered() -> Result<()> {
    on_each(&[1, 2, 4], &[], |server| {
        let mut operator = server.client()?;
        let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect::<Result<_>>()?;
        let value = "v".repeat(3 << 20);
        for limit in ["1mb", "512mb", "2mb", "512mb"] {
            operator.words(&format!("CONFIG SET proto-max-bulk-len {limit}"))?;
            for client in &mut clients {
                let grown = client.words("SETRANGE range 2500000 x")?;
                assert_eq!(grown.is_error(), limit != "512mb", "{limit}: {grown:?}");
            }
        }
        for client in &mut clients {
            ensure!(client.call(&["SET", "big", &value])?.is_ok());
        }
        operator.words("CONFIG SET requirepass secret")?;
        ensure!(server.client()?.words("PING")?.text().starts_with("NOAUTH"));
        // Who is in stays in.
        ensure!(clients[0].words("PING")?.text() == "PONG");
        operator.words("CONFIG SET requirepass ")?;
        ensure!(server.client()?.words("PING")?.text() == "PONG");
        Ok(())
    })
}

#[test]
fn a_refused_setting_changes_nothing() -> Result<()> {
    on_each(&[2], &[], |server| {
        let mut operator = server.client()?;
        let before = operator.words("CONFIG GET *")?;
        for refused in [
            "CONFIG SET maxmemory 1gb dir /nonexistent",
            "CONFIG SET timeout 5 maxclients 4000000000",
            "CONFIG SET timeout 5 nonsense 1",
            "CONFIG SET timeout 5 hz x",
            "CONFIG SET timeout 5 port 1",
            "CONFIG SET timeout 5 daemonize yes",
            "CONFIG SET timeout",
        ] {
            ensure!(operator.words(refused)?.is_error(), "{refused}");
            assert_eq!(operator.words("CONFIG GET *")?, before, "{refused}");
        }
        Ok(())
    })
}

#[test]
fn digests_tell_data_apart_and_do_not_depend_on_order() -> Result<()> {
    on_each(&[1, 4], &["--enable-debug-command", "yes"], |server| {
        let mut client = server.client()?;
        assert_eq!(client.words("DEBUG DIGEST")?.text(), "0".repeat(40));
        client.words("DEBUG POPULATE 500")?;
        let digest = client.words("DEBUG DIGEST")?;
        client.words("APPEND key:17 x")?;
        ensure!(client.words("DEBUG DIGEST")? != digest, "a change does not show");
        client.words("FLUSHALL")?;
        for number in (0..500).rev() {
            client.words(&format!("SET key:{number} value:{number}"))?;
        }
        assert_eq!(client.words("DEBUG DIGEST")?, digest);
        client.words("SELECT 1")?;
        client.words("SET key:1 value:1")?;
        ensure!(client.words("DEBUG DIGEST")? != digest, "a database does not show");
        Ok(())
    })
}

#[test]
fn expiry_in_the_background_can_be_switched_off() -> Result<()> {
    on_each(&[1, 2], &["--enable-debug-command", "local"], |server| {
        let mut client = server.client()?;
        client.words("DEBUG SET-ACTIVE-EXPIRE 0")?;
        client.words("SET lasting 1 PX 10")?;
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(client.words("DBSIZE")?.integer(), Some(1));
        client.words("DEBUG SET-ACTIVE-EXPIRE 1")?;
        eventually("the key expires", || Ok(client.words("DBSIZE")?.integer() == Some(0)))
    })
}

#[test]
fn debug_is_for_those_who_are_allowed() -> Result<()> {
    on_each(&[1], &["--enable-debug-command", "no"], |server| {
        let refused = server.client()?.words("DEBUG SLEEP 0")?;
        ensure!(refused.text().starts_with("ERR DEBUG command not allowed."), "{refused:?}");
        Ok(())
    })
}

#[test]
fn a_client_may_end_the_server() -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(&[1, 2]) {
        let mut server = Server::start(&program, layout, &[])?;
        let mut client = server.client()?;
        for refused in ["SHUTDOWN ABORT", "SHUTDOWN NOW ABORT", "SHUTDOWN SAVE NOSAVE"] {
            ensure!(client.words(refused)?.is_error(), "{refused}");
        }
        client.send(&["SHUTDOWN", "NOSAVE"])?;
        ensure!(client.read_to_end()?.is_empty(), "SHUTDOWN is not answered");
        let status = server.wait()?;
        ensure!(status.success(), "{status}");
        ensure!(server.log().contains("User requested shutdown..."), "{}", server.log());
    }
    Ok(())
}
