//! What a command did to keys, for the commit step.

use crate::Key;

/// What happened to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// It was not there before.
    Created,
    /// Its value or its deadline is another.
    Modified,
    /// A command removed it.
    Removed,
    /// Its deadline had passed: a deletion of its own, before whatever the command did.
    Expired,
    /// The deadline of one of its fields had passed: a deletion of that field, before whatever the
    /// command did. There are others left.
    FieldExpired,
}

/// One change of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// The database.
    pub db: usize,
    /// The store of the key.
    pub store: u32,
    /// The key.
    pub key: &'a [u8],
    /// What happened.
    pub changed: Changed,
    /// The field that has expired; else empty.
    pub field: &'a [u8],
}

struct Item {
    db: u32,
    store: u32,
    changed: Changed,
    /// Where the key begins; the field follows it.
    start: usize,
    len: usize,
    field_len: usize,
}

/// A list of changes in the order in which they happened. Expiries of keys and fields are always
/// recorded, for the log must say them; everything else only while someone is interested. The memory is reused.
#[derive(Default)]
pub struct Changes {
    items: Vec<Item>,
    /// Bytes of keys and fields.
    keys: Vec<u8>,
    record_all: bool,
    woken: bool,
}

/// Beyond this many bytes of keys or changes, the memory is given back when cleared.
const KEPT: usize = 64 * 1024;

impl Changes {
    /// A list that records expiries only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether all changes are recorded, not just expiries.
    pub fn records_all(&self) -> bool {
        self.record_all
    }

    /// Says whether all changes are to be recorded, not just expiries.
    pub fn record_all(&mut self, all: bool) {
        self.record_all = all;
    }

    /// Somebody waits for a key that has changed.
    pub(crate) fn wake(&mut self) {
        self.woken = true;
    }

    /// Whether somebody waits for a key that has changed since the last call. Independent of
    /// [`clear`](Self::clear).
    #[inline]
    pub fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.woken)
    }

    /// Whether nothing has been recorded.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of changes.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The changes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Change<'_>> {
        self.items.iter().map(|item| Change {
            db: item.db as usize,
            store: item.store,
            key: &self.keys[item.start..item.start + item.len],
            changed: item.changed,
            field: &self.keys[item.start + item.len..][..item.field_len],
        })
    }

    /// Forgets all changes.
    #[inline]
    pub fn clear(&mut self) {
        if !self.items.is_empty() {
            self.items.clear();
            self.keys.clear();
            self.items.shrink_to(KEPT / size_of::<Item>());
            self.keys.shrink_to(KEPT);
        }
    }

    #[inline]
    pub(crate) fn note(&mut self, db: usize, key: &Key<'_>, changed: Changed) {
        if self.record_all || changed == Changed::Expired {
            self.push(db, key, changed, b"");
        }
    }

    /// Notes that a field of a key has expired.
    pub(crate) fn note_field(&mut self, db: usize, key: &Key<'_>, field: &[u8]) {
        self.push(db, key, Changed::FieldExpired, field);
    }

    #[cold]
    fn push(&mut self, db: usize, key: &Key<'_>, changed: Changed, field: &[u8]) {
        let (start, len, field_len) = (self.keys.len(), key.bytes.len(), field.len());
        self.keys.extend_from_slice(key.bytes);
        self.keys.extend_from_slice(field);
        let (db, store) = (db as u32, key.store);
        self.items.push(Item { db, store, changed, start, len, field_len });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expiries_are_recorded_unless_someone_is_interested() {
        let key = Key { bytes: b"k", hash: 0, store: 3 };
        let mut changes = Changes::new();
        changes.note(0, &key, Changed::Modified);
        assert!(changes.is_empty());
        changes.note(1, &key, Changed::Expired);
        changes.record_all(true);
        changes.note(2, &Key { bytes: b"other", ..key }, Changed::Created);
        changes.note_field(1, &key, b"field");
        let seen: Vec<_> =
            changes.iter().map(|c| (c.db, c.store, c.key, c.changed, c.field)).collect();
        let expected = [
            (1, 3, &b"k"[..], Changed::Expired, &b""[..]),
            (2, 3, b"other", Changed::Created, b""),
            (1, 3, b"k", Changed::FieldExpired, b"field"),
        ];
        assert_eq!(seen, expected);
        changes.clear();
        assert!(changes.is_empty() && changes.records_all());
    }
}
