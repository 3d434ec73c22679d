//! What commands on named fields share: `FIELDS numfields field …`, deadlines, and how changes of
//! deadlines are recorded.

use crate::deadline::{Unit, invalid};
use crate::{Args, CommandList, Effect, Error, EventClass};
use kevy_data::Hash;
use kevy_keyspace::{Key, Keyspace, Updated};

/// The latest deadline of a field, in Unix milliseconds, as in Redis: some 2,230 years.
const LATEST_MS: i64 = (1 << 46) - 1;

/// Bytes of a recorded command beside key and fields, at most.
const FRAME: usize = 128;

/// Reads `FIELDS numfields`; what remains unread are the names. `wrong_number` is the error for a
/// number that is none, or not positive.
pub(super) fn read_fields(args: &mut Args<'_>, wrong_number: &'static str) -> Result<(), Error> {
    if !args.option("FIELDS") {
        return Err(Error::new(
            "ERR Mandatory argument FIELDS is missing or not at the right position",
        ));
    }
    let count = args.int().ok().and_then(|count| usize::try_from(count).ok());
    match count {
        None | Some(0) => Err(Error::new(wrong_number)),
        Some(count) if count != args.remaining() => {
            Err(Error::new("ERR The `numfields` parameter must match the number of arguments"))
        }
        Some(_) => check_recordable(args),
    }
}

/// Names and values that are recorded must fit the commands that say so.
pub(super) fn check_recordable(args: &Args<'_>) -> Result<(), Error> {
    let bytes: usize = args.iter().map(|arg| arg.len() + FRAME).sum();
    if bytes <= u32::MAX as usize / 2 { Ok(()) } else { Err(Error::OUT_OF_MEMORY) }
}

/// The arguments that are unread.
pub(super) fn rest<'a>(args: &Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    args.iter().skip(args.position())
}

/// Reads when fields are to expire, in Unix milliseconds.
pub(super) fn read_deadline(
    args: &mut Args<'_>,
    unit: Unit,
    now_ms: i64,
    command: &str,
) -> Result<i64, Error> {
    let time = args.int()?;
    if time < 0 {
        return Err(Error::new("ERR invalid expire time, must be >= 0"));
    }
    let deadline = unit.deadline(time, now_ms).filter(|deadline| *deadline <= LATEST_MS);
    deadline.ok_or_else(|| invalid(command))
}

/// Reads an option that says when fields are to expire, if one comes next.
pub(super) fn read_unit(args: &mut Args<'_>) -> Option<Unit> {
    let units = [
        ("EX", Unit::Seconds),
        ("PX", Unit::Milliseconds),
        ("EXAT", Unit::UnixSeconds),
        ("PXAT", Unit::UnixMilliseconds),
    ];
    units.into_iter().find(|(word, _)| args.option(word)).map(|(_, unit)| unit)
}

/// What becomes of fields beside what is done with their values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// They stay as they are.
    Stay,
    /// They expire at this Unix time in milliseconds, which is to come.
    Expire(i64),
    /// They do not expire.
    Persist,
    /// They are removed.
    Remove,
}

impl Fate {
    /// That of fields with this deadline, removed if it has come.
    pub(super) fn at(deadline: i64, ks: &Keyspace<'_>) -> Self {
        if deadline <= ks.now_ms() { Self::Remove } else { Self::Expire(deadline) }
    }

    /// Makes it the fate of a field that is there; whether it was another.
    pub(super) fn befall(self, hash: &mut Hash, field: &[u8], deadline: Option<i64>) -> bool {
        match self {
            Self::Stay => false,
            Self::Expire(deadline) => hash.set_deadline(field, Some(deadline)),
            Self::Persist => deadline.is_some() && hash.set_deadline(field, None),
            Self::Remove => hash.remove(field),
        }
    }

    /// The effect of its having befallen these fields of a key.
    pub(super) fn effect(
        self,
        key: &Key<'_>,
        fields: &[&[u8]],
        updated: Option<Updated<()>>,
    ) -> Effect {
        let name = match self {
            Self::Stay => return Effect::none(),
            _ if fields.is_empty() => return Effect::none(),
            Self::Expire(_) => "hexpire",
            Self::Persist => "hpersist",
            Self::Remove => "hdel",
        };
        let mut frames = CommandList::new();
        self.record(key, fields, &mut frames);
        let changes = u32::try_from(fields.len()).unwrap_or(u32::MAX);
        let effect = Effect::frames(changes, frames).event(EventClass::Hash, name, 1);
        match updated {
            Some(updated) if updated.removed => effect.event(EventClass::Generic, "del", 1),
            _ => effect,
        }
    }

    /// Adds the command that says so of these fields, which [`check_recordable`] has seen.
    pub(super) fn record(self, key: &Key<'_>, fields: &[&[u8]], frames: &mut CommandList) {
        let (deadline, count) = match self {
            Self::Expire(deadline) => (deadline.to_string(), fields.len().to_string()),
            _ => (String::new(), fields.len().to_string()),
        };
        let (deadline, count) = (deadline.as_bytes(), count.as_bytes());
        let head: &[&[u8]] = match self {
            Self::Stay => return,
            Self::Expire(_) => &[b"HPEXPIREAT", key.bytes, deadline, b"FIELDS", count],
            Self::Persist => &[b"HPERSIST", key.bytes, b"FIELDS", count],
            Self::Remove => &[b"HDEL", key.bytes],
        };
        let fits = frames.push(head.iter().chain(fields).copied());
        debug_assert!(fits, "checked before anything was changed");
    }
}
