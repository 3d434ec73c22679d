//! The repository's rules, as functions over its files. `tests/rules.rs` applies them.
//!
//! A rule takes text and returns findings; it never changes anything. What a rule cannot decide by
//! looking at text (is the abstraction right, is the name good) is not here.

#![forbid(unsafe_code)]

pub mod code;
pub mod manifests;
pub mod repository;
pub mod source;
pub mod text;

use std::fmt;

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    /// A finding at a line, counted from 0.
    pub(crate) fn at(file: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { file: file.to_owned(), line: line + 1, what: what.into() }
    }

    /// A finding about a file.
    pub(crate) fn about(file: &str, what: impl Into<String>) -> Finding {
        Finding { file: file.to_owned(), line: 0, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}
