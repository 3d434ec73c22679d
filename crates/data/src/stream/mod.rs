//! Streams: entries in the order of their ids, and groups of consumers that share them out.
//!
//! What is read of a stream is read of its [`Entries`] and [`Groups`]; a change takes the part that
//! it is about, or both, for delivering entries looks at one part and changes the other.

mod entries;
mod group;
mod id;
mod ids;
mod node;
#[cfg(test)]
mod tests;

pub use entries::{Entries, NodeLimits, Range, TrimHow, TrimTo};
pub use group::{Consumer, ConsumerId, Group, Pending};
pub use id::{IdBuffer, StreamId};
pub use node::{Entry, Fields};

use crate::class::allocated;
use crate::{Collection, Encoding, Kind};
use std::collections::{BTreeMap, btree_map};
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

/// A stream of more pieces than this is dropped in slices.
const HEAVY: usize = 64;

/// A stream. One without entries is a value like any other: keys with it stay.
#[derive(Clone, Debug, Default)]
pub struct Stream(Box<Parts>);

#[derive(Clone, Debug, Default)]
struct Parts {
    entries: Entries,
    groups: Groups,
}

impl Stream {
    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The entries.
    #[inline]
    #[must_use]
    pub fn entries(&self) -> &Entries {
        &self.0.entries
    }

    /// The consumer groups.
    #[inline]
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.0.groups
    }

    /// The entries, for changing.
    #[inline]
    pub fn entries_mut(&mut self) -> &mut Entries {
        &mut self.0.entries
    }

    /// The consumer groups, for changing.
    #[inline]
    pub fn groups_mut(&mut self) -> &mut Groups {
        &mut self.0.groups
    }

    /// Both, for changing.
    #[inline]
    pub fn parts_mut(&mut self) -> (&mut Entries, &mut Groups) {
        (&mut self.0.entries, &mut self.0.groups)
    }

    /// How many entries the group has yet to read, if that can be told: by its own count, or by
    /// what is known of its last id. The count may be ahead, as it can be set.
    #[must_use]
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let entries = self.entries();
        let read = match group.entries_read {
            _ if entries.added() == 0 => Some(0),
            Some(read) if !entries.has_gap_from(group.last_id) => Some(read),
            _ => entries.added_up_to(group.last_id),
        };
        read.map(|read| entries.added().wrapping_sub(read) as i64)
    }
}

impl Collection for Stream {
    const KIND: Kind = Kind::Stream;
    type Ref<'a> = &'a Stream;

    fn as_ref(&self) -> &Stream {
        self
    }

    /// Never: a stream without entries has a last id and may have groups.
    fn is_empty(&self) -> bool {
        false
    }

    fn encoding(_: &Stream) -> Encoding {
        Encoding::Stream
    }

    fn memory(&self) -> usize {
        allocated(size_of::<Parts>()) + self.entries().memory() + self.groups().memory()
    }

    fn free_slice(&mut self, budget: usize) -> usize {
        let (entries, groups) = self.parts_mut();
        let mut freed = entries.free_slice(budget);
        while freed < budget
            && let Some(mut group) = groups.by_name.first_entry()
        {
            match group.get_mut().free_slice(budget - freed) {
                0 => {
                    group.remove();
                    freed += 1;
                }
                some => freed += some,
            }
        }
        freed
    }

    fn is_heavy(&self) -> bool {
        // Pieces of groups have some 500 bytes.
        self.entries().nodes() + self.groups().held / 512 > HEAVY
    }

    fn inline(&self) -> Option<(bool, &[u8])> {
        None
    }

    fn from_inline(_: bool, _: &[u8]) -> Self {
        debug_assert!(false, "a stream is never inline");
        Self::default()
    }

    fn ref_inline(_: bool, _: &[u8]) -> &Stream {
        debug_assert!(false, "a stream is never inline");
        static EMPTY: LazyLock<Stream> = LazyLock::new(Stream::default);
        &EMPTY
    }
}

/// The consumer groups of a stream, by name.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    by_name: BTreeMap<Box<[u8]>, Group>,
    /// Bytes that names and groups hold from the allocator.
    held: usize,
}

impl Groups {
    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The group of this name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.by_name.get(name)
    }

    /// The group of this name, for changing.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<GroupMut<'_>> {
        let group = self.by_name.get_mut(name)?;
        Some(GroupMut { before: group.memory(), group, held: &mut self.held })
    }

    /// The groups in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.by_name.iter().map(|(name, group)| (&**name, group))
    }

    /// Whether an entry is pending in any group.
    #[must_use]
    pub fn is_pending(&self, id: StreamId) -> bool {
        self.by_name.values().any(|group| group.pending(id).is_some())
    }

    /// Ends that an entry is pending in any group; in how many it was.
    pub fn remove_pending(&mut self, id: StreamId) -> usize {
        let mut removed = 0;
        for group in self.by_name.values_mut() {
            let before = group.memory();
            removed += usize::from(group.remove_pending(id).is_some());
            self.held = self.held - before + group.memory();
        }
        removed
    }

    /// Adds a group; `false` if there is one of this name.
    pub fn create(&mut self, name: &[u8], group: Group) -> bool {
        let btree_map::Entry::Vacant(place) = self.by_name.entry(name.into()) else { return false };
        self.held += allocated(name.len()) + group.memory();
        place.insert(group);
        true
    }

    /// Removes a group with all its consumers; whether there was one.
    pub fn destroy(&mut self, name: &[u8]) -> bool {
        let removed = self.by_name.remove(name);
        self.held -= removed.as_ref().map_or(0, |group| allocated(name.len()) + group.memory());
        removed.is_some()
    }

    fn memory(&self) -> usize {
        self.held + tree_memory::<Box<[u8]>, Group>(self.by_name.len())
    }
}

/// A group that is changed.
pub struct GroupMut<'a> {
    group: &'a mut Group,
    before: usize,
    held: &'a mut usize,
}

impl Deref for GroupMut<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl DerefMut for GroupMut<'_> {
    fn deref_mut(&mut self) -> &mut Group {
        self.group
    }
}

impl Drop for GroupMut<'_> {
    fn drop(&mut self) {
        *self.held = *self.held - self.before + self.group.memory();
    }
}

/// Bytes that a `BTreeMap` of so many entries holds, about: leaves of 11 places, of which six are
/// taken when keys come in order, as they do here, and an inner node for every six leaves.
fn tree_memory<K, V>(len: usize) -> usize {
    let leaf = allocated(11 * (size_of::<K>() + size_of::<V>()) + 16);
    match len {
        0 => 0,
        1..=11 => leaf,
        _ => len.div_ceil(6) * leaf + len.div_ceil(36) * (leaf + 96),
    }
}
