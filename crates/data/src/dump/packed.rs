//! Packed sequences from elsewhere.

use super::read::Malformed;
use crate::{Item, Packed, PackedRef};

/// A packed sequence that is as we would have written it: in particular no string in it is the text
/// of an integer, on which finding items relies.
#[derive(Debug)]
pub(super) enum Sequence<'a> {
    /// The bytes as they came.
    Given(PackedRef<'a>),
    /// Written anew.
    Made(Packed),
}

impl<'a> Sequence<'a> {
    /// # Errors
    /// The bytes are no packed sequence throughout.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let given = PackedRef::check(bytes).ok_or(Malformed)?;
        let usual = |item| normal(item) == item;
        Ok(match given.iter().all(usual) {
            true => Sequence::Given(given),
            false => Sequence::Made(given.iter().map(normal).collect()),
        })
    }

    pub(super) fn as_ref(&self) -> PackedRef<'_> {
        match self {
            Sequence::Given(given) => *given,
            Sequence::Made(made) => made.as_ref(),
        }
    }
}

fn normal(item: Item<'_>) -> Item<'_> {
    match item {
        Item::Int(_) => item,
        Item::Bytes(bytes) => Item::of(bytes),
    }
}
