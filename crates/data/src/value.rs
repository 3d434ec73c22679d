//! Values made of elements: what every such type offers, and all of them as one.

use crate::{Encoding, Hash, Kind, List, Set, SortedSet, Stream};

/// A type of value made of elements.
///
/// A small value that is one piece of bytes is kept inside the record of its key; everything
/// else is a [`Value`] of its own. What commands read is the borrowed view `Ref`, which stands on
/// either.
pub trait Collection: Held + Default + Clone + Send + Sync + 'static {
    /// The type.
    const KIND: Kind;

    /// The value, borrowed for reading.
    type Ref<'a>: Copy;

    /// The view of this value.
    fn as_ref(&self) -> Self::Ref<'_>;

    /// Whether it has no elements: then its key must not exist.
    fn is_empty(&self) -> bool;

    /// How it is represented.
    fn encoding(this: Self::Ref<'_>) -> Encoding;

    /// Bytes held from the allocator beside the value's own size. O(1).
    fn memory(&self) -> usize;

    /// Drops about `budget` elements; how many. 0: what is left is dropped at once.
    fn free_slice(&mut self, budget: usize) -> usize;

    /// Whether dropping it would stall a shard: some 20 µs or 64 allocations.
    fn is_heavy(&self) -> bool;

    /// When the first of its elements expires on its own, in Unix milliseconds.
    fn next_deadline(_: Self::Ref<'_>) -> Option<i64> {
        None
    }

    /// When the last of its elements expires on its own, if all do: then nothing is left of it.
    fn last_deadline(_: Self::Ref<'_>) -> Option<i64> {
        None
    }

    /// The value as one piece of bytes, if it is one; the flag tells two such encodings apart.
    fn inline(&self) -> Option<(bool, &[u8])>;

    /// The value of what [`inline`](Self::inline) gave.
    fn from_inline(variant: bool, bytes: &[u8]) -> Self;

    /// The view of what [`inline`](Self::inline) gave.
    fn ref_inline(variant: bool, bytes: &[u8]) -> Self::Ref<'_>;
}

/// How a type stands among all types.
pub trait Held: Sized {
    /// The value, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;

    /// The value for changing, if it is of this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;

    /// One of all values.
    fn into_value(self) -> Value;
}

/// What a change of a collection has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change<R> {
    /// The value is another.
    Changed(R),
    /// It is as before.
    Unchanged(R),
}

impl<R> Change<R> {
    /// `Changed` if `changed`.
    pub fn when(changed: bool, result: R) -> Self {
        if changed { Change::Changed(result) } else { Change::Unchanged(result) }
    }

    /// What came of it, and whether there was a change.
    pub fn parts(self) -> (R, bool) {
        match self {
            Change::Changed(result) => (result, true),
            Change::Unchanged(result) => (result, false),
        }
    }
}

macro_rules! values {
    ($($kind:ident($type:ident)),* $(,)?) => {
        /// A value of any type that is made of elements.
        #[derive(Clone, Debug)]
        pub enum Value {
            $(
                #[doc = concat!("A [`", stringify!($type), "`].")]
                $kind($type),
            )*
        }

        impl Value {
            /// Its type.
            pub fn kind(&self) -> Kind {
                match self { $(Value::$kind(_) => Kind::$kind,)* }
            }

            /// How it is represented.
            pub fn encoding(&self) -> Encoding {
                match self { $(Value::$kind(value) => $type::encoding(value.as_ref()),)* }
            }

            /// Bytes held from the allocator beside its own size.
            pub fn memory(&self) -> usize {
                match self { $(Value::$kind(value) => value.memory(),)* }
            }

            /// See [`Collection::free_slice`].
            pub fn free_slice(&mut self, budget: usize) -> usize {
                match self { $(Value::$kind(value) => value.free_slice(budget),)* }
            }

            /// See [`Collection::is_heavy`].
            pub fn is_heavy(&self) -> bool {
                match self { $(Value::$kind(value) => value.is_heavy(),)* }
            }

            /// How a value that lies inside a record is represented.
            pub(crate) fn inline_encoding(kind: Kind, variant: bool, bytes: &[u8]) -> Encoding {
                match kind {
                    $(Kind::$kind => $type::encoding($type::ref_inline(variant, bytes)),)*
                    _ => Encoding::Raw,
                }
            }
        }

        $(
            impl Held for $type {
                fn of(value: &Value) -> Option<&Self> {
                    match value {
                        Value::$kind(value) => Some(value),
                        #[allow(unreachable_patterns, reason = "one type is all types")]
                        _ => None,
                    }
                }

                fn of_mut(value: &mut Value) -> Option<&mut Self> {
                    match value {
                        Value::$kind(value) => Some(value),
                        #[allow(unreachable_patterns, reason = "one type is all types")]
                        _ => None,
                    }
                }

                fn into_value(self) -> Value {
                    Value::$kind(self)
                }
            }
        )*
    };
}

values! {
    Hash(Hash),
    List(List),
    Stream(Stream),
    Set(Set),
    SortedSet(SortedSet),
}

const _: () = assert!(size_of::<Value>() <= 40);
