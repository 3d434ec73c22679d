//! Sets of strings.

mod table;
#[cfg(test)]
mod tests;

use crate::packed::{PACKED_MAX, PackedIter};
use crate::random::{Random, Selection};
use crate::text::IntBuffer;
use crate::{
    Collection, Encoding, IntSet, IntSetRef, Item, Kind, Limits, Packed, PackedRef, ThinBytes,
    allocated, choose,
};
use std::collections::HashSet;
use std::ops::Range;
use table::Table;

/// More members than this take too long to be dropped at once.
const HEAVY: usize = 64;
/// Integers that an [`IntSet`] may hold, whatever the configuration says.
const INTS_MAX: usize = 1 << 30;
/// Popping goes member by member while more than this part of the set remains; else the members
/// that stay move to a new set. As in Redis (`SPOP_MOVE_STRATEGY_MUL`).
const STAYING_PART: usize = 5;
/// More than this part of a table is chosen by going over all of it, less by drawing lots. As in
/// Redis (`SRANDMEMBER_SUB_STRATEGY_MUL`).
const CHOSEN_PART: usize = 3;

/// A set of strings: integers in one piece while all members are such, a packed sequence while
/// they are few and short, else a hash table.
///
/// It changes over as Redis 7.2 does, and never back while it is changed in place.
#[derive(Clone)]
pub struct Set {
    members: Members,
}

#[derive(Clone)]
enum Members {
    Ints(IntSet),
    Packed(Packed),
    Table(Box<Table>),
}

/// A set for reading. Members that are the canonical text of an integer come as integers.
#[derive(Clone, Copy)]
pub struct SetRef<'a> {
    members: View<'a>,
}

#[derive(Clone, Copy)]
enum View<'a> {
    Ints(IntSetRef<'a>),
    Packed(PackedRef<'a>),
    Table(&'a Table),
}

impl<'a> SetRef<'a> {
    /// Number of members.
    #[must_use]
    pub fn len(self) -> usize {
        match self.members {
            View::Ints(ints) => ints.len(),
            View::Packed(packed) => packed.len(),
            View::Table(table) => table.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `text` is a member.
    #[must_use]
    pub fn contains(self, text: &[u8]) -> bool {
        match self.members {
            View::Table(table) => table.contains(text),
            _ => self.contains_item(Item::of(text)),
        }
    }

    /// Whether the text of `item` is a member.
    #[must_use]
    pub fn contains_item(self, item: Item<'_>) -> bool {
        match (self.members, item) {
            (View::Ints(ints), Item::Int(value)) => ints.contains(value),
            (View::Ints(_), Item::Bytes(_)) => false,
            (View::Packed(packed), _) => position(packed, item).is_some(),
            (View::Table(table), _) => table.contains(item.text(&mut IntBuffer::new())),
        }
    }

    /// All members: integers in ascending order, others in no useful one.
    #[must_use]
    pub fn iter(self) -> SetIter<'a> {
        SetIter(match self.members {
            View::Ints(ints) => Iter::Ints(ints, 0..ints.len()),
            View::Packed(packed) => Iter::Packed(packed.iter()),
            View::Table(table) => Iter::Table(Box::new(table.iter())),
        })
    }

    /// The bytes of a set in one piece: whether of an [`IntSet`], else of a packed sequence.
    #[must_use]
    pub fn piece(self) -> Option<(bool, &'a [u8])> {
        match self.members {
            View::Ints(ints) => Some((true, ints.bytes())),
            View::Packed(packed) => Some((false, packed.bytes())),
            View::Table(_) => None,
        }
    }

    /// Any member, each about as likely; none if there is none.
    #[must_use]
    pub fn random(self, random: &mut Random) -> Option<Item<'a>> {
        if self.is_empty() {
            return None;
        }
        match self.members {
            View::Ints(ints) => ints.get(random.below(ints.len())).map(Item::Int),
            View::Packed(packed) => {
                let at = packed.seek(random.below(packed.len()) as i64)?;
                Some(packed.get(at))
            }
            View::Table(table) => table.sample(random.bits()).map(|m| Item::of(m.as_bytes())),
        }
    }

    /// Hands over `count` random members, or all if they are fewer, none of them twice.
    pub fn random_distinct(
        self,
        count: usize,
        random: &mut Random,
        mut each: impl FnMut(Item<'a>),
    ) {
        let len = self.len();
        let View::Table(table) = self.members else {
            return choose(self.iter(), len, count, random).for_each(each);
        };
        if count.saturating_mul(CHOSEN_PART) > len {
            return choose(self.iter(), len, count, random).for_each(each);
        }
        let mut met = HashSet::with_capacity(count);
        // Each draw is new with two chances in three. Should the draws run out all the same, the
        // table must be all but empty: then whatever comes first has to do.
        let draws = count.saturating_mul(8).saturating_add(64);
        let drawn = (0..draws).map_while(|_| table.sample(random.bits()));
        for member in drawn.chain(table.iter()) {
            if met.len() == count {
                break;
            }
            if met.insert(member.as_bytes().as_ptr()) {
                each(Item::of(member.as_bytes()));
            }
        }
    }

    /// Hands over `count` random members, which may repeat.
    pub fn random_repeated(
        self,
        count: usize,
        random: &mut Random,
        mut each: impl FnMut(Item<'a>),
    ) {
        if let View::Packed(packed) = self.members
            && count > 1
        {
            let all: Vec<_> = packed.iter().collect();
            (0..count).for_each(|_| each(all[random.below(all.len())]));
        } else {
            (0..count).map_while(|_| self.random(random)).for_each(each);
        }
    }

    /// Hands over about `count` members of a large set from `cursor` on, all of a small one, and
    /// says where to go on; 0 is the start and the end.
    pub fn walk(self, cursor: u64, count: usize, mut each: impl FnMut(Item<'_>)) -> u64 {
        match self.members {
            View::Table(table) => {
                table.walk(cursor, count, |member| each(Item::of(member.as_bytes())))
            }
            _ => {
                self.iter().for_each(each);
                0
            }
        }
    }
}

/// The members of a set.
pub struct SetIter<'a>(Iter<'a>);

enum Iter<'a> {
    Ints(IntSetRef<'a>, Range<usize>),
    Packed(PackedIter<'a>),
    Table(Box<dyn Iterator<Item = &'a ThinBytes> + 'a>),
}

impl<'a> Iterator for SetIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match &mut self.0 {
            Iter::Ints(ints, left) => ints.get(left.next()?).map(Item::Int),
            Iter::Packed(items) => items.next(),
            Iter::Table(members) => members.next().map(|member| Item::of(member.as_bytes())),
        }
    }
}

/// Where an item is in a packed sequence.
fn position(packed: PackedRef<'_>, wanted: Item<'_>) -> Option<usize> {
    let mut next = packed.first();
    while let Some(at) = next {
        if packed.get(at) == wanted {
            return Some(at);
        }
        next = packed.next(at);
    }
    None
}

impl Set {
    /// An empty set that will be given about `expected` members, the first of them `first`.
    #[must_use]
    pub fn for_members(expected: usize, first: Item<'_>, limits: &Limits) -> Self {
        let members = if matches!(first, Item::Int(_)) && expected <= limits.set_max_intset_entries
        {
            Members::Ints(IntSet::new())
        } else if expected <= limits.set_max_listpack_entries {
            Members::Packed(Packed::new())
        } else {
            Members::Table(Box::default())
        };
        Set { members }
    }

    /// An empty set that stays a table, for gathering members that are not to be kept.
    #[must_use]
    pub fn large() -> Self {
        Set { members: Members::Table(Box::default()) }
    }

    /// Prepares for about `expected` members to be added, the first of them `first`, so that the
    /// set need not change over in between.
    pub fn expect(&mut self, expected: usize, first: Item<'_>, limits: &Limits) {
        match &self.members {
            Members::Ints(ints) if ints.as_ref().is_empty() => {
                *self = Self::for_members(expected, first, limits);
            }
            Members::Ints(_) if expected > limits.set_max_intset_entries => self.become_table(),
            Members::Packed(_) if expected > limits.set_max_listpack_entries => self.become_table(),
            _ => {}
        }
    }

    /// Adds about `expected` members; how many of them were not there. If none is added, the set
    /// stays as it is, its representation included.
    pub fn extend<'i>(
        &mut self,
        expected: usize,
        items: impl IntoIterator<Item = Item<'i>>,
        limits: &Limits,
    ) -> usize {
        let mut prepared = expected <= 1 && !self.is_empty();
        let mut added = 0;
        for item in items {
            if !prepared {
                if self.as_ref().contains_item(item) {
                    continue;
                }
                self.expect(expected, item, limits);
                prepared = true;
            }
            added += usize::from(self.insert(item, limits));
        }
        added
    }

    /// Adds a member; whether it was not there.
    pub fn insert(&mut self, item: Item<'_>, limits: &Limits) -> bool {
        match (&mut self.members, item) {
            (Members::Ints(ints), Item::Int(value)) => {
                if !ints.insert(value) {
                    return false;
                }
                if ints.as_ref().len() > limits.set_max_intset_entries.min(INTS_MAX) {
                    self.become_table();
                }
                return true;
            }
            (Members::Ints(ints), Item::Bytes(text)) => {
                if may_be_packed(ints.as_ref(), limits) && fits(text, ints.as_ref().len(), limits) {
                    self.become_packed();
                } else {
                    self.become_table();
                }
            }
            (Members::Packed(packed), _) => {
                if position(packed.as_ref(), item).is_some() {
                    return false;
                }
                let text = &mut IntBuffer::new();
                let full = packed.byte_len() + item.packed_len() > PACKED_MAX;
                if full || !fits(item.text(text), packed.as_ref().len(), limits) {
                    self.become_table();
                }
            }
            (Members::Table(_), _) => {}
        }
        match &mut self.members {
            Members::Ints(_) => false,
            Members::Packed(packed) => {
                packed.push_back(item);
                true
            }
            Members::Table(table) => table.insert(item.text(&mut IntBuffer::new())),
        }
    }

    /// Removes a member; whether it was there.
    pub fn remove(&mut self, item: Item<'_>) -> bool {
        match (&mut self.members, item) {
            (Members::Ints(ints), Item::Int(value)) => ints.remove(value),
            (Members::Ints(_), Item::Bytes(_)) => false,
            (Members::Packed(packed), _) => {
                position(packed.as_ref(), item).is_some_and(|at| packed.remove(at, 1) == 1)
            }
            (Members::Table(table), _) => table.remove(item.text(&mut IntBuffer::new())),
        }
    }

    /// Removes any member, each about as likely, and gives back its text.
    pub fn pop(&mut self, random: &mut Random) -> Option<ThinBytes> {
        if let Members::Table(table) = &mut self.members {
            return table.pop(random.bits());
        }
        let text = ThinBytes::new(self.as_ref().random(random)?.text(&mut IntBuffer::new()));
        self.remove(Item::of(text.as_bytes()));
        Some(text)
    }

    /// Removes `count` random members, or all if they are fewer, and hands them over.
    pub fn pop_many(
        &mut self,
        count: usize,
        limits: &Limits,
        random: &mut Random,
        mut each: impl FnMut(Item<'_>),
    ) {
        let staying = self.as_ref().len().saturating_sub(count);
        match &mut self.members {
            Members::Table(table) if staying.saturating_mul(STAYING_PART) > count => {
                for _ in 0..count {
                    let Some(member) = table.pop(random.bits()) else { break };
                    each(Item::of(member.as_bytes()));
                }
            }
            Members::Table(table) => {
                let mut rest = Set { members: Members::Ints(IntSet::new()) };
                for at in 0..staying {
                    let Some(member) = table.pop(random.bits()) else { break };
                    let item = Item::of(member.as_bytes());
                    if at == 0 {
                        rest.expect(staying, item, limits);
                    }
                    rest.insert(item, limits);
                }
                self.as_ref().iter().for_each(each);
                *self = rest;
            }
            _ => self.pop_small(count, random, each),
        }
    }

    /// As [`pop_many`](Self::pop_many), from a set in one piece: in one pass over it.
    fn pop_small(&mut self, count: usize, random: &mut Random, mut each: impl FnMut(Item<'_>)) {
        let mut selection = Selection::new(self.as_ref().len(), count);
        let mut stays = |item: &Item<'_>| {
            let taken = selection.takes_next(random);
            if taken {
                each(*item);
            }
            !taken
        };
        match &mut self.members {
            Members::Ints(ints) => {
                let rest = ints.as_ref().iter().filter(|value| stays(&Item::Int(*value))).collect();
                *ints = rest;
            }
            Members::Packed(packed) => {
                let rest = packed.as_ref().iter().filter(stays).collect();
                *packed = rest;
            }
            Members::Table(_) => {}
        }
    }

    /// Gives back the memory that is not needed.
    pub fn shrink(&mut self) {
        match &mut self.members {
            Members::Ints(ints) => ints.shrink(),
            Members::Packed(packed) => packed.shrink(),
            Members::Table(_) => {}
        }
    }

    fn become_packed(&mut self) {
        self.members = Members::Packed(self.as_ref().iter().collect());
    }

    fn become_table(&mut self) {
        let mut table = Box::<Table>::default();
        let buffer = &mut IntBuffer::new();
        for item in self.as_ref().iter() {
            table.insert(item.text(buffer));
        }
        self.members = Members::Table(table);
    }
}

/// Whether `text` may become the next member of a packed set of `len`.
fn fits(text: &[u8], len: usize, limits: &Limits) -> bool {
    len < limits.set_max_listpack_entries && text.len() <= limits.set_max_listpack_value
}

/// Whether all integers of a set are short enough, and together small enough, for a packed set.
fn may_be_packed(ints: IntSetRef<'_>, limits: &Limits) -> bool {
    let ends = [ints.get(0), ints.len().checked_sub(1).and_then(|last| ints.get(last))];
    let longest = ends.into_iter().flatten().map(|end| Item::Int(end).text_len()).max();
    longest.unwrap_or(0) <= limits.set_max_listpack_value && ints.len() < PACKED_MAX / 16
}

impl Default for Set {
    fn default() -> Self {
        Set { members: Members::Ints(IntSet::new()) }
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl std::fmt::Debug for SetRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Collection for Set {
    const KIND: Kind = Kind::Set;
    type Ref<'a> = SetRef<'a>;

    fn as_ref(&self) -> SetRef<'_> {
        SetRef {
            members: match &self.members {
                Members::Ints(ints) => View::Ints(ints.as_ref()),
                Members::Packed(packed) => View::Packed(packed.as_ref()),
                Members::Table(table) => View::Table(table),
            },
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    fn encoding(this: SetRef<'_>) -> Encoding {
        match this.members {
            View::Ints(_) => Encoding::Intset,
            View::Packed(_) => Encoding::Listpack,
            View::Table(_) => Encoding::Hashtable,
        }
    }

    fn memory(&self) -> usize {
        match &self.members {
            Members::Ints(ints) => ints.memory(),
            Members::Packed(packed) => packed.memory(),
            Members::Table(table) => allocated(size_of::<Table>()) + table.memory(),
        }
    }

    fn free_slice(&mut self, budget: usize) -> usize {
        match &mut self.members {
            Members::Table(table) => table.clear_slice(budget),
            _ => 0,
        }
    }

    fn is_heavy(&self) -> bool {
        matches!(&self.members, Members::Table(table) if table.len() > HEAVY)
    }

    fn inline(&self) -> Option<(bool, &[u8])> {
        match &self.members {
            Members::Ints(ints) => Some((true, ints.as_ref().bytes())),
            Members::Packed(packed) => Some((false, packed.as_ref().bytes())),
            Members::Table(_) => None,
        }
    }

    fn from_inline(is_ints: bool, bytes: &[u8]) -> Self {
        let members = if is_ints {
            Members::Ints(IntSetRef::new(bytes).to_int_set())
        } else {
            Members::Packed(PackedRef::new(bytes).to_packed())
        };
        Set { members }
    }

    fn ref_inline(is_ints: bool, bytes: &[u8]) -> SetRef<'_> {
        let members = if is_ints {
            View::Ints(IntSetRef::new(bytes))
        } else {
            View::Packed(PackedRef::new(bytes))
        };
        SetRef { members }
    }
}
