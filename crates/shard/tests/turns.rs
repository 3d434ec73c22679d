//! Shards driven by hand: bytes in, replies out, with stores that are out at chosen moments.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;

use kevy_command::{Output, Settings};
use kevy_shard::service::{Action, Event, Service};
use kevy_shard::{Hook, Moment, World, WorldOptions};
use rig::Rig;
use std::sync::{Arc, OnceLock};

fn rig(shards: usize, settings: Settings) -> Rig {
    hooked(shards, settings, None)
}

fn hooked(shards: usize, settings: Settings, hook: Option<Hook>) -> Rig {
    Rig::with(WorldOptions { shards, settings, hook, ..WorldOptions::default() }, &[])
}

#[test]
fn replies_come_in_request_order_over_all_stores() {
    for shards in [1, 2, 4] {
        let mut rig = rig(shards, Settings::default());
        let conn = rig.connect(0);
        let mut input = String::new();
        let mut expected = String::new();
        for n in 0..100 {
            input += &format!("SET key:{n} {n}\r\nGET key:{n}\r\nPING\r\n");
            let text = n.to_string();
            expected += &format!("+OK\r\n${}\r\n{text}\r\n+PONG\r\n", text.len());
        }
        assert_eq!(rig.ask(0, conn, &input), expected, "{shards} shards");
        let input: String = (0..100).map(|n| format!("GET key:{n}\r\n")).collect();
        let expected: String =
            (0..100).map(|n| format!("${}\r\n{n}\r\n", n.to_string().len())).collect();
        assert_eq!(rig.ask(0, conn, &input), expected, "{shards} shards");
    }
}

#[test]
fn any_cut_of_the_input_gives_the_same_replies() {
    let input =
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\nGET a\r\nMSET x 1 y 2 z 3\r\nMGET x y z\r\n";
    let expected = "+OK\r\n$5\r\nhello\r\n+OK\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n";
    for cut in 0..input.len() {
        let mut rig = rig(4, Settings::default());
        let conn = rig.connect(1);
        let mut got = rig.ask(1, conn, &input[..cut]);
        got += &rig.ask(1, conn, &input[cut..]);
        assert_eq!(got, expected, "cut at {cut}");
    }
}

#[test]
fn large_values_are_received_into_their_own_allocation() {
    let value = "v".repeat(100_000);
    let input =
        format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n${}\r\n{value}\r\nGET b\r\nGET a\r\n", value.len());
    for piece in [1_000, 16_384, 200_000] {
        let mut rig = rig(2, Settings::default());
        let conn = rig.connect(0);
        let mut got = String::new();
        for bytes in input.as_bytes().chunks(piece) {
            got += &rig.ask(0, conn, std::str::from_utf8(bytes).unwrap());
        }
        assert_eq!(got, format!("+OK\r\n$-1\r\n${}\r\n{value}\r\n", value.len()));
    }
}

#[test]
fn transactions_run_whole_and_watched_keys_spoil_them() {
    for shards in [1, 4] {
        let mut rig = rig(shards, Settings::default());
        let (one, two) = (rig.connect(0), rig.connect(shards - 1));
        assert_eq!(
            rig.ask(0, one, "WATCH a\r\nMULTI\r\nSET a 1\r\nSET b 2\r\n"),
            "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n"
        );
        assert_eq!(rig.ask(shards - 1, two, "SET a 9\r\n"), "+OK\r\n");
        assert_eq!(rig.ask(0, one, "EXEC\r\nGET b\r\n"), "*-1\r\n$-1\r\n");
        let all = "MULTI\r\nSELECT 1\r\nSET c 1\r\nEXEC\r\nGET c\r\nSELECT 0\r\nGET c\r\n";
        assert_eq!(
            rig.ask(0, one, all),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n$1\r\n1\r\n+OK\r\n$-1\r\n"
        );
    }
}

#[test]
fn the_end_of_the_stream_comes_after_the_replies() {
    let mut rig = rig(2, Settings::default());
    let conn = rig.connect(0);
    let input = b"SET a 1\r\nGET a\r\n";
    rig.turn(0, &[Event::Received(conn, input), Event::EndOfStream(conn)]);
    assert_eq!(rig.output(0, conn), "+OK\r\n$1\r\n1\r\n");
    assert_eq!(rig.closed, [conn]);
}

#[test]
fn a_protocol_error_is_the_last_reply() {
    let mut rig = rig(2, Settings::default());
    let conn = rig.connect(0);
    let got = rig.ask(0, conn, "SET a 1\r\n*1\r\n:5\r\nGET a\r\n");
    assert_eq!(got, "+OK\r\n-ERR Protocol error: expected '$', got ':'\r\n");
    assert_eq!(rig.closed, [conn]);
}

#[test]
fn a_flood_is_paused_and_answered_whole() {
    const COUNT: usize = 1_000_000;
    let mut rig = rig(1, Settings::default());
    let conn = rig.connect(0);
    let input = "PING\r\n".repeat(COUNT);
    let mut replies = 0;
    let mut paused = Vec::new();
    let mut turn = |rig: &mut Rig, events: &[Event<'_>], paused: &mut Vec<Action>| {
        rig.turn(0, events);
        let mut actions = Vec::new();
        rig.shards[0].actions(&mut actions);
        let pauses =
            |action: &Action| matches!(action, Action::PauseReceive(_) | Action::ResumeReceive(_));
        paused.extend(actions.into_iter().filter(pauses));
        let mut out = Output::new();
        rig.shards[0].take_output(conn, &mut out);
        replies += out.len() / "+PONG\r\n".len();
        replies
    };
    let halves = input.as_bytes().split_at(input.len() / 2);
    turn(&mut rig, &[Event::Received(conn, halves.0)], &mut paused);
    assert_eq!(paused, [Action::PauseReceive(conn)]);
    turn(&mut rig, &[Event::Received(conn, halves.1)], &mut paused);
    let mut turns = 0;
    while turn(&mut rig, &[], &mut paused) < COUNT {
        turns += 1;
        assert!(turns < COUNT / 500, "some commands in each turn");
    }
    assert_eq!(paused, [Action::PauseReceive(conn), Action::ResumeReceive(conn)]);
}

#[test]
fn the_queue_of_a_transaction_counts_as_input() {
    let settings = Settings { query_buffer_limit: 1 << 20, ..Settings::default() };
    let mut rig = rig(1, settings);
    let conn = rig.connect(0);
    rig.ask(0, conn, "MULTI\r\n");
    let set = format!("SET k {}\r\n", "v".repeat(10_000));
    for _ in 0..110 {
        rig.ask(0, conn, &set);
    }
    assert_eq!(rig.closed, [conn]);
}

#[test]
fn a_pause_does_not_change_what_a_refused_exec_says() {
    let mut rig = rig(1, Settings::default());
    let conn = rig.connect(0);
    rig.ask(0, conn, "MULTI\r\nSET a 1\r\n");
    rig.world.pause(i64::MAX, true, rig.now.unix_ms());
    assert_eq!(rig.ask(0, conn, "EXEC x\r\n"), "");
    rig.world.unpause();
    rig.turn(0, &[]);
    let text = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' \
                command\r\n";
    assert_eq!(rig.output(0, conn), text);
}

#[test]
fn a_pause_that_ends_while_earlier_commands_run_holds_nobody_back() {
    let world = Arc::new(OnceLock::<Arc<World>>::new());
    let ends = Arc::clone(&world);
    let hook: Hook = Box::new(move |_, moment| {
        if let (Moment::Taken, Some(world)) = (moment, ends.get()) {
            world.unpause();
        }
    });
    let mut rig = hooked(2, Settings::default(), Some(hook));
    let conn = rig.connect(0);
    rig.world.pause(i64::MAX, false, rig.now.unix_ms());
    let _ = world.set(Arc::clone(&rig.world));
    let mut got = rig.ask(0, conn, "GET a\r\nSET a 1\r\n");
    rig.turn(0, &[]);
    got += &rig.output(0, conn);
    assert_eq!(got, "$-1\r\n+OK\r\n");
}

#[test]
fn a_client_that_waits_for_the_server_is_not_idle() {
    let settings = Settings { timeout: 1, ..Settings::default() };
    let mut rig = rig(1, settings);
    let (waits, idles) = (rig.connect(0), rig.connect(0));
    rig.world.pause(i64::MAX, true, rig.now.unix_ms());
    rig.ask(0, waits, "PING\r\n");
    for _ in 0..3_000 {
        rig.turn(0, &[]);
    }
    assert_eq!(rig.output(0, waits), "");
    assert_eq!(rig.closed, [idles]);
}
