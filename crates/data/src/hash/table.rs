//! A large hash: a table of records, each a field with its value and its deadline.

use super::Field;
use crate::expiry::ExpiryIndex;
use crate::{Record, StringRef, Text, allocated, walk};
use kevy_map::{Entry, KevyMap};
use std::fmt;

/// The fields of a large hash. The deadlines also stand in order, for the next to expire.
#[derive(Default)]
pub(super) struct Table {
    map: KevyMap<Record>,
    /// Bytes that the records hold.
    held: usize,
    /// Of the fields that have a deadline.
    order: ExpiryIndex,
}

fn hash_of(record: &Record) -> u64 {
    kevy_map::hash(record.key())
}

/// A record as a field.
pub(super) fn field(record: &Record) -> Field<'_> {
    Field {
        name: StringRef::Bytes(record.key()),
        value: value(record),
        deadline: record.deadline(),
    }
}

/// The value of a field, which is a string always.
#[inline]
pub(super) fn value(record: &Record) -> StringRef<'_> {
    record.string().unwrap_or(StringRef::Bytes(b""))
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Bytes held from the allocator, those of the table itself included.
    pub(super) fn memory(&self) -> usize {
        const OWN: usize = allocated(size_of::<Table>());
        OWN + self.map.memory() + self.held + self.order.memory()
    }

    #[inline]
    pub(super) fn get(&self, field: &[u8]) -> Option<&Record> {
        self.map.find(kevy_map::hash(field), |record| record.key() == field)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.map.iter()
    }

    /// A step of a walk, see [`walk`].
    pub(super) fn walk(&self, cursor: u64, count: usize, f: impl FnMut(&Record)) -> u64 {
        walk(&self.map, cursor, count, f)
    }

    pub(super) fn sample(&self, random: u64) -> Option<&Record> {
        self.map.sample(random)
    }

    pub(super) fn first_deadline(&self) -> Option<i64> {
        self.order.first()
    }

    /// The last deadline, if all fields have one.
    pub(super) fn last_deadline(&self) -> Option<i64> {
        if self.order.len() == self.map.len() { self.order.last() } else { None }
    }

    /// How many fields have expired.
    pub(super) fn expired(&self, now_ms: i64) -> usize {
        self.order.count_before(now_ms)
    }

    /// Sets a field with its deadline; whether it is new.
    pub(super) fn set(&mut self, field: &[u8], value: Text<'_>, deadline: Option<i64>) -> bool {
        self.set_with(field, value, |_| deadline)
    }

    /// Sets a field, whose deadline stays; whether it is new.
    pub(super) fn set_value(&mut self, field: &[u8], value: Text<'_>) -> bool {
        self.set_with(field, value, |held| held)
    }

    #[inline]
    fn set_with(
        &mut self,
        field: &[u8],
        value: Text<'_>,
        deadline: impl FnOnce(Option<i64>) -> Option<i64>,
    ) -> bool {
        let hash = kevy_map::hash(field);
        match self.map.entry(hash, |record| record.key() == field) {
            Entry::Occupied(mut entry) => {
                let record = entry.get_mut();
                let (memory, old) = (record.memory(), record.deadline());
                let new = deadline(old);
                record.set(value, new);
                self.held = self.held + record.memory() - memory;
                self.reorder(hash, old, new);
                false
            }
            Entry::Vacant(entry) => {
                let deadline = deadline(None);
                let record = Record::new(field, value, deadline);
                self.held += record.memory();
                entry.insert(record, hash_of);
                self.reorder(hash, None, deadline);
                true
            }
        }
    }

    #[inline]
    fn reorder(&mut self, hash: u64, old: Option<i64>, new: Option<i64>) {
        if old != new {
            old.inspect(|old| self.order.remove(*old, hash));
            new.inspect(|new| self.order.insert(*new, hash));
        }
    }

    /// Removes a field; whether it was there.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let hash = kevy_map::hash(field);
        let Some(record) = self.map.remove(hash, |record| record.key() == field) else {
            return false;
        };
        self.held -= record.memory();
        self.reorder(hash, record.deadline(), None);
        true
    }

    /// Changes the deadline of a field; whether it is there.
    pub(super) fn set_deadline(&mut self, field: &[u8], deadline: Option<i64>) -> bool {
        let hash = kevy_map::hash(field);
        let Some(record) = self.map.find_mut(hash, |record| record.key() == field) else {
            return false;
        };
        let (memory, old) = (record.memory(), record.deadline());
        record.set_deadline(deadline);
        self.held = self.held + record.memory() - memory;
        self.reorder(hash, old, deadline);
        true
    }

    /// Removes up to `budget` fields that have expired and names them; how many.
    pub(super) fn expire(
        &mut self,
        now_ms: i64,
        budget: usize,
        mut each: impl FnMut(&[u8]),
    ) -> usize {
        for count in 0..budget {
            let Some((deadline, hash)) = self.order.pop_before(now_ms) else { return count };
            let is_it =
                |record: &Record| record.deadline() == Some(deadline) && hash_of(record) == hash;
            let Some(record) = self.map.remove(hash, is_it) else {
                debug_assert!(false, "a deadline without a field");
                continue;
            };
            self.held -= record.memory();
            each(record.key());
        }
        budget
    }

    /// Drops up to `budget` fields, or leaves of deadlines; how many.
    pub(super) fn free_slice(&mut self, budget: usize) -> usize {
        // Records are told apart no more: their memory leaves the account pro rata.
        let held = self.map.len().max(1);
        let freed = self.map.clear_slice(budget);
        self.held -= (self.held as u128 * freed as u128 / held as u128) as usize;
        freed + self.order.clear_slice(budget - freed)
    }
}

impl Clone for Table {
    fn clone(&self) -> Self {
        let mut map = KevyMap::new();
        let mut held = 0;
        for record in self.map.iter() {
            let copy = record.clone();
            held += copy.memory();
            map.insert_unique(hash_of(&copy), copy, hash_of);
        }
        Table { map, held, order: self.order.clone() }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.map.iter()).finish()
    }
}
