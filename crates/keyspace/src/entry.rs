//! A value on its way from one name to another.

use kevy_data::{Kind, Record, StringRef};

/// A value with its deadline, taken out of the keyspace or copied from it.
#[derive(Clone, Debug)]
pub struct Entry {
    record: Record,
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        Entry { record }
    }
}

impl Entry {
    pub(crate) fn new(record: Record) -> Self {
        Entry { record }
    }

    /// The type of the value.
    pub fn kind(&self) -> Kind {
        self.record.kind()
    }

    /// The string, if the value is one.
    pub fn string(&self) -> Option<StringRef<'_>> {
        self.record.string()
    }

    /// When it expires, in Unix milliseconds.
    pub fn deadline(&self) -> Option<i64> {
        self.record.deadline()
    }

    /// Changes when it expires.
    pub fn set_deadline(&mut self, deadline: Option<i64>) {
        self.record.set_deadline(deadline);
    }

    /// The record as it is to stand under `key`.
    pub(crate) fn under(self, key: &[u8]) -> Record {
        if self.record.key() == key { self.record } else { self.record.with_key(key) }
    }
}
