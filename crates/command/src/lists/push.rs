//! Adding elements at the ends of a list.

use super::node_limit;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::{Change, Collection, List, Side};
use kevy_keyspace::{Key, Keyspace, Text};

const KEYS: &[KeySpec] = &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::INSERT))];

/// A row of this file, which differ in name, documentation and handler.
const fn row(name: &'static str, doc: Doc, run: Run) -> Row {
    Row {
        name,
        arity: -3,
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
        categories: Categories::LIST,
        keys: KEYS,
        tips: &[],
        doc,
        run,
    }
}

/// The documentation of a row of this file.
const fn doc(summary: &'static str, since: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: Group::List,
        complexity: "O(1) for each element.",
        syntax: "key element [element ...]",
    }
}

pub(super) const LPUSH: Row = row(
    "lpush",
    doc("Puts elements one after the other before the first one of a list.", "1.0.0"),
    Run::Keys(lpush),
);
fn lpush(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    push(ks, args, Side::Left, reply)
}

pub(super) const RPUSH: Row = row(
    "rpush",
    doc("Puts elements one after the other behind the last one of a list.", "1.0.0"),
    Run::Keys(rpush),
);
fn rpush(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    push(ks, args, Side::Right, reply)
}

pub(super) const LPUSHX: Row = row(
    "lpushx",
    doc("Puts elements before the first one of a list that exists.", "2.2.0"),
    Run::Keys(lpushx),
);
fn lpushx(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    push_existing(ks, args, Side::Left, reply)
}

pub(super) const RPUSHX: Row = row(
    "rpushx",
    doc("Puts elements behind the last one of a list that exists.", "2.2.0"),
    Run::Keys(rpushx),
);
fn rpushx(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    push_existing(ks, args, Side::Right, reply)
}

fn push(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let added = args.remaining();
    let len = extend(ks, &key, args, side)?;
    Ok(pushed(len, added, side, reply))
}

fn push_existing(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let added = args.remaining();
    if ks.look::<List>(&key)?.is_none() {
        reply.integer(0);
        return Ok(Effect::none());
    }
    let len = extend(ks, &key, args, side)?;
    Ok(pushed(len, added, side, reply))
}

/// Adds all arguments that are left; the new length.
fn extend(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    args: Args<'_>,
    side: Side,
) -> Result<usize, Error> {
    let limit = node_limit(ks);
    let updated = ks.update::<List, _>(key, |list| {
        list.extend(side, Elements(args), limit);
        Change::Changed(list.as_ref().len())
    })?;
    Ok(updated.result)
}

/// The arguments that are left, as elements.
#[derive(Clone)]
struct Elements<'a>(Args<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Text<'a>;

    #[inline]
    fn next(&mut self) -> Option<Text<'a>> {
        self.0.text().ok()
    }
}

fn pushed(len: usize, added: usize, side: Side, reply: &mut Reply<'_>) -> Effect {
    reply.integer(len as i64);
    Effect::as_given(added as u32).event(EventClass::List, push_event(side), 1)
}

/// The name of the event that elements were added at an end.
pub(super) const fn push_event(side: Side) -> &'static str {
    match side {
        Side::Left => "lpush",
        Side::Right => "rpush",
    }
}
