//! Sorting the elements of a list, a set or a sorted set.

mod order;
mod pattern;

use crate::row::{Begin, Find};
use crate::{
    Args, Categories, Doc, Effect, Error, EventClass, EventKey, Flags, Group, KeyFlags, KeySpec,
    Reply, Row, Run,
};
use kevy_data::{IntBuffer, Item, List, NodeLimit, Set, Side, SortedSet, Text};
use kevy_keyspace::{Key, Keyspace, Kind};
use order::{Direction, Weights, order};
use pattern::{Found, Pattern};
use std::ops::Range;

const SORTED: KeySpec = KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS));

/// The keys that patterns name follow from what the sorted key holds.
const REFERRED: KeySpec = KeySpec {
    flags: KeyFlags::RO.union(KeyFlags::ACCESS),
    begin: Begin::Unknown,
    find: Find::Unknown,
    variant: None,
};

const STORED: KeySpec = KeySpec {
    flags: KeyFlags::OW.union(KeyFlags::UPDATE),
    begin: Begin::Option { word: "STORE", from: 2, others: &[("LIMIT", 2), ("BY", 1), ("GET", 1)] },
    find: Find::Range { last: 0, step: 1, limit: 0 },
    variant: None,
};

const CATEGORIES: Categories = Categories::SET
    .union(Categories::SORTEDSET)
    .union(Categories::LIST)
    .union(Categories::DANGEROUS);

const COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).";

pub(in crate::generic) const SORT: Row = Row {
    name: "sort",
    arity: -2,
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::MOVABLE_KEYS),
    categories: CATEGORIES,
    keys: &[SORTED, REFERRED, STORED],
    tips: &[],
    doc: Doc {
        summary: "Sorts the elements of a list or set, by themselves or by what other keys hold; returns or stores the result.",
        since: "1.0.0",
        group: Group::Generic,
        complexity: COMPLEXITY,
        syntax: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]",
    },
    run: Run::Reach(pattern::refers, sort),
};
fn sort(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    let options = Options::read(&mut args, true)?;
    sort_by(ks, &key, &options, reply)
}

pub(in crate::generic) const SORT_RO: Row = Row {
    name: "sort_ro",
    arity: -2,
    flags: Flags::READONLY.union(Flags::MOVABLE_KEYS),
    categories: CATEGORIES,
    keys: &[SORTED, REFERRED],
    tips: &[],
    doc: Doc {
        summary: "Returns the elements of a list or set sorted, by themselves or by what other keys hold.",
        since: "7.0.0",
        group: Group::Generic,
        complexity: COMPLEXITY,
        syntax: "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
    },
    run: Run::Reach(pattern::refers, sort_ro),
};
fn sort_ro(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let options = Options::read(&mut args, false)?;
    sort_by(ks, &key, &options, reply)
}

struct Options<'a> {
    descending: bool,
    alphabetic: bool,
    /// How many elements are passed over, and how many wanted; all behind those if negative.
    limit: (i64, i64),
    by: Option<Pattern<'a>>,
    get: Vec<Pattern<'a>>,
    /// The key, and its position among the arguments.
    store: Option<(Key<'a>, usize)>,
}

impl<'a> Options<'a> {
    fn read(args: &mut Args<'a>, may_store: bool) -> Result<Self, Error> {
        let mut options = Self {
            descending: false,
            alphabetic: false,
            limit: (0, -1),
            by: None,
            get: Vec::new(),
            store: None,
        };
        while !args.at_end() {
            let behind = args.remaining() - 1;
            if args.option("ASC") {
                options.descending = false;
            } else if args.option("DESC") {
                options.descending = true;
            } else if args.option("ALPHA") {
                options.alphabetic = true;
            } else if behind >= 2 && args.option("LIMIT") {
                options.limit = (args.int()?, args.int()?);
            } else if may_store && behind >= 1 && args.option("STORE") {
                let at = args.position();
                options.store = Some((args.key()?, at));
            } else if behind >= 1 && args.option("BY") {
                options.by = Some(Pattern::new(args.bytes()?));
            } else if behind >= 1 && args.option("GET") {
                options.get.push(Pattern::new(args.bytes()?));
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(options)
    }

    /// Which of `len` elements in their order are wanted.
    fn range(&self, len: usize) -> Range<usize> {
        let (start, count) = self.limit;
        let start = usize::try_from(start.max(0)).unwrap_or(usize::MAX).min(len);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }

    fn direction(&self) -> Direction {
        if self.descending { Direction::Descending } else { Direction::Ascending }
    }
}

/// Texts one behind the other.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[at]]
    }
}

/// The elements of a key as they are sorted.
struct Elements {
    texts: Texts,
    /// They come in the order that is wanted, and no more of them than are wanted.
    ordered: bool,
    /// They come in no order that would be the same the next time.
    of_set: bool,
}

impl Elements {
    /// Copies of all elements; of the wanted ones where there is nothing to sort.
    fn load(ks: &mut Keyspace<'_>, key: &Key<'_>, options: &Options<'_>) -> Result<Self, Error> {
        // By something that is the same for all: they keep their order.
        let constant = options.by.as_ref().is_some_and(Pattern::is_constant);
        let (mut texts, mut buffer) = (Texts::default(), IntBuffer::new());
        let mut push = |item: Item<'_>| texts.push(item.text(&mut buffer));
        let (mut ordered, mut of_set) = (constant, false);
        match ks.get(key).map(|record| (record, record.kind())) {
            None => {}
            Some((record, Kind::List)) => {
                let Some(list) = record.collection::<List>() else { return Err(Error::WRONG_TYPE) };
                let wanted = if constant { options.range(list.len()) } else { 0..list.len() };
                let (side, from) = if constant && options.descending {
                    (Side::Right, list.len().wrapping_sub(1 + wanted.start))
                } else {
                    (Side::Left, wanted.start)
                };
                if !wanted.is_empty() {
                    let mut buffer = IntBuffer::new();
                    let elements = list.walk(from, side).take(wanted.len());
                    elements.for_each(|element| texts.push(element.as_bytes(&mut buffer)));
                }
            }
            Some((record, Kind::SortedSet)) => {
                let Some(set) = record.collection::<SortedSet>() else {
                    return Err(Error::WRONG_TYPE);
                };
                let len = set.len();
                let wanted = if constant { options.range(len) } else { 0..len };
                if constant && options.descending {
                    let ranks = len - wanted.end..len - wanted.start;
                    set.range(ranks).rev().for_each(|(member, _)| push(member));
                } else {
                    set.range(wanted).for_each(|(member, _)| push(member));
                }
            }
            Some((record, Kind::Set)) => {
                let Some(set) = record.collection::<Set>() else { return Err(Error::WRONG_TYPE) };
                // What is stored must not depend on the order in which a set happens to be.
                ordered = constant && options.store.is_none();
                of_set = true;
                let wanted = if ordered { options.range(set.len()) } else { 0..set.len() };
                set.iter().skip(wanted.start).take(wanted.len()).for_each(push);
            }
            Some(_) => return Err(Error::WRONG_TYPE),
        }
        Ok(Self { texts, ordered, of_set })
    }
}

fn sort_by(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    options: &Options<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let elements = Elements::load(ks, key, options)?;
    let len = elements.texts.len();
    let order: Vec<usize> = if elements.ordered {
        (0..len).collect()
    } else {
        let weights = weights(ks, &elements, options)?;
        order(&elements.texts, &weights, elements.of_set, options.direction(), options.range(len))
    };
    match options.store {
        Some((destination, at)) => {
            Ok(store(ks, &elements.texts, &order, options, (&destination, at), reply))
        }
        None => {
            write(ks, &elements.texts, &order, options, reply);
            Ok(Effect::none())
        }
    }
}

/// What each element is sorted by.
fn weights(
    ks: &mut Keyspace<'_>,
    elements: &Elements,
    options: &Options<'_>,
) -> Result<Weights, Error> {
    let by = options.by.as_ref().filter(|by| !by.is_constant());
    // A constant leaves nothing to sort by but the elements of a set themselves.
    let alphabetic = options.alphabetic || options.by.is_some() && by.is_none();
    let texts = &elements.texts;
    let Some(by) = by else {
        return if alphabetic {
            Ok(Weights::Themselves)
        } else {
            Weights::numbers((0..texts.len()).map(|at| Some(texts.get(at))))
        };
    };
    let mut weights = if alphabetic { Weights::texts() } else { Weights::numbers([].into_iter())? };
    for at in 0..texts.len() {
        let mut buffer = IntBuffer::new();
        match by.find(ks, texts.get(at)) {
            Found::Nothing => weights.push(None)?,
            Found::Element => weights.push(Some(texts.get(at)))?,
            Found::Value(value) => weights.push(Some(value.as_bytes(&mut buffer)))?,
        }
    }
    Ok(weights)
}

fn write(
    ks: &mut Keyspace<'_>,
    texts: &Texts,
    order: &[usize],
    options: &Options<'_>,
    reply: &mut Reply<'_>,
) {
    reply.array(order.len() * options.get.len().max(1));
    for element in order.iter().map(|at| texts.get(*at)) {
        if options.get.is_empty() {
            reply.bulk(element);
        }
        for pattern in &options.get {
            match pattern.find(ks, element) {
                Found::Nothing => reply.null(),
                Found::Element => reply.bulk(element),
                Found::Value(value) => crate::string::write_string(reply, value),
            }
        }
    }
}

/// Stores the result as a list; where a key is missing, an empty string.
fn store(
    ks: &mut Keyspace<'_>,
    texts: &Texts,
    order: &[usize],
    options: &Options<'_>,
    destination: (&Key<'_>, usize),
    reply: &mut Reply<'_>,
) -> Effect {
    let limit = NodeLimit::new(ks.limits().list_max_listpack_size);
    let mut list = List::default();
    for element in order.iter().map(|at| texts.get(*at)) {
        let mut push = |text: Text<'_>| list.push(Side::Right, text, limit);
        if options.get.is_empty() {
            push(Text::Bytes(element));
        }
        for pattern in &options.get {
            let mut buffer = IntBuffer::new();
            match pattern.find(ks, element) {
                Found::Nothing => push(Text::Bytes(b"")),
                Found::Element => push(Text::Bytes(element)),
                Found::Value(value) => push(Text::Bytes(value.as_bytes(&mut buffer))),
            }
        }
    }
    let count = order.len() * options.get.len().max(1);
    reply.integer(count as i64);
    let existed = ks.put_value(destination.0, list);
    let event = EventKey::Argument(u32::try_from(destination.1).unwrap_or(u32::MAX));
    match (count, existed) {
        (0, false) => Effect::none(),
        (0, true) => Effect::as_given(1).event_at(EventClass::Generic, "del", event),
        _ => Effect::as_given(u32::try_from(count).unwrap_or(u32::MAX)).event_at(
            EventClass::List,
            "sortstore",
            event,
        ),
    }
}
