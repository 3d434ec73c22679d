//! Whether keys exist, of which type they are, and their end.

use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_keyspace::{Key, Keyspace};

pub(super) const DEL: Row = Row {
    name: "del",
    arity: -2,
    flags: Flags::WRITE,
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::rest(1, KeyFlags::RM.union(KeyFlags::DELETE))],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    doc: Doc {
        summary: "Removes keys.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(N) where N is the number of keys; large values are freed in the background",
        syntax: "key [key ...]",
    },
    run: Run::Keys(remove),
};
pub(super) const UNLINK: Row = Row {
    name: "unlink",
    arity: -2,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::rest(1, KeyFlags::RM.union(KeyFlags::DELETE))],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    doc: Doc {
        summary: "Removes keys; here the same as DEL.",
        since: "4.0.0",
        group: Group::Generic,
        complexity: "O(N) where N is the number of keys; large values are freed in the background",
        syntax: "key [key ...]",
    },
    run: Run::Keys(remove),
};
fn remove(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let mut effect = Effect::none();
    while !args.at_end() {
        let at = args.position();
        if ks.remove(&args.key()?) {
            effect.changes += 1;
            effect.push_event(EventClass::Generic, "del", at);
        }
    }
    reply.integer(i64::from(effect.changes));
    Ok(effect.recorded_as_given())
}

pub(super) const EXISTS: Row = Row {
    name: "exists",
    arity: -2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::rest(1, KeyFlags::RO)],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    doc: Doc {
        summary: "Counts the keys that exist; one named twice counts twice.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(N) where N is the number of keys",
        syntax: "key [key ...]",
    },
    run: Run::Keys(exists),
};
fn exists(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    count(args, reply, |key| ks.exists(key))
}

pub(super) const TOUCH: Row = Row {
    name: "touch",
    arity: -2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::rest(1, KeyFlags::RO)],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    doc: Doc {
        summary: "Counts the keys that exist and marks them as used just now.",
        since: "3.2.1",
        group: Group::Generic,
        complexity: "O(N) where N is the number of keys",
        syntax: "key [key ...]",
    },
    run: Run::Keys(touch),
};
fn touch(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    count(args, reply, |key| ks.touch(key))
}

fn count(
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
    mut counts: impl FnMut(&Key<'_>) -> bool,
) -> Result<Effect, Error> {
    let mut count = 0;
    while !args.at_end() {
        count += i64::from(counts(&args.key()?));
    }
    reply.integer(count);
    Ok(Effect::none())
}

pub(super) const TYPE: Row = Row {
    name: "type",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns the type of the value of a key.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(kind),
};
fn kind(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    reply.simple(ks.kind(&args.key()?).map_or("none", |kind| kind.name()));
    Ok(Effect::none())
}
