//! The stores that a command holds, as one keyspace.

use crate::access::{self, Lfu, Usage};
use crate::changes::{Changed, Changes};
use crate::store::{Aside, Books, Database, Entered, Store};
use crate::string::StringMut;
use crate::table::Slot;
use crate::watches::Presence;
use crate::{Entry, Key, Placement};
use kevy_data::{Kind, Limits, Record, StringRef, Text};
use std::fmt;

/// The key holds a value of another type than the command is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongType;

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operation against a key holding the wrong kind of value")
    }
}

impl std::error::Error for WrongType {}

/// What becomes of a key's deadline when its value is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// It stays.
    Keep,
    /// There is none afterwards.
    Clear,
    /// It is this one, in Unix milliseconds.
    At(i64),
}

/// Under which circumstances a command runs. Cheap to make for each command.
pub struct Context<'c> {
    /// The database.
    pub db: usize,
    /// The time in Unix milliseconds; `i64::MIN` where nothing may expire, as while loading.
    pub now_ms: i64,
    /// The client, by the number under which its watches are kept.
    pub client: u64,
    /// Whether uses leave the access clock alone (`CLIENT NO-TOUCH`).
    pub no_touch: bool,
    /// How uses are counted; none: the access clock tells when the last one was.
    pub lfu: Option<Lfu>,
    /// Longest string that may come into being, in bytes (`proto-max-bulk-len`).
    pub max_bulk: usize,
    /// How keys are spread over the stores.
    pub placement: Placement,
    /// Up to where small values keep their compact encodings.
    pub limits: &'c Limits,
    /// Where changes are noted.
    pub changes: &'c mut Changes,
}

/// The stores held: none of them shared, sorted by number where there are several.
enum Held<'a> {
    One(&'a mut Store),
    Many(&'a mut [(u32, Box<Store>)]),
    /// Some of those that a command names, and an empty one in the place of all others.
    Some(&'a mut [(u32, Box<Store>)], &'a mut Store),
}

impl Held<'_> {
    /// The store of that number.
    ///
    /// # Panics
    /// If it is not held: the planner of the command has gone wrong, and going on would put a key
    /// where nobody finds it.
    #[inline]
    fn store(&mut self, id: u32) -> &mut Store {
        match self {
            Held::One(store) => {
                assert_eq!(store.id, id, "a key of a store that is not held");
                store
            }
            Held::Many(stores) => match stores.binary_search_by_key(&id, |held| held.0) {
                Ok(at) => &mut stores[at].1,
                Err(_) => panic!("store {id} is not held"),
            },
            Held::Some(stores, nowhere) => match stores.binary_search_by_key(&id, |held| held.0) {
                Ok(at) => &mut stores[at].1,
                Err(_) => nowhere,
            },
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Store> {
        let (one, many) = match self {
            Held::One(store) => (Some(&**store), &[][..]),
            Held::Many(stores) | Held::Some(stores, _) => (None, &**stores),
        };
        one.into_iter().chain(many.iter().map(|held| &*held.1))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Store> {
        let (one, many) = match self {
            Held::One(store) => (Some(&mut **store), &mut [][..]),
            Held::Many(stores) | Held::Some(stores, _) => (None, &mut **stores),
        };
        one.into_iter().chain(many.iter_mut().map(|held| &mut *held.1))
    }
}

/// One or several stores as one keyspace: what the handlers of commands see.
///
/// Expired keys are not there: who looks one up removes it, and the removal is recorded in the
/// context's [`Changes`] as a deletion of its own. Every change of a key breaks its watches.
pub struct Keyspace<'a> {
    held: Held<'a>,
    context: Context<'a>,
}

/// What stands beside a table in a store, for noting what happens to its records.
pub(crate) struct Site<'a> {
    pub(crate) db: usize,
    pub(crate) now_ms: i64,
    no_touch: bool,
    lfu: Option<Lfu>,
    pub(crate) books: &'a mut Books,
    pub(crate) aside: &'a mut Aside,
    pub(crate) changes: &'a mut Changes,
}

impl Site<'_> {
    #[inline]
    pub(crate) fn changed(&mut self, key: &Key<'_>, changed: Changed) {
        self.aside.changed(self.changes, self.db, key, changed);
    }

    /// Accounts for a record that has just been taken out of the table, and drops it.
    pub(crate) fn left(&mut self, key: &Key<'_>, mut record: Record, changed: Changed) {
        self.books.leave(&record, key.hash);
        self.discard(&mut record);
        self.changed(key, changed);
    }

    /// Takes out a value that is to be dropped in slices; the rest is about to be dropped, or
    /// overwritten.
    #[inline]
    pub(crate) fn discard(&mut self, record: &mut Record) {
        if let Some(value) = record.take_heavy() {
            self.aside.garbage.push_value(value);
        }
    }

    /// Notes that a record was overwritten, which had `expired` or not.
    #[inline]
    pub(crate) fn overwritten(&mut self, key: &Key<'_>, expired: bool) {
        if expired {
            self.changed(key, Changed::Expired);
            self.changed(key, Changed::Created);
        } else {
            self.changed(key, Changed::Modified);
        }
    }

    /// Sets the access clock of a record that has come into being.
    #[inline]
    pub(crate) fn begin(&self, record: &mut Record) {
        record.set_clock(access::new(self.lfu, self.now_ms));
    }

    /// Sets the access clock of a record that is used, unless the client leaves no traces.
    #[inline]
    pub(crate) fn touch(&mut self, record: &mut Record) {
        if !self.no_touch {
            self.touch_always(record);
        }
    }

    #[inline]
    fn touch_always(&mut self, record: &mut Record) {
        let random = || self.aside.random();
        record.set_clock(access::used(self.lfu, record.clock(), self.now_ms, random));
    }
}

/// How a look-up is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Touches the access clock, counts as hit or miss.
    Read,
    /// As a read, for clients that leave no traces too.
    Touch,
    /// Counts only.
    Inspect,
    /// Neither.
    Find,
}

impl<'a> Keyspace<'a> {
    /// A keyspace of one store.
    #[inline]
    pub fn one(store: &'a mut Store, context: Context<'a>) -> Self {
        Keyspace { held: Held::One(store), context }
    }

    /// A keyspace of several stores, sorted by their numbers.
    pub fn many(stores: &'a mut [(u32, Box<Store>)], context: Context<'a>) -> Self {
        debug_assert!(stores.is_sorted_by(|a, b| a.0 < b.0));
        debug_assert!(stores.iter().all(|(id, store)| *id == store.id));
        Keyspace { held: Held::Many(stores), context }
    }

    /// A keyspace of some of the stores of a command, sorted by their numbers: keys that live in
    /// others are not there. `nowhere` is an empty store, and stays empty: who is given such a
    /// keyspace changes no key before it has found it.
    pub fn partial(
        stores: &'a mut [(u32, Box<Store>)],
        nowhere: &'a mut Store,
        context: Context<'a>,
    ) -> Self {
        debug_assert!(stores.is_sorted_by(|a, b| a.0 < b.0));
        Keyspace { held: Held::Some(stores, nowhere), context }
    }

    /// The database.
    pub fn db(&self) -> usize {
        self.context.db
    }

    /// The time in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.context.now_ms
    }

    /// How uses of keys are counted, under an LFU policy.
    pub fn lfu(&self) -> Option<Lfu> {
        self.context.lfu
    }

    /// The client for which the command runs.
    pub fn client(&self) -> u64 {
        self.context.client
    }

    /// Longest string that may come into being, in bytes.
    pub fn max_bulk(&self) -> usize {
        self.context.max_bulk
    }

    /// Up to where small values keep their compact encodings.
    pub fn limits(&self) -> &'a Limits {
        self.context.limits
    }

    /// A number for choices that need no secrecy, uniform in all 64 bits.
    pub fn random(&mut self) -> u64 {
        self.held.iter_mut().next().map_or(0, |store| store.aside.random())
    }

    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.held.iter().next().map_or(0, Store::databases)
    }

    /// Goes on in another database, below [`databases`](Self::databases).
    pub fn select(&mut self, db: usize) {
        debug_assert!(db < self.databases());
        self.context.db = db;
    }

    /// The same stores, seen in another database.
    pub fn with_db(&mut self, db: usize) -> Keyspace<'_> {
        let held = match &mut self.held {
            Held::One(store) => Held::One(store),
            Held::Many(stores) => Held::Many(stores),
            Held::Some(stores, nowhere) => Held::Some(stores, nowhere),
        };
        let context = Context { db, changes: self.context.changes, ..self.context };
        Keyspace { held, context }
    }

    /// The key with its hash and its store.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.context.placement.key(bytes)
    }

    /// The table that a key belongs to, in the current database, and what stands beside it.
    #[inline]
    pub(crate) fn site(&mut self, key: &Key<'_>) -> (&mut crate::table::Table, Site<'_>) {
        let Context { db, now_ms, no_touch, lfu, .. } = self.context;
        let Store { databases, aside, .. } = self.held.store(key.store);
        let Database { table, books } = &mut databases[db];
        aside.touch(db);
        (table, Site { db, now_ms, no_touch, lfu, books, aside, changes: self.context.changes })
    }

    /// The one look-up behind all readers.
    #[inline]
    pub(crate) fn look_for(&mut self, key: &Key<'_>, look: Look) -> Option<&mut Record> {
        let (table, mut site) = self.site(key);
        let slot = match table.slot(key, site.now_ms) {
            Slot::Live(slot) => Some(slot),
            Slot::Expired(slot) => {
                site.left(key, slot.remove(), Changed::Expired);
                None
            }
            Slot::Vacant(_) => None,
        };
        if look != Look::Find {
            let stats = &mut site.aside.stats;
            *(if slot.is_some() { &mut stats.hits } else { &mut stats.misses }) += 1;
        }
        let record = slot?.into_mut();
        match look {
            Look::Read => site.touch(record),
            Look::Touch => site.touch_always(record),
            Look::Inspect | Look::Find => {}
        }
        Some(record)
    }

    // Reading.

    /// The record of a key that a command reads: counted as hit or miss, its access clock set.
    #[inline]
    pub fn get(&mut self, key: &Key<'_>) -> Option<&Record> {
        self.look_for(key, Look::Read).map(|record| &*record)
    }

    /// Marks the key as used, as [`get`](Self::get) but for clients that leave no traces too;
    /// whether it exists.
    pub fn touch(&mut self, key: &Key<'_>) -> bool {
        self.look_for(key, Look::Touch).is_some()
    }

    /// The record of a key that a command inspects (`TYPE`, `TTL`, `EXISTS`, `OBJECT`): counted,
    /// but its access clock stays.
    pub fn peek(&mut self, key: &Key<'_>) -> Option<&Record> {
        self.look_for(key, Look::Inspect).map(|record| &*record)
    }

    /// The record of a key that a command is about to write: neither counted nor touched.
    pub fn find(&mut self, key: &Key<'_>) -> Option<&Record> {
        self.look_for(key, Look::Find).map(|record| &*record)
    }

    /// The string that a command reads, as [`get`](Self::get).
    ///
    /// # Errors
    /// The key holds another type.
    #[inline]
    pub fn string(&mut self, key: &Key<'_>) -> Result<Option<StringRef<'_>>, WrongType> {
        self.get(key).map(|record| record.string().ok_or(WrongType)).transpose()
    }

    /// Whether the key exists, as [`peek`](Self::peek).
    pub fn exists(&mut self, key: &Key<'_>) -> bool {
        self.peek(key).is_some()
    }

    /// The type of the key's value, as [`peek`](Self::peek).
    pub fn kind(&mut self, key: &Key<'_>) -> Option<Kind> {
        self.peek(key).map(Record::kind)
    }

    /// When the key expires, in Unix milliseconds, as [`peek`](Self::peek); the outer level is
    /// whether the key exists.
    pub fn deadline(&mut self, key: &Key<'_>) -> Option<Option<i64>> {
        self.peek(key).map(Record::deadline)
    }

    // Writing.

    /// Sets the key to a string, whatever it held.
    #[inline]
    pub fn set_string(&mut self, key: &Key<'_>, value: Text<'_>, expiry: Expiry) {
        let (table, mut site) = self.site(key);
        let slot = table.slot(key, site.now_ms);
        let expired = matches!(slot, Slot::Expired(_));
        match slot {
            Slot::Live(slot) | Slot::Expired(slot) => {
                let record = slot.into_mut();
                let held = Entered::of(record);
                let kept = if expired { None } else { held.deadline };
                site.discard(record);
                record.set(value, deadline_for(expiry, kept));
                if expired {
                    site.begin(record);
                } else {
                    site.touch(record);
                }
                site.books.correct(record, key.hash, held);
                site.overwritten(key, expired);
            }
            Slot::Vacant(slot) => {
                let mut record = Record::new(key.bytes, value, deadline_for(expiry, None));
                site.begin(&mut record);
                site.books.enter(&record, key.hash);
                slot.insert(record);
                site.changed(key, Changed::Created);
            }
        }
    }

    /// The string of a key, present or not, for one change that keeps its deadline.
    ///
    /// # Errors
    /// The key holds another type.
    #[inline]
    pub fn update_string<'k>(&'k mut self, key: &Key<'k>) -> Result<StringMut<'k>, WrongType> {
        let (table, site) = self.site(key);
        let slot = table.slot(key, site.now_ms);
        if let Slot::Live(entry) = &slot
            && entry.get().kind() != Kind::String
        {
            return Err(WrongType);
        }
        Ok(StringMut::new(*key, slot, site))
    }

    /// Removes the key; whether it existed.
    pub fn remove(&mut self, key: &Key<'_>) -> bool {
        let (table, mut site) = self.site(key);
        let (slot, changed) = match table.slot(key, site.now_ms) {
            Slot::Live(slot) => (slot, Changed::Removed),
            Slot::Expired(slot) => (slot, Changed::Expired),
            Slot::Vacant(_) => return false,
        };
        site.left(key, slot.remove(), changed);
        changed == Changed::Removed
    }

    /// Moves the value out, with its deadline.
    pub fn take(&mut self, key: &Key<'_>) -> Option<Entry> {
        let (table, mut site) = self.site(key);
        match table.slot(key, site.now_ms) {
            Slot::Live(slot) => {
                let record = slot.remove();
                site.books.leave(&record, key.hash);
                site.changed(key, Changed::Removed);
                Some(Entry::new(record))
            }
            Slot::Expired(slot) => {
                site.left(key, slot.remove(), Changed::Expired);
                None
            }
            Slot::Vacant(_) => None,
        }
    }

    /// Places a value, with its deadline, under a name; what that held is gone.
    pub fn put(&mut self, key: &Key<'_>, entry: Entry) {
        let (table, mut site) = self.site(key);
        let mut record = entry.under(key.bytes);
        site.begin(&mut record);
        let slot = table.slot(key, site.now_ms);
        let expired = matches!(slot, Slot::Expired(_));
        match slot {
            Slot::Live(slot) | Slot::Expired(slot) => {
                let held = slot.into_mut();
                let mut old = std::mem::replace(held, record);
                site.books.leave(&old, key.hash);
                site.discard(&mut old);
                site.books.enter(held, key.hash);
                site.overwritten(key, expired);
            }
            Slot::Vacant(slot) => {
                site.books.enter(&record, key.hash);
                slot.insert(record);
                site.changed(key, Changed::Created);
            }
        }
    }

    /// A copy of the value with its deadline, as [`get`](Self::get).
    pub fn clone_value(&mut self, key: &Key<'_>) -> Option<Entry> {
        self.get(key).map(|record| Entry::new(record.clone()))
    }

    /// Changes when the key expires; whether it exists. A deadline in the past is set all the
    /// same: whoever means a deletion removes the key.
    pub fn set_deadline(&mut self, key: &Key<'_>, deadline: Option<i64>) -> bool {
        let (table, mut site) = self.site(key);
        let record = match table.slot(key, site.now_ms) {
            Slot::Live(slot) => slot.into_mut(),
            Slot::Expired(slot) => {
                site.left(key, slot.remove(), Changed::Expired);
                return false;
            }
            Slot::Vacant(_) => return false,
        };
        let held = Entered::of(record);
        record.set_deadline(deadline);
        site.touch(record);
        site.books.correct(record, key.hash, held);
        site.changed(key, Changed::Modified);
        true
    }

    /// Sets what the access clock of the key tells, where it tells that under the present policy.
    pub fn set_usage(&mut self, key: &Key<'_>, usage: Usage) {
        let clock = access::told(self.lfu(), self.now_ms(), usage);
        if let (Some(clock), Some(record)) = (clock, self.look_for(key, Look::Find)) {
            record.set_clock(clock);
        }
    }

    // Watches.

    /// Watches a key for a client, in the current database.
    pub fn watch(&mut self, client: u64, key: &Key<'_>) {
        let Context { db, now_ms, .. } = self.context;
        let store = self.held.store(key.store);
        let presence = store.databases[db].presence(key, now_ms);
        store.aside.watches.watch(client, db, key.bytes, presence);
    }

    /// Forgets all watches of a client in the stores held.
    pub fn unwatch(&mut self, client: u64) {
        for store in self.held.iter_mut() {
            store.aside.watches.unwatch(client);
        }
    }

    /// Whether a key that the client watches in the stores held has changed since, or has expired
    /// since (and had not when it was watched).
    pub fn watch_broken(&mut self, client: u64) -> bool {
        let Context { now_ms, placement, .. } = self.context;
        self.held.iter().any(|store| {
            store.aside.watches.broken(client, |db, key| {
                let key = placement.key(key);
                store.databases.get(db).map_or(Presence::Absent, |d| d.presence(&key, now_ms))
            })
        })
    }

    // What whole.rs needs.

    pub(crate) fn stores(&self) -> impl Iterator<Item = &Store> {
        self.held.iter()
    }

    pub(crate) fn stores_mut(&mut self) -> impl Iterator<Item = &mut Store> {
        self.held.iter_mut()
    }

    pub(crate) fn store(&mut self, id: u32) -> &mut Store {
        self.held.store(id)
    }

    /// The store of that number.
    ///
    /// # Panics
    /// If it is not held, as for [`Held::store`].
    #[inline]
    pub(crate) fn store_ref(&self, id: u32) -> &Store {
        match &self.held {
            Held::One(store) => {
                assert_eq!(store.id, id, "a key of a store that is not held");
                store
            }
            Held::Many(stores) => match stores.binary_search_by_key(&id, |held| held.0) {
                Ok(at) => &stores[at].1,
                Err(_) => panic!("store {id} is not held"),
            },
            Held::Some(stores, nowhere) => match stores.binary_search_by_key(&id, |held| held.0) {
                Ok(at) => &stores[at].1,
                Err(_) => nowhere,
            },
        }
    }

    pub(crate) fn wake_if(&mut self, woken: bool) {
        if woken {
            self.context.changes.wake();
        }
    }

    pub(crate) fn placement(&self) -> Placement {
        self.context.placement
    }
}

fn deadline_for(expiry: Expiry, held: Option<i64>) -> Option<i64> {
    match expiry {
        Expiry::Keep => held,
        Expiry::Clear => None,
        Expiry::At(deadline) => Some(deadline),
    }
}
