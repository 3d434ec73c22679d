//! Signals: SIGINT and SIGTERM end the server gracefully, SIGHUP and SIGPIPE are ignored.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::logging::Log;

/// A signal that asks for a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownSignal {
    /// SIGINT: `shutdown-on-sigint` says how.
    Interrupt,
    /// SIGTERM: `shutdown-on-sigterm` says how.
    Terminate,
}

/// What to do on a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Ignore,
    Shutdown(ShutdownSignal),
    /// The user insists: end at once.
    Exit,
}

/// Decides what a signal means, given whether a shutdown is under way.
fn react(signal: i32, shutting_down: bool) -> Reaction {
    match signal {
        SIGINT if shutting_down => Reaction::Exit,
        SIGINT => Reaction::Shutdown(ShutdownSignal::Interrupt),
        SIGTERM => Reaction::Shutdown(ShutdownSignal::Terminate),
        _ => Reaction::Ignore,
    }
}

/// Starts the thread that receives signals; it calls `shutdown` for each one that asks for a
/// shutdown. A SIGINT after another such signal ends the process with status 1. SIGPIPE needs no
/// handler: Rust programs start with it ignored.
///
/// # Errors
/// If handlers or thread cannot be set up.
pub fn watch_signals(
    log: Log,
    mut shutdown: impl FnMut(ShutdownSignal) + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let mut shutting_down = false;
    let watch = move || {
        for signal in signals.forever() {
            match react(signal, shutting_down) {
                Reaction::Ignore => tracing::debug!("Received SIGHUP, ignoring it"),
                Reaction::Shutdown(signal) => {
                    let name = match signal {
                        ShutdownSignal::Interrupt => "SIGINT",
                        ShutdownSignal::Terminate => "SIGTERM",
                    };
                    tracing::warn!("Received {name} scheduling shutdown...");
                    shutting_down = true;
                    shutdown(signal);
                }
                Reaction::Exit => exit_now(&log),
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(watch)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the user does not want to wait for a clean end")]
fn exit_now(log: &Log) -> ! {
    tracing::warn!("You insist... exiting now.");
    log.stop_writer();
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_interrupt_insists() {
        assert_eq!(react(SIGINT, false), Reaction::Shutdown(ShutdownSignal::Interrupt));
        assert_eq!(react(SIGINT, true), Reaction::Exit);
        assert_eq!(react(SIGTERM, true), Reaction::Shutdown(ShutdownSignal::Terminate));
        assert_eq!(react(SIGHUP, false), Reaction::Ignore);
    }
}
