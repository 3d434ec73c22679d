//! A packed sequence with room at both ends.

use crate::packed::{END, HEAD};
use crate::{Item, PackedRef, allocated};
use std::ops::Range;

/// What a sequence without memory looks like.
const EMPTY: &[u8] = &[7, 0, 0, 0, 0, 0, END];
/// Number of items from which on the header does not tell it.
const MANY: usize = u16::MAX as usize;
/// Below this capacity in bytes nothing is given back.
const SMALL: usize = 128;

/// A packed sequence that lies somewhere inside its memory, so that it can grow and shrink at both
/// ends without being moved. A change in the middle moves the shorter side.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedDeque {
    /// All of the memory; none at all before the first item.
    memory: Box<[u8]>,
    /// Where the sequence lies in it.
    start: u32,
    end: u32,
    count: u32,
}

impl PackedDeque {
    /// A copy of a sequence, with about `room` bytes to grow at each end.
    pub(super) fn copy_of(packed: PackedRef<'_>, room: usize) -> Self {
        let bytes = packed.bytes();
        let mut memory = zeroed(allocated(bytes.len() + 2 * room));
        let start = (memory.len() - bytes.len()) / 2;
        memory[start..][..bytes.len()].copy_from_slice(bytes);
        let end = (start + bytes.len()) as u32;
        PackedDeque { memory, start: start as u32, end, count: packed.len() as u32 }
    }

    /// The sequence for reading.
    #[inline]
    pub(super) fn as_ref(&self) -> PackedRef<'_> {
        if self.memory.is_empty() {
            return PackedRef::new(EMPTY);
        }
        PackedRef::new(&self.memory[self.start as usize..self.end as usize])
    }

    /// Number of items.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Bytes of the sequence.
    #[inline]
    pub(super) fn byte_len(&self) -> usize {
        if self.memory.is_empty() { EMPTY.len() } else { (self.end - self.start) as usize }
    }

    /// Bytes held from the allocator.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        allocated(self.memory.len())
    }

    /// Puts an item before all others. Memory grows to `limit` bytes before it exceeds them.
    #[inline]
    pub(super) fn push_front(&mut self, item: Item<'_>, limit: usize) {
        self.replace(HEAD..HEAD, item, limit);
        self.count += 1;
        self.settle();
    }

    /// Appends an item, as [`push_front`](Self::push_front).
    #[inline]
    pub(super) fn push_back(&mut self, item: Item<'_>, limit: usize) {
        let end = self.byte_len() - 1;
        self.replace(end..end, item, limit);
        self.count += 1;
        self.settle();
    }

    /// Inserts an item before position `at`, as [`push_front`](Self::push_front).
    pub(super) fn insert(&mut self, at: usize, item: Item<'_>, limit: usize) {
        self.replace(at..at, item, limit);
        self.count += 1;
        self.settle();
    }

    /// Replaces the item at position `at`, as [`push_front`](Self::push_front).
    pub(super) fn set(&mut self, at: usize, item: Item<'_>, limit: usize) {
        let end = self.as_ref().after(at);
        self.replace(at..end, item, limit);
        self.settle();
    }

    /// Removes the `count` items in a range of positions.
    #[inline]
    pub(super) fn remove(&mut self, range: Range<usize>, count: usize) {
        self.splice(range, 0, 0);
        self.count -= count as u32;
        self.settle();
        self.shrink_if_sparse();
    }

    /// Removes the items at these positions, in ascending order, in one pass.
    pub(super) fn remove_all(&mut self, positions: &[usize]) {
        let Some(&first) = positions.first() else { return };
        let base = self.start as usize;
        let mut to = first;
        for (at, &position) in positions.iter().enumerate() {
            let from = self.as_ref().after(position);
            // The bytes behind the last one run up to the closing byte, which moves too.
            let until = positions.get(at + 1).copied().unwrap_or(self.byte_len());
            self.memory.copy_within(base + from..base + until, base + to);
            to += until - from;
        }
        self.end = (base + to) as u32;
        self.count -= positions.len() as u32;
        self.settle();
        self.shrink_if_sparse();
    }

    /// Cuts the sequence in two before position `at`, which is that of item `index`; the second
    /// part.
    pub(super) fn split_off(&mut self, at: usize, index: usize) -> Self {
        let tail = self.byte_len() - at;
        let mut memory = zeroed(allocated(HEAD + tail));
        let from = self.start as usize + at;
        memory[HEAD..HEAD + tail].copy_from_slice(&self.memory[from..from + tail]);
        let count = self.count - index as u32;
        let mut other = PackedDeque { memory, start: 0, end: (HEAD + tail) as u32, count };
        other.settle();
        self.remove(at..self.byte_len() - 1, count as usize);
        other
    }

    /// Appends all items of another sequence.
    pub(super) fn append(&mut self, other: &PackedDeque) {
        if other.len() == 0 {
            return;
        }
        let items = &other.as_ref().bytes()[HEAD..other.byte_len() - 1];
        let end = self.byte_len() - 1;
        self.splice(end..end, items.len(), 0).copy_from_slice(items);
        self.count += other.count;
        self.settle();
    }

    /// Gives back memory that is not needed.
    pub(super) fn shrink(&mut self) {
        let wanted = allocated(self.byte_len());
        if wanted < self.memory.len() {
            self.relocate(wanted, 0);
        }
    }

    /// Puts an item in the place of a range of positions.
    #[inline]
    fn replace(&mut self, range: Range<usize>, item: Item<'_>, limit: usize) {
        item.write_to(self.splice(range, item.packed_len(), limit));
    }

    /// Makes room for `new` bytes in the place of a range of positions.
    #[inline]
    fn splice(&mut self, range: Range<usize>, new: usize, limit: usize) -> &mut [u8] {
        let (before, after) = (range.start, self.byte_len() - range.end);
        let is_in_front = before < after;
        let old = range.len();
        if new > old && !self.has_room(is_in_front, new - old) {
            self.make_room(is_in_front, new - old, limit);
        }
        let (start, end) = (self.start as usize, self.end as usize);
        if is_in_front {
            let moved = start + old - new;
            self.memory.copy_within(start..start + before, moved);
            self.start = moved as u32;
        } else {
            let moved = end - old + new - after;
            self.memory.copy_within(end - after..end, moved);
            self.end = (moved + after) as u32;
        }
        let at = self.start as usize + before;
        &mut self.memory[at..at + new]
    }

    #[inline]
    fn has_room(&self, in_front: bool, bytes: usize) -> bool {
        let room =
            if in_front { self.start as usize } else { self.memory.len() - self.end as usize };
        room >= bytes
    }

    /// Moves the sequence so that there is room for `bytes` at one end.
    ///
    /// Where it stays in its memory, enough is free for the next move to be an eighth of its length
    /// away, halved; where it is moved to other memory, a quarter.
    #[cold]
    fn make_room(&mut self, in_front: bool, bytes: usize, limit: usize) {
        let (len, held) = (self.byte_len(), self.memory.len());
        let needed = len + bytes;
        if held >= needed + needed / 8 {
            let spare = (held - needed) / 2;
            let start = if in_front { bytes + spare } else { spare };
            self.memory.copy_within(self.start as usize..self.end as usize, start);
            (self.start, self.end) = (start as u32, (start + len) as u32);
            return;
        }
        let grown = allocated((needed + needed / 4).max(64));
        let fits_limit = held < limit && needed <= limit && limit < grown;
        let capacity = if fits_limit { limit } else { grown };
        self.relocate(capacity, if in_front { capacity - len } else { 0 });
    }

    /// Moves the sequence to memory of its own of `capacity` bytes, where it begins at `start`.
    fn relocate(&mut self, capacity: usize, start: usize) {
        let mut memory = zeroed(capacity);
        let bytes = self.as_ref().bytes();
        memory[start..start + bytes.len()].copy_from_slice(bytes);
        (self.start, self.end) = (start as u32, (start + bytes.len()) as u32);
        self.memory = memory;
    }

    fn shrink_if_sparse(&mut self) {
        let (len, held) = (self.byte_len(), self.memory.len());
        if held > SMALL && len * 4 < held {
            let capacity = allocated(len * 2);
            self.relocate(capacity, (capacity - len) / 2);
        }
    }

    /// Brings the header up to date.
    #[inline]
    fn settle(&mut self) {
        let head = &mut self.memory[self.start as usize..][..HEAD];
        head[..4].copy_from_slice(&(self.end - self.start).to_le_bytes());
        let told = (self.count as usize).min(MANY) as u16;
        head[4..].copy_from_slice(&told.to_le_bytes());
    }
}

fn zeroed(len: usize) -> Box<[u8]> {
    vec![0; len].into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(deque: &PackedDeque) -> Vec<Vec<u8>> {
        deque.as_ref().iter().map(Item::to_vec).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Front(Vec<u8>),
        Back(Vec<u8>),
        Insert(prop::sample::Index, Vec<u8>),
        Set(prop::sample::Index, Vec<u8>),
        Remove(prop::sample::Index, usize),
        RemoveEqual(prop::sample::Index),
        Cut(prop::sample::Index),
        Shrink,
        Copy,
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            3 => (-5000i64..5000).prop_map(|value| value.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|value| value.to_string().into_bytes()),
            3 => prop::sample::select(vec![b"a".to_vec(), b"bb".to_vec(), vec![]]),
            2 => prop::collection::vec(any::<u8>(), 0..200),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            4 => text().prop_map(Step::Front),
            4 => text().prop_map(Step::Back),
            3 => (at(), text()).prop_map(|(at, text)| Step::Insert(at, text)),
            2 => (at(), text()).prop_map(|(at, text)| Step::Set(at, text)),
            2 => (at(), 0usize..9).prop_map(|(at, count)| Step::Remove(at, count)),
            1 => at().prop_map(Step::RemoveEqual),
            1 => at().prop_map(Step::Cut),
            1 => Just(Step::Shrink),
            1 => Just(Step::Copy),
        ]
    }

    fn position(deque: &PackedDeque, index: usize) -> usize {
        deque.as_ref().seek(index as i64).unwrap_or(deque.as_ref().end())
    }

    fn apply(deque: &mut PackedDeque, model: &mut Vec<Vec<u8>>, step: Step, limit: usize) {
        match step {
            Step::Front(text) => {
                deque.push_front(Item::of(&text), limit);
                model.insert(0, text);
            }
            Step::Back(text) => {
                deque.push_back(Item::of(&text), limit);
                model.push(text);
            }
            Step::Insert(at, text) => {
                let index = at.index(model.len() + 1);
                deque.insert(position(deque, index), Item::of(&text), limit);
                model.insert(index, text);
            }
            Step::Set(at, text) if !model.is_empty() => {
                let index = at.index(model.len());
                deque.set(position(deque, index), Item::of(&text), limit);
                model[index] = text;
            }
            Step::Remove(at, count) if !model.is_empty() => {
                let index = at.index(model.len());
                let count = count.min(model.len() - index);
                let range = position(deque, index)..position(deque, index + count);
                deque.remove(range, count);
                model.drain(index..index + count);
            }
            Step::RemoveEqual(at) if !model.is_empty() => {
                let wanted = model[at.index(model.len())].clone();
                let equal = (0..model.len()).filter(|&index| model[index] == wanted);
                let positions: Vec<_> = equal.map(|index| position(deque, index)).collect();
                deque.remove_all(&positions);
                model.retain(|text| *text != wanted);
            }
            Step::Cut(at) if !model.is_empty() => {
                let index = at.index(model.len() + 1);
                let rest = deque.split_off(position(deque, index), index);
                assert_eq!(texts(&rest), model[index..]);
                assert_eq!(deque.len(), index);
                deque.append(&rest);
            }
            Step::Shrink => deque.shrink(),
            Step::Copy => *deque = PackedDeque::copy_of(deque.as_ref(), 20),
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(crate::list::tests::config(300))]
        #[test]
        fn behaves_as_a_vector(
            steps in prop::collection::vec(step(), 1..80),
            limit in prop::sample::select(vec![0usize, 256, 1024]),
        ) {
            let (mut deque, mut model) = (PackedDeque::default(), Vec::new());
            for step in steps {
                apply(&mut deque, &mut model, step, limit);
                prop_assert_eq!(texts(&deque), model.clone());
                prop_assert_eq!(deque.len(), model.len());
                prop_assert!(PackedRef::check(deque.as_ref().bytes()).is_some());
                prop_assert_eq!(deque.as_ref().len(), model.len());
            }
        }
    }

    #[test]
    fn pushing_at_one_end_fills_the_limit_exactly() {
        for front in [true, false] {
            let mut deque = PackedDeque::default();
            while deque.byte_len() + 16 <= 8192 {
                let item = Item::Bytes(b"fourteen bytes");
                if front { deque.push_front(item, 8192) } else { deque.push_back(item, 8192) }
            }
            assert_eq!(deque.memory(), 8192);
            assert!(deque.byte_len() > 8192 - 16);
        }
    }

    /// Bytes moved cannot be counted from outside; that memory stays bounded and the room is used
    /// can.
    #[test]
    fn queues_and_alternating_ends_keep_memory_near_the_contents() {
        let mut deque = PackedDeque::default();
        for round in 0..20_000 {
            deque.push_back(Item::Int(round), 8192);
            if round >= 1000 {
                let next = deque.as_ref().after(HEAD);
                deque.remove(HEAD..next, 1);
            }
            if round % 3 == 0 {
                deque.push_front(Item::Int(round), 8192);
                let last = deque.as_ref().last().unwrap();
                deque.remove(last..deque.as_ref().end(), 1);
            }
            assert!(deque.memory() <= 64.max(deque.byte_len() * 4), "{}", deque.memory());
        }
    }

    #[test]
    fn more_items_than_the_header_tells_are_counted() {
        let mut deque = PackedDeque::default();
        for _ in 0..70_000 {
            deque.push_back(Item::Int(1), 0);
        }
        assert_eq!(deque.as_ref().len(), 70_000);
        deque.remove(HEAD..HEAD + 2 * 69_990, 69_990);
        assert_eq!((deque.len(), deque.as_ref().len()), (10, 10));
    }
}
