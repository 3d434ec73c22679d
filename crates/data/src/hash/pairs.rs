//! A small hash: fields and values as items of one packed sequence.
//!
//! Field and value take turns. Once a field has had a deadline there are triples of field, value
//! and deadline (0: none), in the order of the deadlines, fields without one last. The bytes are
//! those of Redis's encodings `listpack` and `listpackex`.

use super::{Field, table::Table};
use crate::packed::{Item, Packed, PackedRef};
use crate::{IntBuffer, StringRef, Text};

/// The fields of a small hash, borrowed. A *position* is that of a field's item.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairsRef<'a> {
    pub(super) items: PackedRef<'a>,
    /// Whether there are triples.
    pub(super) timed: bool,
}

impl<'a> PairsRef<'a> {
    /// Items of a field.
    #[inline]
    fn width(self) -> usize {
        2 + usize::from(self.timed)
    }

    /// Number of fields.
    pub(super) fn len(self) -> usize {
        self.items.len() / self.width()
    }

    #[inline]
    pub(super) fn find(self, field: &[u8]) -> Option<usize> {
        self.items.find(self.items.first()?, field, self.width() - 1)
    }

    #[inline]
    pub(super) fn value(self, at: usize) -> StringRef<'a> {
        string(self.items.get(self.items.after(at)))
    }

    #[inline]
    pub(super) fn deadline(self, at: usize) -> Option<i64> {
        if !self.timed {
            return None;
        }
        let at = self.items.after(self.items.after(at));
        deadline(self.items.get(at))
    }

    pub(super) fn field(self, at: usize) -> Field<'a> {
        let name = string(self.items.get(at));
        Field { name, value: self.value(at), deadline: self.deadline(at) }
    }

    /// The position behind a field, which may be the end.
    fn behind(self, at: usize) -> usize {
        (0..self.width()).fold(at, |at, _| self.items.after(at))
    }

    /// The position of the first field, which may be the end.
    fn start(self) -> usize {
        self.items.first().unwrap_or(self.items.end())
    }

    /// The first deadline.
    #[inline]
    pub(super) fn first_deadline(self) -> Option<i64> {
        if self.timed { self.deadline(self.items.first()?) } else { None }
    }

    /// The last deadline, if all fields have one.
    pub(super) fn last_deadline(self) -> Option<i64> {
        if self.timed { deadline(self.items.get(self.items.last()?)) } else { None }
    }

    /// How many fields have expired, and where the others begin.
    pub(super) fn expired(self, now_ms: i64) -> (usize, usize) {
        let (mut count, mut at) = (0, self.start());
        if self.timed {
            while at != self.items.end() && self.deadline(at).is_some_and(|end| end < now_ms) {
                count += 1;
                at = self.behind(at);
            }
        }
        (count, at)
    }

    /// The fields from a position on.
    pub(super) fn iter_from(self, at: usize) -> impl Iterator<Item = Field<'a>> {
        let mut items = self.items.iter_from(at);
        std::iter::from_fn(move || {
            let (name, value) = (string(items.next()?), string(items.next()?));
            let deadline = if self.timed { deadline(items.next()?) } else { None };
            Some(Field { name, value, deadline })
        })
    }

    /// The position of the field of that number, which must be there.
    pub(super) fn nth(self, index: usize) -> Option<usize> {
        self.items.seek((index * self.width()) as i64)
    }
}

fn string(item: Item<'_>) -> StringRef<'_> {
    match item {
        Item::Int(value) => StringRef::Int(value),
        Item::Bytes(bytes) => StringRef::Bytes(bytes),
    }
}

fn deadline(item: Item<'_>) -> Option<i64> {
    match item {
        Item::Int(0) | Item::Bytes(_) => None,
        Item::Int(deadline) => Some(deadline),
    }
}

/// The item that stands for a deadline. The first millisecond of 1970 is the second here.
fn deadline_item(deadline: Option<i64>) -> Item<'static> {
    Item::Int(deadline.map_or(0, |deadline| deadline.max(1)))
}

/// The fields of a small hash.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    pub(super) items: Packed,
    pub(super) timed: bool,
}

impl Pairs {
    #[inline]
    pub(super) fn as_ref(&self) -> PairsRef<'_> {
        PairsRef { items: self.items.as_ref(), timed: self.timed }
    }

    /// Sets a field, whose deadline is kept or taken away; whether it is new.
    pub(super) fn set(&mut self, field: &[u8], value: Item<'_>, keep_deadline: bool) -> bool {
        let this = self.as_ref();
        let Some(at) = this.find(field) else {
            self.insert(Item::of(field), value, None);
            return true;
        };
        if !keep_deadline && this.deadline(at).is_some() {
            self.remove_at(at);
            self.insert(Item::of(field), value, None);
        } else {
            let at = this.items.after(at);
            self.items.replace(at, value);
        }
        false
    }

    fn insert(&mut self, field: Item<'_>, value: Item<'_>, deadline: Option<i64>) {
        let mut at = self.items.as_ref().end();
        if !self.timed {
            return self.items.insert(at, &[field, value]);
        }
        if let Some(wanted) = deadline {
            let this = self.as_ref();
            at = this.start();
            while at != this.items.end() && this.deadline(at).is_some_and(|held| held <= wanted) {
                at = this.behind(at);
            }
        }
        self.items.insert(at, &[field, value, deadline_item(deadline)]);
    }

    pub(super) fn remove_at(&mut self, at: usize) {
        self.items.remove(at, self.as_ref().width());
    }

    /// Changes the deadline of the field at a position.
    pub(super) fn set_deadline(&mut self, at: usize, deadline: Option<i64>) {
        let this = self.as_ref();
        if this.deadline(at) == deadline {
            return;
        }
        let (field, value) = (this.items.get(at), this.items.get(this.items.after(at)));
        let (field, value) = (field.to_vec(), value.to_vec());
        self.remove_at(at);
        self.make_timed();
        self.insert(Item::of(&field), Item::of(&value), deadline);
    }

    fn make_timed(&mut self) {
        if self.timed {
            return;
        }
        let mut items = Packed::new();
        let mut old = self.items.as_ref().iter();
        while let (Some(field), Some(value)) = (old.next(), old.next()) {
            [field, value, deadline_item(None)].into_iter().for_each(|item| items.push_back(item));
        }
        (self.items, self.timed) = (items, true);
    }

    /// Removes up to `budget` fields that have expired and names them; how many.
    pub(super) fn expire(
        &mut self,
        now_ms: i64,
        budget: usize,
        mut each: impl FnMut(&[u8]),
    ) -> usize {
        let this = self.as_ref();
        let count = this.expired(now_ms).0.min(budget);
        let mut buffer = IntBuffer::new();
        this.iter_from(this.start())
            .take(count)
            .for_each(|field| each(field.name.as_bytes(&mut buffer)));
        if count > 0 {
            self.items.remove(self.as_ref().start(), count * self.as_ref().width());
        }
        count
    }

    /// The same hash as a table.
    pub(super) fn to_table(&self) -> Table {
        let this = self.as_ref();
        let mut table = Table::default();
        let mut buffer = IntBuffer::new();
        for Field { name, value, deadline } in this.iter_from(this.start()) {
            let value = match value {
                StringRef::Int(value) => Text::Int(value),
                StringRef::Bytes(bytes) => Text::Verbatim(bytes),
                StringRef::Blob(blob) => Text::Blob(blob.clone()),
            };
            table.set(name.as_bytes(&mut buffer), value, deadline);
        }
        table
    }
}
