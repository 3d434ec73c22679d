//! The families of this crate.

use crate::Row;
use crate::bitmap::BITMAP;
use crate::commands::COMMANDS;
use crate::connection::CONNECTION;
use crate::generic::GENERIC;
use crate::geo::GEO;
use crate::hashes::HASH;
use crate::hyperloglog::HYPERLOGLOG;
use crate::lists::LISTS;
use crate::server::SERVER;
use crate::sets::SETS;
use crate::sorted_sets::SORTED_SETS;
use crate::streams::STREAMS;
use crate::string::STRING;
use crate::transactions::TRANSACTIONS;

/// All families of this crate, to be joined with those of others by [`crate::Table::new`].
#[rustfmt::skip]
pub const FAMILIES: &[&[&Row]] = &[
    STRING,
    BITMAP,
    HYPERLOGLOG,
    HASH,
    SETS,
    STREAMS,
    LISTS,
    GENERIC,
    SORTED_SETS,
    GEO,
    CONNECTION,
    TRANSACTIONS,
    SERVER,
    COMMANDS,
];
