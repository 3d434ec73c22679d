//! Reading entries by their ids.

use super::{limit, range_end, range_start, write_entries};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::Stream;
use kevy_keyspace::Keyspace;

pub(super) const XLEN: Row = Row {
    name: "xlen",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of entries of a stream.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(xlen),
};
fn xlen(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let stream = ks.read::<Stream>(&args.key()?)?;
    reply.integer(stream.map_or(0, |stream| stream.entries().len() as i64));
    Ok(Effect::none())
}

pub(super) const XRANGE: Row = Row {
    name: "xrange",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the entries of a stream from one id to another.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(N) where N is the number of entries returned, and O(1) to find the first",
        syntax: "key start:string end:string [COUNT count]",
    },
    run: Run::Keys(xrange),
};
fn xrange(ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    range(ks, args, reply, false)
}

pub(super) const XREVRANGE: Row = Row {
    name: "xrevrange",
    arity: -4,
    flags: Flags::READONLY,
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the entries of a stream from one id back to another.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(N) where N is the number of entries returned, and O(1) to find the first",
        syntax: "key end:string start:string [COUNT count]",
    },
    run: Run::Keys(xrevrange),
};
fn xrevrange(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    range(ks, args, reply, true)
}

fn range(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
    reverse: bool,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let (first, second) = (args.bytes()?, args.bytes()?);
    let (start, end) = if reverse { (second, first) } else { (first, second) };
    let (start, end) = (range_start(start)?, range_end(end)?);
    let mut count = None;
    while !args.at_end() {
        if args.remaining() < 2 || !args.option("COUNT") {
            return Err(Error::SYNTAX);
        }
        count = Some(args.int()?.max(0));
    }
    match ks.read::<Stream>(&key)? {
        None => reply.array(0),
        Some(_) if count == Some(0) => reply.null_array(),
        Some(stream) => {
            let entries = stream.entries();
            let count = limit(count.unwrap_or(0));
            let found =
                if reverse { entries.range_back(start, end) } else { entries.range(start, end) };
            write_entries(reply, found.take(count));
        }
    }
    Ok(Effect::none())
}
