//! A part of the data, with everything that belongs to it.

use crate::Key;
use crate::changes::{Changed, Changes};
use crate::garbage::Garbage;
use crate::table::Table;
use crate::waiters::{Waiter, Waiters};
use crate::watches::{Presence, Watches};
use kevy_data::{Change, ExpiryIndex, Hash, Record, allocated};
use std::sync::Arc;

/// What a store has counted since it was made, or since [`Store::reset_stats`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct StoreStats {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys removed because their deadline had passed.
    pub expired: u64,
    /// Fields removed from hashes because their deadline had passed.
    pub expired_fields: u64,
}

/// The keys of one database in one store, as `INFO keyspace` tells them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct DatabaseFigures {
    /// Keys, expired ones that are still there included.
    pub keys: usize,
    /// Keys with a deadline.
    pub volatile: usize,
    /// Mean time to live of those, in milliseconds.
    pub avg_ttl_ms: i64,
}

/// One database of a store.
#[derive(Default)]
pub(crate) struct Database {
    pub(crate) table: Table,
    pub(crate) books: Books,
}

/// What is kept about the records of a database beside its table.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) expiry: ExpiryIndex,
    /// Of keys whose values have elements that expire: the first such deadline of each.
    pub(crate) elements: ExpiryIndex,
    /// Bytes that the records hold.
    pub(crate) bytes: usize,
}

/// What the books say of a record.
#[derive(Clone, Copy)]
pub(crate) struct Entered {
    memory: usize,
    pub(crate) deadline: Option<i64>,
    element_deadline: Option<i64>,
}

impl Entered {
    #[inline]
    pub(crate) fn of(record: &Record) -> Self {
        Entered {
            memory: record.memory(),
            deadline: record.deadline(),
            element_deadline: record.element_deadline(),
        }
    }

    const NOTHING: Entered = Entered { memory: 0, deadline: None, element_deadline: None };
}

impl Books {
    #[inline]
    pub(crate) fn enter(&mut self, record: &Record, hash: u64) {
        self.change(hash, Entered::NOTHING, Entered::of(record));
    }

    #[inline]
    pub(crate) fn leave(&mut self, record: &Record, hash: u64) {
        self.change(hash, Entered::of(record), Entered::NOTHING);
    }

    /// A record of which the books say `held` has changed.
    #[inline]
    pub(crate) fn correct(&mut self, record: &Record, hash: u64, held: Entered) {
        self.change(hash, held, Entered::of(record));
    }

    #[inline]
    fn change(&mut self, hash: u64, old: Entered, new: Entered) {
        self.bytes = self.bytes + new.memory - old.memory;
        move_deadline(&mut self.expiry, hash, old.deadline, new.deadline);
        move_deadline(&mut self.elements, hash, old.element_deadline, new.element_deadline);
    }

    /// The earliest deadline.
    fn first(&self) -> Option<i64> {
        let deadlines = [self.expiry.first(), self.elements.first()];
        deadlines.into_iter().flatten().min()
    }
}

#[inline]
fn move_deadline(index: &mut ExpiryIndex, hash: u64, old: Option<i64>, new: Option<i64>) {
    if old != new {
        if let Some(old) = old {
            index.remove(old, hash);
        }
        if let Some(new) = new {
            index.insert(new, hash);
        }
    }
}

impl Database {
    pub(crate) fn presence(&self, key: &Key<'_>, now_ms: i64) -> Presence {
        match self.table.find(key) {
            None => Presence::Absent,
            Some(record) if record.is_expired(now_ms) => Presence::Expired,
            Some(_) => Presence::Live,
        }
    }

    pub(crate) fn memory(&self) -> usize {
        let Books { expiry, elements, bytes } = &self.books;
        bytes + self.table.memory() + expiry.memory() + elements.memory()
    }
}

/// What a store keeps beside its databases.
#[derive(Default)]
pub(crate) struct Aside {
    pub(crate) watches: Watches,
    pub(crate) waiters: Waiters,
    pub(crate) stats: StoreStats,
    /// What is freed in slices.
    pub(crate) garbage: Garbage,
    /// Databases whose figures may have changed; the last bit stands for all from 63 on.
    touched: u64,
    /// State of the generator behind random choices.
    random: u64,
}

impl Aside {
    /// Notes that the figures of a database may change.
    #[inline]
    pub(crate) fn touch(&mut self, db: usize) {
        self.touched |= 1 << db.min(63);
    }

    /// Notes that the figures of all databases may have changed.
    pub(crate) fn touch_all(&mut self) {
        self.touched = u64::MAX;
    }

    /// The next number of a sequence that the process's hash seed decides (splitmix64). For
    /// choices that need no secrecy.
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Notes that fields of a key have expired, which [`Changes`] knows already.
    pub(crate) fn fields_expired(&mut self, db: usize, key: &Key<'_>, count: usize) {
        self.stats.expired_fields += count as u64;
        if !self.watches.is_empty() {
            self.watches.touch(db, key.bytes, true);
        }
    }

    /// Notes a change of a key for whoever wants to know.
    #[inline]
    pub(crate) fn changed(
        &mut self,
        changes: &mut Changes,
        db: usize,
        key: &Key<'_>,
        changed: Changed,
    ) {
        if changed == Changed::Expired {
            self.stats.expired += 1;
        }
        changes.note(db, key, changed);
        let exists = matches!(changed, Changed::Created | Changed::Modified);
        if !self.watches.is_empty() {
            self.watches.touch(db, key.bytes, exists);
        }
        if !self.waiters.is_empty() && self.waiters.note(db, key.bytes, exists) {
            changes.wake();
        }
    }
}

/// One part of the data: its databases, the order of their expiry, watched keys, the account of
/// memory, statistics.
///
/// It belongs to whoever holds it; commands see it through a [`Keyspace`](crate::Keyspace).
pub struct Store {
    pub(crate) id: u32,
    pub(crate) databases: Vec<Database>,
    pub(crate) aside: Aside,
    /// Latest time at which it was used, in Unix milliseconds.
    latest_ms: i64,
}

impl Store {
    /// An empty store with so many databases. `id` is what [`Key::store`] says of its keys.
    pub fn new(id: u32, databases: usize) -> Self {
        Store {
            id,
            databases: std::iter::repeat_with(Database::default).take(databases).collect(),
            aside: Aside { random: kevy_map::hash(&id.to_le_bytes()), ..Aside::default() },
            latest_ms: i64::MIN,
        }
    }

    /// The number by which keys name the store.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The time for who holds the store now: `now_ms`, or that of who held it before if that is
    /// later. Threads read their clocks at different moments, and a key that one has found
    /// expired must not come back for another.
    #[inline]
    pub fn time(&mut self, now_ms: i64) -> i64 {
        self.latest_ms = self.latest_ms.max(now_ms);
        self.latest_ms
    }

    /// Forgets all watches of a client.
    pub fn unwatch(&mut self, client: u64) {
        self.aside.watches.unwatch(client);
    }

    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.databases.len()
    }

    /// Asks the processor to fetch the table line where a key of that hash would be.
    #[inline]
    pub fn prefetch(&self, db: usize, hash: u64) {
        if let Some(database) = self.databases.get(db) {
            database.table.prefetch(hash);
        }
    }

    /// Asks the processor to fetch the records that a look-up of that hash would compare: the
    /// second stage, when the table line has arrived.
    #[inline]
    pub fn prefetch_record(&self, db: usize, hash: u64) {
        if let Some(database) = self.databases.get(db) {
            database.table.prefetch_record(hash);
        }
    }

    /// When the next key, or field of a hash, expires, in Unix milliseconds.
    pub fn next_deadline(&self) -> Option<i64> {
        self.databases.iter().filter_map(|database| database.books.first()).min()
    }

    /// Removes keys, and fields of hashes, whose deadline is before `now_ms`, the earliest first,
    /// at most `budget` of them. Whether there are more.
    pub fn expire_slice(&mut self, now_ms: i64, budget: usize, changes: &mut Changes) -> bool {
        let mut left = budget;
        while left > 0 {
            match self.expire_next(now_ms, left, changes) {
                0 => return false,
                expired => left -= expired.min(left),
            }
        }
        self.next_deadline().is_some_and(|deadline| deadline < now_ms)
    }

    /// Removes what has the earliest deadline if that is before `now_ms`: a key, or up to `budget`
    /// fields of one hash; how many.
    fn expire_next(&mut self, now_ms: i64, budget: usize, changes: &mut Changes) -> usize {
        let databases = self.databases.iter_mut().enumerate();
        let earliest = databases
            .filter_map(|(db, database)| Some((database.books.first()?, db, database)))
            .min_by_key(|(deadline, db, _)| (*deadline, *db));
        let Some((deadline, db, Database { table, books })) = earliest else { return 0 };
        if deadline >= now_ms {
            return 0;
        }
        self.aside.touch(db);
        let due = match books.expiry.first() == Some(deadline) {
            true => books.expiry.first_due(),
            false => books.elements.first_due(),
        };
        let slot = due.and_then(|(deadline, hash)| Some((table.due(hash, deadline)?, hash)));
        let Some((mut slot, hash)) = slot else {
            debug_assert!(false, "a deadline without a key");
            return 0;
        };
        let (id, aside) = (self.id, &mut self.aside);
        let key = Key { bytes: slot.get().key(), hash, store: id };
        if slot.get().is_expired(now_ms) {
            aside.changed(changes, db, &key, Changed::Expired);
            let mut record = slot.remove();
            books.leave(&record, hash);
            if let Some(value) = record.take_heavy() {
                aside.garbage.push_value(value);
            }
            return 1;
        }
        let bytes = key.bytes.to_vec();
        let key = Key { bytes: &bytes, ..key };
        let record = slot.get_mut();
        let held = Entered::of(record);
        let mut expired = 0;
        record.edit::<Hash, _>(|fields| {
            expired = fields.expire(now_ms, budget, |field| changes.note_field(db, &key, field));
            Change::Changed(())
        });
        books.correct(record, hash, held);
        aside.fields_expired(db, &key, expired);
        expired
    }

    /// Frees up to `budget` elements, records and leaves of deadlines of what large values and
    /// flushed databases have left. Whether there is more.
    pub fn free_slice(&mut self, budget: usize) -> bool {
        self.aside.garbage.free_slice(budget)
    }

    /// Whether [`free_slice`](Self::free_slice) has something to do.
    #[inline]
    pub fn has_garbage(&self) -> bool {
        !self.aside.garbage.is_empty()
    }

    /// Bytes held from the allocator by this store.
    pub fn memory(&self) -> usize {
        let databases: usize = self.databases.iter().map(Database::memory).sum();
        databases + self.memory_aside()
    }

    /// Bytes of [`memory`](Self::memory) that belong to one database.
    pub fn memory_of(&self, db: usize) -> usize {
        self.databases.get(db).map_or(0, Database::memory)
    }

    /// Bytes of [`memory`](Self::memory) that belong to no database.
    pub fn memory_aside(&self) -> usize {
        self.aside.garbage.memory()
            + self.aside.watches.memory()
            + self.aside.waiters.memory()
            + allocated(self.databases.capacity() * size_of::<Database>())
    }

    /// Enters a waiter in the lines of those of its keys that lie here.
    pub fn wait(&mut self, waiter: &Arc<Waiter>) {
        self.aside.waiters.enter(self.id, waiter);
    }

    /// Takes a waiter out of the lines in which it stands here.
    pub fn forget(&mut self, waiter: &Waiter) {
        self.aside.waiters.forget(self.id, waiter);
    }

    /// Has the lines of a waiter looked through again.
    pub fn note_ready(&mut self, waiter: &Waiter) {
        self.aside.waiters.note_keys_of(self.id, waiter);
    }

    /// Whether keys have changed for which somebody waits.
    #[inline]
    pub fn has_ready(&self) -> bool {
        self.aside.waiters.has_ready()
    }

    /// The first of these keys, with its database.
    pub fn take_ready(&mut self) -> Option<(usize, Box<[u8]>)> {
        self.aside.waiters.take_ready()
    }

    /// The first waiter for a key, from a ticket on, whom the present value may satisfy.
    pub fn next_waiter(
        &self,
        db: usize,
        key: &Key<'_>,
        from: u64,
        now_ms: i64,
    ) -> Option<Arc<Waiter>> {
        let record = self.databases.get(db)?.table.find(key);
        let kind = record.filter(|record| !record.is_expired(now_ms)).map(Record::kind);
        self.aside.waiters.next(db, key.bytes, from, kind).cloned()
    }

    /// Number of keys for which somebody waits.
    pub fn waited_keys(&self) -> usize {
        self.aside.waiters.keys()
    }

    /// Number of keys for any change of which somebody waits.
    pub fn loss_waited_keys(&self) -> usize {
        self.aside.waiters.loss_keys()
    }

    /// What has been counted.
    pub fn stats(&self) -> &StoreStats {
        &self.aside.stats
    }

    /// Counts from zero again.
    pub fn reset_stats(&mut self) {
        self.aside.stats = StoreStats::default();
    }

    /// The databases whose [`figures`](Self::figures) may have changed since the last call.
    pub fn take_touched(&mut self) -> impl Iterator<Item = usize> + use<> {
        let touched = std::mem::take(&mut self.aside.touched);
        let high = if touched >> 63 == 1 { 63..self.databases() } else { 0..0 };
        let mut low = touched & !(1 << 63);
        let next = move || {
            let db = low.trailing_zeros() as usize;
            low &= low.checked_sub(1)?;
            Some(db)
        };
        std::iter::from_fn(next).chain(high)
    }

    /// Figures of one database.
    pub fn figures(&self, db: usize, now_ms: i64) -> DatabaseFigures {
        let Some(database) = self.databases.get(db) else { return DatabaseFigures::default() };
        let volatile = database.books.expiry.len();
        let mean = if volatile == 0 { now_ms } else { database.books.expiry.mean() };
        DatabaseFigures {
            keys: database.table.len(),
            volatile,
            avg_ttl_ms: mean.saturating_sub(now_ms).max(0),
        }
    }
}
