//! Changing a string where it lies.

use crate::Key;
use crate::changes::Changed;
use crate::keyspace::Site;
use crate::table::Slot;
use kevy_data::{Record, StringRef, Text};

/// The string of a key, present or not, for one change.
///
/// Each change consumes the guard, keeps the deadline, creates the key if it is absent, and
/// accounts for what it did. A guard that is dropped has changed nothing.
pub struct StringMut<'a> {
    key: Key<'a>,
    slot: Slot<'a>,
    site: Site<'a>,
}

impl<'a> StringMut<'a> {
    pub(crate) fn new(key: Key<'a>, slot: Slot<'a>, site: Site<'a>) -> Self {
        StringMut { key, slot, site }
    }

    /// The string; none if the key is absent.
    pub fn value(&self) -> Option<StringRef<'_>> {
        match &self.slot {
            Slot::Occupied(slot) => slot.get().string(),
            Slot::Vacant(_) => None,
        }
    }

    /// Sets the string.
    pub fn set(self, value: Text<'_>) {
        match self.slot {
            Slot::Occupied(_) => {
                self.change(|record| record.set(value, record.deadline()));
            }
            Slot::Vacant(_) => {
                self.create(value);
            }
        }
    }

    /// Sets the string to an integer.
    pub fn set_int(self, value: i64) {
        self.set(Text::Int(value));
    }

    /// Appends bytes; the new length.
    pub fn append(self, bytes: &[u8]) -> usize {
        match self.slot {
            Slot::Occupied(_) => self.change(|record| record.append(bytes)).0,
            Slot::Vacant(_) => {
                self.create(Text::Bytes(bytes));
                bytes.len()
            }
        }
    }

    /// Overwrites the string from `offset` on, with zero bytes before it where it was shorter; the
    /// new length.
    pub fn set_range(self, offset: usize, bytes: &[u8]) -> usize {
        self.change(|record| record.set_range(offset, bytes)).0
    }

    /// The bytes of the string for changing, lengthened with zero bytes to at least `min_len`.
    pub fn bytes_mut(self, min_len: usize) -> &'a mut [u8] {
        let ((), record) = self.change(|record| {
            record.bytes_mut(min_len);
        });
        record.bytes_mut(0)
    }

    fn create(mut self, value: Text<'_>) -> Option<&'a mut Record> {
        let Slot::Vacant(slot) = self.slot else { return None };
        let mut record = Record::new(self.key.bytes, value, None);
        record.set_clock(self.site.clock());
        self.site.books.enter(&record, self.key.hash);
        self.site.changed(&self.key, Changed::Created);
        Some(slot.insert(record))
    }

    /// Changes the record, made from an empty string if absent.
    fn change<R>(mut self, change: impl FnOnce(&mut Record) -> R) -> (R, &'a mut Record) {
        match self.slot {
            Slot::Occupied(slot) => {
                let record = slot.into_mut();
                let held = (record.memory(), record.deadline());
                let result = change(record);
                record.set_clock(self.site.clock());
                self.site.books.correct(record, self.key.hash, held.0, held.1);
                self.site.changed(&self.key, Changed::Modified);
                (result, record)
            }
            Slot::Vacant(slot) => {
                let mut record = Record::new(self.key.bytes, Text::Verbatim(b""), None);
                let result = change(&mut record);
                record.set_clock(self.site.clock());
                self.site.books.enter(&record, self.key.hash);
                self.site.changed(&self.key, Changed::Created);
                (result, slot.insert(record))
            }
        }
    }
}
