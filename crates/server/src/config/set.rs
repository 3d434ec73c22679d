//! `CONFIG SET`: a changed configuration, or the reason why not.

use std::fmt;

use super::directive::Access;
use super::table::{Id, lookup};
use super::value::Value;
use super::{Config, access};

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct SetContext {
    /// Protected directives may be set: see [`Config::allows_protected`].
    pub protected: bool,
    /// Data is being loaded.
    pub loading: bool,
}

/// A changed configuration, not yet in effect.
#[derive(Debug)]
pub struct Change {
    /// The new configuration.
    pub config: Config,
    /// The directives whose values differ now, each once, in the order given.
    pub changed: Vec<Id>,
}

/// Why nothing was changed. The display form is the error reply, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// An odd number of arguments.
    Syntax,
    /// No such directive.
    Unknown(String),
    /// The directive may not be set while data is being loaded.
    Loading,
    /// The directive may not be set, or not to this.
    Failed {
        /// The directive.
        name: String,
        /// Why.
        reason: String,
    },
}

impl SetError {
    /// The error of a value that is fine but could not be put into effect.
    pub fn failed(id: Id, reason: impl Into<String>) -> Self {
        SetError::Failed { name: id.directive().name.into(), reason: reason.into() }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Syntax => f.write_str("ERR syntax error"),
            SetError::Unknown(name) => {
                write!(f, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            SetError::Loading => f.write_str("LOADING Redis is loading the dataset in memory"),
            SetError::Failed { name, reason } => write!(
                f,
                "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
            ),
        }
    }
}

impl std::error::Error for SetError {}

/// Whether the value of an argument of `CONFIG SET` is a secret that logs must not show.
pub fn is_sensitive(name: &[u8]) -> bool {
    lookup(name).is_some_and(|id| id.directive().sensitive)
}

impl Config {
    /// The configuration with the directives of `arguments` (name, value, name, value …) set: all
    /// of them or none.
    ///
    /// # Errors
    /// As `CONFIG SET` of Redis.
    pub fn with(&self, arguments: &[&[u8]], context: SetContext) -> Result<Change, SetError> {
        let (pairs, rest) = arguments.as_chunks::<2>();
        if !rest.is_empty() || pairs.is_empty() {
            return Err(SetError::Syntax);
        }
        let ids = self.admit(pairs, context)?;
        let mut config = self.clone();
        for (&id, &[_, value]) in ids.iter().zip(pairs) {
            config.assign(id, value).map_err(|reason| SetError::failed(id, reason))?;
        }
        config.normalize();
        let changed = ids.into_iter().filter(|&id| config.value(id) != self.value(id)).collect();
        Ok(Change { config, changed })
    }

    /// Finds the directives and checks that each may be set, before any value is looked at.
    fn admit(&self, pairs: &[[&[u8]; 2]], context: SetContext) -> Result<Vec<Id>, SetError> {
        let mut ids = Vec::with_capacity(pairs.len());
        for &[name, value] in pairs {
            let given = || String::from_utf8_lossy(name).into_owned();
            let failed = |reason: &str| SetError::Failed { name: given(), reason: reason.into() };
            let id = lookup(name).ok_or_else(|| SetError::Unknown(given()))?;
            let row = id.directive();
            match row.access {
                Access::Immutable if !(row.own && self.show(id) == value) => {
                    return Err(failed("can't set immutable config"));
                }
                Access::Protected if !context.protected => {
                    return Err(failed("can't set protected config"));
                }
                _ => {}
            }
            if context.loading && row.denied_while_loading {
                return Err(SetError::Loading);
            }
            if ids.contains(&id) {
                return Err(failed("duplicate parameter"));
            }
            ids.push(id);
        }
        Ok(ids)
    }

    fn assign(&mut self, id: Id, value: &[u8]) -> Result<(), String> {
        let row = id.directive();
        // What is shown for an immutable directive may have been settled at start.
        if row.access == Access::Immutable {
            return Ok(());
        }
        let words: Vec<Vec<u8>> = if !row.kind.takes_several() {
            vec![value.to_vec()]
        } else if value.is_empty() {
            Vec::new()
        } else {
            value.split(|&byte| byte == b' ').map(Into::into).collect()
        };
        let value = row.kind.parse(&words, self.value(id))?;
        if id == access::ACTIVEDEFRAG && value == Value::Bool(true) {
            return Err("Active defragmentation cannot be enabled: it is not available".into());
        }
        self.set(id, value);
        Ok(())
    }
}
