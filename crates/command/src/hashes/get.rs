//! Reading fields.

use crate::string::write_string;
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::{Field, Fields, Hash};
use kevy_keyspace::{Key, Keyspace};

/// What is there of the hash of a key now; none without the key.
fn fields<'k>(ks: &'k mut Keyspace<'_>, key: &Key<'_>) -> Result<Option<Fields<'k>>, Error> {
    let now_ms = ks.now_ms();
    Ok(ks.read::<Hash>(key)?.map(|hash| hash.at(now_ms)))
}

pub(super) const HGET: Row = Row {
    name: "hget",
    arity: 3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the value of a field.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(1)",
        syntax: "key field",
    },
    run: Run::Keys(hget),
};
fn hget(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let fields = fields(ks, &args.key()?)?;
    write_value(reply, fields, args.bytes()?);
    Ok(Effect::none())
}

/// The value of a field, or null if there is no such field or no hash at all.
#[inline]
pub(super) fn write_value(reply: &mut Reply<'_>, fields: Option<Fields<'_>>, field: &[u8]) {
    match fields.and_then(|fields| fields.get(field)) {
        Some(value) => write_string(reply, value),
        None => reply.null(),
    }
}

pub(super) const HMGET: Row = Row {
    name: "hmget",
    arity: -3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the values of several fields.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields asked for.",
        syntax: "key field [field ...]",
    },
    run: Run::Keys(hmget),
};
fn hmget(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let fields = fields(ks, &args.key()?)?;
    reply.array(args.remaining());
    while !args.at_end() {
        write_value(reply, fields, args.bytes()?);
    }
    Ok(Effect::none())
}

pub(super) const HGETALL: Row = Row {
    name: "hgetall",
    arity: 2,
    flags: Flags::READONLY,
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns all fields with their values.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the size of the hash.",
        syntax: "key",
    },
    run: Run::Keys(hgetall),
};
fn hgetall(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let fields = fields(ks, &args.key()?)?;
    reply.map(fields.map_or(0, Fields::len));
    write_all(reply, fields, |reply, field| {
        write_string(reply, field.name);
        write_string(reply, field.value);
    });
    Ok(Effect::none())
}

fn write_all(
    reply: &mut Reply<'_>,
    fields: Option<Fields<'_>>,
    mut write: impl FnMut(&mut Reply<'_>, Field<'_>),
) {
    if let Some(fields) = fields {
        fields.for_each(|field| write(reply, field));
    }
}

pub(super) const HKEYS: Row = Row {
    name: "hkeys",
    arity: 2,
    flags: Flags::READONLY,
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns the names of all fields.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the size of the hash.",
        syntax: "key",
    },
    run: Run::Keys(hkeys),
};
fn hkeys(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let fields = fields(ks, &args.key()?)?;
    reply.array(fields.map_or(0, Fields::len));
    write_all(reply, fields, |reply, field| write_string(reply, field.name));
    Ok(Effect::none())
}

pub(super) const HVALS: Row = Row {
    name: "hvals",
    arity: 2,
    flags: Flags::READONLY,
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns the values of all fields.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(N) where N is the size of the hash.",
        syntax: "key",
    },
    run: Run::Keys(hvals),
};
fn hvals(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let fields = fields(ks, &args.key()?)?;
    reply.array(fields.map_or(0, Fields::len));
    write_all(reply, fields, |reply, field| write_string(reply, field.value));
    Ok(Effect::none())
}

pub(super) const HLEN: Row = Row {
    name: "hlen",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of fields.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(hlen),
};
fn hlen(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    reply.integer(fields(ks, &args.key()?)?.map_or(0, Fields::len) as i64);
    Ok(Effect::none())
}

pub(super) const HSTRLEN: Row = Row {
    name: "hstrlen",
    arity: 3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns the length of the value of a field in bytes.",
        since: "3.2.0",
        group: Group::Hash,
        complexity: "O(1)",
        syntax: "key field",
    },
    run: Run::Keys(hstrlen),
};
fn hstrlen(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let fields = fields(ks, &args.key()?)?;
    let field = args.bytes()?;
    let value = fields.and_then(|fields| fields.get(field));
    reply.integer(value.map_or(0, |value| value.len()) as i64);
    Ok(Effect::none())
}

pub(super) const HEXISTS: Row = Row {
    name: "hexists",
    arity: 3,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Tells whether there is a field of this name.",
        since: "2.0.0",
        group: Group::Hash,
        complexity: "O(1)",
        syntax: "key field",
    },
    run: Run::Keys(hexists),
};
fn hexists(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let fields = fields(ks, &args.key()?)?;
    let field = args.bytes()?;
    reply.integer(fields.is_some_and(|fields| fields.contains(field)).into());
    Ok(Effect::none())
}
