//! Integers of any width inside a string.

use super::checked_offset;
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Logged,
    Reply, Row, Run,
};
use kevy_data::bits::{Field, Overflow};
use kevy_data::{IntBuffer, number};
use kevy_keyspace::{Key, Keyspace};

pub(super) const BITFIELD: Row = Row {
    name: "bitfield",
    arity: -2,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::BITMAP,
    keys: &[KeySpec::one(
        1,
        KeyFlags::RW
            .union(KeyFlags::ACCESS)
            .union(KeyFlags::UPDATE)
            .union(KeyFlags::VARIABLE_FLAGS),
    )
    .without(&["SET", "INCRBY"], 2, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Reads, sets and increments integers of any width inside a string.",
        since: "3.2.0",
        group: Group::Bitmap,
        complexity: "O(1) for each subcommand specified",
        syntax: "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value:integer | INCRBY encoding offset increment> ...]",
    },
    run: Run::Keys(bitfield),
};
fn bitfield(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let steps = steps(ks, &mut args)?;
    if steps.iter().all(Step::only_reads) {
        read(ks, &key, &steps, reply)
    } else {
        write(ks, &key, &steps, reply)
    }
}

pub(super) const BITFIELD_RO: Row = Row {
    name: "bitfield_ro",
    arity: -2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::BITMAP,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Reads integers of any width inside a string.",
        since: "6.0.0",
        group: Group::Bitmap,
        complexity: "O(1) for each subcommand specified",
        syntax: "key [GET encoding offset [GET encoding offset ...]]",
    },
    run: Run::Keys(bitfield_ro),
};
fn bitfield_ro(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let steps = steps(ks, &mut args)?;
    if !steps.iter().all(Step::only_reads) {
        return Err(Error::new("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read(ks, &key, &steps, reply)
}

/// What is done with one field.
#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

#[derive(Clone, Copy)]
struct Step {
    field: Field,
    action: Action,
    overflow: Overflow,
}

/// What a step answers, and what it writes if it does.
struct Outcome {
    answer: Option<i64>,
    held: i64,
    new: Option<i64>,
}

impl Step {
    fn only_reads(&self) -> bool {
        matches!(self.action, Action::Get)
    }

    fn on(&self, bytes: &[u8]) -> Outcome {
        let held = self.field.get(bytes);
        let (answer, new) = match self.action {
            Action::Get => (Some(held), None),
            Action::Set(value) => {
                let new = self.field.fit(value, self.overflow);
                (new.and(Some(held)), new)
            }
            Action::Add(increment) => {
                let new = self.field.add(held, increment, self.overflow);
                (new, new)
            }
        };
        Outcome { answer, held, new }
    }

    fn changes(&self, bytes: &[u8]) -> bool {
        let Outcome { held, new, .. } = self.on(bytes);
        new.is_some_and(|new| new != held)
    }
}

/// Reads all subcommands.
fn steps(ks: &Keyspace<'_>, args: &mut Args<'_>) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    let mut overflow = Overflow::default();
    while !args.at_end() {
        let following = args.remaining() - 1;
        if following >= 2 && args.option("GET") {
            let field = field(ks, args)?;
            steps.push(Step { field, action: Action::Get, overflow });
        } else if following >= 3 && args.option("SET") {
            let field = field(ks, args)?;
            steps.push(Step { field, action: Action::Set(args.int()?), overflow });
        } else if following >= 3 && args.option("INCRBY") {
            let field = field(ks, args)?;
            steps.push(Step { field, action: Action::Add(args.int()?), overflow });
        } else if following >= 1 && args.option("OVERFLOW") {
            overflow = overflow_type(args)?;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    Ok(steps)
}

fn overflow_type(args: &mut Args<'_>) -> Result<Overflow, Error> {
    if args.option("WRAP") {
        Ok(Overflow::Wrap)
    } else if args.option("SAT") {
        Ok(Overflow::Saturate)
    } else if args.option("FAIL") {
        Ok(Overflow::Fail)
    } else {
        Err(Error::new("ERR Invalid OVERFLOW type specified"))
    }
}

/// Reads a type, as `u8` or `i64`, and an offset: in bits, or behind `#` in fields of the type.
fn field(ks: &Keyspace<'_>, args: &mut Args<'_>) -> Result<Field, Error> {
    const INVALID: Error = Error::new(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    );
    let (signed, bits) = match args.bytes()? {
        [b'i', bits @ ..] => (true, bits),
        [b'u', bits @ ..] => (false, bits),
        _ => return Err(INVALID),
    };
    let bits = number::parse_i64(bits).and_then(|bits| u32::try_from(bits).ok()).ok_or(INVALID)?;
    Field::new(signed, bits, 0).ok_or(INVALID)?;
    let offset = match args.bytes()? {
        [b'#', fields @ ..] => {
            number::parse_i64(fields).and_then(|fields| fields.checked_mul(i64::from(bits)))
        }
        offset => number::parse_i64(offset),
    };
    Field::new(signed, bits, checked_offset(ks, offset)?).ok_or(INVALID)
}

fn read(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    steps: &[Step],
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let mut buffer = IntBuffer::new();
    let held = ks.string(key)?.map_or(&[][..], |value| value.as_bytes(&mut buffer));
    reply.array(steps.len());
    steps.iter().for_each(|step| write_answer(reply, step.on(held).answer));
    Ok(Effect::none())
}

/// Runs the steps in order, each on what the ones before have made. The string is touched from the
/// first one on that changes something.
fn write(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    steps: &[Step],
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let writing = steps.iter().filter(|step| !step.only_reads());
    let len = writing.map(|step| step.field.end()).max().unwrap_or(0) as usize;
    let string = ks.update_string(key)?;
    reply.array(steps.len());
    let mut buffer = IntBuffer::new();
    let held = string.value().map_or(&[][..], |value| value.as_bytes(&mut buffer));
    let grows = held.len() < len;
    let idle = if grows { 0 } else { steps.iter().take_while(|step| !step.changes(held)).count() };
    let (idle, rest) = steps.split_at(idle);
    idle.iter().for_each(|step| write_answer(reply, step.on(held).answer));
    if rest.is_empty() {
        string.make_raw();
        return Ok(Effect::none());
    }
    let bytes = string.bytes_mut(len);
    let mut changes = 0;
    for step in rest {
        let Outcome { answer, held, new } = step.on(bytes);
        write_answer(reply, answer);
        if let Some(new) = new {
            step.field.set(bytes, new);
            changes += u32::from(grows || new != held);
        }
    }
    // Where all steps fail the string has grown all the same, and the log must say so.
    match changes {
        0 => Ok(Effect { changes: 1, logged: Logged::AsGiven, ..Effect::default() }),
        _ => Ok(Effect::as_given(changes).event(EventClass::String, "setbit", 1)),
    }
}

fn write_answer(reply: &mut Reply<'_>, answer: Option<i64>) {
    match answer {
        Some(value) => reply.integer(value),
        None => reply.null(),
    }
}
