//! The families of this crate.

use crate::Row;
use crate::bitmap::BITMAP;
use crate::commands::COMMANDS;
use crate::connection::CONNECTION;
use crate::generic::GENERIC;
use crate::server::SERVER;
use crate::string::STRING;
use crate::transactions::TRANSACTIONS;

/// All families of this crate, to be joined with those of others by [`crate::Table::new`].
pub const FAMILIES: &[&[&Row]] =
    &[STRING, BITMAP, GENERIC, CONNECTION, TRANSACTIONS, SERVER, COMMANDS];
