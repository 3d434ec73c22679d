//! `LASTSAVE`, `LOLWUT`, `ROLE`.

use kevy_command::{After, Args, Call, Categories, Doc, Error, Flags, Group, Reply, Row, Run};

use super::engine;

pub(super) const LASTSAVE: Row = Row {
    name: "lastsave",
    arity: 1,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
    categories: Categories::ADMIN.union(Categories::DANGEROUS),
    keys: &[],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns when the data was last saved, as Unix time.",
        since: "1.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(lastsave),
};
/// Nothing has been saved yet: the start of the server, as Redis says then.
fn lastsave(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.integer(engine(call)?.identity.started_ms / 1000);
    Ok(After::Continue)
}

pub(super) const LOLWUT: Row = Row {
    name: "lolwut",
    arity: -1,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Draws something, and tells the version.",
        since: "5.0.0",
        group: Group::Server,
        complexity: "",
        syntax: "[VERSION version]",
    },
    run: Run::Connection(lolwut),
};
fn lolwut(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let mut drawing = String::new();
    for row in 0..8_i32 {
        // Two waves that meet in the middle.
        let key = (row - 4).unsigned_abs() as usize;
        drawing.push_str(&" ".repeat(4 + key));
        drawing.push_str(&"~".repeat(9 - key));
        drawing.push_str(&" ".repeat(2 * key + 1));
        drawing.push_str(&"=".repeat(9 - key));
        drawing.push('\n');
    }
    drawing.push_str("\nRedis ver. ");
    drawing.push_str(&call.settings.compat_version);
    drawing.push('\n');
    reply.verbatim("txt", drawing.as_bytes());
    Ok(After::Continue)
}

pub(super) const ROLE: Row = Row {
    name: "role",
    arity: 1,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::FAST),
    categories: Categories::ADMIN.union(Categories::DANGEROUS),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Returns what the server is in its replication.",
        since: "2.8.12",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(role),
};
fn role(_: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.array(3);
    reply.bulk(b"master");
    reply.integer(0);
    reply.array(0);
    Ok(After::Continue)
}
