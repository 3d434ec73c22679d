//! `CONFIG`.

use kevy_command::docs::help;
use kevy_command::{After, Args, Call, Categories, Doc, Error, Flags, Group, Reply, Row, Run};

use super::engine;

const FOR_OPERATORS: Flags =
    Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);
const EVERYWHERE: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

pub(super) const CONFIG: Row = Row {
    name: "config",
    arity: -2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Reads and changes the configuration.",
        since: "2.0.0",
        group: Group::Server,
        complexity: "Depends on subcommand.",
        syntax: "",
    },
    run: Run::Container(&[&GET, &SET, &REWRITE, &RESETSTAT, &HELP]),
};

const GET: Row = Row {
    name: "get",
    arity: -3,
    flags: FOR_OPERATORS,
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Returns the directives whose names match, with their values.",
        since: "2.0.0",
        group: Group::Server,
        complexity: "O(N) when N is the number of configuration parameters provided",
        syntax: "parameter [parameter ...]",
    },
    run: Run::Server(get),
};
fn get(call: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let patterns: Vec<&[u8]> = args.iter().skip(2).collect();
    let found = engine(call)?.config().get(&patterns);
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(&name);
        reply.bulk(&value);
    }
    Ok(After::Continue)
}

const SET: Row = Row {
    name: "set",
    arity: -4,
    flags: FOR_OPERATORS,
    categories: Categories::empty(),
    keys: &[],
    tips: EVERYWHERE,
    doc: Doc {
        summary: "Changes directives, all of those given or none.",
        since: "2.0.0",
        group: Group::Server,
        complexity: "O(N) when N is the number of configuration parameters provided",
        syntax: "<parameter value> [parameter value ...]",
    },
    run: Run::Server(set),
};
fn set(call: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let engine = engine(call)?;
    let arguments: Vec<&[u8]> = args.iter().skip(2).collect();
    let protected = engine.config().allows_protected(call.session.client.is_local());
    engine.set_config(&arguments, protected).map_err(|error| Error::owned(error.to_string()))?;
    reply.ok();
    Ok(After::Barrier)
}

const REWRITE: Row = Row {
    name: "rewrite",
    arity: 2,
    flags: FOR_OPERATORS,
    categories: Categories::empty(),
    keys: &[],
    tips: EVERYWHERE,
    doc: Doc {
        summary: "Writes the configuration in force to the file that the server was started with.",
        since: "2.8.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Server(rewrite),
};
fn rewrite(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    engine(call)?.rewrite_config().map_err(Error::owned)?;
    reply.ok();
    Ok(After::Continue)
}

const RESETSTAT: Row = Row {
    name: "resetstat",
    arity: 2,
    flags: FOR_OPERATORS,
    categories: Categories::empty(),
    keys: &[],
    tips: EVERYWHERE,
    doc: Doc {
        summary: "Counts from zero again in the statistics.",
        since: "2.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Server(resetstat),
};
fn resetstat(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    engine(call)?.reset_statistics();
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
        since: "5.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(help),
};
