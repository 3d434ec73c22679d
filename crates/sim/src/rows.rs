//! Commands of the simulation itself: a switch of the whole server and a view of it.

use kevy_command::{
    After, Args, Call, Categories, Doc, Error, FAMILIES, Flags, Group, Reply, Row, Run, Settings,
    Table,
};
use kevy_shard::{Commands, World};
use std::any::Any;
use std::sync::{Arc, OnceLock};

/// The server's commands and those of the simulation.
pub(crate) struct Rows {
    table: Table,
    host: Host,
}

/// What the simulation's own rows work on.
#[derive(Default)]
pub(crate) struct Host {
    world: OnceLock<Arc<World>>,
}

impl Rows {
    pub(crate) fn new() -> Self {
        let mut families = FAMILIES.to_vec();
        families.push(SIMULATION);
        let table = match Table::new(&families) {
            Ok(table) => table,
            Err(name) => panic!("two commands are called {name}"),
        };
        Self { table, host: Host::default() }
    }

    pub(crate) fn set_world(&self, world: Arc<World>) {
        // A host is made for one world.
        let _ = self.host.world.set(world);
    }
}

impl Commands for Rows {
    fn table(&self) -> &Table {
        &self.table
    }

    fn host(&self) -> &dyn Any {
        &self.host
    }
}

const SIMULATION: &[&Row] = &[&SWITCH, &LOOK];

const DOC: Doc = Doc {
    summary: "Belongs to the simulation.",
    since: "7.2.0",
    group: Group::Server,
    complexity: "O(1)",
    syntax: "",
};

/// Publishes settings of this version and answers when they are in force everywhere.
const SWITCH: Row = Row {
    name: "sim.switch",
    arity: 2,
    flags: Flags::ADMIN,
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc { syntax: "version", ..DOC },
    run: Run::Server(switch),
};
fn switch(call: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let host = call.host.downcast_ref::<Host>().and_then(|host| host.world.get());
    let (Some(world), Some(version)) = (host, args.get(1)) else {
        return Err(Error::new("ERR no simulation"));
    };
    let version = String::from_utf8_lossy(version).into_owned();
    world.publish(Settings { compat_version: version, ..(*world.settings()).clone() });
    reply.ok();
    Ok(After::Barrier)
}

/// Shows the version of the settings that the client's shard uses.
const LOOK: Row = Row {
    name: "sim.look",
    arity: 1,
    flags: Flags::FAST,
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: DOC,
    run: Run::Connection(look),
};
fn look(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.bulk(call.settings.compat_version.as_bytes());
    Ok(After::Continue)
}
