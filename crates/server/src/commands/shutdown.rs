//! `SHUTDOWN`.

use kevy_command::{After, Args, Call, Categories, Doc, Error, Flags, Group, Reply, Row, Run};

use super::engine;

pub(super) const SHUTDOWN: Row = Row {
    name: "shutdown",
    arity: -1,
    flags: Flags::ADMIN
        .union(Flags::NOSCRIPT)
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::NO_MULTI)
        .union(Flags::ALLOW_BUSY),
    categories: Categories::empty(),
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Ends the server.",
        since: "1.0.0",
        group: Group::Server,
        complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
        syntax: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    },
    run: Run::Server(shutdown),
};
fn shutdown(call: &mut Call<'_>, args: Args<'_>, _: &mut Reply<'_>) -> Result<After, Error> {
    let asked = Asked::read(args)?;
    if asked.abort {
        return Err(Error::new("ERR No shutdown in progress."));
    }
    if asked.save && !asked.force {
        tracing::warn!("SHUTDOWN SAVE: saving is not available yet, the server goes on");
        return Err(Error::new("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    tracing::warn!("User requested shutdown...");
    engine(call)?.shut_down();
    // There is no reply: the client sees that its connection ends.
    Ok(After::Close)
}

/// What the arguments ask for.
#[derive(Default)]
struct Asked {
    save: bool,
    force: bool,
    abort: bool,
}

impl Asked {
    fn read(mut args: Args<'_>) -> Result<Self, Error> {
        let (mut asked, mut nosave, mut now) = (Self::default(), false, false);
        while !args.at_end() {
            if args.option("NOSAVE") {
                nosave = true;
            } else if args.option("SAVE") {
                asked.save = true;
            } else if args.option("NOW") {
                now = true;
            } else if args.option("FORCE") {
                asked.force = true;
            } else if args.option("ABORT") {
                asked.abort = true;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        let others = asked.save || nosave || now || asked.force;
        if (asked.abort && others) || (asked.save && nosave) {
            return Err(Error::SYNTAX);
        }
        Ok(asked)
    }
}
