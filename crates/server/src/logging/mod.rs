//! The log: `tracing` events as the lines that redis-server writes.
//!
//! | `tracing` | `loglevel` | mark |
//! |---|---|---|
//! | `TRACE` | debug | `.` |
//! | `DEBUG` | verbose | `-` |
//! | `INFO` | notice | `*` |
//! | `WARN`, `ERROR` | warning | `#` |
//!
//! While the server starts and when it ends, a line is written before the call returns. In between
//! lines go to a thread of their own through a bounded queue, so that a slow disk or terminal never
//! holds up a shard; what does not fit is counted, and the count is logged.
//!
//! Absent on purpose: spans (events only), filters by module, colours.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::config::choices::{LogFormat, LogLevel, TimestampFormat};

mod format;
mod sink;

pub use format::Role;
use format::{Record, Shape};
use sink::Sink;

/// A handle of the process's log.
#[derive(Clone, Debug)]
pub struct Log(Arc<Shared>);

/// How the log begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `loglevel`.
    pub level: LogLevel,
    /// `log-format`.
    pub format: LogFormat,
    /// `log-timestamp-format`.
    pub timestamps: TimestampFormat,
    /// `logfile`; `None` is standard output.
    pub file: Option<PathBuf>,
}

#[derive(Debug)]
struct Shared {
    level: AtomicU8,
    format: AtomicU8,
    timestamps: AtomicU8,
    role: AtomicU8,
    zone: TimeZone,
    sink: Sink,
}

impl Log {
    /// A log with these settings. Nothing is logged before [`Log::install`].
    ///
    /// # Errors
    /// If the log file cannot be opened.
    pub fn open(settings: Settings) -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            level: AtomicU8::new(settings.level as u8),
            format: AtomicU8::new(settings.format as u8),
            timestamps: AtomicU8::new(settings.timestamps as u8),
            role: AtomicU8::new(Role::Starting as u8),
            zone: TimeZone::system(),
            sink: Sink::open(settings.file)?,
        })))
    }

    /// Makes this the log of all events of the process. A second log is not possible; then nothing
    /// happens and the answer is `false`.
    pub fn install(&self) -> bool {
        tracing::subscriber::set_global_default(Lines(self.0.clone())).is_ok()
    }

    /// `CONFIG SET loglevel`.
    pub fn set_level(&self, level: LogLevel) {
        self.0.level.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// `CONFIG SET log-format`.
    pub fn set_format(&self, format: LogFormat) {
        self.0.format.store(format as u8, Ordering::Relaxed);
    }

    /// `CONFIG SET log-timestamp-format`.
    pub fn set_timestamps(&self, timestamps: TimestampFormat) {
        self.0.timestamps.store(timestamps as u8, Ordering::Relaxed);
    }

    /// The role that lines show from now on.
    pub fn set_role(&self, role: Role) {
        self.0.role.store(role as u8, Ordering::Relaxed);
    }

    /// Writes text as it is, whatever the level: the banner.
    pub fn raw(&self, text: &str) {
        self.0.sink.write(text.as_bytes().to_vec());
    }

    /// From now on lines are written by a thread of their own. Must not be called before the
    /// process has forked.
    ///
    /// # Errors
    /// If the thread cannot be started; then lines are written at once as before.
    pub fn start_writer(&self) -> io::Result<()> {
        self.0.sink.start_writer(self.0.clone())
    }

    /// Waits, at most two seconds, until all lines so far are written; from now on lines are written
    /// at once again.
    pub fn stop_writer(&self) {
        self.0.sink.stop_writer();
    }

    /// Lines that did not fit into the queue, since the start.
    pub fn dropped(&self) -> u64 {
        self.0.sink.dropped()
    }
}

impl Shared {
    fn level(&self) -> LogLevel {
        LogLevel::from_value(self.level.load(Ordering::Relaxed))
    }

    fn filter(&self) -> LevelFilter {
        match self.level() {
            LogLevel::Debug => LevelFilter::TRACE,
            LogLevel::Verbose => LevelFilter::DEBUG,
            LogLevel::Notice => LevelFilter::INFO,
            LogLevel::Warning => LevelFilter::WARN,
            LogLevel::Nothing => LevelFilter::OFF,
        }
    }

    fn shape(&self) -> Shape {
        Shape {
            format: LogFormat::from_value(self.format.load(Ordering::Relaxed)),
            timestamps: TimestampFormat::from_value(self.timestamps.load(Ordering::Relaxed)),
        }
    }

    /// The line of a record of now.
    fn line(&self, level: LogLevel, message: &str, fields: &[(&'static str, String)]) -> Vec<u8> {
        let now = Timestamp::now();
        let record = Record {
            pid: std::process::id(),
            role: Role::from_value(self.role.load(Ordering::Relaxed)),
            time: now,
            offset: self.zone.to_offset(now),
            level,
            message,
            fields,
        };
        record.line(self.shape())
    }
}

/// The subscriber: turns events into lines.
struct Lines(Arc<Shared>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.0.filter()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.filter())
    }

    fn event(&self, event: &Event<'_>) {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let level = loglevel_of(event.metadata().level());
        self.0.sink.write(self.0.line(level, &parts.message, &parts.fields));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn loglevel_of(level: &Level) -> LogLevel {
    match *level {
        Level::TRACE => LogLevel::Debug,
        Level::DEBUG => LogLevel::Verbose,
        Level::INFO => LogLevel::Notice,
        Level::WARN | Level::ERROR => LogLevel::Warning,
    }
}

/// The message and the fields of an event.
#[derive(Default)]
struct Parts {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            name => self.fields.push((name, value.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_to(path: &std::path::Path) -> Log {
        Log::open(Settings {
            level: LogLevel::Notice,
            format: LogFormat::Redis,
            timestamps: TimestampFormat::Legacy,
            file: Some(path.to_owned()),
        })
        .unwrap()
    }

    fn lines(path: &std::path::Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(Into::into).collect()
    }

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("kevy-{name}-{}.log", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn events_become_lines_of_the_level_that_is_set() {
        let path = scratch("levels");
        let log = log_to(&path);
        tracing::subscriber::with_default(Lines(log.0.clone()), || {
            tracing::debug!("not shown");
            tracing::info!("shown");
            log.set_role(Role::Primary);
            log.set_level(LogLevel::Debug);
            tracing::trace!(keys = 3, name = "a b", "details");
            log.set_level(LogLevel::Nothing);
            tracing::error!("not shown");
            log.set_level(LogLevel::Warning);
            tracing::warn!("forged\n1:M line");
        });
        let lines = lines(&path);
        assert_eq!(lines.len(), 3, "{lines:?}");
        let pid = std::process::id();
        assert!(lines[0].starts_with(&format!("{pid}:C ")) && lines[0].ends_with(" * shown"));
        assert!(lines[1].starts_with(&format!("{pid}:M ")));
        assert!(lines[1].ends_with(" . details keys=3 name=a b"), "{}", lines[1]);
        assert!(lines[2].ends_with(" # forged\\n1:M line"), "{}", lines[2]);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn queued_lines_are_written_before_the_writer_stops() {
        let path = scratch("queue");
        let log = log_to(&path);
        log.start_writer().unwrap();
        tracing::subscriber::with_default(Lines(log.0.clone()), || {
            for number in 0..500 {
                tracing::info!("line {number}");
            }
            log.stop_writer();
            tracing::info!("last");
        });
        let lines = lines(&path);
        assert_eq!(lines.len(), 501);
        assert!(lines[499].ends_with("line 499") && lines[500].ends_with("last"));
        assert_eq!(log.dropped(), 0);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_moved_file_is_begun_anew() {
        let (path, moved) = (scratch("rotate"), scratch("rotated"));
        let log = log_to(&path);
        log.raw("one\n");
        std::fs::rename(&path, &moved).unwrap();
        log.raw("two\n");
        assert_eq!((lines(&moved).len(), lines(&path)), (1, vec!["two".to_owned()]));
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&moved).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        let settings = Settings {
            level: LogLevel::Notice,
            format: LogFormat::Redis,
            timestamps: TimestampFormat::Legacy,
            file: Some("/nonexistent/kevy.log".into()),
        };
        assert!(Log::open(settings).is_err());
    }
}
