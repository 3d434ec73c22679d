//! Reading or setting fields, and at once changing when they expire.

use super::expire::NOT_POSITIVE;
use super::fields::{Fate, check_recordable, read_deadline, read_fields, read_unit, rest};
use super::get::write_value;
use super::limits;
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Reply, Row, Run,
};
use kevy_data::{Change, Collection, Hash};
use kevy_keyspace::{Key, Keyspace};

pub(super) const HGETDEL: Row = Row {
    name: "hgetdel",
    arity: -5,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Returns the values of fields and removes them.",
        since: "8.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hgetdel),
};
fn hgetdel(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    ks.look::<Hash>(&key)?;
    read_fields(&mut args, NOT_POSITIVE)?;
    read_and_befall(ks, args, Fate::Remove, reply)
}

pub(super) const HGETEX: Row = Row {
    name: "hgetex",
    arity: -5,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Returns the values of fields and changes when they expire.",
        since: "8.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields named.",
        syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] FIELDS numfields field [field ...]",
    },
    run: Run::Keys(hgetex),
};
fn hgetex(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    ks.look::<Hash>(&key)?;
    let fate = if args.option("PERSIST") {
        Fate::Persist
    } else if let Some(unit) = read_unit(&mut args) {
        Fate::at(read_deadline(&mut args, unit, ks.now_ms(), "hgetex")?, ks)
    } else {
        Fate::Stay
    };
    read_fields(&mut args, NOT_POSITIVE)?;
    read_and_befall(ks, args, fate, reply)
}

/// Answers with the values of the fields that remain unread, and lets a fate befall them.
fn read_and_befall(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    fate: Fate,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key_at(1).ok_or(Error::SYNTAX)?;
    ks.expire_fields(&key, rest(&args));
    // For statistics and the access clock this is a read, too.
    ks.read::<Hash>(&key)?;
    let mut touched = Vec::new();
    reply.array(args.remaining());
    let updated = ks.update_existing::<Hash, _>(&key, |hash| {
        for field in rest(&args) {
            let fields = hash.as_ref().at(i64::MIN);
            write_value(reply, Some(fields), field);
            if let Some(held) = fields.deadline(field)
                && fate.befall(hash, field, held)
            {
                touched.push(field);
            }
        }
        Change::when(!touched.is_empty(), ())
    })?;
    if updated.is_none() {
        rest(&args).for_each(|_| reply.null());
    }
    Ok(fate.effect(&key, &touched, updated))
}

pub(super) const HSETEX: Row = Row {
    name: "hsetex",
    arity: -6,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets fields and when they expire.",
        since: "8.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields to set.",
        syntax: "key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]",
    },
    run: Run::Keys(hsetex),
};
fn hsetex(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let wanted = Wanted::read(&mut args, ks)?;
    check_recordable(&args)?;
    ks.expire_fields(&key, rest(&args).step_by(2));
    let now_ms = ks.now_ms();
    let held = ks.look::<Hash>(&key)?.map(|hash| hash.at(now_ms));
    let there = |field: &[u8]| held.is_some_and(|fields| fields.contains(field));
    let allowed = match wanted.condition {
        None => true,
        Some(Condition::NoneThere) => !rest(&args).step_by(2).any(there),
        Some(Condition::AllThere) => rest(&args).step_by(2).all(there),
    };
    reply.integer(allowed.into());
    match wanted.fate {
        _ if !allowed => Ok(Effect::none()),
        Fate::Remove => remove_all(ks, &key, &args),
        fate => set_all(ks, &key, args, fate),
    }
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    NoneThere,
    AllThere,
}

/// The options in any order; fields and values are what remains unread.
#[derive(Clone, Copy)]
struct Wanted {
    condition: Option<Condition>,
    /// [`Fate::Stay`]: the deadlines are kept.
    fate: Fate,
}

impl Wanted {
    fn read(args: &mut Args<'_>, ks: &Keyspace<'_>) -> Result<Self, Error> {
        let (mut condition, mut fate) = (None, None);
        loop {
            let option = args.peek().ok_or_else(|| Error::arity("hsetex"))?;
            if args.option("FIELDS") {
                Self::check_count(args)?;
                return Ok(Self { condition, fate: fate.unwrap_or(Fate::Persist) });
            } else if let Some(wanted) = Self::read_condition(args) {
                if condition.replace(wanted).is_some() {
                    return Err(Error::new(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
            } else if args.option("KEEPTTL") {
                Self::check_first(fate)?;
                fate = Some(Fate::Stay);
            } else if let Some(unit) = read_unit(args) {
                Self::check_first(fate)?;
                if args.at_end() {
                    return Err(Error::new("ERR missing expire time"));
                }
                let deadline = read_deadline(args, unit, ks.now_ms(), "hsetex")?;
                fate = Some(Fate::at(deadline, ks));
            } else {
                return Err(Error::quoting("ERR unknown argument: ", option, ""));
            }
        }
    }

    fn read_condition(args: &mut Args<'_>) -> Option<Condition> {
        if args.option("FNX") {
            Some(Condition::NoneThere)
        } else if args.option("FXX") {
            Some(Condition::AllThere)
        } else {
            None
        }
    }

    fn check_first(fate: Option<Fate>) -> Result<(), Error> {
        match fate {
            None => Ok(()),
            Some(_) => Err(Error::new(
                "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            )),
        }
    }

    /// Reads how many fields there are, each with its value.
    fn check_count(args: &mut Args<'_>) -> Result<(), Error> {
        if args.remaining() < 3 {
            return Err(Error::arity("hsetex"));
        }
        let count = args.int().ok().and_then(|count| i32::try_from(count).ok());
        let count = count.and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
        let count = count.ok_or(Error::new("ERR invalid number of fields"))?;
        if args.remaining() == 2 * count { Ok(()) } else { Err(Error::arity("hsetex")) }
    }
}

/// Sets the fields that remain unread.
fn set_all(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    mut args: Args<'_>,
    fate: Fate,
) -> Result<Effect, Error> {
    let fields: Vec<&[u8]> = rest(&args).step_by(2).collect();
    let mut frames = CommandList::new();
    let fits = frames.push([&b"HSET"[..], key.bytes].into_iter().chain(rest(&args)));
    debug_assert!(fits, "checked before");
    let limits = limits(ks);
    ks.update::<Hash, _>(key, |hash| {
        hash.prepare(fields.len(), limits);
        while let (Ok(field), Ok(value)) = (args.bytes(), args.text()) {
            let held = hash.as_ref().at(i64::MIN).deadline(field).flatten();
            hash.set(field, value, fate != Fate::Persist, limits);
            match (fate, held) {
                (Fate::Expire(_), _) => {
                    fate.befall(hash, field, held);
                }
                // What is replayed as an ordinary HSET loses the deadline.
                (Fate::Stay, Some(kept)) => Fate::Expire(kept).record(key, &[field], &mut frames),
                _ => {}
            }
        }
        Change::Changed(())
    })?;
    if let Fate::Expire(_) = fate {
        fate.record(key, &fields, &mut frames);
    }
    let changes = u32::try_from(fields.len()).unwrap_or(u32::MAX);
    let effect = Effect::frames(changes, frames).event(EventClass::Hash, "hset", 1);
    Ok(match fate {
        Fate::Expire(_) => effect.event(EventClass::Hash, "hexpire", 1),
        _ => effect,
    })
}

/// Removes the fields that remain unread: they would have expired before they are set.
fn remove_all(ks: &mut Keyspace<'_>, key: &Key<'_>, args: &Args<'_>) -> Result<Effect, Error> {
    let mut removed = Vec::new();
    let updated = ks.update_existing::<Hash, _>(key, |hash| {
        removed.extend(rest(args).step_by(2).filter(|field| hash.remove(field)));
        Change::when(!removed.is_empty(), ())
    })?;
    Ok(Fate::Remove.effect(key, &removed, updated))
}
