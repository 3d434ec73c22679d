//! A sequence of integers and short strings in one piece of memory, in Redis's *listpack* format.
//!
//! ```text
//! total bytes u32 | number of items u16, 0xFFFF: unknown | item … | 0xFF
//! item: encoding and contents | their length, readable backwards
//! ```
//!
//! All numbers are little-endian. The format is that of `listpack.c`, so dumps and RDB files hold
//! these bytes as they are. Bytes that come from elsewhere are examined by [`PackedRef::check`].

use crate::allocated;
use crate::number::parse_i64;
use crate::text::IntBuffer;
use std::cmp::Ordering;

pub(crate) const HEAD: usize = 6;
pub(crate) const END: u8 = 0xFF;
/// The number of items is not in the header.
const MANY: usize = u16::MAX as usize;
/// Longest sequence, in bytes: as in Redis, far below what its length field holds.
pub const PACKED_MAX: usize = 1 << 30;

/// An item of a packed sequence. Strings that are the canonical text of an integer are integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// An integer.
    Int(i64),
    /// Any other string.
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The item that a string is.
    #[inline]
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        // Only so many characters can be an integer of 64 bits.
        match bytes.len() <= 20 {
            true => parse_i64(bytes).map_or(Item::Bytes(bytes), Item::Int),
            false => Item::Bytes(bytes),
        }
    }

    /// Its text; that of an integer is written to `buffer`.
    #[inline]
    pub fn text<'t>(self, buffer: &'t mut IntBuffer) -> &'t [u8]
    where
        'a: 't,
    {
        match self {
            Item::Int(value) => buffer.format(value).as_bytes(),
            Item::Bytes(bytes) => bytes,
        }
    }

    /// Its text in memory of its own.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut IntBuffer::new()).to_vec()
    }

    /// Length of its text in bytes.
    #[must_use]
    pub fn text_len(self) -> usize {
        self.text(&mut IntBuffer::new()).len()
    }

    /// The order of the texts as bytes.
    #[must_use]
    pub fn cmp_text(self, other: &[u8]) -> Ordering {
        self.text(&mut IntBuffer::new()).cmp(other)
    }

    /// Bytes of the whole item as it is stored.
    #[must_use]
    pub fn packed_len(self) -> usize {
        let len = match self {
            Item::Int(value) => int_code(value).1,
            Item::Bytes(bytes) => string_head_len(bytes.len()) + bytes.len(),
        };
        len + back_len(len)
    }

    fn write(self, out: &mut Vec<u8>) {
        let (head, len) = self.head();
        let tail = self.tail();
        out.extend_from_slice(&head[..len]);
        out.extend_from_slice(tail);
        write_back(len + tail.len(), out);
    }

    /// Writes the item to the front of `out`, which has room for its
    /// [`packed_len`](Self::packed_len).
    pub(crate) fn write_to(self, out: &mut [u8]) {
        let (head, len) = self.head();
        let tail = self.tail();
        let end = len + tail.len();
        out[..len].copy_from_slice(&head[..len]);
        out[len..end].copy_from_slice(tail);
        let (back, count) = back(end);
        out[end..end + count].copy_from_slice(&back[..count]);
    }

    /// What stands before the bytes of a string, or all of an integer; its length.
    #[inline]
    fn head(self) -> ([u8; 9], usize) {
        match self {
            Item::Int(value) => int_head(value),
            Item::Bytes(bytes) => string_head(bytes.len()),
        }
    }

    /// What stands behind the head.
    #[inline]
    fn tail(self) -> &'a [u8] {
        match self {
            Item::Int(_) => &[],
            Item::Bytes(bytes) => bytes,
        }
    }
}

/// Encoding byte and length in bytes of an integer.
fn int_code(value: i64) -> (u8, usize) {
    match value {
        0..=127 => (0, 1),
        -4096..=4095 => (0xC0, 2),
        -0x8000..=0x7FFF => (0xF1, 3),
        -0x80_0000..=0x7F_FFFF => (0xF2, 4),
        -0x8000_0000..=0x7FFF_FFFF => (0xF3, 5),
        _ => (0xF4, 9),
    }
}

fn int_head(value: i64) -> ([u8; 9], usize) {
    let mut head = [0; 9];
    let (code, len) = int_code(value);
    match len {
        1 => head[0] = value as u8,
        2 => {
            let bits = (value & 0x1FFF) as u16;
            head[..2].copy_from_slice(&(0xC000 | bits).to_be_bytes());
        }
        _ => {
            head[0] = code;
            head[1..].copy_from_slice(&value.to_le_bytes());
        }
    }
    (head, len)
}

fn string_head_len(len: usize) -> usize {
    match len {
        0..64 => 1,
        64..4096 => 2,
        _ => 5,
    }
}

fn string_head(len: usize) -> ([u8; 9], usize) {
    let mut head = [0; 9];
    let head_len = string_head_len(len);
    match head_len {
        1 => head[0] = 0x80 | len as u8,
        2 => head[..2].copy_from_slice(&(0xE000 | len as u16).to_be_bytes()),
        _ => {
            head[0] = 0xF0;
            head[1..5].copy_from_slice(&(len as u32).to_le_bytes());
        }
    }
    (head, head_len)
}

/// Bytes that tell the length `len` backwards.
fn back_len(len: usize) -> usize {
    match len {
        0..128 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// The length `len`, readable backwards; how many bytes that takes.
#[inline]
fn back(len: usize) -> ([u8; 5], usize) {
    let (mut back, count) = ([0; 5], back_len(len));
    for (at, byte) in back[..count].iter_mut().enumerate() {
        let bits = (len >> (7 * (count - 1 - at))) as u8 & 0x7F;
        *byte = if at == 0 { bits } else { bits | 0x80 };
    }
    (back, count)
}

fn write_back(len: usize, out: &mut Vec<u8>) {
    let (bytes, count) = back(len);
    out.extend_from_slice(&bytes[..count]);
}

/// A packed sequence, borrowed. A *position* is the byte offset of an item; it is good until the
/// sequence is changed.
#[derive(Clone, Copy, Debug)]
pub struct PackedRef<'a> {
    bytes: &'a [u8],
}

impl<'a> PackedRef<'a> {
    /// Bytes that hold a packed sequence: those of [`bytes`](Self::bytes), or [checked](Self::check).
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.len() > HEAD && bytes[bytes.len() - 1] == END);
        PackedRef { bytes }
    }

    /// Bytes from elsewhere; none if they are not a packed sequence throughout.
    #[must_use]
    pub fn check(bytes: &'a [u8]) -> Option<Self> {
        let total = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        let count = u16::from_le_bytes(bytes.get(4..HEAD)?.try_into().ok()?);
        if total as usize != bytes.len() || bytes.len() <= HEAD || bytes.len() > PACKED_MAX {
            return None;
        }
        let (mut at, mut met) = (HEAD, 0usize);
        while *bytes.get(at)? != END {
            let len = checked_len(bytes, at)?;
            let (told, count) = back(len);
            let next = at.checked_add(len)?.checked_add(count)?;
            if bytes.get(at + len..next)? != &told[..count] {
                return None;
            }
            at = next;
            met += 1;
        }
        let counted = usize::from(count) == MANY || usize::from(count) == met;
        (at + 1 == bytes.len() && counted).then_some(PackedRef { bytes })
    }

    /// The bytes of the whole sequence.
    #[inline]
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Number of items. O(1) up to 65,534 of them, O(n) beyond.
    #[must_use]
    pub fn len(self) -> usize {
        match usize::from(u16::from_le_bytes([self.bytes[4], self.bytes[5]])) {
            MANY => self.iter().count(),
            count => count,
        }
    }

    /// Whether there is no item.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bytes[HEAD] == END
    }

    /// The position of the first item.
    #[inline]
    #[must_use]
    pub fn first(self) -> Option<usize> {
        (!self.is_empty()).then_some(HEAD)
    }

    /// The position of the last item.
    #[must_use]
    pub fn last(self) -> Option<usize> {
        self.before(self.end())
    }

    /// The position behind the last item, where more can be inserted.
    #[inline]
    #[must_use]
    pub fn end(self) -> usize {
        self.bytes.len() - 1
    }

    /// The position of the item behind the one at `at`.
    #[inline]
    #[must_use]
    pub fn next(self, at: usize) -> Option<usize> {
        let next = self.after(at);
        (self.bytes[next] != END).then_some(next)
    }

    /// The position behind the item at `at`, which may be [`end`](Self::end).
    #[inline]
    #[must_use]
    pub fn after(self, at: usize) -> usize {
        let len = item_len(self.bytes, at);
        at + len + back_len(len)
    }

    /// The position of the item before the one at `at`, which may be [`end`](Self::end).
    #[must_use]
    pub fn before(self, at: usize) -> Option<usize> {
        if at <= HEAD {
            return None;
        }
        let (mut len, mut read) = (0, 0);
        loop {
            let byte = self.bytes[at - 1 - read];
            len |= usize::from(byte & 0x7F) << (7 * read);
            read += 1;
            if byte & 0x80 == 0 {
                return Some(at - read - len);
            }
        }
    }

    /// The item at a position.
    #[inline]
    #[must_use]
    pub fn get(self, at: usize) -> Item<'a> {
        let (bytes, head) = (self.bytes, self.bytes[at]);
        let int = |len: usize| {
            let mut wide = [0; 8];
            wide[8 - len..].copy_from_slice(&bytes[at + 1..][..len]);
            Item::Int(i64::from_le_bytes(wide) >> (64 - 8 * len))
        };
        match head {
            0..0x80 => Item::Int(head.into()),
            0x80..0xC0 => Item::Bytes(&bytes[at + 1..][..usize::from(head & 0x3F)]),
            0xC0..0xE0 => {
                let bits = i16::from_be_bytes([head & 0x1F, bytes[at + 1]]);
                Item::Int(((bits << 3) >> 3).into())
            }
            0xE0..0xF0 => {
                let len = usize::from(head & 0xF) << 8 | usize::from(bytes[at + 1]);
                Item::Bytes(&bytes[at + 2..][..len])
            }
            0xF0 => Item::Bytes(&bytes[at + 5..][..long_len(bytes, at)]),
            0xF1 => int(2),
            0xF2 => int(3),
            0xF3 => int(4),
            _ => int(8),
        }
    }

    /// The position of the item at `index`; negative ones count from the end, -1 being the last.
    #[must_use]
    pub fn seek(self, index: i64) -> Option<usize> {
        let len = self.len() as i64;
        let index = if index < 0 { len.checked_add(index)? } else { index };
        if index < 0 || index >= len {
            return None;
        }
        if index <= len / 2 {
            (0..index).try_fold(self.first()?, |at, _| self.next(at))
        } else {
            (index + 1..len).try_fold(self.last()?, |at, _| self.before(at))
        }
    }

    /// The position of the first item from `from` on whose text is `text`, when after each item
    /// that was compared `skip` are passed over.
    #[must_use]
    pub fn find(self, from: usize, text: &[u8], skip: usize) -> Option<usize> {
        let wanted = Item::of(text);
        let mut at = from;
        while self.bytes[at] != END {
            if self.get(at) == wanted {
                return Some(at);
            }
            for _ in 0..=skip {
                if self.bytes[at] == END {
                    return None;
                }
                at = self.after(at);
            }
        }
        None
    }

    /// The items from the first to the last; from both ends.
    #[inline]
    pub fn iter(self) -> PackedIter<'a> {
        PackedIter { packed: self, at: HEAD, end: self.end() }
    }

    /// The items from the position `at` on.
    #[inline]
    pub fn iter_from(self, at: usize) -> PackedIter<'a> {
        PackedIter { packed: self, at, end: self.end() }
    }

    /// The items before the position `end`.
    #[inline]
    pub fn iter_until(self, end: usize) -> PackedIter<'a> {
        PackedIter { packed: self, at: HEAD, end }
    }

    /// A copy of the sequence with room for `more` bytes.
    #[inline]
    #[must_use]
    pub(crate) fn to_packed_with_room(self, more: usize) -> Packed {
        let mut bytes = Vec::with_capacity(self.bytes.len() + more);
        bytes.extend_from_slice(self.bytes);
        Packed { bytes }
    }

    /// A copy of the sequence.
    #[must_use]
    pub fn to_packed(self) -> Packed {
        Packed { bytes: self.bytes.to_vec() }
    }
}

/// Whether no two items are the same.
pub(crate) fn are_distinct<'a>(items: impl Iterator<Item = Item<'a>>) -> bool {
    let order = |item: Item<'a>| match item {
        Item::Int(value) => (value, None),
        Item::Bytes(bytes) => (0, Some(bytes)),
    };
    let mut items: Vec<_> = items.map(order).collect();
    items.sort_unstable();
    items.windows(2).all(|pair| pair[0] != pair[1])
}

/// Length of a string with the longest kind of head.
fn long_len(bytes: &[u8], at: usize) -> usize {
    let len = [bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4]];
    u32::from_le_bytes(len) as usize
}

/// Bytes of encoding and contents of the item at `at`.
#[inline]
fn item_len(bytes: &[u8], at: usize) -> usize {
    let head = bytes[at];
    match head {
        0..0x80 => 1,
        0x80..0xC0 => 1 + usize::from(head & 0x3F),
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 2 + (usize::from(head & 0xF) << 8 | usize::from(bytes[at + 1])),
        0xF0 => 5 + long_len(bytes, at),
        0xF1 => 3,
        0xF2 => 4,
        0xF3 => 5,
        _ => 9,
    }
}

/// As [`item_len`], for bytes from elsewhere.
fn checked_len(bytes: &[u8], at: usize) -> Option<usize> {
    let head = *bytes.get(at)?;
    if head > 0xF4 || (head >= 0xE0 && bytes.len() - at < 5) {
        return None;
    }
    Some(item_len(bytes, at))
}

/// The items of a packed sequence.
#[derive(Clone, Debug)]
pub struct PackedIter<'a> {
    packed: PackedRef<'a>,
    at: usize,
    end: usize,
}

impl<'a> Iterator for PackedIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.at >= self.end {
            return None;
        }
        let item = self.packed.get(self.at);
        self.at = self.packed.after(self.at);
        Some(item)
    }
}

impl DoubleEndedIterator for PackedIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        self.end = self.packed.before(self.end)?;
        Some(self.packed.get(self.end))
    }
}

/// A packed sequence with memory of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    bytes: Vec<u8>,
}

impl Default for Packed {
    fn default() -> Self {
        Self::new()
    }
}

impl Packed {
    /// An empty sequence.
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[7, 0, 0, 0, 0, 0, END]);
        Packed { bytes }
    }

    /// The sequence for reading.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> PackedRef<'_> {
        PackedRef { bytes: &self.bytes }
    }

    /// Bytes of the sequence.
    #[inline]
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes held from the allocator.
    #[must_use]
    pub fn memory(&self) -> usize {
        allocated(self.bytes.capacity())
    }

    /// Gives back the memory that is not needed.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Appends an item.
    #[inline]
    pub fn push_back(&mut self, item: Item<'_>) {
        self.make_room(item.packed_len());
        self.bytes.pop();
        item.write(&mut self.bytes);
        self.bytes.push(END);
        self.settle(1);
    }

    /// Overwrites the integer at `at` with another one, in place if that takes as many bytes.
    #[inline]
    pub fn set_int(&mut self, at: usize, value: i64) {
        let (head, len) = int_head(value);
        if item_len(&self.bytes, at) == len {
            self.bytes[at..at + len].copy_from_slice(&head[..len]);
        } else {
            self.replace(at, Item::Int(value));
        }
    }

    /// Puts an item before all others.
    pub fn push_front(&mut self, item: Item<'_>) {
        self.insert(HEAD, &[item]);
    }

    /// Inserts items before the one at `at`, or at the [`end`](PackedRef::end).
    pub fn insert(&mut self, at: usize, items: &[Item<'_>]) {
        self.splice(at, at, items);
        self.settle(items.len() as isize);
    }

    /// Replaces the item at `at`.
    pub fn replace(&mut self, at: usize, item: Item<'_>) {
        let end = self.as_ref().after(at);
        self.splice(at, end, &[item]);
        self.settle(0);
    }

    /// Removes `count` items from the position `at` on, or as many as there are; how many.
    pub fn remove(&mut self, at: usize, count: usize) -> usize {
        let (mut end, mut removed) = (at, 0);
        while removed < count && self.bytes[end] != END {
            end = self.as_ref().after(end);
            removed += 1;
        }
        self.bytes.drain(at..end);
        self.settle(-(removed as isize));
        removed
    }

    /// Cuts the sequence in two before the item at `at`; the second part.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Packed {
        let total = self.as_ref().len();
        let mut other = Packed::new();
        other.bytes.truncate(HEAD);
        other.bytes.extend_from_slice(&self.bytes[at..]);
        other.bytes[4..HEAD].copy_from_slice(&(MANY as u16).to_le_bytes());
        other.settle(0);
        self.bytes.truncate(at);
        self.bytes.push(END);
        self.settle(-((total - self.count_from(HEAD)) as isize));
        other
    }

    /// Appends all items of another sequence.
    pub fn append(&mut self, other: PackedRef<'_>) {
        let count = other.len();
        self.make_room(other.bytes.len());
        self.bytes.pop();
        self.bytes.extend_from_slice(&other.bytes[HEAD..]);
        self.settle(count as isize);
    }

    /// Puts `items` in the place of the bytes from `start` to `end`. They are written behind all
    /// others first and turned into their place, which needs no memory beside.
    fn splice(&mut self, start: usize, end: usize, items: &[Item<'_>]) {
        self.make_room(items.iter().map(|item| item.packed_len()).sum());
        let tail = self.bytes.len();
        items.iter().for_each(|item| item.write(&mut self.bytes));
        let added = self.bytes.len() - tail;
        self.bytes[end..].rotate_right(added);
        self.bytes.drain(start..end);
    }

    /// Makes room for `more` bytes: up to the end of the allocator's size class, where nothing is
    /// lost, and by an eighth at least, so that long sequences are not moved for each item.
    #[inline]
    fn make_room(&mut self, more: usize) {
        let len = self.bytes.len();
        if self.bytes.capacity() - len < more {
            let wanted = allocated(len + more).max(len + len / 8);
            self.bytes.reserve_exact(wanted - len);
        }
    }

    fn count_from(&self, at: usize) -> usize {
        self.as_ref().iter_from(at).count()
    }

    /// Brings the header up to date after `more` items have come, or gone if negative.
    fn settle(&mut self, more: isize) {
        let total = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
        let told = usize::from(u16::from_le_bytes([self.bytes[4], self.bytes[5]]));
        let count = match told {
            // Where the header does not tell, few items make it tell again.
            MANY if more <= 0 => self.count_from(HEAD),
            MANY => MANY,
            told => told.saturating_add_signed(more),
        };
        self.bytes[4..HEAD].copy_from_slice(&(count.min(MANY) as u16).to_le_bytes());
    }
}

impl<'i> Extend<Item<'i>> for Packed {
    fn extend<I: IntoIterator<Item = Item<'i>>>(&mut self, items: I) {
        self.bytes.pop();
        let mut count = 0;
        for item in items {
            item.write(&mut self.bytes);
            count += 1;
        }
        self.bytes.push(END);
        self.settle(count);
    }
}

impl<'i> FromIterator<Item<'i>> for Packed {
    fn from_iter<I: IntoIterator<Item = Item<'i>>>(items: I) -> Self {
        let mut packed = Packed::new();
        packed.extend(items);
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(packed: PackedRef<'_>) -> Vec<Vec<u8>> {
        packed.iter().map(Item::to_vec).collect()
    }

    #[test]
    fn bytes_are_those_of_a_listpack() {
        // Recorded from redis-server 7.0: DUMP of a list of these elements.
        let mut packed = Packed::new();
        for text in [&b"a"[..], b"1", b"-1", b"4095", b"4096", b"70000", b"hello"] {
            packed.push_back(Item::of(text));
        }
        let expected = b"\x22\0\0\0\x07\0\x81a\x02\x01\x01\xdf\xff\x02\xcf\xff\x02\xf1\0\x10\x03\
            \xf2\x70\x11\x01\x04\x85hello\x06\xff";
        assert_eq!(packed.as_ref().bytes(), expected);
        assert!(PackedRef::check(expected).is_some());
    }

    #[test]
    fn integers_of_every_width_come_back() {
        let edges = [0, 127, 128, 4095, 4096, -4096, -4097, 32767, -32768, 8_388_607, -8_388_608];
        let wide = [1 << 31, -(1 << 31), (1 << 31) - 1, i64::MAX, i64::MIN];
        let packed: Packed = edges.iter().chain(&wide).map(|&value| Item::Int(value)).collect();
        let back: Vec<_> = packed.as_ref().iter().collect();
        assert!(back.iter().zip(edges.iter().chain(&wide)).all(|(a, &b)| *a == Item::Int(b)));
        assert_eq!(back.len(), 16);
        assert!(PackedRef::check(packed.as_ref().bytes()).is_some());
    }

    #[test]
    fn integers_are_overwritten_where_they_lie() {
        for (old, new) in [(1, 127), (1, 128), (300, -4096), (4096, 7), (i64::MAX, i64::MIN)] {
            let mut packed: Packed = [5, old, 6].into_iter().map(Item::Int).collect();
            packed.set_int(packed.as_ref().seek(1).unwrap(), new);
            let expected: Packed = [5, new, 6].into_iter().map(Item::Int).collect();
            assert_eq!(packed, expected, "{old} by {new}");
        }
    }

    #[test]
    fn many_items_are_counted() {
        let mut packed: Packed = (0..70_000).map(|_| Item::Int(1)).collect();
        assert_eq!(packed.as_ref().len(), 70_000);
        packed.remove(HEAD, 69_990);
        assert_eq!(packed.as_ref().len(), 10);
        assert_eq!(u16::from_le_bytes([packed.bytes[4], packed.bytes[5]]), 10);
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<i64>().prop_map(|value| value.to_string().into_bytes()),
            (-5000i64..5000).prop_map(|value| value.to_string().into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..80),
            (0usize..5000).prop_map(|len| vec![b'x'; len]),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_vector(
            steps in proptest::collection::vec((0u8..6, any::<prop::sample::Index>(), text()), 1..60)
        ) {
            let (mut packed, mut model) = (Packed::new(), Vec::<Vec<u8>>::new());
            for (step, at, text) in steps {
                let index = at.index(model.len() + 1);
                let place = packed.as_ref().seek(index as i64).unwrap_or(packed.as_ref().end());
                match step {
                    0 => { packed.push_back(Item::of(&text)); model.push(text); }
                    1 => { packed.push_front(Item::of(&text)); model.insert(0, text); }
                    2 => { packed.insert(place, &[Item::of(&text)]); model.insert(index, text); }
                    3 if index < model.len() => {
                        packed.replace(place, Item::of(&text));
                        model[index] = text;
                    }
                    4 => {
                        let count = text.len().min(model.len() - index);
                        prop_assert_eq!(packed.remove(place, text.len()), count);
                        model.drain(index..index + count);
                    }
                    5 => {
                        let rest = packed.split_off(place);
                        prop_assert_eq!(texts(rest.as_ref()), model[index..].to_vec());
                        prop_assert!(PackedRef::check(rest.as_ref().bytes()).is_some());
                        prop_assert_eq!(packed.as_ref().len(), index);
                        packed.append(rest.as_ref());
                    }
                    _ => {}
                }
                let view = packed.as_ref();
                prop_assert_eq!(view.len(), model.len());
                prop_assert_eq!(texts(view), model.clone());
                let backwards: Vec<_> = view.iter().rev().map(Item::to_vec).collect();
                prop_assert_eq!(backwards, model.iter().rev().cloned().collect::<Vec<_>>());
                prop_assert!(PackedRef::check(view.bytes()).is_some());
                if let Some(wanted) = model.last() {
                    let found = view.find(HEAD, wanted, 0).map(|at| view.get(at).to_vec());
                    prop_assert_eq!(found.as_ref(), Some(wanted));
                }
            }
        }

        #[test]
        fn anything_else_is_refused_without_harm(
            items in proptest::collection::vec(text(), 0..12),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let packed: Packed = items.iter().map(|text| Item::of(text)).collect();
            let mut bytes = packed.bytes;
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Some(view) = PackedRef::check(&bytes) {
                view.iter().for_each(|item| drop(item.to_vec()));
                prop_assert_eq!(view.iter().rev().count(), view.len());
            }
        }
    }
}
