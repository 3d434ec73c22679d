//! Large lists: nodes in chunks.

use super::NodeLimit;
use super::node::{New, Node, NodeRef, position};
use crate::{Item, Text, allocated};
use std::collections::VecDeque;

/// The most nodes in a chunk. Finding an element looks at the lengths of the chunks and then of the
/// nodes in one of them: 256 keeps both short, up to some hundred million elements.
const CHUNK: usize = 256;

/// One of the two ends of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The head, element 0.
    Left,
    /// The tail.
    Right,
}

/// Some neighbouring nodes, at least one.
#[derive(Clone, Debug, Default)]
struct Chunk {
    nodes: VecDeque<Node>,
    /// Number of elements.
    len: usize,
}

/// A sequence of nodes, none of them empty, in two levels: so the ends are at hand, an element is
/// found in some hundred steps, and nothing that is ever moved at once is large.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    chunks: VecDeque<Chunk>,
    /// Number of elements.
    len: usize,
    /// Bytes that the nodes and the arrays of the chunks hold.
    memory: usize,
}

/// The place of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    chunk: usize,
    node: usize,
}

fn array_memory(nodes: &VecDeque<Node>) -> usize {
    allocated(nodes.capacity() * size_of::<Node>())
}

impl Chunk {
    fn of(nodes: VecDeque<Node>) -> Self {
        let len = nodes.iter().map(Node::len).sum();
        Chunk { nodes, len }
    }
}

impl Chain {
    /// Number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes held from the allocator.
    pub(super) fn memory(&self) -> usize {
        self.memory + allocated(self.chunks.capacity() * size_of::<Chunk>())
    }

    /// Whether there are more nodes than `count`.
    pub(super) fn has_more_nodes(&self, count: usize) -> bool {
        let mut left = count;
        self.chunks.iter().any(|chunk| {
            let enough = chunk.nodes.len() > left;
            left = left.saturating_sub(chunk.nodes.len());
            enough
        })
    }

    /// The only node, if there is but one.
    pub(super) fn only(&self) -> Option<NodeRef<'_>> {
        match self.chunks.len() == 1 && self.chunks[0].nodes.len() == 1 {
            true => self.node(self.first()?),
            false => None,
        }
    }

    /// Takes the only node out.
    pub(super) fn take_only(&mut self) -> Option<Node> {
        self.only()?;
        Some(self.remove_node(self.first()?).0)
    }

    // Places.

    pub(super) fn first(&self) -> Option<Place> {
        (!self.chunks.is_empty()).then_some(Place { chunk: 0, node: 0 })
    }

    pub(super) fn last(&self) -> Option<Place> {
        let chunk = self.chunks.len().checked_sub(1)?;
        Some(Place { chunk, node: self.chunks[chunk].nodes.len() - 1 })
    }

    pub(super) fn next(&self, at: Place) -> Option<Place> {
        if at.node + 1 < self.chunks[at.chunk].nodes.len() {
            return Some(Place { node: at.node + 1, ..at });
        }
        (at.chunk + 1 < self.chunks.len()).then_some(Place { chunk: at.chunk + 1, node: 0 })
    }

    pub(super) fn before(&self, at: Place) -> Option<Place> {
        if at.node > 0 {
            return Some(Place { node: at.node - 1, ..at });
        }
        let chunk = at.chunk.checked_sub(1)?;
        Some(Place { chunk, node: self.chunks[chunk].nodes.len() - 1 })
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        self.chunks.iter().flat_map(|chunk| chunk.nodes.iter().map(Node::as_ref))
    }

    pub(super) fn node(&self, at: Place) -> Option<NodeRef<'_>> {
        self.chunks.get(at.chunk)?.nodes.get(at.node).map(Node::as_ref)
    }

    /// The node with the element at `index`, and where it is in there.
    pub(super) fn find(&self, index: usize) -> Option<(Place, usize)> {
        if index >= self.len {
            return None;
        }
        let (chunk, rest) = seek(&self.chunks, |chunk| chunk.len, index, self.len);
        let nodes = &self.chunks[chunk].nodes;
        let (node, rest) = seek(nodes, Node::len, rest, self.chunks[chunk].len);
        Some((Place { chunk, node }, rest))
    }

    // Changing nodes.

    /// Changes a node, which is not empty afterwards.
    #[inline]
    fn edit<R>(&mut self, at: Place, change: impl FnOnce(&mut Node) -> R) -> R {
        let chunk = &mut self.chunks[at.chunk];
        let node = &mut chunk.nodes[at.node];
        let (len, memory) = (node.len(), node.memory());
        let result = change(node);
        chunk.len = chunk.len - len + node.len();
        self.len = self.len - len + node.len();
        self.memory = self.memory - memory + node.memory();
        debug_assert_ne!(node.len(), 0);
        result
    }

    /// Inserts a node before the one at `at`, or behind the last one of that chunk; its place.
    fn insert_node(&mut self, at: Place, node: Node) -> Place {
        let at = self.make_place(at);
        let chunk = &mut self.chunks[at.chunk];
        let arrays = array_memory(&chunk.nodes);
        let (len, memory) = (node.len(), node.memory());
        chunk.nodes.insert(at.node, node);
        chunk.len += len;
        self.len += len;
        self.memory = self.memory + memory + array_memory(&chunk.nodes) - arrays;
        at
    }

    /// Where a node to be inserted at `at` goes, so that its chunk is not full.
    fn make_place(&mut self, at: Place) -> Place {
        let count = self.chunks.len();
        if at.chunk < count && self.chunks[at.chunk].nodes.len() < CHUNK {
            return at;
        }
        // Where a list grows at an end, chunks there stay full.
        if at == (Place { chunk: 0, node: 0 }) {
            self.chunks.push_front(Chunk::default());
            return at;
        }
        if at.chunk >= count || (at.chunk + 1 == count && at.node == CHUNK) {
            self.chunks.push_back(Chunk::default());
            return Place { chunk: count, node: 0 };
        }
        self.divide_chunk(at)
    }

    /// Makes two chunks of a full one; where the place `at` is then.
    fn divide_chunk(&mut self, at: Place) -> Place {
        let chunk = &mut self.chunks[at.chunk];
        let arrays = array_memory(&chunk.nodes);
        let other = Chunk::of(chunk.nodes.split_off(CHUNK / 2));
        chunk.len -= other.len;
        let divided = array_memory(&chunk.nodes) + array_memory(&other.nodes);
        self.memory = self.memory + divided - arrays;
        self.chunks.insert(at.chunk + 1, other);
        match at.node.checked_sub(CHUNK / 2) {
            Some(node) if node > 0 => Place { chunk: at.chunk + 1, node },
            _ => at,
        }
    }

    /// Removes a node; the place of the next one, which may be behind the last.
    fn remove_node(&mut self, at: Place) -> (Node, Place) {
        let chunk = &mut self.chunks[at.chunk];
        let Some(node) = chunk.nodes.remove(at.node) else { unreachable!("no node at {at:?}") };
        chunk.len -= node.len();
        self.len -= node.len();
        self.memory -= node.memory();
        if chunk.nodes.is_empty() {
            self.memory -= array_memory(&chunk.nodes);
            self.chunks.remove(at.chunk);
            return (node, Place { node: 0, ..at });
        }
        let next = self.merge_chunks(at);
        match next.node < self.chunks[next.chunk].nodes.len() {
            true => (node, next),
            false => (node, Place { chunk: next.chunk + 1, node: 0 }),
        }
    }

    /// Joins the chunk of `at` with a neighbour if both are small; where `at` is then.
    fn merge_chunks(&mut self, at: Place) -> Place {
        let nodes = |chunk: usize| self.chunks.get(chunk).map_or(CHUNK, |chunk| chunk.nodes.len());
        let here = nodes(at.chunk);
        if here + nodes(at.chunk + 1) <= CHUNK / 2 {
            self.append_next(at.chunk);
        } else if at.chunk > 0 && here + nodes(at.chunk - 1) <= CHUNK / 2 {
            let node = at.node + nodes(at.chunk - 1);
            self.append_next(at.chunk - 1);
            return Place { chunk: at.chunk - 1, node };
        }
        at
    }

    /// Moves the nodes of the chunk behind `chunk` into it.
    fn append_next(&mut self, chunk: usize) {
        let Some(mut next) = self.chunks.remove(chunk + 1) else { return };
        let into = &mut self.chunks[chunk];
        let arrays = array_memory(&into.nodes) + array_memory(&next.nodes);
        into.nodes.append(&mut next.nodes);
        into.len += next.len;
        self.memory = self.memory + array_memory(&into.nodes) - arrays;
    }

    /// Merges the node at `at` with the one behind it if they are small enough; whether it did.
    fn merge_nodes(&mut self, at: Place, limit: NodeLimit) -> bool {
        let Some(next) = self.next(at) else { return false };
        let (a, b) =
            (&self.chunks[at.chunk].nodes[at.node], &self.chunks[next.chunk].nodes[next.node]);
        if !a.merges_with(b, limit) {
            return false;
        }
        let (taken, after) = self.remove_node(next);
        // The place of the first may have changed with those of the chunks.
        let Some(at) = self.place_before(after) else { return false };
        self.edit(at, |node| {
            if let (Node::Packed(items), Node::Packed(more)) = (node, &taken) {
                items.append(more);
            }
        });
        true
    }

    /// As [`before`](Self::before), for a place that may be behind the last one too.
    fn place_before(&self, at: Place) -> Option<Place> {
        if at.chunk >= self.chunks.len() { self.last() } else { self.before(at) }
    }

    /// Merges small nodes around the node with the element at `index`.
    fn tidy(&mut self, index: usize, limit: NodeLimit) {
        let around = |chain: &Self| chain.find(index.min(chain.len.saturating_sub(1)));
        if let Some((at, _)) = around(self) {
            self.merge_nodes(at, limit);
        }
        if let Some((at, _)) = around(self)
            && let Some(before) = self.before(at)
        {
            self.merge_nodes(before, limit);
        }
    }

    // Changing elements.

    /// Appends a node as it is.
    pub(super) fn push_node(&mut self, node: Node) {
        let at = match self.last() {
            Some(last) => Place { node: last.node + 1, ..last },
            None => Place { chunk: 0, node: 0 },
        };
        if node.len() > 0 {
            self.insert_node(at, node);
        }
    }

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
        let at = match (side, end) {
            (Side::Left, _) | (_, None) => Place { chunk: 0, node: 0 },
            (Side::Right, Some(last)) => Place { node: last.node + 1, ..last },
        };
        self.insert_node(at, new.into_node(limit));
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
            let node = &self.chunks[at.chunk].nodes[at.node];
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
        let tail = if offset == 0 { None } else { self.edit(at, |node| node.split_off(offset)) };
        let node = if offset == 0 { at.node } else { at.node + 1 };
        let place = self.insert_node(Place { node, ..at }, new.into_node(limit));
        if let Some(tail) = tail {
            self.insert_node(Place { node: place.node + 1, ..place }, tail);
            self.tidy(index + 1, limit);
        }
        self.tidy(index, limit);
    }

    /// Replaces the element at `index`, below the length.
    pub(super) fn set(&mut self, index: usize, text: &Text<'_>, limit: NodeLimit) {
        let Some((at, offset)) = self.find(index) else { return };
        let new = New::of(text, limit);
        let node = &self.chunks[at.chunk].nodes[at.node];
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
            let len = self.chunks[place.chunk].nodes[place.node].len();
            let end = len.min(offset + left);
            left -= end - offset;
            if end - offset == len {
                let (_, next) = self.remove_node(place);
                at = Some((next, 0)).filter(|_| next.chunk < self.chunks.len());
            } else {
                self.edit(place, |node| node.remove(offset, end));
                at = self.next(place).map(|next| (next, 0));
            }
        }
        if start > 0 && start < self.len {
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
            let node = &self.chunks[place.chunk].nodes[place.node];
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
        if found.len() == self.chunks[at.chunk].nodes[at.node].len() {
            let (_, next) = self.remove_node(at);
            return match side {
                Side::Left => Some(next).filter(|next| next.chunk < self.chunks.len()),
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

    /// The index of the first element of a node.
    fn index_of(&self, at: Place) -> usize {
        let chunks = self.chunks.iter().take(at.chunk).map(|chunk| chunk.len);
        let nodes = self.chunks[at.chunk].nodes.iter().take(at.node).map(Node::len);
        chunks.sum::<usize>() + nodes.sum::<usize>()
    }

    /// Drops whole nodes from the end until about `budget` elements are gone; how many.
    pub(super) fn free_slice(&mut self, budget: usize) -> usize {
        let mut freed = 0;
        while freed < budget
            && let Some(last) = self.last()
        {
            freed += self.remove_node(last).0.len();
        }
        freed
    }

    #[cfg(test)]
    pub(super) fn check(&self, limit: Option<NodeLimit>) {
        let (mut len, mut memory) = (0, 0);
        for chunk in &self.chunks {
            assert!((1..=CHUNK).contains(&chunk.nodes.len()));
            assert_eq!(chunk.len, chunk.nodes.iter().map(Node::len).sum::<usize>());
            len += chunk.len;
            memory += array_memory(&chunk.nodes);
            for node in &chunk.nodes {
                memory += node.memory();
                assert_ne!(node.len(), 0);
                if let (NodeRef::Packed(items), Some(limit)) = (node.as_ref(), limit) {
                    let one = items.len() == 1;
                    assert!(one || limit.allows(items.bytes().len(), items.len()));
                    assert!(crate::PackedRef::check(items.bytes()).is_some());
                }
            }
        }
        assert_eq!((self.len, self.memory), (len, memory));
    }
}

/// Which of the `parts`, of `total` elements together, has the element at `index`, and where. The
/// parts are looked at from the nearer end.
fn seek<T>(
    parts: &VecDeque<T>,
    len: impl Fn(&T) -> usize,
    index: usize,
    total: usize,
) -> (usize, usize) {
    if index < total / 2 {
        let mut rest = index;
        for (at, part) in parts.iter().enumerate() {
            match rest.checked_sub(len(part)) {
                Some(less) => rest = less,
                None => return (at, rest),
            }
        }
    } else {
        let mut start = total;
        for (at, part) in parts.iter().enumerate().rev() {
            start -= len(part);
            if index >= start {
                return (at, index - start);
            }
        }
    }
    unreachable!("element {index} of {total}")
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
