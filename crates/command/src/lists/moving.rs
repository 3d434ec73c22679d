//! Moving an element from one list to another.

use super::pop::{KEY, pop_event};
use super::push::push_event;
use super::{node_limit, side};
use crate::string::write_string;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::{Blob, Change, List, Side, StringRef, Text};
use kevy_keyspace::{Key, Keyspace};
use smallvec::SmallVec;

/// The keys of all commands that move an element.
pub(super) const KEYS: &[KeySpec] =
    &[KeySpec::one(1, KEY), KeySpec::one(2, KeyFlags::RW.union(KeyFlags::INSERT))];

pub(super) const LMOVE: Row = Row {
    name: "lmove",
    arity: 5,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::LIST,
    keys: KEYS,
    tips: &[],
    doc: Doc {
        summary: "Takes an element off an end of a list and puts it at an end of another.",
        since: "6.2.0",
        group: Group::List,
        complexity: "O(1)",
        syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    },
    run: Run::Keys(lmove),
};
fn lmove(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (from, to) = (args.key()?, args.key()?);
    let sides = (side(&mut args)?, side(&mut args)?);
    or_null(move_one(ks, &from, &to, sides, reply)?, reply)
}

pub(super) const RPOPLPUSH: Row = Row {
    name: "rpoplpush",
    arity: 3,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::LIST,
    keys: KEYS,
    tips: &[],
    doc: Doc {
        summary: "Takes the last element off a list and puts it before the first of another.",
        since: "1.2.0",
        group: Group::List,
        complexity: "O(1)",
        syntax: "source destination",
    },
    run: Run::Keys(rpoplpush),
};
fn rpoplpush(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (from, to) = (args.key()?, args.key()?);
    or_null(move_one(ks, &from, &to, (Side::Right, Side::Left), reply)?, reply)
}

fn or_null(effect: Option<Effect>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    Ok(effect.unwrap_or_else(|| {
        reply.null();
        Effect::none()
    }))
}

/// Moves an element from one end of a list to an end of another, or of the same, and writes it.
/// None: there is no such list, and nothing was written. The keys are arguments 1 and 2; the effect
/// is recorded by the arguments as given.
pub(super) fn move_one(
    ks: &mut Keyspace<'_>,
    from: &Key<'_>,
    to: &Key<'_>,
    sides: (Side, Side),
    reply: &mut Reply<'_>,
) -> Result<Option<Effect>, Error> {
    let Some(list) = ks.look::<List>(from)? else { return Ok(None) };
    let Some(element) = list.walk_all(sides.0).next() else { return Ok(None) };
    let element = Moved::of(element);
    ks.look::<List>(to)?;
    let removed = if from.bytes == to.bytes {
        rotate(ks, from, sides, &element)?;
        false
    } else {
        transfer(ks, from, to, sides, &element)?
    };
    write_string(reply, element.as_ref());
    let mut effect = Effect::as_given(1).event(EventClass::List, push_event(sides.1), 2);
    effect.push_event(EventClass::List, pop_event(sides.0), 1);
    if removed {
        effect.push_event(EventClass::Generic, "del", 1);
    }
    Ok(Some(effect))
}

/// Moves the element within its list.
fn rotate(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    sides: (Side, Side),
    element: &Moved,
) -> Result<(), Error> {
    let limit = node_limit(ks);
    ks.update::<List, _>(key, |list| {
        list.remove_at(sides.0, 1, limit);
        list.push(sides.1, element.text(), limit);
        Change::Changed(())
    })?;
    Ok(())
}

/// Moves the element to another list; whether the first one is gone.
fn transfer(
    ks: &mut Keyspace<'_>,
    from: &Key<'_>,
    to: &Key<'_>,
    sides: (Side, Side),
    element: &Moved,
) -> Result<bool, Error> {
    let limit = node_limit(ks);
    ks.update::<List, _>(to, |list| {
        list.push(sides.1, element.text(), limit);
        Change::Changed(())
    })?;
    let taken = ks.update::<List, _>(from, |list| {
        list.remove_at(sides.0, 1, limit);
        Change::Changed(())
    })?;
    Ok(taken.removed)
}

/// An element on its way from one list to another.
enum Moved {
    Int(i64),
    Bytes(SmallVec<[u8; 128]>),
    Blob(Blob),
}

impl Moved {
    fn of(element: StringRef<'_>) -> Self {
        match element {
            StringRef::Int(value) => Self::Int(value),
            StringRef::Bytes(bytes) => Self::Bytes(SmallVec::from_slice(bytes)),
            StringRef::Blob(blob) => Self::Blob(blob.clone()),
        }
    }

    fn as_ref(&self) -> StringRef<'_> {
        match self {
            Self::Int(value) => StringRef::Int(*value),
            Self::Bytes(bytes) => StringRef::Bytes(bytes),
            Self::Blob(blob) => StringRef::Blob(blob),
        }
    }

    fn text(&self) -> Text<'_> {
        match self {
            Self::Int(value) => Text::Int(*value),
            Self::Bytes(bytes) => Text::Bytes(bytes),
            Self::Blob(blob) => Text::Blob(blob.clone()),
        }
    }
}
