//! The server under test answers as redis-server does.

use anyhow::{Result, bail};
use kevy_tests::differences::{RULES, matches};
use kevy_tests::differential::{Pair, minimal, steps};
use kevy_tests::environment::{Need, Program, operations, seed};
use kevy_tests::server::{Layout, Server};
use std::time::Duration;

fn compare(layout: Layout, pipelined: bool) -> Result<()> {
    let program = Program::under_test()?;
    let ours = Server::start(&program, layout, &[])?;
    let theirs = Server::oracle(&[])?;
    let mut pair = Pair::connect(&ours, &theirs, program.is_kevy)?;
    let steps = steps(seed(), operations(), pipelined)?;
    let Some(difference) = pair.run(&steps)? else { return Ok(()) };
    let text = minimal(&mut pair, &steps, difference, Duration::from_secs(20))?;
    bail!("with {layout:?}, pipelined {pipelined}, seed {}:\n{text}", seed());
}

#[test]
fn same_replies_and_keyspace_one_command_at_a_time() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    Layout::all(&[1, 2, 4]).into_iter().try_for_each(|layout| compare(layout, false))
}

#[test]
fn same_replies_and_keyspace_pipelined() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    Layout::all(&[1, 2, 4]).into_iter().try_for_each(|layout| compare(layout, true))
}

#[test]
fn a_server_that_differs_is_noticed_and_the_way_to_it_shortened() -> Result<()> {
    if !Need::RedisServer.wanted() {
        return Ok(());
    }
    let ours = Server::oracle(&["--rename-command", "GETRANGE", ""])?;
    let theirs = Server::oracle(&[])?;
    let mut pair = Pair::connect(&ours, &theirs, false)?;
    let steps = steps(seed(), 2_000, true)?;
    let Some(difference) = pair.run(&steps)? else { bail!("nothing noticed") };
    let text = minimal(&mut pair, &steps, difference, Duration::from_secs(20))?;
    assert!(text.to_lowercase().contains("getrange"), "{text}");
    assert!(text.lines().count() <= 5, "{text}");
    Ok(())
}

#[test]
fn every_listed_difference_still_differs() -> Result<()> {
    let program = Program::under_test()?;
    if !Need::RedisServer.wanted() || !program.is_kevy {
        return Ok(());
    }
    let ours = Server::plain(&[])?;
    let theirs = Server::oracle(&[])?;
    for rule in RULES {
        for (server, expected) in [(&ours, rule.ours), (&theirs, rule.theirs)] {
            let reply = format!("{:?}", server.client()?.call(rule.example)?);
            if !matches(expected, &reply) {
                bail!(
                    "{:?} was answered by {reply}, not {expected} ({})",
                    rule.example,
                    rule.reason
                );
            }
        }
        assert_ne!(rule.ours, rule.theirs, "{}", rule.reason);
    }
    Ok(())
}
