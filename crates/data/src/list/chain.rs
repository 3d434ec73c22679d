//! Large lists: nodes in chunks.

use super::NodeLimit;
use super::node::{Node, NodeRef};
use crate::allocated;
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

impl Place {
    /// Where a node is inserted to come next.
    pub(super) fn behind(self) -> Self {
        Place { node: self.node + 1, ..self }
    }
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

    /// The node at a place.
    pub(super) fn held(&self, at: Place) -> &Node {
        &self.chunks[at.chunk].nodes[at.node]
    }

    /// The place, unless it is behind the last one.
    pub(super) fn existing(&self, at: Place) -> Option<Place> {
        (at.chunk < self.chunks.len()).then_some(at)
    }

    /// The index of the first element of a node.
    pub(super) fn index_of(&self, at: Place) -> usize {
        let chunks = self.chunks.iter().take(at.chunk).map(|chunk| chunk.len);
        let nodes = self.chunks[at.chunk].nodes.iter().take(at.node).map(Node::len);
        chunks.sum::<usize>() + nodes.sum::<usize>()
    }

    // Changing nodes.

    /// Changes a node, which is not empty afterwards.
    #[inline]
    pub(super) fn edit<R>(&mut self, at: Place, change: impl FnOnce(&mut Node) -> R) -> R {
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
    pub(super) fn insert_node(&mut self, at: Place, node: Node) -> Place {
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
    pub(super) fn remove_node(&mut self, at: Place) -> (Node, Place) {
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
    pub(super) fn merge_nodes(&mut self, at: Place, limit: NodeLimit) -> bool {
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
    pub(super) fn place_before(&self, at: Place) -> Option<Place> {
        if at.chunk >= self.chunks.len() { self.last() } else { self.before(at) }
    }

    /// Puts a node before all others.
    pub(super) fn push_front(&mut self, node: Node) {
        self.insert_node(Place { chunk: 0, node: 0 }, node);
    }

    /// Appends a node.
    pub(super) fn push_back(&mut self, node: Node) {
        let last = self.last().map(Place::behind);
        self.insert_node(last.unwrap_or(Place { chunk: 0, node: 0 }), node);
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
