//! Transactions and optimistic locks.
//!
//! The queue is the session's, the watched keys are known to the session and to their stores;
//! between them the runtime carries the news.

use crate::session::{Queue, Transaction, WatchedKey};
use crate::{
    After, Args, Call, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run, Session,
};
use kevy_keyspace::Keyspace;

/// Commands for transactions.
pub const TRANSACTIONS: &[&Row] = &[&MULTI, &EXEC, &DISCARD, &WATCH, &UNWATCH];

const MULTI: Row = Row {
    name: "multi",
    arity: 1,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::ALLOW_BUSY)
        .union(Flags::NOT_QUEUED),
    categories: Categories::TRANSACTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Begins a transaction: the commands that follow are queued.",
        since: "1.2.0",
        group: Group::Transactions,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(multi),
};
fn multi(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    if call.session.in_multi() {
        return Err(Error::new("ERR MULTI calls can not be nested"));
    }
    call.session.begin(Queue::default());
    reply.ok();
    Ok(After::Continue)
}

const EXEC: Row = Row {
    name: "exec",
    arity: 1,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::SKIP_SLOWLOG)
        .union(Flags::NOT_QUEUED),
    categories: Categories::TRANSACTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Runs the commands queued, all together, unless a watched key has changed.",
        since: "1.2.0",
        group: Group::Transactions,
        complexity: "Depends on commands in the transaction",
        syntax: "",
    },
    run: Run::Transaction(exec),
};
fn exec(session: &mut Session) -> Result<Transaction, Error> {
    let Some(queue) = session.take_queue() else {
        return Err(Error::new("ERR EXEC without MULTI"));
    };
    if queue.aborted {
        session.unwatch();
        return Err(Error::EXEC_ABORT);
    }
    Ok(Transaction { queue, watched: session.take_watched() })
}

const DISCARD: Row = Row {
    name: "discard",
    arity: 1,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::ALLOW_BUSY)
        .union(Flags::NOT_QUEUED),
    categories: Categories::TRANSACTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Forgets the commands queued and the keys watched.",
        since: "2.0.0",
        group: Group::Transactions,
        complexity: "O(N), when N is the number of queued commands",
        syntax: "",
    },
    run: Run::Connection(discard),
};
fn discard(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    if !call.session.in_multi() {
        return Err(Error::new("ERR DISCARD without MULTI"));
    }
    call.session.discard();
    reply.ok();
    Ok(After::Continue)
}

const WATCH: Row = Row {
    name: "watch",
    arity: -2,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::ALLOW_BUSY)
        .union(Flags::NOT_QUEUED),
    categories: Categories::TRANSACTION,
    keys: &[KeySpec::rest(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Makes the next transaction depend on keys that do not change until then.",
        since: "2.2.0",
        group: Group::Transactions,
        complexity: "O(1) for every key",
        syntax: "key [key ...]",
    },
    run: Run::Session(note_watched, watch),
};
fn watch(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    while !args.at_end() {
        let key = args.key()?;
        ks.watch(ks.client(), &key);
    }
    reply.ok();
    Ok(Effect::none())
}

/// Notes the keys in the session, each once for a database.
fn note_watched(session: &mut Session, args: &Args<'_>) -> Result<(), Error> {
    if session.in_multi() {
        return Err(Error::new("ERR WATCH inside MULTI is not allowed"));
    }
    for key in args.iter().skip(1) {
        session.watch(WatchedKey { db: session.db, key: key.into() });
    }
    Ok(())
}

const UNWATCH: Row = Row {
    name: "unwatch",
    arity: 1,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::ALLOW_BUSY),
    categories: Categories::TRANSACTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Forgets the keys watched.",
        since: "2.2.0",
        group: Group::Transactions,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(unwatch),
};
fn unwatch(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    call.session.unwatch();
    reply.ok();
    Ok(After::Continue)
}
