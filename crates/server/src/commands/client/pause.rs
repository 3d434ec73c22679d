//! `CLIENT PAUSE`, `CLIENT UNPAUSE` and `CLIENT UNBLOCK`.

use kevy_command::{After, Args, Call, Categories, Doc, Error, Group, Reply, Row, Run};

use super::{FOR_OPERATORS, wrong_number};
use crate::commands::engine;

pub(super) const PAUSE: Row = Row {
    name: "pause",
    arity: -3,
    flags: FOR_OPERATORS,
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Suspends the commands of all clients, or only those that write.",
        since: "3.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "timeout [WRITE | ALL]",
    },
    run: Run::Server(pause),
};
fn pause(call: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    args.seek(2);
    if args.remaining() > 2 {
        return Err(wrong_number(args.get(1).unwrap_or_default()));
    }
    let timeout = args.int();
    let all = !args.option("WRITE");
    if all && !args.at_end() && !args.option("ALL") {
        return Err(Error::new("ERR CLIENT PAUSE mode must be WRITE or ALL"));
    }
    let until_ms = match timeout {
        Err(_) => return Err(Error::new("ERR timeout is not an integer or out of range")),
        Ok(timeout) if timeout < 0 => return Err(Error::new("ERR timeout is negative")),
        Ok(timeout) => call.now_ms.checked_add(timeout),
    };
    let until_ms = until_ms.ok_or(Error::new("ERR timeout is out of range"))?;
    engine(call)?.world.pause(until_ms, all, call.now_ms);
    reply.ok();
    Ok(After::Barrier)
}

pub(super) const UNPAUSE: Row = Row {
    name: "unpause",
    arity: 2,
    flags: FOR_OPERATORS,
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Resumes the clients that were paused.",
        since: "6.2.0",
        group: Group::Connection,
        complexity: "O(N) where N is the number of paused clients",
        syntax: "",
    },
    run: Run::Server(unpause),
};
fn unpause(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    engine(call)?.world.unpause();
    reply.ok();
    Ok(After::Continue)
}

pub(super) const UNBLOCK: Row = Row {
    name: "unblock",
    arity: -3,
    flags: FOR_OPERATORS,
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Ends the wait of a client that is blocked.",
        since: "5.0.0",
        group: Group::Connection,
        complexity: "O(log N) where N is the number of client connections",
        syntax: "client-id [TIMEOUT | ERROR]",
    },
    run: Run::Server(unblock),
};
/// Only a command that waits for keys is ended: who is paused is not.
fn unblock(call: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    args.seek(2);
    if args.remaining() > 2 {
        return Err(wrong_number(args.get(1).unwrap_or_default()));
    }
    let client = args.int();
    let error = args.option("ERROR");
    if !args.at_end() && !args.option("TIMEOUT") {
        return Err(Error::new("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    }
    let client = u64::try_from(client?).unwrap_or(0);
    reply.integer(i64::from(engine(call)?.world.unblock(client, error)));
    Ok(After::Continue)
}
