//! Violations of the protocol by a client, in Redis's words.

use std::fmt;

/// Why the bytes of a client are not a command. The connection is answered with
/// [`ProtocolError::text`] and closed: where the next command begins is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// `*<count>` is not an integer, or too large.
    InvalidMultibulkLength,
    /// `*<count>` above what is allowed before authentication.
    UnauthenticatedMultibulkLength,
    /// `$<length>` is not an integer, negative, or above `proto-max-bulk-len`.
    InvalidBulkLength,
    /// `$<length>` above what is allowed before authentication.
    UnauthenticatedBulkLength,
    /// An argument begins with this byte.
    ExpectedDollar(u8),
    /// An inline command without an end within the limit.
    TooBigInline,
    /// The line of `*<count>` has no end within the limit.
    TooBigMultibulkCount,
    /// The line of `$<length>` has no end within the limit.
    TooBigBulkCount,
    /// An inline command whose quotes do not match.
    UnbalancedQuotes,
    /// A command of 4 GiB or more. Redis has no such text: it closes such connections at
    /// `client-query-buffer-limit`.
    TooBigCommand,
}

impl ProtocolError {
    /// The error to reply, without the `-` of the protocol. It may contain any byte the client
    /// sent, line breaks too: the writer of replies replaces those.
    pub fn text(&self) -> Vec<u8> {
        let mut text = b"ERR Protocol error: ".to_vec();
        if let Self::ExpectedDollar(got) = self {
            text.extend_from_slice(b"expected '$', got '");
            text.extend_from_slice(&[*got, b'\'']);
        } else {
            text.extend_from_slice(self.reason().as_bytes());
        }
        text
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::ExpectedDollar(_) => "expected '$'",
            Self::TooBigInline => "too big inline request",
            Self::TooBigMultibulkCount => "too big mbulk count string",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::TooBigCommand => "too big command",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpectedDollar(got) => {
                write!(f, "expected '$', got '{}'", got.escape_ascii())
            }
            _ => f.write_str(self.reason()),
        }
    }
}

impl std::error::Error for ProtocolError {}
