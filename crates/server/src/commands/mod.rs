//! The commands of the server itself, and the table of all commands.
//!
//! They find the [`Engine`] behind their call. Commands over keys (`MEMORY USAGE`, parts of
//! `DEBUG`) see a keyspace as all others do.

use kevy_command::{Call, Error, FAMILIES, Row, Table};

use crate::config::Line;
use crate::config::load::LoadError;
use crate::engine::Engine;

mod client;
mod config;
mod debug;
mod info;
mod memory;
mod misc;
mod shutdown;

/// The server's own family.
pub const SERVER: &[&Row] = &[
    &client::CLIENT,
    &config::CONFIG,
    &debug::DEBUG,
    &info::INFO,
    &memory::MEMORY,
    &misc::LASTSAVE,
    &misc::LOLWUT,
    &misc::ROLE,
    &shutdown::SHUTDOWN,
];

/// All commands.
///
/// # Errors
/// The name that two commands share.
pub fn table() -> Result<Table, String> {
    let mut families = FAMILIES.to_vec();
    families.push(SERVER);
    Table::new(&families)
}

/// All commands by the names that the configuration gives them.
///
/// # Errors
/// What is wrong with the table, or with a `rename-command` and where it stands.
pub fn renamed_table(renames: &[Line]) -> Result<Table, String> {
    let mut table = table().map_err(|name| format!("Two commands are called '{name}'"))?;
    for line in renames {
        let word = |at: usize| line.words.get(at).map_or(&b""[..], |word| word);
        table
            .rename(word(0), word(1))
            .map_err(|reason| LoadError::at(&line.place, reason).to_string())?;
    }
    Ok(table)
}

/// The engine behind a call.
fn engine<'a>(call: &Call<'a>) -> Result<&'a Engine, Error> {
    let host = call.host;
    host.downcast_ref().ok_or(Error::new("ERR this command needs a server"))
}

#[cfg(test)]
mod tests;
