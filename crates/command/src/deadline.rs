//! Arguments that say when a key expires.

use crate::{Args, Error};
use kevy_data::number;

/// In what a time is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds since the Unix epoch.
    UnixSeconds,
    /// Milliseconds since the Unix epoch.
    UnixMilliseconds,
}

impl Unit {
    pub(crate) const fn is_absolute(self) -> bool {
        matches!(self, Self::UnixSeconds | Self::UnixMilliseconds)
    }

    /// The point in time in Unix milliseconds; `None` if it does not fit 64 bits.
    pub(crate) fn deadline(self, time: i64, now_ms: i64) -> Option<i64> {
        let ms = match self {
            Self::Seconds | Self::UnixSeconds => time.checked_mul(1000)?,
            Self::Milliseconds | Self::UnixMilliseconds => time,
        };
        if self.is_absolute() { Some(ms) } else { ms.checked_add(now_ms) }
    }
}

/// What becomes of a key's deadline when its string is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimeToLive<'a> {
    /// Nothing was said.
    Default,
    /// It is kept.
    Kept,
    /// It is taken away.
    Unlimited,
    /// It is to be this one.
    Until {
        /// In what it is given.
        unit: Unit,
        /// The number, not yet read: its errors come after those of the syntax.
        time: &'a [u8],
    },
}

impl TimeToLive<'_> {
    /// Takes the value of another option, if that is of the same kind or the first.
    pub(crate) fn become_one(&mut self, other: Self) -> Result<(), Error> {
        let same = match (*self, other) {
            (Self::Until { unit: a, .. }, Self::Until { unit: b, .. }) => a == b,
            (held, other) => held == Self::Default || held == other,
        };
        *self = other;
        if same { Ok(()) } else { Err(Error::SYNTAX) }
    }

    /// The point in time, for [`TimeToLive::Until`] of a positive number.
    pub(crate) fn deadline(&self, command: &str, now_ms: i64) -> Result<i64, Error> {
        let Self::Until { unit, time } = *self else { return Err(Error::SYNTAX) };
        let time = number::parse_i64(time).ok_or(Error::NOT_INTEGER)?;
        let deadline = if time > 0 { unit.deadline(time, now_ms) } else { None };
        deadline.ok_or_else(|| invalid(command))
    }
}

/// Reads one of the options `EX`, `PX`, `EXAT`, `PXAT` with its number, if it comes next.
pub(crate) fn expiry_option<'a>(
    args: &mut Args<'a>,
    wanted: &mut TimeToLive<'a>,
) -> Result<bool, Error> {
    let units = [
        ("EX", Unit::Seconds),
        ("PX", Unit::Milliseconds),
        ("EXAT", Unit::UnixSeconds),
        ("PXAT", Unit::UnixMilliseconds),
    ];
    for (word, unit) in units {
        if args.option(word) {
            wanted.become_one(TimeToLive::Until { unit, time: args.bytes()? })?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// The error for a time that is out of bounds.
pub(crate) fn invalid(command: &str) -> Error {
    Error::owned(format!("ERR invalid expire time in '{command}' command"))
}
