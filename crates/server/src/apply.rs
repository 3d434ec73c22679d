//! Puts changed directives into effect, as far as they concern the process.
//!
//! Absent on purpose: listeners (`port`, `bind`), passwords and all that shards hold; whoever owns
//! these looks for their ids in [`Change::changed`] and applies them beside this.

use crate::cli;
use crate::config::load::error_text;
use crate::config::{Change, Config, Id, SetError, Settled};
use crate::logging::Log;
use crate::process::{enter_directory, raise_open_files};

/// Applies log settings, `maxclients` and `dir`, and gives the configuration to publish. What may
/// fail comes first, so that nothing is changed then, except that the limit of open files may have
/// been raised.
///
/// # Errors
/// If the system refuses; the old configuration stays in effect.
pub fn to_process(change: Change, log: &Log) -> Result<Config, SetError> {
    let Change { mut config, changed } = change;
    if changed.contains(&Id::MAXCLIENTS) {
        apply_maxclients(&config)?;
    }
    if changed.contains(&Id::DIR) {
        let dir = enter_directory(&cli::path(config.dir()))
            .map_err(|error| SetError::failed(Id::DIR, error_text(&error)))?;
        let shards = config.shards(1);
        config = config.settled(Settled { dir: Some(dir), shards, ..Settled::default() });
    }
    if changed.contains(&Id::LOGLEVEL) {
        log.set_level(config.loglevel());
    }
    if changed.contains(&Id::LOG_FORMAT) {
        log.set_format(config.log_format());
    }
    if changed.contains(&Id::LOG_TIMESTAMP_FORMAT) {
        log.set_timestamps(config.log_timestamp_format());
    }
    Ok(config)
}

fn apply_maxclients(config: &Config) -> Result<(), SetError> {
    let wanted = config.maxclients();
    let possible =
        raise_open_files(wanted, config.shards(1)).map_or(0, |open_files| open_files.maxclients);
    if possible < wanted {
        let reason = format!(
            "The operating system is not able to handle the specified number of clients, try with \
             {possible}"
        );
        return Err(SetError::failed(Id::MAXCLIENTS, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SetContext;
    use crate::config::choices::{LogFormat, LogLevel, TimestampFormat};
    use crate::logging::Settings;

    fn apply(arguments: &[&[u8]]) -> Result<Config, String> {
        let log = Log::open(Settings {
            level: LogLevel::Notice,
            format: LogFormat::Redis,
            timestamps: TimestampFormat::Legacy,
            file: None,
        });
        let context = SetContext { protected: true, loading: false };
        let settled = Settled { shards: 2, ..Settled::default() };
        let change = Config::default().settled(settled).with(arguments, context).unwrap();
        to_process(change, &log.unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_system_refuses_is_an_error_of_config_set() {
        let error = apply(&[b"dir", b"/nonexistent"]).unwrap_err();
        assert!(error.ends_with("argument 'dir') - No such file or directory"), "{error}");
        let error = apply(&[b"maxclients", b"4294967295"]).unwrap_err();
        assert!(error.contains("is not able to handle the specified number of clients, try with"));
    }

    #[test]
    fn what_it_accepts_is_published() {
        // The directory that tests run in stays what it is.
        let here = std::env::current_dir().unwrap();
        let dotted = here.join(".").into_os_string().into_encoded_bytes();
        let config = apply(&[b"dir", &dotted, b"maxclients", b"10", b"loglevel", b"debug"]);
        let config = config.unwrap();
        assert_eq!(config.dir(), here.as_os_str().as_encoded_bytes());
        assert_eq!((config.maxclients(), config.shards(1)), (10, 2));
        assert_eq!(config.loglevel(), LogLevel::Debug);
    }
}
