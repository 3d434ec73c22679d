//! The command line, which is that of redis-server.
//!
//! Its grammar is not one of flags and values: options are directives of `redis.conf`, any number
//! of words may follow one, and a word of an option may itself begin with `--`. So it is parsed by
//! hand: options become lines, and these are read like the lines of a file, behind all files.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::config::load::{Files, LoadError, Loaded, Loader, Source};
use crate::config::{COMPAT_VERSION, words};

/// What the program was started as and asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run the server.
    Serve(Options),
    /// Load the configuration, say whether it is fine, and exit.
    CheckConfig(Options),
    /// Print the version and exit.
    Version,
    /// Print how to use the program and exit.
    Help,
    /// The program was started by the name of one of the checkers.
    Check {
        /// Which.
        checker: Checker,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
    /// Print this message on standard error and exit with status 1.
    Refused(&'static str),
}

/// The tools that check files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checker {
    /// `redis-check-aof`.
    Aof,
    /// `redis-check-rdb`.
    Rdb,
}

/// Where configuration comes from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The configuration file as it was named.
    pub file: Option<PathBuf>,
    /// Standard input is read behind the file.
    pub stdin: bool,
    /// Lines made of the options, read last.
    pub lines: Vec<u8>,
}

/// How to use the program.
pub const HELP: &str = "\
Usage: kevy [/path/to/redis.conf] [options] [-]
       kevy -                      read configuration from standard input
       kevy --check-config [...]   check configuration and exit
       kevy -v | --version
       kevy -h | --help

Every directive of redis.conf is an option; options override the file.

Examples:
       kevy
       kevy /etc/redis/redis.conf
       kevy --port 7777 --save ''
       kevy /etc/redis/redis.conf --loglevel verbose --maxmemory 2gb
       echo 'maxmemory 128mb' | kevy -
";

/// The line that `--version` prints: the form of redis-server, which tools parse, and our version.
pub fn version_line() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let build = build_id();
    let bits = usize::BITS;
    format!(
        "Redis server v={COMPAT_VERSION} sha=00000000:0 malloc=mimalloc bits={bits} \
         build={build:016x} kevy={version}"
    )
}

/// A number that differs between versions and platforms: FNV-1a of their names.
pub fn build_id() -> u64 {
    const NAMES: &str =
        concat!(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_RUST_VERSION"));
    let names = NAMES.bytes().chain(std::env::consts::ARCH.bytes());
    names.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Reads the command line, of which the first argument is the name of the program.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Invocation {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_default();
    let mut arguments: Vec<OsString> = arguments.collect();
    match Path::new(&program).file_name().and_then(OsStr::to_str) {
        Some("redis-check-aof") => return Invocation::Check { checker: Checker::Aof, arguments },
        Some("redis-check-rdb") => return Invocation::Check { checker: Checker::Rdb, arguments },
        Some("redis-sentinel") => return Invocation::Refused(NO_SENTINEL),
        _ => {}
    }
    match arguments.first().map(|first| first.as_bytes()) {
        Some(b"-v" | b"--version") => return Invocation::Version,
        Some(b"-h" | b"--help") => return Invocation::Help,
        Some(b"--test-memory") => {
            return Invocation::Refused("--test-memory is not offered; use a tool like memtester.");
        }
        Some(b"--check-system") => {
            return Invocation::Refused("--check-system is not offered.");
        }
        _ => {}
    }
    if arguments.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(b"--sentinel")) {
        return Invocation::Refused(NO_SENTINEL);
    }
    let all = arguments.len();
    arguments.retain(|argument| argument != "--check-config");
    let check_only = arguments.len() < all;
    let options = Options::parse(&arguments);
    if check_only { Invocation::CheckConfig(options) } else { Invocation::Serve(options) }
}

const NO_SENTINEL: &str = "Sentinel mode is not offered.";

impl Options {
    fn parse(arguments: &[OsString]) -> Self {
        let mut options = Self::default();
        let mut rest = arguments;
        if let Some((first, others)) = arguments.split_first()
            && !first.as_bytes().starts_with(b"-")
        {
            options.file = Some(first.into());
            rest = others;
        }
        let mut name_has_value = true;
        for (at, argument) in rest.iter().enumerate() {
            let bytes = argument.as_bytes();
            // Whether the dash is the first argument of all, not only behind the file.
            let outermost = (at == 0 && options.file.is_none()) || at + 1 == rest.len();
            match bytes.strip_prefix(b"--") {
                _ if bytes == b"-" && outermost => options.stdin = true,
                Some(name) if name_has_value => {
                    let next = rest.get(at + 1).map(|it| it.as_bytes());
                    name_has_value = options.begin(name, next);
                }
                _ => {
                    words::quote(bytes, &mut options.lines);
                    options.lines.push(b' ');
                    name_has_value = true;
                }
            }
        }
        options
    }

    /// Begins the line of an option, which is a name, or a name with its value in one argument.
    /// Returns whether it has a value by now; the next argument is one if not, even with dashes.
    fn begin(&mut self, option: &[u8], next: Option<&[u8]>) -> bool {
        if !self.lines.is_empty() {
            self.lines.push(b'\n');
        }
        self.lines.extend(option);
        self.lines.push(b' ');
        let name_only = words::split(option).is_some_and(|words| words.len() == 1);
        let no_value_follows = next.is_none_or(|next| next.starts_with(b"--"));
        if option.eq_ignore_ascii_case(b"save") && no_value_follows {
            // Programs that build a command line from a list of save points mean "none".
            self.lines.extend(b"\"\"");
            return true;
        }
        !name_only
    }

    /// Whether nothing was given at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the configuration: the file, standard input, the options, each overriding what came
    /// before.
    ///
    /// # Errors
    /// If a source cannot be read or is wrong.
    pub fn load(&self, files: &dyn Files, stdin: &mut dyn Read) -> Result<Loaded, LoadError> {
        let mut loader = Loader::new(files);
        if let Some(file) = &self.file {
            let path = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            loader.file(&path)?;
        }
        if self.stdin {
            let mut text = Vec::new();
            stdin.read_to_end(&mut text).map_err(|error| LoadError::Unreadable {
                path: "standard input".into(),
                error,
                included_at: None,
            })?;
            loader.text(Source::Stdin, &text)?;
        }
        loader.text(Source::CommandLine, &self.lines)?;
        loader.finish()
    }
}

/// A path that a directive holds.
pub fn path(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::NoFiles;
    use crate::config::{Config, lookup};

    fn invoke(arguments: &[&str]) -> Invocation {
        parse(std::iter::once(&"kevy").chain(arguments).map(OsString::from))
    }

    fn options(arguments: &[&str]) -> Options {
        match invoke(arguments) {
            Invocation::Serve(options) => options,
            other => panic!("{other:?}"),
        }
    }

    fn load(arguments: &[&str]) -> Result<Config, String> {
        let mut stdin = b"timeout 7\nport 8\n".as_slice();
        let mut options = options(arguments);
        options.file = None;
        let loaded = options.load(&NoFiles, &mut stdin);
        loaded.map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    fn get(config: &Config, name: &str) -> String {
        String::from_utf8(config.show(lookup(name.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn options_as_redis_takes_them() {
        type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c str)]);
        let cases: &[Case<'_>] = &[
            (&["--port", "7000", "--save", ""], &[("port", "7000"), ("save", "")]),
            (&["--save", "900", "1", "--save", "100", "100"], &[("save", "900 1 100 100")]),
            (
                &["c.conf", "--maxmemory 700mb", "--maxmemory-policy volatile-lru"],
                &[("maxmemory", "734003200"), ("maxmemory-policy", "volatile-lru")],
            ),
            (
                &["c.conf", "loglevel", "verbose", "--maxmemory '700mb'"],
                &[("loglevel", "verbose"), ("maxmemory", "734003200")],
            ),
            (
                &["--proc-title-template", "--my--title", "--loglevel", "verbose"],
                &[("proc-title-template", "--my--title"), ("loglevel", "verbose")],
            ),
            (&["--save", "--loglevel", "verbose"], &[("save", ""), ("loglevel", "verbose")]),
            (&["--loglevel", "verbose", "--save"], &[("save", ""), ("loglevel", "verbose")]),
            (
                &["--proc-title-template", "--save", "--save", "", "--loglevel", "verbose"],
                &[("proc-title-template", "--save"), ("save", ""), ("loglevel", "verbose")],
            ),
            (
                &[
                    "--shutdown-on-sigint",
                    "nosave",
                    "force",
                    "now",
                    "--shutdown-on-sigterm",
                    "nosave force",
                ],
                &[
                    ("shutdown-on-sigint", "nosave now force"),
                    ("shutdown-on-sigterm", "nosave force"),
                ],
            ),
            (&["-"], &[("timeout", "7"), ("port", "8")]),
            (&["--port", "9", "-"], &[("timeout", "7"), ("port", "9")]),
            (&["-", "--port", "9"], &[("timeout", "7"), ("port", "9")]),
        ];
        for (arguments, expected) in cases {
            let config = load(arguments).unwrap();
            for (name, value) in *expected {
                assert_eq!(get(&config, name), *value, "{arguments:?}");
            }
        }
    }

    #[test]
    fn errors_show_the_line_made_of_the_option() {
        let cases: &[(&[&str], &str, &str)] = &[
            (&["--invalid"], "invalid", "Bad directive or wrong number of arguments"),
            (&["--port"], "port", "wrong number of arguments"),
            (&["--port", "6380", "--loglevel"], "loglevel", "wrong number of arguments"),
            (&["--port", "6379", "6380"], r#"port "6379" "6380""#, "wrong number of arguments"),
            (
                &["--port", "--loglevel", "verbose"],
                r#"port "--loglevel" "verbose""#,
                "wrong number of arguments",
            ),
            (
                &["--port", "--bla", "--loglevel", "verbose"],
                r#"port "--bla""#,
                "argument couldn't be parsed into an integer",
            ),
            (
                &["--logfile", "--my--log--file", "--loglevel", "--bla"],
                r#"loglevel "--bla""#,
                "argument(s) must be one of the following",
            ),
            (
                &["--shutdown-on-sigint", "now force", "--shutdown-on-sigterm"],
                "shutdown-on-sigterm",
                "argument(s) must be one of the following",
            ),
            (
                &["--replicaof", "--127.0.0.1", "abc"],
                r#"replicaof "--127.0.0.1" "abc""#,
                "Invalid primary port",
            ),
            (
                &["--replicaof", "--127.0.0.1", "--abc"],
                r#"replicaof "--127.0.0.1""#,
                "wrong number of arguments",
            ),
        ];
        for (arguments, line, reason) in cases {
            let error = load(arguments).unwrap_err();
            assert!(error.contains(&format!(">>> '{line}'\n{reason}")), "{error}");
            assert!(error.contains("(in command line:"), "{error}");
        }
    }

    #[test]
    fn special_invocations() {
        assert_eq!(invoke(&["-v"]), Invocation::Version);
        assert_eq!(invoke(&["--version"]), Invocation::Version);
        assert_eq!(invoke(&["-h"]), Invocation::Help);
        assert!(matches!(invoke(&["--test-memory", "64"]), Invocation::Refused(_)));
        assert!(matches!(invoke(&["/etc/s.conf", "--sentinel"]), Invocation::Refused(_)));
        let Invocation::CheckConfig(options) = invoke(&["c.conf", "--check-config"]) else {
            panic!("not recognized");
        };
        assert_eq!(options.file, Some("c.conf".into()));
        assert!(options.lines.is_empty());
        assert!(super::tests::options(&[]).is_empty());
        let checker = parse(["/usr/bin/redis-check-rdb", "dump.rdb"].map(OsString::from));
        assert!(matches!(checker, Invocation::Check { checker: Checker::Rdb, .. }));
    }

    #[test]
    fn version_has_the_form_that_clients_parse() {
        let line = version_line();
        assert!(line.starts_with("Redis server v=7.2.4 sha=00000000:0 malloc=mimalloc bits="));
        assert!(line.ends_with(&format!("kevy={}", env!("CARGO_PKG_VERSION"))));
    }
}
