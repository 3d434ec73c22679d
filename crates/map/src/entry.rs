//! Look up once, then insert, change or remove.

use crate::geometry::{Position, tag};
use crate::map::KevyMap;
use crate::segment::Place;

/// What [`KevyMap::entry`] has found.
pub enum Entry<'a, T> {
    /// The element is there.
    Occupied(OccupiedEntry<'a, T>),
    /// It is not.
    Vacant(VacantEntry<'a, T>),
}

/// An element of the table.
pub struct OccupiedEntry<'a, T> {
    map: &'a mut KevyMap<T>,
    position: Position,
    place: Place,
}

/// The place for an element that is not in the table.
pub struct VacantEntry<'a, T> {
    map: &'a mut KevyMap<T>,
    hash: u64,
}

impl<T> KevyMap<T> {
    /// Looks for the element with `hash` for which `eq` holds.
    #[inline]
    pub fn entry(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Entry<'_, T> {
        let position = self.directory.position(hash);
        let found = self.directory.slot(position).find(position, tag(hash), eq);
        match found.map(|(place, _)| place) {
            Some(place) => Entry::Occupied(OccupiedEntry { map: self, position, place }),
            None => Entry::Vacant(VacantEntry { map: self, hash }),
        }
    }
}

#[expect(clippy::expect_used, reason = "an entry borrows the table, so its place stays occupied")]
impl<'a, T> OccupiedEntry<'a, T> {
    /// The element.
    #[inline]
    #[must_use]
    pub fn get(&self) -> &T {
        let segment = self.map.directory.slot(self.position).segment();
        segment.and_then(|segment| segment.get(self.place)).expect("occupied")
    }

    /// The element, to be changed in place; its hash must stay the same.
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        let segment = self.map.directory.segment_mut(self.position);
        segment.and_then(|segment| segment.get_mut(self.place)).expect("occupied")
    }

    /// As [`Self::get_mut`], for as long as the table is borrowed.
    #[inline]
    #[must_use]
    pub fn into_mut(self) -> &'a mut T {
        let segment = self.map.directory.segment_mut(self.position);
        segment.and_then(|segment| segment.get_mut(self.place)).expect("occupied")
    }

    /// Puts another element with the same hash in its place, and gives back the old one.
    #[inline]
    pub fn replace(&mut self, value: T) -> T {
        std::mem::replace(self.get_mut(), value)
    }

    /// Removes the element.
    #[inline]
    pub fn remove(self) -> T {
        self.map.remove_at(self.position, self.place).expect("occupied")
    }
}

impl<'a, T> VacantEntry<'a, T> {
    /// Inserts `value`, which has the hash looked for. For `hasher` see
    /// [`KevyMap::insert_unique`].
    #[inline]
    #[expect(clippy::expect_used, reason = "what was just inserted is there")]
    pub fn insert(self, value: T, hasher: impl Fn(&T) -> u64) -> &'a mut T {
        self.map.insert_at(self.hash, value, hasher).expect("inserted")
    }
}
