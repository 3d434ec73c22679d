//! Calling a handler.

use crate::blocking::AttemptFn;
use crate::row::ConnectionFn;
use crate::{After, Args, Attempt, Call, Effect, Error, Found, Reply, Run};
use kevy_keyspace::Keyspace;

/// How a command ended. An error's line has been written; the caller's commit counts it.
pub type Outcome = Result<Effect, Error>;

/// Runs a command over the keyspace that holds its keys. After an error its line stands in the
/// reply in place of whatever the handler had written. A command that would wait answers that
/// nothing is there.
#[inline]
pub fn call(found: Found, ks: &mut Keyspace<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if let Run::Blocking(run) = found.row.run {
        return attempt(run, ks, args, reply).map(|attempt| match attempt {
            Attempt::Done(effect) => effect,
            Attempt::Nothing(wait) => wait.effect,
        });
    }
    let Some(run) = found.row.run.keys_fn() else {
        debug_assert!(false, "{} does not run over a keyspace", found.row.name);
        return refuse(reply, Error::new("ERR this command cannot run here"));
    };
    let mark = reply.mark();
    match run(ks, args, reply) {
        Ok(effect) => Ok(effect),
        Err(error) => {
            reply.rewind(mark);
            refuse(reply, error)
        }
    }
}

/// Tries a command that may wait, over the keyspace that holds its keys. After an error its line
/// stands in the reply.
pub fn attempt(
    run: AttemptFn,
    ks: &mut Keyspace<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    let mark = reply.mark();
    run(ks, args, reply).or_else(|error| {
        reply.rewind(mark);
        refuse(reply, error)
    })
}

/// Runs a command on the client's own state or on the server's.
#[inline]
pub fn call_session(
    run: ConnectionFn,
    call: &mut Call<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    let mark = reply.mark();
    run(call, args, reply).or_else(|error| {
        reply.rewind(mark);
        refuse(reply, error)
    })
}

#[cold]
fn refuse<T>(reply: &mut Reply<'_>, error: Error) -> Result<T, Error> {
    reply.error(error.text());
    Err(error)
}
