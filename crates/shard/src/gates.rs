//! The gates that a command passes before it runs, in the order in which Redis asks.

use kevy_command::{Args, Error, Flags, Found, Multi, Session, Table};

/// Where an admitted command goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// It runs.
    Run,
    /// It is queued by `MULTI`.
    Queue,
}

/// Why a command was refused.
pub(crate) struct Refused {
    pub(crate) error: Error,
    /// The command, if the name was known.
    pub(crate) found: Option<Found>,
}

/// Asks all gates. A refusal inside `MULTI` spoils the transaction.
#[inline]
pub(crate) fn admit(
    session: &mut Session,
    table: &Table,
    args: &Args<'_>,
) -> Result<(Found, Way), Refused> {
    let found = match table.find(args) {
        Ok(found) => found,
        Err(error) => return Err(refuse(session, error, None)),
    };
    match ask(session, table, found, args) {
        Ok(()) => Ok((found, way(session, found))),
        Err(error) => Err(refuse(session, error, Some(found))),
    }
}

/// The gates, in order.
#[inline]
fn ask(session: &Session, table: &Table, found: Found, args: &Args<'_>) -> Result<(), Error> {
    let row = found.row;
    if !row.fits(args.len()) {
        return Err(Error::arity(&table.entry(found.id).full_name));
    }
    if !session.authenticated && !row.flags.contains(Flags::NO_AUTH) {
        return Err(Error::NO_AUTH);
    }
    if session.in_multi()
        && row.flags.contains(Flags::NO_MULTI)
        && !row.flags.contains(Flags::NOT_QUEUED)
    {
        return Err(Error::new("ERR Command not allowed inside a transaction"));
    }
    Ok(())
}

#[inline]
fn way(session: &Session, found: Found) -> Way {
    if session.in_multi() && !found.row.flags.contains(Flags::NOT_QUEUED) {
        Way::Queue
    } else {
        Way::Run
    }
}

fn refuse(session: &mut Session, error: Error, found: Option<Found>) -> Refused {
    if let Multi::Queueing(queue) = &mut session.multi {
        queue.aborted = true;
    }
    Refused { error, found }
}
