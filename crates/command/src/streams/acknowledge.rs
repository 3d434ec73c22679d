//! Acknowledging what was delivered.

use super::{clamped, ids};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::{Change, Stream};
use kevy_keyspace::Keyspace;

pub(super) const XACK: Row = Row {
    name: "xack",
    arity: -4,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Acknowledges entries that were delivered; returns how many were pending.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(log N) for each entry, where N is the number of entries pending",
        syntax: "key group id [id ...]",
    },
    run: Run::Keys(xack),
};
fn xack(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let (key, group) = (args.key()?, args.bytes()?);
    let stream = ks.look::<Stream>(&key)?;
    if stream.is_none_or(|stream| stream.groups().get(group).is_none()) {
        reply.integer(0);
        return Ok(Effect::none());
    }
    let ids = ids(args.iter().skip(3))?;
    let updated = ks.update_existing::<Stream, _>(&key, |stream| {
        let acknowledged = stream.groups_mut().get_mut(group).map_or(0, |mut group| {
            ids.iter().filter(|&&id| group.remove_pending(id).is_some()).count()
        });
        Change::when(acknowledged > 0, acknowledged)
    })?;
    let acknowledged = updated.map_or(0, |updated| updated.result as u64);
    reply.integer(acknowledged as i64);
    Ok(Effect::as_given(clamped(acknowledged)))
}
