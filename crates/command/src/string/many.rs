//! Several strings at once.

use super::write_string;
use crate::deadline::{TimeToLive, expiry_option};
use crate::row::{Begin, Find};
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, EventKey, Flags, Group,
    KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::number::parse_i64;
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

pub(super) const MSETEX: Row = Row {
    name: "msetex",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STRING,
    keys: &[KeySpec {
        flags: KeyFlags::OW.union(KeyFlags::UPDATE),
        begin: Begin::Index(1),
        find: Find::KeyNum { index: 0, first: 1, step: 2 },
        variant: None,
    }],
    tips: &[],
    doc: Doc {
        summary: "Sets several keys to strings, all together, for a time and on conditions.",
        since: "8.4.0",
        group: Group::String,
        complexity: "O(N) where N is the number of keys to set.",
        syntax: "numkeys:integer key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    },
    run: Run::Keys(msetex),
};
fn msetex(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let count = parse_i64(args.bytes()?).and_then(|count| i32::try_from(count).ok());
    let count = count.and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(Error::new("ERR invalid numkeys value"))?;
    if count > args.remaining() / 2 {
        return Err(Error::new("ERR wrong number of key-value pairs"));
    }
    let pairs = (2..2 + 2 * count).step_by(2);
    args.seek(2 + 2 * count);
    let (present, expiry) = msetex_options(&mut args, ks.now_ms())?;
    if let Some(present) = present
        && pairs
            .clone()
            .filter_map(|at| args.key_at(at))
            .any(|key| ks.find(&key).is_some() != present)
    {
        reply.integer(0);
        return Ok(Effect::none());
    }
    let mut frames = CommandList::new();
    for at in pairs.clone() {
        push_set(&mut frames, &args, at, expiry)?;
    }
    let mut effect = Effect::frames(u32::try_from(count).unwrap_or(u32::MAX), frames);
    for at in pairs {
        args.seek(at);
        let key = args.key()?;
        ks.set_string(&key, args.text()?, expiry);
        effect.push_event(EventClass::String, "set", at);
        if let Expiry::At(_) = expiry {
            effect.push_event(EventClass::Generic, "expire", at);
        }
    }
    reply.integer(1);
    Ok(effect)
}

/// Whether the keys must be there or must not, and what becomes of their deadlines.
fn msetex_options(args: &mut Args<'_>, now_ms: i64) -> Result<(Option<bool>, Expiry), Error> {
    let (mut present, mut wanted) = (None, TimeToLive::Default);
    while !args.at_end() {
        if present != Some(true) && args.option("NX") {
            present = Some(false);
        } else if present != Some(false) && args.option("XX") {
            present = Some(true);
        } else if args.option("KEEPTTL") {
            wanted.become_one(TimeToLive::Kept)?;
        } else if !expiry_option(args, &mut wanted)? {
            return Err(Error::SYNTAX);
        }
    }
    let expiry = match wanted {
        TimeToLive::Default | TimeToLive::Unlimited => Expiry::Clear,
        TimeToLive::Kept => Expiry::Keep,
        TimeToLive::Until { .. } => Expiry::At(wanted.deadline("msetex", now_ms)?),
    };
    Ok((present, expiry))
}

/// Records one pair as the `SET` that says it.
fn push_set(
    frames: &mut CommandList,
    args: &Args<'_>,
    at: usize,
    expiry: Expiry,
) -> Result<(), Error> {
    let arg = |at: usize| args.get(at).unwrap_or_default();
    let set = [&b"SET"[..], arg(at), arg(at + 1)];
    let pushed = match expiry {
        Expiry::At(deadline) => {
            let deadline = deadline.to_string();
            frames.push(set.into_iter().chain([&b"PXAT"[..], deadline.as_bytes()]))
        }
        Expiry::Keep => frames.push(set.into_iter().chain([&b"KEEPTTL"[..]])),
        Expiry::Clear => frames.push(set),
    };
    if pushed { Ok(()) } else { Err(Error::new("ERR the values are too long for one command")) }
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
