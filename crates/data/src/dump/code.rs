//! The bytes that tell a value's type and encoding.

/// A string.
pub(super) const STRING: u8 = 0;
/// The elements of a list as strings.
pub(super) const LIST: u8 = 1;
/// The members of a set as strings.
pub(super) const SET: u8 = 2;
/// The members of a sorted set as strings, with scores as texts.
pub(super) const ZSET: u8 = 3;
/// The fields of a hash as strings, each followed by its value.
pub(super) const HASH: u8 = 4;
/// The members of a sorted set as strings, with scores in binary.
pub(super) const ZSET_2: u8 = 5;
/// A hash as a zipmap.
pub(super) const HASH_ZIPMAP: u8 = 9;
/// A list as one ziplist.
pub(super) const LIST_ZIPLIST: u8 = 10;
/// A set of integers.
pub(super) const SET_INTSET: u8 = 11;
/// A sorted set as a ziplist.
pub(super) const ZSET_ZIPLIST: u8 = 12;
/// A hash as a ziplist.
pub(super) const HASH_ZIPLIST: u8 = 13;
/// The nodes of a list as ziplists.
pub(super) const LIST_QUICKLIST: u8 = 14;
/// A stream as Redis 5 wrote it.
pub(super) const STREAM: u8 = 15;
/// A hash as a packed sequence.
pub(super) const HASH_LISTPACK: u8 = 16;
/// A sorted set as a packed sequence.
pub(super) const ZSET_LISTPACK: u8 = 17;
/// The nodes of a list as packed sequences or single elements.
pub(super) const LIST_QUICKLIST_2: u8 = 18;
/// A stream with its first and its greatest deleted id, and counts of entries.
pub(super) const STREAM_2: u8 = 19;
/// A set as a packed sequence.
pub(super) const SET_LISTPACK: u8 = 20;
/// A stream with the times when its consumers were last given something.
pub(super) const STREAM_3: u8 = 21;
/// A hash with deadlines, as candidates of Redis 7.4 wrote it.
pub(super) const HASH_METADATA_EARLY: u8 = 22;
/// A packed hash with deadlines, as candidates of Redis 7.4 wrote it.
pub(super) const HASH_LISTPACK_EX_EARLY: u8 = 23;
/// A hash with deadlines.
pub(super) const HASH_METADATA: u8 = 24;
/// A packed hash with deadlines.
pub(super) const HASH_LISTPACK_EX: u8 = 25;
