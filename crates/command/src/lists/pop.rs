//! Taking elements off the ends of a list.

use super::{count, node_limit, side};
use crate::string::write_string;
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::{Change, Collection, List, Side};
use kevy_keyspace::{Key, Keyspace, Updated};
use std::ops::Range;

const KEYS: &[KeySpec] = &[KeySpec::one(1, KEY)];

/// The row of `LPOP` or `RPOP`.
const fn row(name: &'static str, summary: &'static str, run: Run) -> Row {
    Row {
        name,
        arity: -2,
        flags: Flags::WRITE.union(Flags::FAST),
        categories: Categories::LIST,
        keys: KEYS,
        tips: &[],
        doc: Doc {
            summary,
            since: "1.0.0",
            group: Group::List,
            complexity: "O(N) where N is the number of elements returned.",
            syntax: "key [count]",
        },
        run,
    }
}

/// What is done to a key whose elements are taken.
pub(super) const KEY: KeyFlags = KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE);

pub(super) const LPOP: Row =
    row("lpop", "Takes the first element or elements off a list.", Run::Keys(lpop));
fn lpop(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    pop(ks, args, "lpop", Side::Left, reply)
}

pub(super) const RPOP: Row =
    row("rpop", "Takes the last element or elements off a list.", Run::Keys(rpop));
fn rpop(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    pop(ks, args, "rpop", Side::Right, reply)
}

fn pop(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    name: &str,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    if args.at_end() {
        return pop_one(ks, &key, side, reply);
    }
    if args.remaining() > 1 {
        return Err(Error::arity(name));
    }
    let count = count(&mut args, 0, "ERR value is out of range, must be positive")?;
    if count == 0 {
        match ks.look::<List>(&key)? {
            Some(_) => reply.array(0),
            None => reply.null_array(),
        }
        return Ok(Effect::none());
    }
    match take(ks, &key, side, count, reply)? {
        Some(taken) => Ok(popped(taken.result, taken.removed, Logged::AsGiven, side, 1)),
        None => {
            reply.null_array();
            Ok(Effect::none())
        }
    }
}

fn pop_one(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    match take_one(ks, key, side, reply)? {
        Some(removed) => Ok(popped(1, removed, Logged::AsGiven, side, 1)),
        None => {
            reply.null();
            Ok(Effect::none())
        }
    }
}

/// Takes an element off and writes it. If there was one: whether the key is gone.
pub(super) fn take_one(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<Option<bool>, Error> {
    let limit = node_limit(ks);
    let taken = ks.update_existing::<List, _>(key, |list| {
        if let Some(element) = list.as_ref().walk_all(side).next() {
            write_string(reply, element);
        }
        list.remove_at(side, 1, limit);
        Change::Changed(())
    })?;
    Ok(taken.map(|taken| taken.removed))
}

/// Takes up to `count` elements off and writes them as an array; how many there were.
fn take(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    side: Side,
    count: usize,
    reply: &mut Reply<'_>,
) -> Result<Option<Updated<usize>>, Error> {
    let limit = node_limit(ks);
    let taken = ks.update_existing::<List, _>(key, |list| {
        let count = count.min(list.as_ref().len());
        reply.array(count);
        let elements = list.as_ref().walk_all(side).take(count);
        elements.for_each(|element| write_string(reply, element));
        list.remove_at(side, count, limit);
        Change::Changed(count)
    })?;
    Ok(taken)
}

/// The effect of having taken `count` elements off the list of argument `key`.
pub(super) fn popped(
    count: usize,
    removed: bool,
    logged: Logged,
    side: Side,
    key: usize,
) -> Effect {
    let mut effect = Effect::as_given(count as u32).event(EventClass::List, pop_event(side), key);
    effect.logged = logged;
    if removed {
        effect.push_event(EventClass::Generic, "del", key);
    }
    effect
}

/// The name of the event that elements were taken off an end; the command's too.
pub(super) const fn pop_event(side: Side) -> &'static str {
    match side {
        Side::Left => "lpop",
        Side::Right => "rpop",
    }
}

pub(super) const LMPOP: Row = Row {
    name: "lmpop",
    arity: -4,
    flags: Flags::WRITE.union(Flags::MOVABLE_KEYS),
    categories: Categories::LIST,
    keys: &[KeySpec::counted(1, KEY)],
    tips: &[],
    doc: Doc {
        summary: "Takes elements off the first list among several keys that has some.",
        since: "7.0.0",
        group: Group::List,
        complexity: "O(N+M) where N is the number of keys and M the number of elements returned.",
        syntax: "numkeys:integer key [key ...] <LEFT | RIGHT> [COUNT count]",
    },
    run: Run::Keys(lmpop),
};
fn lmpop(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let wanted = Wanted::read(&mut args)?;
    match pop_first(ks, &args, wanted.keys, wanted.side, Some(wanted.count), reply)? {
        Some(effect) => Ok(effect),
        None => {
            reply.null_array();
            Ok(Effect::none())
        }
    }
}

/// The arguments that `LMPOP` and `BLMPOP` share.
pub(super) struct Wanted {
    /// The arguments that are keys.
    pub(super) keys: Range<usize>,
    pub(super) side: Side,
    pub(super) count: usize,
}

impl Wanted {
    /// Reads `numkeys key [key ...] <LEFT | RIGHT> [COUNT count]` to the end.
    pub(super) fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let keys = count(args, 1, "ERR numkeys should be greater than 0")?;
        let first = args.position();
        let end = first.saturating_add(keys);
        if end >= args.len() {
            return Err(Error::SYNTAX);
        }
        args.seek(end);
        let side = side(args)?;
        let mut wanted = None;
        while !args.at_end() {
            if wanted.is_some() || args.remaining() < 2 || !args.option("COUNT") {
                return Err(Error::SYNTAX);
            }
            wanted = Some(count(args, 1, "ERR count should be greater than 0")?);
        }
        Ok(Wanted { keys: first..end, side, count: wanted.unwrap_or(1) })
    }
}

/// Takes elements off the first of these keys, arguments of the call, that holds a list, and writes
/// its name and the element, or with a `count` its name and the elements. None: nothing is there,
/// and nothing was written.
///
/// # Errors
/// A key that is looked at holds another type.
pub fn pop_first(
    ks: &mut Keyspace<'_>,
    args: &Args<'_>,
    keys: Range<usize>,
    side: Side,
    count: Option<usize>,
    reply: &mut Reply<'_>,
) -> Result<Option<Effect>, Error> {
    for at in keys {
        let Some(key) = args.key_at(at) else { break };
        if ks.look::<List>(&key)?.is_none() {
            continue;
        }
        reply.array(2);
        reply.bulk(key.bytes);
        let taken = match count {
            None => take_one(ks, &key, side, reply)?.map(|removed| (1, removed)),
            Some(count) => {
                let taken = take(ks, &key, side, count, reply)?;
                taken.map(|taken| (taken.result, taken.removed))
            }
        };
        let (taken, removed) = taken.unwrap_or_default();
        let logged = Logged::Frames(Box::new(frame(&key, side, count.map(|_| taken))));
        return Ok(Some(popped(taken, removed, logged, side, at)));
    }
    Ok(None)
}

/// The command that takes so many elements off this key.
fn frame(key: &Key<'_>, side: Side, count: Option<usize>) -> CommandList {
    let name = match side {
        Side::Left => &b"LPOP"[..],
        Side::Right => b"RPOP",
    };
    let count = count.map(|count| count.to_string());
    let mut frames = CommandList::new();
    let pushed =
        frames.push([name, key.bytes].into_iter().chain(count.as_deref().map(str::as_bytes)));
    debug_assert!(pushed, "a key fits a list");
    frames
}
