//! Time for each command parsed and each reply written: `cargo bench -p kevy-resp`.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::time::Instant;

use kevy_resp::{Limits, Output, Parser, Proto, Reply, Step, decode, write_command};

/// Commands in one buffer.
const PIPELINE: usize = 64;
const ROUNDS: u32 = 100_000;

/// Prints the time of one of `PIPELINE` pieces of work that `round` does.
fn measure(name: &str, mut round: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
        let start = Instant::now();
        for _ in 0..ROUNDS / 5 {
            round();
        }
        let time = start.elapsed() / (ROUNDS / 5);
        best = best.min(time.as_nanos() as f64 / PIPELINE as f64);
    }
    println!("{name:<40} {best:>7.1} ns");
}

fn parse(name: &str, args: &[&str]) {
    let mut one = Vec::new();
    write_command(&mut one, args);
    let buf = one.repeat(PIPELINE);
    let (mut parser, mut spans) = (Parser::new(), Vec::new());
    let limits = Limits::authenticated(512 << 20);
    measure(name, || {
        spans.clear();
        let buf = black_box(&buf[..]);
        let mut from = 0;
        while let Ok(Step::Command { end }) = parser.parse(buf, from, &limits, &mut spans) {
            from = end;
        }
        assert_eq!(spans.len(), args.len() * PIPELINE);
    });
}

fn reply(name: &str, write: impl Fn(&mut Reply<'_, Vec<u8>>)) {
    let mut out = Output::new();
    measure(name, || {
        out.clear();
        for _ in 0..PIPELINE {
            write(&mut Reply::new(black_box(&mut out), Proto::Resp2));
        }
    });
}

fn skip(name: &str, one: &str) {
    let buf = one.repeat(PIPELINE).into_bytes();
    measure(name, || {
        let mut rest = black_box(&buf[..]);
        while let Ok(Some(len)) = decode::skip(rest) {
            rest = &rest[len..];
        }
        assert!(rest.is_empty());
    });
}

fn main() {
    let value = "x".repeat(64);
    parse("parse GET, key of 14 bytes", &["GET", "key:0000000001"]);
    parse("parse SET, 3 arguments, 64 bytes", &["SET", "key:0000000001", &value]);
    parse("parse SET, 3 arguments, 256 bytes", &["SET", "key:0000000001", &value.repeat(4)]);
    reply("write +OK", |reply| reply.ok());
    reply("write integer", |reply| reply.integer(black_box(12345)));
    reply("write bulk of 64 bytes", |reply| reply.bulk(black_box(value.as_bytes())));
    skip("skip +OK", "+OK\r\n");
    skip("skip bulk of 64 bytes", &format!("$64\r\n{value}\r\n"));
}
