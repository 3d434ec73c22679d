//! What concerns whole databases, over all stores held.

use crate::store::Database;
use crate::table::Table;
use crate::watches::Presence;
use crate::{Key, Keyspace};
use kevy_data::Record;

/// So many samples are tried for a random key that has not expired before all are looked at.
const SAMPLES: usize = 100;

impl Keyspace<'_> {
    /// Number of keys of a database, expired ones that are still there included, as `DBSIZE`.
    pub fn len(&self, db: usize) -> usize {
        self.databases_at(db).map(|database| database.table.len()).sum()
    }

    /// Whether a database has no keys.
    pub fn is_empty(&self, db: usize) -> bool {
        self.len(db) == 0
    }

    /// Number of keys of a database that have a deadline.
    pub fn volatile_len(&self, db: usize) -> usize {
        self.databases_at(db).map(|database| database.books.expiry.len()).sum()
    }

    /// Calls `f` with every key of a database that has not expired.
    pub fn keys(&self, db: usize, mut f: impl FnMut(&[u8])) {
        self.records(db, |record| f(record.key()));
    }

    /// Calls `f` with every record of a database that has not expired.
    pub fn records(&self, db: usize, f: impl FnMut(&Record)) {
        let now_ms = self.now_ms();
        let records = self.databases_at(db).flat_map(|database| database.table.iter());
        records.filter(|record| !record.is_expired(now_ms)).for_each(f);
    }

    /// Walks a part of the current database in one store: calls `f` with about `count` records
    /// that have not expired, from `cursor` on, and returns where to go on; 0 is the start and the
    /// end. Every key that is there throughout is met at least once. Cursors are below 2^40.
    pub fn scan(
        &mut self,
        store: u32,
        cursor: u64,
        count: usize,
        mut f: impl FnMut(&Record),
    ) -> u64 {
        let (db, now_ms) = (self.db(), self.now_ms());
        let table = &self.store(store).databases[db].table;
        let (mut cursor, mut met) = (cursor, 0);
        // Empty stretches count too: a call stays bounded in a sparse table, as in Redis.
        for _ in 0..count.saturating_mul(10).max(1) {
            cursor = table.scan(cursor, |record| {
                met += 1;
                if !record.is_expired(now_ms) {
                    f(record);
                }
            });
            if cursor == 0 || met >= count {
                break;
            }
        }
        cursor
    }

    /// Some key of the current database that has not expired, each about as likely; none if there
    /// is none. Expired keys met on the way are removed.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        let mut random = self.stores_mut().next()?.aside.random();
        self.random_key_from(|| {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            random.rotate_left(32)
        })
    }

    /// As [`random_key`](Self::random_key), with the caller's source of uniform numbers.
    pub fn random_key_from(&mut self, mut random: impl FnMut() -> u64) -> Option<Vec<u8>> {
        let (db, now_ms) = (self.db(), self.now_ms());
        for _ in 0..SAMPLES {
            let table = self.random_table(db, random())?;
            let record = table.sample(random())?;
            let key = record.key().to_vec();
            if !record.is_expired(now_ms) {
                return Some(key);
            }
            let key = self.key(&key);
            self.find(&key);
        }
        let mut records = self.databases_at(db).flat_map(|database| database.table.iter());
        records.find(|record| !record.is_expired(now_ms)).map(|record| record.key().to_vec())
    }

    /// A table of a database, as likely as it has keys.
    fn random_table(&self, db: usize, random: u64) -> Option<&Table> {
        let mut position = random.checked_rem(self.len(db) as u64)? as usize;
        for database in self.databases_at(db) {
            if position < database.table.len() {
                return Some(&database.table);
            }
            position -= database.table.len();
        }
        None
    }

    /// Removes all keys of a database, or of all; how many. Their memory is freed later, in
    /// slices ([`Store::free_slice`](crate::Store::free_slice)).
    pub fn flush(&mut self, db: Option<usize>) -> usize {
        let databases = db.map_or(0..self.databases(), |db| db..db + 1);
        let placement = self.placement();
        let now_ms = self.now_ms();
        let (mut removed, mut woken) = (0, false);
        for store in self.stores_mut() {
            store.aside.touch_all();
            for db in databases.clone() {
                let Some(database) = store.databases.get_mut(db) else { continue };
                let presence = |key: &[u8]| database.presence(&placement.key(key), now_ms);
                store.aside.watches.replace(db, |key| (presence(key), Presence::Absent));
                let emptied = std::mem::take(database);
                removed += emptied.table.len();
                store.aside.garbage.push_database(emptied);
                woken |= store.aside.waiters.note_all(db, false);
            }
        }
        self.wake_if(woken);
        removed
    }

    /// Exchanges the contents of two databases.
    pub fn swap(&mut self, a: usize, b: usize) {
        let placement = self.placement();
        let now_ms = self.now_ms();
        let mut woken = false;
        for store in self.stores_mut() {
            if a.max(b) >= store.databases.len() || a == b {
                continue;
            }
            for (before, after) in [(a, b), (b, a)] {
                let databases = &store.databases;
                store.aside.watches.replace(before, |bytes| {
                    let key: Key<'_> = placement.key(bytes);
                    let presence = |db: usize| databases[db].presence(&key, now_ms);
                    (presence(before), presence(after))
                });
            }
            store.databases.swap(a, b);
            store.aside.touch_all();
            for db in [a, b] {
                woken |= store.aside.waiters.note_all(db, true);
            }
        }
        self.wake_if(woken);
    }

    fn databases_at(&self, db: usize) -> impl Iterator<Item = &Database> {
        self.stores().filter_map(move |store| store.databases.get(db))
    }
}
