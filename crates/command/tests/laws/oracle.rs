//! Comparison with redis-server, the oracle.

use crate::generate::Generator;
use crate::machine::{Machine, table};
use crate::render::{frame_text, render};
use crate::transcript::{self, Kind, comparable};
use kevy_command::{Flags, Row};
use kevy_resp::Proto;
use kevy_resp::decode::Frame;
use kevy_tests::environment::Need;
use kevy_tests::server::Server;
use rand::Rng;
use std::io::{Read, Write};
use std::net::TcpStream;

pub(crate) struct Oracle {
    server: Server,
    clients: Vec<TcpStream>,
    /// Subscribed to events of keys.
    listener: TcpStream,
}

impl Oracle {
    /// Starts the oracle; none if this machine is said to have none.
    pub(crate) fn start() -> Option<Self> {
        if !Need::RedisServer.wanted() {
            return None;
        }
        let server = Server::oracle(&[]).expect("redis-server, or KEVY_TEST_WITHOUT=redis-server");
        let listener = TcpStream::connect(server.address()).unwrap();
        let mut oracle = Self { server, clients: Vec::new(), listener };
        oracle.reconnect();
        // Our machine expires keys when they are looked up and no sooner.
        oracle.call(0, &["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        Some(oracle)
    }

    fn reconnect(&mut self) {
        let connect = || TcpStream::connect(self.server.address()).unwrap();
        self.clients = (0..3).map(|_| connect()).collect();
        self.call(0, &["FLUSHALL"]);
    }

    pub(crate) fn call(&mut self, client: usize, args: &[impl AsRef<[u8]>]) -> Frame {
        send(&mut self.clients[client], args);
        let mut frames = receive(&mut self.clients[client]);
        assert_eq!(frames.len(), 1, "one reply for one call");
        frames.remove(0)
    }

    /// Asks for the events of all types and of keys in general.
    fn listen(&mut self) {
        self.call(0, &["CONFIG", "SET", "notify-keyspace-events", "Kg$lshzt"]);
        send(&mut self.listener, &["PSUBSCRIBE", "__keyspace@*__:*"]);
        receive(&mut self.listener);
    }

    /// The events since the last time: database, name and key.
    fn events(&mut self) -> Vec<(usize, String, Vec<u8>)> {
        send(&mut self.listener, &["PING"]);
        let mut events = Vec::new();
        loop {
            for frame in receive(&mut self.listener) {
                let Frame::Array(items) = frame else { panic!("{frame:?}") };
                let texts: Vec<&[u8]> = items.iter().filter_map(Frame::as_bytes).collect();
                match texts[..] {
                    [b"pmessage", _, channel, name] => events.push(event(channel, name)),
                    _ => return events,
                }
            }
        }
    }

    /// How many changes it has counted.
    fn changed(&mut self) -> u64 {
        let Frame::Bulk(info) = self.call(0, &["INFO", "persistence"]) else { panic!("INFO") };
        let info = String::from_utf8_lossy(&info).into_owned();
        let count = info.lines().find_map(|line| line.strip_prefix("rdb_changes_since_last_save:"));
        count.and_then(|count| count.trim().parse().ok()).expect("a count")
    }

    fn version(&mut self) -> String {
        let Frame::Bulk(info) = self.call(0, &["INFO", "server"]) else { panic!("INFO") };
        let info = String::from_utf8_lossy(&info).into_owned();
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        version.expect("a version").to_owned()
    }
}

fn send(stream: &mut TcpStream, args: &[impl AsRef<[u8]>]) {
    let mut bytes = Vec::new();
    kevy_resp::write_command(&mut bytes, args);
    stream.write_all(&bytes).unwrap();
}

/// All replies that come, at least one.
fn receive(stream: &mut TcpStream) -> Vec<Frame> {
    let (mut received, mut frames, mut done) = (Vec::new(), Vec::new(), 0);
    loop {
        let mut buffer = [0; 16 * 1024];
        let len = stream.read(&mut buffer).unwrap();
        assert_ne!(len, 0, "the oracle closed the connection");
        received.extend_from_slice(&buffer[..len]);
        while let Some((frame, len)) = kevy_resp::decode::decode(&received[done..]).unwrap() {
            frames.push(frame);
            done += len;
        }
        if done == received.len() {
            return frames;
        }
    }
}

/// An event as it is told on the channel `__keyspace@<database>__:<key>`.
fn event(channel: &[u8], name: &[u8]) -> (usize, String, Vec<u8>) {
    let rest = channel.strip_prefix(b"__keyspace@").unwrap();
    let end = rest.windows(3).position(|bytes| bytes == b"__:").unwrap();
    let db = std::str::from_utf8(&rest[..end]).unwrap().parse().unwrap();
    (db, String::from_utf8_lossy(name).into_owned(), rest[end + 3..].to_vec())
}

/// Where our rows differ from what a version of the oracle says of its commands, and why.
///
/// Version, command, field (`*`: all of them), reason.
const DIFFERENCES: &[(&str, &str, &str, &str)] = &[
    (
        "7.0.15",
        "sinterstore",
        "keys",
        "the destination is told last, as read and written, until 7.2",
    ),
    ("7.0.15", "msetnx", "tips", "cannot be split among shards; told so from 7.2 on"),
    ("7.0.15", "scan", "flags", "touches_arbitrary_keys is told from 7.2 on"),
    ("7.0.15", "scan", "tips", "response_policy is told from 7.2 on"),
    ("7.0.15", "randomkey", "flags", "touches_arbitrary_keys is told from 7.2 on"),
    ("7.0.15", "randomkey", "tips", "response_policy is told from 7.2 on"),
    ("7.0.15", "command|getkeys", "arity", "a call may have no arguments, as from 7.2 on"),
    ("7.0.15", "command|getkeysandflags", "arity", "a call may have no arguments, as from 7.2 on"),
    ("7.0.15", "client|setname", "tips", "told from 7.2 on"),
    ("7.0.15", "zrank", "arity", "WITHSCORE came with 7.2"),
    ("7.0.15", "zrevrank", "arity", "WITHSCORE came with 7.2"),
    ("7.0.15", "blpop", "flags", "scripts may try it from 7.2 on"),
    ("7.0.15", "brpop", "flags", "scripts may try it from 7.2 on"),
    ("7.0.15", "blmove", "flags", "scripts may try it from 7.2 on"),
    ("7.0.15", "brpoplpush", "flags", "scripts may try it from 7.2 on"),
    ("7.0.15", "bzpopmin", "flags", "scripts may try it from 7.2 on"),
    ("7.0.15", "bzpopmax", "flags", "scripts may try it from 7.2 on"),
    ("7.0.15", "xdelex", "*", "exists from 8.2 on"),
    ("7.0.15", "xackdel", "*", "exists from 8.2 on"),
    ("7.0.15", "client|setinfo", "*", "exists from 7.2 on"),
    ("7.0.15", "client|no-touch", "*", "exists from 7.2 on"),
    ("7.0.15", "hexpire", "*", "exists from 7.4 on"),
    ("7.0.15", "hpexpire", "*", "exists from 7.4 on"),
    ("7.0.15", "hexpireat", "*", "exists from 7.4 on"),
    ("7.0.15", "hpexpireat", "*", "exists from 7.4 on"),
    ("7.0.15", "hpersist", "*", "exists from 7.4 on"),
    ("7.0.15", "httl", "*", "exists from 7.4 on"),
    ("7.0.15", "hpttl", "*", "exists from 7.4 on"),
    ("7.0.15", "hexpiretime", "*", "exists from 7.4 on"),
    ("7.0.15", "hpexpiretime", "*", "exists from 7.4 on"),
    ("7.0.15", "hgetdel", "*", "exists from 8.0 on"),
    ("7.0.15", "hgetex", "*", "exists from 8.0 on"),
    ("7.0.15", "hsetex", "*", "exists from 8.0 on"),
    ("7.0.15", "pfcount", "flags", "may_replicate is told from 7.2 on"),
    ("7.0.15", "delifeq", "*", "exists in Valkey from 9.0 on"),
    ("7.0.15", "msetex", "*", "exists from 8.4 on"),
];

/// A command as `COMMAND INFO` tells it: field names and their texts.
fn described(frame: &Frame) -> Option<Vec<(&'static str, String)>> {
    let Frame::Array(items) = frame else { return None };
    let names = ["name", "arity", "flags", "first", "last", "step", "categories", "tips", "keys"];
    Some(names.into_iter().zip(items.iter().map(|item| frame_text(&without_notes(item)))).collect())
}

/// Notes in key specifications are prose, not facts.
fn without_notes(frame: &Frame) -> Frame {
    match frame {
        Frame::Map(pairs) => Frame::Map(
            pairs
                .iter()
                .filter(|(key, _)| key.as_bytes() != Some(b"notes"))
                .map(|(key, value)| (key.clone(), without_notes(value)))
                .collect(),
        ),
        Frame::Set(items) => Frame::Set(items.iter().map(without_notes).collect()),
        other => other.clone(),
    }
}

#[test]
fn rows_are_those_of_the_oracle() {
    let Some(mut oracle) = Oracle::start() else { return };
    let version = oracle.version();
    oracle.call(0, &["HELLO", "3"]);
    let mut machine = Machine::new(1, Proto::Resp3);
    let mut wrong = Vec::new();
    for (_, entry) in table().entries().filter(|(_, entry)| !entry.row.name.is_empty()) {
        let name = &entry.full_name;
        let ours = machine.call(0, &["COMMAND", "INFO", name]);
        let (ours, _) = kevy_resp::decode::decode(&ours).unwrap().unwrap();
        let theirs = oracle.call(0, &["COMMAND", "INFO", name]);
        let (Frame::Array(ours), Frame::Array(theirs)) = (ours, theirs) else { panic!("{name}") };
        let ours = described(&ours[0]).unwrap();
        let theirs = described(&theirs[0]).unwrap_or_default();
        for (at, (field, text)) in ours.iter().enumerate() {
            let their_text = theirs.get(at).map_or("", |their| their.1.as_str());
            let listed = DIFFERENCES.iter().any(|(of, command, differing, _)| {
                (*of, *command) == (&version, name) && (differing == field || *differing == "*")
            });
            if (text != their_text) != listed {
                wrong.push(format!("{name} {field}: ours {text}, theirs {their_text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "with {version}:\n{}", wrong.join("\n"));
}

#[test]
fn transcripts_hold_on_the_oracle() {
    let Some(mut oracle) = Oracle::start() else { return };
    for transcript in transcript::all().into_iter().filter(|transcript| transcript.on_redis) {
        oracle.reconnect();
        for step in &transcript.steps {
            let Kind::Call { client, words, expected } = &step.kind else { continue };
            let given = frame_text(&oracle.call(*client, words));
            let (expected, given) = comparable(expected, &given);
            assert_eq!(given, expected, "{}:{}", transcript.path.display(), step.line);
        }
    }
}

/// Commands whose replies are about the server, chance, or the table itself.
const NOT_COMPARED: &[&str] = &[
    "hello",
    "auth",
    "reset",
    "quit",
    "time",
    "randomkey",
    "scan",
    "keys",
    // The order of members and fields is told, and what compresses how well.
    "dump",
    "hrandfield",
    "hscan",
    "spop",
    "srandmember",
    "zscan",
    "zrandmember",
    // These may wait.
    "bzpopmin",
    "bzpopmax",
    "bzmpop",
    "client|id",
    "client|reply",
    "client|setinfo",
    "client|no-touch",
    "delifeq",
    "msetex",
    // Takes long there, and tells nothing.
    "pfselftest",
    "client|help",
    "object|help",
    "xdelex",
    "xackdel",
    "xgroup|help",
    "xinfo|help",
    // Until 7.0 the last id may be set below what was deleted.
    "xsetid",
    "object|idletime",
    // A copied integer is not shared in Redis, though an equal one set is.
    "object|refcount",
    "command|help",
    "command|docs",
];

/// Words that name options newer than a version of the oracle: version, command, words.
const NEWER: &[(&str, &str, &[&str])] = &[
    ("7.0.15", "bitop", &["DIFF", "DIFF1", "ANDOR", "ONE"]),
    ("7.0.15", "zrank", &["WITHSCORE"]),
    ("7.0.15", "zrevrank", &["WITHSCORE"]),
    ("7.0.15", "xreadgroup", &["CLAIM"]),
    ("7.0.15", "set", &["IFEQ", "IFNE"]),
    ("7.0.15", "geosearch", &["BYPOLYGON"]),
    ("7.0.15", "geosearchstore", &["BYPOLYGON"]),
];

/// Words that make a call wait, or depend on the very moment: command and word.
const TIMELY: &[(&str, &str)] = &[("xread", "BLOCK"), ("xreadgroup", "BLOCK"), ("xadd", "*")];

fn is_timely(name: &str, call: &[Vec<u8>]) -> bool {
    TIMELY.iter().any(|(command, word)| {
        *command == name && call.iter().any(|arg| word.as_bytes().eq_ignore_ascii_case(arg))
    })
}

/// Calls that make the consumer of a call: until 7.0 one that is given nothing does not come into
/// being.
fn consumers_made<'a>(name: &str, call: &'a [Vec<u8>]) -> Vec<[&'a [u8]; 5]> {
    let create = |key, group, consumer| [b"XGROUP", &b"CREATECONSUMER"[..], key, group, consumer];
    match (name, call) {
        ("xclaim" | "xautoclaim", [_, key, group, consumer, ..]) => {
            vec![create(key, group, consumer)]
        }
        ("xreadgroup", [_, _, group, consumer, rest @ ..]) => {
            rest.iter().map(|key| create(key, group, consumer)).collect()
        }
        _ => Vec::new(),
    }
}

/// A reply without what depends on the moment or is of no consequence.
fn blurred(name: &str, reply: &str) -> String {
    const VALUES: [&str; 3] = ["\"radix-tree-nodes\"", "\"idle\"", "\"seen-time\""];
    // Told from 7.2 on.
    const PAIRS: [&str; 2] = ["\"inactive\"", "\"active-time\""];
    if !name.starts_with("xinfo") && name != "xpending" {
        return reply.to_owned();
    }
    // What closes brackets behind a value stays.
    let ends = |part: &str| part[part.find(']').unwrap_or(part.len())..].to_owned();
    let mut kept: Vec<String> = Vec::new();
    let mut parts = reply.split(", ").enumerate();
    while let Some((at, part)) = parts.next() {
        if PAIRS.contains(&part) {
            let ends = ends(parts.next().map_or("", |(_, value)| value));
            kept.last_mut().unwrap().push_str(&ends);
        } else if kept.last().is_some_and(|last| VALUES.contains(&last.as_str()))
            || name == "xpending" && at % 4 == 2 && part.parse::<i64>().is_ok()
        {
            kept.push("*".to_owned() + &ends(part));
        } else {
            kept.push(part.to_owned());
        }
    }
    kept.join(", ")
}

fn is_newer(version: &str, name: &str, call: &[Vec<u8>]) -> bool {
    NEWER.iter().any(|(of, command, words)| {
        (*of, *command) == (version, name)
            && call.iter().any(|arg| words.iter().any(|word| word.as_bytes() == arg))
    })
}

/// Replies that differ from those of a version of the oracle: version, command, how ours begins,
/// theirs, reason.
const OTHERWISE: &[(&str, &str, &str, &str, &str)] = &[
    ("7.0.15", "xread", "!ERR Unbalanced", UNBALANCED, "names the command from 7.2 on"),
    ("7.0.15", "xreadgroup", "!ERR Unbalanced", UNBALANCED, "names the command from 7.2 on"),
    ("7.0.15", "bitcount", "!ERR", "0", "errors come before a missing key, as from 7.2 on"),
    ("7.0.15", "bitcount", "!ERR", WRONG_TYPE, "errors come before the key's type from 7.2 on"),
    ("7.0.15", "bitpos", "!ERR", "0", "errors come before a missing key, as from 7.2 on"),
    ("7.0.15", "bitpos", "!ERR", "-1", "errors come before a missing key, as from 7.2 on"),
    (
        "7.0.15",
        "object|encoding",
        "\"listpack\"",
        "\"skiplist\"",
        "SORT unpacks a sorted set there",
    ),
    ("7.0.15", "object|encoding", "\"listpack\"", "\"quicklist\"", "of small lists from 7.2 on"),
    ("7.0.15", "object|encoding", "\"listpack\"", "\"hashtable\"", "of small sets from 7.2 on"),
    ("7.0.15", "zrank", "!ERR syntax error", ARITY_ZRANK, "a third argument came with 7.2"),
    ("7.0.15", "zrevrank", "!ERR syntax error", ARITY_ZREVRANK, "a third argument came with 7.2"),
];

const ARITY_ZRANK: &str = "!ERR wrong number of arguments for 'zrank' command";
const ARITY_ZREVRANK: &str = "!ERR wrong number of arguments for 'zrevrank' command";
const WRONG_TYPE: &str = "!WRONGTYPE Operation against a key holding the wrong kind of value";
const UNBALANCED: &str = "!ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' \
     must be specified.";

fn is_otherwise(version: &str, name: &str, ours: &str, theirs: &str) -> bool {
    OTHERWISE.iter().any(|(of, command, our, their, _)| {
        (*of, *command, *their) == (version, name, theirs) && ours.starts_with(our)
    })
}

/// Whether a call has a number that the oracle negates, wrongly; refused from 7.2 on.
fn overflows(name: &str, call: &[Vec<u8>]) -> bool {
    ["lrem", "lpos"].contains(&name) && call.iter().any(|arg| arg == b"-9223372036854775808")
}

/// Commands whose replies have no order.
const UNORDERED: &[&str] = &["smembers", "sinter", "sunion", "sdiff", "sscan", "exec"];

/// Commands that would leave little to compare.
const RARE: [&str; 5] = ["flushdb", "flushall", "swapdb", "select", "multi"];

/// Whether a command's random calls are compared. The oracle would really wait in those that wait
/// by nature.
fn compared(name: &str, row: &Row) -> bool {
    let newer = DIFFERENCES.iter().any(|(_, of, field, _)| (*of, *field) == (name, "*"));
    let waits = row.flags.contains(Flags::BLOCKING) && name.starts_with('b');
    !newer && !waits && !NOT_COMPARED.contains(&name) && !name.starts_with("command")
}

/// Whether two replies are equal but for times, a little apart for what passed meanwhile. A time
/// is a large number: deadlines are far away.
fn equal_but_for_times(ours: &str, theirs: &str) -> bool {
    let near = |(ours, theirs): (&str, &str)| {
        let number = |text: &str| text.trim_matches(['[', ']']).parse::<i64>();
        match (number(ours), number(theirs)) {
            (Ok(ours), Ok(theirs)) if ours.min(theirs) > 10_000 => ours.abs_diff(theirs) <= 2_000,
            (Ok(ours), Ok(theirs)) if ours.min(theirs) > 40 => ours.abs_diff(theirs) <= 2,
            _ => ours == theirs,
        }
    };
    ours.split(", ").count() == theirs.split(", ").count()
        && ours.split(", ").zip(theirs.split(", ")).all(near)
}

#[test]
fn random_calls_are_answered_as_by_the_oracle() {
    compare_random_calls(11, 8_000, |_| true);
}

#[test]
fn random_calls_for_streams_are_answered_as_by_the_oracle() {
    let general = ["del", "copy", "rename", "type", "object|encoding"];
    compare_random_calls(12, 12_000, |name| name.starts_with('x') || general.contains(&name));
}

/// Makes random calls of the commands that are `chosen` to us and to the oracle.
fn compare_random_calls(seed: u64, calls: usize, chosen: impl Fn(&str) -> bool) {
    let Some(mut oracle) = Oracle::start() else { return };
    let table = table();
    let entries = table.entries().map(|(_, entry)| (entry.full_name.clone(), entry.row));
    let rows: Vec<_> = entries
        .filter(|(name, row)| {
            let container = matches!(row.run, kevy_command::Run::Container(_));
            compared(name, row) && !container && chosen(name)
        })
        .collect();
    let odd: [&[u8]; 9] = [
        b"",
        b"-1",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"nan",
        b"0",
        b"NX",
        b"GET",
        b"99999999999999999999",
    ];
    let mut machine = Machine::new(4, Proto::Resp2);
    // Before 7.2 no set was packed.
    if oracle.version().starts_with("7.0.") {
        machine.settings.limits.set_max_listpack_entries = 0;
    }
    oracle.listen();
    let version = oracle.version();
    let mut generator = Generator::new(seed, 0);
    let mut history = Vec::new();
    for _ in 0..calls {
        let (name, row) = &rows[generator.rng().random_range(0..rows.len())];
        if RARE.contains(&name.as_str()) && generator.rng().random_bool(0.9) {
            continue;
        }
        generator.now_ms = unix_ms();
        let mut call = generator.call(name, row);
        let has = |word: &[u8]| call.iter().any(|arg| arg == word);
        let is_sorted_by = name.starts_with("sort") && has(b"BY");
        // What is equal by a pattern comes in any order: so a part of it is any part.
        let is_part = is_sorted_by && (has(b"LIMIT") || has(b"STORE"));
        if is_newer(&version, name, &call) || is_timely(name, &call) || is_part {
            continue;
        }
        if generator.rng().random_bool(0.15) {
            let at = generator.rng().random_range(0..call.len());
            if at > name.matches('|').count() {
                call[at] = odd[generator.rng().random_range(0..odd.len())].to_vec();
            }
        } else if generator.rng().random_bool(0.05) {
            let at = generator.rng().random_range(1..=call.len());
            call.truncate(at);
        }
        if overflows(name, &call) {
            continue;
        }
        machine.now_ms = unix_ms();
        for create in consumers_made(name, &call) {
            machine.call(0, &create);
            oracle.call(1, &create);
            oracle.events();
        }
        (machine.changed, machine.events) = (0, Vec::new());
        let before = oracle.changed();
        let ours = blurred(name, &render(&machine.call(0, &call)));
        let theirs = blurred(name, &frame_text(&oracle.call(1, &call)));
        let shown: Vec<_> = call.iter().map(|arg| arg.escape_ascii().to_string()).collect();
        history.push(format!("{} => {ours}", shown.join(" ")));
        let about_time = ["ttl", "pttl", "expiretime", "pexpiretime", "exec", "xinfo|stream"]
            .contains(&name.as_str());
        let tail = &history[history.len().saturating_sub(25)..];
        let unordered = UNORDERED.contains(&name.as_str()) || is_sorted_by;
        assert!(
            ours == theirs
                || unordered && sorted(&ours) == sorted(&theirs)
                || is_otherwise(&version, name, &ours, &theirs)
                || about_time && equal_but_for_times(&ours, &theirs),
            "{}\nours {ours}, theirs {theirs}\n{}",
            shown.join(" "),
            tail.join("\n")
        );
        let tail = tail.join("\n");
        assert_eq!(machine.events, oracle.events(), "events of {}\n{tail}", shown.join(" "));
        let changed = oracle.changed() - before;
        assert_eq!(machine.changed, changed, "changes of {}\n{tail}", shown.join(" "));
    }
}

/// The characters of a reply whose elements may come in any order.
fn sorted(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars
}

fn unix_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the oracle lives in real time")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}
