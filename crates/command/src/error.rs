//! Errors that clients see.

use std::borrow::Cow;
use std::fmt;

/// The line of an error reply: an upper-case code, a blank, a text; without the leading `-`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error(Cow<'static, [u8]>);

impl Error {
    /// The key holds another type than the command needs.
    pub const WRONG_TYPE: Self =
        Self::new("WRONGTYPE Operation against a key holding the wrong kind of value");
    /// The arguments do not fit the command's syntax.
    pub const SYNTAX: Self = Self::new("ERR syntax error");
    /// A number that must be a 64-bit integer is not.
    pub const NOT_INTEGER: Self = Self::new("ERR value is not an integer or out of range");
    /// A number that must be a float is not.
    pub const NOT_FLOAT: Self = Self::new("ERR value is not a valid float");
    /// The source of a rename or the subject of a look-up does not exist.
    pub const NO_KEY: Self = Self::new("ERR no such key");
    /// Source and destination are the same.
    pub const SAME_OBJECT: Self = Self::new("ERR source and destination objects are the same");
    /// A database number beyond the configured ones.
    pub const DB_OUT_OF_RANGE: Self = Self::new("ERR DB index is out of range");
    /// The client has not authenticated.
    pub const NO_AUTH: Self = Self::new("NOAUTH Authentication required.");
    /// There is no memory for a command that may need more.
    pub const OUT_OF_MEMORY: Self =
        Self::new("OOM command not allowed when used memory > 'maxmemory'.");
    /// The transaction was spoilt while it was queued.
    pub const EXEC_ABORT: Self =
        Self::new("EXECABORT Transaction discarded because of previous errors.");

    /// An error with a fixed text.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }

    /// An error with a text made for the occasion.
    #[must_use]
    pub fn owned(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }

    /// An error that repeats what the client sent, byte for byte, up to a zero byte, as Redis's
    /// formatting does.
    #[must_use]
    pub fn quoting(before: &str, sent: &[u8], after: &str) -> Self {
        Self(Cow::Owned([before.as_bytes(), shown(sent, usize::MAX), after.as_bytes()].concat()))
    }

    /// An error of these bytes.
    #[must_use]
    pub(crate) const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }

    /// The whole line.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.0
    }

    /// The code in front: `ERR`, `WRONGTYPE`…
    #[must_use]
    pub fn code(&self) -> &str {
        let code = self.0.split(|byte| *byte == b' ').next().unwrap_or_default();
        std::str::from_utf8(code).unwrap_or("ERR")
    }

    /// The refusal of an `EXEC` for this reason.
    #[must_use]
    pub fn aborts_transaction(&self) -> Self {
        let reason = self.0.strip_prefix(b"ERR ").unwrap_or(&self.0);
        let line = b"EXECABORT Transaction discarded because of: ";
        Self::from_bytes([&line[..], reason].concat())
    }

    /// A call with too few or too many arguments; `name` is `get` or `config|get`.
    #[must_use]
    pub fn arity(name: impl fmt::Display) -> Self {
        Self::owned(format!("ERR wrong number of arguments for '{name}' command"))
    }
}

/// How many bytes of names of commands and their arguments an error repeats.
pub(crate) const SHOWN: usize = 128;

/// The part of what a client sent that an error repeats: `%.*s` of C ends at a zero byte.
pub(crate) fn shown(sent: &[u8], at_most: usize) -> &[u8] {
    let sent = &sent[..sent.len().min(at_most)];
    &sent[..memchr::memchr(0, sent).unwrap_or(sent.len())]
}

impl From<kevy_keyspace::WrongType> for Error {
    fn from(_: kevy_keyspace::WrongType) -> Self {
        Self::WRONG_TYPE
    }
}
