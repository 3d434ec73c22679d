//! What a command did, as one value that the commit step uses.

use crate::{Args, CommandList};
use kevy_data::stream::{IdBuffer, StreamId};
use smallvec::SmallVec;

/// What a handler reports. The runtime's commit step, one function for every caller, turns it
/// into the log's frames, notifications and statistics.
#[derive(Debug, Default)]
#[must_use]
pub struct Effect {
    /// How many changes were made (Redis: *dirty*); 0 means that nothing needs to be recorded.
    pub changes: u32,
    /// How the change is recorded.
    pub logged: Logged,
    /// What subscribers to keyspace events are told. `new` and `expired` are not among them: they
    /// follow from what the keyspace noted.
    pub events: SmallVec<[Event; 2]>,
}

/// How a change is recorded in the log, so that replaying it has the same outcome.
#[derive(Debug, Default)]
pub enum Logged {
    /// Not at all: nothing was changed.
    #[default]
    Nothing,
    /// By the very arguments of the call.
    AsGiven,
    /// By `SET key value PXAT deadline`.
    SetUntil {
        /// Which argument is the value; the key is argument 1.
        value: u32,
        /// In Unix milliseconds.
        deadline: i64,
    },
    /// By `PEXPIREAT key deadline` with the key of argument 1; in Unix milliseconds.
    ExpireAt(i64),
    /// By `PERSIST key` with the key of argument 1.
    Persist,
    /// By `DEL key` with the key of argument 1.
    Delete,
    /// By the arguments of the call with this id in place of one of them, not the last.
    StreamId {
        /// The argument.
        arg: u32,
        /// The id.
        id: StreamId,
    },
    /// By other commands: where the call depends on the time, on chance or on what was there.
    Frames(Box<CommandList>),
}

impl Logged {
    /// Appends the commands that say the change of a call with these `args`. `false`: they did
    /// not fit, and `frames` is as before.
    #[must_use]
    pub fn write(&self, args: &Args<'_>, frames: &mut CommandList) -> bool {
        let arg = |at: usize| args.get(at).unwrap_or_default();
        match self {
            Self::Nothing => true,
            Self::AsGiven => frames.push_args(args),
            Self::SetUntil { value, deadline } => {
                let deadline = deadline.to_string();
                frames.push([b"SET", arg(1), arg(*value as usize), b"PXAT", deadline.as_bytes()])
            }
            Self::ExpireAt(deadline) => {
                frames.push([b"PEXPIREAT", arg(1), deadline.to_string().as_bytes()])
            }
            Self::Persist => frames.push([b"PERSIST", arg(1)]),
            Self::Delete => frames.push([b"DEL", arg(1)]),
            Self::StreamId { arg, id } => {
                frames.push_args_with(args, *arg as usize, id.text(&mut IdBuffer::new()))
            }
            Self::Frames(list) => frames.append(list),
        }
    }
}

/// The classes of keyspace events, by the letters of `notify-keyspace-events`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventClass {
    /// `g`: commands for any type.
    Generic,
    /// `$`: strings.
    String,
    /// `l`: lists.
    List,
    /// `s`: sets.
    Set,
    /// `h`: hashes.
    Hash,
    /// `z`: sorted sets.
    SortedSet,
    /// `t`: streams.
    Stream,
    /// `x`: a key expired.
    Expired,
    /// `n`: a key came into being.
    New,
}

/// One keyspace event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its class.
    pub class: EventClass,
    /// Its name: `set`, `del`, `expire`…
    pub name: &'static str,
    /// The key it is about.
    pub key: EventKey,
}

/// The key of an [`Event`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKey {
    /// The argument at this position.
    Argument(u32),
    /// A key of another database: its number and the argument's position.
    Elsewhere(u32, u32),
    /// One event for each argument from this position on, every so many.
    Every(u32, u32),
}

impl Effect {
    /// Nothing was changed.
    #[inline]
    pub fn none() -> Self {
        Self::default()
    }

    /// `changes` changes, recorded by the arguments as given.
    #[inline]
    pub fn as_given(changes: u32) -> Self {
        let logged = if changes == 0 { Logged::Nothing } else { Logged::AsGiven };
        Self { changes, logged, events: SmallVec::new() }
    }

    /// One change, recorded by the arguments as given, with an event about argument 1.
    #[inline]
    pub fn one(class: EventClass, name: &'static str) -> Self {
        Self::logged(Logged::AsGiven, class, name)
    }

    /// One change, recorded so, with an event about argument 1.
    #[inline]
    pub fn logged(logged: Logged, class: EventClass, name: &'static str) -> Self {
        let mut events = SmallVec::new();
        events.push(Event { class, name, key: EventKey::Argument(1) });
        Self { changes: 1, logged, events }
    }

    /// `changes` changes, recorded by other commands.
    pub fn frames(changes: u32, frames: CommandList) -> Self {
        Self { changes, logged: Logged::Frames(Box::new(frames)), events: SmallVec::new() }
    }

    /// The same, recorded by the arguments as given if there are changes.
    #[inline]
    pub fn recorded_as_given(mut self) -> Self {
        self.logged = if self.changes == 0 { Logged::Nothing } else { Logged::AsGiven };
        self
    }

    /// Adds an event about the key at argument `key`.
    #[inline]
    pub fn event(mut self, class: EventClass, name: &'static str, key: usize) -> Self {
        self.push_event(class, name, key);
        self
    }

    /// Adds an event.
    #[inline]
    pub fn event_at(mut self, class: EventClass, name: &'static str, key: EventKey) -> Self {
        self.events.push(Event { class, name, key });
        self
    }

    /// Adds an event about the key at argument `key`.
    #[inline]
    pub fn push_event(&mut self, class: EventClass, name: &'static str, key: usize) {
        let key = EventKey::Argument(u32::try_from(key).unwrap_or(u32::MAX));
        self.events.push(Event { class, name, key });
    }
}
