//! About how many distinct elements there were.

use crate::{
    After, Args, Call, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Reply, Row, Run,
};
use kevy_data::hyperloglog::{self, Corrupted, Form, Observation, Registers, Sketch, SketchBuf};
use kevy_keyspace::{Key, Keyspace, StringRef};
use smallvec::SmallVec;

/// Commands for HyperLogLogs.
pub const HYPERLOGLOG: &[&Row] = &[&PFADD, &PFCOUNT, &PFMERGE, &PFDEBUG, &PFSELFTEST];

const CORRUPTED: Error = Error::new("INVALIDOBJ Corrupted HLL object detected");

impl From<Corrupted> for Error {
    fn from(_: Corrupted) -> Self {
        CORRUPTED
    }
}

/// The sketch that a string is.
fn sketch(value: StringRef<'_>) -> Result<Sketch<'_>, Error> {
    let bytes = match value {
        StringRef::Int(_) => &[],
        StringRef::Bytes(bytes) => bytes,
        StringRef::Blob(blob) => blob.as_bytes(),
    };
    Sketch::new(bytes)
        .map_err(|_| Error::new("WRONGTYPE Key is not a valid HyperLogLog string value."))
}

const PFADD: Row = Row {
    name: "pfadd",
    arity: -2,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    categories: Categories::HYPERLOGLOG,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::INSERT))],
    tips: &[],
    doc: Doc {
        summary: "Adds elements to a HyperLogLog, which is made if it does not exist.",
        since: "2.8.9",
        group: Group::HyperLogLog,
        complexity: "O(1) to add every element.",
        syntax: "key [element [element ...]]",
    },
    run: Run::Keys(pfadd),
};
fn pfadd(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let mut seen: SmallVec<[Observation; 16]> = SmallVec::new();
    while !args.at_end() {
        seen.push(Observation::of(args.bytes()?));
    }
    let changes = add(ks, &key, &seen)?;
    reply.integer(i64::from(changes > 0));
    Ok(match changes {
        0 => Effect::none(),
        _ => Effect::as_given(changes).event(EventClass::String, "pfadd", 1),
    })
}

/// Adds to a sketch, made if it is absent; how many changes that were.
fn add(ks: &mut Keyspace<'_>, key: &Key<'_>, seen: &[Observation]) -> Result<u32, Error> {
    let sparse_max = ks.limits().hll_sparse_max_bytes;
    let string = ks.update_string(key)?;
    let (mut changed, changes) = match string.value() {
        None => {
            let mut made = SketchBuf::new(sparse_max);
            let changes = made.add(seen)? + 1;
            (made, changes)
        }
        Some(value) => {
            let sketch = sketch(value)?;
            if !sketch.is_raised(seen)? {
                string.make_raw();
                return Ok(0);
            }
            if sketch.form() == Form::Dense {
                let bytes = string.bytes_mut(0);
                hyperloglog::invalidate(bytes);
                return Ok(hyperloglog::add_dense(bytes, seen));
            }
            let mut copy = SketchBuf::copy_of(sketch, sparse_max);
            let changes = copy.add(seen)?;
            (copy, changes)
        }
    };
    changed.invalidate();
    string.set_raw(changed.as_bytes());
    Ok(changes)
}

const PFCOUNT: Row = Row {
    name: "pfcount",
    arity: -2,
    flags: Flags::READONLY.union(Flags::MAY_REPLICATE),
    categories: Categories::HYPERLOGLOG,
    keys: &[KeySpec::rest(1, KeyFlags::RW.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Estimates how many distinct elements one or several HyperLogLogs have seen.",
        since: "2.8.9",
        group: Group::HyperLogLog,
        complexity: "O(1) with a single key, whose estimate is kept; O(N) with N keys.",
        syntax: "key [key ...]",
    },
    run: Run::Keys(pfcount),
};
fn pfcount(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    if args.remaining() == 1 {
        return count_one(ks, &args.key()?, reply);
    }
    let mut registers = Registers::default();
    while !args.at_end() {
        if let Some(value) = ks.string(&args.key()?)? {
            sketch(value)?.merge(&mut registers)?;
        }
    }
    reply.integer(registers.count() as i64);
    Ok(Effect::none())
}

/// The estimate of one sketch. One that is computed is kept in the string, which is a change that
/// the log must have.
fn count_one(ks: &mut Keyspace<'_>, key: &Key<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let Some(value) = ks.string(key)? else {
        reply.integer(0);
        return Ok(Effect::none());
    };
    let sketch = sketch(value)?;
    if let Some(count) = sketch.cached_count() {
        reply.integer(count as i64);
        return Ok(Effect::none());
    }
    let count = sketch.count()?;
    reply.integer(count as i64);
    hyperloglog::set_cached_count(ks.update_string(key)?.bytes_mut(0), count);
    Ok(Effect::as_given(1))
}

const PFMERGE: Row = Row {
    name: "pfmerge",
    arity: -2,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::HYPERLOGLOG,
    keys: &[
        KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::INSERT)),
        KeySpec::rest(2, KeyFlags::RO.union(KeyFlags::ACCESS)),
    ],
    tips: &[],
    doc: Doc {
        summary: "Adds to a HyperLogLog what others have seen.",
        since: "2.8.9",
        group: Group::HyperLogLog,
        complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
        syntax: "destkey [sourcekey [sourcekey ...]]",
    },
    run: Run::Keys(pfmerge),
};
fn pfmerge(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let mut registers = Registers::default();
    let mut dense = false;
    for at in 1..args.len() {
        args.seek(at);
        if let Some(value) = ks.string(&args.key()?)? {
            let sketch = sketch(value)?;
            dense |= sketch.form() == Form::Dense;
            sketch.merge(&mut registers)?;
        }
    }
    args.seek(1);
    let destination = args.key()?;
    let sparse_max = ks.limits().hll_sparse_max_bytes;
    let string = ks.update_string(&destination)?;
    let mut merged = match string.value() {
        None => SketchBuf::new(sparse_max),
        Some(value) => SketchBuf::copy_of(sketch(value)?, sparse_max),
    };
    if dense {
        merged.make_dense()?;
    }
    merged.add_registers(&registers)?;
    merged.invalidate();
    string.set_raw(merged.as_bytes());
    reply.ok();
    Ok(Effect::one(EventClass::String, "pfadd"))
}

const PFDEBUG: Row = Row {
    name: "pfdebug",
    arity: 3,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::ADMIN),
    categories: Categories::HYPERLOGLOG,
    keys: &[KeySpec::one(2, KeyFlags::RW.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Shows how a HyperLogLog is represented.",
        since: "2.8.9",
        group: Group::HyperLogLog,
        complexity: "O(1): there are as many registers in every HyperLogLog",
        syntax: "subcommand key",
    },
    run: Run::Keys(pfdebug),
};
fn pfdebug(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    const ABSENT: Error = Error::new("ERR The specified key does not exist");
    args.seek(2);
    let key = args.key()?;
    args.seek(1);
    if ks.find(&key).is_none() {
        return Err(ABSENT);
    }
    let string = ks.update_string(&key)?;
    let sketch = sketch(string.value().ok_or(ABSENT)?)?;
    let form = sketch.form();
    if args.option("GETREG") {
        let mut registers = Registers::default();
        sketch.merge(&mut registers)?;
        reply.array(hyperloglog::REGISTERS);
        registers.as_bytes().iter().for_each(|rank| reply.integer(i64::from(*rank)));
        make_dense(ks, &key)
    } else if args.option("DECODE") {
        if form != Form::Sparse {
            return Err(Error::new("ERR HLL encoding is not sparse"));
        }
        reply.bulk(sketch.describe_runs().as_bytes());
        Ok(Effect::none())
    } else if args.option("ENCODING") {
        reply.simple(if form == Form::Dense { "dense" } else { "sparse" });
        Ok(Effect::none())
    } else if args.option("TODENSE") {
        let effect = make_dense(ks, &key)?;
        reply.integer(i64::from(effect.changes));
        Ok(effect)
    } else {
        let name = args.bytes()?;
        Err(Error::quoting("ERR Unknown PFDEBUG subcommand '", name, "'"))
    }
}

/// Makes the registers dense; nobody is told of it but the log.
fn make_dense(ks: &mut Keyspace<'_>, key: &Key<'_>) -> Result<Effect, Error> {
    let string = ks.update_string(key)?;
    let Some(value) = string.value() else { return Ok(Effect::none()) };
    let sketch = sketch(value)?;
    if sketch.form() == Form::Dense {
        string.make_raw();
        return Ok(Effect::none());
    }
    let mut dense = SketchBuf::copy_of(sketch, 0);
    dense.make_dense()?;
    string.set_raw(dense.as_bytes());
    Ok(Effect::as_given(1))
}

const PFSELFTEST: Row = Row {
    name: "pfselftest",
    arity: 1,
    flags: Flags::ADMIN,
    categories: Categories::HYPERLOGLOG,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Tests that HyperLogLogs work on this machine.",
        since: "2.8.9",
        group: Group::HyperLogLog,
        complexity: "O(1), some milliseconds",
        syntax: "",
    },
    run: Run::Connection(pfselftest),
};
fn pfselftest(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    hyperloglog::self_test(call.now_us as u64)
        .map_err(|why| Error::owned(format!("ERR TESTFAILED {why}")))?;
    reply.ok();
    Ok(After::Continue)
}
