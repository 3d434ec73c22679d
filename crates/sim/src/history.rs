//! What clients asked and were told, in the form that the checkers read.

use crate::token::Token;
use std::collections::{BTreeMap, BTreeSet};

/// Names a key of a run.
pub(crate) type Key = u32;

/// Index into [`History::ops`].
pub(crate) type OpId = usize;

/// A moment that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// One observation or change within an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Micro {
    /// The token was appended to the key.
    Append(Key, Token),
    /// The key's value was this; an absent key has no tokens.
    Read(Key, Vec<Token>),
    /// Whether the key existed.
    Exists(Key, bool),
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Not yet answered.
    Open,
    /// Answered.
    Done,
    /// Answered: nothing was done, for a watched key had changed.
    Aborted,
    /// Its connection was lost: it happened or not.
    Lost,
}

/// One request: something that happens at one moment between its invocation and its completion.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    /// The connection that carried it.
    pub(crate) link: usize,
    /// Step of the run in which it was sent.
    pub(crate) invoke: u64,
    /// Step in which its reply had arrived.
    pub(crate) complete: u64,
    /// Virtual time of these, in ms.
    pub(crate) invoke_ms: i64,
    pub(crate) complete_ms: i64,
    pub(crate) micros: Vec<Micro>,
    pub(crate) end: End,
    /// It begins to watch keys: nothing later of its connection happens before it.
    pub(crate) watch: bool,
    /// The keys that must not have changed since they were watched.
    pub(crate) watched: Vec<(OpId, Vec<Key>)>,
    /// What it is, for people.
    pub(crate) what: String,
}

impl Op {
    /// Whether it changes something.
    pub(crate) fn writes(&self) -> bool {
        self.micros.iter().any(|micro| matches!(micro, Micro::Append(..)))
    }
}

/// A key that is written once, with a deadline.
#[derive(Clone, Debug)]
pub(crate) struct Volatile {
    /// Earliest and latest deadline that the server can have set, in ms.
    pub(crate) earliest_ms: i64,
    pub(crate) latest_ms: i64,
}

/// A write or a read of a register that is always written and read whole.
#[derive(Clone, Debug)]
pub(crate) struct RegisterOp {
    pub(crate) invoke: u64,
    pub(crate) complete: u64,
    pub(crate) write: bool,
    pub(crate) value: Token,
}

/// What is done to queues.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum QueueWork {
    /// These are appended, at one moment.
    Push(Vec<(Key, Token)>),
    /// The first element of the first of the queues that has one is taken.
    Pop {
        /// The queues.
        keys: Vec<Key>,
        /// How long is waited for it, if at all.
        wait_ms: Option<i64>,
        /// It is appended there.
        to: Option<Key>,
        /// What was taken, and from where.
        got: Option<(Key, Token)>,
    },
}

/// An operation on queues.
#[derive(Clone, Debug)]
pub(crate) struct QueueOp {
    /// As those of [`Op`].
    pub(crate) invoke: u64,
    pub(crate) complete: u64,
    pub(crate) invoke_ms: i64,
    pub(crate) complete_ms: i64,
    pub(crate) end: End,
    /// Step in which the server was seen to say that its client waits.
    pub(crate) waited: Option<u64>,
    /// Somebody ended the waiting before its time.
    pub(crate) unblocked: bool,
    pub(crate) work: QueueWork,
}

impl QueueOp {
    /// What was taken, and from where.
    pub(crate) fn got(&self) -> Option<(Key, Token)> {
        match self.work {
            QueueWork::Pop { got, .. } => got,
            QueueWork::Push(_) => None,
        }
    }

    /// Whether what it takes goes to its client only.
    pub(crate) fn pops(&self) -> bool {
        matches!(self.work, QueueWork::Pop { to: None, .. })
    }

    /// Whether what it takes goes to a queue.
    pub(crate) fn moves(&self) -> bool {
        matches!(self.work, QueueWork::Pop { to: Some(_), .. })
    }

    /// The one queue from which it takes.
    pub(crate) fn only_key(&self) -> Option<Key> {
        match &self.work {
            QueueWork::Pop { keys, .. } if keys.len() == 1 => Some(keys[0]),
            _ => None,
        }
    }

    /// Virtual time before which the server does not give up.
    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        match self.work {
            QueueWork::Pop { wait_ms: Some(wait), .. } if !self.unblocked => {
                Some(self.invoke_ms + wait)
            }
            _ => None,
        }
    }
}

/// Everything recorded in a run.
#[derive(Clone, Default, Debug)]
pub(crate) struct History {
    pub(crate) ops: Vec<Op>,
    pub(crate) volatile: BTreeMap<Key, Volatile>,
    /// All keys that are created to expire, answered or not.
    pub(crate) fleeting: BTreeSet<Key>,
    pub(crate) register: Vec<RegisterOp>,
    /// The register was emptied or exchanged at some time, so that its values have no one order.
    pub(crate) register_replaced: bool,
    /// Switches of the server by version, and views of them.
    pub(crate) switches: Vec<RegisterOp>,
    /// Operations on queues.
    pub(crate) queue: Vec<QueueOp>,
    /// What was left in the queues at the end.
    pub(crate) rest: BTreeMap<Key, Vec<Token>>,
    /// Which key a token was written to.
    pub(crate) key_of: BTreeMap<Token, Key>,
    /// Bytes of a token.
    pub(crate) size_of: BTreeMap<Token, usize>,
    /// Length of a value when this token had been appended to it, as the server said.
    pub(crate) lengths: Vec<(Token, i64)>,
}

impl History {
    /// The operations of each connection, in the order in which they were sent.
    pub(crate) fn by_link(&self) -> BTreeMap<usize, Vec<OpId>> {
        let mut links: BTreeMap<usize, Vec<OpId>> = BTreeMap::new();
        for (id, op) in self.ops.iter().enumerate() {
            links.entry(op.link).or_default().push(id);
        }
        links
    }
}
