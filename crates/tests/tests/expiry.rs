//! Keys that expire while the test watches.

use anyhow::{Result, ensure};
use kevy_tests::server::{eventually, on_each};
use kevy_tests::value::Value;
use std::time::{Duration, Instant};

#[test]
fn a_key_is_there_until_its_time_and_not_after() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        for command in ["SET k v PX 120", "PSETEX k 120 v"] {
            let started = Instant::now();
            client.words(command)?;
            let set = Instant::now();
            loop {
                let asked = Instant::now();
                let reply = client.words("GET k")?;
                if reply == Value::Null {
                    ensure!(
                        started.elapsed() >= Duration::from_millis(119),
                        "{command}: too early"
                    );
                    break;
                }
                ensure!(asked - set <= Duration::from_millis(121), "{command}: still there");
            }
            assert_eq!(client.words("EXISTS k")?, Value::Integer(0));
            assert_eq!(client.words("PTTL k")?, Value::Integer(-2));
            assert_eq!(client.words("TYPE k")?.text(), "none");
        }
        Ok(())
    })
}

#[test]
fn keys_that_nobody_asks_for_go_too() -> Result<()> {
    on_each(&[1, 4], &[], |server| {
        let mut client = server.client()?;
        let mut commands = Vec::new();
        for number in 0..3_000 {
            commands.push([
                "SET".into(),
                format!("gone:{number}"),
                "v".into(),
                "PX".into(),
                "50".into(),
            ]);
        }
        client.pipeline(&commands)?;
        client.words("SET stays v")?;
        eventually(
            "expired keys are removed",
            || Ok(client.words("DBSIZE")? == Value::Integer(1)),
        )?;
        let stats = client.words("INFO stats")?.text();
        ensure!(stats.contains("expired_keys:3000"), "{stats}");
        Ok(())
    })
}

#[test]
fn a_transaction_sees_one_time() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        client.words("SET k v PX 100")?;
        // Some of these transactions are certain to be under way as the key expires.
        loop {
            let mut commands = vec![vec!["MULTI"]];
            (0..200).for_each(|_| commands.push(vec!["EXISTS", "k"]));
            commands.push(vec!["EXEC"]);
            let replies = client.pipeline(&commands)?;
            let seen = replies.last().and_then(Value::items).unwrap_or_default();
            ensure!(seen.len() == 200);
            ensure!(
                seen.iter().all(|reply| *reply == seen[0]),
                "the key went within a transaction"
            );
            if seen[0] == Value::Integer(0) {
                return Ok(());
            }
        }
    })
}

#[test]
fn a_watched_key_that_expires_is_a_change_only_if_it_was_there() -> Result<()> {
    on_each(&[1, 2], &[], |server| {
        let mut client = server.client()?;
        client.words("SET k v PX 30")?;
        client.words("WATCH k")?;
        let mut other = server.client()?;
        eventually("the key expires", || Ok(other.words("EXISTS k")? == Value::Integer(0)))?;
        client.words("MULTI")?;
        client.words("PING")?;
        assert_eq!(client.words("EXEC")?, Value::Null);

        client.words("WATCH k")?;
        client.words("MULTI")?;
        client.words("PING")?;
        ensure!(client.words("EXEC")? != Value::Null);
        Ok(())
    })
}
