//! Reading configuration: files with their includes, standard input, command line options.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choices::LogLevel;
use super::directive::{Kind, Support};
use super::table::{Id, lookup};
use super::value::Value;
use super::{COMPAT_VERSION, Config, Line, Startup, access, words};

/// Files within files within files: beyond this a file probably includes itself.
const MAX_INCLUDE_DEPTH: usize = 16;

/// `hz` beyond these bounds is moved to them.
pub(super) const HZ_BOUNDS: (i128, i128) = (1, 500);

/// Directives of old versions that are accepted, with one argument, and mean nothing.
const OBSOLETE: [&[u8]; 3] =
    [b"list-max-ziplist-entries", b"list-max-ziplist-value", b"lua-replicate-commands"];

/// The file system as far as reading configuration needs it.
pub trait Files {
    /// The content of a file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files that match a pattern, sorted; none is fine.
    fn expand(&self, pattern: &str) -> Vec<PathBuf>;
}

/// The real file system.
#[derive(Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn expand(&self, pattern: &str) -> Vec<PathBuf> {
        glob::glob(pattern).map(|paths| paths.flatten().collect()).unwrap_or_default()
    }
}

/// No file system: every file is missing.
#[derive(Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn expand(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// What a line was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Options on the command line, one line for each.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Stdin => f.write_str("standard input"),
            Source::CommandLine => f.write_str("command line"),
        }
    }
}

/// A line of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it was read from.
    pub source: Arc<Source>,
    /// Counted from 1.
    pub line: usize,
    /// The line without surrounding white space.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}

/// Why configuration could not be loaded. Its display form, several lines, is what redis-server
/// prints on standard error, and the name of the file.
#[derive(Debug)]
pub enum LoadError {
    /// A line is wrong.
    Line {
        /// Where; boxed, as errors are rare and results are moved often.
        place: Box<Place>,
        /// What is wrong with it.
        reason: String,
    },
    /// The directives do not go together, or with the system.
    Whole {
        /// Why.
        reason: String,
    },
    /// A file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
        /// The line that names it, if it is not the first file.
        included_at: Option<Box<Place>>,
    },
}

impl LoadError {
    /// The error of a line that turned out to be wrong after loading.
    pub fn at(place: &Place, reason: impl Into<String>) -> Self {
        LoadError::Line { place: Box::new(place.clone()), reason: reason.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headline = format!("\n*** FATAL CONFIG FILE ERROR (Redis {COMPAT_VERSION}) ***");
        match self {
            LoadError::Line { place, reason } => {
                writeln!(f, "{headline}")?;
                writeln!(f, "Reading the configuration file, at line {}", place.line)?;
                writeln!(f, ">>> '{}'", place.text)?;
                writeln!(f, "{reason}")?;
                write!(f, "(in {place})")
            }
            LoadError::Whole { reason } => write!(f, "{headline}\n{reason}"),
            LoadError::Unreadable { path, error, included_at } => {
                let (path, reason) = (path.display(), error_text(error));
                write!(f, "Fatal error, can't open config file '{path}': {reason}")?;
                match included_at {
                    Some(place) => write!(f, " (included in {place})"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// The text of an error of the system, without the number that Rust adds.
pub fn error_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

/// A line for the log that loading gave rise to, to be written once there is a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Verbose, notice or warning.
    pub level: LogLevel,
    /// The line.
    pub text: String,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Lines for the log.
    pub notes: Vec<Note>,
    places: Vec<Option<Place>>,
}

impl Loaded {
    /// The error of a directive whose value could not be put into effect.
    pub fn error_of(&self, id: Id, reason: impl Into<String>) -> LoadError {
        match &self.places[id.index()] {
            Some(place) => LoadError::at(place, reason),
            None => LoadError::Whole { reason: reason.into() },
        }
    }
}

/// Reads sources one after another; later lines override earlier ones.
pub struct Loader<'f> {
    files: &'f dyn Files,
    config: Config,
    startup: Startup,
    places: Vec<Option<Place>>,
    notes: Vec<Note>,
    /// A `save` line was read: the default save points are gone, further lines add up.
    save_given: bool,
    depth: usize,
}

impl<'f> Loader<'f> {
    /// A loader that holds the defaults.
    pub fn new(files: &'f dyn Files) -> Self {
        let config = Config::default();
        Self {
            files,
            places: vec![None; config.values.len()],
            config,
            startup: Startup::default(),
            notes: Vec::new(),
            save_given: false,
            depth: 0,
        }
    }

    /// Reads the server's configuration file, whose absolute path is given.
    ///
    /// # Errors
    /// If it, or a file that it includes, cannot be read or has a wrong line.
    pub fn file(&mut self, path: &Path) -> Result<(), LoadError> {
        self.config.file = Some(path.to_owned());
        self.read(path, None)
    }

    /// Reads lines from elsewhere.
    ///
    /// # Errors
    /// If a line is wrong.
    pub fn text(&mut self, source: Source, text: &[u8]) -> Result<(), LoadError> {
        let source = Arc::new(source);
        for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let place = Place {
                source: source.clone(),
                line: at + 1,
                text: String::from_utf8_lossy(line).into_owned(),
            };
            self.line(line, place)?;
        }
        Ok(())
    }

    /// Checks what concerns several directives, and hands out the result.
    ///
    /// # Errors
    /// If directives contradict each other.
    pub fn finish(mut self) -> Result<Loaded, LoadError> {
        if self.config.cluster_enabled() && self.config.replicaof().is_some() {
            let reason = "replicaof directive not allowed in cluster mode".to_owned();
            return Err(LoadError::Whole { reason });
        }
        self.one_database_in_cluster_mode();
        self.config.normalize();
        self.note_unsupported();
        self.config.startup = Arc::new(self.startup);
        Ok(Loaded { config: self.config, notes: self.notes, places: self.places })
    }

    fn read(&mut self, path: &Path, included_at: Option<&Place>) -> Result<(), LoadError> {
        let text = self.files.read(path).map_err(|error| LoadError::Unreadable {
            path: path.to_owned(),
            error,
            included_at: included_at.cloned().map(Box::new),
        })?;
        self.text(Source::File(path.to_owned()), &text)
    }

    /// One line that is neither empty nor a comment.
    fn line(&mut self, line: &[u8], place: Place) -> Result<(), LoadError> {
        let wrong = |reason: String| LoadError::at(&place, reason);
        let mut words = words::split(line)
            .ok_or_else(|| wrong("Unbalanced quotes in configuration line".into()))?;
        if words.is_empty() {
            return Ok(());
        }
        let name = words.remove(0).to_ascii_lowercase();
        match lookup(&name) {
            Some(id) => {
                self.directive(id, words).map_err(wrong)?;
                self.places[id.index()] = Some(place);
                Ok(())
            }
            None => self.statement(&name, words, place),
        }
    }

    /// A directive with a value.
    fn directive(&mut self, id: Id, mut words: Vec<Vec<u8>>) -> Result<(), String> {
        let kind = &id.directive().kind;
        if kind.takes_several()
            && let [word] = words.as_slice()
            && !word.is_empty()
        {
            words = words::split(word).ok_or("Unbalanced quotes in configuration line")?;
        }
        let mut value = kind.parse(&words, self.config.value(id))?;
        if let (Value::Save(points), Value::Save(earlier)) = (&mut value, self.config.value(id)) {
            let resets = words.iter().all(Vec::is_empty);
            if self.save_given && !resets {
                points.splice(0..0, earlier.iter().copied());
            }
            self.save_given = true;
        }
        self.config.set(id, value);
        Ok(())
    }

    /// A line that is not about a value.
    fn statement(
        &mut self,
        name: &[u8],
        words: Vec<Vec<u8>>,
        place: Place,
    ) -> Result<(), LoadError> {
        match (name, words.as_slice()) {
            (b"include", [path]) => return self.include(&path.clone(), &place),
            (b"rename-command", [_, _]) => self.startup.renames.push(Line { words, place }),
            (b"user", [_, ..]) => self.startup.users.push(Line { words, place }),
            (b"loadmodule", [_, ..]) => {
                self.warn(format!("Modules are not supported, ignoring loadmodule ({place})"));
                self.startup.modules.push(Line { words, place });
            }
            (b"sentinel", _) => {
                let reason = "sentinel directive while not in sentinel mode";
                return Err(LoadError::at(&place, reason));
            }
            (name, [_]) if OBSOLETE.contains(&name) => {}
            (name, []) if name.contains(&b'.') => {
                return Err(LoadError::at(&place, "Module config specified without value"));
            }
            (name, _) if name.contains(&b'.') => {
                let name = String::from_utf8_lossy(name);
                self.warn(format!("Modules are not supported, ignoring '{name}' ({place})"));
            }
            _ => {
                let reason = "Bad directive or wrong number of arguments";
                return Err(LoadError::at(&place, reason));
            }
        }
        Ok(())
    }

    /// Reads another file, or those that match a pattern, in place of the line.
    fn include(&mut self, path: &[u8], place: &Place) -> Result<(), LoadError> {
        if self.depth == MAX_INCLUDE_DEPTH {
            return Err(LoadError::at(place, "Too many levels of include"));
        }
        self.depth += 1;
        let path = String::from_utf8_lossy(path);
        if path.contains(['*', '?', '[']) {
            for path in self.files.expand(&path) {
                self.read(&path, Some(place))?;
            }
        } else {
            self.read(Path::new(path.as_ref()), Some(place))?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn one_database_in_cluster_mode(&mut self) {
        let databases = self.config.databases();
        if self.config.cluster_enabled() && databases > 1 {
            self.warn(format!(
                "WARNING: Changing databases number from {databases} to 1 since we are in cluster mode"
            ));
            self.config.set(access::DATABASES, Value::Int(1));
        }
    }

    /// One line for each directive that was set to something and does not act.
    fn note_unsupported(&mut self) {
        if let Some(line) = self.startup.users.first() {
            let text = format!(
                "WARNING: directive 'user' ({}) is accepted, but users are not available yet: \
                 nobody is asked for a password unless 'requirepass' sets one",
                line.place
            );
            self.notes.push(Note { level: LogLevel::Warning, text });
        }
        for id in Id::all() {
            let row = id.directive();
            let Some(place) = &self.places[id.index()] else { continue };
            let value = self.config.value(id);
            if row.support == Support::Acts || *value == row.kind.default_value() || is_off(value) {
                continue;
            }
            let name = row.name;
            if row.support == Support::Pending {
                let text = format!(
                    "WARNING: directive '{name}' ({place}) is accepted, but the feature it \
                     configures is not available yet"
                );
                self.notes.push(Note { level: LogLevel::Warning, text });
            } else {
                let text = format!("Directive '{name}' ({place}) has no effect");
                self.notes.push(Note { level: LogLevel::Verbose, text });
            }
        }
    }

    fn warn(&mut self, text: String) {
        self.notes.push(Note { level: LogLevel::Warning, text });
    }
}

impl fmt::Debug for Loader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Whether a value asks for nothing, though it is not the default.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Save(points) => points.is_empty(),
        Value::ReplicaOf(primary) => primary.is_none(),
        _ => false,
    }
}

impl Config {
    /// Moves values that are hints into the range that is used.
    pub(super) fn normalize(&mut self) {
        let (min, max) = HZ_BOUNDS;
        if let Value::Int(hz) = *self.value(access::HZ) {
            self.set(access::HZ, Value::Int(hz.clamp(min, max)));
        }
    }
}

/// Loads text as the server would, without files. For fuzzing: must not panic, and what it accepts
/// must survive a rewrite.
///
/// # Panics
/// If a rewritten configuration does not load, or differs.
pub fn fuzz(text: &[u8]) {
    let Some(config) = load_text(text) else { return };
    for force in [false, true] {
        let rewritten = super::rewrite::rewrite(text, &config, None, force);
        let again = load_text(&rewritten);
        let same = again.is_some_and(|again| again.values == config.values);
        assert!(same, "rewriting changed:\n{}", String::from_utf8_lossy(&rewritten));
    }
}

fn load_text(text: &[u8]) -> Option<Config> {
    let mut loader = Loader::new(&NoFiles);
    loader.text(Source::Stdin, text).ok()?;
    Some(loader.finish().ok()?.config)
}

/// The kinds whose default cannot be written as a line.
pub(super) fn unsayable(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Text { empty_is_unset: true, .. }, Value::Text(text)) => text.is_empty(),
        (_, Value::ReplicaOf(primary)) => primary.is_none(),
        _ => false,
    }
}
