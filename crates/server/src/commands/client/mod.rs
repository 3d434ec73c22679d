//! `CLIENT`: what concerns other clients. What concerns only the client itself is
//! [`kevy_command::connection`]'s.

use kevy_command::connection::{
    CLIENT_GETNAME, CLIENT_GETREDIR, CLIENT_HELP, CLIENT_ID, CLIENT_NO_EVICT, CLIENT_NO_TOUCH,
    CLIENT_REPLY, CLIENT_SETINFO, CLIENT_SETNAME, CLIENT_TRACKINGINFO,
};
use kevy_command::{Categories, Doc, Error, Flags, Group, Row, Run};

mod kill;
mod list;
mod pause;

pub(super) const CLIENT: Row = Row {
    name: "client",
    arity: -2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Tells about connections and steers them.",
        since: "2.4.0",
        group: Group::Connection,
        complexity: "Depends on subcommand.",
        syntax: "",
    },
    run: Run::Container(&[
        &CLIENT_GETNAME,
        &CLIENT_GETREDIR,
        &CLIENT_HELP,
        &CLIENT_ID,
        &list::INFO,
        &kill::KILL,
        &list::LIST,
        &CLIENT_NO_EVICT,
        &CLIENT_NO_TOUCH,
        &pause::PAUSE,
        &CLIENT_REPLY,
        &CLIENT_SETINFO,
        &CLIENT_SETNAME,
        &CLIENT_TRACKINGINFO,
        &pause::UNBLOCK,
        &pause::UNPAUSE,
    ]),
};

const FOR_OPERATORS: Flags =
    Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);

/// What a client is to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Type {
    Normal,
    Primary,
    Replica,
    Subscriber,
}

impl Type {
    fn read(name: &[u8]) -> Result<Self, Error> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"master" | b"primary" => Ok(Self::Primary),
            b"replica" | b"slave" => Ok(Self::Replica),
            b"pubsub" => Ok(Self::Subscriber),
            _ => {
                let name = String::from_utf8_lossy(name);
                Err(Error::owned(format!("ERR Unknown client type '{name}'")))
            }
        }
    }

    /// What every client is, as long as there is neither replication nor publishing.
    const OF_ALL: Self = Self::Normal;
}

/// The error for a subcommand with too many arguments.
fn wrong_number(subcommand: &[u8]) -> Error {
    let name = String::from_utf8_lossy(subcommand);
    Error::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{name}'. Try CLIENT HELP."
    ))
}
