//! Digests of data: equal for equal data, whatever the order of keys, and in every process.

use kevy_command::{Args, Effect, Error, Reply};
use kevy_keyspace::{Keyspace, Record};
use sha1::{Digest as _, Sha1};

use super::expect;
use crate::machine::hex;

type Digest = [u8; 20];

/// Adds a part whose place does not matter; what is added twice is gone.
fn combine(digest: &mut Digest, part: Digest) {
    digest.iter_mut().zip(part).for_each(|(byte, part)| *byte ^= part);
}

/// `DEBUG DIGEST`: of everything; zeros if there is nothing.
pub(super) fn digest(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    expect(&args, 0..=0)?;
    let mut digest = Digest::default();
    for db in 0..ks.databases() {
        ks.records(db, |record| combine(&mut digest, of_key(db, record)));
    }
    reply.simple(&hex(&digest));
    Ok(Effect::none())
}

/// `DEBUG DIGEST-VALUE`: of single values, without their keys; zeros for a key that is not there.
pub(super) fn digest_value(
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    reply.array(args.len() - 2);
    for at in 2..args.len() {
        let key = args.key_at(at).ok_or(Error::SYNTAX)?;
        let digest = ks.find(&key).map(of_value).unwrap_or_default();
        reply.simple(&hex(&digest));
    }
    Ok(Effect::none())
}

fn of_key(db: usize, record: &Record) -> Digest {
    let mut hash = Sha1::new();
    hash.update((db as u64).to_le_bytes());
    hash.update((record.key().len() as u64).to_le_bytes());
    hash.update(record.key());
    hash.update(of_value(record));
    hash.finalize().into()
}

/// Of type, value and whether there is a deadline; not when, for that moves on.
fn of_value(record: &Record) -> Digest {
    let mut hash = Sha1::new();
    hash.update(record.kind().name());
    if let Some(string) = record.string() {
        hash.update(string.to_vec());
    }
    if record.deadline().is_some() {
        hash.update(b"!!expire!!");
    }
    hash.finalize().into()
}
