//! Changing the elements of large lists.

use super::NodeLimit;
use super::chain::{Chain, Place, Side};
use super::node::{New, Node, NodeRef, position};
use crate::{Item, Text};

impl Chain {
    /// Adds an element at an end.
    pub(super) fn push(&mut self, side: Side, text: &Text<'_>, limit: NodeLimit) {
        let new = New::of(text, limit);
        let end = match side {
            Side::Left => self.first(),
            Side::Right => self.last(),
        };
        if let New::Item(item) = &new
            && let Some(at) = end
            && self.add(at, side, *item, limit)
        {
            return;
        }
        // The node that was the end is full.
        if let Some(at) = end {
            self.edit(at, Node::shrink);
        }
        let node = new.into_node(limit);
        match side {
            Side::Left => self.push_front(node),
            Side::Right => self.push_back(node),
        }
    }

    /// Adds an item to one end of a node if it takes it.
    #[inline]
    fn add(&mut self, at: Place, side: Side, item: Item<'_>, limit: NodeLimit) -> bool {
        self.edit(at, |node| {
            if !node.takes(item, limit) {
                return false;
            }
            let Node::Packed(items) = node else { return false };
            match side {
                Side::Left => items.push_front(item, limit.bytes),
                Side::Right => items.push_back(item, limit.bytes),
            }
            true
        })
    }

    /// Inserts an element before the one at `index`, below the length.
    pub(super) fn insert(&mut self, index: usize, text: &Text<'_>, limit: NodeLimit) {
        let Some((at, offset)) = self.find(index) else {
            return self.push(Side::Right, text, limit);
        };
        let new = New::of(text, limit);
        if let New::Item(item) = &new {
            let node = self.held(at);
            if node.takes(*item, limit) {
                return self.edit(at, |node| insert_item(node, offset, *item, limit));
            }
            if offset == 0
                && let Some(before) = self.before(at)
                && self.add(before, Side::Right, *item, limit)
            {
                return;
            }
        }
        let node = new.into_node(limit);
        if offset == 0 {
            self.insert_node(at, node);
        } else if let Some(tail) = self.edit(at, |node| node.split_off(offset)) {
            let place = self.insert_node(at.behind(), node);
            self.insert_node(place.behind(), tail);
            self.tidy(index + 1, limit);
        }
        self.tidy(index, limit);
    }

    /// Replaces the element at `index`, below the length.
    pub(super) fn set(&mut self, index: usize, text: &Text<'_>, limit: NodeLimit) {
        let Some((at, offset)) = self.find(index) else { return };
        let new = New::of(text, limit);
        let node = self.held(at);
        match (node, &new) {
            (Node::Packed(items), New::Item(item)) => {
                let place = position(items, offset);
                let old = items.as_ref().after(place) - place;
                if limit.allows(items.byte_len() - old + item.packed_len(), items.len())
                    || item.packed_len() <= old
                {
                    return self.edit(at, |node| {
                        if let Node::Packed(items) = node {
                            items.set(place, *item, limit.bytes);
                        }
                    });
                }
            }
            (Node::Plain(_), New::Plain(_)) => {
                return self.edit(at, |node| *node = new.into_node(limit));
            }
            _ => {}
        }
        self.remove(index, 1, limit);
        self.insert(index, text, limit);
    }

    /// Removes `count` elements from `start` on; there are so many.
    pub(super) fn remove(&mut self, start: usize, count: usize, limit: NodeLimit) {
        let mut left = count;
        let mut at = self.find(start);
        while left > 0
            && let Some((place, offset)) = at
        {
            let len = self.held(place).len();
            let end = len.min(offset + left);
            left -= end - offset;
            if end - offset == len {
                let (_, next) = self.remove_node(place);
                at = self.existing(next).map(|next| (next, 0));
            } else {
                self.edit(place, |node| node.remove(offset, end));
                at = self.next(place).map(|next| (next, 0));
            }
        }
        if start > 0 && start < self.len() {
            self.tidy(start, limit);
        }
    }

    /// Removes elements equal to `wanted`, at most so many of them, from one side on; how many.
    pub(super) fn remove_equal(
        &mut self,
        wanted: &[u8],
        side: Side,
        at_most: usize,
        limit: NodeLimit,
    ) -> usize {
        let mut left = at_most;
        let mut at = match side {
            Side::Left => self.first(),
            Side::Right => self.last(),
        };
        while left > 0
            && let Some(place) = at
        {
            let node = self.held(place);
            let found = equal_positions(node, wanted, side, left);
            left -= found.len();
            at = self.remove_found(place, &found, side, limit);
        }
        at_most - left
    }

    /// Removes the items at these positions of a node, and merges the node with the one passed
    /// before if it has become small; the place to go on.
    fn remove_found(
        &mut self,
        at: Place,
        found: &[usize],
        side: Side,
        limit: NodeLimit,
    ) -> Option<Place> {
        let onwards = |chain: &Self, at| match side {
            Side::Left => chain.next(at),
            Side::Right => chain.before(at),
        };
        if found.is_empty() {
            return onwards(self, at);
        }
        if found.len() == self.held(at).len() {
            let (_, next) = self.remove_node(at);
            return match side {
                Side::Left => self.existing(next),
                Side::Right => self.place_before(next),
            };
        }
        self.edit(at, |node| {
            if let Node::Packed(items) = node {
                items.remove_all(found);
            }
        });
        self.merge_passed(at, side, limit, onwards)
    }

    /// Merges the node at `at` with its neighbour on the side that has been passed; the place to go
    /// on.
    fn merge_passed(
        &mut self,
        at: Place,
        side: Side,
        limit: NodeLimit,
        onwards: impl Fn(&Self, Place) -> Option<Place>,
    ) -> Option<Place> {
        // Places move when chunks merge, indexes do not.
        let index = self.index_of(at);
        let first = match side {
            Side::Left => self.before(at),
            Side::Right => Some(at),
        };
        if let Some(first) = first {
            self.merge_nodes(first, limit);
        }
        let (at, _) = self.find(index)?;
        onwards(self, at)
    }

    /// Merges small nodes around the node with the element at `index`.
    fn tidy(&mut self, index: usize, limit: NodeLimit) {
        let around = |chain: &Self| chain.find(index.min(chain.len().saturating_sub(1)));
        if let Some((at, _)) = around(self) {
            self.merge_nodes(at, limit);
        }
        if let Some((at, _)) = around(self)
            && let Some(before) = self.before(at)
        {
            self.merge_nodes(before, limit);
        }
    }
}

fn insert_item(node: &mut Node, offset: usize, item: Item<'_>, limit: NodeLimit) {
    if let Node::Packed(items) = node {
        items.insert(position(items, offset), item, limit.bytes);
    }
}

/// Positions of the items of a node that are `wanted`, in ascending order: the first `at_most` seen
/// from one side.
fn equal_positions(node: &Node, wanted: &[u8], side: Side, at_most: usize) -> Vec<usize> {
    match node.as_ref() {
        NodeRef::Packed(items) => equal_items(items, wanted, side, at_most),
        NodeRef::Plain(blob) if blob.as_bytes() == wanted => vec![0],
        NodeRef::Plain(_) => Vec::new(),
    }
}

/// As [`equal_positions`], of a packed sequence.
pub(super) fn equal_items(
    items: crate::PackedRef<'_>,
    wanted: &[u8],
    side: Side,
    at_most: usize,
) -> Vec<usize> {
    let wanted = Item::of(wanted);
    let mut found = Vec::new();
    let mut at = match side {
        Side::Left => items.first(),
        Side::Right => items.last(),
    };
    while found.len() < at_most
        && let Some(position) = at
    {
        if items.get(position) == wanted {
            found.push(position);
        }
        at = match side {
            Side::Left => items.next(position),
            Side::Right => items.before(position),
        };
    }
    if side == Side::Right {
        found.reverse();
    }
    found
}
