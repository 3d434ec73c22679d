//! The nodes of a large list.

use super::NodeLimit;
use super::deque::PackedDeque;
use crate::packed::HEAD;
use crate::{Blob, Item, PackedRef, StringRef, Text};

/// A piece of a large list.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Elements in one sequence.
    Packed(PackedDeque),
    /// One element larger than a node, in a body of its own.
    Plain(Blob),
}

/// A node, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum NodeRef<'a> {
    /// Elements in one sequence.
    Packed(PackedRef<'a>),
    /// One large element.
    Plain(&'a Blob),
}

/// An element on its way into a list.
pub(super) enum New<'a> {
    /// Small enough for a packed node.
    Item(Item<'a>),
    /// Too large.
    Plain(Blob),
}

impl<'a> New<'a> {
    pub(super) fn of(text: &'a Text<'_>, limit: NodeLimit) -> Self {
        match text {
            Text::Int(value) => New::Item(Item::Int(*value)),
            Text::Blob(blob) if limit.is_large(blob.len()) => New::Plain(blob.clone()),
            Text::Blob(blob) => New::Item(Item::of(blob.as_bytes())),
            Text::Bytes(bytes) | Text::Verbatim(bytes) if limit.is_large(bytes.len()) => {
                New::Plain(Blob::new(bytes))
            }
            Text::Bytes(bytes) | Text::Verbatim(bytes) => New::Item(Item::of(bytes)),
        }
    }

    /// A node of its own for the element.
    pub(super) fn into_node(self, limit: NodeLimit) -> Node {
        match self {
            New::Item(item) => {
                let mut items = PackedDeque::default();
                items.push_back(item, limit.bytes);
                Node::Packed(items)
            }
            New::Plain(blob) => Node::Plain(blob),
        }
    }
}

impl Node {
    /// Number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Node::Packed(items) => items.len(),
            Node::Plain(_) => 1,
        }
    }

    /// Bytes held from the allocator.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        match self {
            Node::Packed(items) => items.memory(),
            Node::Plain(blob) => blob.memory(),
        }
    }

    #[inline]
    pub(super) fn as_ref(&self) -> NodeRef<'_> {
        match self {
            Node::Packed(items) => NodeRef::Packed(items.as_ref()),
            Node::Plain(blob) => NodeRef::Plain(blob),
        }
    }

    /// Whether an item can be added.
    #[inline]
    pub(super) fn takes(&self, item: Item<'_>, limit: NodeLimit) -> bool {
        match self {
            Node::Packed(items) => {
                limit.allows(items.byte_len() + item.packed_len(), items.len() + 1)
            }
            Node::Plain(_) => false,
        }
    }

    /// Whether both nodes together are one with some room left, so that the next insertion does
    /// not divide it again.
    pub(super) fn merges_with(&self, next: &Node, limit: NodeLimit) -> bool {
        match (self, next) {
            (Node::Packed(a), Node::Packed(b)) => {
                let bytes = a.byte_len() + b.byte_len();
                let count = a.len() + b.len();
                limit.allows(bytes + bytes / 4, count + count / 4)
            }
            _ => false,
        }
    }

    /// Gives back memory that is not needed, when the node is no longer at an end.
    pub(super) fn shrink(&mut self) {
        if let Node::Packed(items) = self {
            items.shrink();
        }
    }

    /// Removes the elements from `start` to before `end`, not all of them.
    pub(super) fn remove(&mut self, start: usize, end: usize) {
        if let Node::Packed(items) = self {
            let range = position(items, start)..position(items, end);
            items.remove(range, end - start);
        }
    }

    /// The elements from `index` on, not none and not all, as a node of their own.
    pub(super) fn split_off(&mut self, index: usize) -> Option<Node> {
        match self {
            Node::Packed(items) => {
                Some(Node::Packed(items.split_off(position(items, index), index)))
            }
            Node::Plain(_) => None,
        }
    }
}

/// The position of the element at `index`, which may be the end.
pub(super) fn position(items: &PackedDeque, index: usize) -> usize {
    let packed = items.as_ref();
    match index {
        0 => HEAD,
        index if index >= items.len() => packed.end(),
        index => packed.seek(index as i64).unwrap_or(packed.end()),
    }
}

impl<'a> NodeRef<'a> {
    /// The element at `index`.
    pub(super) fn get(self, index: usize) -> Option<StringRef<'a>> {
        match self {
            NodeRef::Packed(items) => Some(items.get(items.seek(index as i64)?).into()),
            NodeRef::Plain(blob) => (index == 0).then_some(StringRef::Blob(blob)),
        }
    }
}

impl<'a> From<Item<'a>> for StringRef<'a> {
    #[inline]
    fn from(item: Item<'a>) -> Self {
        match item {
            Item::Int(value) => StringRef::Int(value),
            Item::Bytes(bytes) => StringRef::Bytes(bytes),
        }
    }
}
