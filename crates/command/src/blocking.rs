//! Commands that may wait: what their attempt reports.
//!
//! The handler of such a row tries without waiting. If nothing is there it says what it waits
//! for, and the runtime runs it again when a key of these has changed. It writes the reply that
//! a caller gets who cannot wait (inside `MULTI`, in a script); for one who can it is dropped.

use crate::{Args, CommandList, Effect, Error, Reply};
use kevy_data::{Kind, number};
use kevy_keyspace::Keyspace;
use std::ops::Range;

/// The handler of a row that may wait.
pub type AttemptFn = fn(&mut Keyspace<'_>, Args<'_>, &mut Reply<'_>) -> Result<Attempt, Error>;

/// What came of an attempt.
#[derive(Debug)]
#[must_use]
pub enum Attempt {
    /// The command has run and its reply is written.
    Done(Effect),
    /// Nothing is there, and the reply says so.
    Nothing(Wait),
}

impl From<Effect> for Attempt {
    fn from(effect: Effect) -> Self {
        Self::Done(effect)
    }
}

/// What a command waits for.
#[derive(Debug)]
pub struct Wait {
    /// The type of data that may satisfy it.
    pub kind: Kind,
    /// The arguments that are the keys on which it waits.
    pub keys: Range<usize>,
    /// How long, in ms; 0: for ever.
    pub timeout_ms: u64,
    /// The attempt needs all keys of the call at once. Otherwise each of [`Wait::keys`] may
    /// satisfy it alone, and when it runs again only some of them may be there.
    pub whole: bool,
    /// It is to run again also when a key has gone or has become another type: then there is an
    /// error to tell.
    pub loss: bool,
    /// What the attempt has done all the same (`XREADGROUP` makes its consumer).
    pub effect: Effect,
    /// The one call that takes the place of the given one when it runs again: where that one
    /// depends on the moment (`$` of `XREAD`). The keys stand where they stood.
    pub again: Option<Box<CommandList>>,
}

impl Wait {
    /// Waits for data of this type in each of the keys at `keys`.
    #[must_use]
    pub fn data(kind: Kind, keys: Range<usize>, timeout_ms: u64) -> Self {
        Self {
            kind,
            keys,
            timeout_ms,
            whole: false,
            loss: false,
            effect: Effect::none(),
            again: None,
        }
    }

    /// The attempt needs all keys of the call at once.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// It is to be told when a key has gone.
    #[must_use]
    pub fn or_loss(self) -> Self {
        Self { loss: true, ..self }
    }

    /// This call is made when it runs again.
    #[must_use]
    pub fn again(self, call: CommandList) -> Self {
        Self { again: Some(Box::new(call)), ..self }
    }
}

const NEGATIVE: Error = Error::new("ERR timeout is negative");
const OUT_OF_RANGE: Error = Error::new("ERR timeout is out of range");

impl Args<'_> {
    /// The next argument as a timeout in seconds, rounded up to whole ms; 0 waits for ever.
    /// `now_ms` decides what is out of range.
    ///
    /// # Errors
    /// It is no number, negative, or ends beyond what a time can be.
    pub fn timeout_secs(&mut self, now_ms: i64) -> Result<u64, Error> {
        let text = self.bytes()?;
        let Some(seconds) = number::parse_f64(text) else {
            // What a `long double` holds and a double does not is far out of range.
            return Err(match number::LongDouble::parse(text) {
                Some(_) => OUT_OF_RANGE,
                None => Error::new("ERR timeout is not a float or out of range"),
            });
        };
        let millis = (seconds * 1000.0).ceil();
        if millis > i64::MAX as f64 {
            return Err(OUT_OF_RANGE);
        }
        checked(millis as i64, now_ms)
    }

    /// The next argument as a timeout in ms; 0 waits for ever. `now_ms` decides what is out of
    /// range.
    ///
    /// # Errors
    /// It is no integer, negative, or ends beyond what a time can be.
    pub fn timeout_millis(&mut self, now_ms: i64) -> Result<u64, Error> {
        let millis = number::parse_i64(self.bytes()?)
            .ok_or(Error::new("ERR timeout is not an integer or out of range"))?;
        checked(millis, now_ms)
    }
}

fn checked(millis: i64, now_ms: i64) -> Result<u64, Error> {
    let millis_u64 = u64::try_from(millis).map_err(|_| NEGATIVE)?;
    match millis.checked_add(now_ms.max(0)) {
        Some(_) => Ok(millis_u64),
        None => Err(OUT_OF_RANGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kevy_keyspace::Placement;
    use kevy_resp::Span;

    const NOW: i64 = 1_700_000_000_000;

    fn read(text: &str, seconds: bool) -> Result<u64, String> {
        let spans = [Span { start: 0, len: 0 }, Span { start: 0, len: text.len() as u32 }];
        let mut args = Args::new(text.as_bytes(), &spans, None, &[], Placement::new(1));
        let read = if seconds { args.timeout_secs(NOW) } else { args.timeout_millis(NOW) };
        read.map_err(|error| String::from_utf8_lossy(error.text()).into_owned())
    }

    #[test]
    fn timeouts_in_seconds_are_rounded_up_to_ms() {
        let cases =
            [("0", 0), ("0.0", 0), ("1", 1000), ("0.0001", 1), ("2.5", 2500), ("1e3", 1_000_000)];
        for (text, millis) in cases {
            assert_eq!(read(text, true), Ok(millis), "{text}");
        }
        let error = |text: &str| read(text, true).unwrap_err();
        for text in ["", "x", "nan", "1 ", " 1"] {
            assert_eq!(error(text), "ERR timeout is not a float or out of range", "{text}");
        }
        for text in ["-1", "-0.01", "-inf"] {
            assert_eq!(error(text), "ERR timeout is negative", "{text}");
        }
        for text in ["inf", "1e300", "1e400", "9223372036854775", "9223372036854775807"] {
            assert_eq!(error(text), "ERR timeout is out of range", "{text}");
        }
    }

    #[test]
    fn timeouts_in_ms_are_integers() {
        assert_eq!(read("0", false), Ok(0));
        assert_eq!(read("1500", false), Ok(1500));
        let error = |text: &str| read(text, false).unwrap_err();
        assert_eq!(error("1.5"), "ERR timeout is not an integer or out of range");
        assert_eq!(error("-1"), "ERR timeout is negative");
        assert_eq!(error("9223372036854775807"), "ERR timeout is out of range");
    }
}
