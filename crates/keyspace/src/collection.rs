//! Reading and changing values made of elements.

use crate::changes::Changed;
use crate::keyspace::{Look, Site};
use crate::store::Entered;
use crate::table::Slot;
use crate::{Key, Keyspace, WrongType};
use kevy_data::{Change, Collection, Hash, Record};

/// What has come of [`Keyspace::update`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Updated<R> {
    /// What the change gave back.
    pub result: R,
    /// Whether the value is another.
    pub changed: bool,
    /// Whether the key came into being.
    pub created: bool,
    /// Whether the key is gone, its last element having been removed.
    pub removed: bool,
}

impl<R> Updated<R> {
    fn new(result: R, changed: bool) -> Self {
        Updated { result, changed, created: false, removed: false }
    }
}

impl Keyspace<'_> {
    /// The collection that a command reads, as [`get`](Self::get).
    ///
    /// # Errors
    /// The key holds another type.
    #[inline]
    pub fn read<T: Collection>(&mut self, key: &Key<'_>) -> Result<Option<T::Ref<'_>>, WrongType> {
        view::<T>(self.get(key))
    }

    /// The collection that a command is about to write, as [`find`](Self::find).
    ///
    /// # Errors
    /// The key holds another type.
    #[inline]
    pub fn look<T: Collection>(&mut self, key: &Key<'_>) -> Result<Option<T::Ref<'_>>, WrongType> {
        view::<T>(self.find(key))
    }

    /// The record of a key, for looking at several at a time; an expired one is not there, but
    /// stays until someone else looks for it.
    #[inline]
    pub fn at(&self, key: &Key<'_>) -> Option<&Record> {
        let database = self.store_ref(key.store).databases.get(self.db())?;
        database.table.find(key).filter(|record| !record.is_expired(self.now_ms()))
    }

    /// Changes a collection, made from an empty one if the key is absent. One that is empty
    /// afterwards is removed with its key.
    ///
    /// # Errors
    /// The key holds another type.
    #[inline]
    pub fn update<T: Collection, R>(
        &mut self,
        key: &Key<'_>,
        change: impl FnOnce(&mut T) -> Change<R>,
    ) -> Result<Updated<R>, WrongType> {
        let (table, mut site) = self.site(key);
        match table.slot(key, site.now_ms) {
            Slot::Live(slot) => edit(key, slot, site, change),
            Slot::Expired(mut slot) => {
                let mut value = T::default();
                let (result, changed) = change(&mut value).parts();
                if !changed || value.is_empty() {
                    let record = slot.remove();
                    site.left(key, record, Changed::Expired);
                    return Ok(Updated::new(result, false));
                }
                let record = slot.get_mut();
                let held = Entered::of(record);
                site.discard(record);
                *record = Record::of(key.bytes, value, None);
                site.begin(record);
                site.books.correct(record, key.hash, held);
                site.overwritten(key, true);
                Ok(Updated { created: true, ..Updated::new(result, true) })
            }
            Slot::Vacant(slot) => {
                let mut value = T::default();
                let (result, changed) = change(&mut value).parts();
                if !changed || value.is_empty() {
                    return Ok(Updated::new(result, false));
                }
                let mut record = Record::of(key.bytes, value, None);
                site.begin(&mut record);
                site.books.enter(&record, key.hash);
                slot.insert(record);
                site.changed(key, Changed::Created);
                Ok(Updated { created: true, ..Updated::new(result, true) })
            }
        }
    }

    /// Changes a collection if the key exists, as [`update`](Self::update).
    ///
    /// # Errors
    /// The key holds another type.
    #[inline]
    pub fn update_existing<T: Collection, R>(
        &mut self,
        key: &Key<'_>,
        change: impl FnOnce(&mut T) -> Change<R>,
    ) -> Result<Option<Updated<R>>, WrongType> {
        let (table, mut site) = self.site(key);
        match table.slot(key, site.now_ms) {
            Slot::Live(slot) => edit(key, slot, site, change).map(Some),
            Slot::Expired(slot) => {
                site.left(key, slot.remove(), Changed::Expired);
                Ok(None)
            }
            Slot::Vacant(_) => Ok(None),
        }
    }

    /// Removes those of the `fields` of a hash that have expired, for a command that is about to
    /// write them. Each is a deletion of its own, noted before whatever the command does, so that
    /// who replays the log without a clock sees what the command saw.
    #[inline]
    pub fn expire_fields<'f>(&mut self, key: &Key<'_>, fields: impl IntoIterator<Item = &'f [u8]>) {
        let now_ms = self.now_ms();
        let (table, mut site) = self.site(key);
        // Without any hash in such a state, which is the rule, this is all.
        if site.books.elements.first().is_none_or(|deadline| deadline >= now_ms) {
            return;
        }
        if let Slot::Live(slot) = table.slot(key, now_ms) {
            expire_fields_of(key, slot.into_mut(), &mut site, fields.into_iter());
        }
    }

    /// Sets the key to a collection without a deadline, whatever it held; an empty one removes the
    /// key. Whether the key existed.
    pub fn put_value<T: Collection>(&mut self, key: &Key<'_>, value: T) -> bool {
        if value.is_empty() {
            return self.remove(key);
        }
        let existed = self.look_for(key, Look::Find).is_some();
        self.put(key, crate::Entry::new(Record::of(key.bytes, value, None)));
        existed
    }
}

#[inline]
fn view<T: Collection>(record: Option<&Record>) -> Result<Option<T::Ref<'_>>, WrongType> {
    record.map(|record| record.collection::<T>().ok_or(WrongType)).transpose()
}

#[cold]
fn expire_fields_of<'f>(
    key: &Key<'_>,
    record: &mut Record,
    site: &mut Site<'_>,
    fields: impl Iterator<Item = &'f [u8]>,
) {
    let now_ms = site.now_ms;
    if record.element_deadline().is_none_or(|deadline| deadline >= now_ms) {
        return;
    }
    let held = Entered::of(record);
    let mut expired = 0;
    record.edit::<Hash, _>(|hash| {
        for field in fields {
            if hash.remove_expired(field, now_ms) {
                site.changes.note_field(site.db, key, field);
                expired += 1;
            }
        }
        Change::when(expired > 0, ())
    });
    if expired > 0 {
        site.books.correct(record, key.hash, held);
        site.aside.fields_expired(site.db, key, expired);
    }
}

/// Changes the value of a key that is there.
#[inline]
fn edit<T: Collection, R>(
    key: &Key<'_>,
    mut slot: crate::table::Occupied<'_>,
    mut site: Site<'_>,
    change: impl FnOnce(&mut T) -> Change<R>,
) -> Result<Updated<R>, WrongType> {
    let record = slot.get_mut();
    let held = Entered::of(record);
    let (change, empty) = record.edit(change).ok_or(WrongType)?;
    site.touch(record);
    let (result, changed) = change.parts();
    // What reads have built beside the value counts as well.
    site.books.correct(record, key.hash, held);
    if changed {
        if empty {
            site.left(key, slot.remove(), Changed::Removed);
        } else {
            site.changed(key, Changed::Modified);
        }
    }
    Ok(Updated { removed: changed && empty, ..Updated::new(result, changed) })
}
