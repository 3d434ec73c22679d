//! `CLIENT LIST` and `CLIENT INFO`.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use kevy_command::{
    After, Args, Call, Categories, Client, ClientFlags, CommandId, Doc, Error, Flags, Group, Reply,
    Row, Run, Table,
};

use super::{FOR_OPERATORS, Type};
use crate::commands::engine;
use crate::engine::client_memory;

pub(super) const LIST: Row = Row {
    name: "list",
    arity: -2,
    flags: FOR_OPERATORS,
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Lists the connections.",
        since: "2.4.0",
        group: Group::Connection,
        complexity: "O(N) where N is the number of client connections",
        syntax: "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
    },
    run: Run::Server(list),
};
fn list(call: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let world = &engine(call)?.world;
    args.seek(2);
    let mut text = String::new();
    if args.remaining() == 2 && args.option("TYPE") {
        if Type::read(args.bytes()?)? == Type::OF_ALL {
            write_all(&mut text, call, &world.clients());
        }
    } else if args.remaining() > 1 && args.option("ID") {
        let clients = world.clients();
        while !args.at_end() {
            let id = args.int().map_err(|_| Error::new("ERR Invalid client ID"))?;
            let found = clients.iter().find(|client| i64::try_from(client.id) == Ok(id));
            write_all(&mut text, call, found);
        }
    } else {
        args.end()?;
        write_all(&mut text, call, &world.clients());
    }
    reply.verbatim("txt", text.as_bytes());
    Ok(After::Continue)
}

pub(super) const INFO: Row = Row {
    name: "info",
    arity: 2,
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Tells about the connection.",
        since: "6.2.0",
        group: Group::Connection,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Server(info),
};
fn info(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let mut text = String::new();
    write_line(&mut text, &call.session.client, call.table, call.now_ms);
    reply.verbatim("txt", text.as_bytes());
    Ok(After::Continue)
}

/// Writes a line for each client that is not on its way out.
fn write_all<'a>(
    text: &mut String,
    call: &Call<'_>,
    clients: impl IntoIterator<Item = &'a std::sync::Arc<Client>>,
) {
    for client in clients {
        if !client.flags().contains(ClientFlags::KILLED) {
            write_line(text, client, call.table, call.now_ms);
        }
    }
}

fn write_line(text: &mut String, client: &Client, table: &Table, now_ms: i64) {
    let seconds = |since: i64| (now_ms - since).max(0) / 1000;
    let names = client.names();
    let lossy = String::from_utf8_lossy;
    let output = client.output.load(Relaxed);
    let last = client.last_command.load(Relaxed);
    let command = u16::try_from(last).map_or("NULL", |id| &table.entry(CommandId(id)).full_name);
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 \
         multi={} watch={} qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 \
         omem={output} tot-mem={} events={} cmd={command} user=default redir=-1 resp={} \
         lib-name={} lib-ver={} tot-net-in={} tot-net-out={} tot-cmds={}",
        client.id,
        client.address,
        client.local_address,
        client.fd,
        lossy(&names.name),
        seconds(client.created_ms),
        seconds(client.active_ms.load(Relaxed)),
        letters(client),
        client.db.load(Relaxed),
        client.queued.load(Relaxed),
        client.watching.load(Relaxed),
        client.input.load(Relaxed),
        client_memory(client),
        if output > 0 { "rw" } else { "r" },
        client.proto.load(Relaxed),
        lossy(&names.library),
        lossy(&names.library_version),
        client.received.load(Relaxed),
        client.sent.load(Relaxed),
        client.commands.load(Relaxed),
    );
}

/// The letters of `flags=`.
fn letters(client: &Client) -> String {
    let flags = client.flags();
    let is = |flag| flags.contains(flag);
    let letters = [
        (client.queued.load(Relaxed) >= 0, 'x'),
        (is(ClientFlags::BLOCKED), 'b'),
        (is(ClientFlags::DIRTY), 'd'),
        (is(ClientFlags::CLOSING), 'c'),
        (is(ClientFlags::KILLED), 'A'),
        (client.unix, 'U'),
        (is(ClientFlags::NO_EVICT), 'e'),
        (is(ClientFlags::NO_TOUCH), 'T'),
    ];
    let letters: String = letters.iter().filter(|(on, _)| *on).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "N".to_owned() } else { letters }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kevy_command::session::Origin;

    #[test]
    fn a_line_has_the_fields_of_redis_in_their_order() {
        let origin = Origin {
            address: "127.0.0.1:5000".into(),
            local_address: "127.0.0.1:6379".into(),
            fd: 8,
            ..Origin::default()
        };
        let client = Client::new(3, origin, 1_000);
        client.rename(|names| names.name = b"me".to_vec());
        client.queued.store(2, Relaxed);
        client.set_flags(ClientFlags::NO_EVICT, true);
        let table = crate::commands::table().unwrap();
        let ping = table.named(b"client|list").unwrap();
        client.last_command.store(ping.id.0.into(), Relaxed);
        let mut line = String::new();
        write_line(&mut line, &client, &table, 4_500);
        assert_eq!(
            line,
            "id=3 addr=127.0.0.1:5000 laddr=127.0.0.1:6379 fd=8 name=me age=3 idle=3 flags=xe \
             db=0 sub=0 psub=0 ssub=0 multi=2 watch=0 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 \
             rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=1024 events=r cmd=client|list user=default \
             redir=-1 resp=2 lib-name= lib-ver= tot-net-in=0 tot-net-out=0 tot-cmds=0\n"
        );
    }
}
