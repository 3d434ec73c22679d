//! Lists.

mod blocking;
mod change;
mod moving;
mod pop;
mod push;
mod read;

pub use pop::pop_first;

use crate::{Args, Error, Row};
use kevy_data::{NodeLimit, Side};
use kevy_keyspace::Keyspace;

/// Commands for lists.
pub const LISTS: &[&Row] = &[
    &push::LPUSH,
    &push::RPUSH,
    &push::LPUSHX,
    &push::RPUSHX,
    &pop::LPOP,
    &pop::RPOP,
    &pop::LMPOP,
    &read::LLEN,
    &read::LINDEX,
    &read::LRANGE,
    &read::LPOS,
    &change::LSET,
    &change::LINSERT,
    &change::LREM,
    &change::LTRIM,
    &moving::LMOVE,
    &moving::RPOPLPUSH,
    &blocking::BLPOP,
    &blocking::BRPOP,
    &blocking::BLMPOP,
    &blocking::BLMOVE,
    &blocking::BRPOPLPUSH,
];

/// How large the nodes of lists may become.
fn node_limit(ks: &Keyspace<'_>) -> NodeLimit {
    NodeLimit::new(ks.limits().list_max_listpack_size)
}

/// The next argument as an end of a list.
fn side(args: &mut Args<'_>) -> Result<Side, Error> {
    if args.option("LEFT") {
        Ok(Side::Left)
    } else if args.option("RIGHT") {
        Ok(Side::Right)
    } else {
        Err(Error::SYNTAX)
    }
}

/// The next argument as a number of elements from `min` on; anything else is refused with
/// `message`.
fn count(args: &mut Args<'_>, min: usize, message: &'static str) -> Result<usize, Error> {
    let given = args.int().ok().and_then(|count| usize::try_from(count).ok());
    given.filter(|count| *count >= min).ok_or(Error::new(message))
}

/// The next argument as an integer that can be negated.
fn signed(args: &mut Args<'_>) -> Result<i64, Error> {
    let value = args.int()?;
    if value == i64::MIN {
        let (min, max) = (-i64::MAX, i64::MAX);
        let text = format!("ERR value is out of range, value must between {min} and {max}");
        return Err(Error::owned(text));
    }
    Ok(value)
}
