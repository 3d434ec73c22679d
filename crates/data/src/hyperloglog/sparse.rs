//! Registers as runs of equal ones, each in one byte or two:
//!
//! ```text
//! 00llllll           l + 1 zeros
//! 01llllll llllllll  l + 1 zeros
//! 1rrrrrll           l + 1 registers of r + 1
//! ```
//!
//! A change splits a run in up to three and then joins neighbours, in the very steps of Redis: the
//! same elements give the same bytes.

use super::{Corrupted, REGISTERS};
use std::fmt;

const LONG_ZEROS: u8 = 0x40;
const VALUE: u8 = 0x80;
/// The greatest register that a run can have.
const RANK_MAX: u8 = 32;
const VALUES_MAX: usize = 4;
const ZEROS_MAX: usize = 64;
/// How many runs are looked at for joining.
const JOINED: usize = 5;

/// Equal registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub(super) rank: u8,
    pub(super) len: usize,
    /// Bytes of its representation.
    width: usize,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rank, self.width) {
            (0, 1) => write!(f, "z:{}", self.len),
            (0, _) => write!(f, "Z:{}", self.len),
            (rank, _) => write!(f, "v:{rank},{}", self.len),
        }
    }
}

/// The run at the front. The second byte of one that is cut off counts as zero.
#[inline]
fn first(bytes: &[u8]) -> Option<Run> {
    let head = *bytes.first()?;
    let low = usize::from(head & 0x3f);
    Some(if head & VALUE != 0 {
        Run { rank: (head >> 2 & 0x1f) + 1, len: usize::from(head & 3) + 1, width: 1 }
    } else if head & LONG_ZEROS != 0 {
        let next = bytes.get(1).copied().unwrap_or(0);
        Run { rank: 0, len: (low << 8 | usize::from(next)) + 1, width: 2 }
    } else {
        Run { rank: 0, len: low + 1, width: 1 }
    })
}

/// All runs.
pub(super) fn runs(mut bytes: &[u8]) -> impl Iterator<Item = Run> {
    std::iter::from_fn(move || {
        let run = first(bytes)?;
        bytes = bytes.get(run.width..).unwrap_or_default();
        Some(run)
    })
}

/// Whether the runs are whole and there are as many registers as there must be.
pub(super) fn check(bytes: &[u8]) -> Result<(), Corrupted> {
    let (mut registers, mut width) = (0, 0);
    for run in runs(bytes) {
        registers += run.len;
        width += run.width;
    }
    if registers == REGISTERS && width == bytes.len() { Ok(()) } else { Err(Corrupted) }
}

/// The register at `index`, if the runs reach so far.
pub(super) fn get(bytes: &[u8], index: usize) -> Option<u8> {
    let mut end = 0;
    let covers = |run: &Run| {
        end += run.len;
        end > index
    };
    runs(bytes).find(covers).map(|run| run.rank)
}

/// A run from which the search may begin: not behind the one before the last change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Position in the runs' bytes.
    at: usize,
    /// The run's first register.
    index: usize,
}

impl Place {
    pub(super) const START: Self = Self { at: 0, index: 0 };
}

/// The runs of a sketch that has seen nothing.
pub(super) const NOTHING: [u8; 2] = [LONG_ZEROS | ((REGISTERS - 1) >> 8) as u8, 0xff];

/// The bytes that take the place of a run: at most two runs of zeros and a value.
#[derive(Default)]
struct Parts {
    bytes: [u8; 5],
    len: usize,
}

impl Parts {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push_zeros(&mut self, len: usize) {
        if len > ZEROS_MAX {
            let [low, high] = ((len - 1) as u16).to_le_bytes();
            self.push(LONG_ZEROS | high);
            self.push(low);
        } else if len > 0 {
            self.push((len - 1) as u8);
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn values(rank: u8, len: usize) -> u8 {
    VALUE | (rank - 1) << 2 | (len - 1) as u8
}

/// Raises the register at `index` in the runs that `bytes` has from `head` on; where the search for
/// a later register may begin, and whether anything changed. None: it cannot be done within `room`
/// bytes of runs, and nothing was changed.
///
/// # Errors
/// The runs do not reach so far. What lies behind the register is not looked at.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    head: usize,
    room: usize,
    index: usize,
    rank: u8,
    from: Place,
) -> Result<Option<(Place, bool)>, Corrupted> {
    if rank > RANK_MAX {
        return Ok(None);
    }
    let run_at = |place: Place| bytes.get(head + place.at..).and_then(first).ok_or(Corrupted);
    // The run that covers the register, and the two before it.
    let (mut place, mut before, mut earlier) = (from, None, from);
    let mut run = run_at(place)?;
    while index >= place.index + run.len {
        (earlier, before) = (before.unwrap_or(from), Some(place));
        place = Place { at: place.at + run.width, index: place.index + run.len };
        run = run_at(place)?;
    }
    if run.rank >= rank {
        return Ok(Some((earlier, false)));
    }
    let at = head + place.at;
    if run.len == 1 {
        bytes[at] = values(rank, 1);
    } else {
        let parts = split(run, index - place.index, rank);
        if parts.len > run.width && bytes.len() - head + parts.len - run.width > room {
            return Ok(None);
        }
        // A run of two bytes may be cut off at the end.
        let end = (at + run.width).min(bytes.len());
        bytes.splice(at..end, parts.as_slice().iter().copied());
    }
    join(bytes, head + before.unwrap_or(place).at);
    Ok(Some((earlier, true)))
}

/// The runs that take the place of `run` when the register at `at` inside it is raised.
fn split(run: Run, at: usize, rank: u8) -> Parts {
    let mut parts = Parts::default();
    let part = |parts: &mut Parts, len: usize| match run.rank {
        0 => parts.push_zeros(len),
        _ if len > 0 => parts.push(values(run.rank, len)),
        _ => {}
    };
    part(&mut parts, at);
    parts.push(values(rank, 1));
    part(&mut parts, run.len - at - 1);
    parts
}

/// Joins equal runs of values among the first few from the position `at` on.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    let mut left = JOINED;
    while left > 0 && at < bytes.len() {
        left -= 1;
        let Some(run) = bytes.get(at..).and_then(first) else { return };
        let next = bytes.get(at + run.width..).and_then(first);
        match next {
            Some(next)
                if run.rank > 0 && next.rank == run.rank && run.len + next.len <= VALUES_MAX =>
            {
                bytes[at] = values(run.rank, run.len + next.len);
                bytes.remove(at + 1);
            }
            _ => at += run.width,
        }
    }
}
