//! Hashes: fields with values, each of which may expire on its own.
//!
//! A [`Hash`] is packed into one piece of memory while it is small, and a table of records beyond
//! that. Changes are made to it as it lies; who reads says at what time ([`HashRef::at`]), and then
//! sees no field that has expired.

mod fields;
mod pairs;
mod table;
#[cfg(test)]
mod tests;

pub use fields::{Field, Fields};

use crate::packed::{Item, PACKED_MAX, PackedRef};
use crate::{Collection, Encoding, Kind, Limits, StringRef, Text};
use pairs::{Pairs, PairsRef};
use table::Table;

/// Up to where a hash is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashLimits {
    /// Most fields.
    pub entries: usize,
    /// Longest field or value, in bytes.
    pub length: usize,
}

impl From<&Limits> for HashLimits {
    fn from(limits: &Limits) -> Self {
        HashLimits {
            entries: limits.hash_max_listpack_entries,
            length: limits.hash_max_listpack_value,
        }
    }
}

/// Fields beyond which a hash is dropped in slices: each takes an allocation.
const HEAVY: usize = 64;

/// Fields with values.
#[derive(Clone, Debug, Default)]
pub struct Hash(Repr);

#[derive(Clone, Debug)]
enum Repr {
    Packed(Pairs),
    Table(Box<Table>),
}

impl Default for Repr {
    fn default() -> Self {
        Repr::Packed(Pairs::default())
    }
}

const _: () = assert!(size_of::<Hash>() <= 32);

/// A hash, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct HashRef<'a>(RefRepr<'a>);

#[derive(Clone, Copy, Debug)]
enum RefRepr<'a> {
    Packed(PairsRef<'a>),
    Table(&'a Table),
}

impl<'a> HashRef<'a> {
    /// What of it is there at a time, in Unix milliseconds; `i64::MIN` for all.
    #[inline]
    #[must_use]
    pub fn at(self, now_ms: i64) -> Fields<'a> {
        Fields::new(self, now_ms)
    }

    /// The earliest deadline of a field.
    #[inline]
    #[must_use]
    pub fn next_deadline(self) -> Option<i64> {
        match self.0 {
            RefRepr::Packed(pairs) => pairs.first_deadline(),
            RefRepr::Table(table) => table.first_deadline(),
        }
    }

    /// The latest deadline of a field, if all fields have one.
    #[must_use]
    pub fn last_deadline(self) -> Option<i64> {
        match self.0 {
            RefRepr::Packed(pairs) => pairs.last_deadline(),
            RefRepr::Table(table) => table.last_deadline(),
        }
    }

    /// The packed sequence of a small hash, and whether it is of triples with deadlines (0: none),
    /// else of pairs.
    #[must_use]
    pub fn packed(self) -> Option<(bool, PackedRef<'a>)> {
        match self.0 {
            RefRepr::Packed(pairs) => Some((pairs.timed, pairs.items)),
            RefRepr::Table(_) => None,
        }
    }

    /// Whether any field has expired at `now_ms`.
    #[inline]
    #[must_use]
    pub fn has_expired(self, now_ms: i64) -> bool {
        self.next_deadline().is_some_and(|deadline| deadline < now_ms)
    }
}

impl Hash {
    /// Sets a field, whose deadline is kept or else taken away; whether it is new.
    pub fn set(
        &mut self,
        field: &[u8],
        value: Text<'_>,
        keep_deadline: bool,
        limits: HashLimits,
    ) -> bool {
        if let Repr::Packed(pairs) = &mut self.0 {
            let item = match &value {
                Text::Int(value) => Item::Int(*value),
                Text::Bytes(bytes) | Text::Verbatim(bytes) => Item::of(bytes),
                Text::Blob(blob) => Item::of(blob.as_bytes()),
            };
            let len = text_len(&value);
            let room = pairs.items.byte_len() + field.len() + len + 64 <= PACKED_MAX;
            if room && field.len() <= limits.length && len <= limits.length {
                let new = pairs.set(field, item, keep_deadline);
                if new && pairs.as_ref().len() > limits.entries {
                    self.make_table();
                }
                return new;
            }
        }
        self.make_table();
        match &mut self.0 {
            Repr::Table(table) if keep_deadline => table.set_value(field, value),
            Repr::Table(table) => table.set(field, value, None),
            Repr::Packed(_) => false,
        }
    }

    /// Prepares for `fields` fields to be set: more than may be packed make it a table at once, new
    /// ones or not, as in Redis.
    pub fn prepare(&mut self, fields: usize, limits: HashLimits) {
        if fields > limits.entries {
            self.make_table();
        }
    }

    fn make_table(&mut self) {
        if let Repr::Packed(pairs) = &self.0 {
            self.0 = Repr::Table(Box::new(pairs.to_table()));
        }
    }

    /// Removes a field; whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Packed(pairs) => {
                let at = pairs.as_ref().find(field);
                at.inspect(|at| pairs.remove_at(*at)).is_some()
            }
            Repr::Table(table) => table.remove(field),
        }
    }

    /// Changes when a field expires, in Unix milliseconds; whether it is there.
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<i64>) -> bool {
        match &mut self.0 {
            Repr::Packed(pairs) => {
                let at = pairs.as_ref().find(field);
                at.inspect(|at| pairs.set_deadline(*at, deadline)).is_some()
            }
            Repr::Table(table) => table.set_deadline(field, deadline),
        }
    }

    /// Removes up to `budget` fields that have expired at `now_ms`, the earliest first, and names
    /// them; how many.
    pub fn expire(&mut self, now_ms: i64, budget: usize, each: impl FnMut(&[u8])) -> usize {
        match &mut self.0 {
            Repr::Packed(pairs) => pairs.expire(now_ms, budget, each),
            Repr::Table(table) => table.expire(now_ms, budget, each),
        }
    }

    /// Removes a field if it has expired at `now_ms`; whether it has.
    pub fn remove_expired(&mut self, field: &[u8], now_ms: i64) -> bool {
        let deadline = self.as_ref().at(i64::MIN).deadline(field).flatten();
        deadline.is_some_and(|deadline| deadline < now_ms) && self.remove(field)
    }
}

fn text_len(text: &Text<'_>) -> usize {
    match text {
        Text::Int(value) => StringRef::Int(*value).len(),
        Text::Bytes(bytes) | Text::Verbatim(bytes) => bytes.len(),
        Text::Blob(blob) => blob.len(),
    }
}

impl Collection for Hash {
    const KIND: Kind = Kind::Hash;
    type Ref<'a> = HashRef<'a>;

    #[inline]
    fn as_ref(&self) -> HashRef<'_> {
        HashRef(match &self.0 {
            Repr::Packed(pairs) => RefRepr::Packed(pairs.as_ref()),
            Repr::Table(table) => RefRepr::Table(table),
        })
    }

    fn is_empty(&self) -> bool {
        match &self.0 {
            Repr::Packed(pairs) => pairs.items.as_ref().is_empty(),
            Repr::Table(table) => table.len() == 0,
        }
    }

    fn encoding(this: HashRef<'_>) -> Encoding {
        match this.0 {
            RefRepr::Packed(PairsRef { timed: false, .. }) => Encoding::Listpack,
            RefRepr::Packed(PairsRef { timed: true, .. }) => Encoding::ListpackEx,
            RefRepr::Table(_) => Encoding::Hashtable,
        }
    }

    fn memory(&self) -> usize {
        match &self.0 {
            Repr::Packed(pairs) => pairs.items.memory(),
            Repr::Table(table) => table.memory(),
        }
    }

    fn free_slice(&mut self, budget: usize) -> usize {
        match &mut self.0 {
            Repr::Packed(_) => 0,
            Repr::Table(table) => table.free_slice(budget),
        }
    }

    fn is_heavy(&self) -> bool {
        matches!(&self.0, Repr::Table(table) if table.len() > HEAVY)
    }

    #[inline]
    fn next_deadline(this: HashRef<'_>) -> Option<i64> {
        this.next_deadline()
    }

    #[inline]
    fn last_deadline(this: HashRef<'_>) -> Option<i64> {
        this.last_deadline()
    }

    #[inline]
    fn inline(&self) -> Option<(bool, &[u8])> {
        match &self.0 {
            Repr::Packed(pairs) => Some((pairs.timed, pairs.items.as_ref().bytes())),
            Repr::Table(_) => None,
        }
    }

    #[inline]
    fn from_inline(timed: bool, bytes: &[u8]) -> Self {
        // A value is taken out of its record to be changed, most often by one field.
        let items = PackedRef::new(bytes).to_packed_with_room(64);
        Hash(Repr::Packed(Pairs { items, timed }))
    }

    #[inline]
    fn ref_inline(timed: bool, bytes: &[u8]) -> HashRef<'_> {
        HashRef(RefRepr::Packed(PairsRef { items: PackedRef::new(bytes), timed }))
    }
}
