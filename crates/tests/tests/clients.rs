//! Real clients, as applications use them.

use anyhow::{Context, Result, bail, ensure};
use kevy_tests::environment::{Need, asset, root};
use kevy_tests::server::{Server, on_each};
use std::fs::File;
use std::process::Command;

/// Runs a client to its end and returns what it wrote; fails if it fails.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

fn transcript(server: &Server, options: &[&str]) -> Result<String> {
    let commands = File::open(asset("redis-cli.txt"))?;
    let mut client = Command::new("redis-cli");
    client.args(["-p", &server.port().to_string()]).args(options).stdin(commands);
    output(&mut client)
}

#[test]
fn redis_cli_shows_what_it_shows_with_redis_server() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    on_each(&[1, 2], &[], |server| {
        let theirs = Server::oracle(&[])?;
        for options in [&["--no-raw"] as &[&str], &["--no-raw", "-3"], &["--raw"], &["--json"]] {
            let (ours, theirs) = (transcript(server, options)?, transcript(&theirs, options)?);
            let differing = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
            if let Some((ours, theirs)) = differing {
                bail!("with {options:?} {ours:?} is shown, not {theirs:?}");
            }
            assert_eq!(ours, theirs, "with {options:?}");
        }
        Ok(())
    })
}

#[test]
fn redis_benchmark_runs() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    on_each(&[1, 2], &[], |server| {
        let port = server.port().to_string();
        for pipeline in ["1", "16"] {
            let mut client = Command::new("redis-benchmark");
            client.args(["-p", &port, "-n", "3000", "-r", "1000", "-P", pipeline, "--csv"]);
            client.args(["-t", "ping_inline,ping_mbulk,set,get,incr,mset"]);
            let text = output(&mut client)?;
            for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
                ensure!(text.contains(&format!("\"{test}\"")), "no {test} in {text}");
            }
        }
        Ok(())
    })
}

#[test]
fn redis_py_is_content() -> Result<()> {
    if !Need::RedisPy.wanted() {
        return Ok(());
    }
    on_each(&[1, 2], &[], |server| {
        let mut client = Command::new(root().join(".venv/bin/python"));
        output(client.arg(asset("redis_py.py")).arg(server.port().to_string()))?;
        Ok(())
    })
}

#[test]
fn ioredis_is_content() -> Result<()> {
    if !Need::Ioredis.wanted() {
        return Ok(());
    }
    on_each(&[1, 2], &[], |server| {
        let mut client = Command::new("node");
        client.arg(asset("ioredis.js")).arg(server.port().to_string());
        output(client.arg(root().join("target/clients")))?;
        Ok(())
    })
}
