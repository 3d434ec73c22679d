//! A node: some hundred entries in one packed sequence, laid out as by `t_stream.c` of Redis.
//!
//! ```text
//! live | deleted | number of names | name … | 0        the names of the first entry
//! flags | ms | seq | value … | items                    an entry with just these names
//! flags | ms | seq | number | name value … | items      any other entry
//! ```
//!
//! `ms` and `seq` are differences from the id under which the node is kept, that of its first
//! entry. `items` counts those of the entry before it, so entries are read backwards too; the 0
//! ends such a walk. A deleted entry keeps its place with a flag. A node has a live entry.

use super::StreamId;
use crate::packed::{Item, Packed, PackedRef};

/// The entry was deleted.
const DELETED: i64 = 1;
/// The entry has the names of the node's head.
const SAME_NAMES: i64 = 2;

/// A node for reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeRef<'a> {
    /// The id of the first entry, to which all others are relative.
    pub(super) first: StreamId,
    packed: PackedRef<'a>,
}

/// The names in the head of a node.
#[derive(Clone, Copy, Debug)]
struct Names {
    count: usize,
    /// The position of the first one.
    start: usize,
}

/// An entry where it lies.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// The position of its flags.
    at: usize,
    pub(super) deleted: bool,
    pub(super) entry: Entry<'a>,
}

/// An entry of a stream.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Its fields.
    pub fields: Fields<'a>,
}

/// The fields of an entry, in order: names with their values.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    packed: PackedRef<'a>,
    /// The position of the next name, if names lie apart from values.
    name: Option<usize>,
    /// The position of the next value, or of the next name if that precedes its value.
    at: usize,
    left: usize,
}

impl Fields<'_> {
    /// The position behind the last value.
    fn end(&self) -> usize {
        let items = if self.name.is_some() { self.left } else { 2 * self.left };
        (0..items).fold(self.at, |at, _| self.packed.after(at))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name_at = match &mut self.name {
            Some(next) => {
                let at = *next;
                *next = self.packed.after(at);
                at
            }
            None => {
                let at = self.at;
                self.at = self.packed.after(at);
                at
            }
        };
        let value = self.packed.get(self.at);
        self.at = self.packed.after(self.at);
        Some((self.packed.get(name_at), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

impl<'a> NodeRef<'a> {
    #[inline]
    pub(super) fn new(first: StreamId, packed: &'a Packed) -> Self {
        Self { first, packed: packed.as_ref() }
    }

    /// The integer at a position. What comes from elsewhere was checked to be one.
    #[inline]
    fn int(self, at: usize) -> i64 {
        int(self.packed.get(at)).unwrap_or(0)
    }

    /// Number of entries that are not deleted.
    #[inline]
    pub(super) fn live(self) -> usize {
        self.packed.first().map_or(0, |at| self.int(at) as usize)
    }

    /// Number of deleted entries that still have their place.
    pub(super) fn deleted(self) -> usize {
        let live = self.packed.first();
        live.map_or(0, |at| self.int(self.packed.after(at)) as usize)
    }

    #[inline]
    fn names(self) -> Names {
        let live = self.packed.first().unwrap_or_default();
        let count = self.packed.after(self.packed.after(live));
        Names { count: self.int(count) as usize, start: self.packed.after(count) }
    }

    /// The position of the first entry.
    #[inline]
    fn start(self, names: Names) -> usize {
        (0..=names.count).fold(names.start, |at, _| self.packed.after(at))
    }

    /// The entry whose flags are at `at`.
    #[inline]
    fn read(self, names: Names, at: usize) -> Place<'a> {
        let packed = self.packed;
        let flags = self.int(at);
        let ms = packed.after(at);
        let seq = packed.after(ms);
        let values = packed.after(seq);
        let fields = if flags & SAME_NAMES != 0 {
            Fields { packed, name: Some(names.start), at: values, left: names.count }
        } else {
            let left = self.int(values) as usize;
            Fields { packed, name: None, at: packed.after(values), left }
        };
        let id = self.first.plus(self.int(ms), self.int(seq));
        Place { at, deleted: flags & DELETED != 0, entry: Entry { id, fields } }
    }

    /// The entry that ends before the position `end`; none if that is the first entry's.
    #[inline]
    fn read_before(self, names: Names, end: usize) -> Option<Place<'a>> {
        let count_at = self.packed.before(end)?;
        let count = self.int(count_at);
        if count <= 0 {
            return None;
        }
        let at = (0..count).try_fold(count_at, |at, _| self.packed.before(at))?;
        Some(self.read(names, at))
    }

    /// The id of the last entry, deleted or not.
    pub(super) fn last(self) -> StreamId {
        let last = self.read_before(self.names(), self.packed.end());
        last.map_or(self.first, |place| place.entry.id)
    }

    /// The position of the first entry whose id is at least `id`, deleted or not.
    fn seek(self, names: Names, id: StreamId) -> usize {
        if id <= self.first {
            return self.start(names);
        }
        let last = self.last();
        if id > last {
            return self.packed.end();
        }
        // Readers mostly want what came last: from the nearer end, if ids come evenly.
        if (id.ms - self.first.ms) >= (last.ms - self.first.ms) / 2 {
            let mut at = self.packed.end();
            while let Some(place) = self.read_before(names, at)
                && place.entry.id >= id
            {
                at = place.at;
            }
            at
        } else {
            let mut at = self.start(names);
            while at != self.packed.end() {
                let place = self.read(names, at);
                if place.entry.id >= id {
                    break;
                }
                at = self.packed.after(place.entry.fields.end());
            }
            at
        }
    }

    /// The entries from `id` on, deleted ones too.
    pub(super) fn from(self, id: StreamId) -> Walk<'a> {
        let names = self.names();
        Walk { node: self, names, at: self.seek(names, id) }
    }

    /// For walking backwards from the last entry that is not behind `id`.
    pub(super) fn back_from(self, id: StreamId) -> Walk<'a> {
        let names = self.names();
        let at = id.next().map_or(self.packed.end(), |next| self.seek(names, next));
        Walk { node: self, names, at }
    }

    /// The entry with this id, deleted or not.
    fn find(self, id: StreamId) -> Option<Place<'a>> {
        let place = self.from(id).next()?;
        (place.entry.id == id).then_some(place)
    }

    /// Whether the node is well formed throughout: nothing that is read of it later can fail.
    pub(super) fn check(self) -> bool {
        self.checked().is_some()
    }

    fn checked(self) -> Option<()> {
        let packed = self.packed;
        let mut items = packed.iter();
        let mut next_int = || items.next().and_then(int);
        let (live, deleted, names) = (next_int()?, next_int()?, next_int()?);
        if live < 1 || deleted < 0 || names < 0 {
            return None;
        }
        if items.nth(usize::try_from(names).ok()?).and_then(int) != Some(0) {
            return None;
        }
        let (mut seen, mut last) = ([0; 2], None);
        while let Some(flags) = items.next() {
            let flags = int(flags)?;
            let mut next_int = || items.next().and_then(int);
            let id = self.first.plus(next_int()?, next_int()?);
            if last.is_some_and(|last| last >= id) || id < self.first {
                return None;
            }
            last = Some(id);
            let (read, more) = match flags & SAME_NAMES {
                0 => {
                    let fields = next_int().filter(|&count| count >= 0)?;
                    (4, fields.checked_mul(2)?)
                }
                _ => (3, names),
            };
            if int(items.nth(usize::try_from(more).ok()?)?)? != read + more {
                return None;
            }
            seen[usize::from(flags & DELETED != 0)] += 1;
        }
        (seen == [live, deleted]).then_some(())
    }
}

fn int(item: Item<'_>) -> Option<i64> {
    match item {
        Item::Int(value) => Some(value),
        Item::Bytes(_) => None,
    }
}

/// A place between two entries of a node, to walk from in either direction.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    node: NodeRef<'a>,
    names: Names,
    at: usize,
}

impl<'a> Walk<'a> {
    #[inline]
    pub(super) fn next(&mut self) -> Option<Place<'a>> {
        if self.at == self.node.packed.end() {
            return None;
        }
        let place = self.node.read(self.names, self.at);
        self.at = self.node.packed.after(place.entry.fields.end());
        Some(place)
    }

    pub(super) fn next_back(&mut self) -> Option<Place<'a>> {
        let place = self.node.read_before(self.names, self.at)?;
        self.at = place.at;
        Some(place)
    }
}

/// A new node with one entry. `fields` are names and values in turn.
pub(super) fn begin<'f>(fields: impl Iterator<Item = &'f [u8]> + Clone) -> Packed {
    let names = fields.clone().step_by(2);
    let count = names.clone().count() as i64;
    let mut packed = Packed::new();
    let head = [1, 0, count].map(Item::Int).into_iter();
    packed.extend(head.chain(names.map(Item::of)).chain([Item::Int(0)]));
    write(&mut packed, StreamId::MIN.minus(StreamId::MIN), true, fields);
    packed
}

/// Appends an entry to the node that is kept under `first`.
pub(super) fn push<'f>(
    packed: &mut Packed,
    first: StreamId,
    id: StreamId,
    fields: impl Iterator<Item = &'f [u8]> + Clone,
) {
    let node = NodeRef::new(first, packed);
    let (names, live) = (node.names(), node.live());
    let same = has_names(node, names, fields.clone().step_by(2));
    write(packed, id.minus(first), same, fields);
    set(packed, 0, live as i64 + 1);
}

fn has_names<'f>(node: NodeRef<'_>, names: Names, given: impl Iterator<Item = &'f [u8]>) -> bool {
    let (mut at, mut met) = (names.start, 0);
    for name in given {
        if met == names.count || node.packed.get(at) != Item::of(name) {
            return false;
        }
        at = node.packed.after(at);
        met += 1;
    }
    met == names.count
}

fn write<'f>(
    packed: &mut Packed,
    (ms, seq): (i64, i64),
    same_names: bool,
    fields: impl Iterator<Item = &'f [u8]> + Clone,
) {
    let texts = fields.clone().count() as i64;
    let head = |flags| [flags, ms, seq].map(Item::Int).into_iter();
    if same_names {
        let values = fields.skip(1).step_by(2).map(Item::of);
        packed.extend(head(SAME_NAMES).chain(values).chain([Item::Int(texts / 2 + 3)]));
    } else {
        let items = head(0).chain([Item::Int(texts / 2)]).chain(fields.map(Item::of));
        packed.extend(items.chain([Item::Int(texts + 4)]));
    }
}

/// Sets the `index`-th item of the head, an integer.
fn set(packed: &mut Packed, index: usize, value: i64) {
    let view = packed.as_ref();
    let at = (0..index).fold(view.first().unwrap_or_default(), |at, _| view.after(at));
    packed.set_int(at, value);
}

/// Marks entries as deleted.
fn mark(packed: &mut Packed, first: StreamId, places: &[usize]) {
    let node = NodeRef::new(first, packed);
    let (live, deleted) = (node.live(), node.deleted());
    for &at in places {
        let flags = NodeRef::new(first, packed).int(at) | DELETED;
        // Flags take one byte whatever they are, so positions stay.
        packed.set_int(at, flags);
    }
    // From the back: a count may take another byte.
    set(packed, 1, (deleted + places.len()) as i64);
    set(packed, 0, (live - places.len()) as i64);
}

/// What became of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// The entry is not there.
    Unchanged,
    /// Entries are left.
    Some,
    /// It was the last entry: the node is to be dropped.
    Nothing,
}

/// Deletes the entry with this id.
pub(super) fn delete(packed: &mut Packed, first: StreamId, id: StreamId) -> Left {
    let node = NodeRef::new(first, packed);
    match node.find(id) {
        Some(place) if !place.deleted => {
            if node.live() == 1 {
                return Left::Nothing;
            }
            let at = place.at;
            mark(packed, first, &[at]);
            Left::Some
        }
        _ => Left::Unchanged,
    }
}

/// Deletes entries from the front while `wanted` of their ids; how many.
pub(super) fn delete_front(
    packed: &mut Packed,
    first: StreamId,
    mut wanted: impl FnMut(StreamId) -> bool,
) -> (usize, Left) {
    let node = NodeRef::new(first, packed);
    let mut places = Vec::new();
    let mut walk = node.from(first);
    while let Some(place) = walk.next() {
        if place.deleted {
            continue;
        }
        if !wanted(place.entry.id) {
            break;
        }
        places.push(place.at);
    }
    match places.len() {
        0 => (0, Left::Unchanged),
        all if all == node.live() => (all, Left::Nothing),
        some => {
            mark(packed, first, &places);
            (some, Left::Some)
        }
    }
}
