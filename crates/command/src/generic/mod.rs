//! Keys of any type.

mod dump;
mod expire;
mod keys;
mod moving;
mod object;
mod scan;
mod sort;

use crate::Row;

/// Commands for keys of any type.
pub const GENERIC: &[&Row] = &[
    &keys::DEL,
    &keys::UNLINK,
    &keys::EXISTS,
    &keys::TOUCH,
    &keys::TYPE,
    &expire::EXPIRE,
    &expire::PEXPIRE,
    &expire::EXPIREAT,
    &expire::PEXPIREAT,
    &expire::TTL,
    &expire::PTTL,
    &expire::EXPIRETIME,
    &expire::PEXPIRETIME,
    &expire::PERSIST,
    &moving::RENAME,
    &moving::RENAMENX,
    &moving::COPY,
    &moving::MOVE,
    &scan::KEYS,
    &scan::SCAN,
    &scan::RANDOMKEY,
    &sort::SORT,
    &sort::SORT_RO,
    &object::OBJECT,
    &dump::DUMP,
    &dump::RESTORE,
    &dump::RESTORE_ASKING,
];
