//! The gates that a command passes before it runs, in the order in which Redis asks.

use kevy_command::{Args, Error, Flags, Found, Multi, Permit, Session, Settings, Table};

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
    settings: &Settings,
    table: &Table,
    args: &Args<'_>,
) -> Result<(Found, Way), Refused> {
    let found = match table.find(args) {
        Ok(found) => found,
        Err(error) => return Err(refuse(session, error, None)),
    };
    match ask(session, settings, table, found, args) {
        Ok(()) => Ok((found, way(session, found))),
        Err(error) => Err(refuse(session, error, Some(found))),
    }
}

/// The gates, in order.
#[inline]
fn ask(
    session: &Session,
    settings: &Settings,
    table: &Table,
    found: Found,
    args: &Args<'_>,
) -> Result<(), Error> {
    let row = found.row;
    if !row.fits(args.len()) {
        return Err(Error::arity(&table.entry(found.id).full_name));
    }
    if row.flags.contains(Flags::PROTECTED) && !is_permitted(session, settings) {
        return Err(not_permitted(args));
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

/// Whether the client may use protected commands, of which there is one: `DEBUG`.
fn is_permitted(session: &Session, settings: &Settings) -> bool {
    match settings.debug_command {
        Permit::Nobody => false,
        Permit::Local => session.client.is_local(),
        Permit::Everybody => true,
    }
}

fn not_permitted(args: &Args<'_>) -> Error {
    let name = String::from_utf8_lossy(args.name()).to_lowercase();
    Error::owned(format!(
        "ERR {} command not allowed. If the enable-{name}-command option is set to \"local\", you \
         can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
        name.to_uppercase()
    ))
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
