//! Adding, removing and moving members.

use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::{Change, Item, Set};
use kevy_keyspace::Keyspace;

pub(super) const SADD: Row = Row {
    name: "sadd",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Adds members to a set, which is made if it does not exist.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        syntax: "key member [member ...]",
    },
    run: Run::Keys(sadd),
};
fn sadd(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let limits = ks.limits();
    let updated = ks.update::<Set, _>(&key, |set| {
        let members = args.iter().skip(args.position()).map(Item::of);
        let added = set.extend(args.remaining(), members, limits);
        Change::when(added > 0, added)
    })?;
    reply.integer(updated.result as i64);
    Ok(count_effect(updated.result, "sadd"))
}

pub(super) const SREM: Row = Row {
    name: "srem",
    arity: -3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes members from a set; the set goes with its last member.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(N) where N is the number of members to be removed.",
        syntax: "key member [member ...]",
    },
    run: Run::Keys(srem),
};
fn srem(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let updated = ks.update_existing::<Set, _>(&key, |set| {
        let members = args.iter().skip(args.position());
        let removed = members.filter(|member| set.remove(Item::of(member))).count();
        Change::when(removed > 0, removed)
    })?;
    let Some(updated) = updated else {
        reply.integer(0);
        return Ok(Effect::none());
    };
    reply.integer(updated.result as i64);
    let mut effect = count_effect(updated.result, "srem");
    if updated.removed {
        effect.push_event(EventClass::Generic, "del", 1);
    }
    Ok(effect)
}

/// So many members were changed, all as the arguments say.
fn count_effect(changed: usize, event: &'static str) -> Effect {
    let effect = Effect::as_given(u32::try_from(changed).unwrap_or(u32::MAX));
    if changed > 0 { effect.event(EventClass::Set, event, 1) } else { effect }
}

pub(super) const SMOVE: Row = Row {
    name: "smove",
    arity: 4,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::SET,
    keys: &[
        KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
        KeySpec::one(2, KeyFlags::RW.union(KeyFlags::INSERT)),
    ],
    tips: &[],
    doc: Doc {
        summary: "Moves a member from one set to another.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(1)",
        syntax: "source destination member",
    },
    run: Run::Keys(smove),
};
fn smove(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (source, destination) = (args.key()?, args.key()?);
    let member = Item::of(args.bytes()?);
    let limits = ks.limits();
    if ks.find(&source).is_none() {
        reply.integer(0);
        return Ok(Effect::none());
    }
    let present = ks.look::<Set>(&source)?.is_some_and(|set| set.contains_item(member));
    ks.look::<Set>(&destination)?;
    reply.integer(present.into());
    if !present || source.bytes == destination.bytes {
        return Ok(Effect::none());
    }
    let taken =
        ks.update_existing::<Set, _>(&source, |set| Change::when(set.remove(member), ()))?;
    let added = ks.update::<Set, _>(&destination, |set| {
        let added = set.extend(1, std::iter::once(member), limits);
        Change::when(added > 0, ())
    })?;
    let mut effect = Effect::as_given(1 + u32::from(added.changed));
    effect.push_event(EventClass::Set, "srem", 1);
    if taken.is_some_and(|taken| taken.removed) {
        effect.push_event(EventClass::Generic, "del", 1);
    }
    if added.changed {
        effect.push_event(EventClass::Set, "sadd", 2);
    }
    Ok(effect)
}
