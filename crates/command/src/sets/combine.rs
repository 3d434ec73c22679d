//! Intersections, unions and differences.

use super::{number_from, write_member};
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec, Reply, Row,
    Run,
};
use kevy_data::{Collection, Encoding, Item, Limits, Set, SetRef};
use kevy_keyspace::{Key, Keyspace};
use smallvec::SmallVec;
use std::cmp::Reverse;

const READ: KeyFlags = KeyFlags::RO.union(KeyFlags::ACCESS);

/// A destination, and sets from argument 2 on.
const STORE_KEYS: &[KeySpec] =
    &[KeySpec::one(1, KeyFlags::OW.union(KeyFlags::UPDATE)), KeySpec::rest(2, READ)];

pub(super) const SINTER: Row = Row {
    name: "sinter",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::SET,
    keys: &[KeySpec::rest(1, READ)],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns the members that several sets have in common.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        syntax: "key [key ...]",
    },
    run: Run::Keys(sinter),
};
fn sinter(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let keys = rest(&mut args)?;
    check(ks, &keys)?;
    write_all(reply, intersection(&sets(ks, &keys)));
    Ok(Effect::none())
}

pub(super) const SINTERCARD: Row = Row {
    name: "sintercard",
    arity: -3,
    flags: Flags::READONLY.union(Flags::MOVABLE_KEYS),
    categories: Categories::SET,
    keys: &[KeySpec {
        flags: READ,
        begin: crate::row::Begin::Index(1),
        find: crate::row::Find::KeyNum { index: 0, first: 1, step: 1 },
        variant: None,
    }],
    tips: &[],
    doc: Doc {
        summary: "Returns how many members several sets have in common.",
        since: "7.0.0",
        group: Group::Set,
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        syntax: "numkeys key [key ...] [LIMIT limit]",
    },
    run: Run::Keys(sintercard),
};
fn sintercard(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let count = number_from(&mut args, 1, "ERR numkeys should be greater than 0")?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > args.remaining() {
        return Err(Error::new("ERR Number of keys can't be greater than number of args"));
    }
    let keys = (0..count).map(|_| args.key()).collect::<Result<Keys<'_>, _>>()?;
    let mut limit = usize::MAX;
    while !args.at_end() {
        if args.remaining() < 2 || !args.option("LIMIT") {
            return Err(Error::SYNTAX);
        }
        let number = number_from(&mut args, 0, "ERR LIMIT can't be negative")?;
        limit = usize::try_from(number).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    }
    check(ks, &keys)?;
    let found = intersection(&sets(ks, &keys)).take(limit).count();
    reply.integer(found as i64);
    Ok(Effect::none())
}

pub(super) const SINTERSTORE: Row = Row {
    name: "sinterstore",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::SET,
    keys: STORE_KEYS,
    tips: &[],
    doc: Doc {
        summary: "Stores the members that several sets have in common.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        syntax: "destination key [key ...]",
    },
    run: Run::Keys(sinterstore),
};
fn sinterstore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let destination = args.key()?;
    let keys = rest(&mut args)?;
    check(ks, &keys)?;
    let result = gather(Set::default(), intersection(&sets(ks, &keys)), ks.limits());
    Ok(store(ks, &destination, result, "sinterstore", reply))
}

pub(super) const SUNION: Row = Row {
    name: "sunion",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::SET,
    keys: &[KeySpec::rest(1, READ)],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns the members that any of several sets has.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        syntax: "key [key ...]",
    },
    run: Run::Keys(sunion),
};
fn sunion(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let keys = rest(&mut args)?;
    check(ks, &keys)?;
    let sets = sets(ks, &keys);
    let result = gather(scratch(&sets), union(&sets), ks.limits());
    write_all(reply, result.as_ref().iter());
    Ok(Effect::none())
}

pub(super) const SUNIONSTORE: Row = Row {
    name: "sunionstore",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::SET,
    keys: STORE_KEYS,
    tips: &[],
    doc: Doc {
        summary: "Stores the members that any of several sets has.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        syntax: "destination key [key ...]",
    },
    run: Run::Keys(sunionstore),
};
fn sunionstore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let destination = args.key()?;
    let keys = rest(&mut args)?;
    check(ks, &keys)?;
    let result = gather(Set::default(), union(&sets(ks, &keys)), ks.limits());
    Ok(store(ks, &destination, result, "sunionstore", reply))
}

pub(super) const SDIFF: Row = Row {
    name: "sdiff",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::SET,
    keys: &[KeySpec::rest(1, READ)],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns the members of a set that none of the others has.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        syntax: "key [key ...]",
    },
    run: Run::Keys(sdiff),
};
fn sdiff(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let keys = rest(&mut args)?;
    check(ks, &keys)?;
    let difference = Difference::new(&keys, sets(ks, &keys));
    if difference.is_cheap_to_look_for() {
        write_all(reply, difference.by_looking());
    } else {
        write_all(reply, difference.by_removing(Set::large(), ks.limits()).as_ref().iter());
    }
    Ok(Effect::none())
}

pub(super) const SDIFFSTORE: Row = Row {
    name: "sdiffstore",
    arity: -3,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    categories: Categories::SET,
    keys: STORE_KEYS,
    tips: &[],
    doc: Doc {
        summary: "Stores the members of a set that none of the others has.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        syntax: "destination key [key ...]",
    },
    run: Run::Keys(sdiffstore),
};
fn sdiffstore(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let destination = args.key()?;
    let keys = rest(&mut args)?;
    check(ks, &keys)?;
    let result = Difference::new(&keys, sets(ks, &keys)).gathered(ks.limits());
    Ok(store(ks, &destination, result, "sdiffstore", reply))
}

type Keys<'a> = SmallVec<[Key<'a>; 4]>;
type Sets<'a> = SmallVec<[Option<SetRef<'a>>; 4]>;

/// All arguments that are left, as keys.
fn rest<'a>(args: &mut Args<'a>) -> Result<Keys<'a>, Error> {
    (0..args.remaining()).map(|_| args.key()).collect()
}

/// Looks at all keys before anything is done: each is a set, or absent.
fn check(ks: &mut Keyspace<'_>, keys: &[Key<'_>]) -> Result<(), Error> {
    for key in keys {
        ks.read::<Set>(key)?;
    }
    Ok(())
}

/// The sets of all keys side by side; none where there is no such key.
fn sets<'k>(ks: &'k Keyspace<'_>, keys: &[Key<'_>]) -> Sets<'k> {
    keys.iter().map(|key| ks.at(key)?.collection::<Set>()).collect()
}

/// The members that all sets have: those of the smallest that the others have too.
fn intersection<'k>(sets: &[Option<SetRef<'k>>]) -> impl Iterator<Item = Item<'k>> + use<'k> {
    // A key that does not exist is an empty set.
    let sets: Option<SmallVec<[SetRef<'k>; 4]>> = sets.iter().copied().collect();
    let mut sets = sets.unwrap_or_default();
    sets.sort_by_key(|set| set.len());
    let smallest = sets.first().copied();
    let members = smallest.into_iter().flat_map(SetRef::iter);
    members.filter(move |member| sets.iter().skip(1).all(|set| set.contains_item(*member)))
}

/// The members of all sets; those of several come several times.
fn union<'k>(sets: &[Option<SetRef<'k>>]) -> impl Iterator<Item = Item<'k>> {
    sets.iter().flatten().flat_map(|set| set.iter())
}

/// Where a result is gathered that is not to be kept: in a table, unless all sets are of integers.
fn scratch(sets: &[Option<SetRef<'_>>]) -> Set {
    let ints = |set: &SetRef<'_>| Set::encoding(*set) == Encoding::Intset;
    if sets.iter().flatten().all(ints) { Set::default() } else { Set::large() }
}

/// `result` with all these members.
fn gather<'k>(mut result: Set, members: impl Iterator<Item = Item<'k>>, limits: &Limits) -> Set {
    for member in members {
        result.insert(member, limits);
    }
    result
}

/// What is left of a set without the members of others.
struct Difference<'k> {
    first: Option<SetRef<'k>>,
    others: SmallVec<[SetRef<'k>; 4]>,
}

impl<'k> Difference<'k> {
    fn new(keys: &[Key<'_>], sets: Sets<'k>) -> Self {
        // Without itself, nothing is left of a set.
        let again = keys.iter().skip(1).any(|key| key.bytes == keys[0].bytes);
        let first = sets.first().copied().flatten().filter(|_| !again);
        let mut others: SmallVec<[_; 4]> = sets.into_iter().skip(1).flatten().collect();
        // What is common is found soonest in the largest.
        others.sort_by_key(|set| Reverse(set.len()));
        Self { first, others }
    }

    /// Either each member of the first set is looked for in the others, or the members of all are
    /// gone over. Looking costs less for each, so it is given some advantage, as in Redis.
    fn is_cheap_to_look_for(&self) -> bool {
        let first = self.first.map_or(0, SetRef::len);
        let all = first + self.others.iter().map(|set| set.len()).sum::<usize>();
        first.saturating_mul(1 + self.others.len()) / 2 <= all
    }

    fn by_looking(&self) -> impl Iterator<Item = Item<'k>> {
        let members = self.first.into_iter().flat_map(SetRef::iter);
        members.filter(|member| !self.others.iter().any(|set| set.contains_item(*member)))
    }

    fn gathered(&self, limits: &Limits) -> Set {
        if self.is_cheap_to_look_for() {
            gather(Set::default(), self.by_looking(), limits)
        } else {
            self.by_removing(Set::default(), limits)
        }
    }

    fn by_removing(&self, start: Set, limits: &Limits) -> Set {
        let mut result = gather(start, self.first.into_iter().flat_map(SetRef::iter), limits);
        for member in self.others.iter().flat_map(|set| set.iter()) {
            if result.remove(member) && result.is_empty() {
                break;
            }
        }
        result
    }
}

/// Writes a set of these members, none of which comes twice.
fn write_all<'k>(reply: &mut Reply<'_>, members: impl Iterator<Item = Item<'k>>) {
    let (mark, mut count) = (reply.mark(), 0);
    for member in members {
        write_member(reply, member);
        count += 1;
    }
    reply.set_at(mark, count);
}

/// Puts a result under the key of argument 1; if it is empty, there is no such key any more.
fn store(
    ks: &mut Keyspace<'_>,
    destination: &Key<'_>,
    mut result: Set,
    event: &'static str,
    reply: &mut Reply<'_>,
) -> Effect {
    let count = result.as_ref().len();
    reply.integer(count as i64);
    result.shrink();
    let existed = ks.put_value(destination, result);
    match (count, existed) {
        (0, false) => Effect::none(),
        (0, true) => Effect::one(EventClass::Generic, "del"),
        _ => Effect::one(EventClass::Set, event),
    }
}
