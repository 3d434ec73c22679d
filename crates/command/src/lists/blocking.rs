//! Waiting for elements of lists.

use super::moving::{KEYS, move_one};
use super::pop::{KEY, Wanted, pop_first};
use super::side;
use crate::{
    Args, Attempt, Categories, CommandList, Doc, Effect, Error, Flags, Group, KeySpec, Logged,
    Reply, Row, Run, Wait,
};
use kevy_data::{Kind, Side};
use kevy_keyspace::Keyspace;

const SEVERAL: &[KeySpec] = &[KeySpec::range(1, -2, 1, KEY)];

/// The row of `BLPOP` or `BRPOP`.
const fn pop_row(name: &'static str, summary: &'static str, run: Run) -> Row {
    Row {
        name,
        arity: -3,
        flags: Flags::WRITE.union(Flags::BLOCKING),
        categories: Categories::LIST,
        keys: SEVERAL,
        tips: &[],
        doc: Doc {
            summary,
            since: "2.0.0",
            group: Group::List,
            complexity: "O(N) where N is the number of keys.",
            syntax: "key [key ...] timeout:double",
        },
        run,
    }
}

pub(super) const BLPOP: Row = pop_row(
    "blpop",
    "Takes the first element off the first list among several keys, or waits for one.",
    Run::Blocking(blpop),
);
fn blpop(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Attempt, Error> {
    pop(ks, args, Side::Left, reply)
}

pub(super) const BRPOP: Row = pop_row(
    "brpop",
    "Takes the last element off the first list among several keys, or waits for one.",
    Run::Blocking(brpop),
);
fn brpop(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Attempt, Error> {
    pop(ks, args, Side::Right, reply)
}

fn pop(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    let keys = 1..args.len() - 1;
    args.seek(keys.end);
    let timeout_ms = args.timeout_secs(ks.now_ms())?;
    match pop_first(ks, &args, keys.clone(), side, None, reply)? {
        Some(effect) => Ok(effect.into()),
        None => {
            reply.null_array();
            Ok(Attempt::Nothing(Wait::data(Kind::List, keys, timeout_ms)))
        }
    }
}

pub(super) const BLMPOP: Row = Row {
    name: "blmpop",
    arity: -5,
    flags: Flags::WRITE.union(Flags::BLOCKING).union(Flags::MOVABLE_KEYS),
    categories: Categories::LIST,
    keys: &[KeySpec::counted(2, KEY)],
    tips: &[],
    doc: Doc {
        summary: "Takes elements off the first list among several keys, or waits for some.",
        since: "7.0.0",
        group: Group::List,
        complexity: "O(N+M) where N is the number of keys and M the number of elements returned.",
        syntax: "timeout:double numkeys:integer key [key ...] <LEFT | RIGHT> [COUNT count]",
    },
    run: Run::Blocking(blmpop),
};
fn blmpop(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    // Of several errors, Redis tells that of the timeout last.
    args.seek(2);
    let Wanted { keys, side, count } = Wanted::read(&mut args)?;
    args.seek(1);
    let timeout_ms = args.timeout_secs(ks.now_ms())?;
    match pop_first(ks, &args, keys.clone(), side, Some(count), reply)? {
        Some(effect) => Ok(effect.into()),
        None => {
            reply.null_array();
            Ok(Attempt::Nothing(Wait::data(Kind::List, keys, timeout_ms)))
        }
    }
}

pub(super) const BLMOVE: Row = Row {
    name: "blmove",
    arity: 6,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::BLOCKING),
    categories: Categories::LIST,
    keys: KEYS,
    tips: &[],
    doc: Doc {
        summary: "Moves an element from one list to another, or waits for one.",
        since: "6.2.0",
        group: Group::List,
        complexity: "O(1)",
        syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout:double",
    },
    run: Run::Blocking(blmove),
};
fn blmove(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    args.seek(3);
    let sides = (side(&mut args)?, side(&mut args)?);
    let frame = |args: &Args<'_>| {
        let mut frames = CommandList::new();
        let given = args.iter().skip(1).take(4);
        frames.push([&b"LMOVE"[..]].into_iter().chain(given)).then_some(frames)
    };
    move_or_wait(ks, args, sides, frame, reply)
}

pub(super) const BRPOPLPUSH: Row = Row {
    name: "brpoplpush",
    arity: 4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::BLOCKING),
    categories: Categories::LIST,
    keys: KEYS,
    tips: &[],
    doc: Doc {
        summary: "Moves the last element of a list before the first of another, or waits for one.",
        since: "2.2.0",
        group: Group::List,
        complexity: "O(1)",
        syntax: "source destination timeout:double",
    },
    run: Run::Blocking(brpoplpush),
};
fn brpoplpush(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    args.seek(3);
    let frame = |args: &Args<'_>| {
        let mut frames = CommandList::new();
        let given = args.iter().skip(1).take(2);
        frames.push([&b"RPOPLPUSH"[..]].into_iter().chain(given)).then_some(frames)
    };
    move_or_wait(ks, args, (Side::Right, Side::Left), frame, reply)
}

/// Moves an element from the list of argument 1 to that of argument 2, or waits for the first; the
/// next argument is the timeout. `frame` is the command that does not wait.
fn move_or_wait(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    sides: (Side, Side),
    frame: impl FnOnce(&Args<'_>) -> Option<CommandList>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    let timeout_ms = args.timeout_secs(ks.now_ms())?;
    args.seek(1);
    let (from, to) = (args.key()?, args.key()?);
    let frames = frame(&args).ok_or(Error::OUT_OF_MEMORY)?;
    match move_one(ks, &from, &to, sides, reply)? {
        Some(effect) => Ok(Effect { logged: Logged::Frames(Box::new(frames)), ..effect }.into()),
        None => {
            reply.null();
            Ok(Attempt::Nothing(Wait::data(Kind::List, 1..2, timeout_ms).whole()))
        }
    }
}
