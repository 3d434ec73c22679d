//! Finding keys without knowing their names.

use crate::glob;
use crate::walk::{WalkOptions, cursor_number, write_walk};
use crate::{Args, Categories, Doc, Effect, Error, Flags, Group, Reply, Row, Run};
use kevy_keyspace::{Keyspace, Placement, Record};

pub(super) const KEYS: Row = Row {
    name: "keys",
    arity: 2,
    flags: Flags::READONLY,
    categories: Categories::KEYSPACE.union(Categories::DANGEROUS),
    keys: &[],
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns the keys whose names match a pattern.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(N) where N is the number of keys in the database",
        syntax: "pattern",
    },
    run: Run::AllStores(keys),
};
fn keys(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let pattern = args.bytes()?;
    let all = glob::matches_all(pattern);
    let (mark, mut count) = (reply.mark(), 0);
    ks.keys(ks.db(), |key| {
        if all || glob::matches(pattern, key, false) {
            reply.bulk(key);
            count += 1;
        }
    });
    reply.array_at(mark, count);
    Ok(Effect::none())
}

pub(super) const RANDOMKEY: Row = Row {
    name: "randomkey",
    arity: 1,
    flags: Flags::READONLY.union(Flags::TOUCHES_ARBITRARY_KEYS),
    categories: Categories::KEYSPACE,
    keys: &[],
    tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
    doc: Doc {
        summary: "Returns the name of some key.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::AllStores(randomkey),
};
fn randomkey(ks: &mut Keyspace<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    match ks.random_key() {
        Some(key) => reply.bulk(&key),
        None => reply.null(),
    }
    Ok(Effect::none())
}

pub(super) const SCAN: Row = Row {
    name: "scan",
    arity: -2,
    flags: Flags::READONLY.union(Flags::TOUCHES_ARBITRARY_KEYS),
    categories: Categories::KEYSPACE,
    keys: &[],
    tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
    doc: Doc {
        summary: "Returns some keys and where to go on: a walk over all keys in steps.",
        since: "2.8.0",
        group: Group::Generic,
        complexity: "O(1) for every call, O(N) for a whole walk",
        syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
    },
    run: Run::Walk(store_of, scan),
};
fn scan(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let cursor =
        Cursor::read(args.bytes()?, args.placement()).ok_or(WalkOptions::INVALID_CURSOR)?;
    let options = WalkOptions::read_with_type(&mut args)?;
    let of_type = |record: &Record| {
        // An unknown type is no error: nothing is of it.
        let name = record.kind().name().as_bytes();
        options.kind.is_none_or(|kind| name.eq_ignore_ascii_case(kind))
    };
    write_walk(reply, |reply| {
        let mut found = 0;
        let part = ks.scan(cursor.store, cursor.part, options.count, |record| {
            if of_type(record) && options.matches(record.key()) {
                reply.bulk(record.key());
                found += 1;
            }
        });
        (Cursor { part, ..cursor }.next(args.placement()), found)
    });
    Ok(Effect::none())
}

/// The store in which a walk goes on; an invalid cursor is the handler's to refuse.
fn store_of(args: &Args<'_>, placement: Placement) -> u32 {
    let cursor = args.get(1).and_then(|text| Cursor::read(text, placement));
    cursor.map_or(0, |cursor| cursor.store)
}

/// How far a walk has come: through all stores below this one, and through this part of it.
///
/// As a number it is the part, below 2^40, times the number of stores, plus the store: so it stays
/// below 2^53, 0 is the start of the first store, and a small number the start of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cursor {
    store: u32,
    /// 0 is the start.
    part: u64,
}

impl Cursor {
    fn read(text: &[u8], placement: Placement) -> Option<Self> {
        let number = cursor_number(text)?;
        let stores = u64::from(placement.stores());
        Some(Self { store: (number % stores) as u32, part: number / stores })
    }

    /// Where the walk goes on behind it, as a number; a part of 0 is the end of the store.
    fn next(self, placement: Placement) -> u64 {
        let stores = u64::from(placement.stores());
        match (self.part, u64::from(self.store) + 1) {
            (0, next) if next == stores => 0,
            (0, next) => next,
            (part, next) => part * stores + next - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_lead_through_all_stores() {
        let placement = Placement::new(4);
        let read = |number: u64| Cursor::read(number.to_string().as_bytes(), placement).unwrap();
        assert_eq!(read(0), Cursor { store: 0, part: 0 });
        let middle = Cursor { store: 2, part: (1 << 40) - 1 };
        assert!(middle.next(placement) < 1 << 53);
        assert_eq!(read(middle.next(placement)), middle);
        for (store, next) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
            let end = Cursor { store, part: 0 };
            assert_eq!(end.next(placement), next);
        }
        assert_eq!(read(3), Cursor { store: 3, part: 0 });
        for wrong in [&b"x"[..], b" 1", b"-", b"1 ", b"18446744073709551616", b"+-1"] {
            assert_eq!(Cursor::read(wrong, placement), None);
        }
    }
}
