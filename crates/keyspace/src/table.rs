//! The hash table of one database: records found by their keys.

use crate::Key;
use kevy_data::Record;
use kevy_map::{Entry, KevyMap, OccupiedEntry, VacantEntry};

fn hash_of(record: &Record) -> u64 {
    kevy_map::hash(record.key())
}

/// [`KevyMap`] with the hash and the equality of records.
#[derive(Default)]
pub(crate) struct Table {
    map: KevyMap<Record>,
}

/// Where a key is, or would be: one look-up for whatever is done then.
pub(crate) enum Slot<'a> {
    /// The key is there.
    Live(Occupied<'a>),
    /// It is there, but its deadline has passed.
    Expired(Occupied<'a>),
    Vacant(Vacant<'a>),
}

pub(crate) type Occupied<'a> = OccupiedEntry<'a, Record>;

pub(crate) struct Vacant<'a>(VacantEntry<'a, Record>);

impl<'a> Vacant<'a> {
    #[inline]
    pub(crate) fn insert(self, record: Record) -> &'a mut Record {
        self.0.insert(record, hash_of)
    }
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    #[inline]
    pub(crate) fn find(&self, key: &Key<'_>) -> Option<&Record> {
        self.map.find(key.hash, |record| record.key() == key.bytes)
    }

    #[inline]
    pub(crate) fn slot(&mut self, key: &Key<'_>, now_ms: i64) -> Slot<'_> {
        // Seen while the record is compared, so that it need not be looked at again.
        let mut expired = false;
        let entry = self.map.entry(key.hash, |record| {
            let found = record.key() == key.bytes;
            expired = found && record.is_expired(now_ms);
            found
        });
        match entry {
            Entry::Occupied(entry) if expired => Slot::Expired(entry),
            Entry::Occupied(entry) => Slot::Live(entry),
            Entry::Vacant(entry) => Slot::Vacant(Vacant(entry)),
        }
    }

    /// A record of that hash with that deadline, its own or that of an element.
    pub(crate) fn due(&mut self, hash: u64, deadline: i64) -> Option<Occupied<'_>> {
        let deadlines = |record: &Record| [record.deadline(), record.element_deadline()];
        let is_it = |record: &Record| {
            deadlines(record).contains(&Some(deadline)) && hash_of(record) == hash
        };
        match self.map.entry(hash, is_it) {
            Entry::Occupied(entry) => Some(entry),
            Entry::Vacant(_) => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.map.iter()
    }

    /// One bucket of a scan, see [`KevyMap::scan`].
    pub(crate) fn scan(&self, cursor: u64, f: impl FnMut(&Record)) -> u64 {
        self.map.scan(cursor, f)
    }

    pub(crate) fn sample(&self, random: u64) -> Option<&Record> {
        self.map.sample(random)
    }

    /// Bytes of the table itself.
    pub(crate) fn memory(&self) -> usize {
        self.map.memory()
    }

    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.map.prefetch(hash);
    }

    #[inline]
    pub(crate) fn prefetch_record(&self, hash: u64) {
        self.map.candidates(hash, Record::prefetch);
    }

    /// Hands up to `budget` records to `f`; how many.
    pub(crate) fn clear_slice(&mut self, budget: usize, f: impl FnMut(Record)) -> usize {
        self.map.drain_slice(budget, f)
    }
}
