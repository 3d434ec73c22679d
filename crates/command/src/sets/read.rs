//! What a set holds.

use super::write_member;
use crate::walk::{WalkOptions, write_walk};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::{IntBuffer, Set};
use kevy_keyspace::Keyspace;

pub(super) const SCARD: Row = Row {
    name: "scard",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns how many members a set has.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(scard),
};
fn scard(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let set = ks.read::<Set>(&args.key()?)?;
    reply.integer(set.map_or(0, |set| set.len() as i64));
    Ok(Effect::none())
}

pub(super) const SISMEMBER: Row = Row {
    name: "sismember",
    arity: 3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Tells whether a set has a member.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(1)",
        syntax: "key member",
    },
    run: Run::Keys(sismember),
};
fn sismember(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let member = args.bytes()?;
    let found = ks.read::<Set>(&key)?.is_some_and(|set| set.contains(member));
    reply.integer(found.into());
    Ok(Effect::none())
}

pub(super) const SMISMEMBER: Row = Row {
    name: "smismember",
    arity: -3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Tells for each of several members whether a set has it.",
        since: "6.2.0",
        group: Group::Set,
        complexity: "O(N) where N is the number of elements being checked for membership",
        syntax: "key member [member ...]",
    },
    run: Run::Keys(smismember),
};
fn smismember(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let set = ks.read::<Set>(&args.key()?)?;
    reply.array(args.remaining());
    for member in args.iter().skip(args.position()) {
        reply.integer(set.is_some_and(|set| set.contains(member)).into());
    }
    Ok(Effect::none())
}

pub(super) const SMEMBERS: Row = Row {
    name: "smembers",
    arity: 2,
    flags: Flags::READONLY,
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns all members of a set.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(N) where N is the set cardinality.",
        syntax: "key",
    },
    run: Run::Keys(smembers),
};
fn smembers(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    match ks.read::<Set>(&args.key()?)? {
        None => reply.set(0),
        Some(set) => {
            reply.set(set.len());
            set.iter().for_each(|member| write_member(reply, member));
        }
    }
    Ok(Effect::none())
}

pub(super) const SSCAN: Row = Row {
    name: "sscan",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns some members of a set and where to go on: a walk in steps.",
        since: "2.8.0",
        group: Group::Set,
        complexity: "O(1) for every call, O(N) for a whole walk",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
    },
    run: Run::Keys(sscan),
};
fn sscan(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let cursor = WalkOptions::read_cursor(&mut args)?;
    let Some(set) = ks.read::<Set>(&key)? else {
        write_walk(reply, |_| (0, 0));
        return Ok(Effect::none());
    };
    let options = WalkOptions::read(&mut args)?;
    write_walk(reply, |reply| {
        let (mut found, mut buffer) = (0, IntBuffer::new());
        let next = set.walk(cursor, options.count, |member| {
            if options.matches_all() || options.matches(member.text(&mut buffer)) {
                write_member(reply, member);
                found += 1;
            }
        });
        (next, found)
    });
    Ok(Effect::none())
}
