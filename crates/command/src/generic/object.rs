//! `OBJECT`: how a value is kept.

use crate::docs::help;
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_keyspace::{Keyspace, Record, StringRef};

pub(super) const OBJECT: Row = Row {
    name: "object",
    arity: -2,
    flags: Flags::empty(),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Tells how a value is kept.",
        since: "2.2.3",
        group: Group::Generic,
        complexity: "Depends on subcommand.",
        syntax: "",
    },
    run: Run::Container(&[
        &OBJECT_ENCODING,
        &OBJECT_FREQ,
        &OBJECT_IDLETIME,
        &OBJECT_REFCOUNT,
        &OBJECT_HELP,
    ]),
};

const OBJECT_ENCODING: Row = Row {
    name: "encoding",
    arity: 3,
    flags: Flags::READONLY,
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(2, KeyFlags::RO)],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns the name of the value's representation.",
        since: "2.2.3",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(encoding),
};
fn encoding(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    tell(ks, args, reply, |record, reply| {
        reply.bulk(record.encoding().name().as_bytes());
        Ok(())
    })
}

const OBJECT_FREQ: Row = Row {
    name: "freq",
    arity: 3,
    flags: Flags::READONLY,
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(2, KeyFlags::RO)],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns how often a key is used, as a logarithm.",
        since: "4.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(freq),
};
fn freq(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let (lfu, now_ms) = (ks.lfu(), ks.now_ms());
    tell(ks, args, reply, |record, reply| {
        let lfu = lfu.ok_or(Error::new(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
             note that when switching between policies at runtime LRU and LFU data will take some \
             time to adjust.",
        ))?;
        reply.integer(i64::from(lfu.frequency(record.clock(), now_ms)));
        Ok(())
    })
}

const OBJECT_IDLETIME: Row = Row {
    name: "idletime",
    arity: 3,
    flags: Flags::READONLY,
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(2, KeyFlags::RO)],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns the seconds since a key was last used.",
        since: "2.2.3",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(idletime),
};
fn idletime(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    /// The access clock counts seconds in 24 bits and then begins again.
    const CLOCK_MASK: u32 = (1 << 24) - 1;
    let (lfu, now) = (ks.lfu(), (ks.now_ms() / 1000) as u32);
    tell(ks, args, reply, |record, reply| {
        if lfu.is_some() {
            return Err(Error::new(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that \
                 when switching between policies at runtime LRU and LFU data will take some time \
                 to adjust.",
            ));
        }
        reply.integer(i64::from(now.wrapping_sub(record.clock()) & CLOCK_MASK));
        Ok(())
    })
}

const OBJECT_REFCOUNT: Row = Row {
    name: "refcount",
    arity: 3,
    flags: Flags::READONLY,
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(2, KeyFlags::RO)],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns how many references to the value there are.",
        since: "2.2.3",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(refcount),
};
fn refcount(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    /// Redis shares these integers among all keys and says so with this count.
    const SHARED: std::ops::Range<i64> = 0..10_000;
    tell(ks, args, reply, |record, reply| {
        reply.integer(match record.string() {
            Some(StringRef::Int(value)) if SHARED.contains(&value) => i64::from(i32::MAX),
            _ => 1,
        });
        Ok(())
    })
}

fn tell(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
    write: impl FnOnce(&Record, &mut Reply<'_>) -> Result<(), Error>,
) -> Result<Effect, Error> {
    args.seek(2);
    match ks.peek(&args.key()?) {
        Some(record) => write(record, reply)?,
        None => reply.null(),
    }
    Ok(Effect::none())
}

const OBJECT_HELP: Row = Row {
    name: "help",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::KEYSPACE,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Lists the subcommands.",
        since: "6.2.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(help),
};
