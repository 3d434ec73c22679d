//! `LASTSAVE`, `LOLWUT`, `ROLE`, and the two words by which browsers are recognized.

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

/// A line of an HTTP request: somebody lures a browser of this machine into sending commands. The
/// connection ends before it comes to the request's body.
pub(super) const HOST: Row = Row { name: "host:", ..POST };

/// The first word of an HTTP request, see [`HOST`].
pub(super) const POST: Row = Row {
    name: "post",
    arity: -1,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::NO_AUTH)
        .union(Flags::NOT_QUEUED)
        .union(Flags::HIDDEN),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Closes the connection of a browser.",
        since: "2.8.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "[argument [argument ...]]",
    },
    run: Run::Connection(browser),
};
fn browser(call: &mut Call<'_>, _: Args<'_>, _: &mut Reply<'_>) -> Result<After, Error> {
    tracing::warn!(
        "Possible SECURITY ATTACK: a client sends HTTP, as a browser does that was lured into \
         sending commands. The connection from {} is closed.",
        call.session.client.address
    );
    Ok(After::Close)
}
