//! Nanoseconds per call of frequent commands: look-up, handler, reply and effect, in the cache.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark reports to people")]

use kevy_command::{Args, FAMILIES, Output, PlacedKey, Reply, Table};
use kevy_keyspace::{Changes, Context, Keyspace, Placement, Store};
use kevy_resp::{Proto, Span};
use std::hint::black_box;
use std::time::Instant;

const KEYS: usize = 1_000;
const ROUNDS: usize = 1_000;

/// A call with its arguments in one buffer, as the parser leaves them.
struct Prepared {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

fn prepare(call: &str) -> Prepared {
    let mut prepared = Prepared { bytes: Vec::new(), spans: Vec::new() };
    for word in call.split(' ') {
        let start = prepared.bytes.len() as u32;
        prepared.bytes.extend_from_slice(word.as_bytes());
        prepared.spans.push(Span { start, len: word.len() as u32 });
    }
    prepared
}

/// Nanoseconds that `f` takes.
fn timed(f: impl FnOnce()) -> u128 {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    let started = Instant::now();
    f();
    started.elapsed().as_nanos()
}

fn measure(store: &mut Store, table: &Table, template: &str) {
    let placement = Placement::new(1);
    let calls: Vec<Prepared> =
        (0..KEYS).map(|key| prepare(&template.replace('@', &format!("key:{key:010}")))).collect();
    let (mut out, mut changes) = (Output::new(), Changes::new());
    let mut round = |store: &mut Store| {
        for call in &calls {
            let args = Args::new(&call.bytes, &call.spans, None, &[], placement);
            let found = table.find(&args).unwrap();
            let key = args.key_at(1).unwrap();
            let keys = [PlacedKey { arg: 1, store: key.store, hash: key.hash }];
            let context = Context {
                db: 0,
                now_ms: 1_000_000,
                client: 1,
                no_touch: false,
                lfu: None,
                max_bulk: 512 << 20,
                placement,
                limits: &kevy_data::Limits::DEFAULT,
                changes: &mut changes,
            };
            let mut ks = Keyspace::one(store, context);
            let mut reply = Reply::new(&mut out, Proto::Resp2);
            let _ =
                black_box(kevy_command::call(found, &mut ks, args.with_keys(&keys), &mut reply));
        }
        out.clear();
    };
    round(store);
    // The fastest round: the others were disturbed by whatever else the machine does.
    let fastest = (0..ROUNDS).map(|_| timed(|| round(store))).min().unwrap();
    let ns = fastest as f64 / KEYS as f64;
    println!("{ns:7.1} ns  {template}");
}

fn main() {
    let table = Table::new(FAMILIES).unwrap();
    let mut store = Store::new(0, 1);
    let value = "x".repeat(64);
    for template in [
        format!("SET @ {value}"),
        "GET @".to_owned(),
        "STRLEN @".to_owned(),
        format!("SET @ {value} EX 100"),
        "EXISTS @".to_owned(),
        "SET @ 1".to_owned(),
        "INCR @".to_owned(),
        "EXPIRE @ 100".to_owned(),
        "DEL @".to_owned(),
    ] {
        measure(&mut store, &table, &template);
    }
}
