//! Typed access to the arguments of a call.

use crate::Error;
use kevy_data::{Blob, number};
use kevy_keyspace::{Key, Placement, Text};
use kevy_resp::Span;

/// A key that was hashed while its command was read.
#[derive(Clone, Copy, Debug)]
pub struct PlacedKey {
    /// Its position among the arguments.
    pub arg: u32,
    /// The store it lives in.
    pub store: u32,
    /// Its hash, for the table of the store.
    pub hash: u64,
}

/// The arguments of one call, the command's name at position 0.
///
/// Read them in order with [`Args::key`], [`Args::int`]… and close with [`Args::end`], or by
/// position with [`Args::get`]. All of it borrows.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    blob: Option<&'a Blob>,
    keys: &'a [PlacedKey],
    placement: Placement,
    at: usize,
}

impl<'a> Args<'a> {
    /// Arguments whose `spans` lie in `bytes`. If there is a `blob`, it takes the place of the
    /// last span. `keys` are those placed already, in order of their positions.
    #[inline]
    #[must_use]
    pub fn new(
        bytes: &'a [u8],
        spans: &'a [Span],
        blob: Option<&'a Blob>,
        keys: &'a [PlacedKey],
        placement: Placement,
    ) -> Self {
        Self { bytes, spans, blob, keys, placement, at: 1 }
    }

    /// How many arguments there are, the name included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `at`.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(at)?;
        if let Some(blob) = self.blob
            && at + 1 == self.spans.len()
        {
            return Some(blob.as_ref());
        }
        self.bytes.get(span.start as usize..span.start as usize + span.len as usize)
    }

    /// The name of the command as the client wrote it.
    #[inline]
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.get(0).unwrap_or_default()
    }

    /// The last argument, if it was received straight into its own allocation.
    #[inline]
    #[must_use]
    pub fn blob(&self) -> Option<&'a Blob> {
        self.blob
    }

    /// All arguments, the name first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let this = *self;
        (0..this.len()).map(move |at| this.get(at).unwrap_or_default())
    }

    /// The position of the next argument to read.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many arguments are unread.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.len().saturating_sub(self.at)
    }

    /// Goes on at position `at`.
    pub fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// The next argument.
    ///
    /// # Errors
    /// A syntax error if there is none.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let bytes = self.get(self.at).ok_or(Error::SYNTAX)?;
        self.at += 1;
        Ok(bytes)
    }

    /// The next argument, if there is one, without reading it.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.get(self.at)
    }

    /// The next argument as a key.
    ///
    /// # Errors
    /// A syntax error if there is none.
    #[inline]
    pub fn key(&mut self) -> Result<Key<'a>, Error> {
        let key = self.key_at(self.at).ok_or(Error::SYNTAX)?;
        self.at += 1;
        Ok(key)
    }

    /// The argument at `at` as a key.
    #[inline]
    #[must_use]
    pub fn key_at(&self, at: usize) -> Option<Key<'a>> {
        let bytes = self.get(at)?;
        match self.placed(at) {
            Some(placed) => Some(Key { bytes, hash: placed.hash, store: placed.store }),
            None => Some(self.placement.key(bytes)),
        }
    }

    /// What is known of the key at `at`. Keys are placed in order of their positions.
    #[inline]
    fn placed(&self, at: usize) -> Option<&'a PlacedKey> {
        match self.keys {
            [only] => (only.arg as usize == at).then_some(only),
            keys => {
                let found = keys.binary_search_by_key(&at, |placed| placed.arg as usize).ok()?;
                keys.get(found)
            }
        }
    }

    /// The next argument as a value to be stored.
    ///
    /// # Errors
    /// A syntax error if there is none.
    #[inline]
    pub fn text(&mut self) -> Result<Text<'a>, Error> {
        if let Some(blob) = self.blob
            && self.at + 1 == self.len()
        {
            self.at += 1;
            return Ok(Text::Blob(blob.clone()));
        }
        self.bytes().map(Text::Bytes)
    }

    /// The next argument as a 64-bit integer.
    ///
    /// # Errors
    /// `value is not an integer or out of range`, or a syntax error if there is none.
    #[inline]
    pub fn int(&mut self) -> Result<i64, Error> {
        number::parse_i64(self.bytes()?).ok_or(Error::NOT_INTEGER)
    }

    /// The next argument as an integer of at least `min`.
    ///
    /// # Errors
    /// `error` if it is none, or less; a syntax error if there is none.
    pub fn int_from(&mut self, min: i64, error: Error) -> Result<i64, Error> {
        number::parse_i64(self.bytes()?).filter(|value| *value >= min).ok_or(error)
    }

    /// The next argument as a float, be it infinite.
    ///
    /// # Errors
    /// `value is not a valid float`, or a syntax error if there is none.
    pub fn float(&mut self) -> Result<f64, Error> {
        number::parse_f64(self.bytes()?).ok_or(Error::NOT_FLOAT)
    }

    /// The next argument as a 32-bit integer, which database numbers are.
    ///
    /// # Errors
    /// As [`Args::int`], and `value is out of range, value must between …`.
    pub fn small_int(&mut self) -> Result<i32, Error> {
        i32::try_from(self.int()?).map_err(|_| {
            let (min, max) = (i32::MIN, i32::MAX);
            Error::owned(format!("ERR value is out of range, value must between {min} and {max}"))
        })
    }

    /// Reads the next argument if it is `word`, in any case.
    #[inline]
    pub fn option(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        self.at += usize::from(found);
        found
    }

    /// Whether all arguments have been read.
    #[inline]
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.at >= self.len()
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// A syntax error if something is.
    #[inline]
    pub fn end(&self) -> Result<(), Error> {
        if self.at_end() { Ok(()) } else { Err(Error::SYNTAX) }
    }

    /// Where keys live.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// The call that the arguments from `at` on are: the one that a command is given to look at.
    #[must_use]
    pub fn inner(&self, at: usize) -> Self {
        let spans = self.spans.get(at..).unwrap_or_default();
        Self { spans, keys: &[], at: 1, ..*self }
    }

    /// The same call with `keys` placed.
    #[must_use]
    pub fn with_keys(mut self, keys: &'a [PlacedKey]) -> Self {
        self.keys = keys;
        self
    }
}
