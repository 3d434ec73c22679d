//! Asking for the positions of members.

use super::{unit, write_distance, write_position};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::geohash::Position;
use kevy_data::sorted_set::SortedSet;
use kevy_keyspace::Keyspace;

pub(super) const GEODIST: Row = Row {
    name: "geodist",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::GEO,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the distance of two members.",
        since: "3.2.0",
        group: Group::Geo,
        complexity: "O(1)",
        syntax: "key member1 member2 [M | KM | FT | MI]",
    },
    run: Run::Keys(geodist),
};
fn geodist(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, one, other) = (args.key()?, args.bytes()?, args.bytes()?);
    let metres = match args.remaining() {
        0 => 1.0,
        1 => unit(&mut args)?,
        _ => return Err(Error::SYNTAX),
    };
    let set = ks.read::<SortedSet>(&key)?;
    let position = |member| set.and_then(|set| set.score(member)).map(Position::of_score);
    match position(one).zip(position(other)) {
        Some((one, other)) => write_distance(reply, one.distance(other) / metres),
        None => reply.null(),
    }
    Ok(Effect::none())
}

pub(super) const GEOHASH: Row = Row {
    name: "geohash",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::GEO,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the geohashes of members, each as a text.",
        since: "3.2.0",
        group: Group::Geo,
        complexity: "O(1) for each member asked for",
        syntax: "key [member [member ...]]",
    },
    run: Run::Keys(geohash),
};
fn geohash(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    each_position(ks, args, reply, |reply, position| match position {
        Some(position) => reply.bulk(&position.geohash()),
        None => reply.null(),
    })
}

pub(super) const GEOPOS: Row = Row {
    name: "geopos",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::GEO,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the longitudes and latitudes of members.",
        since: "3.2.0",
        group: Group::Geo,
        complexity: "O(1) for each member asked for",
        syntax: "key [member [member ...]]",
    },
    run: Run::Keys(geopos),
};
fn geopos(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    each_position(ks, args, reply, |reply, position| match position {
        Some(position) => write_position(reply, position),
        None => reply.null_array(),
    })
}

fn each_position(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
    mut write: impl FnMut(&mut Reply<'_>, Option<Position>),
) -> Result<Effect, Error> {
    let set = ks.read::<SortedSet>(&args.key()?)?;
    reply.array(args.remaining());
    while !args.at_end() {
        let member = args.bytes()?;
        write(reply, set.and_then(|set| set.score(member)).map(Position::of_score));
    }
    Ok(Effect::none())
}
