//! The hash table of one database: records found by their keys.

use crate::Key;
use hashbrown::hash_table;
use kevy_data::Record;
use std::hash::BuildHasher;
use std::sync::OnceLock;

/// Hash of a key.
#[inline]
pub(crate) fn hash(key: &[u8]) -> u64 {
    static STATE: OnceLock<std::hash::RandomState> = OnceLock::new();
    STATE.get_or_init(std::hash::RandomState::new).hash_one(key)
}

fn hash_of(record: &Record) -> u64 {
    hash(record.key())
}

#[derive(Default)]
pub(crate) struct Table {
    map: hash_table::HashTable<Record>,
}

pub(crate) enum Slot<'a> {
    Occupied(Occupied<'a>),
    Vacant(Vacant<'a>),
}

pub(crate) struct Occupied<'a>(hash_table::OccupiedEntry<'a, Record>);

pub(crate) struct Vacant<'a> {
    map: &'a mut hash_table::HashTable<Record>,
    hash: u64,
}

impl<'a> Occupied<'a> {
    pub(crate) fn get(&self) -> &Record {
        self.0.get()
    }
    pub(crate) fn get_mut(&mut self) -> &mut Record {
        self.0.get_mut()
    }
    pub(crate) fn into_mut(self) -> &'a mut Record {
        self.0.into_mut()
    }
    pub(crate) fn remove(self) -> Record {
        self.0.remove().0
    }
}

impl<'a> Vacant<'a> {
    pub(crate) fn insert(self, record: Record) -> &'a mut Record {
        self.map.insert_unique(self.hash, record, hash_of).into_mut()
    }
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
    pub(crate) fn find(&self, key: &Key<'_>) -> Option<&Record> {
        self.map.find(key.hash, |r| r.key() == key.bytes)
    }
    pub(crate) fn find_mut(&mut self, key: &Key<'_>) -> Option<&mut Record> {
        self.map.find_mut(key.hash, |r| r.key() == key.bytes)
    }
    pub(crate) fn slot(&mut self, key: &Key<'_>) -> Slot<'_> {
        match self.map.find_entry(key.hash, |r| r.key() == key.bytes) {
            Ok(entry) => Slot::Occupied(Occupied(entry)),
            Err(absent) => Slot::Vacant(Vacant { map: absent.into_table(), hash: key.hash }),
        }
    }
    /// Removes a record of that hash and deadline.
    pub(crate) fn remove_due(&mut self, hash: u64, deadline: i64) -> Option<Record> {
        self.map
            .find_entry(hash, |r| r.deadline() == Some(deadline) && hash_of(r) == hash)
            .ok()
            .map(|entry| entry.remove().0)
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.map.iter()
    }
    pub(crate) fn scan(&self, cursor: u64, mut f: impl FnMut(&Record)) -> u64 {
        for record in self.map.iter().skip(cursor as usize).take(8) {
            f(record);
        }
        let next = cursor + 8;
        if next as usize >= self.map.len() { 0 } else { next }
    }
    pub(crate) fn sample(&self, random: u64) -> Option<&Record> {
        let len = self.map.len().max(1) as u64;
        self.map.iter().nth((random % len) as usize)
    }
    pub(crate) fn memory(&self) -> usize {
        self.map.allocation_size()
    }
    pub(crate) fn prefetch(&self, _hash: u64) {}
    pub(crate) fn prefetch_record(&self, _hash: u64) {}
    /// Drops up to `budget` records; how many.
    pub(crate) fn clear_slice(&mut self, budget: usize) -> usize {
        let before = self.map.len();
        let mut left = budget;
        self.map.retain(|_| {
            let keep = left == 0;
            left = left.saturating_sub(1);
            keep
        });
        before - self.map.len()
    }
}
