//! Several strings at once.

use super::write_string;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, EventKey, Flags, Group, KeyFlags, KeySpec,
    Reply, Row, Run,
};
use kevy_keyspace::{Expiry, Keyspace};

pub(super) const MGET: Row = Row {
    name: "mget",
    arity: -2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::STRING,
    keys: &[KeySpec::rest(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["request_policy:multi_shard"],
    doc: Doc {
        summary: "Returns the strings of several keys.",
        since: "1.0.0",
        group: Group::String,
        complexity: "O(N) where N is the number of keys to retrieve.",
        syntax: "key [key ...]",
    },
    run: Run::Keys(mget),
};
fn mget(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    reply.array(args.remaining());
    while !args.at_end() {
        // A key of another type counts as absent.
        match ks.string(&args.key()?) {
            Ok(Some(value)) => write_string(reply, value),
            Ok(None) | Err(_) => reply.null(),
        }
    }
    Ok(Effect::none())
}

pub(super) const MSET: Row = Row {
    name: "mset",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STRING,
    keys: &[KeySpec::range(1, -1, 2, KeyFlags::OW.union(KeyFlags::UPDATE))],
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    doc: Doc {
        summary: "Sets several keys to strings, all together.",
        since: "1.0.1",
        group: Group::String,
        complexity: "O(N) where N is the number of keys to set.",
        syntax: "key value [key value ...]",
    },
    run: Run::Keys(mset),
};
fn mset(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    check_pairs(&args, "mset")?;
    let effect = set_all(ks, args)?;
    reply.ok();
    Ok(effect)
}

pub(super) const MSETNX: Row = Row {
    name: "msetnx",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STRING,
    keys: &[KeySpec::range(1, -1, 2, KeyFlags::OW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Sets several keys to strings, all together, if none of them exists.",
        since: "1.0.1",
        group: Group::String,
        complexity: "O(N) where N is the number of keys to set.",
        syntax: "key value [key value ...]",
    },
    run: Run::Keys(msetnx),
};
fn msetnx(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    check_pairs(&args, "msetnx")?;
    for at in (1..args.len()).step_by(2) {
        if args.key_at(at).is_some_and(|key| ks.find(&key).is_some()) {
            reply.integer(0);
            return Ok(Effect::none());
        }
    }
    let effect = set_all(ks, args)?;
    reply.integer(1);
    Ok(effect)
}

fn check_pairs(args: &Args<'_>, command: &str) -> Result<(), Error> {
    if args.remaining().is_multiple_of(2) { Ok(()) } else { Err(Error::arity(command)) }
}

fn set_all(ks: &mut Keyspace<'_>, mut args: Args<'_>) -> Result<Effect, Error> {
    let pairs = args.remaining() / 2;
    while !args.at_end() {
        let key = args.key()?;
        ks.set_string(&key, args.text()?, Expiry::Clear);
    }
    let changes = u32::try_from(pairs).unwrap_or(u32::MAX);
    let every_key = EventKey::Every(1, 2);
    Ok(Effect::as_given(changes).event_at(EventClass::String, "set", every_key))
}
