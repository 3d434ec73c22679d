//! Whole databases, and the time.

use crate::{
    After, Args, Call, Categories, Doc, Effect, Error, Flags, Group, Logged, Reply, Row, Run,
};
use kevy_keyspace::Keyspace;

/// Commands for whole databases, and the time.
pub const SERVER: &[&Row] = &[&DBSIZE, &FLUSHDB, &FLUSHALL, &SWAPDB, &TIME];

const DBSIZE: Row = Row {
    name: "dbsize",
    arity: 1,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[],
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    doc: Doc {
        summary: "Counts the keys of the database.",
        since: "1.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::AllStores(dbsize),
};
fn dbsize(ks: &mut Keyspace<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    reply.integer(ks.len(ks.db()) as i64);
    Ok(Effect::none())
}

const FLUSHDB: Row = Row {
    name: "flushdb",
    arity: -1,
    flags: Flags::WRITE,
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    keys: &[],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    doc: Doc {
        summary: "Removes all keys of the database.",
        since: "1.0.0",
        group: Group::Server,
        complexity: "O(N) where N is the number of keys in the selected database",
        syntax: "[ASYNC | SYNC]",
    },
    run: Run::AllStores(flushdb),
};
fn flushdb(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    flush(ks, args, Some(ks.db()), reply)
}

const FLUSHALL: Row = Row {
    name: "flushall",
    arity: -1,
    flags: Flags::WRITE,
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    keys: &[],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    doc: Doc {
        summary: "Removes all keys of all databases.",
        since: "1.0.0",
        group: Group::Server,
        complexity: "O(N) where N is the total number of keys in all databases",
        syntax: "[ASYNC | SYNC]",
    },
    run: Run::AllStores(flushall),
};
fn flushall(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    flush(ks, args, None, reply)
}

/// Empties one database or all. Both ways of freeing are the same: in slices, later.
fn flush(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    db: Option<usize>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    if !args.at_end() && !args.option("ASYNC") && !args.option("SYNC") {
        return Err(Error::SYNTAX);
    }
    args.end()?;
    let removed = ks.flush(db);
    reply.ok();
    // An empty database is flushed in the log all the same, as Redis does it.
    Ok(Effect {
        logged: Logged::AsGiven,
        ..Effect::as_given(removed.try_into().unwrap_or(u32::MAX))
    })
}

const SWAPDB: Row = Row {
    name: "swapdb",
    arity: 3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Exchanges the contents of two databases.",
        since: "4.0.0",
        group: Group::Server,
        complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
        syntax: "index1 index2",
    },
    run: Run::AllStores(swapdb),
};
fn swapdb(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let first = args.small_int().map_err(|_| Error::new("ERR invalid first DB index"))?;
    let second = args.small_int().map_err(|_| Error::new("ERR invalid second DB index"))?;
    let (first, second) = (database(first, ks)?, database(second, ks)?);
    ks.swap(first, second);
    reply.ok();
    Ok(Effect::as_given(1))
}

const TIME: Row = Row {
    name: "time",
    arity: 1,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
    categories: Categories::empty(),
    keys: &[],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns the time as Unix seconds and microseconds.",
        since: "2.6.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(time),
};
fn time(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.array(2);
    reply.bulk_integer(call.now_us.div_euclid(1_000_000));
    reply.bulk_integer(call.now_us.rem_euclid(1_000_000));
    Ok(After::Continue)
}

/// The number of a database as an index.
pub(crate) fn database(number: i32, ks: &Keyspace<'_>) -> Result<usize, Error> {
    usize::try_from(number).ok().filter(|db| *db < ks.databases()).ok_or(Error::DB_OUT_OF_RANGE)
}
