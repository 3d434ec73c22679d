//! Strict serializability of everything that touches several keys, on several shards.

use anyhow::{Context, Result};
use kevy_tests::environment::{Need, Program, duration, seed};
use kevy_tests::invariants::INVARIANTS;
use kevy_tests::server::{Layout, Server};
use kevy_tests::workload::appends;

#[test]
fn histories_of_appends_are_strictly_serializable() -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(&[2, 4]) {
        let server = Server::start(&program, layout, &[])?;
        appends(&[server.address()], duration(), seed()).with_context(|| format!("{layout:?}"))?;
    }
    Ok(())
}

#[test]
fn two_servers_that_know_nothing_of_each_other_are_found_out() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    let (one, other) = (Server::oracle(&[])?, Server::oracle(&[])?);
    let result = appends(&[one.address(), other.address()], duration(), seed());
    assert!(result.is_err(), "a split keyspace passed as serializable");
    Ok(())
}

#[test]
fn invariants_hold_at_every_moment() -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(&[2, 4]) {
        let server = Server::start(&program, layout, &[])?;
        for invariant in INVARIANTS {
            invariant
                .hold(server.address(), duration() / 4, seed())
                .with_context(|| format!("{layout:?}"))?;
        }
    }
    Ok(())
}
