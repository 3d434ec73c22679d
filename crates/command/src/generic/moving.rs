//! Values under other names and in other databases.

use crate::server::database;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, EventKey, Flags, Group, KeyFlags, KeySpec,
    Reply, Row, Run,
};
use kevy_keyspace::Keyspace;

pub(super) const RENAME: Row = Row {
    name: "rename",
    arity: 3,
    flags: Flags::WRITE,
    categories: Categories::KEYSPACE,
    keys: &[
        KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
        KeySpec::one(2, KeyFlags::OW.union(KeyFlags::UPDATE)),
    ],
    tips: &[],
    doc: Doc {
        summary: "Gives a key another name; what that held is gone.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key newkey",
    },
    run: Run::Keys(rename),
};
fn rename(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let (_, effect) = give_name(ks, args, false)?;
    reply.ok();
    Ok(effect)
}

pub(super) const RENAMENX: Row = Row {
    name: "renamenx",
    arity: 3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[
        KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
        KeySpec::one(2, KeyFlags::OW.union(KeyFlags::INSERT)),
    ],
    tips: &[],
    doc: Doc {
        summary: "Gives a key another name if no key has it.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key newkey",
    },
    run: Run::Keys(renamenx),
};
fn renamenx(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let (renamed, effect) = give_name(ks, args, true)?;
    reply.integer(i64::from(renamed));
    Ok(effect)
}

/// Moves a value to another name, if that is free or need not be; whether it did.
fn give_name(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    only_if_free: bool,
) -> Result<(bool, Effect), Error> {
    let (from, to) = (args.key()?, args.key()?);
    ks.find(&from).ok_or(Error::NO_KEY)?;
    if from.bytes == to.bytes || only_if_free && ks.find(&to).is_some() {
        return Ok((false, Effect::none()));
    }
    let Some(entry) = ks.take(&from) else { return Err(Error::NO_KEY) };
    ks.put(&to, entry);
    let effect = Effect::one(EventClass::Generic, "rename_from");
    Ok((true, effect.event(EventClass::Generic, "rename_to", 2)))
}

pub(super) const COPY: Row = Row {
    name: "copy",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::KEYSPACE,
    keys: &[
        KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS)),
        KeySpec::one(2, KeyFlags::OW.union(KeyFlags::UPDATE)),
    ],
    tips: &[],
    doc: Doc {
        summary: "Copies the value of a key to another name.",
        since: "6.2.0",
        group: Group::Generic,
        complexity: "O(N) where N is the size of the value",
        syntax: "source destination [DB destination-db] [REPLACE]",
    },
    run: Run::Keys(copy),
};
fn copy(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let (from, to) = (args.key()?, args.key()?);
    let (mut db, mut replace) = (ks.db(), false);
    while !args.at_end() {
        if args.option("REPLACE") {
            replace = true;
        } else if args.remaining() > 1 && args.option("DB") {
            db = database(args.small_int()?, ks)?;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    if db == ks.db() && from.bytes == to.bytes {
        return Err(Error::SAME_OBJECT);
    }
    let copied = match ks.clone_value(&from) {
        Some(entry) if replace || ks.with_db(db).find(&to).is_none() => {
            ks.with_db(db).put(&to, entry);
            true
        }
        _ => false,
    };
    reply.integer(i64::from(copied));
    if !copied {
        return Ok(Effect::none());
    }
    let destination = EventKey::Elsewhere(db as u32, 2);
    Ok(Effect::as_given(1).event_at(EventClass::Generic, "copy_to", destination))
}

pub(super) const MOVE: Row = Row {
    name: "move",
    arity: 3,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Moves a key to another database that has none of its name.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key db",
    },
    run: Run::Keys(move_to_database),
};
fn move_to_database(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let db = database(args.small_int()?, ks)?;
    if db == ks.db() {
        return Err(Error::SAME_OBJECT);
    }
    if ks.find(&key).is_none() || ks.with_db(db).find(&key).is_some() {
        reply.integer(0);
        return Ok(Effect::none());
    }
    if let Some(entry) = ks.take(&key) {
        ks.with_db(db).put(&key, entry);
    }
    reply.integer(1);
    let arrived = EventKey::Elsewhere(db as u32, 1);
    let effect = Effect::one(EventClass::Generic, "move_from");
    Ok(effect.event_at(EventClass::Generic, "move_to", arrived))
}
