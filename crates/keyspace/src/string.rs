//! Changing a string where it lies.

use crate::Key;
use crate::changes::Changed;
use crate::keyspace::Site;
use crate::store::Entered;
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
    #[inline]
    pub fn value(&self) -> Option<StringRef<'_>> {
        match &self.slot {
            Slot::Live(slot) => slot.get().string(),
            Slot::Expired(_) | Slot::Vacant(_) => None,
        }
    }

    /// Sets the string.
    #[inline]
    pub fn set(self, value: Text<'_>) {
        match self.slot {
            Slot::Live(_) => {
                self.change(|record| record.set(value, record.deadline()));
            }
            Slot::Expired(_) | Slot::Vacant(_) => {
                self.create(value, |_| ());
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
            Slot::Live(_) => self.change(|record| record.append(bytes)).0,
            Slot::Expired(_) | Slot::Vacant(_) => {
                self.create(Text::Bytes(bytes), |_| ());
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

    /// Sets the string to bytes that stay bytes, as one that was modified in place: whatever they
    /// spell, its encoding is `raw`.
    pub fn set_raw(self, bytes: &[u8]) {
        self.change(|record| {
            if record.bytes_mut(0).len() <= bytes.len() {
                record.bytes_mut(bytes.len()).copy_from_slice(bytes);
            } else {
                record.set(Text::Verbatim(bytes), record.deadline());
                record.bytes_mut(0);
            }
        });
    }

    /// Makes a string that was looked at for a change, and is left as it is, bytes that lie ready:
    /// its encoding is `raw` then. Nobody is told, for it says the same.
    pub fn make_raw(self) {
        if let Slot::Live(slot) = self.slot {
            let record = slot.into_mut();
            let held = Entered::of(record);
            record.bytes_mut(0);
            self.site.books.correct(record, self.key.hash, held);
        }
    }

    /// Makes the record anew, in the place of an expired one if there is such, and changes it.
    fn create<R>(
        self,
        value: Text<'_>,
        change: impl FnOnce(&mut Record) -> R,
    ) -> (R, &'a mut Record) {
        let StringMut { key, slot, mut site } = self;
        match slot {
            Slot::Live(slot) | Slot::Expired(slot) => {
                let record = slot.into_mut();
                let held = Entered::of(record);
                site.discard(record);
                record.set(value, None);
                let result = change(record);
                site.begin(record);
                site.books.correct(record, key.hash, held);
                site.overwritten(&key, true);
                (result, record)
            }
            Slot::Vacant(slot) => {
                let mut record = Record::new(key.bytes, value, None);
                let result = change(&mut record);
                site.begin(&mut record);
                site.books.enter(&record, key.hash);
                site.changed(&key, Changed::Created);
                (result, slot.insert(record))
            }
        }
    }

    /// Changes the record, made from an empty string if absent.
    #[inline]
    fn change<R>(self, change: impl FnOnce(&mut Record) -> R) -> (R, &'a mut Record) {
        let StringMut { key, slot, mut site } = self;
        match slot {
            Slot::Live(slot) => {
                let record = slot.into_mut();
                let held = Entered::of(record);
                let result = change(record);
                site.touch(record);
                site.books.correct(record, key.hash, held);
                site.changed(&key, Changed::Modified);
                (result, record)
            }
            absent => StringMut { key, slot: absent, site }.create(Text::Verbatim(b""), change),
        }
    }
}
