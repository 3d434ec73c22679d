//! Lists.
//!
//! A small list is one packed sequence, a larger one a chain of them: see [`chain`].

mod chain;
mod deque;
mod edit;
mod iter;
mod node;

pub use chain::Side;
pub use iter::Iter as ListIter;
pub use node::NodeRef as ListNode;

use crate::{Collection, Encoding, Item, Kind, PackedRef, StringRef, Text, allocated};
use chain::Chain;
use deque::PackedDeque;
use node::{New, Node, position};

/// Bytes that a node limited by its number of items may have.
const COUNTED_BYTES: usize = 8 * 1024;
/// Room at each end of a small list that has just been taken out of its key's record.
const ROOM: usize = 64;
/// More nodes than these are freed in slices.
const HEAVY: usize = 64;

/// How large the nodes of a list may become: `list-max-listpack-size`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeLimit {
    /// In bytes.
    bytes: usize,
    /// In items.
    items: usize,
}

impl NodeLimit {
    /// The limit that the configuration's number says: that many items, or if it is negative a
    /// size of 4 KiB (-1), 8 KiB (-2) and so on to 64 KiB (-5 and below).
    #[must_use]
    pub const fn new(configured: i64) -> Self {
        if configured >= 0 {
            let items = if configured == 0 { 1 } else { configured as usize };
            return NodeLimit { bytes: COUNTED_BYTES, items };
        }
        let doublings = if configured < -5 { 4 } else { -1 - configured };
        NodeLimit { bytes: 4096 << doublings, items: usize::MAX }
    }

    /// Whether a node of this size is within the limit.
    #[inline]
    const fn allows(self, bytes: usize, items: usize) -> bool {
        bytes <= self.bytes && items <= self.items
    }

    /// Whether an element of that length has a node of its own.
    #[inline]
    const fn is_large(self, len: usize) -> bool {
        len > self.bytes
    }

    /// Whether a list of one node of this size is small again: at half of the limit, lest it
    /// changes to and fro. A limit on items says nothing of bytes then, as in Redis.
    const fn is_small(self, bytes: usize, items: usize) -> bool {
        if self.items == usize::MAX { bytes <= self.bytes / 2 } else { items <= self.items / 2 }
    }
}

/// A list of strings.
#[derive(Clone, Debug)]
pub struct List {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Packed(PackedDeque),
    Chain(Box<Chain>),
}

const _: () = assert!(size_of::<List>() <= 32);

impl Default for List {
    fn default() -> Self {
        List { form: Form::Packed(PackedDeque::default()) }
    }
}

impl List {
    /// Adds elements at one end, one after the other.
    pub fn extend<'t>(
        &mut self,
        side: Side,
        texts: impl Iterator<Item = Text<'t>> + Clone,
        limit: NodeLimit,
    ) {
        if let Form::Packed(_) = &self.form {
            let sizes = texts.clone().map(|text| text_len(&text));
            let (bytes, items) = sizes.fold((0, 0), |(bytes, items), len| (bytes + len, items + 1));
            self.prepare(bytes, items, limit);
        }
        for text in texts {
            match &mut self.form {
                Form::Packed(items) => push_packed(items, side, &text, limit),
                Form::Chain(chain) => chain.push(side, &text, limit),
            }
        }
    }

    /// Adds an element at one end.
    pub fn push(&mut self, side: Side, text: Text<'_>, limit: NodeLimit) {
        self.extend(side, std::iter::once(text), limit);
    }

    /// Inserts an element before the one at `index`, at most the length.
    pub fn insert(&mut self, index: usize, text: Text<'_>, limit: NodeLimit) {
        self.prepare(text_len(&text), 1, limit);
        match &mut self.form {
            Form::Packed(items) => {
                if let New::Item(item) = New::of(&text, limit) {
                    items.insert(position(items, index), item, limit.bytes);
                }
            }
            Form::Chain(chain) => chain.insert(index, &text, limit),
        }
    }

    /// Replaces the element at `index`; whether there is such.
    pub fn set(&mut self, index: usize, text: Text<'_>, limit: NodeLimit) -> bool {
        if index >= self.as_ref().len() {
            return false;
        }
        self.prepare(text_len(&text), 1, limit);
        match &mut self.form {
            Form::Packed(items) => {
                if let New::Item(item) = New::of(&text, limit) {
                    items.set(position(items, index), item, limit.bytes);
                }
            }
            Form::Chain(chain) => chain.set(index, &text, limit),
        }
        self.relax(limit);
        true
    }

    /// Removes `count` elements from the one at `start` on, or as many as there are; how many.
    pub fn remove(&mut self, start: usize, count: usize, limit: NodeLimit) -> usize {
        let len = self.as_ref().len();
        let start = start.min(len);
        let count = count.min(len - start);
        if count == 0 {
            return 0;
        }
        match &mut self.form {
            Form::Packed(items) => {
                items.remove(position(items, start)..position(items, start + count), count);
            }
            Form::Chain(chain) => chain.remove(start, count, limit),
        }
        self.relax(limit);
        count
    }

    /// Removes `count` elements at one end, or as many as there are; how many.
    pub fn remove_at(&mut self, side: Side, count: usize, limit: NodeLimit) -> usize {
        let start = match side {
            Side::Left => 0,
            Side::Right => self.as_ref().len().saturating_sub(count),
        };
        self.remove(start, count, limit)
    }

    /// Removes the elements equal to `wanted`, at most so many of them, from one side on; how many.
    pub fn remove_equal(
        &mut self,
        wanted: &[u8],
        side: Side,
        at_most: usize,
        limit: NodeLimit,
    ) -> usize {
        let removed = match &mut self.form {
            Form::Packed(items) => {
                let found = edit::equal_items(items.as_ref(), wanted, side, at_most);
                items.remove_all(&found);
                found.len()
            }
            Form::Chain(chain) => chain.remove_equal(wanted, side, at_most, limit),
        };
        self.relax(limit);
        removed
    }

    /// Appends the elements of a node as they are, as when a list is loaded.
    /// [`settle`](Self::settle) then gives the list its representation.
    pub fn push_node(&mut self, node: ListNode<'_>) {
        let node = match node {
            ListNode::Packed(packed) => Node::Packed(PackedDeque::copy_of(packed, 0)),
            ListNode::Plain(blob) => Node::Plain(blob.clone()),
        };
        if node.len() > 0 {
            self.make_chain().push_back(node);
        }
    }

    /// Gives a list that was made of nodes the representation that others of its size have.
    pub fn settle(&mut self, limit: NodeLimit) {
        self.shrink_if(|bytes, items| limit.allows(bytes, items));
    }

    /// Makes a chain of a packed list that would exceed the limit with so much more: `bytes` are
    /// those of the texts, as Redis counts.
    fn prepare(&mut self, bytes: usize, items: usize, limit: NodeLimit) {
        if let Form::Packed(packed) = &self.form
            && !limit.allows(packed.byte_len() + bytes, packed.len() + items)
        {
            self.make_chain();
        }
    }

    /// The list as a chain.
    fn make_chain(&mut self) -> &mut Chain {
        if let Form::Packed(items) = &mut self.form {
            let items = std::mem::take(items);
            let mut chain = Box::<Chain>::default();
            if items.len() > 0 {
                chain.push_back(Node::Packed(items));
            }
            self.form = Form::Chain(chain);
        }
        match &mut self.form {
            Form::Chain(chain) => chain,
            Form::Packed(_) => unreachable!("it has just been made a chain"),
        }
    }

    /// Makes a chain that has shrunk to one small node a packed list.
    #[inline]
    fn relax(&mut self, limit: NodeLimit) {
        if matches!(self.form, Form::Chain(_)) {
            self.shrink_if(|bytes, items| limit.is_small(bytes, items));
        }
    }

    #[inline]
    fn shrink_if(&mut self, is_small: impl FnOnce(usize, usize) -> bool) {
        if let Form::Chain(chain) = &mut self.form
            && let Some(ListNode::Packed(items)) = chain.only()
            && is_small(items.bytes().len(), chain.len())
            && let Some(Node::Packed(items)) = chain.take_only()
        {
            self.form = Form::Packed(items);
        }
    }
}

fn push_packed(items: &mut PackedDeque, side: Side, text: &Text<'_>, limit: NodeLimit) {
    // What is too large for an item has made the list a chain before.
    let New::Item(item) = New::of(text, limit) else { return };
    match side {
        Side::Left => items.push_front(item, limit.bytes),
        Side::Right => items.push_back(item, limit.bytes),
    }
}

/// Length of a text; integers, which are never long, count as nothing.
fn text_len(text: &Text<'_>) -> usize {
    match text {
        Text::Bytes(bytes) | Text::Verbatim(bytes) => bytes.len(),
        Text::Blob(blob) => blob.len(),
        Text::Int(_) => 0,
    }
}

/// A list for reading.
#[derive(Clone, Copy, Debug)]
pub struct ListRef<'a> {
    view: View<'a>,
}

#[derive(Clone, Copy, Debug)]
enum View<'a> {
    Packed(PackedRef<'a>),
    Chain(&'a Chain),
}

impl<'a> ListRef<'a> {
    /// Number of elements.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        match self.view {
            View::Packed(items) => items.len(),
            View::Chain(chain) => chain.len(),
        }
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The index that a client means: negative ones count from the end, -1 being the last.
    #[inline]
    #[must_use]
    pub fn index(self, given: i64) -> Option<usize> {
        let len = self.len();
        let index = match usize::try_from(given) {
            Ok(index) => index,
            Err(_) => len.checked_sub(usize::try_from(given.unsigned_abs()).ok()?)?,
        };
        (index < len).then_some(index)
    }

    /// The element at `index`.
    #[must_use]
    pub fn get(self, index: usize) -> Option<StringRef<'a>> {
        match self.view {
            View::Packed(items) => ListNode::Packed(items).get(index),
            View::Chain(chain) => {
                let (at, index) = chain.find(index)?;
                chain.node(at)?.get(index)
            }
        }
    }

    /// The elements in order.
    pub fn iter(self) -> ListIter<'a> {
        self.walk(0, Side::Left)
    }

    /// The elements from the one at `from` on, coming from one side.
    pub fn walk(self, from: usize, side: Side) -> ListIter<'a> {
        match self.view {
            View::Packed(items) => ListIter::of_packed(items, from, side),
            View::Chain(chain) => ListIter::of_chain(chain, from, side),
        }
    }

    /// All elements, coming from one side.
    pub fn walk_all(self, side: Side) -> ListIter<'a> {
        let from = match side {
            Side::Left => 0,
            Side::Right => self.len().saturating_sub(1),
        };
        self.walk(from, side)
    }

    /// The indexes of the elements equal to `wanted` among the first `at_most` seen from one side,
    /// in the order in which they are met.
    pub fn matches<'w>(
        self,
        wanted: &'w [u8],
        side: Side,
        at_most: usize,
    ) -> impl Iterator<Item = usize> + use<'a, 'w> {
        let (len, item) = (self.len(), StringRef::from(Item::of(wanted)));
        let is_wanted = move |element: StringRef<'_>| match element {
            StringRef::Blob(blob) => blob.as_bytes() == wanted,
            element => element == item,
        };
        let met = self.walk_all(side).take(at_most).enumerate();
        met.filter(move |(_, element)| is_wanted(*element)).map(move |(at, _)| match side {
            Side::Left => at,
            Side::Right => len - 1 - at,
        })
    }

    /// The nodes in order; a packed list is one.
    pub fn nodes(self) -> impl Iterator<Item = ListNode<'a>> {
        let (packed, chain) = match self.view {
            View::Packed(items) => (Some(ListNode::Packed(items)), None),
            View::Chain(chain) => (None, Some(chain)),
        };
        packed.into_iter().chain(chain.into_iter().flat_map(Chain::nodes))
    }
}

impl Collection for List {
    const KIND: Kind = Kind::List;
    type Ref<'a> = ListRef<'a>;

    #[inline]
    fn as_ref(&self) -> ListRef<'_> {
        let view = match &self.form {
            Form::Packed(items) => View::Packed(items.as_ref()),
            Form::Chain(chain) => View::Chain(chain),
        };
        ListRef { view }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    fn encoding(this: ListRef<'_>) -> Encoding {
        match this.view {
            View::Packed(_) => Encoding::Listpack,
            View::Chain(_) => Encoding::Quicklist,
        }
    }

    #[inline]
    fn memory(&self) -> usize {
        match &self.form {
            Form::Packed(items) => items.memory(),
            Form::Chain(chain) => allocated(size_of::<Chain>()) + chain.memory(),
        }
    }

    fn free_slice(&mut self, budget: usize) -> usize {
        match &mut self.form {
            Form::Packed(_) => 0,
            Form::Chain(chain) => chain.free_slice(budget),
        }
    }

    fn is_heavy(&self) -> bool {
        match &self.form {
            Form::Packed(_) => false,
            Form::Chain(chain) => chain.has_more_nodes(HEAVY),
        }
    }

    fn inline(&self) -> Option<(bool, &[u8])> {
        match &self.form {
            Form::Packed(items) => Some((false, items.as_ref().bytes())),
            Form::Chain(_) => None,
        }
    }

    fn from_inline(_: bool, bytes: &[u8]) -> Self {
        let items = PackedDeque::copy_of(PackedRef::new(bytes), ROOM);
        List { form: Form::Packed(items) }
    }

    fn ref_inline(_: bool, bytes: &[u8]) -> ListRef<'_> {
        ListRef { view: View::Packed(PackedRef::new(bytes)) }
    }
}

#[cfg(test)]
mod tests;
