//! Random fields, and all fields in steps.

use crate::string::write_string;
use crate::walk::{WalkOptions, write_walk};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::{Field, Fields, Hash, IntBuffer, Random};
use kevy_keyspace::Keyspace;
use kevy_resp::Proto;

pub(super) const HRANDFIELD: Row = Row {
    name: "hrandfield",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns fields chosen at random.",
        since: "6.2.0",
        group: Group::Hash,
        complexity: "O(N) where N is the number of fields returned.",
        syntax: "key [count [WITHVALUES]]",
    },
    run: Run::Keys(hrandfield),
};
fn hrandfield(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let wanted = if args.at_end() { None } else { Some(Wanted::read(&mut args)?) };
    let (now_ms, mut random) = (ks.now_ms(), Random::new(ks.random()));
    let fields = ks.read::<Hash>(&key)?.map(|hash| hash.at(now_ms));
    match (fields, wanted) {
        (Some(fields), Some(wanted)) => wanted.write(fields, &mut random, reply),
        (None, Some(_)) => reply.array(0),
        (fields, None) => match fields.and_then(|fields| fields.sample(&mut random)) {
            Some(field) => write_string(reply, field.name),
            None => reply.null(),
        },
    }
    Ok(Effect::none())
}

/// How many fields are wanted.
struct Wanted {
    count: usize,
    /// The same may come again.
    again: bool,
    with_values: bool,
}

impl Wanted {
    /// Reads `count [WITHVALUES]`.
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let count = args.int()?;
        if count == i64::MIN {
            return Err(Error::new(
                "ERR value is out of range, value must between -9223372036854775807 and \
                 9223372036854775807",
            ));
        }
        let with_values = !args.at_end();
        if with_values && !(args.option("WITHVALUES") && args.at_end()) {
            return Err(Error::SYNTAX);
        }
        // So many values could not even be counted in a reply.
        if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
            return Err(Error::new("ERR value is out of range"));
        }
        Ok(Self { count: count.unsigned_abs() as usize, again: count < 0, with_values })
    }

    fn write(&self, fields: Fields<'_>, random: &mut Random, reply: &mut Reply<'_>) {
        let len = fields.len();
        let count = if self.again && len > 0 { self.count } else { self.count.min(len) };
        let flat = self.with_values && reply.proto() == Proto::Resp2;
        reply.array(if flat { count * 2 } else { count });
        if !self.again {
            return fields.choose(count, random, |field| self.write_field(field, reply));
        }
        for _ in 0..count {
            if let Some(field) = fields.sample(random) {
                self.write_field(field, reply);
            }
        }
    }

    /// With its value a field is a pair, which the older protocol does not show as such.
    fn write_field(&self, field: Field<'_>, reply: &mut Reply<'_>) {
        if self.with_values && reply.proto() == Proto::Resp3 {
            reply.array(2);
        }
        write_string(reply, field.name);
        if self.with_values {
            write_string(reply, field.value);
        }
    }
}

pub(super) const HSCAN: Row = Row {
    name: "hscan",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::HASH,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns some fields and where to go on: a walk over a hash in steps.",
        since: "2.8.0",
        group: Group::Hash,
        complexity: "O(1) for every call, O(N) for a whole walk",
        syntax: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    },
    run: Run::Keys(hscan),
};
fn hscan(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let cursor = WalkOptions::read_cursor(&mut args)?;
    let now_ms = ks.now_ms();
    let Some(hash) = ks.read::<Hash>(&key)? else {
        write_walk(reply, |_| (0, 0));
        return Ok(Effect::none());
    };
    let (mut options, mut with_values) = (WalkOptions::default(), true);
    while !args.at_end() {
        if args.option("NOVALUES") {
            with_values = false;
        } else {
            options.read_one(&mut args)?;
        }
    }
    write_walk(reply, |reply| {
        let (mut written, mut buffer) = (0, IntBuffer::new());
        let cursor = hash.at(now_ms).walk(cursor, options.count, |field| {
            if options.matches_all() || options.matches(field.name.as_bytes(&mut buffer)) {
                write_string(reply, field.name);
                if with_values {
                    write_string(reply, field.value);
                }
                written += 1 + usize::from(with_values);
            }
        });
        (cursor, written)
    });
    Ok(Effect::none())
}
