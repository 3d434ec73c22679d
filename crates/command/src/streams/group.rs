//! `XGROUP`: groups and their consumers.

use super::{bound, id, no_group_of_key, subcommand_syntax};
use crate::docs::help;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::stream::{Group as StreamGroup, Groups, StreamId};
use kevy_data::{Change, Stream};
use kevy_keyspace::{Key, Keyspace};

pub(super) const XGROUP: Row = Row {
    name: "xgroup",
    arity: -2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Makes and changes consumer groups of a stream.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "Depends on subcommand.",
        syntax: "",
    },
    run: Run::Container(&[
        &XGROUP_CREATE,
        &XGROUP_SETID,
        &XGROUP_DESTROY,
        &XGROUP_CREATECONSUMER,
        &XGROUP_DELCONSUMER,
        &XGROUP_HELP,
    ]),
};

const XGROUP_CREATE: Row = Row {
    name: "create",
    arity: -5,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(2, KeyFlags::RW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Makes a consumer group that reads from behind an id on.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read:integer]",
    },
    run: Run::Keys(create),
};
fn create(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let call = Call::read(&mut args, true)?;
    let stream = ks.look::<Stream>(&call.key)?;
    if stream.is_none() && !call.make_stream {
        return Err(NO_STREAM);
    }
    let count = args.len();
    if count > 8 {
        return Err(subcommand_syntax("XGROUP", call.subcommand));
    }
    let last_id = match call.id {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.entries().last_id()),
        text => id(text)?,
    };
    let group = StreamGroup::new(last_id, call.entries_read);
    let updated = ks.update::<Stream, _>(&call.key, |stream| {
        let created = stream.groups_mut().create(call.group, group);
        Change::when(created, created)
    })?;
    if !updated.result {
        return Err(Error::new("BUSYGROUP Consumer Group name already exists"));
    }
    reply.ok();
    Ok(Effect::as_given(1).event(EventClass::Stream, "xgroup-create", 2))
}

const NO_STREAM: Error = Error::new(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
     the MKSTREAM option to create an empty stream automatically.",
);

/// The arguments of `CREATE` and `SETID`.
struct Call<'a> {
    subcommand: &'a [u8],
    key: Key<'a>,
    group: &'a [u8],
    id: &'a [u8],
    make_stream: bool,
    entries_read: Option<u64>,
}

impl<'a> Call<'a> {
    fn read(args: &mut Args<'a>, create: bool) -> Result<Self, Error> {
        let subcommand = args.bytes()?;
        let (key, group, id) = (args.key()?, args.bytes()?, args.bytes()?);
        let mut call = Self { subcommand, key, group, id, make_stream: false, entries_read: None };
        while !args.at_end() {
            if create && args.option("MKSTREAM") {
                call.make_stream = true;
            } else if args.remaining() > 1 && args.option("ENTRIESREAD") {
                call.entries_read = match args.int()? {
                    -1 => None,
                    read => Some(u64::try_from(read).map_err(|_| {
                        Error::new("ERR value for ENTRIESREAD must be positive or -1")
                    })?),
                };
            } else {
                return Err(subcommand_syntax("XGROUP", subcommand));
            }
        }
        Ok(call)
    }
}

const XGROUP_SETID: Row = Row {
    name: "setid",
    arity: -5,
    flags: Flags::WRITE,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(2, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Sets the last id that a group has read.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "key group <id | $> [ENTRIESREAD entries-read:integer]",
    },
    run: Run::Keys(setid),
};
fn setid(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let call = Call::read(&mut args, false)?;
    let stream = existing(ks, &call.key, call.group)?;
    if args.len() > 7 {
        return Err(subcommand_syntax("XGROUP", call.subcommand));
    }
    let last_id = match call.id {
        b"$" => stream.entries().last_id(),
        text => bound(text, 0)?,
    };
    change(ks, &call.key, |groups| {
        if let Some(mut group) = groups.get_mut(call.group) {
            (group.last_id, group.entries_read) = (last_id, call.entries_read);
        }
        Change::Changed(())
    })?;
    reply.ok();
    Ok(Effect::as_given(1).event(EventClass::Stream, "xgroup-setid", 2))
}

/// The stream of a key that must exist and have the group.
fn existing<'k>(
    ks: &'k mut Keyspace<'_>,
    key: &Key<'_>,
    group: &[u8],
) -> Result<&'k Stream, Error> {
    let stream = ks.look::<Stream>(key)?.ok_or(NO_STREAM)?;
    match stream.groups().get(group) {
        Some(_) => Ok(stream),
        None => Err(no_group_of_key(key.bytes, group)),
    }
}

/// Changes the groups of a key that was looked at.
fn change<R>(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    change: impl FnOnce(&mut Groups) -> Change<R>,
) -> Result<R, Error> {
    let updated = ks.update_existing::<Stream, _>(key, |stream| change(stream.groups_mut()))?;
    Ok(updated.ok_or(NO_STREAM)?.result)
}

const XGROUP_DESTROY: Row = Row {
    name: "destroy",
    arity: 4,
    flags: Flags::WRITE,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(2, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes a consumer group with all that is pending in it.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(N) where N is the number of entries pending",
        syntax: "key group",
    },
    run: Run::Keys(destroy),
};
fn destroy(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    args.seek(2);
    let (key, group) = (args.key()?, args.bytes()?);
    let destroyed = change(ks, &key, |groups| {
        let destroyed = groups.destroy(group);
        Change::when(destroyed, destroyed)
    })?;
    reply.integer(destroyed.into());
    Ok(match destroyed {
        true => Effect::as_given(1).event(EventClass::Stream, "xgroup-destroy", 2),
        false => Effect::none(),
    })
}

const XGROUP_CREATECONSUMER: Row = Row {
    name: "createconsumer",
    arity: 5,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(2, KeyFlags::RW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Makes a consumer of a group; returns 0 if there is one of that name.",
        since: "6.2.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "key group consumer",
    },
    run: Run::Keys(createconsumer),
};
fn createconsumer(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    args.seek(2);
    let (key, group, consumer) = (args.key()?, args.bytes()?, args.bytes()?);
    existing(ks, &key, group)?;
    let now_ms = ks.now_ms();
    let created = change(ks, &key, |groups| {
        let group = groups.get_mut(group);
        let created = group.is_some_and(|mut group| group.consumer_or_create(consumer, now_ms).1);
        Change::when(created, created)
    })?;
    reply.integer(created.into());
    Ok(match created {
        true => Effect::as_given(1).event(EventClass::Stream, "xgroup-createconsumer", 2),
        false => Effect::none(),
    })
}

const XGROUP_DELCONSUMER: Row = Row {
    name: "delconsumer",
    arity: 5,
    flags: Flags::WRITE,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(2, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &[],
    doc: Doc {
        summary: "Removes a consumer of a group; returns how many entries were pending for it.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(N log M) where N is the number of entries pending for it, M for all",
        syntax: "key group consumer",
    },
    run: Run::Keys(delconsumer),
};
fn delconsumer(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    args.seek(2);
    let (key, group, consumer) = (args.key()?, args.bytes()?, args.bytes()?);
    existing(ks, &key, group)?;
    let deleted = change(ks, &key, |groups| {
        let group = groups.get_mut(group);
        let deleted = group.and_then(|mut group| group.delete_consumer(consumer));
        Change::when(deleted.is_some(), deleted)
    })?;
    reply.integer(deleted.unwrap_or(0) as i64);
    Ok(match deleted {
        Some(_) => Effect::as_given(1).event(EventClass::Stream, "xgroup-delconsumer", 2),
        None => Effect::none(),
    })
}

const XGROUP_HELP: Row = Row {
    name: "help",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::STREAM,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Tells what there is.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(help),
};
