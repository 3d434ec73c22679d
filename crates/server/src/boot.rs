//! The start and the end of a server, in the order on which tools rely.
//!
//! ```text
//! start        arguments, configuration, directory, log, background, limits
//!   (the engine is built and listens)
//! initialized  process id file, banner, "Server initialized"
//!   (data is loaded)
//! ready        "Ready to accept connections", supervisor; the log's own thread begins
//!   (the server serves)
//! finish       process id file removed, log flushed
//! ```

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::cli::{self, Checker, Invocation, Options};
use crate::config::choices::LogLevel;
use crate::config::load::{Disk, LoadError, Loaded, Note, error_text};
use crate::config::{COMPAT_VERSION, Config, Id, Settled};
use crate::logging::{Log, Role, Settings};
use crate::process::{self, PidFile, Supervision};

/// The process id file of a daemon that names none.
const DEFAULT_PIDFILE: &str = "/var/run/redis.pid";

/// A server that is being started, or runs.
#[derive(Debug)]
pub struct Boot {
    /// The configuration, settled: absolute directory, the number of shards, `maxclients` as far as
    /// the system allows it.
    pub config: Config,
    /// The log.
    pub log: Log,
    /// Who waits for the server to be ready.
    pub supervision: Supervision,
    pidfile: Option<PidFile>,
}

/// Does all that comes before the engine. Must be called before any thread is started.
///
/// # Errors
/// With the exit code if there is no server to run: the arguments asked for something else, or
/// something is wrong, which has been said then.
pub fn start(arguments: impl IntoIterator<Item = OsString>) -> Result<Boot, ExitCode> {
    match cli::parse(arguments) {
        Invocation::Serve(options) => serve(&options).map_err(|failure| failure.report()),
        Invocation::CheckConfig(options) => Err(check_config(&options)),
        Invocation::Version => Err(print(&format!("{}\n", cli::version_line()))),
        Invocation::Help => Err(print(cli::HELP)),
        Invocation::Check { checker, .. } => {
            let name = match checker {
                Checker::Aof => "redis-check-aof",
                Checker::Rdb => "redis-check-rdb",
            };
            Err(fail(&format!("{name} is not available yet.")))
        }
        Invocation::Refused(reason) => Err(fail(reason)),
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says on standard error why there is no server. If that fails, the exit code still says so.
fn fail(reason: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{reason}");
    ExitCode::FAILURE
}

fn check_config(options: &Options) -> ExitCode {
    match options.load(&Disk, &mut io::stdin().lock()) {
        Ok(loaded) => {
            let notes: String =
                loaded.notes.iter().map(|note| format!("{}\n", note.text)).collect();
            print(&format!("{notes}Configuration is fine.\n"))
        }
        Err(error) => fail(&error.to_string()),
    }
}

/// Why there is no server, beside what the arguments may ask for.
enum Failure {
    /// The configuration is wrong.
    Config(LoadError),
    /// The system does not let it run; the text is for the log.
    System(String),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Failure::Config(error)
    }
}

impl Failure {
    fn report(&self) -> ExitCode {
        match self {
            Failure::Config(error) => fail(&error.to_string()),
            Failure::System(reason) => {
                tracing::warn!("{reason}");
                ExitCode::FAILURE
            }
        }
    }
}

fn serve(options: &Options) -> Result<Boot, Failure> {
    let loaded = options.load(&Disk, &mut io::stdin().lock())?;
    // File names of other directives are relative to the directory.
    let dir = process::enter_directory(&cli::path(loaded.config.dir()))
        .map_err(|error| loaded.error_of(Id::DIR, error_text(&error)))?;
    let log = open_log(&loaded)?;
    log.install();

    let Loaded { config, notes, .. } = loaded;
    let supervision = Supervision::detect(config.supervised());
    let background = config.daemonize() && supervision == Supervision::None;
    if background {
        process::daemonize()
            .map_err(|error| Failure::System(format!("Can't daemonize: {}", error_text(&error))))?;
    }
    if config.disable_thp()
        && let Err(error) = process::disable_huge_pages()
    {
        tracing::warn!("Can't disable transparent huge pages: {}", error_text(&error));
    }
    announce(options, &config);
    write_notes(&notes);

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = config.shards(cores);
    note_shards(&config, shards);
    let files = process::raise_open_files(config.maxclients(), shards).map_err(Failure::System)?;
    write_notes(&files.notes);

    let needs_default_pidfile = background && config.pidfile().is_empty();
    let config = config.settled(Settled {
        dir: Some(dir),
        maxclients: Some(files.maxclients),
        pidfile: needs_default_pidfile.then_some(DEFAULT_PIDFILE),
        shards,
    });
    Ok(Boot { config, log, supervision, pidfile: None })
}

fn open_log(loaded: &Loaded) -> Result<Log, LoadError> {
    let config = &loaded.config;
    let file = config.logfile();
    let settings = Settings {
        level: config.loglevel(),
        format: config.log_format(),
        timestamps: config.log_timestamp_format(),
        // Absolute, so that a later change of directory does not move the log.
        file: (!file.is_empty())
            .then(|| std::path::absolute(cli::path(file)).unwrap_or_else(|_| cli::path(file))),
    };
    Log::open(settings).map_err(|error| LoadError::Whole {
        reason: format!("Can't open the log file: {}", error_text(&error)),
    })
}

fn announce(options: &Options, config: &Config) {
    tracing::info!("oO0OoO0OoO0Oo kevy is starting oO0OoO0OoO0Oo");
    tracing::info!(
        "kevy version={}, redis={}, bits={}, pid={}, just started",
        env!("CARGO_PKG_VERSION"),
        String::from_utf8_lossy(config.compat_version()),
        usize::BITS,
        std::process::id()
    );
    if options.is_empty() {
        tracing::warn!(
            "Warning: no config file specified, using the default config. In order to specify a \
             config file use kevy /path/to/redis.conf"
        );
    } else {
        tracing::info!("Configuration loaded");
    }
}

fn write_notes(notes: &[Note]) {
    for note in notes {
        match note.level {
            LogLevel::Warning | LogLevel::Nothing => tracing::warn!("{}", note.text),
            LogLevel::Notice => tracing::info!("{}", note.text),
            LogLevel::Verbose | LogLevel::Debug => tracing::debug!("{}", note.text),
        }
    }
}

fn note_shards(config: &Config, shards: usize) {
    let io_threads = config.io_threads();
    if io_threads > 1 {
        tracing::info!(
            "io-threads {io_threads} is taken as a hint; {shards} shards run (directive 'shards')"
        );
    }
}

impl Boot {
    /// The engine exists and listens: writes the process id file and the banner.
    pub fn initialized(&mut self) {
        self.log.set_role(match self.config.replicaof() {
            Some(_) => Role::Replica,
            None => Role::Primary,
        });
        self.write_pidfile();
        self.banner();
        if let Some(warning) = process::backlog_warning(self.config.tcp_backlog()) {
            tracing::warn!("{warning}");
        }
        tracing::info!("Server initialized");
        self.supervision.status("Loading data");
    }

    /// Clients are served on these kinds of sockets (`tcp`, `unix`, `tls`). From now on the log is
    /// written by a thread of its own.
    pub fn ready(&self, listeners: &[&str]) {
        for listener in listeners {
            tracing::info!("Ready to accept connections {listener}");
        }
        if let Err(error) = self.log.start_writer() {
            tracing::warn!("Can't start the log's thread: {}", error_text(&error));
        }
        self.supervision.ready();
    }

    /// The server has ended gracefully; the process may exit.
    pub fn finish(self) {
        self.supervision.stopping();
        self.log.stop_writer();
        if let Some(file) = self.pidfile {
            tracing::info!("Removing the pid file.");
            if let Err(error) = file.remove() {
                tracing::warn!("Failed to remove PID file: {}", error_text(&error));
            }
        }
        tracing::warn!("kevy is now ready to exit, bye bye...");
    }

    /// A server without its process id file is better than none.
    fn write_pidfile(&mut self) {
        let path = self.config.pidfile();
        if path.is_empty() {
            return;
        }
        match PidFile::write(&cli::path(path)) {
            Ok(file) => self.pidfile = Some(file),
            Err(error) => tracing::warn!("Failed to write PID file: {}", error_text(&error)),
        }
    }

    /// What runs where: several lines for people who look at a terminal, otherwise one.
    fn banner(&self) {
        let (port, pid) = (self.config.port(), std::process::id());
        let mode = if self.config.cluster_enabled() { "cluster" } else { "standalone" };
        let at_terminal = self.config.logfile().is_empty() && io::stdout().is_terminal();
        if self.config.always_show_logo() || at_terminal {
            let version = env!("CARGO_PKG_VERSION");
            self.log.raw(&format!(
                "\n    kevy {version}, compatible with Redis {COMPAT_VERSION}\n    \
                 Running in {mode} mode\n    Port: {port}\n    PID: {pid}\n\n"
            ));
        } else {
            tracing::info!("Running mode={mode}, port={port}.");
        }
    }
}
