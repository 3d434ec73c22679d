//! Reading a list.

use super::{count, signed};
use crate::string::write_string;
use crate::{
    Args, Categories, Doc, Effect, Error, Flags, Group, KeyFlags, KeySpec, Reply, Row, Run,
};
use kevy_data::{List, ListRef, Side};
use kevy_keyspace::Keyspace;

pub(super) const LLEN: Row = Row {
    name: "llen",
    arity: 2,
    flags: Flags::READONLY.union(Flags::FAST),
    categories: Categories::LIST,
    keys: &[KeySpec::one(1, KeyFlags::RO)],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of elements of a list.",
        since: "1.0.0",
        group: Group::List,
        complexity: "O(1)",
        syntax: "key",
    },
    run: Run::Keys(llen),
};
fn llen(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    reply.integer(ks.read::<List>(&args.key()?)?.map_or(0, ListRef::len) as i64);
    Ok(Effect::none())
}

pub(super) const LINDEX: Row = Row {
    name: "lindex",
    arity: 3,
    flags: Flags::READONLY,
    categories: Categories::LIST,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the element of a list at an index, counted from the end if negative.",
        since: "1.0.0",
        group: Group::List,
        complexity: "O(N) where N is the square root of the number of elements; O(1) at the ends.",
        syntax: "key index",
    },
    run: Run::Keys(lindex),
};
fn lindex(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    // As in Redis, the index of a list that is not there is not looked at.
    let Some(list) = ks.read::<List>(&args.key()?)? else {
        reply.null();
        return Ok(Effect::none());
    };
    match list.index(args.int()?).and_then(|index| list.get(index)) {
        Some(element) => write_string(reply, element),
        None => reply.null(),
    }
    Ok(Effect::none())
}

pub(super) const LRANGE: Row = Row {
    name: "lrange",
    arity: 4,
    flags: Flags::READONLY,
    categories: Categories::LIST,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the elements of a list from one index to another.",
        since: "1.0.0",
        group: Group::List,
        complexity: "O(S+N) where S is the square root of the number of elements and N the number \
                     of those returned.",
        syntax: "key start stop:integer",
    },
    run: Run::Keys(lrange),
};
fn lrange(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let (start, stop) = (args.int()?, args.int()?);
    let Some(list) = ks.read::<List>(&key)? else {
        reply.array(0);
        return Ok(Effect::none());
    };
    let (start, count) = span(list.len(), start, stop);
    reply.array(count);
    list.walk(start, Side::Left).take(count).for_each(|element| write_string(reply, element));
    Ok(Effect::none())
}

/// The first index and the number of elements that a range from `start` to `stop`, both included
/// and negative if counted from the end, has in a list of `len`.
pub(super) fn span(len: usize, start: i64, stop: i64) -> (usize, usize) {
    let from_front = |index: i64| match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let start = from_front(start).unwrap_or(0);
    match from_front(stop) {
        Some(stop) if start <= stop && start < len => (start, stop.min(len - 1) - start + 1),
        _ => (0, 0),
    }
}

pub(super) const LPOS: Row = Row {
    name: "lpos",
    arity: -3,
    flags: Flags::READONLY,
    categories: Categories::LIST,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &[],
    doc: Doc {
        summary: "Returns the indexes at which a list has an element.",
        since: "6.0.6",
        group: Group::List,
        complexity: "O(N) where N is the number of elements compared.",
        syntax: "key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]",
    },
    run: Run::Keys(lpos),
};
fn lpos(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let element = args.bytes()?;
    let options = Search::read(&mut args)?;
    let Some(list) = ks.read::<List>(&key)? else {
        match options.count {
            Some(_) => reply.array(0),
            None => reply.null(),
        }
        return Ok(Effect::none());
    };
    let matches = list.matches(element, options.side, options.compared);
    let mut found = matches.skip(options.skipped);
    match options.count {
        None => match found.next() {
            Some(index) => reply.integer(index as i64),
            None => reply.null(),
        },
        Some(count) => {
            let (mark, mut written) = (reply.mark(), 0);
            for index in found.take(count) {
                reply.integer(index as i64);
                written += 1;
            }
            reply.array_at(mark, written);
        }
    }
    Ok(Effect::none())
}

/// What `LPOS` looks for.
struct Search {
    /// The end to begin at.
    side: Side,
    /// How many matches are passed over.
    skipped: usize,
    /// How many are wanted, if an array is.
    count: Option<usize>,
    /// How many elements are compared.
    compared: usize,
}

impl Search {
    fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let mut search = Self { side: Side::Left, skipped: 0, count: None, compared: usize::MAX };
        // As in Redis, 0 is no limit.
        let limit = |given: usize| if given == 0 { usize::MAX } else { given };
        while !args.at_end() {
            if args.remaining() < 2 {
                return Err(Error::SYNTAX);
            } else if args.option("RANK") {
                search.rank(signed(args)?)?;
            } else if args.option("COUNT") {
                search.count = Some(limit(count(args, 0, "ERR COUNT can't be negative")?));
            } else if args.option("MAXLEN") {
                search.compared = limit(count(args, 0, "ERR MAXLEN can't be negative")?);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(search)
    }

    fn rank(&mut self, rank: i64) -> Result<(), Error> {
        if rank == 0 {
            return Err(Error::new(
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second \
                 ... or use negative to start from the end of the list",
            ));
        }
        self.side = if rank < 0 { Side::Right } else { Side::Left };
        self.skipped = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn ranges_are_cut_to_the_list() {
        let all = [(0, -1), (-5, 10), (-100, 4), (0, i64::MAX), (i64::MIN, -1)];
        assert!(all.iter().all(|&(start, stop)| span(5, start, stop) == (0, 5)));
        assert_eq!(span(5, 1, 3), (1, 3));
        assert_eq!(span(5, -2, -2), (3, 1));
        assert_eq!(span(5, 4, 4), (4, 1));
        let none = [(5, 9), (3, 2), (0, -6), (-1, -2), (i64::MAX, i64::MIN), (0, i64::MIN)];
        assert!(none.iter().all(|&(start, stop)| span(5, start, stop) == (0, 0)));
    }
}
