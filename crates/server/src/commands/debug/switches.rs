//! Switches, and what needs no data.

use kevy_command::{After, Args, Call, Error, Reply, glob};

use super::{expect, refused};
use crate::commands::engine;

/// Switches that Redis has for parts of itself that kevy does not have.
pub(super) fn accepted(
    _: &mut Call<'_>,
    _: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    reply.ok();
    Ok(After::Continue)
}

pub(super) fn unknown(_: &mut Call<'_>, args: Args<'_>, _: &mut Reply<'_>) -> Result<After, Error> {
    Err(refused(&args))
}

pub(super) fn set_active_expire(
    call: &mut Call<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    expect(&args, 1..=1)?;
    args.seek(2);
    // What is no number is 0, as in Redis.
    engine(call)?.set_active_expire(args.int().unwrap_or(0) != 0);
    reply.ok();
    Ok(After::Barrier)
}

pub(super) fn log(_: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    expect(&args, 1..=1)?;
    let message = String::from_utf8_lossy(args.get(2).unwrap_or_default());
    tracing::warn!("DEBUG LOG: {message}");
    reply.ok();
    Ok(After::Continue)
}

/// Answers an error that is no error of the server's and is not counted as one.
pub(super) fn error(
    _: &mut Call<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    expect(&args, 1..=1)?;
    let message = String::from_utf8_lossy(args.get(2).unwrap_or_default());
    reply.error(message.replace(['\r', '\n'], " "));
    Ok(After::Continue)
}

pub(super) fn stringmatch_len(
    _: &mut Call<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    /// Enough to show that matching takes linear time.
    const LONGEST: i64 = 1 << 20;
    expect(&args, 2..=2)?;
    args.seek(2);
    let length = args.int()?.clamp(0, LONGEST) as usize;
    let matches = glob::matches(args.bytes()?, &b"a".repeat(length), false);
    reply.integer(matches.into());
    Ok(After::Continue)
}
