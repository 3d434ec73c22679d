//! The `kevy` binary.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match kevy::boot::start(std::env::args_os()) {
        Ok(boot) => kevy::serve::run(boot),
        Err(code) => code,
    }
}
