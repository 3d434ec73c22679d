//! A key with its value: what a table entry points to.

use crate::allocated;
use crate::block::{Block, Form, INLINE_MAX};
use crate::number::parse_i64;
use crate::text::IntBuffer;
use crate::{Blob, Change, Collection, Hash, StringRef, Text, Value};
use std::fmt;

/// The longest string that Redis reports as `embstr`, in bytes.
const EMBSTR_MAX: usize = 44;

/// What type of value a key holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// A string of bytes, or an integer.
    String = 0,
    /// A list of strings.
    List = 1,
    /// A set of strings.
    Set = 2,
    /// A set of strings with scores, in their order.
    SortedSet = 3,
    /// Fields with values.
    Hash = 4,
    /// A log of entries.
    Stream = 6,
}

impl Kind {
    /// The name that `TYPE` answers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::SortedSet => "zset",
            Kind::Hash => "hash",
            Kind::Stream => "stream",
        }
    }
}

/// How a value is represented, as `OBJECT ENCODING` tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// A 64-bit integer.
    Int,
    /// A string of at most 44 bytes that was stored whole.
    Embstr,
    /// A longer string, or one that was modified in place.
    Raw,
    /// Items in one piece of memory.
    Listpack,
    /// Fields with their deadlines in one piece of memory.
    ListpackEx,
    /// A chain of pieces of memory.
    Quicklist,
    /// Sorted integers in one piece of memory.
    Intset,
    /// A hash table.
    Hashtable,
    /// An order beside a hash table.
    Skiplist,
    /// A log of pieces of memory.
    Stream,
}

impl Encoding {
    /// The name that `OBJECT ENCODING` answers.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Raw => "raw",
            Encoding::Listpack => "listpack",
            Encoding::ListpackEx => "listpackex",
            Encoding::Quicklist => "quicklist",
            Encoding::Intset => "intset",
            Encoding::Hashtable => "hashtable",
            Encoding::Skiplist => "skiplist",
            Encoding::Stream => "stream",
        }
    }
}

/// One key with its value, its deadline and its access clock: an owned heap block of one word's
/// width, so that a table of records is a table of pointers.
///
/// Short strings and integers lie in the block behind the key; setting another value of a like
/// size writes it in place, without the allocator.
pub struct Record {
    block: Block,
}

const _: () = assert!(size_of::<Option<Record>>() == 8);

impl Record {
    /// A record of a string. `deadline` is in Unix milliseconds.
    #[inline]
    pub fn new(key: &[u8], value: Text<'_>, deadline: Option<i64>) -> Self {
        let block = match value {
            Text::Bytes(bytes) => match parse_i64(bytes) {
                Some(value) => Block::int(key, value, deadline),
                None => verbatim(key, bytes, deadline),
            },
            Text::Verbatim(bytes) => verbatim(key, bytes, deadline),
            Text::Int(value) => Block::int(key, value, deadline),
            Text::Blob(blob) if blob.len() > INLINE_MAX => Block::blob(key, blob, deadline),
            Text::Blob(blob) => return Record::new(key, Text::Bytes(blob.as_bytes()), deadline),
        };
        Record { block }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.block.key()
    }

    /// The same value, deadline and clock under another key.
    #[must_use]
    pub fn with_key(mut self, key: &[u8]) -> Self {
        self.block.set_key(key);
        self
    }

    /// The type of the value.
    #[inline]
    pub fn kind(&self) -> Kind {
        match self.block.kind_bits() {
            1 => Kind::List,
            2 => Kind::Set,
            3 => Kind::SortedSet,
            4 => Kind::Hash,
            6 => Kind::Stream,
            _ => Kind::String,
        }
    }

    /// The string, if the value is one.
    #[inline]
    pub fn string(&self) -> Option<StringRef<'_>> {
        if self.block.kind_bits() != Kind::String as u32 {
            return None;
        }
        Some(match self.block.form() {
            Form::Int => StringRef::Int(self.block.as_int()),
            Form::Inline => StringRef::Bytes(self.block.as_inline()),
            Form::Blob => StringRef::Blob(self.block.as_blob()),
            Form::Value => return None,
        })
    }

    /// How the value is represented.
    pub fn encoding(&self) -> Encoding {
        match (self.kind(), self.block.form()) {
            (_, Form::Value) => self.block.as_value().encoding(),
            (Kind::String, Form::Int) => Encoding::Int,
            (Kind::String, Form::Inline) => {
                let short = self.block.as_inline().len() <= EMBSTR_MAX;
                if short && !self.block.flag() { Encoding::Embstr } else { Encoding::Raw }
            }
            (kind, Form::Inline) => {
                Value::inline_encoding(kind, self.block.flag(), self.block.as_inline())
            }
            (_, Form::Int | Form::Blob) => Encoding::Raw,
        }
    }

    /// When the key expires, in Unix milliseconds.
    #[inline]
    pub fn deadline(&self) -> Option<i64> {
        self.block.deadline()
    }

    /// Whether the key has expired at `now_ms`, or everything that it holds: not before the
    /// deadline has passed.
    #[inline]
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.block.deadline().is_some_and(|deadline| now_ms > deadline)
            || self.elements_expire() && self.last_of::<Hash>().is_some_and(|last| now_ms > last)
    }

    /// Whether the value is of the type whose elements may expire on their own.
    #[inline]
    fn elements_expire(&self) -> bool {
        self.block.kind_bits() == Kind::Hash as u32
    }

    /// When the first element of the value expires on its own, in Unix milliseconds.
    #[inline]
    pub fn element_deadline(&self) -> Option<i64> {
        if self.elements_expire() {
            self.collection::<Hash>().and_then(<Hash as Collection>::next_deadline)
        } else {
            None
        }
    }

    fn last_of<T: Collection>(&self) -> Option<i64> {
        self.collection::<T>().and_then(T::last_deadline)
    }

    /// Changes when the key expires.
    pub fn set_deadline(&mut self, deadline: Option<i64>) {
        self.block.set_deadline(deadline);
    }

    /// The access clock: 24 bits whose meaning is the eviction policy's.
    #[inline]
    pub fn clock(&self) -> u32 {
        self.block.clock()
    }

    /// Sets the access clock; bits beyond 24 are dropped.
    #[inline]
    pub fn set_clock(&mut self, clock: u32) {
        self.block.set_clock(clock);
    }

    /// Bytes held from the allocator, the body of a large value included.
    #[inline]
    pub fn memory(&self) -> usize {
        let body = match self.block.form() {
            Form::Blob => self.block.as_blob().memory(),
            Form::Value => allocated(size_of::<Value>()) + self.block.as_value().memory(),
            Form::Int | Form::Inline => 0,
        };
        self.block.allocated() + body
    }

    /// Asks the processor to fetch the record's first two cache lines.
    #[inline]
    pub fn prefetch(&self) {
        self.block.prefetch();
    }

    /// Replaces value and deadline, in place where the size class fits.
    #[inline]
    pub fn set(&mut self, value: Text<'_>, deadline: Option<i64>) {
        match value {
            Text::Bytes(bytes) => match parse_i64(bytes) {
                Some(value) => self.block.set_int(value, deadline),
                None => self.set_verbatim(bytes, deadline),
            },
            Text::Verbatim(bytes) => self.set_verbatim(bytes, deadline),
            Text::Int(value) => self.block.set_int(value, deadline),
            Text::Blob(blob) => self.set_body(blob, deadline),
        }
        self.block.set_kind(Kind::String as u32, false);
    }

    #[inline]
    fn set_verbatim(&mut self, bytes: &[u8], deadline: Option<i64>) {
        if bytes.len() <= INLINE_MAX {
            self.block.set_inline(bytes, deadline);
        } else {
            self.block.set_blob(Blob::new(bytes), deadline);
        }
    }

    fn set_body(&mut self, blob: Blob, deadline: Option<i64>) {
        if blob.len() > INLINE_MAX {
            self.block.set_blob(blob, deadline);
        } else {
            self.set(Text::Bytes(blob.as_bytes()), deadline);
        }
    }

    /// A record of a collection. `deadline` is in Unix milliseconds.
    pub fn of<T: Collection>(key: &[u8], value: T, deadline: Option<i64>) -> Self {
        let (block, flag) = match fitting(&value) {
            Some((flag, bytes)) => (Block::inline(key, bytes, deadline), flag),
            None => (Block::value(key, Box::new(value.into_value()), deadline), false),
        };
        let mut record = Record { block };
        record.block.set_kind(T::KIND as u32, flag);
        record
    }

    /// The collection, if the value is one of that type.
    #[inline]
    pub fn collection<T: Collection>(&self) -> Option<T::Ref<'_>> {
        if self.block.kind_bits() != T::KIND as u32 {
            return None;
        }
        match self.block.form() {
            Form::Inline => Some(T::ref_inline(self.block.flag(), self.block.as_inline())),
            Form::Value => T::of(self.block.as_value()).map(T::as_ref),
            Form::Int | Form::Blob => None,
        }
    }

    /// Changes the collection, if the value is one of that type; what came of it, and whether it
    /// is empty now.
    pub fn edit<T: Collection, R>(
        &mut self,
        change: impl FnOnce(&mut T) -> Change<R>,
    ) -> Option<(Change<R>, bool)> {
        if self.block.kind_bits() != T::KIND as u32 {
            return None;
        }
        if self.block.form() == Form::Inline {
            let mut value = T::from_inline(self.block.flag(), self.block.as_inline());
            let change = change(&mut value);
            let empty = value.is_empty();
            if let Change::Changed(_) = change {
                self.put(value);
            }
            return Some((change, empty));
        }
        if self.block.form() != Form::Value {
            return None;
        }
        let value = T::of_mut(self.block.as_value_mut())?;
        let change = change(value);
        let empty = value.is_empty();
        // Not at the very limit, lest a value near it moves out and in.
        let small = value.inline().is_some_and(|(_, bytes)| bytes.len() <= INLINE_MAX / 2);
        if small && matches!(change, Change::Changed(_)) {
            let value = std::mem::take(value);
            self.put(value);
        }
        Some((change, empty))
    }

    /// Replaces the value by a collection, keeping the deadline.
    pub fn put<T: Collection>(&mut self, value: T) {
        let deadline = self.deadline();
        let flag = match fitting(&value) {
            Some((flag, bytes)) => {
                self.block.set_inline(bytes, deadline);
                flag
            }
            None => {
                self.block.set_value(Box::new(value.into_value()), deadline);
                false
            }
        };
        self.block.set_kind(T::KIND as u32, flag);
    }

    /// Takes out a value whose dropping would take long, so that it can be dropped in slices. What
    /// remains is good for nothing but being dropped.
    pub fn take_heavy(&mut self) -> Option<Box<Value>> {
        let heavy = self.block.form() == Form::Value && self.block.as_value().is_heavy();
        heavy.then(|| self.block.take_value())
    }

    /// Replaces the value by an integer, keeping the deadline.
    #[inline]
    pub fn set_int(&mut self, value: i64) {
        self.set(Text::Int(value), self.deadline());
    }

    /// Replaces the value by bytes, keeping the deadline. The canonical text of an integer becomes
    /// one.
    #[inline]
    pub fn store_bytes(&mut self, bytes: &[u8]) {
        self.set(Text::Bytes(bytes), self.deadline());
    }

    /// Appends bytes to the string; the new length.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        self.make_raw(bytes.len());
        match self.block.form() {
            Form::Blob => self.block.as_blob_mut().extend(bytes),
            _ => self.block.append_inline(bytes),
        }
        self.raw_len()
    }

    /// Overwrites the string from `offset` on, lengthening it with zero bytes as needed; the new
    /// length.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let end = offset.saturating_add(bytes.len());
        self.bytes_mut(end)[offset..end].copy_from_slice(bytes);
        self.raw_len()
    }

    /// The string's bytes for changing, lengthened with zero bytes to at least `min_len`.
    pub fn bytes_mut(&mut self, min_len: usize) -> &mut [u8] {
        let missing = min_len.saturating_sub(self.string().map_or(0, |string| string.len()));
        self.make_raw(missing);
        match self.block.form() {
            Form::Blob => {
                let blob = self.block.as_blob_mut();
                blob.extend_zeros(missing);
                blob.make_mut()
            }
            _ => {
                self.block.append_inline(&[0; INLINE_MAX][..missing]);
                self.block.as_inline_mut()
            }
        }
    }

    /// Length of a string of bytes.
    fn raw_len(&self) -> usize {
        match self.block.form() {
            Form::Blob => self.block.as_blob().len(),
            _ => self.block.as_inline().len(),
        }
    }

    /// Makes the value a string of bytes to which `extra` can be appended, marked as modified. It
    /// becomes a blob if it is going to be too long for the block.
    fn make_raw(&mut self, extra: usize) {
        let deadline = self.deadline();
        if self.block.form() == Form::Int {
            let text = IntBuffer::new().format(self.block.as_int()).to_owned();
            self.block.set_inline(text.as_bytes(), deadline);
        }
        if self.block.form() == Form::Inline {
            let bytes = self.block.as_inline();
            if bytes.len() + extra > INLINE_MAX {
                let mut blob = Blob::with_capacity(bytes.len().saturating_add(extra));
                blob.extend(bytes);
                self.block.set_blob(blob, deadline);
            }
        }
        self.block.set_kind(Kind::String as u32, true);
    }
}

/// The bytes of a collection that lies inside a block.
fn fitting<T: Collection>(value: &T) -> Option<(bool, &[u8])> {
    value.inline().filter(|(_, bytes)| bytes.len() <= INLINE_MAX)
}

/// A block of a string of bytes, which lie inside it if they are few.
#[inline]
fn verbatim(key: &[u8], bytes: &[u8], deadline: Option<i64>) -> Block {
    if bytes.len() <= INLINE_MAX {
        Block::inline(key, bytes, deadline)
    } else {
        Block::blob(key, Blob::new(bytes), deadline)
    }
}

impl Clone for Record {
    /// A copy of its own; only the body of a large string is shared until one side changes it.
    fn clone(&self) -> Self {
        let (key, deadline) = (self.key(), self.deadline());
        let block = match self.block.form() {
            Form::Int => Block::int(key, self.block.as_int(), deadline),
            Form::Inline => Block::inline(key, self.block.as_inline(), deadline),
            Form::Blob => Block::blob(key, self.block.as_blob().clone(), deadline),
            Form::Value => Block::value(key, Box::new(self.block.as_value().clone()), deadline),
        };
        let mut record = Record { block };
        record.block.set_kind(self.block.kind_bits(), self.block.flag());
        record.block.set_clock(self.block.clock());
        record
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value", &self.string())
            .field("deadline", &self.deadline())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn text(record: &Record) -> Vec<u8> {
        record.string().expect("a string").to_vec()
    }

    #[test]
    fn small_items_fit_their_size_classes() {
        let key = [b'k'; 14];
        assert_eq!(Record::new(&key, Text::Bytes(b"12345678"), None).memory(), 32);
        assert_eq!(Record::new(&key, Text::Bytes(b"abcdefgh"), None).memory(), 32);
        assert_eq!(Record::new(&key, Text::Bytes(&[b'v'; 64]), None).memory(), 96);
    }

    #[test]
    fn encodings_are_those_of_redis() {
        let encoding = |value: &[u8]| Record::new(b"k", Text::Bytes(value), None).encoding();
        assert_eq!(encoding(b"-12"), Encoding::Int);
        assert_eq!(encoding(b"012"), Encoding::Embstr);
        assert_eq!(encoding(b"9223372036854775808"), Encoding::Embstr);
        assert_eq!(encoding(&[b'x'; 44]), Encoding::Embstr);
        assert_eq!(encoding(&[b'x'; 45]), Encoding::Raw);
        assert_eq!(encoding(&[b'x'; 5_000]), Encoding::Raw);
        assert_eq!(Record::new(b"k", Text::Verbatim(b"3"), None).encoding(), Encoding::Embstr);

        let mut record = Record::new(b"k", Text::Bytes(b"1"), None);
        assert_eq!(record.append(b"2"), 2);
        assert_eq!(
            (record.encoding(), record.string()),
            (Encoding::Raw, Some(StringRef::Bytes(b"12")))
        );
        assert_eq!(record.clone().encoding(), Encoding::Raw);
        record.set_int(13);
        assert_eq!(record.encoding(), Encoding::Int);
        record.set_range(0, b"x");
        assert_eq!(record.encoding(), Encoding::Raw);
        record.store_bytes(b"short");
        assert_eq!(record.encoding(), Encoding::Embstr);
    }

    #[test]
    fn a_large_body_is_taken_over_and_shared_until_changed() {
        let blob = Blob::new(&[7; 5_000]);
        let body = blob.as_bytes().as_ptr();
        let mut record = Record::new(b"k", Text::Blob(blob), Some(5));
        let copy = record.clone();
        for holder in [&record, &copy] {
            let Some(StringRef::Blob(held)) = holder.string() else { panic!("not a blob") };
            assert_eq!(held.as_bytes().as_ptr(), body);
        }
        record.set_range(0, b"new");
        assert_eq!((&text(&record)[..4], &text(&copy)[..4]), (&b"new\x07"[..], &[7; 4][..]));
        assert_eq!(copy.with_key(b"another").deadline(), Some(5));
    }

    #[test]
    fn a_short_blob_is_copied_into_the_block() {
        let record = Record::new(b"k", Text::Blob(Blob::new(b"short")), None);
        assert_eq!(record.string(), Some(StringRef::Bytes(b"short")));
        let record = Record::new(b"k", Text::Blob(Blob::new(b"123")), None);
        assert_eq!(record.string(), Some(StringRef::Int(123)));
    }

    #[test]
    fn overwriting_like_with_like_stays_in_the_block() {
        let mut record = Record::new(b"key", Text::Bytes(b"some value"), Some(1));
        let block = record.key().as_ptr();
        record.set(Text::Bytes(b"other value"), Some(2));
        record.set(Text::Int(5), Some(3));
        record.set(Text::Bytes(b"x"), Some(4));
        assert_eq!(record.key().as_ptr(), block);
    }

    const MOST_CHANGES: usize = if cfg!(miri) { 12 } else { 40 };

    #[derive(Debug, Clone)]
    enum Change {
        Set(Vec<u8>, Option<i64>),
        SetBlob(Vec<u8>, Option<i64>),
        SetInt(i64),
        Append(Vec<u8>),
        SetRange(usize, Vec<u8>),
        Deadline(Option<i64>),
        Key(Vec<u8>),
        Clone,
        Clock(u32),
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let sized = |lengths: std::ops::Range<usize>| {
            (any::<u8>(), lengths).prop_map(|(first, len)| {
                (0..len).map(|i| first.wrapping_add(i as u8)).collect::<Vec<u8>>()
            })
        };
        prop_oneof![sized(0..10), sized(0..80), sized(240..270), sized(1_000..1_050)]
    }

    fn change() -> impl Strategy<Value = Change> {
        let deadline = || prop::option::of(any::<i64>());
        prop_oneof![
            (bytes(), deadline()).prop_map(|(value, at)| Change::Set(value, at)),
            (bytes(), deadline()).prop_map(|(value, at)| Change::SetBlob(value, at)),
            any::<i64>().prop_map(Change::SetInt),
            bytes().prop_map(Change::Append),
            (0_usize..1_200, bytes()).prop_map(|(at, value)| Change::SetRange(at, value)),
            deadline().prop_map(Change::Deadline),
            bytes().prop_map(Change::Key),
            Just(Change::Clone),
            any::<u32>().prop_map(Change::Clock),
        ]
    }

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 8 } else { 256 },
            rng_seed: RngSeed::Fixed(3),
            failure_persistence: None,
            ..Config::default()
        })]

        #[test]
        fn a_record_is_a_key_a_value_a_deadline_and_a_clock(
            changes in prop::collection::vec(change(), 0..MOST_CHANGES)
        ) {
            let (mut key, mut value, mut deadline, mut clock) = (Vec::new(), Vec::new(), None, 0);
            let mut record = Record::new(&key, Text::Bytes(&value), deadline);
            for change in changes {
                match change {
                    Change::Set(to, at) => {
                        record.set(Text::Bytes(&to), at);
                        (value, deadline) = (to, at);
                    }
                    Change::SetBlob(to, at) => {
                        record.set(Text::Blob(Blob::new(&to)), at);
                        (value, deadline) = (to, at);
                    }
                    Change::SetInt(to) => {
                        record.set_int(to);
                        value = to.to_string().into_bytes();
                    }
                    Change::Append(more) => {
                        value.extend(&more);
                        prop_assert_eq!(record.append(&more), value.len());
                    }
                    Change::SetRange(at, to) => {
                        value.resize(value.len().max(at + to.len()), 0);
                        value[at..at + to.len()].copy_from_slice(&to);
                        prop_assert_eq!(record.set_range(at, &to), value.len());
                    }
                    Change::Deadline(at) => {
                        record.set_deadline(at);
                        deadline = at;
                    }
                    Change::Key(to) => {
                        record = record.with_key(&to);
                        key = to;
                    }
                    Change::Clone => record = record.clone(),
                    Change::Clock(to) => {
                        record.set_clock(to);
                        clock = to & 0xff_ffff;
                    }
                }
                prop_assert_eq!(record.key(), &key[..]);
                prop_assert_eq!(text(&record), &value[..]);
                prop_assert_eq!((record.deadline(), record.clock()), (deadline, clock));
                let held = key.len() + value.len();
                // A block may be kept while it is up to twice too large, a body while it has grown
                // to twice its size.
                prop_assert!(record.memory() >= held.min(16) && record.memory() <= 2 * held + 4_096);
            }
        }
    }
}
