//! The entries of a stream: nodes in the order of their ids.

use super::node::{self, Entry, Left, NodeRef, Walk};
use super::{StreamId, tree_memory};
use crate::packed::{PACKED_MAX, Packed, PackedRef};
use std::collections::{BTreeMap, btree_map};

/// When a node is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeLimits {
    /// Bytes of a node, without what a new entry's encoding adds; 0: as many as a node can have.
    pub bytes: usize,
    /// Entries of a node, deleted ones too; 0: no limit.
    pub entries: usize,
}

/// Which entries are to be removed from the front.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrimTo {
    /// Those beyond so many.
    Length(u64),
    /// Those with smaller ids.
    Id(StreamId),
}

/// How far trimming goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrimHow {
    /// Exactly.
    Exact,
    /// Whole nodes only, and at most so many entries.
    Nodes(u64),
}

/// The entries of a stream and what is known of those that were there.
///
/// Full nodes are kept in a tree by their first ids; the last node, which grows, beside it: adding
/// an entry touches no tree, and a short stream has none. There is a last node if there is an
/// entry.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    full: BTreeMap<StreamId, Packed>,
    last: Option<(StreamId, Packed)>,
    len: u64,
    last_id: StreamId,
    first_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    /// Bytes that the nodes hold from the allocator.
    held: usize,
}

impl Entries {
    /// Number of entries.
    #[inline]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no entry.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The greatest id that was ever added, or set since.
    #[inline]
    #[must_use]
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The id of the first entry; 0-0 if there is none.
    #[inline]
    #[must_use]
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The id of the last entry; 0-0 if there is none.
    #[must_use]
    pub fn top_id(&self) -> StreamId {
        let last = self.range_back(StreamId::MIN, StreamId::MAX).next();
        last.map_or(StreamId::MIN, |entry| entry.id)
    }

    /// The greatest id that was deleted by name.
    #[must_use]
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.added
    }

    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.full.len() + usize::from(self.last.is_some())
    }

    /// Bytes held from the allocator. O(1).
    #[must_use]
    pub fn memory(&self) -> usize {
        self.held + tree_memory::<StreamId, Packed>(self.full.len())
    }

    /// Whether there is an entry with this id.
    #[must_use]
    pub fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    /// The entry with this id.
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The entries from one id to another, both included.
    #[must_use]
    pub fn range(&self, from: StreamId, to: StreamId) -> Range<'_> {
        self.directed(from, to, false)
    }

    /// The same entries from the last to the first.
    #[must_use]
    pub fn range_back(&self, from: StreamId, to: StreamId) -> Range<'_> {
        self.directed(from, to, true)
    }

    fn directed(&self, from: StreamId, to: StreamId, reverse: bool) -> Range<'_> {
        let begins_by = |id: StreamId| self.last.as_ref().filter(|(first, _)| *first <= id);
        let full = if from > to || begins_by(from).is_some() {
            btree_map::Range::default()
        } else {
            // The node in which `from` would be may begin before it.
            let start = self.full.range(..=from).next_back().map_or(from, |(first, _)| *first);
            self.full.range(start..=to)
        };
        let last = begins_by(to).filter(|_| from <= to);
        let last = last.map(|(first, packed)| NodeRef::new(*first, packed));
        Range { full, last, walk: None, from, to, reverse }
    }

    /// The nodes in order, each with the id that its entries are relative to, in the format of
    /// RDB files.
    pub fn packed_nodes(&self) -> impl Iterator<Item = (StreamId, &[u8])> {
        let last = self.last.iter().map(|(first, packed)| (first, packed));
        self.full.iter().chain(last).map(|(&first, packed)| (first, packed.as_ref().bytes()))
    }

    /// Appends a node that was written by [`packed_nodes`](Self::packed_nodes), or by Redis; the
    /// ids and counters of the stream are set by [`restore`](Self::restore). `false`, and nothing
    /// is changed, if it is damaged or not behind the last node.
    #[must_use]
    pub fn push_node(&mut self, first: StreamId, bytes: &[u8]) -> bool {
        let Some(view) = PackedRef::check(bytes) else { return false };
        let packed = view.to_packed();
        let node = NodeRef::new(first, &packed);
        let behind = |(before, packed): &(StreamId, Packed)| NodeRef::new(*before, packed).last();
        if !node.check() || self.last.as_ref().map(behind).is_some_and(|last| last >= first) {
            return false;
        }
        self.len += node.live() as u64;
        self.close_last();
        self.held += packed.memory();
        self.last = Some((first, packed));
        self.find_first();
        true
    }

    /// Sets what a file tells beside the nodes. `false`, and nothing is changed, if that
    /// contradicts them.
    #[must_use]
    pub fn restore(&mut self, last_id: StreamId, max_deleted_id: StreamId, added: u64) -> bool {
        if self.top_id() > last_id || added < self.len {
            return false;
        }
        (self.last_id, self.max_deleted_id, self.added) = (last_id, max_deleted_id, added);
        true
    }

    /// Adds an entry behind all others; `fields` are names and values in turn. `false`, and
    /// nothing is changed, if its id is not greater than the last one or if it is too large.
    #[must_use]
    pub fn append<'f>(
        &mut self,
        id: StreamId,
        fields: impl Iterator<Item = &'f [u8]> + Clone,
        limits: NodeLimits,
    ) -> bool {
        let size = fields.clone().map(<[u8]>::len).sum::<usize>();
        if id <= self.last_id || size > PACKED_MAX {
            return false;
        }
        if self.last.as_ref().is_some_and(|(first, packed)| {
            is_full(NodeRef::new(*first, packed), packed.byte_len() + size, limits)
        }) {
            self.close_last();
        }
        match &mut self.last {
            Some((first, packed)) => {
                let before = packed.memory();
                node::push(packed, *first, id, fields);
                self.held = self.held - before + packed.memory();
            }
            none => {
                let (_, packed) = none.insert((id, node::begin(fields)));
                self.held += packed.memory();
            }
        }
        self.len += 1;
        self.added += 1;
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        true
    }

    /// Puts the last node, if there is one, among the full ones.
    fn close_last(&mut self) {
        if let Some((first, mut packed)) = self.last.take() {
            self.held -= packed.memory();
            packed.shrink();
            self.held += packed.memory();
            self.full.insert(first, packed);
        }
    }

    /// Deletes the entry with this id; whether it was there.
    pub fn delete(&mut self, id: StreamId) -> bool {
        if !self.mark(id) {
            return false;
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id || self.len == 0 {
            self.find_first();
        }
        true
    }

    fn mark(&mut self, id: StreamId) -> bool {
        if let Some((first, packed)) = &mut self.last
            && *first <= id
        {
            let before = packed.memory();
            let left = node::delete(packed, *first, id);
            match left {
                Left::Nothing => {
                    self.held -= before;
                    // As if the node had never been: the one before it goes on growing.
                    self.last = self.full.pop_last();
                }
                Left::Some => self.held = self.held - before + packed.memory(),
                Left::Unchanged => {}
            }
            return left != Left::Unchanged;
        }
        let Some((&first, packed)) = self.full.range_mut(..=id).next_back() else { return false };
        let before = packed.memory();
        let left = node::delete(packed, first, id);
        match left {
            Left::Nothing => {
                self.held -= before;
                self.full.remove(&first);
            }
            Left::Some => self.held = self.held - before + packed.memory(),
            Left::Unchanged => {}
        }
        left != Left::Unchanged
    }

    fn find_first(&mut self) {
        let first = self.range(StreamId::MIN, StreamId::MAX).next();
        self.first_id = first.map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Removes entries from the front; how many.
    pub fn trim(&mut self, to: TrimTo, how: TrimHow) -> u64 {
        let mut removed = 0;
        while let Some(node) = self.front() {
            let live = node.live() as u64;
            let (done, whole) = match to {
                TrimTo::Length(len) => (self.len <= len, self.len - live >= len),
                TrimTo::Id(id) => (false, node.last() < id),
            };
            if done || matches!(how, TrimHow::Nodes(limit) if removed + live > limit) {
                break;
            }
            if !whole {
                if how == TrimHow::Exact {
                    removed += self.trim_front(to);
                }
                break;
            }
            self.drop_front();
            self.len -= live;
            removed += live;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    fn front(&self) -> Option<NodeRef<'_>> {
        let full = self.full.first_key_value();
        let last = || self.last.as_ref().map(|(first, packed)| (first, packed));
        full.or_else(last).map(|(first, packed)| NodeRef::new(*first, packed))
    }

    /// Drops the first node; whether there was one.
    fn drop_front(&mut self) -> bool {
        let dropped = self.full.pop_first().or_else(|| self.last.take());
        self.held -= dropped.as_ref().map_or(0, |(_, packed)| packed.memory());
        dropped.is_some()
    }

    /// Removes entries from the first node, of which some stay, or deleted ones that are not before.
    fn trim_front(&mut self, to: TrimTo) -> u64 {
        let mut excess = match to {
            TrimTo::Length(len) => self.len - len,
            TrimTo::Id(_) => 0,
        };
        let wanted = |id| match to {
            TrimTo::Length(_) => {
                let wanted = excess > 0;
                excess -= u64::from(wanted);
                wanted
            }
            TrimTo::Id(min) => id < min,
        };
        let front = match self.full.first_entry() {
            Some(entry) => {
                let first = *entry.key();
                Some((first, entry.into_mut()))
            }
            None => self.last.as_mut().map(|(first, packed)| (*first, packed)),
        };
        let Some((first, packed)) = front else { return 0 };
        let before = packed.memory();
        let (removed, left) = node::delete_front(packed, first, wanted);
        self.held = self.held - before + packed.memory();
        self.len -= removed as u64;
        if left == Left::Nothing {
            self.drop_front();
        }
        removed as u64
    }

    /// Sets the last id, and of the others what is given. The last id must not be less than the
    /// last entry's, the number of entries added not less than that of entries.
    pub fn set_last_id(
        &mut self,
        last_id: StreamId,
        added: Option<u64>,
        max_deleted_id: Option<StreamId>,
    ) {
        debug_assert!(self.top_id() <= last_id && added.is_none_or(|added| added >= self.len));
        self.last_id = last_id;
        self.added = added.unwrap_or(self.added);
        self.max_deleted_id = max_deleted_id.unwrap_or(self.max_deleted_id);
    }

    /// Drops up to so many nodes, when the stream is no more; how many.
    pub(super) fn free_slice(&mut self, budget: usize) -> usize {
        (0..budget).take_while(|_| self.drop_front()).count()
    }

    /// Whether an entry may be missing from `id` on, as far as that is known.
    pub(super) fn has_gap_from(&self, id: StreamId) -> bool {
        self.len > 0
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && id <= self.max_deleted_id
    }

    /// How many of the entries ever added a group has read when it has read the one with this `id`
    /// too, having counted `read` before.
    #[must_use]
    pub fn read_up_to(&self, id: StreamId, read: Option<u64>) -> Option<u64> {
        match read {
            Some(read) if !self.has_gap_from(id) => Some(read.saturating_add(1)),
            _ if self.added > 0 => self.added_up_to(id),
            read => read,
        }
    }

    /// How many entries were added up to `id`, if that can be told: of the last id, of the first
    /// entry and what was before it. `streamEstimateDistanceFromFirstEverEntry` of Redis.
    pub(crate) fn added_up_to(&self, id: StreamId) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if id == self.last_id || (self.len == 0 && id < self.last_id) {
            return Some(self.added);
        }
        let no_gap = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        if id > self.first_id || !no_gap {
            return None;
        }
        // Files may tell of fewer entries added than there are.
        Some(self.added.wrapping_sub(self.len).wrapping_add(u64::from(id == self.first_id)))
    }
}

fn is_full(node: NodeRef<'_>, bytes: usize, limits: NodeLimits) -> bool {
    let max = match limits.bytes {
        0 => PACKED_MAX,
        bytes => bytes.min(PACKED_MAX),
    };
    bytes >= max || (limits.entries > 0 && node.live() + node.deleted() >= limits.entries)
}

/// Entries of a stream in the order of their ids, or in the reverse one.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    /// Nodes not begun yet.
    full: btree_map::Range<'a, StreamId, Packed>,
    last: Option<NodeRef<'a>>,
    walk: Option<Walk<'a>>,
    from: StreamId,
    to: StreamId,
    reverse: bool,
}

impl<'a> Range<'a> {
    fn next_node(&mut self) -> Option<NodeRef<'a>> {
        let node = |(first, packed): (&StreamId, &'a Packed)| NodeRef::new(*first, packed);
        match self.reverse {
            false => self.full.next().map(node).or_else(|| self.last.take()),
            true => self.last.take().or_else(|| self.full.next_back().map(node)),
        }
    }

    fn next_walk(&mut self) -> Option<&mut Walk<'a>> {
        if self.walk.is_none() {
            let node = self.next_node()?;
            self.walk =
                Some(if self.reverse { node.back_from(self.to) } else { node.from(self.from) });
        }
        self.walk.as_mut()
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let reverse = self.reverse;
            let walk = self.next_walk()?;
            let place = if reverse { walk.next_back() } else { walk.next() };
            let Some(place) = place else {
                self.walk = None;
                continue;
            };
            let id = place.entry.id;
            if id < self.from || id > self.to {
                (self.full, self.last, self.walk) = Default::default();
                return None;
            }
            if !place.deleted {
                return Some(place.entry);
            }
        }
    }
}
