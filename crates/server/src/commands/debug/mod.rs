//! `DEBUG`, as far as test suites need it.

use kevy_command::docs::help;
use kevy_command::{Args, Categories, Doc, Error, Flags, Group, KeyFlags, KeySpec, Row, Run};

mod data;
mod digest;
mod protocol;
mod switches;

const FLAGS: Flags = Flags::ADMIN
    .union(Flags::NOSCRIPT)
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::PROTECTED);

pub(super) const DEBUG: Row = Row {
    flags: FLAGS.union(Flags::OPAQUE),
    ..row(
        "debug",
        "",
        "Shows and steers the inside of the server, for tests.",
        Run::Container(&[
            &row("change-repl-id", "", "Does nothing.", Run::Connection(switches::accepted)),
            &row(
                "delay-rdb-client-free-second",
                "seconds",
                "Does nothing.",
                Run::Connection(switches::accepted),
            ),
            &row(
                "dict-resizing",
                "zero-or-one",
                "Does nothing.",
                Run::Connection(switches::accepted),
            ),
            &row("digest", "", "Returns a digest of all data.", Run::AllStores(digest::digest)),
            &DIGEST_VALUE,
            &row(
                "error",
                "message",
                "Returns the message as an error.",
                Run::Connection(switches::error),
            ),
            &row("help", "", "Lists the subcommands.", Run::Connection(help)),
            &row(
                "log",
                "message",
                "Writes the message to the log.",
                Run::Connection(switches::log),
            ),
            &OBJECT,
            &row("pause-cron", "zero-or-one", "Does nothing.", Run::Connection(switches::accepted)),
            &row(
                "populate",
                "count [prefix] [size]",
                "Creates string keys.",
                Run::AllStores(data::populate),
            ),
            &row(
                "protocol",
                "type",
                "Returns a reply of the type.",
                Run::Connection(protocol::protocol),
            ),
            &row(
                "quicklist-packed-threshold",
                "size",
                "Does nothing.",
                Run::Connection(switches::accepted),
            ),
            &row(
                "replybuffer",
                "option value",
                "Does nothing.",
                Run::Connection(switches::accepted),
            ),
            &row(
                "set-active-expire",
                "zero-or-one",
                "Switches expiry in the background.",
                Run::Server(switches::set_active_expire),
            ),
            &row(
                "set-disable-deny-scripts",
                "zero-or-one",
                "Does nothing.",
                Run::Connection(switches::accepted),
            ),
            &row(
                "set-skip-checksum-validation",
                "zero-or-one",
                "Does nothing.",
                Run::Connection(switches::accepted),
            ),
            &row("sleep", "seconds", "Holds all data for so long.", Run::AllStores(data::sleep)),
            &row(
                "stringmatch-len",
                "length pattern",
                "Matches so many letters 'a' with a pattern.",
                Run::Connection(switches::stringmatch_len),
            ),
            &row("", "", "Refuses all other names.", Run::Connection(switches::unknown)),
        ]),
    )
};

const OBJECT: Row = Row {
    keys: &[KeySpec::one(2, KeyFlags::RO)],
    ..row("object", "key [FAST]", "Shows how a key is held.", Run::Keys(data::object))
};

const DIGEST_VALUE: Row = Row {
    keys: &[KeySpec::rest(2, KeyFlags::RO)],
    ..row(
        "digest-value",
        "key [key ...]",
        "Returns digests of the values of keys.",
        Run::Keys(digest::digest_value),
    )
};

const fn row(name: &'static str, syntax: &'static str, summary: &'static str, run: Run) -> Row {
    Row {
        name,
        arity: -2,
        flags: FLAGS,
        categories: Categories::empty(),
        keys: &[],
        tips: &[],
        doc: Doc {
            summary,
            since: "1.0.0",
            group: Group::Server,
            complexity: "Depends on subcommand.",
            syntax,
        },
        run,
    }
}

/// What Redis answers to subcommands that it does not have and to wrong numbers of arguments.
fn refused(args: &Args<'_>) -> Error {
    let name = args.get(1).unwrap_or_default();
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]);
    Error::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
    ))
}

/// Checks the number of arguments behind the subcommand.
fn expect(args: &Args<'_>, count: std::ops::RangeInclusive<usize>) -> Result<(), Error> {
    if count.contains(&(args.len() - 2)) { Ok(()) } else { Err(refused(args)) }
}
