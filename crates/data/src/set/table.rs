//! The members of a large set.

use crate::ThinBytes;
use kevy_map::{Entry, KevyMap, hash};

/// A hash table of strings, 8 bytes in the table for each.
#[derive(Default)]
pub(super) struct Table {
    members: KevyMap<ThinBytes>,
    /// Bytes that the strings hold.
    held: usize,
}

fn hash_of(member: &ThinBytes) -> u64 {
    hash(member.as_bytes())
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Bytes held from the allocator beside the table's own size.
    pub(super) fn memory(&self) -> usize {
        self.members.memory() + self.held
    }

    pub(super) fn contains(&self, text: &[u8]) -> bool {
        self.members.find(hash(text), |member| member.as_bytes() == text).is_some()
    }

    pub(super) fn insert(&mut self, text: &[u8]) -> bool {
        match self.members.entry(hash(text), |member| member.as_bytes() == text) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                self.held += place.insert(ThinBytes::new(text), hash_of).memory();
                true
            }
        }
    }

    pub(super) fn remove(&mut self, text: &[u8]) -> bool {
        let removed = self.members.remove(hash(text), |member| member.as_bytes() == text);
        self.held -= removed.as_ref().map_or(0, ThinBytes::memory);
        removed.is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ThinBytes> {
        self.members.iter()
    }

    /// Any member, each about as likely.
    pub(super) fn sample(&self, random: u64) -> Option<&ThinBytes> {
        self.members.sample(random).or_else(|| self.members.iter().next())
    }

    /// Removes any member, each about as likely.
    pub(super) fn pop(&mut self, random: u64) -> Option<ThinBytes> {
        let found = self.sample(random)?;
        // The member itself, not another of the same text: one comparison of addresses.
        let (hash, address) = (hash_of(found), found.as_bytes().as_ptr());
        let member = self.members.remove(hash, |member| member.as_bytes().as_ptr() == address)?;
        self.held -= member.memory();
        Some(member)
    }

    /// See [`walk`](crate::walk()).
    pub(super) fn walk(&self, cursor: u64, count: usize, each: impl FnMut(&ThinBytes)) -> u64 {
        crate::walk(&self.members, cursor, count, each)
    }

    /// Drops up to `budget` members; how many.
    pub(super) fn clear_slice(&mut self, budget: usize) -> usize {
        let mut freed = 0;
        let count = self.members.drain_slice(budget, |member| freed += member.memory());
        self.held -= freed;
        count
    }
}

impl Clone for Table {
    fn clone(&self) -> Self {
        let mut copy = Table::default();
        for member in self.iter() {
            copy.members.insert_unique(hash_of(member), member.clone(), hash_of);
        }
        copy.held = self.held;
        copy
    }
}
