//! Deleting entries by their ids.

use super::{clamped, ids};
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::{Change, Stream};
use kevy_keyspace::Keyspace;

pub(super) const XDEL: Row = Row {
    name: "xdel",
    arity: -3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Deletes entries of a stream; returns how many there were.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1) for each entry",
        syntax: "key id [id ...]",
    },
    run: Run::Keys(xdel),
};
fn xdel(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    if ks.look::<Stream>(&key)?.is_none() {
        reply.integer(0);
        return Ok(Effect::none());
    }
    let ids = ids(args.iter().skip(2))?;
    let updated = ks.update_existing::<Stream, _>(&key, |stream| {
        let deleted = ids.iter().filter(|&&id| stream.entries_mut().delete(id)).count();
        Change::when(deleted > 0, deleted as u64)
    })?;
    let deleted = updated.map_or(0, |updated| updated.result);
    reply.integer(deleted as i64);
    let effect = Effect::as_given(clamped(deleted));
    Ok(match deleted {
        0 => effect,
        _ => effect.event(EventClass::Stream, "xdel", 1),
    })
}
