//! Operations on several bit arrays.

use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::bits::{self, Operation};
use kevy_data::{Blob, IntBuffer};
use kevy_keyspace::{Expiry, Key, Keyspace, StringRef, Text};

pub(super) const BITOP: Row = Row {
    name: "bitop",
    arity: -4,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::BITMAP,
    keys: &[
        KeySpec::one(2, KeyFlags::OW.union(KeyFlags::UPDATE)),
        KeySpec::rest(3, KeyFlags::RO.union(KeyFlags::ACCESS)),
    ],
    tips: &[],
    doc: Doc {
        summary: "Combines strings bit by bit and keeps the result under a key.",
        since: "2.6.0",
        group: Group::Bitmap,
        complexity: "O(N)",
        syntax: "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
    },
    run: Run::Keys(bitop),
};
fn bitop(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let operation = operation(&mut args)?;
    let destination = args.key()?;
    let mut sources = Vec::with_capacity(args.remaining());
    while !args.at_end() {
        sources.push(Source::read(ks, &args.key()?)?);
    }
    let sources: Vec<&[u8]> = sources.iter().map(Source::as_bytes).collect();
    let result = bits::combine(operation, &sources);
    reply.integer(result.len() as i64);
    if result.is_empty() {
        let removed = ks.remove(&destination);
        return Ok(if removed { deleted(&destination) } else { Effect::none() });
    }
    let logged = logged(operation, &destination, &result);
    store(ks, &destination, result)?;
    Ok(Effect { changes: 1, logged, ..Effect::default() }.event(EventClass::String, "set", 2))
}

fn operation(args: &mut Args<'_>) -> Result<Operation, Error> {
    const NAMES: [(&str, Operation); 8] = [
        ("AND", Operation::And),
        ("OR", Operation::Or),
        ("XOR", Operation::Xor),
        ("NOT", Operation::Not),
        ("DIFF", Operation::Diff),
        ("DIFF1", Operation::Diff1),
        ("ANDOR", Operation::AndOr),
        ("ONE", Operation::One),
    ];
    let named = NAMES.iter().find(|(name, _)| args.option(name)).ok_or(Error::SYNTAX)?;
    let (name, operation) = *named;
    let sources = args.remaining().saturating_sub(1);
    match operation {
        Operation::Not if sources != 1 => {
            Err(Error::new("ERR BITOP NOT must be called with a single source key."))
        }
        Operation::Diff | Operation::Diff1 | Operation::AndOr if sources < 2 => Err(Error::owned(
            format!("ERR BITOP {name} must be called with at least two source keys."),
        )),
        operation => Ok(operation),
    }
}

/// A string that is read while others are: large ones are shared, not copied.
enum Source {
    Shared(Blob),
    Copied(Vec<u8>),
}

impl Source {
    fn read(ks: &mut Keyspace<'_>, key: &Key<'_>) -> Result<Self, Error> {
        Ok(match ks.string(key)? {
            None => Self::Copied(Vec::new()),
            Some(StringRef::Blob(blob)) => Self::Shared(blob.clone()),
            Some(value) => Self::Copied(value.as_bytes(&mut IntBuffer::new()).to_vec()),
        })
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Shared(blob) => blob.as_bytes(),
            Self::Copied(bytes) => bytes,
        }
    }
}

/// The longest string that would not be told to be `raw`, and so could spell an integer.
const SHORT: usize = 44;

/// Sets the key to bytes that stay bytes, whatever they spell.
fn store(ks: &mut Keyspace<'_>, key: &Key<'_>, result: Blob) -> Result<(), Error> {
    if result.len() > SHORT {
        ks.set_string(key, Text::Blob(result), Expiry::Clear);
    } else {
        ks.set_string(key, Text::Verbatim(result.as_bytes()), Expiry::Clear);
        ks.update_string(key)?.make_raw();
    }
    Ok(())
}

/// The four operations that every Redis knows are recorded as they are, others by their outcome.
fn logged(operation: Operation, destination: &Key<'_>, result: &Blob) -> Logged {
    match operation {
        Operation::And | Operation::Or | Operation::Xor | Operation::Not => Logged::AsGiven,
        Operation::Diff | Operation::Diff1 | Operation::AndOr | Operation::One => {
            let mut frames = CommandList::new();
            let pushed = frames.push_with([b"SET", destination.bytes], result);
            debug_assert!(pushed, "a key fits a list");
            Logged::Frames(Box::new(frames))
        }
    }
}

fn deleted(destination: &Key<'_>) -> Effect {
    let mut frames = CommandList::new();
    let pushed = frames.push([b"DEL", destination.bytes]);
    debug_assert!(pushed, "a key fits a list");
    Effect::frames(1, frames).event(EventClass::Generic, "del", 2)
}
