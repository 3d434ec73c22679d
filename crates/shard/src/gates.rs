//! The gates that a command passes before it runs, in the order in which Redis asks.

use kevy_command::{Args, Error, Flags, Found, Multi, Permit, Run, Session, Settings, Table};

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
    /// The client does not speak this protocol: it is cut off without an answer.
    pub(crate) cut: bool,
}

impl Refused {
    /// A refusal of a known command.
    pub(crate) fn of(found: Found, error: Error) -> Self {
        Self { error, found: Some(found), cut: false }
    }
}

/// First words of HTTP. A browser can be lured into sending commands in the body of a request;
/// whoever begins like this is cut off before they are read, as in Redis.
const FOREIGN: [&[u8]; 2] = [b"post", b"host:"];

/// What the gates ask beside the session.
pub(crate) struct House<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) table: &'a Table,
    /// The memory in use is above `maxmemory`.
    pub(crate) full: bool,
}

/// Asks all gates. A refusal inside `MULTI` spoils the transaction; a refused `EXEC` ends it.
#[inline]
pub(crate) fn admit(
    session: &mut Session,
    house: &House<'_>,
    args: &Args<'_>,
) -> Result<(Found, Way), Refused> {
    let found = match house.table.find(args) {
        Ok(found) => found,
        Err(error) => return Err(refuse(session, error, None, args)),
    };
    match ask(session, house, found, args) {
        Ok(()) => Ok((found, way(session, found))),
        Err(error) => Err(refuse(session, error, Some(found), args)),
    }
}

/// The gates, in order.
#[inline]
fn ask(session: &Session, house: &House<'_>, found: Found, args: &Args<'_>) -> Result<(), Error> {
    let row = found.row;
    if !row.fits(args.len()) {
        return Err(Error::arity(&house.table.entry(found.id).full_name));
    }
    if row.flags.contains(Flags::PROTECTED) && !is_permitted(session, house.settings) {
        return Err(not_permitted(args));
    }
    if !session.authenticated && !row.flags.contains(Flags::NO_AUTH) {
        return Err(Error::NO_AUTH);
    }
    if house.full && may_grow(session, found) {
        return Err(Error::OUT_OF_MEMORY);
    }
    if session.in_multi()
        && row.flags.contains(Flags::NO_MULTI)
        && !row.flags.contains(Flags::NOT_QUEUED)
    {
        return Err(Error::new("ERR Command not allowed inside a transaction"));
    }
    Ok(())
}

/// Whether the command, or one of the transaction that it ends, may need more memory.
fn may_grow(session: &Session, found: Found) -> bool {
    let grows = |found: Found| found.row.flags.contains(Flags::DENYOOM);
    match (&session.multi, found.row.run) {
        (Multi::Queueing(queue), Run::Transaction(_)) => {
            queue.meta.iter().any(|queued| grows(queued.found))
        }
        _ => grows(found),
    }
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

#[cold]
fn refuse(session: &mut Session, error: Error, found: Option<Found>, args: &Args<'_>) -> Refused {
    let ends = found.is_some_and(|found| matches!(found.row.run, Run::Transaction(_)));
    let error = if ends {
        session.discard();
        error.aborts_transaction()
    } else {
        error
    };
    if let Multi::Queueing(queue) = &mut session.multi {
        queue.aborted = true;
    }
    let cut = found.is_none() && FOREIGN.iter().any(|word| args.name().eq_ignore_ascii_case(word));
    Refused { error, found, cut }
}
