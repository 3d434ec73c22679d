//! What a command did, as one value that the commit step uses.

use crate::CommandList;
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
    /// What subscribers to keyspace events are told.
    pub events: SmallVec<[Event; 1]>,
}

/// How a change is recorded in the log, so that replaying it has the same outcome.
#[derive(Debug, Default)]
pub enum Logged {
    /// Not at all: nothing was changed.
    #[default]
    Nothing,
    /// By the very arguments of the call.
    AsGiven,
    /// By other commands: where the call depends on the time, on chance or on what was there.
    Frames(Box<CommandList>),
}

/// The classes of keyspace events, by the letters of `notify-keyspace-events`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventClass {
    /// `g`: commands for any type.
    Generic,
    /// `$`: strings.
    String,
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
}

impl Effect {
    /// Nothing was changed.
    pub fn none() -> Self {
        Self::default()
    }

    /// `changes` changes, recorded by the arguments as given.
    pub fn as_given(changes: u32) -> Self {
        let logged = if changes == 0 { Logged::Nothing } else { Logged::AsGiven };
        Self { changes, logged, events: SmallVec::new() }
    }

    /// `changes` changes, recorded by other commands.
    pub fn frames(changes: u32, frames: CommandList) -> Self {
        Self { changes, logged: Logged::Frames(Box::new(frames)), events: SmallVec::new() }
    }

    /// Adds an event about the key at argument `key`.
    pub fn event(mut self, class: EventClass, name: &'static str, key: usize) -> Self {
        self.push_event(class, name, key);
        self
    }

    /// Adds an event about the key at argument `key`.
    pub fn push_event(&mut self, class: EventClass, name: &'static str, key: usize) {
        let key = EventKey::Argument(u32::try_from(key).unwrap_or(u32::MAX));
        self.events.push(Event { class, name, key });
    }
}
