//! What the kernel reports.

use crate::buffers::Buffer;
use std::io;
use std::os::fd::OwnedFd;

/// The caller's name for an operation, given back with each of its completions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Token {
    /// Whose operation it is: an index into some table of the caller.
    pub slot: u32,
    /// Tells the tenants of the slot apart.
    pub generation: u32,
}

/// Result of one step of a multishot receive.
#[derive(Debug)]
pub enum Received {
    /// Bytes, in order of arrival. Never empty.
    Data(Buffer),
    /// The peer will send nothing more.
    EndOfStream,
    /// No buffer was free. Nothing is lost: the bytes wait in the socket.
    NoBuffers,
    /// The receive was cancelled.
    Cancelled,
    /// The connection has failed.
    Failed(io::Error),
}

/// One completion of an operation of a [`crate::Ring`].
#[derive(Debug)]
pub enum Completion<P> {
    /// A step of a multishot receive.
    Received {
        /// The caller's name for the operation.
        token: Token,
        /// What has arrived.
        result: Received,
        /// The operation goes on. If false it must be armed again to receive more.
        more: bool,
    },
    /// A send has ended.
    Sent {
        /// The caller's name for the operation.
        token: Token,
        /// What was sent, owned by the caller again.
        payload: Box<P>,
        /// Bytes that left: fewer than offered is no error.
        result: io::Result<usize>,
    },
    /// A step of a multishot accept.
    Accepted {
        /// The caller's name for the operation.
        token: Token,
        /// The new connection, blocking and close-on-exec.
        result: io::Result<OwnedFd>,
        /// The operation goes on.
        more: bool,
    },
    /// A step of a multishot poll.
    Polled {
        /// The caller's name for the operation.
        token: Token,
        /// Whether the poll succeeded.
        result: io::Result<()>,
        /// The operation goes on.
        more: bool,
    },
}

impl<P> Completion<P> {
    /// What it is and how it ended, without the bytes.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Received { result, more, .. } => format!("{result:?} (more: {more})"),
            Self::Sent { result, .. } => format!("end of a send: {result:?}"),
            Self::Accepted { result, more, .. } => format!("accept: {result:?} (more: {more})"),
            Self::Polled { result, more, .. } => format!("poll: {result:?} (more: {more})"),
        }
    }
}
