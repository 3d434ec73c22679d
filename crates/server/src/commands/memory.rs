//! `MEMORY`.

use kevy_command::docs::help;
use kevy_command::{
    After, Args, Call, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_keyspace::Keyspace;

use super::engine;
use super::info::human;
use crate::machine::ProcessMemory;

const ANY: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

pub(super) const MEMORY: Row = Row {
    name: "memory",
    arity: -2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Tells where memory goes.",
        since: "4.0.0",
        group: Group::Server,
        complexity: "Depends on subcommand.",
        syntax: "",
    },
    run: Run::Container(&[&DOCTOR, &HELP, &MALLOC_STATS, &PURGE, &STATS, &USAGE]),
};

const USAGE: Row = Row {
    name: "usage",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::empty(),
    keys: &[KeySpec::one(2, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns the memory that a key takes, in bytes.",
        since: "4.0.0",
        group: Group::Server,
        complexity: "O(N) where N is the number of samples.",
        syntax: "key [SAMPLES count]",
    },
    run: Run::Keys(usage),
};
/// A key's place in its table, with the share of empty places.
const PLACE_BYTES: usize = 16;

fn usage(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    args.seek(2);
    let key = args.key()?;
    while !args.at_end() {
        if args.remaining() < 2 || !args.option("SAMPLES") {
            return Err(Error::SYNTAX);
        }
        if args.int()? < 0 {
            return Err(Error::SYNTAX);
        }
    }
    match ks.find(&key) {
        Some(record) => reply.integer((record.memory() + PLACE_BYTES) as i64),
        None => reply.null(),
    }
    Ok(Effect::none())
}

const STATS: Row = Row {
    name: "stats",
    arity: 2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: ANY,
    doc: Doc {
        summary: "Lists where memory goes.",
        since: "4.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Server(stats),
};
fn stats(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let engine = engine(call)?;
    let memory = engine.memory();
    let resident = ProcessMemory::read().resident;
    let stores = engine.world.all_store_counters();
    let keys: u64 = stores.flat_map(|store| store.dbs.iter()).map(|db| db.keys.get()).sum();
    let beyond_startup = memory.used.saturating_sub(memory.startup).max(1);
    let held = resident as i64;
    let used = memory.used as i64;
    let ratio = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let fields = [
        ("peak.allocated", Figure::Bytes(memory.peak)),
        ("total.allocated", Figure::Bytes(memory.used)),
        ("startup.allocated", Figure::Bytes(memory.startup)),
        ("replication.backlog", Figure::Bytes(0)),
        ("clients.slaves", Figure::Bytes(0)),
        ("clients.normal", Figure::Bytes(memory.clients)),
        ("cluster.links", Figure::Bytes(0)),
        ("aof.buffer", Figure::Bytes(0)),
        ("lua.caches", Figure::Bytes(0)),
        ("functions.caches", Figure::Bytes(0)),
        ("overhead.total", Figure::Bytes(memory.startup + memory.clients)),
        ("keys.count", Figure::Bytes(keys)),
        ("keys.bytes-per-key", Figure::Bytes(memory.dataset.checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", Figure::Bytes(memory.dataset)),
        ("dataset.percentage", Figure::Real(ratio(memory.dataset, beyond_startup) * 100.0)),
        ("peak.percentage", Figure::Real(ratio(memory.used, memory.peak) * 100.0)),
        ("allocator.allocated", Figure::Bytes(memory.used)),
        ("allocator.active", Figure::Bytes(resident)),
        ("allocator.resident", Figure::Bytes(resident)),
        ("fragmentation", Figure::Real(ratio(resident, memory.used))),
        ("fragmentation.bytes", Figure::Difference(held - used)),
    ];
    reply.map(fields.len());
    for (name, figure) in fields {
        reply.bulk(name.as_bytes());
        match figure {
            Figure::Bytes(bytes) => reply.integer(bytes as i64),
            Figure::Difference(bytes) => reply.integer(bytes),
            Figure::Real(value) => reply.double(value),
        }
    }
    Ok(After::Continue)
}

/// A value of `MEMORY STATS`.
enum Figure {
    Bytes(u64),
    Difference(i64),
    Real(f64),
}

const DOCTOR: Row = Row {
    name: "doctor",
    arity: 2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: ANY,
    doc: Doc {
        summary: "Judges how memory is used.",
        since: "4.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Server(doctor),
};
/// Below this the shares say nothing.
const WORTH_JUDGING: u64 = 5 << 20;
/// More than this many times the memory used is much to be resident.
const MUCH_RESIDENT: f64 = 1.4;

fn doctor(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let memory = engine(call)?.memory();
    let resident = ProcessMemory::read().resident;
    let ratio = resident as f64 / memory.used.max(1) as f64;
    let verdict = if memory.dataset < WORTH_JUDGING {
        "There is too little data to judge how memory is used.".to_owned()
    } else if ratio > MUCH_RESIDENT {
        format!(
            "{} are resident and {} are used: memory was freed that the allocator keeps, or is \
             fragmented. MEMORY PURGE cannot return it; it will be used again.",
            human(resident),
            human(memory.used)
        )
    } else {
        "Memory is used as it should be.".to_owned()
    };
    reply.verbatim("txt", verdict.as_bytes());
    Ok(After::Continue)
}

const MALLOC_STATS: Row = Row {
    name: "malloc-stats",
    arity: 2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: ANY,
    doc: Doc {
        summary: "Returns the allocator's own statistics.",
        since: "4.0.0",
        group: Group::Server,
        complexity: "Depends on how much memory is allocated, could be slow",
        syntax: "",
    },
    run: Run::Server(malloc_stats),
};
fn malloc_stats(_: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.verbatim("txt", b"Stats not supported for the current allocator");
    Ok(After::Continue)
}

const PURGE: Row = Row {
    name: "purge",
    arity: 2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    doc: Doc {
        summary: "Asks the allocator to return memory; it does so by itself.",
        since: "4.0.0",
        group: Group::Server,
        complexity: "Depends on how much memory is allocated, could be slow",
        syntax: "",
    },
    run: Run::Connection(purge),
};
fn purge(_: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.ok();
    Ok(After::Continue)
}

const HELP: Row = Row {
    name: "help",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Lists the subcommands.",
        since: "4.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(help),
};
