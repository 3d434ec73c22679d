//! Watched keys: the optimistic locks of `WATCH` and `EXEC`.
//!
//! A change of a key does not look for its watchers: it gives the key a new *state*, and whoever
//! watches compares the state seen with the present one when it matters. So a change costs the
//! same however many clients watch the key, and a client pays for its own watches only.

use kevy_data::allocated;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// How a watched key stands at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Presence {
    Absent,
    /// There, but its deadline has passed.
    Expired,
    Live,
}

/// Names what a watcher has seen of a key. Never given twice, so a watch whose state is no longer
/// one of its key's stays broken.
type State = u64;

/// A key that somebody watches.
struct Watched {
    /// The state of those who saw the key live or absent.
    seen: State,
    /// The state of those who saw it expired, but still there: its removal is no change to them,
    /// after which they are as those who saw it absent. While somebody is in this state, the
    /// expired record is there: whatever takes it away tells [`Watches`].
    expired: State,
    /// How many watches there are.
    watches: usize,
}

type Keys = BTreeMap<Box<[u8]>, Watched>;

/// What one client watches: the state in which it saw each key of each database.
type Client = BTreeMap<(usize, Box<[u8]>), State>;

/// The watches on the keys of one store.
///
/// A client that watches nothing here has no entry, so an idle server pays one length check.
#[derive(Default)]
pub(crate) struct Watches {
    /// By database; none is empty.
    keys: BTreeMap<usize, Keys>,
    clients: BTreeMap<u64, Client>,
    states: States,
    bytes: usize,
}

/// The source of states.
#[derive(Default)]
struct States(State);

impl States {
    fn fresh(&mut self) -> State {
        self.0 += 1;
        self.0
    }
}

impl Watched {
    fn new(states: &mut States) -> Self {
        Self { seen: states.fresh(), expired: states.fresh(), watches: 0 }
    }

    fn change(&mut self, exists: bool, states: &mut States) {
        self.seen = if exists { states.fresh() } else { self.expired };
        self.expired = states.fresh();
    }

    /// The key has been replaced by what stands as `after`.
    fn replace(&mut self, before: Presence, after: Presence, states: &mut States) {
        match (before, after) {
            (Presence::Absent, Presence::Absent) => {}
            // No change to who saw none. Nobody saw an expired key, for there was none.
            (Presence::Absent, Presence::Expired) => {
                self.expired = std::mem::replace(&mut self.seen, states.fresh());
            }
            (_, Presence::Expired) => self.seen = states.fresh(),
            (_, Presence::Absent) => self.change(false, states),
            (_, Presence::Live) => self.change(true, states),
        }
    }
}

/// What a watched key costs beside its bytes: an entry of a tree between half and two thirds full.
const KEY_COST: usize = 68;
/// What a watching client costs beside its watches: such an entry, too.
const CLIENT_COST: usize = 55;
/// What the watches of a client cost beside the bytes of the keys: a tree of nodes with room for
/// 11 entries. With more there are two leaves under a root, then leaves half to two thirds full.
const fn client_bytes(watches: usize) -> usize {
    const ENTRY: usize = size_of::<((usize, Box<[u8]>), State)>();
    const LEAF: usize = allocated(11 * ENTRY + 16);
    const BRANCH: usize = allocated(11 * ENTRY + 16 + 12 * size_of::<usize>());
    const LEAST_OF_MANY: usize = 2 * LEAF + BRANCH;
    match watches {
        0 => 0,
        1..=11 => LEAF,
        _ if watches * 55 < LEAST_OF_MANY => LEAST_OF_MANY,
        _ => watches * 55,
    }
}

impl Watches {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes held, about.
    pub(crate) fn memory(&self) -> usize {
        self.bytes
    }

    /// Watches a key that stands so. Who watches it already goes on as before.
    pub(crate) fn watch(&mut self, client: u64, db: usize, key: &[u8], presence: Presence) {
        let Self { keys, clients, states, bytes } = self;
        let own = clients.entry(client).or_insert_with(|| {
            *bytes += CLIENT_COST;
            Client::new()
        });
        let held = client_bytes(own.len());
        let Entry::Vacant(slot) = own.entry((db, key.into())) else { return };
        let keys = keys.entry(db).or_default();
        let watched = match keys.get_mut(key) {
            Some(watched) => watched,
            None => {
                *bytes += KEY_COST + allocated(key.len());
                keys.entry(key.into()).or_insert_with(|| Watched::new(states))
            }
        };
        watched.watches += 1;
        slot.insert(if presence == Presence::Expired { watched.expired } else { watched.seen });
        *bytes = *bytes + client_bytes(own.len()) - held + allocated(key.len());
    }

    /// Forgets all watches of a client.
    pub(crate) fn unwatch(&mut self, client: u64) {
        let Some(own) = self.clients.remove(&client) else { return };
        self.bytes -= CLIENT_COST + client_bytes(own.len());
        for ((db, key), _) in own {
            self.bytes -= allocated(key.len());
            self.release(db, &key);
        }
    }

    /// One watch less.
    fn release(&mut self, db: usize, key: &[u8]) {
        let Some(keys) = self.keys.get_mut(&db) else { return };
        let Some(watched) = keys.get_mut(key) else { return };
        watched.watches -= 1;
        if watched.watches > 0 {
            return;
        }
        keys.remove(key);
        self.bytes -= KEY_COST + allocated(key.len());
        if keys.is_empty() {
            self.keys.remove(&db);
        }
    }

    /// A key has changed; it `exists` afterwards or not.
    #[cold]
    pub(crate) fn touch(&mut self, db: usize, key: &[u8], exists: bool) {
        if let Some(watched) = self.keys.get_mut(&db).and_then(|keys| keys.get_mut(key)) {
            watched.change(exists, &mut self.states);
        }
    }

    /// All keys of a database are replaced, as by `FLUSHDB` and `SWAPDB`; `presence` tells how a
    /// key stands before and after.
    pub(crate) fn replace(
        &mut self,
        db: usize,
        mut presence: impl FnMut(&[u8]) -> (Presence, Presence),
    ) {
        for (key, watched) in self.keys.get_mut(&db).into_iter().flatten() {
            let (before, after) = presence(key);
            watched.replace(before, after, &mut self.states);
        }
    }

    /// Whether a watch of the client has broken; `presence` tells how a key stands now.
    pub(crate) fn broken(
        &self,
        client: u64,
        mut presence: impl FnMut(usize, &[u8]) -> Presence,
    ) -> bool {
        let mut own = self.clients.get(&client).into_iter().flatten();
        own.any(|((db, key), state)| {
            let Some(watched) = self.keys.get(db).and_then(|keys| keys.get(key)) else {
                debug_assert!(false, "a watch of a key that is not known as watched");
                return true;
            };
            // Who saw the key expired sees no change in that.
            *state != watched.expired
                && (*state != watched.seen || presence(*db, key) == Presence::Expired)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    const KEYS: usize = 2;
    const DBS: usize = 2;
    const CLIENTS: u64 = 3;

    fn name(key: usize) -> [u8; 1] {
        [b'a' + key as u8]
    }

    /// A watch of the model: each change visits all of them.
    struct Watch {
        client: u64,
        at: (usize, usize),
        /// The key had expired, but was still there.
        expired: bool,
        broken: bool,
    }

    /// The watches beside the keys, and what should be known of them.
    struct Model {
        watches: Watches,
        present: [[Presence; KEYS]; DBS],
        all: Vec<Watch>,
    }

    impl Model {
        fn watch(&mut self, client: u64, (db, key): (usize, usize)) {
            let presence = self.present[db][key];
            self.watches.watch(client, db, &name(key), presence);
            if !self.all.iter().any(|w| w.client == client && w.at == (db, key)) {
                let expired = presence == Presence::Expired;
                self.all.push(Watch { client, at: (db, key), expired, broken: false });
            }
        }

        fn unwatch(&mut self, client: u64) {
            self.watches.unwatch(client);
            self.all.retain(|watch| watch.client != client);
        }

        fn change(&mut self, (db, key): (usize, usize), exists: bool) {
            self.present[db][key] = if exists { Presence::Live } else { Presence::Absent };
            self.watches.touch(db, &name(key), exists);
            for watch in self.all.iter_mut().filter(|watch| watch.at == (db, key)) {
                let forgiven = watch.expired && !exists;
                watch.broken |= !forgiven;
                watch.expired = false;
            }
        }

        fn replace(&mut self, db: usize, after: [Presence; KEYS]) {
            let before = self.present[db];
            let at = |key: &[u8]| usize::from(key[0] - b'a');
            self.watches.replace(db, |key| (before[at(key)], after[at(key)]));
            for watch in self.all.iter_mut().filter(|watch| watch.at.0 == db) {
                let key = watch.at.1;
                match (watch.expired, before[key], after[key]) {
                    (true, _, Presence::Absent) => watch.expired = false,
                    (true, _, Presence::Expired) => {}
                    (false, Presence::Absent, Presence::Absent) => {}
                    (false, Presence::Absent, Presence::Expired) => watch.expired = true,
                    _ => watch.broken = true,
                }
            }
        }

        fn run(&mut self, what: u8, client: u64, at: (usize, usize)) {
            let (db, key) = at;
            match what {
                0..=3 => self.watch(client, at),
                4 => self.unwatch(client),
                5 => self.change(at, true),
                6 if self.present[db][key] != Presence::Absent => self.change(at, false),
                7 | 8 if self.present[db][key] == Presence::Live => {
                    self.present[db][key] = Presence::Expired;
                }
                9 => {
                    self.replace(db, [Presence::Absent; KEYS]);
                    self.present[db] = [Presence::Absent; KEYS];
                }
                10 => {
                    let [first, second] = self.present;
                    self.replace(0, second);
                    self.replace(1, first);
                    self.present = [second, first];
                }
                _ => {}
            }
        }

        fn check(&self) {
            let present = |db: usize, key: usize| self.present[db][key];
            for client in 0..CLIENTS {
                let broken =
                    self.watches.broken(client, |db, key| present(db, usize::from(key[0] - b'a')));
                let expected =
                    self.all.iter().filter(|watch| watch.client == client).any(|watch| {
                        let (db, key) = watch.at;
                        watch.broken || (!watch.expired && present(db, key) == Presence::Expired)
                    });
                assert_eq!(broken, expected, "client {client}");
            }
            assert_eq!(self.watches.is_empty(), self.all.is_empty());
        }
    }

    proptest! {
        #![proptest_config(Config {
            cases: 256, rng_seed: RngSeed::Fixed(11), failure_persistence: None,
            ..Config::default()
        })]
        #[test]
        fn states_tell_what_looking_for_every_watcher_tells(
            steps in prop::collection::vec((0_u8..11, 0..CLIENTS, (0..DBS, 0..KEYS)), 0..200)
        ) {
            let (watches, present) = (Watches::default(), [[Presence::Absent; KEYS]; DBS]);
            let mut model = Model { watches, present, all: Vec::new() };
            for (what, client, at) in steps {
                model.run(what, client, at);
                model.check();
            }
            (0..CLIENTS).for_each(|client| model.unwatch(client));
            prop_assert!(model.watches.is_empty() && model.watches.clients.is_empty());
            prop_assert_eq!(model.watches.memory(), 0);
        }
    }

    #[test]
    fn one_client_watches_many_keys() {
        let mut watches = Watches::default();
        for _ in 0..2 {
            for key in 0..100_000_u32 {
                watches.watch(1, 0, &key.to_be_bytes(), Presence::Live);
            }
        }
        assert_eq!((watches.clients[&1].len(), watches.keys[&0].len()), (100_000, 100_000));
        assert!(!watches.broken(1, |_, _| Presence::Live));
        watches.replace(0, |_| (Presence::Live, Presence::Absent));
        assert!(watches.broken(1, |_, _| Presence::Absent));
        watches.unwatch(1);
        assert_eq!((watches.is_empty(), watches.memory()), (true, 0));
    }

    #[test]
    fn a_change_costs_the_same_however_many_clients_watch() {
        let mut watches = Watches::default();
        for client in 0..100_000 {
            watches.watch(client, 3, b"k", Presence::Live);
        }
        // A change that visited every client would take 10^10 steps here.
        for _ in 0..100_000 {
            watches.touch(3, b"k", true);
            watches.touch(0, b"k", true);
        }
        for client in 0..100_000 {
            assert!(watches.broken(client, |_, _| Presence::Live));
            watches.unwatch(client);
        }
        assert_eq!((watches.is_empty(), watches.memory()), (true, 0));
    }
}
