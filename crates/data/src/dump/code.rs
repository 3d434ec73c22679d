//! The bytes that tell a value's type and encoding.

/// A string.
pub(super) const STRING: u8 = 0;
/// The elements of a list as strings.
pub(super) const LIST: u8 = 1;
/// A list as one ziplist.
pub(super) const LIST_ZIPLIST: u8 = 10;
/// The nodes of a list as ziplists.
pub(super) const LIST_QUICKLIST: u8 = 14;
/// The nodes of a list as packed sequences or single elements.
pub(super) const LIST_QUICKLIST_2: u8 = 18;
