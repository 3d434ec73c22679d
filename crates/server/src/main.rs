//! The `kevy` binary.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::mpsc::channel;

use kevy::boot::{self, Boot};
use kevy::process::watch_signals;

fn main() -> ExitCode {
    match boot::start(std::env::args_os()) {
        Ok(boot) => serve(boot),
        Err(code) => code,
    }
}

/// Runs the server until it is asked to end.
fn serve(mut boot: Boot) -> ExitCode {
    let (stop, stopped) = channel();
    let watching = watch_signals(boot.log.clone(), move |signal| {
        // Nobody listens once the server ends.
        let _ = stop.send(signal);
    });
    if let Err(error) = watching {
        tracing::warn!("Can't handle signals: {error}");
        return ExitCode::FAILURE;
    }
    boot.initialized();
    boot.ready(&[]);
    // An error means that the signal thread is gone: end as well.
    let _ = stopped.recv();
    boot.finish();
    ExitCode::SUCCESS
}
