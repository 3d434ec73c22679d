//! Commands that wait, with toys in the place of the families that have such: a key is there or
//! not, and who takes it removes it.
#![allow(missing_docs, reason = "a test has no readers of its documentation")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;

use kevy_command::{
    Args, Attempt, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run, Wait,
};
use kevy_keyspace::{Expiry, Keyspace, Kind, Text};
use kevy_shard::WorldOptions;
use kevy_shard::service::{ConnId, Event, Service, Wait as DriverWait};
use rig::Rig;

const fn row(name: &'static str, syntax: &'static str, keys: &'static [KeySpec], run: Run) -> Row {
    Row {
        name,
        arity: -3,
        flags: Flags::WRITE.union(Flags::BLOCKING),
        categories: Categories::STRING,
        keys,
        tips: &[],
        doc: Doc {
            summary: "A toy.",
            since: "1.0.0",
            group: Group::String,
            complexity: "",
            syntax,
        },
        run,
    }
}

const TOYS: &[&Row] = &[&TAKE, &PASS, &SEE];

/// Removes the first key that is there and answers its name and value.
const TAKE: Row = row(
    "take",
    "key [key ...] timeout",
    &[KeySpec::range(1, -2, 1, KeyFlags::RW)],
    Run::Blocking(take),
);
fn take(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    let keys = 1..args.len() - 1;
    args.seek(keys.end);
    let timeout = args.timeout_secs(ks.now_ms())?;
    for at in keys.clone() {
        let key = args.key_at(at).unwrap();
        if let Some(entry) = ks.take(&key) {
            reply.array(2);
            reply.bulk(key.bytes);
            reply.bulk(&value(&entry));
            return Ok(Effect::as_given(1).into());
        }
    }
    reply.null_array();
    Ok(Attempt::Nothing(Wait::data(Kind::String, keys, timeout)))
}

/// Gives a key another name, in the place of whatever had that; answers its value.
const PASS: Row = row(
    "pass",
    "source destination timeout",
    &[KeySpec::one(1, KeyFlags::RW), KeySpec::one(2, KeyFlags::RW)],
    Run::Blocking(pass),
);
fn pass(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    let (source, destination) = (args.key()?, args.key()?);
    let timeout = args.timeout_secs(ks.now_ms())?;
    let Some(entry) = ks.take(&source) else {
        reply.null();
        return Ok(Attempt::Nothing(Wait::data(Kind::String, 1..2, timeout).whole()));
    };
    ks.set_string(&destination, Text::Bytes(&value(&entry)), Expiry::Clear);
    reply.bulk(&value(&entry));
    Ok(Effect::as_given(1).into())
}

/// Answers the value when it is this one; an error when the key has gone.
const SEE: Row = row("see", "key value", &[KeySpec::one(1, KeyFlags::RW)], Run::Blocking(see));
fn see(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Attempt, Error> {
    let (key, wanted) = (args.key()?, args.bytes()?);
    let record = ks.find(&key).ok_or(Error::NO_KEY)?;
    let found = record.string().unwrap().to_vec();
    if found == wanted {
        reply.bulk(&found);
        return Ok(Effect::none().into());
    }
    reply.null();
    Ok(Attempt::Nothing(Wait::data(Kind::String, 1..2, 0).or_loss()))
}

fn value(entry: &kevy_keyspace::Entry) -> Vec<u8> {
    entry.string().unwrap().to_vec()
}

fn rig(shards: usize) -> Rig {
    Rig::with(WorldOptions { shards, ..WorldOptions::default() }, TOYS)
}

/// What a shard has to send to a connection after a turn without events.
fn later(rig: &mut Rig, shard: usize, conn: ConnId) -> String {
    rig.turn(shard, &[]);
    rig.output(shard, conn)
}

/// Keys for which somebody waits.
fn waited(rig: &mut Rig) -> u64 {
    for shard in 0..rig.shards.len() {
        rig.turn(shard, &[]);
    }
    rig.world.all_store_counters().map(|counters| counters.waited.get()).sum()
}

fn pair(key: &str, value: &str) -> String {
    format!("*2\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
}

#[test]
fn who_came_first_is_served_first_whoever_writes() {
    for shards in [1, 2, 4] {
        let mut rig = rig(shards);
        let clients: Vec<_> = (0..6).map(|n| (n % shards, rig.connect(n % shards))).collect();
        for &(shard, conn) in &clients {
            assert_eq!(rig.ask(shard, conn, "TAKE k 0\r\n"), "");
        }
        assert_eq!(waited(&mut rig), 1);
        let writer = rig.connect(shards - 1);
        for (n, &(shard, conn)) in clients.iter().enumerate() {
            let set = format!("SET k {n}\r\nEXISTS k\r\n");
            assert_eq!(rig.ask(shards - 1, writer, &set), "+OK\r\n:0\r\n", "taken at once");
            assert_eq!(later(&mut rig, shard, conn), pair("k", &n.to_string()));
        }
        assert_eq!(waited(&mut rig), 0);
        assert_eq!(
            rig.ask(0, clients[0].1, "SET k 9\r\nTAKE k 0\r\n"),
            format!("+OK\r\n{}", pair("k", "9"))
        );
    }
}

#[test]
fn what_stands_before_is_answered_and_what_stands_behind_waits() {
    let mut rig = rig(2);
    let (one, two) = (rig.connect(0), rig.connect(1));
    assert_eq!(rig.ask(0, one, "PING\r\nSET a 1\r\nTAKE k 0\r\nGET a\r\n"), "+PONG\r\n+OK\r\n");
    assert_eq!(rig.ask(0, one, "PING\r\n"), "");
    assert_eq!(rig.ask(1, two, "SET a 2\r\nSET k v\r\n"), "+OK\r\n+OK\r\n");
    assert_eq!(later(&mut rig, 0, one), format!("{}$1\r\n2\r\n+PONG\r\n", pair("k", "v")));
}

#[test]
fn a_client_of_the_same_round_is_served() {
    let mut rig = rig(1);
    let (one, two) = (rig.connect(0), rig.connect(0));
    let events = [
        Event::Received(one, b"PING\r\nTAKE k 0\r\nPING\r\n"),
        Event::Received(two, b"SET k v\r\n"),
    ];
    rig.turn(0, &events);
    assert_eq!(rig.output(0, one), format!("+PONG\r\n{}+PONG\r\n", pair("k", "v")));
    assert_eq!(waited(&mut rig), 0);
}

#[test]
fn half_a_command_of_another_client_waits_for_nothing() {
    let mut rig = rig(1);
    let (one, two) = (rig.connect(0), rig.connect(0));
    rig.turn(0, &[Event::Received(one, b"PI"), Event::Received(two, b"TAKE k 0\r\n")]);
    assert_eq!(rig.ask(0, one, "NG\r\nSET k v\r\n"), "+PONG\r\n+OK\r\n");
    assert_eq!(later(&mut rig, 0, two), pair("k", "v"));
}

#[test]
fn nobody_waits_inside_a_transaction() {
    let mut rig = rig(2);
    let conn = rig.connect(0);
    let input = "MULTI\r\nTAKE k 0\r\nPASS a b 0\r\nEXEC\r\n";
    let expected = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n*-1\r\n$-1\r\n";
    assert_eq!(rig.ask(0, conn, input), expected);
    assert_eq!(waited(&mut rig), 0);
}

#[test]
fn a_transaction_is_seen_as_a_whole() {
    let mut rig = rig(2);
    let (one, two) = (rig.connect(0), rig.connect(1));
    rig.ask(0, one, "TAKE k 0\r\n");
    rig.ask(1, two, "MULTI\r\nSET k 1\r\nDEL k\r\nEXEC\r\n");
    assert_eq!(later(&mut rig, 0, one), "");
    rig.ask(1, two, "MULTI\r\nSET k 1\r\nSET k 2\r\nEXEC\r\n");
    assert_eq!(later(&mut rig, 0, one), pair("k", "2"));
}

#[test]
fn one_of_many_keys_serves() {
    let mut rig = rig(4);
    let names: Vec<String> = (0..20).map(|n| format!("key:{n}")).collect();
    let take = format!("TAKE {} 0\r\n", names.join(" "));
    let (one, two) = (rig.connect(1), rig.connect(2));
    for name in &names {
        assert_eq!(rig.ask(1, one, &take), "");
        assert_eq!(waited(&mut rig), 20);
        assert_eq!(rig.ask(2, two, &format!("SET {name} v\r\n")), "+OK\r\n");
        assert_eq!(later(&mut rig, 1, one), pair(name, "v"));
        assert_eq!(waited(&mut rig), 0);
    }
}

#[test]
fn a_value_is_passed_on_by_a_chain_of_waiters() {
    for shards in [1, 4] {
        let mut rig = rig(shards);
        let clients: Vec<_> = (0..10).map(|n| (n % shards, rig.connect(n % shards))).collect();
        for (n, &(shard, conn)) in clients.iter().enumerate() {
            assert_eq!(rig.ask(shard, conn, &format!("PASS key:{n} key:{} 0\r\n", n + 1)), "");
        }
        let writer = rig.connect(0);
        assert_eq!(rig.ask(0, writer, "SET key:0 v\r\n"), "+OK\r\n");
        assert_eq!(rig.ask(0, writer, "GET key:10\r\n"), "$1\r\nv\r\n");
        for &(shard, conn) in &clients {
            assert_eq!(later(&mut rig, shard, conn), "$1\r\nv\r\n");
        }
        assert_eq!(waited(&mut rig), 0);
    }
}

#[test]
fn losses_are_told_to_whoever_asked() {
    let mut rig = rig(2);
    let (one, two) = (rig.connect(0), rig.connect(1));
    let losses =
        ["DEL k\r\n", "FLUSHALL\r\n", "RENAME k other\r\n", "SWAPDB 0 1\r\n", "PEXPIRE k 0\r\n"];
    for loss in losses {
        rig.ask(1, two, "SET k 1\r\n");
        assert_eq!(rig.ask(0, one, "SEE k 3\r\n"), "");
        rig.ask(1, two, "SET k 2\r\n");
        assert_eq!(later(&mut rig, 0, one), "", "not this value");
        rig.ask(1, two, loss);
        assert_eq!(later(&mut rig, 0, one), "-ERR no such key\r\n", "{loss}");
    }
    rig.ask(1, two, "SET k 1 PX 20\r\n");
    assert_eq!(rig.ask(0, one, "SEE k 3\r\n"), "");
    let replies: String = (0..200).map(|n| later(&mut rig, n % 2, one)).collect();
    assert_eq!(replies, "-ERR no such key\r\n", "expired");
    assert_eq!(waited(&mut rig), 0);
}

#[test]
fn keys_that_come_from_elsewhere_serve() {
    let mut rig = rig(2);
    let (one, two) = (rig.connect(0), rig.connect(1));
    let ways = [
        "SET o v\r\nRENAME o k\r\n",
        "SET o v\r\nCOPY o k\r\n",
        "SELECT 1\r\nSET k v\r\nMOVE k 0\r\nSELECT 0\r\n",
        "SELECT 1\r\nSET k v\r\nSWAPDB 0 1\r\nSELECT 0\r\n",
        "MSET z 1 k v\r\n",
    ];
    for way in ways {
        assert_eq!(rig.ask(0, one, "TAKE k 0\r\n"), "");
        rig.ask(1, two, way);
        assert_eq!(later(&mut rig, 0, one), pair("k", "v"), "{way}");
        rig.ask(1, two, "FLUSHALL\r\n");
    }
}

#[test]
fn other_clients_end_the_waiting() {
    let mut rig = rig(2);
    let (one, two) = (rig.connect(0), rig.connect(1));
    let client = rig.world.clients().into_iter().find(|client| client.shard == 0);
    let id = client.unwrap().id;
    assert!(!rig.world.unblock(id, false));
    for (error, reply) in
        [(false, "*-1\r\n"), (true, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")]
    {
        assert_eq!(rig.ask(0, one, "TAKE k j 0\r\nPING\r\n"), "");
        assert!(rig.world.unblock(id, error));
        assert!(!rig.world.unblock(id, error), "once only");
        rig.ask(1, two, "SET k v\r\nDEL k\r\n");
        assert_eq!(later(&mut rig, 0, one), format!("{reply}+PONG\r\n"));
        assert_eq!(waited(&mut rig), 0);
    }
    assert!(!rig.world.unblock(id, false));
    assert!(!rig.world.unblock(9999, false));
}

#[test]
fn who_is_gone_takes_nothing() {
    type End = fn(&mut Rig, ConnId);
    let ends: [End; 4] = [
        |rig, conn| rig.turn(0, &[Event::EndOfStream(conn)]),
        |rig, conn| rig.turn(0, &[Event::Failed(conn)]),
        |rig, conn| rig.shards[0].closed(conn),
        |rig, _| {
            let client = rig.world.clients().into_iter().find(|client| client.shard == 0);
            rig.world.kill(&client.unwrap());
            rig.turn(0, &[]);
        },
    ];
    for end in ends {
        let mut rig = rig(2);
        let (one, two) = (rig.connect(0), rig.connect(1));
        rig.ask(0, one, "TAKE k j 0\r\n");
        end(&mut rig, one);
        assert_eq!(waited(&mut rig), 0);
        assert_eq!(rig.ask(1, two, "SET k v\r\nGET k\r\n"), "+OK\r\n$1\r\nv\r\n");
    }
}

#[test]
fn a_stream_that_ends_with_a_command_that_waits_is_closed() {
    let mut rig = rig(1);
    let conn = rig.connect(0);
    rig.turn(0, &[Event::Received(conn, b"PING\r\nTAKE k 0\r\n"), Event::EndOfStream(conn)]);
    assert_eq!(rig.output(0, conn), "+PONG\r\n");
    assert_eq!(rig.closed, [conn]);
    assert_eq!(waited(&mut rig), 0);
}

#[test]
fn who_hangs_up_in_the_turn_of_two_such_commands_takes_nothing() {
    let mut rig = rig(1);
    let (conn, writer) = (rig.connect(0), rig.connect(0));
    assert_eq!(rig.ask(0, writer, "SET a 1\r\n"), "+OK\r\n");
    let events = [
        Event::Received(conn, b"TAKE a 0\r\n"),
        Event::Received(conn, b"TAKE b 0\r\n"),
        Event::EndOfStream(conn),
    ];
    rig.turn(0, &events);
    rig.turn(0, &[]);
    assert_eq!(rig.output(0, conn), pair("a", "1"));
    assert_eq!(rig.closed, [conn]);
    assert_eq!(waited(&mut rig), 0);
    assert_eq!(rig.ask(0, writer, "SET b 2\r\nGET b\r\n"), "+OK\r\n$1\r\n2\r\n");
}

#[test]
fn who_waits_does_not_keep_the_server_from_ending() {
    let mut rig = rig(2);
    let conn = rig.connect(0);
    rig.ask(0, conn, "TAKE k 0\r\n");
    rig.world.stop();
    rig.turn(0, &[]);
    rig.output(0, conn);
    assert_eq!(rig.closed, [conn]);
}

#[test]
fn many_who_give_up_leave_no_memory() {
    const COUNT: usize = 3_000;
    let mut rig = rig(2);
    let conns: Vec<_> = (0..COUNT).map(|_| rig.connect(0)).collect();
    let memory = |rig: &mut Rig| {
        waited(rig);
        rig.world.used_memory()
    };
    // The tables come into being, and all stores publish what they hold.
    rig.ask(0, conns[0], "FLUSHALL\r\nMSET k 1 l 1 m 1\r\nDEL k l m\r\n");
    let before = memory(&mut rig);
    for &conn in &conns {
        rig.ask(0, conn, "TAKE k l m 60\r\n");
    }
    assert!(memory(&mut rig) > before + 100 * COUNT as u64);
    rig.now.mono_ns += 70_000_000_000;
    while waited(&mut rig) > 0 {}
    assert_eq!(memory(&mut rig), before);
    for &conn in &conns {
        let mut out = kevy_command::Output::new();
        rig.shards[0].take_output(conn, &mut out);
        assert_eq!(out.to_vec(), b"*-1\r\n");
    }
}

#[test]
fn the_driver_is_told_when_time_runs_out() {
    let mut rig = rig(1);
    let conn = rig.connect(0);
    rig.turn(0, &[]);
    rig.ask(0, conn, "TAKE k 0.003\r\n");
    let at = rig.now.mono_ns;
    assert_eq!(rig.shards[0].wait(), DriverWait::Until(at + 3_000_000));
    let mut turns = 0;
    while later(&mut rig, 0, conn).is_empty() {
        turns += 1;
    }
    assert_eq!(turns, 2, "of a millisecond each, before the one in which it ends");
}
