//! What of a hash is there at a point in time: the fields that have not expired.

use super::{HashRef, RefRepr, table};
use crate::{Random, Record, StringRef, choose};
use std::collections::HashSet;

/// A field with its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its name.
    pub name: StringRef<'a>,
    /// Its value.
    pub value: StringRef<'a>,
    /// When it expires, in Unix milliseconds.
    pub deadline: Option<i64>,
}

/// The fields of a hash that have not expired at a point in time. A field expires when its
/// deadline has passed, not before.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    hash: HashRef<'a>,
    now_ms: i64,
}

/// Draws of [`Fields::sample`] that may meet expired fields before it goes through all of them.
const MOST_MISSES: usize = 64;

impl<'a> Fields<'a> {
    pub(super) fn new(hash: HashRef<'a>, now_ms: i64) -> Self {
        Fields { hash, now_ms }
    }

    fn is_live(self, deadline: Option<i64>) -> bool {
        deadline.is_none_or(|deadline| deadline >= self.now_ms)
    }

    /// Number of fields. O(1) while none has expired.
    #[must_use]
    pub fn len(self) -> usize {
        match self.hash.0 {
            RefRepr::Packed(pairs) => pairs.len() - pairs.expired(self.now_ms).0,
            RefRepr::Table(table) => table.len() - table.expired(self.now_ms),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    #[inline]
    #[must_use]
    pub fn get(self, field: &[u8]) -> Option<StringRef<'a>> {
        match self.hash.0 {
            RefRepr::Packed(pairs) => {
                let at = pairs.find(field)?;
                self.is_live(pairs.deadline(at)).then(|| pairs.value(at))
            }
            RefRepr::Table(table) => {
                let record = table.get(field)?;
                self.is_live(record.deadline()).then(|| table::value(record))
            }
        }
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn contains(self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// When a field expires, in Unix milliseconds; the outer level is whether it is there.
    #[must_use]
    pub fn deadline(self, field: &[u8]) -> Option<Option<i64>> {
        let deadline = match self.hash.0 {
            RefRepr::Packed(pairs) => pairs.deadline(pairs.find(field)?),
            RefRepr::Table(table) => table.get(field)?.deadline(),
        };
        self.is_live(deadline).then_some(deadline)
    }

    /// Calls `f` for every field, in no order that means anything.
    pub fn for_each(self, mut f: impl FnMut(Field<'a>)) {
        match self.hash.0 {
            RefRepr::Packed(pairs) => {
                pairs.iter_from(pairs.expired(self.now_ms).1).for_each(f);
            }
            RefRepr::Table(table) => self.live(table.records()).for_each(|r| f(table::field(r))),
        }
    }

    fn live(self, records: impl Iterator<Item = &'a Record>) -> impl Iterator<Item = &'a Record> {
        records.filter(move |record| self.is_live(record.deadline()))
    }

    /// Calls `f` for about `count` fields from `cursor` on, and answers the cursor to go on with; 0
    /// begins and ends. What is there from the beginning to the end is met at least once. A packed
    /// hash is met whole.
    pub fn walk(self, cursor: u64, count: usize, mut f: impl FnMut(Field<'_>)) -> u64 {
        match self.hash.0 {
            RefRepr::Packed(_) => {
                self.for_each(f);
                0
            }
            RefRepr::Table(table) => table.walk(cursor, count, |record| {
                if self.is_live(record.deadline()) {
                    f(table::field(record));
                }
            }),
        }
    }

    /// Some field, each about as likely as any other; none if there is none.
    pub fn sample(self, random: &mut Random) -> Option<Field<'a>> {
        match self.hash.0 {
            RefRepr::Packed(pairs) => {
                let (expired, _) = pairs.expired(self.now_ms);
                let live = pairs.len().checked_sub(expired).filter(|live| *live > 0)?;
                pairs.nth(expired + random.below(live)).map(|at| pairs.field(at))
            }
            RefRepr::Table(table) => {
                let mut draws = (0..MOST_MISSES).filter_map(|_| table.sample(random.bits()));
                if let Some(drawn) = draws.find(|record| self.is_live(record.deadline())) {
                    return Some(table::field(drawn));
                }
                let live = Some(self.len()).filter(|live| *live > 0)?;
                self.live(table.records()).nth(random.below(live)).map(table::field)
            }
        }
    }

    /// Calls `f` for `count` different fields, all such choices about as likely; for all fields if
    /// there are no more.
    pub fn choose(self, count: usize, random: &mut Random, mut f: impl FnMut(Field<'a>)) {
        let len = self.len();
        match self.hash.0 {
            _ if count >= len => self.for_each(f),
            RefRepr::Packed(pairs) => {
                let live = pairs.iter_from(pairs.expired(self.now_ms).1);
                choose(live, len, count, random).for_each(f);
            }
            // Drawing until enough are met pays while few are wanted, and few have expired.
            RefRepr::Table(table) if count < len / 3 && len > table.len() / 2 => {
                let mut met = HashSet::with_capacity(count);
                while met.len() < count {
                    let Some(field) = self.sample(random) else { return };
                    if let StringRef::Bytes(name) = field.name
                        && met.insert(name)
                    {
                        f(field);
                    }
                }
            }
            RefRepr::Table(table) => {
                let live = self.live(table.records());
                choose(live, len, count, random).for_each(|record| f(table::field(record)));
            }
        }
    }
}
