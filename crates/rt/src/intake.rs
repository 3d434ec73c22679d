//! The receive lane of a connection of the io_uring driver, and its share of the buffers.
//!
//! A multishot receive takes buffers as long as there are bytes and buffers, so one fast sender
//! could take all of them, turn after turn, and fill every turn with its bytes. Whoever takes
//! more than its share is therefore moved to a small group of buffers in which fast senders
//! compete only with one another, and of which a turn can take in no more than there are. Those
//! that wait for it stand in line, and a few of them are armed in each turn.

use kevy_uring::{Buffer, OpId};

/// Buffers that one connection may take in one turn from those that all share.
const SHARE: u16 = 8;
/// Receives in bulk armed in one turn. More would find the buffers taken by the first ones.
pub(crate) const BULK_ARMS: usize = 2;
/// If no buffer is left for a receive that was armed at most so many turns ago and has had none,
/// it was out of luck; else its socket has been empty. The bytes of several turns can lie between
/// a submission and the news that it came to nothing.
const UNLUCKY_TURNS: u64 = 16;

/// What the kernel does for the lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receive {
    /// No receive is armed.
    Idle,
    /// In the line for receiving in bulk.
    Waiting,
    Armed(OpId),
    /// Cancelled, its last completion still to come.
    Stopping(OpId),
    /// Nothing more will come.
    Ended,
}

/// The receive lane of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intake {
    pub(crate) state: Receive,
    /// It receives in bulk, or will from its next receive on.
    pub(crate) bulk: bool,
    /// What is armed takes from the buffers that all share, although it is to receive in bulk.
    pub(crate) misplaced: bool,
    /// When it was armed and when it last received, in turns.
    armed: u64,
    last: u64,
    /// Buffers taken in the turn `last`.
    taken: u16,
    /// The last receive left bytes in the socket, as far as one can tell.
    hungry: bool,
}

/// Where a connection goes that found no buffer left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Back,
    /// It has had nothing since it was armed.
    Front,
}

impl Intake {
    pub(crate) const fn new() -> Self {
        let (state, hungry) = (Receive::Idle, false);
        Self { state, bulk: false, misplaced: false, armed: 0, last: 0, taken: 0, hungry }
    }

    pub(crate) const fn arm(&mut self, op: OpId, turn: u64) {
        self.state = Receive::Armed(op);
        self.armed = turn;
        self.misplaced = false;
    }

    /// Takes note of bytes received, with `share` of the buffers for each connection. Returns
    /// whether the connection has just exceeded it.
    pub(crate) fn note(&mut self, buffer: &Buffer, turn: u64, share: u16) -> bool {
        self.count(buffer.is_full(), turn, share)
    }

    fn count(&mut self, full: bool, turn: u64, share: u16) -> bool {
        if self.last != turn {
            self.last = turn;
            self.taken = 0;
        }
        self.taken = self.taken.saturating_add(1);
        self.hungry = full || self.taken > share;
        let exceeds = !self.bulk && self.taken > share;
        self.bulk |= exceeds;
        self.misplaced |= exceeds;
        exceeds
    }

    /// Takes note that no buffer was left. A connection that does not need many buffers (any
    /// more) returns to those that all share.
    pub(crate) const fn ran_out(&mut self, turn: u64) -> Place {
        if self.misplaced {
            return Place::Back;
        }
        let nothing = self.last <= self.armed;
        let unlucky = turn - self.armed <= UNLUCKY_TURNS;
        self.bulk = self.bulk && if nothing { unlucky } else { self.hungry };
        if nothing { Place::Front } else { Place::Back }
    }
}

/// The share of a connection in `buffers` buffers.
pub(crate) fn share(buffers: u16) -> u16 {
    (buffers / 4).clamp(1, SHARE)
}
