//! A server without shards, sockets and clock: enough to run commands for one client or several.

use kevy_command::session::{Origin, Queued, Transaction};
use kevy_command::{
    Args, Call, Client, CommandList, Error, Event, EventKey, FAMILIES, Found, Multi, Output,
    PlacedKey, Reply, ReplyMode, Row, Run, Session, Settings, Table, connection,
};
use kevy_command::{Categories, Doc, Flags, Group};
use kevy_data::stream::{Entry, StreamId};
use kevy_data::{Hash, Item, List, Set, SortedSet, Stream};
use kevy_keyspace::{Changed, Changes, Context, Keyspace, Kind, Placement, Record, Store};
use kevy_resp::Proto;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// The container that the server crate makes, here of the session's subcommands alone.
const CLIENT: Row = Row {
    name: "client",
    arity: -2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Tells of connections.",
        since: "2.4.0",
        group: Group::Connection,
        complexity: "Depends on subcommand.",
        syntax: "",
    },
    run: Run::Container(connection::CLIENT_SESSION),
};

/// All rows of the crate, as the server joins them.
pub(crate) fn table() -> Arc<Table> {
    static TABLE: OnceLock<Arc<Table>> = OnceLock::new();
    let join = || Arc::new(Table::new(&[FAMILIES, &[&[&CLIENT]]].concat()).unwrap());
    TABLE.get_or_init(join).clone()
}

/// A command recorded for the log, with its database.
pub(crate) type Frame = (usize, Vec<Vec<u8>>);

/// What a database holds: keys with their value and deadline.
pub(crate) type Digest = BTreeMap<(usize, Vec<u8>), (Vec<u8>, Option<i64>)>;

pub(crate) struct Machine {
    pub(crate) table: Arc<Table>,
    pub(crate) settings: Settings,
    pub(crate) now_ms: i64,
    /// What the log would hold.
    pub(crate) log: Vec<Frame>,
    /// How many changes the effects told.
    pub(crate) changed: u64,
    /// The events that the effects told: database, name and key.
    pub(crate) events: Vec<(usize, String, Vec<u8>)>,
    placement: Placement,
    stores: Vec<Option<Box<Store>>>,
    changes: Changes,
    sessions: Vec<Session>,
}

impl Machine {
    pub(crate) fn new(stores: u32, proto: Proto) -> Self {
        let settings = Settings::default();
        let session = |id: u64| {
            let mut session = Session::new(Arc::new(Client::new(id, Origin::default(), 0)), true);
            session.speak(proto);
            session
        };
        Self {
            table: table(),
            now_ms: 1_000_000,
            log: Vec::new(),
            changed: 0,
            events: Vec::new(),
            placement: Placement::new(stores),
            stores: (0..stores)
                .map(|id| Some(Box::new(Store::new(id, settings.databases))))
                .collect(),
            changes: Changes::new(),
            sessions: (1..=3).map(session).collect(),
            settings,
        }
    }

    /// Runs one command of a client; the bytes of its reply.
    pub(crate) fn call(&mut self, client: usize, args: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let mut list = CommandList::new();
        assert!(list.push(args.iter().map(AsRef::as_ref)));
        let args = list.args(0, self.placement);
        let mut out = Output::new();
        let mut session = self.sessions.remove(client);
        if let Err(error) = self.admit(&mut session, args, &mut out) {
            if let Multi::Queueing(queue) = &mut session.multi {
                queue.aborted = true;
            }
            Reply::new(&mut out, session.proto).error(error.text());
        }
        self.release(&mut session);
        self.silence(&mut session, &mut out);
        self.sessions.insert(client, session);
        out.to_vec()
    }

    fn silence(&self, session: &mut Session, out: &mut Output) {
        match session.reply_mode {
            ReplyMode::On => {}
            ReplyMode::Off => out.clear(),
            ReplyMode::SkipNext => session.reply_mode = ReplyMode::Skip,
            ReplyMode::Skip => {
                out.clear();
                session.reply_mode = ReplyMode::On;
            }
        }
    }

    /// The gates that matter here, then the queue or the command itself.
    fn admit(
        &mut self,
        session: &mut Session,
        args: Args<'_>,
        out: &mut Output,
    ) -> Result<(), Error> {
        let found = self.table.find(&args)?;
        if !found.row.fits(args.len()) {
            return Err(Error::arity(&self.table.entry(found.id).full_name));
        }
        if !session.authenticated && !found.row.flags.contains(Flags::NO_AUTH) {
            return Err(Error::NO_AUTH);
        }
        match &mut session.multi {
            Multi::Queueing(queue) if !found.row.flags.contains(Flags::NOT_QUEUED) => {
                assert!(queue.list.push_args(&args));
                queue.meta.push(Queued { found });
                Reply::new(out, session.proto).simple("QUEUED");
            }
            _ => self.run(session, found, args, out),
        }
        Ok(())
    }

    fn run(&mut self, session: &mut Session, found: Found, args: Args<'_>, out: &mut Output) {
        let mut keys = Vec::new();
        found.row.each_key(&args, |arg, _| {
            let key = args.key_at(arg).unwrap();
            keys.push(PlacedKey { arg: arg as u32, store: key.store, hash: key.hash });
        });
        keys.sort_by_key(|key| key.arg);
        let placed = args.with_keys(&keys);
        let all: Vec<u32> = (0..self.placement.stores()).collect();
        let of_keys: Vec<u32> = keys.iter().map(|key| key.store).collect();
        match found.row.run {
            Run::Connection(run) | Run::Server(run) => {
                let proto = session.proto;
                let mut call = Call {
                    session,
                    settings: &self.settings,
                    table: &self.table,
                    host: &(),
                    shard: 0,
                    now_ms: self.now_ms,
                    now_us: self.now_ms * 1000,
                };
                let _ =
                    kevy_command::call_session(run, &mut call, args, &mut Reply::new(out, proto));
            }
            Run::Keys(_) | Run::Blocking(_) => self.over(&of_keys, session, found, placed, out),
            Run::Session(admit, _) => match admit(session, &args) {
                Ok(()) => self.over(&of_keys, session, found, placed, out),
                Err(error) => Reply::new(out, session.proto).error(error.text()),
            },
            Run::AllStores(_) => self.over(&all, session, found, placed, out),
            Run::Reach(..) if found.row.run.needs_all_stores(&args) => {
                self.over(&all, session, found, placed, out);
            }
            Run::Reach(..) => self.over(&of_keys, session, found, placed, out),
            Run::Walk(store, _) => {
                self.over(&[store(&args, self.placement)], session, found, placed, out);
            }
            Run::Transaction(take) => match take(session) {
                Ok(transaction) => self.transaction(session, transaction, out),
                Err(error) => Reply::new(out, session.proto).error(error.text()),
            },
            Run::Container(_) => panic!("a container has no handler"),
        }
    }

    /// Runs a command over these stores; touching another one panics.
    fn over(
        &mut self,
        ids: &[u32],
        session: &Session,
        found: Found,
        args: Args<'_>,
        out: &mut Output,
    ) {
        let (mut changed, mut events) = (0, Vec::new());
        self.holding(ids, session.db, session.client.id, |ks, log| {
            let mut reply = Reply::new(out, session.proto);
            let before = reply.mark();
            let outcome = kevy_command::call(found, ks, args, &mut reply);
            if let Err(error) = &outcome {
                let mut only_error = Output::new();
                Reply::new(&mut only_error, session.proto).error(error.text());
                let mut written = Output::new();
                written.append_range(out, before, out.mark());
                assert_eq!(written.to_vec(), only_error.to_vec(), "half a reply");
            }
            if let Ok(effect) = outcome {
                assert!(
                    effect.changes == 0
                        || found.row.flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE),
                    "{} changes something and is no write",
                    found.row.name
                );
                assert!(effect.logged.write(&args, log));
                changed = u64::from(effect.changes);
                for event in &effect.events {
                    events.extend(told(event, session.db, &args));
                }
            }
        });
        self.changed += changed;
        self.events.extend(events);
    }

    fn transaction(&mut self, session: &mut Session, taken: Transaction, out: &mut Output) {
        let all: Vec<u32> = (0..self.placement.stores()).collect();
        let client = session.client.id;
        let mut broken = false;
        self.holding(&all, session.db, client, |ks, _| {
            broken = ks.watch_broken(client);
            ks.unwatch(client);
        });
        if broken {
            return Reply::new(out, session.proto).null_array();
        }
        Reply::new(out, session.proto).array(taken.queue.meta.len());
        for (at, queued) in taken.queue.meta.iter().enumerate() {
            let args = taken.queue.list.args(at, self.placement);
            self.run(session, queued.found, args, out);
        }
    }

    /// Tells the stores which keys are no longer watched.
    fn release(&mut self, session: &mut Session) {
        if !session.unwatched.is_empty() {
            session.unwatched.clear();
            let all: Vec<u32> = (0..self.placement.stores()).collect();
            let client = session.client.id;
            self.holding(&all, 0, client, |ks, _| ks.unwatch(client));
        }
    }

    /// Lends these stores as one keyspace and records what was changed.
    fn holding(
        &mut self,
        ids: &[u32],
        db: usize,
        client: u64,
        f: impl FnOnce(&mut Keyspace<'_>, &mut CommandList),
    ) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut held: Vec<(u32, Box<Store>)> = Vec::new();
        for id in ids {
            held.push((id, self.stores[id as usize].take().unwrap()));
        }
        let mut frames = CommandList::new();
        let context = Context {
            db,
            now_ms: self.now_ms,
            client,
            no_touch: false,
            lfu: self.settings.lfu,
            max_bulk: self.settings.max_bulk,
            placement: self.placement,
            limits: &self.settings.limits,
            changes: &mut self.changes,
        };
        f(&mut Keyspace::many(&mut held, context), &mut frames);
        for (id, store) in held {
            self.stores[id as usize] = Some(store);
        }
        // An expiry is a deletion of its own, before the command.
        for change in self.changes.iter() {
            let frame: &[&[u8]] = match change.changed {
                Changed::Expired => &[b"DEL", change.key],
                Changed::FieldExpired => &[b"HDEL", change.key, change.field],
                _ => continue,
            };
            self.log.push((change.db, frame.iter().map(|arg| arg.to_vec()).collect()));
        }
        self.changes.clear();
        for at in 0..frames.len() {
            let frame = frames.args(at, self.placement);
            self.log.push((db, frame.iter().map(<[u8]>::to_vec).collect()));
        }
    }

    /// All that is there at the time `now_ms`.
    pub(crate) fn digest(&mut self, now_ms: i64) -> Digest {
        let mut digest = Digest::new();
        let all: Vec<u32> = (0..self.placement.stores()).collect();
        let (before, databases) = (self.now_ms, self.settings.databases);
        self.now_ms = now_ms;
        self.holding(&all, 0, 0, |ks, _| {
            for db in 0..databases {
                ks.select(db);
                let mut names = Vec::new();
                ks.keys(db, |key| names.push(key.to_vec()));
                for name in names {
                    let record = ks.find(&ks.key(&name)).unwrap();
                    let held = (canonical(record, now_ms), record.deadline());
                    digest.insert((db, name), held);
                }
            }
        });
        self.log.clear();
        self.now_ms = before;
        digest
    }

    /// Runs recorded commands, in the order in which they were recorded.
    pub(crate) fn replay(&mut self, frames: &[Frame]) {
        for (db, frame) in frames {
            self.sessions[0].select(*db);
            let reply = self.call(0, frame);
            assert_ne!(
                reply.first(),
                Some(&b'-'),
                "{frame:?}: {}",
                String::from_utf8_lossy(&reply)
            );
        }
    }
}

/// Whom an event is told of: database, name and key.
fn told(event: &Event, db: usize, args: &Args<'_>) -> Vec<(usize, String, Vec<u8>)> {
    let of = |db: usize, at: u32| {
        (db, event.name.to_owned(), args.get(at as usize).unwrap_or_default().to_vec())
    };
    match event.key {
        EventKey::Argument(at) => vec![of(db, at)],
        EventKey::Elsewhere(db, at) => vec![of(db as usize, at)],
        EventKey::Every(from, step) => {
            (from..args.len() as u32).step_by(step as usize).map(|at| of(db, at)).collect()
        }
    }
}

/// The value of a record, in an order and a notation that depend on what it holds alone and not
/// on how.
fn canonical(record: &Record, now_ms: i64) -> Vec<u8> {
    let mut text = record.kind().name().as_bytes().to_vec();
    let mut item = |bytes: &[u8]| {
        text.extend_from_slice(format!(" {}:", bytes.len()).as_bytes());
        text.extend_from_slice(bytes);
    };
    match record.kind() {
        Kind::String => item(&record.string().unwrap().to_vec()),
        Kind::List => {
            record.collection::<List>().unwrap().iter().for_each(|element| item(&element.to_vec()));
        }
        Kind::Hash => {
            let mut fields = BTreeMap::new();
            record.collection::<Hash>().unwrap().at(now_ms).for_each(|field| {
                let deadline = format!("{:?}", field.deadline).into_bytes();
                fields.insert(field.name.to_vec(), (field.value.to_vec(), deadline));
            });
            for (name, (value, deadline)) in fields {
                [name, value, deadline].iter().for_each(|part| item(part));
            }
        }
        Kind::Set => {
            let members = record.collection::<Set>().unwrap().iter().map(Item::to_vec);
            members.collect::<BTreeSet<_>>().iter().for_each(|member| item(member));
        }
        Kind::SortedSet => {
            for (member, score) in record.collection::<SortedSet>().unwrap().iter() {
                item(&member.to_vec());
                item(format!("{score:?}").as_bytes());
            }
        }
        Kind::Stream => stream_items(record.collection::<Stream>().unwrap())
            .for_each(|text| item(text.as_bytes())),
        kind => panic!("{kind:?}"),
    }
    text
}

/// All that a stream says but when its consumers were seen.
fn stream_items(stream: &Stream) -> impl Iterator<Item = String> {
    let entries = stream.entries();
    let counts = (entries.len(), entries.added());
    let head = format!("{:?} {} {}", counts, entries.last_id(), entries.max_deleted_id());
    let texts = |entry: Entry<'_>| {
        let fields: Vec<_> = entry.fields.map(|(a, b)| (a.to_vec(), b.to_vec())).collect();
        format!("{} {fields:?}", entry.id)
    };
    let all = entries.range(StreamId::MIN, StreamId::MAX).map(texts);
    let groups = stream.groups().iter().map(|(name, group)| {
        let consumers: Vec<_> = group.consumers().map(|consumer| consumer.name()).collect();
        let pending: Vec<_> = group
            .pending_range(StreamId::MIN, StreamId::MAX)
            .map(|(id, pending)| {
                let name = group.consumer(pending.consumer).name();
                (id, name, pending.delivered_ms, pending.deliveries)
            })
            .collect();
        let progress = (group.last_id, group.entries_read);
        format!("{name:?} {progress:?} {consumers:?} {pending:?}")
    });
    std::iter::once(head).chain(all).chain(groups).collect::<Vec<_>>().into_iter()
}
