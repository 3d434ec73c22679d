//! Walking over a list.

use super::chain::{Chain, Place, Side};
use super::node::NodeRef;
use crate::packed::PackedIter;
use crate::{Blob, PackedRef, StringRef};

/// The elements of a list from one of them on, away from one of the ends.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// Where the next node is looked for.
    chain: Option<(&'a Chain, Place)>,
    items: Items<'a>,
    /// From which end it comes.
    side: Side,
}

/// What is left of a node.
#[derive(Clone, Debug)]
enum Items<'a> {
    Packed(PackedIter<'a>),
    Plain(Option<&'a Blob>),
}

impl<'a> Items<'a> {
    /// The whole node.
    fn all(node: NodeRef<'a>) -> Self {
        match node {
            NodeRef::Packed(packed) => Items::Packed(packed.iter()),
            NodeRef::Plain(blob) => Items::Plain(Some(blob)),
        }
    }

    /// The node from the element at `index` on.
    fn from(node: NodeRef<'a>, index: usize, side: Side) -> Self {
        let NodeRef::Packed(packed) = node else { return Items::all(node) };
        let Some(at) = packed.seek(index as i64) else { return Items::Plain(None) };
        Items::Packed(match side {
            Side::Left => packed.iter_from(at),
            Side::Right => packed.iter_until(packed.after(at)),
        })
    }

    #[inline]
    fn next(&mut self, side: Side) -> Option<StringRef<'a>> {
        match (self, side) {
            (Items::Packed(items), Side::Left) => items.next().map(StringRef::from),
            (Items::Packed(items), Side::Right) => items.next_back().map(StringRef::from),
            (Items::Plain(blob), _) => blob.take().map(StringRef::Blob),
        }
    }
}

impl<'a> Iter<'a> {
    pub(super) fn of_packed(packed: PackedRef<'a>, from: usize, side: Side) -> Self {
        Iter { chain: None, items: Items::from(NodeRef::Packed(packed), from, side), side }
    }

    pub(super) fn of_chain(chain: &'a Chain, from: usize, side: Side) -> Self {
        let found = chain.find(from).and_then(|(at, index)| Some((at, chain.node(at)?, index)));
        match found {
            Some((at, node, index)) => {
                Iter { chain: Some((chain, at)), items: Items::from(node, index, side), side }
            }
            None => Iter { chain: None, items: Items::Plain(None), side },
        }
    }

    /// Goes on to the next node, if there is one.
    fn turn(&mut self) -> Option<()> {
        let (chain, at) = self.chain?;
        let at = match self.side {
            Side::Left => chain.next(at),
            Side::Right => chain.before(at),
        }?;
        self.items = Items::all(chain.node(at)?);
        self.chain = Some((chain, at));
        Some(())
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = StringRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<StringRef<'a>> {
        loop {
            if let Some(element) = self.items.next(self.side) {
                return Some(element);
            }
            self.turn()?;
        }
    }
}
