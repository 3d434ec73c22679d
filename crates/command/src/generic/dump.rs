//! Values as bytes, and back.

use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::dump::{self, Format, Refused};
use kevy_keyspace::{Entry, Keyspace, Usage};

pub(super) const DUMP: Row = Row {
    name: "dump",
    arity: 2,
    flags: Flags::READONLY,
    categories: Categories::KEYSPACE,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns the value of a key as bytes for RESTORE.",
        since: "2.6.0",
        group: Group::Generic,
        complexity: "O(N) where N is the number of bytes",
        syntax: "key",
    },
    run: Run::Keys(dump),
};
fn dump(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    match ks.get(&args.key()?) {
        Some(record) => reply.bulk(&dump::dump(record, Format::default())),
        None => reply.null(),
    }
    Ok(Effect::none())
}

pub(super) const RESTORE: Row = Row {
    name: "restore",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    keys: &[KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "Makes a key of the bytes that DUMP has returned.",
        since: "2.6.0",
        group: Group::Generic,
        complexity: "O(N*log(N)) where N is the number of bytes",
        syntax: "key ttl:integer serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds | FREQ frequency:integer]",
    },
    run: Run::Keys(restore),
};
pub(super) const RESTORE_ASKING: Row = Row {
    name: "restore-asking",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::ASKING),
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    keys: &[KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE))],
    tips: &[],
    doc: Doc {
        summary: "As RESTORE, for keys that move between nodes of a cluster.",
        since: "3.0.0",
        group: Group::Server,
        complexity: "O(N*log(N)) where N is the number of bytes",
        syntax: "key ttl:integer serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds | FREQ frequency:integer]",
    },
    run: Run::Keys(restore),
};
fn restore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, ttl, payload) = (args.key()?, args.bytes()?, args.bytes()?);
    let options = Options::read(&mut args)?;
    if !options.replace && ks.find(&key).is_some() {
        return Err(Error::new("BUSYKEY Target key name already exists."));
    }
    let deadline = options.deadline(ttl, ks.now_ms())?;
    let record =
        dump::restore(key.bytes, payload, ks.limits(), ks.max_bulk()).map_err(|why| match why {
            Refused::Footer => Error::new("ERR DUMP payload version or checksum are wrong"),
            Refused::Contents => Error::new("ERR Bad data format"),
        })?;
    reply.ok();
    if deadline.is_some_and(|deadline| deadline <= ks.now_ms()) {
        return Ok(match ks.remove(&key) {
            true => Effect::logged(Logged::Delete, EventClass::Generic, "del"),
            false => Effect::none(),
        });
    }
    let logged = match deadline {
        Some(deadline) if !options.absolute => Logged::Frames(Box::new(frame(&args, deadline)?)),
        _ => Logged::AsGiven,
    };
    let mut entry = Entry::from(record);
    entry.set_deadline(deadline);
    ks.put(&key, entry);
    if let Some(usage) = options.usage {
        ks.set_usage(&key, usage);
    }
    Ok(Effect::logged(logged, EventClass::Generic, "restore"))
}

/// The options of `RESTORE`.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    usage: Option<Usage>,
}

impl Options {
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        while !args.at_end() {
            if args.option("REPLACE") {
                options.replace = true;
            } else if args.option("ABSTTL") {
                options.absolute = true;
            } else if args.remaining() > 1
                && !matches!(options.usage, Some(Usage::Frequency(_)))
                && args.option("IDLETIME")
            {
                let seconds = u64::try_from(args.int()?)
                    .map_err(|_| Error::new("ERR Invalid IDLETIME value, must be >= 0"))?;
                options.usage = Some(Usage::Idle(seconds));
            } else if args.remaining() > 1
                && !matches!(options.usage, Some(Usage::Idle(_)))
                && args.option("FREQ")
            {
                let frequency = u8::try_from(args.int()?)
                    .map_err(|_| Error::new("ERR Invalid FREQ value, must be >= 0 and <= 255"))?;
                options.usage = Some(Usage::Frequency(frequency));
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(options)
    }

    /// When the key expires, in Unix milliseconds; 0 means never.
    fn deadline(&self, ttl: &[u8], now_ms: i64) -> Result<Option<i64>, Error> {
        let ttl = kevy_data::number::parse_i64(ttl).ok_or(Error::NOT_INTEGER)?;
        match ttl {
            ..0 => Err(Error::new("ERR Invalid TTL value, must be >= 0")),
            0 => Ok(None),
            _ if self.absolute => Ok(Some(ttl)),
            // What does not fit 64 bits has passed, as in Redis.
            _ => Ok(Some(ttl.wrapping_add(now_ms))),
        }
    }
}

/// The call with its time made an absolute one.
fn frame(args: &Args<'_>, deadline: i64) -> Result<CommandList, Error> {
    let deadline = deadline.to_string();
    let told = args.iter().enumerate().map(|(at, arg)| match at {
        2 => deadline.as_bytes(),
        _ => arg,
    });
    let mut list = CommandList::new();
    match list.push(told.chain([&b"ABSTTL"[..]])) {
        true => Ok(list),
        false => Err(Error::OUT_OF_MEMORY),
    }
}
