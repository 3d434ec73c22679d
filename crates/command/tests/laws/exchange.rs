//! Payloads of `DUMP` between us and redis-server, in both directions.

use crate::machine::Machine;
use crate::oracle::Oracle;
use crate::render::{frame_text, render};
use kevy_resp::Proto;
use kevy_resp::decode::Frame;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Up to where the encodings are compact: by directive, ours and the oracle's.
fn tighten(machine: &mut Machine, oracle: &mut Oracle) {
    let limits = &mut machine.settings.limits;
    limits.list_max_listpack_size = 4;
    limits.stream_node_max_entries = 3;
    (limits.hash_max_listpack_entries, limits.zset_max_listpack_entries) = (4, 4);
    (limits.set_max_intset_entries, limits.set_max_listpack_entries) = (4, 4);
    for (name, value) in [
        ("list-max-listpack-size", "4"),
        ("stream-node-max-entries", "3"),
        ("hash-max-listpack-entries", "4"),
        ("zset-max-listpack-entries", "4"),
        ("set-max-intset-entries", "4"),
    ] {
        let reply = frame_text(&oracle.call(0, &["CONFIG", "SET", name, value]));
        assert_eq!(reply, "OK", "{name}");
    }
}

fn text(rng: &mut StdRng) -> Vec<u8> {
    match rng.random_range(0..5) {
        0 => rng.random_range(-300..300).to_string().into_bytes(),
        1 => rng.random::<i64>().to_string().into_bytes(),
        2 => vec![b'a' + rng.random_range(0..3); rng.random_range(0..300)],
        3 => (0..rng.random_range(0..40)).map(|_| rng.random()).collect(),
        _ => format!("member:{}", rng.random_range(0..100)).into_bytes(),
    }
}

/// Calls that make a value of one type under the key `k`.
fn calls(rng: &mut StdRng) -> Vec<Vec<Vec<u8>>> {
    let (kind, count) = (rng.random_range(0..7), rng.random_range(1..12));
    let mut calls = Vec::new();
    let mut call = |words: &[&[u8]]| calls.push(words.iter().map(|word| word.to_vec()).collect());
    for at in 0..count {
        let (one, other) = (text(rng), text(rng));
        let number = (f64::from(rng.random_range(-20..20)) / 4.0).to_string();
        let number = number.as_bytes();
        let id = format!("{}-{at}", at / 2 + 1);
        match kind {
            0 => call(&[b"SET", b"k", &one]),
            1 => call(&[b"RPUSH", b"k", &one, &other]),
            2 => call(&[b"SADD", b"k", rng.random::<u16>().to_string().as_bytes()]),
            3 => call(&[b"SADD", b"k", &one, &other]),
            4 => call(&[b"HSET", b"k", &one, &other]),
            5 => call(&[b"ZADD", b"k", number, &one, b"-inf", b"least", b"inf", b"most"]),
            _ => call(&[b"XADD", b"k", id.as_bytes(), b"field", &one, b"other", &other]),
        }
    }
    if kind == 6 {
        call(&[b"XDEL", b"k", b"1-1"]);
        call(&[b"XGROUP", b"CREATE", b"k", b"fresh", b"$"]);
        call(&[b"XGROUP", b"CREATE", b"k", b"group", b"0"]);
        for (consumer, count) in [(&b"alice"[..], &b"2"[..]), (b"bob", b"3")] {
            call(&[b"XGROUP", b"CREATECONSUMER", b"k", b"group", consumer]);
            let words =
                [&b"GROUP"[..], b"group", consumer, b"COUNT", count, b"STREAMS", b"k", b">"];
            call(&[&[&b"XREADGROUP"[..]], &words[..]].concat());
        }
        call(&[b"XACK", b"k", b"group", b"2-2"]);
    }
    calls
}

/// Calls that tell all of the value, whatever its type; the others are refused.
const READING: &[&[&str]] = &[
    &["TYPE", "k"],
    &["GET", "k"],
    &["LRANGE", "k", "0", "-1"],
    &["SMEMBERS", "k"],
    &["HGETALL", "k"],
    &["ZRANGE", "k", "0", "-1", "WITHSCORES"],
    &["XRANGE", "k", "-", "+"],
    &["XINFO", "GROUPS", "k"],
    &["XPENDING", "k", "group"],
    &["XPENDING", "k", "fresh"],
    &["TTL", "k"],
];

fn is_unordered(call: &[&str]) -> bool {
    ["SMEMBERS", "HGETALL"].contains(&call[0])
}

fn told(mut call: impl FnMut(&[&str]) -> String) -> Vec<String> {
    let told = READING.iter().map(|words| {
        let mut reply = call(words);
        if is_unordered(words) {
            let mut chars: Vec<char> = reply.chars().collect();
            chars.sort_unstable();
            reply = chars.into_iter().collect();
        }
        format!("{}: {reply}", words.join(" "))
    });
    told.collect()
}

fn bytes(frame: Frame) -> Vec<u8> {
    match frame {
        Frame::Bulk(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

fn exchange(machine: &mut Machine, oracle: &mut Oracle, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..150 {
        let calls = calls(&mut rng);
        machine.call(0, &["DEL", "k"]);
        oracle.call(0, &["DEL", "k"]);
        for call in &calls {
            machine.call(0, call);
            oracle.call(0, call);
        }
        let expected = told(|words| frame_text(&oracle.call(0, words)));
        let ours = told(|words| render(&machine.call(0, words)));
        assert_eq!(ours, expected);

        // What we have written, there.
        let (payload, _) =
            kevy_resp::decode::decode(&machine.call(0, &["DUMP", "k"])).unwrap().unwrap();
        let payload = bytes(payload);
        let their_own = bytes(oracle.call(0, &["DUMP", "k"]));
        // Times when consumers were active need the later format.
        if payload[payload.len() - 10] == 10 {
            let call = [&b"RESTORE"[..], b"k", b"0", &payload, b"REPLACE"];
            let reply = frame_text(&oracle.call(0, &call));
            assert_eq!(reply, "OK", "{}", payload.escape_ascii());
            assert_eq!(told(|words| frame_text(&oracle.call(0, words))), expected);
        }

        // What is written there, here.
        let call = [&b"RESTORE"[..], b"k", b"0", &their_own, b"REPLACE"];
        let reply = render(&machine.call(0, &call));
        assert_eq!(reply, "OK", "{}", their_own.escape_ascii());
        assert_eq!(told(|words| render(&machine.call(0, words))), expected);
    }
}

#[test]
fn payloads_are_exchanged_with_the_oracle() {
    let Some(mut oracle) = Oracle::start() else { return };
    let reply = oracle.call(0, &["CONFIG", "SET", "sanitize-dump-payload", "yes"]);
    assert_eq!(frame_text(&reply), "OK");
    let mut machine = Machine::new(2, Proto::Resp2);
    exchange(&mut machine, &mut oracle, 1);
    tighten(&mut machine, &mut oracle);
    exchange(&mut machine, &mut oracle, 2);
}
