//! The client's own connection: greeting, identity, database, what it wants of replies.

use crate::docs::help;
use crate::{
    After, Args, Call, Categories, ClientFlags, Doc, Error, Flags, Group, Names, Reply, ReplyMode,
    Row, Run, Session,
};
use kevy_resp::Proto;
use std::hint::black_box;

/// Commands of the connection, without the container `CLIENT`.
pub const CONNECTION: &[&Row] = &[&HELLO, &AUTH, &PING, &ECHO, &SELECT, &RESET, &QUIT];

/// The subcommands of `CLIENT` that need no other client. The server makes the container of them
/// and of its own.
pub const CLIENT_SESSION: &[&Row] = &[
    &CLIENT_ID,
    &CLIENT_GETNAME,
    &CLIENT_SETNAME,
    &CLIENT_SETINFO,
    &CLIENT_REPLY,
    &CLIENT_NO_TOUCH,
    &CLIENT_NO_EVICT,
    &CLIENT_GETREDIR,
    &CLIENT_TRACKINGINFO,
    &CLIENT_HELP,
];

const BAD_CLIENT_NAME: Error =
    Error::new("ERR Client names cannot contain spaces, newlines or special characters.");

const HELLO: Row = Row {
    name: "hello",
    arity: -1,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::NO_AUTH)
        .union(Flags::ALLOW_BUSY),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Greets the server: chooses the protocol's version, authenticates, names the connection.",
        since: "6.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "[protover [AUTH username password] [SETNAME clientname]]",
    },
    run: Run::Connection(hello),
};
fn hello(call: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let version = if args.at_end() { None } else { Some(protocol(&mut args)?) };
    let (mut credentials, mut name) = (None, None);
    while let Some(option) = args.peek() {
        if args.remaining() > 2 && args.option("AUTH") {
            credentials = Some((args.bytes()?, args.bytes()?));
        } else if args.remaining() > 1 && args.option("SETNAME") {
            name = Some(client_name(args.bytes()?)?);
        } else {
            return Err(Error::quoting("ERR Syntax error in HELLO option '", option, "'"));
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(call, user, password)?;
    }
    if !call.session.authenticated {
        return Err(Error::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        call.session.client.rename(|names| names.name = name.to_vec());
    }
    if let Some(version) = version {
        call.session.speak(version);
    }
    greet(call, &mut Reply::new(reply.output(), call.session.proto));
    Ok(After::Continue)
}

fn protocol(args: &mut Args<'_>) -> Result<Proto, Error> {
    const NOT_A_NUMBER: Error =
        Error::new("ERR Protocol version is not an integer or out of range");
    match args.int().map_err(|_| NOT_A_NUMBER)? {
        2 => Ok(Proto::Resp2),
        3 => Ok(Proto::Resp3),
        _ => Err(Error::new("NOPROTO unsupported protocol version")),
    }
}

/// What the server says of itself, in the protocol just chosen.
fn greet(call: &Call<'_>, reply: &mut Reply<'_>) {
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(call.settings.compat_version.as_bytes());
    reply.bulk(b"proto");
    reply.integer(if reply.proto() == Proto::Resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(call.session.client.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
}

const AUTH: Row = Row {
    name: "auth",
    arity: -2,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::NO_AUTH)
        .union(Flags::ALLOW_BUSY),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Authenticates the connection.",
        since: "1.0.0",
        group: Group::Connection,
        complexity: "O(N) where N is the number of passwords of the user",
        syntax: "[username] password",
    },
    run: Run::Connection(auth),
};
fn auth(call: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let first = args.bytes()?;
    if args.at_end() {
        if call.settings.password.is_none() {
            return Err(Error::new(
                "ERR AUTH <password> called without any password configured for the default \
                 user. Are you sure your configuration is correct?",
            ));
        }
        authenticate(call, b"default", first)?;
    } else {
        let password = args.bytes()?;
        args.end()?;
        authenticate(call, first, password)?;
    }
    reply.ok();
    Ok(After::Continue)
}

/// Lets the client in if the password is the user's. There is one user, `default`; without a
/// password set it accepts any.
fn authenticate(call: &mut Call<'_>, user: &[u8], password: &[u8]) -> Result<(), Error> {
    let accepted = match &call.settings.password {
        None => true,
        Some(expected) => same_secret(expected, password),
    };
    if user != b"default" || !accepted {
        return Err(Error::new("WRONGPASS invalid username-password pair or user is disabled."));
    }
    call.session.authenticated = true;
    Ok(())
}

/// Compares in a time that depends on the length of `given` only.
fn same_secret(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = u8::from(expected.len() != given.len());
    for (at, byte) in given.iter().enumerate() {
        // Beyond the end of the secret `given` is compared with itself.
        difference |= black_box(*byte ^ *expected.get(at).unwrap_or(byte));
    }
    black_box(difference) == 0
}

const PING: Row = Row {
    name: "ping",
    arity: -1,
    flags: Flags::FAST,
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    doc: Doc {
        summary: "Answers PONG, or the message given.",
        since: "1.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "[message]",
    },
    run: Run::Connection(ping),
};
fn ping(_: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    if args.at_end() {
        reply.raw(b"+PONG\r\n");
    } else {
        let message = args.bytes()?;
        args.end().map_err(|_| Error::arity("ping"))?;
        reply.bulk(message);
    }
    Ok(After::Continue)
}

const ECHO: Row = Row {
    name: "echo",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Answers the message given.",
        since: "1.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "message",
    },
    run: Run::Connection(echo),
};
fn echo(_: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    match args.blob() {
        Some(message) => reply.shared(message),
        None => reply.bulk(args.bytes()?),
    }
    Ok(After::Continue)
}

const SELECT: Row = Row {
    name: "select",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Changes the database that the connection works on.",
        since: "1.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "index",
    },
    run: Run::Connection(select),
};
fn select(call: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let index = args.small_int()?;
    let db = usize::try_from(index).ok().filter(|db| *db < call.settings.databases);
    call.session.select(db.ok_or(Error::DB_OUT_OF_RANGE)?);
    reply.ok();
    Ok(After::Continue)
}

const RESET: Row = Row {
    name: "reset",
    arity: 1,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::NO_AUTH)
        .union(Flags::ALLOW_BUSY)
        .union(Flags::NOT_QUEUED),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Brings the connection back to the state of a new one.",
        since: "6.2.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(reset),
};
fn reset(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let session: &mut Session = call.session;
    session.discard();
    session.select(0);
    session.speak(Proto::Resp2);
    session.authenticated = call.settings.password.is_none();
    session.reply_mode = ReplyMode::On;
    session.no_touch = false;
    session.client.set_flags(ClientFlags::NO_TOUCH | ClientFlags::NO_EVICT, false);
    session.client.rename(|names| names.name.clear());
    reply.simple("RESET");
    Ok(After::Continue)
}

const QUIT: Row = Row {
    name: "quit",
    arity: -1,
    flags: Flags::ALLOW_BUSY
        .union(Flags::NOSCRIPT)
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::NO_AUTH)
        .union(Flags::NOT_QUEUED),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Closes the connection when all replies have been sent.",
        since: "1.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(quit),
};
fn quit(_: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.ok();
    Ok(After::Close)
}

/// `CLIENT ID`
pub const CLIENT_ID: Row = Row {
    name: "id",
    arity: 2,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of the connection, which is never given twice.",
        since: "5.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(client_id),
};
fn client_id(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.integer(call.session.client.id as i64);
    Ok(After::Continue)
}

/// `CLIENT GETNAME`
pub const CLIENT_GETNAME: Row = Row {
    name: "getname",
    arity: 2,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Returns the name of the connection.",
        since: "2.6.9",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(client_getname),
};
fn client_getname(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let name = call.session.client.names().name;
    if name.is_empty() {
        reply.null()
    } else {
        reply.bulk(&name)
    }
    Ok(After::Continue)
}

/// `CLIENT SETNAME`
pub const CLIENT_SETNAME: Row = Row {
    name: "setname",
    arity: 3,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    doc: Doc {
        summary: "Names the connection, or takes its name away.",
        since: "2.6.9",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "connection-name",
    },
    run: Run::Connection(client_setname),
};
fn client_setname(
    call: &mut Call<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    let name = client_name(args.get(2).ok_or(Error::SYNTAX)?)?;
    call.session.client.rename(|names| names.name = name.to_vec());
    reply.ok();
    Ok(After::Continue)
}

fn client_name(name: &[u8]) -> Result<&[u8], Error> {
    if is_label(name) { Ok(name) } else { Err(BAD_CLIENT_NAME) }
}

/// Whether `CLIENT LIST` can show it: printable ASCII without blanks.
fn is_label(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

/// `CLIENT SETINFO`
pub const CLIENT_SETINFO: Row = Row {
    name: "setinfo",
    arity: 4,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    doc: Doc {
        summary: "Tells the name or the version of the client's library.",
        since: "7.2.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "<LIB-NAME libname | LIB-VER libver>",
    },
    run: Run::Connection(client_setinfo),
};
fn client_setinfo(
    call: &mut Call<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    args.seek(2);
    let attribute = args.bytes()?;
    let value = args.bytes()?;
    let field: fn(&mut Names) -> &mut Vec<u8> = match attribute.to_ascii_lowercase().as_slice() {
        b"lib-name" => |names| &mut names.library,
        b"lib-ver" => |names| &mut names.library_version,
        _ => {
            return Err(Error::quoting("ERR Unrecognized option '", attribute, "'"));
        }
    };
    if !is_label(value) {
        let after = " cannot contain spaces, newlines or special characters.";
        return Err(Error::quoting("ERR ", attribute, after));
    }
    call.session.client.rename(|names| *field(names) = value.to_vec());
    reply.ok();
    Ok(After::Continue)
}

/// `CLIENT REPLY`
pub const CLIENT_REPLY: Row = Row {
    name: "reply",
    arity: 3,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Chooses whether the connection gets replies.",
        since: "3.2.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "<ON | OFF | SKIP>",
    },
    run: Run::Connection(client_reply),
};
fn client_reply(
    call: &mut Call<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    args.seek(2);
    let mode = &mut call.session.reply_mode;
    if args.option("ON") {
        *mode = ReplyMode::On;
        reply.ok();
    } else if args.option("OFF") {
        *mode = ReplyMode::Off;
    } else if args.option("SKIP") {
        if *mode != ReplyMode::Off {
            *mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(Error::SYNTAX);
    }
    Ok(After::Continue)
}

/// `CLIENT NO-TOUCH`
pub const CLIENT_NO_TOUCH: Row = Row {
    name: "no-touch",
    arity: 3,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Chooses whether the connection's reads count as uses of the keys.",
        since: "7.2.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "<ON | OFF>",
    },
    run: Run::Connection(client_no_touch),
};
fn client_no_touch(
    call: &mut Call<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    let on = on_or_off(args)?;
    call.session.no_touch = on;
    call.session.client.set_flags(ClientFlags::NO_TOUCH, on);
    reply.ok();
    Ok(After::Continue)
}

/// `CLIENT NO-EVICT`
pub const CLIENT_NO_EVICT: Row = Row {
    name: "no-evict",
    arity: 3,
    flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Chooses whether the connection may be closed to save memory.",
        since: "7.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "<ON | OFF>",
    },
    run: Run::Connection(client_no_evict),
};
fn client_no_evict(
    call: &mut Call<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    call.session.client.set_flags(ClientFlags::NO_EVICT, on_or_off(args)?);
    reply.ok();
    Ok(After::Continue)
}

fn on_or_off(mut args: Args<'_>) -> Result<bool, Error> {
    args.seek(2);
    match (args.option("ON"), args.option("OFF")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Error::SYNTAX),
    }
}

/// `CLIENT GETREDIR`
pub const CLIENT_GETREDIR: Row = Row {
    name: "getredir",
    arity: 2,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of the connection that gets this one's invalidations.",
        since: "6.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(client_getredir),
};
fn client_getredir(_: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.integer(-1);
    Ok(After::Continue)
}

/// `CLIENT TRACKINGINFO`
pub const CLIENT_TRACKINGINFO: Row = Row {
    name: "trackinginfo",
    arity: 2,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Describes how the connection's reads are tracked.",
        since: "6.2.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(client_trackinginfo),
};
fn client_trackinginfo(
    _: &mut Call<'_>,
    _: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(1);
    reply.bulk(b"off");
    reply.bulk(b"redirect");
    reply.integer(-1);
    reply.bulk(b"prefixes");
    reply.array(0);
    Ok(After::Continue)
}

/// `CLIENT HELP`
pub const CLIENT_HELP: Row = Row {
    name: "help",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Lists the subcommands.",
        since: "5.0.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(help),
};
