//! Shards without a driver.

use kevy_command::{Output, Row, Table, families::FAMILIES};
use kevy_shard::service::{Action, ConnId, Event, Now, Peer, PeerAddress, Service};
use kevy_shard::{Commands, Shard, World, WorldOptions};
use std::any::Any;
use std::sync::Arc;

pub(crate) struct All(Table);

impl Commands for All {
    fn table(&self) -> &Table {
        &self.0
    }

    fn host(&self) -> &dyn Any {
        &()
    }
}

/// Some shards of one world, moved one turn at a time.
pub(crate) struct Rig {
    pub(crate) shards: Vec<Shard<All>>,
    pub(crate) world: Arc<World>,
    pub(crate) now: Now,
    pub(crate) closed: Vec<ConnId>,
}

impl Rig {
    /// Shards with further commands.
    pub(crate) fn with(options: WorldOptions, rows: &'static [&'static Row]) -> Self {
        let families: Vec<_> = FAMILIES.iter().copied().chain([rows]).collect();
        let commands = Arc::new(All(Table::new(&families).unwrap()));
        let shards = options.shards;
        let options = WorldOptions { commands: commands.0.len(), ..options };
        let world = World::new(options);
        let shard = |at| Shard::new(at, Arc::clone(&world), Arc::clone(&commands));
        let now = Now { unix_us: 1_700_000_000_000_000, mono_ns: 1 };
        Self { shards: (0..shards).map(shard).collect(), world, now, closed: Vec::new() }
    }

    pub(crate) fn connect(&mut self, shard: usize) -> ConnId {
        let address = PeerAddress::Unix("/socket".into());
        self.shards[shard].connect(Peer { address, fd: 3 }).unwrap()
    }

    pub(crate) fn turn(&mut self, shard: usize, events: &[Event<'_>]) {
        self.now.mono_ns += 1_000_000;
        self.now.unix_us += 1_000;
        self.shards[shard].turn(&self.now, events);
    }

    /// What a connection has to send.
    pub(crate) fn output(&mut self, shard: usize, conn: ConnId) -> String {
        let mut actions = Vec::new();
        self.shards[shard].actions(&mut actions);
        for action in actions {
            if let Action::Close(id) | Action::Abort(id) = action {
                self.closed.push(id);
            }
        }
        let mut out = Output::new();
        self.shards[shard].take_output(conn, &mut out);
        String::from_utf8_lossy(&out.to_vec()).into_owned()
    }

    pub(crate) fn ask(&mut self, shard: usize, conn: ConnId, input: &str) -> String {
        self.turn(shard, &[Event::Received(conn, input.as_bytes())]);
        self.output(shard, conn)
    }
}
