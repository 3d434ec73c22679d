//! `LCS`.

use crate::lcs::{self, Match};
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_keyspace::{Key, Keyspace};

pub(super) const LCS: Row = Row {
    name: "lcs",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::STRING,
    keys: &[KeySpec::range(1, 1, 1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Finds the longest common subsequence of two strings.",
        since: "7.0.0",
        group: Group::String,
        complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
        syntax: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    },
    run: Run::Keys(lcs),
};
fn lcs(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let (a, b) = (args.key()?, args.key()?);
    let (a, b) = (text(ks, &a)?, text(ks, &b)?);
    let options = Options::read(&mut args)?;
    check_size(ks, &a, &b)?;
    if options.length {
        reply.integer(lcs::length(&a, &b) as i64);
        return Ok(Effect::none());
    }
    let ways = lcs::ways(&a, &b)
        .ok_or(Error::new("ERR Insufficient memory, failed allocating transient memory for LCS"))?;
    if options.positions {
        let matches = ways.matches(&a, &b);
        write_positions(reply, &matches, ways.len, &options);
    } else {
        reply.bulk(&ways.subsequence(&a, &b));
    }
    Ok(Effect::none())
}

/// The string of a key, an absent one as empty.
fn text(ks: &mut Keyspace<'_>, key: &Key<'_>) -> Result<Vec<u8>, Error> {
    const NOT_A_STRING: Error = Error::new("ERR The specified keys must contain string values");
    let value = ks.string(key).map_err(|_| NOT_A_STRING)?;
    Ok(value.map_or_else(Vec::new, |value| value.to_vec()))
}

#[derive(Default)]
struct Options {
    length: bool,
    positions: bool,
    with_length: bool,
    min_length: i64,
}

impl Options {
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        while !args.at_end() {
            if args.option("IDX") {
                options.positions = true;
            } else if args.option("LEN") {
                options.length = true;
            } else if args.option("WITHMATCHLEN") {
                options.with_length = true;
            } else if args.remaining() > 1 && args.option("MINMATCHLEN") {
                options.min_length = args.int()?;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        if options.length && options.positions {
            return Err(Error::new(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// The limit is that of Redis, which needs four bytes for each pair of positions.
fn check_size(ks: &Keyspace<'_>, a: &[u8], b: &[u8]) -> Result<(), Error> {
    if a.len().max(b.len()) >= u32::MAX as usize - 1 {
        return Err(Error::new("ERR String too long for LCS"));
    }
    let table = (a.len() + 1).checked_mul(b.len() + 1).and_then(|pairs| pairs.checked_mul(4));
    match table {
        Some(bytes) if bytes <= ks.max_bulk() => Ok(()),
        _ => Err(Error::new(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        )),
    }
}

fn write_positions(reply: &mut Reply<'_>, matches: &[Match], length: usize, options: &Options) {
    let wanted = |found: &&Match| found.len() as i64 >= options.min_length;
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.iter().filter(wanted).count());
    for found in matches.iter().filter(wanted) {
        reply.array(if options.with_length { 3 } else { 2 });
        for (first, last) in [found.a, found.b] {
            reply.array(2);
            reply.integer(first as i64);
            reply.integer(last as i64);
        }
        if options.with_length {
            reply.integer(found.len() as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(length as i64);
}
