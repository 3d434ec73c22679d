//! What a directive is: the columns of the [table](super::table::TABLE).

use super::value::Check;

/// One directive of `redis.conf`: everything the rest of the program knows about it is here.
#[derive(Debug)]
pub struct Directive {
    /// The name that `CONFIG REWRITE` writes.
    pub name: &'static str,
    /// Other names of the same value.
    pub aliases: &'static [&'static str],
    /// The shape of its value, with default and bounds.
    pub kind: Kind,
    /// What the server does with it.
    pub support: Support,
    /// When it may be changed at run time.
    pub access: Access,
    /// `CONFIG GET` shows it for its exact name only, not for patterns.
    pub hidden: bool,
    /// Its value is a secret: it is kept out of logs, the slow log and monitors.
    pub sensitive: bool,
    /// `CONFIG SET` is refused while data is being loaded.
    pub denied_while_loading: bool,
    /// Known to kevy alone; a change to the value it already has is accepted even if immutable, so
    /// that tools may write back all of `CONFIG GET *`.
    pub own: bool,
}

/// What the server does with a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It acts.
    Acts,
    /// It is accepted; the feature it steers does not exist yet. Logged as a warning if it is set to
    /// something else than its default.
    Pending,
    /// It is accepted and never has an effect, because kevy has nothing that it could steer.
    NoEffect,
}

/// When a directive may be changed at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any time.
    Mutable,
    /// Only at start.
    Immutable,
    /// At run time only as far as `enable-protected-configs` allows.
    Protected,
}

/// The shape of a directive's value.
#[derive(Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Bool {
        /// The default.
        default: bool,
    },
    /// A number.
    Int {
        /// The default.
        default: i128,
        /// The least value; with [`Form::MemoryOrPercent`] minus the greatest percentage.
        min: i128,
        /// The greatest value.
        max: i128,
        /// How it is written.
        form: Form,
    },
    /// A string of bytes.
    Text {
        /// The default.
        default: &'static str,
        /// Whether an empty string means that the directive is not set: then `CONFIG REWRITE` leaves
        /// it out.
        empty_is_unset: bool,
        /// What else a value must fulfil.
        check: Check,
    },
    /// One of several words.
    Choice {
        /// The words and their values. Where several words have one value the first is shown.
        words: &'static [(&'static str, u8)],
        /// The default.
        default: u8,
    },
    /// The flags of `shutdown-on-sigint` and `shutdown-on-sigterm`, several words.
    ShutdownFlags,
    /// The save points of `save`: pairs of seconds and changes; repeated lines add up.
    Save,
    /// The classes of `client-output-buffer-limit`; each line sets one or more classes.
    OutputBuffers,
    /// The three scores of `oom-score-adj-values`.
    OomScores,
    /// The classes of `notify-keyspace-events`.
    Events,
    /// A list of words.
    Words {
        /// The default, separated by spaces.
        default: &'static str,
        /// The greatest number of words.
        max: usize,
    },
    /// Percentiles from 0 to 100.
    Percentiles {
        /// The default.
        default: &'static [f64],
    },
    /// Host and port, or `no one`.
    ReplicaOf,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Decimal.
    Plain,
    /// Octal.
    Octal,
    /// Bytes, with a unit: `k` = 1000, `kb` = 1024 and so on up to `gb`.
    Memory,
    /// Bytes, or a percentage of `maxmemory`, held as its negative.
    MemoryOrPercent,
}

impl Kind {
    /// Whether several words may follow the name. `CONFIG SET` takes them in one argument, a file
    /// in one quoted word too.
    pub fn takes_several(&self) -> bool {
        matches!(
            self,
            Kind::ShutdownFlags
                | Kind::Save
                | Kind::OutputBuffers
                | Kind::OomScores
                | Kind::Words { .. }
                | Kind::Percentiles { .. }
                | Kind::ReplicaOf
        )
    }
}

/// Builders, so that a row of the table states only what is not ordinary.
impl Directive {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            support: Support::Acts,
            access: Access::Mutable,
            hidden: false,
            sensitive: false,
            denied_while_loading: false,
            own: false,
        }
    }

    pub(super) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn immutable(mut self) -> Self {
        self.access = Access::Immutable;
        self
    }

    pub(super) const fn protected(mut self) -> Self {
        self.access = Access::Protected;
        self
    }

    pub(super) const fn pending(mut self) -> Self {
        self.support = Support::Pending;
        self
    }

    pub(super) const fn no_effect(mut self) -> Self {
        self.support = Support::NoEffect;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(super) const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    pub(super) const fn denied_while_loading(mut self) -> Self {
        self.denied_while_loading = true;
        self
    }

    pub(super) const fn own(mut self) -> Self {
        self.own = true;
        self
    }
}

pub(super) const fn yes_no(name: &'static str, default: bool) -> Directive {
    Directive::new(name, Kind::Bool { default })
}

pub(super) const fn int(name: &'static str, default: i128, min: i128, max: i128) -> Directive {
    Directive::new(name, Kind::Int { default, min, max, form: Form::Plain })
}

pub(super) const fn octal(name: &'static str, default: i128, max: i128) -> Directive {
    Directive::new(name, Kind::Int { default, min: 0, max, form: Form::Octal })
}

pub(super) const fn memory(name: &'static str, default: i128, min: i128, max: i128) -> Directive {
    Directive::new(name, Kind::Int { default, min, max, form: Form::Memory })
}

pub(super) const fn memory_or_percent(name: &'static str, default: i128) -> Directive {
    let (min, max) = (-100, i64::MAX as i128);
    Directive::new(name, Kind::Int { default, min, max, form: Form::MemoryOrPercent })
}

/// A string that is not set while it is empty.
pub(super) const fn optional(name: &'static str) -> Directive {
    checked_optional(name, super::value::any)
}

pub(super) const fn checked_optional(name: &'static str, check: Check) -> Directive {
    Directive::new(name, Kind::Text { default: "", empty_is_unset: true, check })
}

/// A string that may be empty.
pub(super) const fn text(name: &'static str, default: &'static str) -> Directive {
    checked_text(name, default, super::value::any)
}

pub(super) const fn checked_text(
    name: &'static str,
    default: &'static str,
    check: Check,
) -> Directive {
    Directive::new(name, Kind::Text { default, empty_is_unset: false, check })
}

pub(super) const fn choice(
    name: &'static str,
    words: &'static [(&'static str, u8)],
    default: u8,
) -> Directive {
    Directive::new(name, Kind::Choice { words, default })
}

pub(super) const fn special(name: &'static str, kind: Kind) -> Directive {
    Directive::new(name, kind)
}
