//! Loading, getting, setting and rewriting, end to end.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::choices::LogLevel;
use super::load::{Disk, Files, LoadError, Loaded, Loader, NoFiles, Source, fuzz};
use super::rewrite::rewrite;
use super::table::TABLE;
use super::{Config, Id, SetContext, SetError, Support, Value, lookup};
use crate::test_config;

const ANYONE: SetContext = SetContext { protected: false, loading: false };

/// Files by name.
struct Tree(BTreeMap<PathBuf, &'static str>);

impl Tree {
    fn new(files: &[(&str, &'static str)]) -> Self {
        Self(files.iter().map(|&(path, text)| (path.into(), text)).collect())
    }
}

impl Files for Tree {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().to_vec())
    }

    fn expand(&self, pattern: &str) -> Vec<PathBuf> {
        let pattern = glob::Pattern::new(pattern).unwrap();
        self.0.keys().filter(|path| pattern.matches_path(path)).cloned().collect()
    }
}

fn load(text: &str) -> Result<Loaded, LoadError> {
    let tree = Tree::new(&[]);
    let mut loader = Loader::new(&tree);
    loader.text(Source::File("/etc/redis.conf".into()), text.as_bytes())?;
    loader.finish()
}

fn config(text: &str) -> Config {
    load(text).unwrap().config
}

/// The value that `CONFIG GET` shows.
fn get(config: &Config, name: &str) -> String {
    String::from_utf8(config.show(lookup(name.as_bytes()).unwrap())).unwrap()
}

fn set(config: &Config, arguments: &[&str]) -> Result<Config, String> {
    set_as(config, arguments, ANYONE)
}

fn set_as(config: &Config, arguments: &[&str], context: SetContext) -> Result<Config, String> {
    let arguments: Vec<&[u8]> = arguments.iter().map(|it| it.as_bytes()).collect();
    config.with(&arguments, context).map(|change| change.config).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_those_of_redis_except_where_kevy_differs() {
    // CONFIG GET * of redis-server 7.0.15 started without a file.
    let redis = include_str!("../../tests/data/redis-7.0-defaults.txt");
    let config = Config::default();
    for line in redis.lines() {
        let (name, value) = line.split_once('\t').unwrap();
        let expected = match name {
            // Loopback unless asked otherwise.
            "bind" => "127.0.0.1 -::1",
            _ => value,
        };
        assert_eq!(get(&config, name), expected, "{name}");
    }
}

#[test]
fn later_lines_override_and_save_lines_add_up() {
    let config = config(
        "port 1\n# a comment\n\n  PORT 2  \r\nsave 900 1\nsave 300 10\nmaxmemory 1gb\n\
         hash-max-ziplist-entries 20\nrequirepass \"a \\x62\"\n",
    );
    assert_eq!(config.port(), 2);
    assert_eq!(get(&config, "save"), "900 1 300 10");
    assert_eq!(config.maxmemory(), 1 << 30);
    assert_eq!(config.hash_max_listpack_entries(), 20);
    assert_eq!(config.requirepass(), b"a b");
}

#[test]
fn save_resets() {
    assert_eq!(get(&Config::default(), "save"), "3600 1 300 100 60 10000");
    for (text, expected) in [
        ("save \"\"", ""),
        ("save ''\nsave 900 1\nsave 100 100", "900 1 100 100"),
        ("save 900 1\nsave \"\"", ""),
        ("save \"900 1 60 5\"", "900 1 60 5"),
    ] {
        assert_eq!(get(&config(text), "save"), expected, "{text}");
    }
}

#[test]
fn errors_name_file_line_and_reason() {
    let cases = [
        ("bogus yes", "Bad directive or wrong number of arguments"),
        ("requirepass \"x", "Unbalanced quotes in configuration line"),
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ("port abc", "argument couldn't be parsed into an integer"),
        ("port 65536", "argument must be between 0 and 65535 inclusive"),
        ("appendonly maybe", "argument must be 'yes' or 'no'"),
        ("maxmemory 1zz", "argument must be a memory value"),
        ("maxmemory-clients x", "argument must be a memory or percent value"),
        ("maxmemory-clients 101%", "percentage argument must be less or equal to 100"),
        ("unixsocketperm 9", "argument couldn't be parsed as an octal number"),
        ("unixsocketperm 1000", "argument must be between 0 and 777 inclusive"),
        (
            "loglevel loud",
            "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
        ),
        ("shutdown-on-sigint", "argument(s) must be one of the following: default, save"),
        ("save 900", "Invalid save parameters"),
        ("save 0 1", "Invalid save parameters"),
        ("client-output-buffer-limit normal 1", "Wrong number of arguments in buffer limit"),
        ("oom-score-adj-values 1 2", "wrong number of arguments"),
        ("oom-score-adj-values -2001 0 0", "Invalid oom-score-adj-values, elements must be"),
        ("notify-keyspace-events q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        ("latency-tracking-info-percentiles x", "Invalid latency-tracking-info-percentiles"),
        ("replicaof 127.0.0.1 abc", "Invalid primary port"),
        ("replicaof 127.0.0.1", "wrong number of arguments"),
        ("dbfilename a/b", "dbfilename can't be a path, just a filename"),
        ("dir \"\"", "dir can't be empty"),
        ("proc-title-template {x}", "template format is invalid or contains unknown variables"),
        ("compat-version seven", "argument must be a version such as 7.2.4"),
        ("sentinel monitor a b", "sentinel directive while not in sentinel mode"),
        ("search.timeout", "Module config specified without value"),
        ("include a b", "Bad directive or wrong number of arguments"),
        ("rename-command a", "Bad directive or wrong number of arguments"),
        ("user", "Bad directive or wrong number of arguments"),
    ];
    for (line, reason) in cases {
        let error = load(&format!("# one\n\n  {line}  \nport 6379")).unwrap_err().to_string();
        let expected = format!(
            "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nReading the configuration file, at \
             line 3\n>>> '{line}'\n{reason}"
        );
        assert!(error.starts_with(&expected), "{error}\nexpected{expected}");
        assert!(error.ends_with("\n(in /etc/redis.conf:3)"), "{error}");
    }
}

#[test]
fn whole_configurations_are_checked() {
    let error = load("cluster-enabled yes\nreplicaof h 1").unwrap_err().to_string();
    assert!(error.ends_with("***\nreplicaof directive not allowed in cluster mode"), "{error}");
    let loaded = load("cluster-enabled yes").unwrap();
    assert_eq!(loaded.config.databases(), 1);
    assert_eq!(config("hz 100000").hz(), 500);
    assert_eq!(config("hz 0").hz(), 1);
}

#[test]
fn includes_are_read_in_place() {
    let tree = Tree::new(&[
        ("/c/main.conf", "port 1\ninclude /c/d/*.conf\ninclude /c/none/*.conf\ntimeout 5\n"),
        ("/c/d/a.conf", "port 2\ntimeout 1\n"),
        ("/c/d/b.conf", "port 3\n"),
        ("/c/missing.conf", "include /c/nothere.conf"),
        ("/c/wrong.conf", "\ninclude /c/wrong2.conf"),
        ("/c/wrong2.conf", "\n\nport x"),
        ("/c/loop.conf", "include /c/loop.conf"),
    ]);
    let file = |path: &str| {
        let mut loader = Loader::new(&tree);
        loader.file(Path::new(path))?;
        loader.finish()
    };
    let loaded = file("/c/main.conf").unwrap();
    assert_eq!((loaded.config.port(), loaded.config.timeout()), (3, 5));
    assert_eq!(loaded.config.file(), Some(Path::new("/c/main.conf")));

    let error = file("/c/missing.conf").unwrap_err().to_string();
    assert!(error.starts_with("Fatal error, can't open config file '/c/nothere.conf': "));
    assert!(error.ends_with("(included in /c/missing.conf:1)"), "{error}");
    let error = file("/c/wrong.conf").unwrap_err().to_string();
    assert!(error.ends_with("(in /c/wrong2.conf:3)"), "{error}");
    let error = file("/c/loop.conf").unwrap_err().to_string();
    assert!(error.contains("Too many levels of include"), "{error}");
}

#[test]
fn lines_about_other_things_are_handed_out() {
    let config = config("rename-command FLUSHALL \"\"\nuser bob on >secret ~* +@all\n");
    let startup = config.startup();
    assert_eq!(startup.renames[0].words, [b"FLUSHALL".to_vec(), Vec::new()]);
    assert_eq!(startup.renames[0].place.line, 1);
    assert_eq!(startup.users[0].words.len(), 5);
    assert_eq!(startup.users[0].place.to_string(), "/etc/redis.conf:2");
}

#[test]
fn what_does_not_act_is_noted_once_and_only_if_it_differs() {
    let loaded = load(
        "activerehashing no\ntls-port 6380\ntls-port 6381\ntls-cluster no\nport 1\nsave \"\"\n\
         loadmodule /x.so\nsearch.timeout 5\n",
    )
    .unwrap();
    let notes: Vec<String> = loaded.notes.iter().map(|note| note.text.clone()).collect();
    assert_eq!(notes.len(), 4, "{notes:?}");
    for (note, expected) in
        notes.iter().zip(["loadmodule", "'search.timeout'", "'tls-port'", "'activerehashing'"])
    {
        assert!(note.contains(expected), "{note}");
    }
    assert!(notes[2].contains("(/etc/redis.conf:3)"), "{}", notes[2]);
    let levels: Vec<LogLevel> = loaded.notes.iter().map(|note| note.level).collect();
    assert_eq!(levels[2..], [LogLevel::Warning, LogLevel::Verbose]);
}

#[test]
fn get_takes_names_aliases_and_patterns() {
    let config = Config::default();
    let names = |patterns: &[&[u8]]| -> Vec<String> {
        let found = config.get(patterns);
        found.into_iter().map(|(name, _)| String::from_utf8(name).unwrap()).collect()
    };
    assert_eq!(names(&[b"MaxMemory"]), ["MaxMemory"]);
    assert_eq!(names(&[b"maxmemory", b"MAXMEMORY"]), ["maxmemory"]);
    let found = names(&[b"maxmemory", b"maxmemory*", b"bind", b"*of"]);
    for name in ["maxmemory", "maxmemory-policy", "maxmemory-samples", "bind", "slaveof"] {
        assert_eq!(found.iter().filter(|it| *it == name).count(), 1, "{name}");
    }
    assert_eq!(names(&[b"nothing-like-this", b"x*z"]), Vec::<String>::new());
    assert_eq!(names(&[b"key-load-delay"]), ["key-load-delay"]);
    assert!(!names(&[b"*"]).contains(&"key-load-delay".to_owned()));
}

#[test]
fn set_changes_all_or_nothing() {
    let config = Config::default();
    let arguments: [&[u8]; 6] = [b"maxmemory", b"1gb", b"hz", b"20", b"save", b"3600 1"];
    let change = config.with(&arguments, ANYONE).unwrap();
    assert_eq!((change.config.maxmemory(), change.config.hz()), (1 << 30, 20));
    assert_eq!(change.changed[0], Id::MAXMEMORY);
    assert_eq!(change.changed.len(), 3);
    let same = change.config.with(&arguments, ANYONE).unwrap();
    assert_eq!(same.changed, []);
    assert!(set(&config, &["maxmemory", "1gb", "hz", "x"]).is_err());
    assert_eq!(get(&set(&config, &["bind", ""]).unwrap(), "bind"), "");
    assert_eq!(get(&set(&config, &["hz", "9999"]).unwrap(), "hz"), "500");
    let limits = set(&config, &["client-output-buffer-limit", "pubsub 1 2 3"]).unwrap();
    assert_eq!(limits.client_output_buffer_limits()[2].soft_seconds, 3);
    assert_eq!(limits.client_output_buffer_limits()[1].hard, 256 << 20);
}

#[test]
fn set_errors_are_those_of_redis() {
    let config = Config::default();
    let failed = |name: &str, reason: &str| {
        format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
    };
    let cases: &[(&[&str], String)] = &[
        (&["maxmemory"], "ERR syntax error".into()),
        (&["maxmemory", "1", "hz"], "ERR syntax error".into()),
        (
            &["hz", "x", "nope", "1"],
            "ERR Unknown option or number of arguments for CONFIG SET - 'nope'".into(),
        ),
        (&["daemonize", "yes"], failed("daemonize", "can't set immutable config")),
        (&["daemonize", "no"], failed("daemonize", "can't set immutable config")),
        (&["dir", "/tmp"], failed("dir", "can't set protected config")),
        (&["maxmemory", "1", "maxmemory", "2"], failed("maxmemory", "duplicate parameter")),
        (
            &["hash-max-listpack-entries", "1", "hash-max-ziplist-entries", "2"],
            failed("hash-max-ziplist-entries", "duplicate parameter"),
        ),
        (&["maxmemory", "5q"], failed("maxmemory", "argument must be a memory value")),
        (&["save", "900  1"], failed("save", "Invalid save parameters")),
        (&["replicaof", "no one"], failed("replicaof", "can't set immutable config")),
        (
            &["MAXCLIENTS", "0"],
            failed("maxclients", "argument must be between 1 and 4294967295 inclusive"),
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(set(&config, arguments).unwrap_err(), *expected);
    }
    let trusted = SetContext { protected: true, loading: false };
    assert!(set_as(&config, &["dir", "/tmp"], trusted).is_ok());
    let loading = SetContext { protected: true, loading: true };
    assert!(set_as(&config, &["dir", "/tmp"], loading).unwrap_err().starts_with("LOADING "));
    assert!(set_as(&config, &["loglevel", "debug"], loading).is_ok());
    let error = SetError::failed(Id::PORT, "Unable to listen on this port. Check server logs.");
    assert_eq!(
        error.to_string(),
        failed("port", "Unable to listen on this port. Check server logs.")
    );
}

#[test]
fn every_value_shown_may_be_set_again() {
    let config = Config::default().settled(super::Settled { shards: 3, ..Default::default() });
    let trusted = SetContext { protected: true, loading: false };
    for (name, value) in config.get(&[b"*"]) {
        let row = lookup(&name).unwrap().directive();
        if row.access == super::Access::Immutable && !row.own {
            continue;
        }
        let change = config.with(&[&name, &value], trusted).unwrap();
        assert_eq!(change.config, config, "{}", row.name);
    }
    assert_eq!(get(&config, "shards"), "3");
}

#[test]
fn rewriting_keeps_comments_and_order() {
    let old = "# My server\n\nport 7000   \n# memory\n\n\n\nmaxmemory 100mb\nsave 900 1\n\
               save 300 10\ninclude /etc/*.conf\nslave-priority 10\nlist-max-ziplist-value 5\n\
               user bob on\nhash-max-ziplist-entries 20\nhash-max-listpack-entries 21\n";
    let mut config = config(&old.replace("include /etc/*.conf", ""));
    config = set(&config, &["maxmemory", "3gb", "timeout", "30", "requirepass", "a\"b"]).unwrap();
    let new = rewrite(old.as_bytes(), &config, None, false);
    assert_eq!(
        String::from_utf8(new.clone()).unwrap(),
        "# My server\n\nport 7000\n# memory\n\nmaxmemory 3gb\nsave 900 1 300 10\n\n\
         include /etc/*.conf\nreplica-priority 10\n# ??? list-max-ziplist-value 5\nuser bob on\n\
         hash-max-listpack-entries 21\n\n# Generated by CONFIG REWRITE\ntimeout 30\n\
         requirepass \"a\\\"b\"\n"
    );
    // A second rewrite changes nothing but what changed, under the same signature.
    config = set(&config, &["hz", "20", "timeout", "0", "requirepass", ""]).unwrap();
    let again = String::from_utf8(rewrite(&new, &config, None, false)).unwrap();
    assert!(again.ends_with("# Generated by CONFIG REWRITE\ntimeout 0\n\nhz 20\n"), "{again}");
    let users = [b"default on nopass".to_vec()];
    let new = String::from_utf8(rewrite(&new, &config, Some(&users), false)).unwrap();
    assert!(new.contains("\nuser default on nopass\n") && !new.contains("bob"), "{new}");
}

#[test]
fn rewriting_nothing_writes_nothing() {
    assert_eq!(rewrite(b"", &Config::default(), None, false), b"\n");
}

#[test]
fn stored_files_replace_the_old_ones() {
    let dir = std::env::temp_dir().join(format!("kevy-store-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("redis.conf");
    for content in ["port 1\n", "port 2\n"] {
        super::rewrite::store(&path, content.as_bytes()).unwrap();
        let mut loader = Loader::new(&Disk);
        loader.file(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn rewriting_needs_a_file_that_can_be_written() {
    let error = Config::default().rewrite_file(None, false).unwrap_err();
    assert_eq!(error, "ERR The server is running without a config file");
    let tree = Tree::new(&[("/nonexistent/redis.conf", "hz 20")]);
    let mut loader = Loader::new(&tree);
    loader.file(Path::new("/nonexistent/redis.conf")).unwrap();
    let config = loader.finish().unwrap().config;
    let error = config.rewrite_file(None, false).unwrap_err();
    assert_eq!(error, "ERR Rewriting config file: No such file or directory");
}

#[test]
fn an_ordinary_file_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/redis.conf");
    let mut loader = Loader::new(&Disk);
    loader.file(&path).unwrap();
    let loaded = loader.finish().unwrap();
    let config = loaded.config;
    assert_eq!(config.port(), 6379);
    assert_eq!(config.maxmemory(), 2 << 30);
    assert_eq!(get(&config, "maxmemory-policy"), "allkeys-lru");
    assert_eq!(get(&config, "save"), "3600 1 300 100");
    assert_eq!(get(&config, "slowlog-log-slower-than"), "20000");
    assert_eq!(config.startup().renames.len(), 2);
    let text = std::fs::read(&path).unwrap();
    fuzz(&text);
}

#[test]
fn rows_that_never_act_say_so() {
    // What tells users that a feature is missing must not itself go missing.
    let pending = TABLE.iter().filter(|row| row.support == Support::Pending);
    assert!(pending.clone().any(|row| row.name == "tls-port"));
    for row in pending {
        assert!(!row.own || row.name == "rdb-version", "{}", row.name);
    }
}

/// Lines that are likely to mean something.
fn line() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = TABLE
        .iter()
        .flat_map(|row| std::iter::once(&row.name).chain(row.aliases))
        .copied()
        .collect();
    let value = prop_oneof![
        Just("yes".to_owned()),
        Just("no".to_owned()),
        Just("\"\"".to_owned()),
        Just("900 1 60 100".to_owned()),
        Just("replica 1mb 2kb 3".to_owned()),
        Just("\"10.0.0.1 -::1\"".to_owned()),
        Just("nosave now force".to_owned()),
        Just("AKEmn".to_owned()),
        Just("1 2 3".to_owned()),
        Just("99.9 50 0.000001".to_owned()),
        (0..70_000u32).prop_map(|number| number.to_string()),
        (0..2000u32, prop::sample::select(vec!["k", "kb", "mb", "gb", "%"]))
            .prop_map(|(number, unit)| format!("{number}{unit}")),
        prop::sample::select(
            TABLE
                .iter()
                .map(|row| String::from_utf8(row.kind.show(&row.kind.default_value())).unwrap())
                .collect::<Vec<_>>()
        ),
        ".{0,12}",
        prop::collection::vec(any::<u8>(), 0..8).prop_map(|bytes| {
            let mut quoted = Vec::new();
            super::words::quote(&bytes, &mut quoted);
            String::from_utf8(quoted).unwrap()
        }),
    ];
    (prop::sample::select(names), value).prop_map(|(name, value)| format!("{name} {value}"))
}

/// A file made of those lines that load.
fn valid_file(lines: &[String]) -> String {
    let mut text = String::from("# generated\n");
    for line in lines {
        let longer = format!("{text}{line}\n");
        if load(&longer).is_ok() {
            text = longer;
        }
    }
    text
}

proptest! {
    #![proptest_config(test_config(128))]

    #[test]
    fn rewritten_files_load_to_the_same(
        lines in prop::collection::vec(line(), 0..30),
        changes in prop::collection::vec(line(), 0..10),
    ) {
        let text = valid_file(&lines);
        fuzz(text.as_bytes());
        let mut config = config(&text);
        for change in changes {
            let (name, value) = change.split_once(' ').unwrap();
            let context = SetContext { protected: true, loading: false };
            if let Ok(changed) = config.with(&[name.as_bytes(), value.as_bytes()], context) {
                config = changed.config;
            }
        }
        for force in [false, true] {
            let rewritten = rewrite(text.as_bytes(), &config, None, force);
            let mut loader = Loader::new(&NoFiles);
            loader.text(Source::Stdin, &rewritten).unwrap();
            let again = loader.finish().unwrap().config;
            for id in Id::all() {
                prop_assert_eq!(again.value(id), config.value(id), "{}", id.directive().name);
            }
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&text);
    }

    #[test]
    fn arbitrary_lines_never_panic(lines in prop::collection::vec(line(), 0..4)) {
        fuzz(lines.join("\n").as_bytes());
    }

    #[test]
    fn memory_values_are_bounded(word in "[0-9]{0,22}[kKmMgGbB]{0,2}") {
        if let Ok(config) = load(&format!("maxmemory \"{word}\"")) {
            prop_assert!(matches!(config.config.value(Id::MAXMEMORY), Value::Int(0..)));
        }
    }
}
