//! Random calls against a keyspace and against a plain map, over one store and over four.
#![expect(clippy::expect_used, reason = "a test that meets an error has failed")]

use kevy_keyspace::{
    Changed, Changes, Context, Expiry, Keyspace, Placement, Store, StringRef, Text,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::BTreeMap;

const DATABASES: usize = 3;

type Value = (Vec<u8>, Option<i64>);

/// What a keyspace is, said as simply as possible.
#[derive(Default, Clone)]
struct Model {
    now_ms: i64,
    databases: [BTreeMap<Vec<u8>, Value>; DATABASES],
}

impl Model {
    fn get(&self, db: usize, key: &[u8]) -> Option<&Value> {
        self.databases[db].get(key).filter(|value| value.1.is_none_or(|at| self.now_ms <= at))
    }

    fn set(&mut self, db: usize, key: &[u8], value: Vec<u8>, deadline: Option<i64>) {
        self.databases[db].insert(key.to_vec(), (value, deadline));
    }

    /// The live keys.
    fn keys(&self, db: usize) -> Vec<Vec<u8>> {
        self.databases[db].keys().filter(|key| self.get(db, key).is_some()).cloned().collect()
    }
}

#[derive(Debug, Clone)]
enum Call {
    Get,
    Set(Vec<u8>),
    SetKeep(Vec<u8>),
    SetUntil(Vec<u8>, i64),
    SetInt(i64),
    Append(Vec<u8>),
    SetRange(usize, Vec<u8>),
    FlipFirst(usize),
    Remove,
    Rename(usize),
    Copy(usize, usize),
    Deadline(Option<i64>),
    Flush(Option<usize>),
    Swap(usize, usize),
    Tick(i64),
    Expire(usize),
    RandomKey(u64),
    FreeSlice,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let sized = |lengths: std::ops::Range<usize>| {
        (any::<u8>(), lengths).prop_map(|(first, len)| {
            (0..len).map(|i| first.wrapping_add(i as u8)).collect::<Vec<u8>>()
        })
    };
    prop_oneof![
        6 => sized(0..12),
        3 => sized(0..100),
        1 => sized(900..1_200),
        1 => (-1_000_i64..1_000).prop_map(|value| value.to_string().into_bytes()),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => Just(Call::Get),
        4 => bytes().prop_map(Call::Set),
        2 => bytes().prop_map(Call::SetKeep),
        4 => (bytes(), 0_i64..50).prop_map(|(value, ttl)| Call::SetUntil(value, ttl)),
        2 => any::<i64>().prop_map(Call::SetInt),
        3 => bytes().prop_map(Call::Append),
        2 => (0_usize..1_100, bytes()).prop_map(|(at, value)| Call::SetRange(at, value)),
        1 => (1_usize..1_100).prop_map(Call::FlipFirst),
        2 => Just(Call::Remove),
        2 => (0_usize..KEYS).prop_map(Call::Rename),
        2 => (0_usize..KEYS, 0..DATABASES).prop_map(|(key, db)| Call::Copy(key, db)),
        3 => prop::option::of(0_i64..50).prop_map(Call::Deadline),
        1 => prop::option::of(0..DATABASES).prop_map(Call::Flush),
        1 => (0..DATABASES, 0..DATABASES).prop_map(|(a, b)| Call::Swap(a, b)),
        3 => (0_i64..20).prop_map(Call::Tick),
        2 => (0_usize..5).prop_map(Call::Expire),
        1 => any::<u64>().prop_map(Call::RandomKey),
        1 => Just(Call::FreeSlice),
    ]
}

const KEYS: usize = 24;

/// Some keys short, some long, some with hash tags.
fn key_name(index: usize) -> Vec<u8> {
    match index % 4 {
        0 => format!("{{tag}}{index}").into_bytes(),
        1 => vec![b'a' + index as u8; 250 + index],
        _ => format!("key:{index}").into_bytes(),
    }
}

struct Fixture {
    stores: Vec<(u32, Box<Store>)>,
    placement: Placement,
    changes: Changes,
    model: Model,
}

impl Fixture {
    fn new(stores: u32) -> Self {
        let make = |id| (id, Box::new(Store::new(id, DATABASES)));
        let model = Model { now_ms: 1_000_000, ..Model::default() };
        let placement = Placement::new(stores);
        Fixture {
            stores: (0..stores).map(make).collect(),
            placement,
            changes: Changes::new(),
            model,
        }
    }

    fn keyspace(&mut self, db: usize) -> Keyspace<'_> {
        let context = Context {
            db,
            now_ms: self.model.now_ms,
            client: 1,
            no_touch: false,
            lfu: None,
            max_bulk: 512 << 20,
            placement: self.placement,
            limits: &kevy_data::Limits::DEFAULT,
            changes: &mut self.changes,
        };
        match &mut self.stores[..] {
            [(_, store)] => Keyspace::one(store, context),
            stores => Keyspace::many(stores, context),
        }
    }

    fn run(&mut self, db: usize, index: usize, call: Call) {
        match call {
            Call::Set(_) | Call::SetKeep(_) | Call::SetUntil(..) => self.set(db, index, call),
            Call::SetInt(_) | Call::Append(_) | Call::SetRange(..) | Call::FlipFirst(_) => {
                self.update(db, index, call);
            }
            Call::Get | Call::Remove | Call::Rename(_) | Call::Copy(..) | Call::Deadline(_) => {
                self.on_key(db, index, call);
            }
            _ => self.on_all(db, call),
        }
        self.drop_expired();
    }

    /// A string is set whole.
    fn set(&mut self, db: usize, index: usize, call: Call) {
        let name = key_name(index);
        let key = self.placement.key(&name);
        let kept = self.model.get(db, &name).and_then(|value| value.1);
        let now_ms = self.model.now_ms;
        match call {
            Call::Set(value) => {
                self.keyspace(db).set_string(&key, Text::Bytes(&value), Expiry::Clear);
                self.model.set(db, &name, value, None);
            }
            Call::SetKeep(value) => {
                self.keyspace(db).set_string(&key, Text::Verbatim(&value), Expiry::Keep);
                self.model.set(db, &name, value, kept);
            }
            Call::SetUntil(value, ttl) => {
                let at = now_ms + ttl;
                self.keyspace(db).set_string(&key, Text::Bytes(&value), Expiry::At(at));
                self.model.set(db, &name, value, Some(at));
            }
            _ => unreachable!("another group of calls"),
        }
    }

    /// A string is changed where it lies.
    fn update(&mut self, db: usize, index: usize, call: Call) {
        let name = key_name(index);
        let key = self.placement.key(&name);
        let (old, kept) = self.model.get(db, &name).cloned().unwrap_or_default();
        match call {
            Call::SetInt(value) => {
                let mut ks = self.keyspace(db);
                ks.update_string(&key).expect("a string").set_int(value);
                assert_eq!(ks.string(&key), Ok(Some(StringRef::Int(value))));
                self.model.set(db, &name, value.to_string().into_bytes(), kept);
            }
            Call::Append(value) => {
                let mut ks = self.keyspace(db);
                let len = ks.update_string(&key).expect("a string").append(&value);
                let all = [old, value].concat();
                assert_eq!(len, all.len());
                self.model.set(db, &name, all, kept);
            }
            Call::SetRange(at, value) => {
                let mut ks = self.keyspace(db);
                let len = ks.update_string(&key).expect("a string").set_range(at, &value);
                let mut all = old;
                all.resize(all.len().max(at + value.len()), 0);
                all[at..at + value.len()].copy_from_slice(&value);
                assert_eq!(len, all.len());
                self.model.set(db, &name, all, kept);
            }
            Call::FlipFirst(len) => {
                self.keyspace(db).update_string(&key).expect("a string").bytes_mut(len)[0] ^= 1;
                let mut all = old;
                all.resize(all.len().max(len), 0);
                all[0] ^= 1;
                self.model.set(db, &name, all, kept);
            }
            _ => unreachable!("another group of calls"),
        }
    }

    /// What concerns keys, whatever they hold.
    fn on_key(&mut self, db: usize, index: usize, call: Call) {
        let name = key_name(index);
        let key = self.placement.key(&name);
        let live = self.model.get(db, &name).cloned();
        let kept = live.as_ref().and_then(|value| value.1);
        let old = live.clone().map_or(Vec::new(), |value| value.0);
        let now_ms = self.model.now_ms;
        match call {
            Call::Get => {
                let mut ks = self.keyspace(db);
                let got = ks.string(&key).expect("a string").map(|value| value.to_vec());
                assert_eq!(got, live.as_ref().map(|value| value.0.clone()));
                assert_eq!(ks.deadline(&key), live.map(|value| value.1));
            }
            Call::Remove => {
                assert_eq!(self.keyspace(db).remove(&key), live.is_some());
                self.model.databases[db].remove(&name);
            }
            Call::Rename(to) => {
                let target = key_name(to);
                let to = self.placement.key(&target);
                let mut ks = self.keyspace(db);
                let entry = ks.take(&key);
                assert_eq!(
                    entry.as_ref().map(|entry| entry.deadline()),
                    live.as_ref().map(|v| v.1)
                );
                if let Some(entry) = entry {
                    ks.put(&to, entry);
                    self.model.databases[db].remove(&name);
                    self.model.set(db, &target, old, kept);
                }
            }
            Call::Copy(to, to_db) => {
                let target = key_name(to);
                let to = self.placement.key(&target);
                let mut ks = self.keyspace(db);
                if let Some(entry) = ks.clone_value(&key) {
                    ks.with_db(to_db).put(&to, entry);
                    self.model.set(to_db, &target, old, kept);
                }
            }
            Call::Deadline(ttl) => {
                let at = ttl.map(|ttl| now_ms + ttl);
                assert_eq!(self.keyspace(db).set_deadline(&key, at), live.is_some());
                if live.is_some() {
                    self.model.set(db, &name, old, at);
                }
            }
            _ => unreachable!("another group of calls"),
        }
    }

    /// What concerns whole databases, and time.
    fn on_all(&mut self, db: usize, call: Call) {
        match call {
            Call::Flush(only) => {
                self.keyspace(db).flush(only);
                for (number, keys) in self.model.databases.iter_mut().enumerate() {
                    if only.is_none_or(|only| only == number) {
                        keys.clear();
                    }
                }
            }
            Call::Swap(a, b) => {
                self.keyspace(db).swap(a, b);
                self.model.databases.swap(a, b);
            }
            Call::Tick(ms) => self.model.now_ms += ms,
            Call::Expire(budget) => self.expire(budget),
            Call::RandomKey(seed) => {
                let mut state = seed;
                let drawn = self.keyspace(db).random_key_from(|| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    state ^ state >> 31
                });
                match drawn {
                    Some(name) => assert!(self.model.get(db, &name).is_some()),
                    None => assert!(self.model.keys(db).is_empty()),
                }
            }
            Call::FreeSlice => {
                for (_, store) in &mut self.stores {
                    store.free_slice(3);
                }
            }
            _ => unreachable!("another group of calls"),
        }
    }

    fn expire(&mut self, budget: usize) {
        for (_, store) in &mut self.stores {
            let before = store.stats().expired;
            let more = store.expire_slice(self.model.now_ms, budget, &mut self.changes);
            let due = store.next_deadline().is_some_and(|at| at < self.model.now_ms);
            assert_eq!(more, due);
            assert!(store.stats().expired - before <= budget as u64);
        }
    }

    /// Nothing but expiries is recorded, each counted by the store of its key.
    fn drop_expired(&mut self) {
        let mut found = 0;
        for change in self.changes.iter() {
            assert_eq!(change.changed, Changed::Expired);
            assert_eq!(change.store, self.placement.key(change.key).store);
            found += 1;
        }
        self.changes.clear();
        let expired: u64 = self.stores.iter().map(|(_, store)| store.stats().expired).sum();
        assert!(found <= expired);
    }

    fn check(&mut self) {
        for db in 0..DATABASES {
            let expected = self.model.keys(db);
            let mut keys = Vec::new();
            self.keyspace(db).keys(db, |key| keys.push(key.to_vec()));
            keys.sort();
            assert_eq!(keys, expected);
            let mut scanned = Vec::new();
            for store in 0..self.placement.stores() {
                let mut cursor = 0;
                loop {
                    let add = |record: &kevy_keyspace::Record| scanned.push(record.key().to_vec());
                    cursor = self.keyspace(db).scan(store, cursor, 3, add);
                    if cursor == 0 {
                        break;
                    }
                }
            }
            scanned.sort();
            scanned.dedup();
            assert_eq!(scanned, expected);
            let volatile: Vec<_> =
                expected.iter().filter_map(|key| self.model.get(db, key)?.1).collect();
            while !self.stores.is_empty() && {
                let now_ms = self.model.now_ms;
                let changes = &mut self.changes;
                self.stores.iter_mut().any(|(_, store)| store.expire_slice(now_ms, 2, changes))
            } {}
            let ks = self.keyspace(db);
            assert_eq!((ks.len(db), ks.volatile_len(db)), (expected.len(), volatile.len()));
        }
        let earliest = self
            .model
            .databases
            .iter()
            .enumerate()
            .flat_map(|(db, keys)| keys.keys().map(move |key| (db, key)));
        let earliest = earliest.filter_map(|(db, key)| self.model.get(db, key)?.1).min();
        let next = self.stores.iter().filter_map(|(_, store)| store.next_deadline()).min();
        assert_eq!(next, earliest);
    }

    /// When everything is gone, nothing is accounted but the list of databases.
    fn empty(mut self) {
        let bare = Store::new(0, DATABASES).memory();
        self.keyspace(0).flush(None);
        for (_, store) in &mut self.stores {
            while store.free_slice(2) {}
            assert_eq!(store.memory(), bare);
        }
    }
}

fn run(stores: u32, calls: Vec<(usize, usize, Call)>) {
    let mut fixture = Fixture::new(stores);
    for (db, key, call) in calls {
        fixture.run(db, key, call);
    }
    fixture.check();
    fixture.empty();
}

fn calls() -> impl Strategy<Value = Vec<(usize, usize, Call)>> {
    prop::collection::vec((0..DATABASES, 0..KEYS, call()), 0..400)
}

proptest! {
    #![proptest_config(Config {
        cases: 40, rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..Config::default()
    })]

    #[test]
    fn one_store_is_a_map(calls in calls()) {
        run(1, calls);
    }

    #[test]
    fn four_stores_are_one_map(calls in calls()) {
        run(4, calls);
    }
}
