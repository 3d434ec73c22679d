//! Lists.

use crate::{Change, Collection, Encoding, Item, Kind, Packed, PackedRef};

/// A list of strings.
#[derive(Clone, Debug, Default)]
pub struct List {
    packed: Packed,
}

/// A list for reading.
#[derive(Clone, Copy, Debug)]
pub struct ListRef<'a> {
    packed: PackedRef<'a>,
}

impl<'a> ListRef<'a> {
    /// Number of elements.
    #[must_use]
    pub fn len(self) -> usize {
        self.packed.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.packed.is_empty()
    }

    /// The elements in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Item<'a>> {
        self.packed.iter()
    }
}

impl List {
    /// Appends an element.
    pub fn push_back(&mut self, text: &[u8]) -> Change<()> {
        self.packed.push_back(Item::of(text));
        Change::Changed(())
    }
}

impl Collection for List {
    const KIND: Kind = Kind::List;
    type Ref<'a> = ListRef<'a>;

    fn as_ref(&self) -> ListRef<'_> {
        ListRef { packed: self.packed.as_ref() }
    }

    fn is_empty(&self) -> bool {
        self.packed.as_ref().is_empty()
    }

    fn encoding(_: ListRef<'_>) -> Encoding {
        Encoding::Listpack
    }

    fn memory(&self) -> usize {
        self.packed.memory()
    }

    fn free_slice(&mut self, _: usize) -> usize {
        0
    }

    fn is_heavy(&self) -> bool {
        false
    }

    fn inline(&self) -> Option<(bool, &[u8])> {
        Some((false, self.packed.as_ref().bytes()))
    }

    fn from_inline(_: bool, bytes: &[u8]) -> Self {
        List { packed: PackedRef::new(bytes).to_packed() }
    }

    fn ref_inline(_: bool, bytes: &[u8]) -> ListRef<'_> {
        ListRef { packed: PackedRef::new(bytes) }
    }
}
