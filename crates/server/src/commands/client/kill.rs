//! `CLIENT KILL`.

use kevy_command::{
    After, Args, Call, Categories, Client, ClientFlags, Doc, Error, Group, Reply, Row, Run,
};

use super::{FOR_OPERATORS, Type};
use crate::commands::engine;

pub(super) const KILL: Row = Row {
    name: "kill",
    arity: -3,
    flags: FOR_OPERATORS,
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Closes connections: the one from an address, or all that fit the filters.",
        since: "2.4.0",
        group: Group::Connection,
        complexity: "O(N) where N is the number of client connections",
        syntax: "<address | <[ID client-id] [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] [USER username] [ADDR address] [LADDR address] [SKIPME <YES | NO>] [MAXAGE maxage]>>",
    },
    run: Run::Server(kill),
};
fn kill(call: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    args.seek(2);
    let by_address = args.remaining() == 1;
    let filter = if by_address {
        Filter { address: Some(args.bytes()?), ..Filter::default() }
    } else {
        Filter::read(args)?
    };
    let world = &engine(call)?.world;
    let (mut killed, mut myself) = (0, false);
    for client in world.clients() {
        let is_me = client.id == call.session.client.id;
        if !filter.fits(&client, call.now_ms) || (is_me && filter.skip_me) {
            continue;
        }
        killed += 1;
        if is_me {
            myself = true;
        } else {
            world.kill(&client);
        }
    }
    match (by_address, killed) {
        (true, 0) => return Err(Error::new("ERR No such client")),
        (true, _) => reply.ok(),
        (false, _) => reply.integer(killed),
    }
    // Once all shards have passed, the others' connections are closed.
    Ok(if myself { After::Close } else { After::Barrier })
}

/// Which clients are meant. Nothing set: all.
#[derive(Default)]
struct Filter<'a> {
    id: Option<i64>,
    kind: Option<Type>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    max_age: Option<i64>,
    skip_me: bool,
}

impl<'a> Filter<'a> {
    fn read(mut args: Args<'a>) -> Result<Self, Error> {
        let mut filter = Self { skip_me: true, ..Self::default() };
        while !args.at_end() {
            if args.remaining() < 2 {
                return Err(Error::SYNTAX);
            }
            if args.option("ID") {
                const WRONG: Error = Error::new("ERR client-id should be greater than 0");
                let id = args.int().map_err(|_| WRONG)?;
                filter.id = Some(if id > 0 { id } else { return Err(WRONG) });
            } else if args.option("MAXAGE") {
                let age = args.int();
                let age =
                    age.map_err(|_| Error::new("ERR maxage is not an integer or out of range"))?;
                if age <= 0 {
                    return Err(Error::new("ERR maxage should be greater than 0"));
                }
                filter.max_age = Some(age);
            } else if args.option("TYPE") {
                filter.kind = Some(Type::read(args.bytes()?)?);
            } else if args.option("ADDR") {
                filter.address = Some(args.bytes()?);
            } else if args.option("LADDR") {
                filter.local_address = Some(args.bytes()?);
            } else if args.option("USER") {
                known_user(args.bytes()?)?;
            } else if args.option("SKIPME") {
                filter.skip_me = args.option("YES");
                if !filter.skip_me && !args.option("NO") {
                    return Err(Error::SYNTAX);
                }
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(filter)
    }

    fn fits(&self, client: &Client, now_ms: i64) -> bool {
        let age = (now_ms - client.created_ms) / 1000;
        !client.flags().contains(ClientFlags::KILLED)
            && self.id.is_none_or(|id| i64::try_from(client.id) == Ok(id))
            && self.kind.is_none_or(|kind| kind == Type::OF_ALL)
            && self.address.is_none_or(|address| address == client.address.as_bytes())
            && self.local_address.is_none_or(|it| it == client.local_address.as_bytes())
            && self.max_age.is_none_or(|max_age| age >= max_age)
    }
}

/// There is one user, whom all clients are.
fn known_user(name: &[u8]) -> Result<(), Error> {
    if name == b"default" {
        return Ok(());
    }
    let name = String::from_utf8_lossy(name);
    Err(Error::owned(format!("ERR No such user '{name}'")))
}
