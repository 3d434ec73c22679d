//! Configuration: `redis.conf`, `CONFIG GET`, `CONFIG SET` and `CONFIG REWRITE`.
//!
//! A [`Config`] is a value: an immutable snapshot of all directives. It is made by the
//! [`Loader`](load::Loader), a changed one by [`Config::with`], and shared behind an `Arc`; whoever
//! publishes it decides when it takes effect. Everything known about a directive stands in one row
//! of the [table](table::TABLE).
//!
//! | to | see |
//! |---|---|
//! | read a directive | the accessors of [`Config`], such as [`Config::port`] |
//! | read files and command line options | [`load`] |
//! | answer `CONFIG GET` | [`Config::get`] |
//! | execute `CONFIG SET` | [`Config::with`] |
//! | rewrite the file | [`rewrite`] |
//!
//! Absent on purpose: nothing here applies a change (listeners, log level, directory), keeps global
//! state or knows commands and users; lines about these are handed out as they stand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

mod access;
mod check;
pub mod choices;
mod compound;
mod directive;
mod get;
pub mod load;
mod pattern;
pub mod rewrite;
mod set;
pub mod table;
#[cfg(test)]
mod tests;
mod value;
pub mod words;

pub use access::BindAddress;
pub use compound::{BufferLimit, Events, ReplicaOf, SavePoint, ShutdownFlags};
pub use directive::{Access, Directive, Form, Kind, Support};
pub use set::{Change, SetContext, SetError, is_sensitive};
pub use table::{Id, lookup};
pub use value::{Value, parse_memory};

/// The Redis version whose behaviour kevy gives, unless `compat-version` names another.
pub const COMPAT_VERSION: &str = "7.2.4";

/// An immutable snapshot of all directives.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// One value for each row of the table.
    values: Vec<Value>,
    /// The file that the server was started with, absolute.
    file: Option<PathBuf>,
    /// What only a file can say; it does not change at run time.
    startup: Arc<Startup>,
    /// The number of shards that run, once it is known; zero before.
    running_shards: usize,
}

/// Directives without a value of their own, in the order in which they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Startup {
    /// `rename-command`: the old and the new name; an empty new name removes the command.
    pub renames: Vec<Line>,
    /// `user`: the user's name and rules.
    pub users: Vec<Line>,
    /// `loadmodule`: path and arguments. Modules are not supported.
    pub modules: Vec<Line>,
}

/// The words behind a directive's name, and where they stand, for errors that others find in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What follows the name.
    pub words: Vec<Vec<u8>>,
    /// Where.
    pub place: load::Place,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            values: table::TABLE.iter().map(|row| row.kind.default_value()).collect(),
            file: None,
            startup: Arc::default(),
            running_shards: 0,
        }
    }
}

impl Config {
    /// The value of a directive.
    pub fn value(&self, id: Id) -> &Value {
        &self.values[id.index()]
    }

    /// The file that the server was started with, absolute; what `CONFIG REWRITE` rewrites.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What only a file can say.
    pub fn startup(&self) -> &Startup {
        &self.startup
    }

    /// The same configuration with values that are settled while the server starts.
    pub fn settled(mut self, settled: Settled) -> Self {
        if let Some(dir) = settled.dir {
            self.set(access::DIR, Value::Text(dir.into_os_string().into_encoded_bytes()));
        }
        if let Some(maxclients) = settled.maxclients {
            self.set(access::MAXCLIENTS, Value::Int(maxclients.into()));
        }
        if let Some(path) = settled.pidfile {
            self.set(access::PIDFILE, Value::Text(path.into()));
        }
        self.running_shards = settled.shards;
        self
    }

    fn set(&mut self, id: Id, value: Value) {
        self.values[id.index()] = value;
    }
}

/// What the start of the server finds out; `None` leaves the directive as it is.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// The working directory, absolute.
    pub dir: Option<PathBuf>,
    /// Clients that the limit of open files allows.
    pub maxclients: Option<u32>,
    /// The process id file, if it is written although not asked for.
    pub pidfile: Option<&'static str>,
    /// The number of shards that run.
    pub shards: usize,
}
