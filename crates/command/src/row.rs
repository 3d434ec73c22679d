//! The row: everything the runtime needs to know about a command.

use crate::blocking::AttemptFn;
use crate::{Args, Effect, Error, Reply, Session, Settings, Table};
use bitflags::bitflags;
use kevy_keyspace::{Keyspace, Placement};
use std::any::Any;

bitflags! {
    /// What a command does and where it may run; the names of `COMMAND INFO`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Flags: u32 {
        /// Changes keys.
        const WRITE = 1;
        /// Reads keys and changes none.
        const READONLY = 1 << 1;
        /// May grow the memory, so it is refused when there is none.
        const DENYOOM = 1 << 2;
        /// For operators.
        const ADMIN = 1 << 3;
        /// Belongs to publish and subscribe.
        const PUBSUB = 1 << 4;
        /// Not from scripts.
        const NOSCRIPT = 1 << 5;
        /// May wait for data.
        const BLOCKING = 1 << 6;
        /// Allowed while data is being loaded.
        const LOADING = 1 << 7;
        /// Allowed on a replica with stale data.
        const STALE = 1 << 8;
        /// Not shown by `MONITOR`.
        const SKIP_MONITOR = 1 << 9;
        /// Not recorded in the slow log.
        const SKIP_SLOWLOG = 1 << 10;
        /// Implies `ASKING` in cluster mode.
        const ASKING = 1 << 11;
        /// Constant or logarithmic time.
        const FAST = 1 << 12;
        /// Allowed before authentication.
        const NO_AUTH = 1 << 13;
        /// May propagate although it is no write.
        const MAY_REPLICATE = 1 << 14;
        /// Allowed while a script runs too long.
        const ALLOW_BUSY = 1 << 15;
        /// Keys are found by a function or keyword, not by position.
        const MOVABLE_KEYS = 1 << 16;
        /// Not inside `MULTI`.
        const NO_MULTI = 1 << 17;
        /// Not while data is loaded in the background.
        const NO_ASYNC_LOADING = 1 << 18;
        /// Off unless the configuration allows it.
        const PROTECTED = 1 << 19;
        /// Touches keys that its arguments do not name.
        const TOUCHES_ARBITRARY_KEYS = 1 << 20;
        /// Runs at once inside `MULTI` instead of being queued.
        const NOT_QUEUED = 1 << 24;
        /// A container whose subcommands are not told to clients as commands of their own. Names
        /// that it does not have are called by its child without a name.
        const OPAQUE = 1 << 25;
    }
}

bitflags! {
    /// The ACL categories that a row names itself; those that follow from its flags are added by
    /// [`Row::categories`].
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Categories: u32 {
        /// `@keyspace`.
        const KEYSPACE = 1;
        /// `@read`.
        const READ = 1 << 1;
        /// `@write`.
        const WRITE = 1 << 2;
        /// `@set`.
        const SET = 1 << 3;
        /// `@sortedset`.
        const SORTEDSET = 1 << 4;
        /// `@list`.
        const LIST = 1 << 5;
        /// `@hash`.
        const HASH = 1 << 6;
        /// `@string`.
        const STRING = 1 << 7;
        /// `@bitmap`.
        const BITMAP = 1 << 8;
        /// `@hyperloglog`.
        const HYPERLOGLOG = 1 << 9;
        /// `@geo`.
        const GEO = 1 << 10;
        /// `@stream`.
        const STREAM = 1 << 11;
        /// `@pubsub`.
        const PUBSUB = 1 << 12;
        /// `@admin`.
        const ADMIN = 1 << 13;
        /// `@fast`.
        const FAST = 1 << 14;
        /// `@slow`.
        const SLOW = 1 << 15;
        /// `@blocking`.
        const BLOCKING = 1 << 16;
        /// `@dangerous`.
        const DANGEROUS = 1 << 17;
        /// `@connection`.
        const CONNECTION = 1 << 18;
        /// `@transaction`.
        const TRANSACTION = 1 << 19;
        /// `@scripting`.
        const SCRIPTING = 1 << 20;
    }
}

bitflags! {
    /// What a command does to the keys of one key specification.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct KeyFlags: u32 {
        /// Reads the value, changes nothing.
        const RO = 1;
        /// Reads and changes.
        const RW = 1 << 1;
        /// Overwrites whatever is there.
        const OW = 1 << 2;
        /// Removes the key.
        const RM = 1 << 3;
        /// Data of the value reaches the reply or another key.
        const ACCESS = 1 << 4;
        /// Data of the value is changed.
        const UPDATE = 1 << 5;
        /// Data is added, none changed or removed.
        const INSERT = 1 << 6;
        /// Data is removed.
        const DELETE = 1 << 7;
        /// Not a key, but routed like one.
        const NOT_KEY = 1 << 8;
        /// The specification may not find all keys.
        const INCOMPLETE = 1 << 9;
        /// Some options change what the command does to its keys.
        const VARIABLE_FLAGS = 1 << 10;
    }
}

/// Where the keys of a command begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At this argument; the command's name is argument 0.
    Index(u16),
    /// After this word, looked for from argument `from` on; from the end if negative.
    Keyword {
        /// The word, in capitals.
        word: &'static str,
        /// Where the search begins.
        from: i16,
        /// Words in front of it, in capitals, that take so many arguments, none of which is the
        /// keyword, whatever it looks like. If there are any, the search begins at argument 1.
        values: &'static [(&'static str, u16)],
    },
    /// After the last of this word that is an option; told to clients as unknown.
    Option {
        /// The word, in capitals.
        word: &'static str,
        /// Where options begin.
        from: u16,
        /// Options with so many arguments, among which the word means something else.
        others: &'static [(&'static str, u16)],
    },
    /// Only the handler knows.
    Unknown,
}

/// How many keys follow [`Begin`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Find {
    /// Up to `last` (relative to the first; negative: from the end of the arguments, where -1 is
    /// the last), every `step`-th; a `limit` above 1 divides what remains.
    Range {
        /// The last key, relative to the first.
        last: i16,
        /// Distance of two keys.
        step: u16,
        /// 0 or 1: no limit; n: only the first n-th part of the remaining arguments.
        limit: u16,
    },
    /// An argument says how many.
    KeyNum {
        /// Where the number is, relative to the beginning.
        index: u16,
        /// Where the first key is, relative to the beginning.
        first: u16,
        /// Distance of two keys.
        step: u16,
    },
    /// Only the handler knows.
    Unknown,
}

/// Names some of the arguments as keys (Redis: *key specification*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySpec {
    /// What is done to them.
    pub flags: KeyFlags,
    /// Where they begin.
    pub begin: Begin,
    /// How many there are.
    pub find: Find,
    /// What is done to them instead in calls without certain options.
    pub variant: Option<Variant>,
}

/// Calls in which less is done to the keys than [`KeySpec::flags`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Variant {
    /// None of these words, in capitals…
    pub words: &'static [&'static str],
    /// …is among the arguments from this one on.
    pub from: u16,
    /// What is done then.
    pub flags: KeyFlags,
}

impl KeySpec {
    /// One key, the argument at `index`.
    #[must_use]
    pub const fn one(index: u16, flags: KeyFlags) -> Self {
        Self::range(index, 0, 1, flags)
    }

    /// Keys from the argument at `index` to the end.
    #[must_use]
    pub const fn rest(index: u16, flags: KeyFlags) -> Self {
        Self::range(index, -1, 1, flags)
    }

    /// Keys from `index` to `last` (see [`Find::Range`]), every `step`-th argument.
    #[must_use]
    pub const fn range(index: u16, last: i16, step: u16, flags: KeyFlags) -> Self {
        let find = Find::Range { last, step, limit: 0 };
        Self { flags, begin: Begin::Index(index), find, variant: None }
    }

    /// As many keys as the argument at `index` says, from the one behind it on.
    #[must_use]
    pub const fn counted(index: u16, flags: KeyFlags) -> Self {
        let find = Find::KeyNum { index: 0, first: 1, step: 1 };
        Self { flags, begin: Begin::Index(index), find, variant: None }
    }

    /// The same, but `flags` in calls without any of `words` from argument `from` on.
    #[must_use]
    pub const fn without(self, words: &'static [&'static str], from: u16, flags: KeyFlags) -> Self {
        Self { variant: Some(Variant { words, from, flags }), ..self }
    }

    /// What this call does to the keys.
    #[inline]
    #[must_use]
    pub fn flags_in(&self, args: &Args<'_>) -> KeyFlags {
        let full = self.flags.difference(KeyFlags::VARIABLE_FLAGS);
        let Some(Variant { words, from, flags }) = self.variant else { return full };
        let mut options = args.iter().skip(usize::from(from));
        let is_one =
            |arg: &[u8]| words.iter().any(|word| arg.eq_ignore_ascii_case(word.as_bytes()));
        if options.any(is_one) { full } else { flags }
    }

    /// Calls `each` with the position of every key among `args`, in order.
    ///
    /// A specification that does not fit the arguments finds what it can: the handler answers
    /// such a call with its error.
    pub fn positions(&self, args: &Args<'_>, mut each: impl FnMut(usize)) {
        let Some(begin) = self.begin(args) else { return };
        match self.find {
            Find::Range { last, step, limit } => {
                let end = if last >= 0 {
                    begin + usize::from(last.unsigned_abs())
                } else if limit <= 1 {
                    args.len().saturating_sub(usize::from(last.unsigned_abs()))
                } else {
                    begin + (args.len() - begin.min(args.len())) / usize::from(limit)
                        - usize::from(last.unsigned_abs())
                };
                let mut at = begin;
                while at <= end && at < args.len() {
                    each(at);
                    at += usize::from(step.max(1));
                }
            }
            Find::KeyNum { index, first, step } => {
                let Some(count) = args
                    .get(begin + usize::from(index))
                    .and_then(kevy_data::number::parse_i64)
                    .and_then(|n| usize::try_from(n).ok())
                else {
                    return;
                };
                let mut at = begin + usize::from(first);
                for _ in 0..count {
                    if at >= args.len() {
                        return;
                    }
                    each(at);
                    at += usize::from(step.max(1));
                }
            }
            Find::Unknown => {}
        }
    }

    fn begin(&self, args: &Args<'_>) -> Option<usize> {
        match self.begin {
            Begin::Index(index) => Some(usize::from(index)),
            Begin::Keyword { word, values, .. } if !values.is_empty() => {
                let mut at = 1;
                loop {
                    let arg = args.get(at)?;
                    at += 1;
                    if arg.eq_ignore_ascii_case(word.as_bytes()) {
                        return Some(at);
                    }
                    let taken =
                        values.iter().find(|(of, _)| arg.eq_ignore_ascii_case(of.as_bytes()));
                    at += taken.map_or(0, |(_, count)| usize::from(*count));
                }
            }
            Begin::Keyword { word, from, .. } => {
                let is_word = |&at: &usize| {
                    args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
                };
                if from >= 0 {
                    (usize::from(from.unsigned_abs())..args.len()).find(is_word)
                } else {
                    let start = args.len().checked_sub(usize::from(from.unsigned_abs()))?;
                    (1..=start).rev().find(is_word)
                }
                .map(|at| at + 1)
            }
            Begin::Option { word, from, others } => option(args, word, from, others),
            Begin::Unknown => None,
        }
    }
}

/// The position behind the last `word` that is an option and has something behind it.
fn option(args: &Args<'_>, word: &str, from: u16, others: &[(&str, u16)]) -> Option<usize> {
    let (mut at, mut found) = (usize::from(from), None);
    while let Some(arg) = args.get(at) {
        let is = |word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
        if let Some((_, values)) = others.iter().find(|(other, _)| is(other)) {
            at += usize::from(*values);
        } else if is(word) && at + 1 < args.len() {
            at += 1;
            found = Some(at);
        }
        at += 1;
    }
    found
}

/// The groups of Redis's documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Bits of strings.
    Bitmap,
    /// Commands for the connection itself.
    Connection,
    /// Commands for keys of any type.
    Generic,
    /// Approximate numbers of distinct elements.
    HyperLogLog,
    /// Lists.
    List,
    /// Commands for the server.
    Server,
    /// Positions on the earth.
    Geo,
    /// Hashes.
    Hash,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Streams.
    Stream,
    /// Strings.
    String,
    /// `MULTI` and what belongs to it.
    Transactions,
}

impl Group {
    /// The name that `COMMAND DOCS` gives.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bitmap => "bitmap",
            Self::Connection => "connection",
            Self::Generic => "generic",
            Self::HyperLogLog => "hyperloglog",
            Self::Geo => "geo",
            Self::Hash => "hash",
            Self::List => "list",
            Self::Server => "server",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Stream => "stream",
            Self::String => "string",
            Self::Transactions => "transactions",
        }
    }
}

/// What `COMMAND DOCS` and `HELP` say.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// One sentence.
    pub summary: &'static str,
    /// The version of Redis (or Valkey) that brought it.
    pub since: &'static str,
    /// Where it stands in the documentation.
    pub group: Group,
    /// Its cost, as `O(1)` and the like.
    pub complexity: &'static str,
    /// The arguments after the name in the usual notation: `key value [NX | XX] [EX seconds]`.
    pub syntax: &'static str,
}

/// A command: one `const` of this type directly above its handler, listed once in its family.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// In lower case; a subcommand's own name without its container's.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least so many. A subcommand counts its
    /// container's name too.
    pub arity: i16,
    /// What it does.
    pub flags: Flags,
    /// The ACL categories that do not follow from the flags.
    pub categories: Categories,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Hints for proxies and clients, as in `COMMAND INFO`.
    pub tips: &'static [&'static str],
    /// What the documentation says.
    pub doc: Doc,
    /// Where and how it runs.
    pub run: Run,
}

impl Row {
    /// Whether a call with `count` arguments (the name included) fits the arity.
    #[must_use]
    pub const fn fits(&self, count: usize) -> bool {
        let need = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { count >= need } else { count == need }
    }

    /// All ACL categories: those named and those that follow from the flags, as in Redis.
    #[must_use]
    pub fn categories(&self) -> Categories {
        let mut all = self.categories;
        let implied = [
            (Flags::WRITE, Categories::WRITE),
            (Flags::ADMIN, Categories::ADMIN.union(Categories::DANGEROUS)),
            (Flags::PUBSUB, Categories::PUBSUB),
            (Flags::FAST, Categories::FAST),
            (Flags::BLOCKING, Categories::BLOCKING),
        ];
        for (flag, categories) in implied {
            if self.flags.contains(flag) {
                all |= categories;
            }
        }
        if self.flags.contains(Flags::READONLY) && !all.contains(Categories::SCRIPTING) {
            all |= Categories::READ;
        }
        if !self.flags.contains(Flags::FAST) {
            all |= Categories::SLOW;
        }
        all
    }

    /// Calls `each` with the position of every key among `args` and what is done to it.
    pub fn each_key(&self, args: &Args<'_>, mut each: impl FnMut(usize, KeyFlags)) {
        for spec in self.keys {
            let flags = spec.flags_in(args);
            spec.positions(args, |at| each(at, flags));
        }
    }
}

/// Runs over the keyspace that holds the keys of the command.
pub type KeysFn = fn(&mut Keyspace<'_>, Args<'_>, &mut Reply<'_>) -> Result<Effect, Error>;

/// Touches only the client's own state.
pub type ConnectionFn = fn(&mut Call<'_>, Args<'_>, &mut Reply<'_>) -> Result<After, Error>;

/// Checks and notes something in the session when the command is admitted, before it runs.
pub type AdmitFn = fn(&mut Session, &Args<'_>) -> Result<(), Error>;

/// Names the store in which a walk goes on.
pub type StoreFn = fn(&Args<'_>, Placement) -> u32;

/// Whether a call reads keys that its arguments do not name.
pub type ReachFn = fn(&Args<'_>) -> bool;

/// Takes the transaction out of the session.
pub type TransactionFn = fn(&mut Session) -> Result<crate::session::Transaction, Error>;

/// Where a command runs.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// On the client's own state, when it is read; no key, no other client.
    Connection(ConnectionFn),
    /// Over the stores of its keys, taken together.
    Keys(KeysFn),
    /// As [`Run::Keys`], with a step on the session first.
    Session(AdmitFn, KeysFn),
    /// Over all stores, taken together.
    AllStores(KeysFn),
    /// As [`Run::AllStores`] if the call reaches for keys that it does not name, else as
    /// [`Run::Keys`].
    Reach(ReachFn, KeysFn),
    /// Over the one store that its arguments name otherwise than by a key.
    Walk(StoreFn, KeysFn),
    /// As [`Run::Keys`], but a client whose attempt finds nothing waits.
    Blocking(AttemptFn),
    /// The commands queued in the session, over the union of their stores.
    Transaction(TransactionFn),
    /// On the server's state, when all earlier commands of the connection are done.
    Server(ConnectionFn),
    /// A name in front of other names. A child without a name is what the name alone calls.
    Container(&'static [&'static Row]),
}

impl Run {
    /// Whether a call needs all stores, and not only those of its keys.
    #[inline]
    #[must_use]
    pub fn needs_all_stores(self, args: &Args<'_>) -> bool {
        match self {
            Self::AllStores(_) => true,
            Self::Reach(reaches, _) => reaches(args),
            _ => false,
        }
    }

    /// The handler, if the command runs over a keyspace and never waits.
    #[inline]
    #[must_use]
    pub const fn keys_fn(self) -> Option<KeysFn> {
        match self {
            Self::Keys(run)
            | Self::Session(_, run)
            | Self::AllStores(run)
            | Self::Reach(_, run)
            | Self::Walk(_, run) => Some(run),
            _ => None,
        }
    }
}

/// What a command without keys is given.
pub struct Call<'a> {
    /// The client's own state.
    pub session: &'a mut Session,
    /// The values of the configuration that commands need.
    pub settings: &'a Settings,
    /// All commands.
    pub table: &'a Table,
    /// The server's state, of the type that the family of the row knows.
    pub host: &'a dyn Any,
    /// Which shard runs it.
    pub shard: usize,
    /// Milliseconds since the Unix epoch, read once a turn.
    pub now_ms: i64,
    /// Microseconds since the Unix epoch, read once a turn.
    pub now_us: i64,
}

/// What the runtime has to do after a command without keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// Nothing more.
    Continue,
    /// Send the replies so far, then close.
    Close,
    /// Hold the reply back until every shard has passed this moment and what it had admitted
    /// before has run.
    Barrier,
}
