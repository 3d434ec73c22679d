//! The same commands to the server under test and to redis-server, and what differs.
//!
//! Every reply is compared, and after each batch the whole keyspace, read canonically over a
//! connection of its own. The first difference ends a run; [`minimal`] then looks for a short
//! sequence of commands that still shows it.

use crate::client::Client;
use crate::commands::{CHANGED_PARAMETERS, Catalogue, Comparison, comparison};
use crate::differences;
use crate::grammar::{Arguments, Generator};
use crate::server::Server;
use crate::value::{Value, shown};
use anyhow::{Result, ensure};
use rand::Rng;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connections to each of the servers.
const CONNECTIONS: usize = 3;
/// Commands between two comparisons of the whole keyspace.
const BATCH: usize = 250;
/// The longest pipeline.
const LONGEST_PIPELINE: usize = 48;
/// The databases that the generator's commands reach.
const DATABASES: [&str; 5] = ["0", "1", "2", "3", "15"];

/// One command of a run.
#[derive(Clone)]
pub struct Step {
    connection: usize,
    /// Runs of steps with the same number leave in one write.
    pipeline: usize,
    kind: Kind,
    arguments: Arguments,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// A SCAN that is followed to its end; its keys are compared as a set.
    WholeScan,
}

/// Random steps.
pub fn steps(seed: u64, count: usize, pipelined: bool) -> Result<Vec<Step>> {
    let catalogue = Catalogue::load()?;
    let mut generator = Generator::new(seed);
    let mut in_transaction = [false; CONNECTIONS];
    let mut steps = Vec::with_capacity(count);
    let mut pipeline = 0;
    while steps.len() < count {
        pipeline += 1;
        let connection = generator.rng().random_range(0..CONNECTIONS);
        let length = if pipelined { generator.rng().random_range(1..=LONGEST_PIPELINE) } else { 1 };
        for _ in 0..length {
            let open = &mut in_transaction[connection];
            let (kind, arguments) = next(&mut generator, &catalogue, *open);
            *open = match arguments[0].to_ascii_uppercase().as_slice() {
                b"MULTI" => true,
                b"EXEC" | b"DISCARD" | b"RESET" | b"QUIT" => false,
                _ => *open,
            };
            let last = arguments[0].eq_ignore_ascii_case(b"QUIT") || kind == Kind::WholeScan;
            steps.push(Step { connection, pipeline, kind, arguments });
            if last {
                pipeline += 1;
                break;
            }
        }
    }
    Ok(steps)
}

fn next(
    generator: &mut Generator,
    catalogue: &Catalogue,
    in_transaction: bool,
) -> (Kind, Arguments) {
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
    if in_transaction && generator.rng().random_ratio(1, 7) {
        return (Kind::Plain, words(&["EXEC"]));
    }
    if !in_transaction && generator.rng().random_ratio(1, 80) {
        let options: &[&[&str]] = &[
            &["SCAN", "0"],
            &["SCAN", "0", "COUNT", "3"],
            &["SCAN", "0", "MATCH", "key:*", "COUNT", "1"],
            &["SCAN", "0", "TYPE", "string"],
            &["SCAN", "0", "TYPE", "list", "MATCH", "*"],
            &["SSCAN", "set:0", "0"],
            &["SSCAN", "set:1", "0", "COUNT", "2", "MATCH", "m*"],
        ];
        let choice = generator.rng().random_range(0..options.len());
        return (Kind::WholeScan, words(options[choice]));
    }
    let point = generator.rng().random_range(0..catalogue.total());
    (Kind::Plain, generator.command(catalogue.at(point)))
}

/// What differed first.
pub struct Difference {
    /// Steps after which it shows.
    steps: usize,
    /// For people.
    pub text: String,
}

/// Both servers with the connections to them.
pub struct Pair {
    ours: Side,
    theirs: Side,
    /// What each connection has queued since MULTI.
    queued: Vec<Option<Vec<Arguments>>>,
    /// How far apart in time a command may have run on the two servers.
    skew: Duration,
    /// Whether the known differences count: not where both servers are redis-server.
    excused: bool,
    /// Differing replies by command, if a run is to go on after them.
    collected: Option<BTreeMap<String, String>>,
}

struct Side {
    address: SocketAddr,
    clients: Vec<Client>,
    reader: Client,
}

impl Side {
    fn connect(address: SocketAddr) -> Result<Side> {
        let clients = (0..CONNECTIONS).map(|_| Client::connect(address)).collect::<Result<_>>()?;
        Ok(Side { address, clients, reader: Client::connect(address)? })
    }

    /// Back to an empty server with the configuration it started with.
    fn reset(&mut self) -> Result<()> {
        let mut configure = vec!["CONFIG", "SET"];
        configure.extend(CHANGED_PARAMETERS);
        let reply = self.reader.call(&configure)?;
        ensure!(reply.is_ok(), "CONFIG SET was answered by {reply:?}");
        let reply = self.reader.words("FLUSHALL")?;
        ensure!(reply.is_ok(), "FLUSHALL was answered by {reply:?}");
        for client in &mut self.clients {
            *client = Client::connect(self.address)?;
        }
        Ok(())
    }

    fn send(&mut self, connection: usize, steps: &[Step]) {
        let mut frames = Vec::new();
        for step in steps {
            crate::client::encode(&mut frames, &step.arguments);
        }
        // A server that has closed the connection shows itself when the reply is read.
        let _ = self.clients[connection].send_raw(&frames);
    }

    /// The reply, or what happened instead of one.
    fn read(&mut self, connection: usize) -> Value {
        self.clients[connection]
            .read()
            .unwrap_or_else(|error| Value::Error(format!("<{error:#}>").into_bytes()))
    }

    /// All keys or elements of a completed SCAN or its like, sorted and without the repetitions that SCAN may give.
    fn scan(&mut self, connection: usize, step: &Step) -> Result<Value> {
        let mut arguments = step.arguments.clone();
        let cursor_at = if arguments[0].len() == "SCAN".len() { 1 } else { 2 };
        let mut keys = Vec::new();
        loop {
            let reply = self.clients[connection].call(&arguments)?;
            let [cursor, found] = reply.items().unwrap_or_default() else { return Ok(reply) };
            keys.extend(found.items().unwrap_or_default().iter().map(Value::text));
            arguments[cursor_at] = cursor.text().into_bytes();
            if arguments[cursor_at] == b"0" {
                break;
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(Value::Array(keys.into_iter().map(|key| Value::Bulk(key.into_bytes())).collect()))
    }

    /// `DBSIZE` and `KEYS *` of the database. Keys that have expired are counted until they are
    /// removed, which a server does in its own time: so this waits until both agree.
    fn size_and_keys(&mut self) -> Result<(Value, Value)> {
        let started = Instant::now();
        loop {
            let size = self.reader.words("DBSIZE")?;
            let keys = self.reader.words("KEYS *")?;
            let count = keys.items().map(|items| items.len() as i64);
            if size.integer() == count || started.elapsed() > Duration::from_secs(10) {
                return Ok((size, keys));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn keyspace(&mut self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for database in DATABASES {
            self.reader.words(&format!("SELECT {database}"))?;
            let (size, keys) = self.size_and_keys()?;
            let mut keys: Vec<Vec<u8>> = keys
                .items()
                .unwrap_or_default()
                .iter()
                .filter_map(|key| key.bytes().map(<[u8]>::to_vec))
                .collect();
            keys.sort_unstable();
            let mut replies = self.reader.pipeline(&reads(&keys))?.into_iter();
            entries.push(Entry { database, name: Vec::new(), facts: vec![size], deadline: None });
            let mut contents = Vec::new();
            let first = entries.len();
            for name in keys {
                let facts: Vec<Value> = replies.by_ref().take(READS.len()).collect();
                let deadline = replies.next().and_then(|reply| reply.integer());
                let kind = facts.first().map(Value::text).unwrap_or_default();
                let facts = facts.into_iter().map(|fact| older_encoding(&kind, fact)).collect();
                contents.push((entries.len(), content(&kind, &name)));
                entries.push(Entry { database, name, facts, deadline });
            }
            debug_assert_eq!(contents.len(), entries.len() - first);
            let commands: Vec<Vec<&[u8]>> = contents
                .iter()
                .flat_map(|(_, commands)| commands)
                .map(|command| command.iter().map(Vec::as_slice).collect())
                .collect();
            let mut replies = self.reader.pipeline(&commands)?.into_iter();
            for (at, commands) in &contents {
                for (command, reply) in commands.iter().zip(replies.by_ref()) {
                    let reply = canonical(comparison(command), reply);
                    entries[*at].facts.push(reply);
                }
            }
        }
        Ok(entries)
    }
}

/// What is read of a key of any type beside its deadline.
const READS: [&[&str]; 2] = [&["TYPE"], &["OBJECT", "ENCODING"]];

/// The commands that read what a key of some type holds.
fn content(kind: &str, key: &[u8]) -> Vec<Arguments> {
    let lines: &[&str] = match kind {
        "string" => &["GET {}"],
        "list" => &["LRANGE {} 0 -1"],
        "set" => &["SMEMBERS {}"],
        "zset" => &["ZRANGE {} 0 -1 WITHSCORES"],
        "hash" => &["HGETALL {}"],
        "stream" => &["XRANGE {} - +", "XINFO GROUPS {}", "XLEN {}"],
        _ => &[],
    };
    let word = |word: &str| if word == "{}" { key.to_vec() } else { word.as_bytes().to_vec() };
    lines.iter().map(|line| line.split(' ').map(word).collect()).collect()
}

/// What was read of a key, the name of its encoding being that of the oracle (see
/// [`Comparison::Encoding`]).
fn older_encoding(kind: &str, fact: Value) -> Value {
    match (kind, fact.bytes()) {
        ("set", Some(b"listpack")) => Value::Bulk(b"hashtable".to_vec()),
        ("zset", Some(b"listpack")) => Value::Bulk(b"skiplist".to_vec()),
        ("list", Some(b"listpack")) => Value::Bulk(b"quicklist".to_vec()),
        _ => fact,
    }
}

/// A reply in an order that does not depend on the server's.
fn canonical(how: Comparison, reply: Value) -> Value {
    let bulk = |text: String| Value::Bulk(text.into_bytes());
    match how {
        Comparison::AnyOrder => Value::Array(sorted(&reply).into_iter().map(Value::Bulk).collect()),
        Comparison::Pairs => {
            let pairs = pairs(&reply).into_iter();
            Value::Array(pairs.flat_map(|(name, value)| [bulk(name), bulk(value)]).collect())
        }
        Comparison::Groups => without_consumers(&reply),
        Comparison::Scores => numeric(reply),
        _ => reply,
    }
}

/// What `XINFO GROUPS` tells but how many consumers there are.
fn without_consumers(groups: &Value) -> Value {
    let group = |group: &Value| {
        let facts = pairs(group).into_iter().filter(|(name, _)| name != "consumers");
        Value::Bulk(format!("{:?}", facts.collect::<Vec<_>>()).into_bytes())
    };
    match groups.items() {
        Some(items) => Value::Array(items.iter().map(group).collect()),
        None => groups.clone(),
    }
}

/// A reply whose floats have as many digits as they need.
fn numeric(reply: Value) -> Value {
    let shortest = |text: Vec<u8>| {
        let float = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<f64>().ok());
        float.map_or(text, |float| format!("{float:?}").into_bytes())
    };
    match reply {
        Value::Bulk(text) => Value::Bulk(shortest(text)),
        Value::Double(text) => Value::Double(shortest(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(numeric).collect()),
        other => other,
    }
}

fn reads(keys: &[Vec<u8>]) -> Vec<Vec<&[u8]>> {
    let mut commands = Vec::new();
    for key in keys {
        for words in READS.iter().copied().chain([&["PEXPIRETIME"] as &[&str]]) {
            let mut command: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            command.push(key);
            commands.push(command);
        }
    }
    commands
}

/// What the keyspace holds of one key, or with an empty list of names the size of a database.
#[derive(Debug, PartialEq)]
struct Entry {
    database: &'static str,
    name: Vec<u8>,
    facts: Vec<Value>,
    deadline: Option<i64>,
}

impl Pair {
    /// Connects to both.
    pub fn connect(ours: &Server, theirs: &Server, excused: bool) -> Result<Pair> {
        Ok(Pair {
            ours: Side::connect(ours.address())?,
            theirs: Side::connect(theirs.address())?,
            queued: vec![None; CONNECTIONS],
            skew: Duration::from_millis(5),
            excused,
            collected: None,
        })
    }

    /// Makes runs go on after a differing reply.
    pub fn keep_going(&mut self) {
        self.collected = Some(BTreeMap::new());
    }

    /// One differing reply for each command and kind of reply, from runs that went on.
    pub fn collected(&self) -> impl Iterator<Item = &String> {
        self.collected.iter().flat_map(BTreeMap::values)
    }

    /// Runs `steps` on two empty servers; returns the first difference.
    pub fn run(&mut self, steps: &[Step]) -> Result<Option<Difference>> {
        self.ours.reset()?;
        self.theirs.reset()?;
        self.queued.fill(None);
        let mut done = 0;
        let mut checked = 0;
        for group in steps.chunk_by(|a, b| a.pipeline == b.pipeline) {
            if let Some(difference) = self.group(group, done)? {
                return Ok(Some(difference));
            }
            done += group.len();
            if done - checked >= BATCH || done == steps.len() {
                checked = done;
                if let Some(text) = self.keyspaces()? {
                    return Ok(Some(Difference { steps: done, text }));
                }
            }
        }
        Ok(None)
    }

    fn group(&mut self, group: &[Step], done: usize) -> Result<Option<Difference>> {
        let Some(first) = group.first() else { return Ok(None) };
        let connection = first.connection;
        if first.kind == Kind::WholeScan && self.queued[connection].is_none() {
            let ours = self.ours.scan(connection, first)?;
            let theirs = self.theirs.scan(connection, first)?;
            let same = ours == theirs;
            let text = || format!("a whole scan: ours {ours:?}, theirs {theirs:?}");
            return Ok((!same).then(|| Difference { steps: done + 1, text: text() }));
        }
        let started = Instant::now();
        self.ours.send(connection, group);
        self.theirs.send(connection, group);
        let mut replies = Vec::with_capacity(group.len());
        for _ in group {
            replies.push((self.ours.read(connection), self.theirs.read(connection)));
        }
        self.skew = self.skew.max(started.elapsed() * 2);
        for (index, (step, (ours, theirs))) in group.iter().zip(&replies).enumerate() {
            if !self.same(step, ours, theirs) {
                let text = format!("ours   {ours:?}\ntheirs {theirs:?}");
                if let Some(collected) = &mut self.collected {
                    let words = line(&step.arguments);
                    let kinds: String = format!("{theirs:?}").chars().take(24).collect();
                    let name = String::from_utf8_lossy(&step.arguments[0]).to_uppercase();
                    let entry = collected.entry(format!("{name} {kinds}"));
                    entry.or_insert_with(|| format!("{words}\n{text}"));
                    continue;
                }
                return Ok(Some(Difference { steps: done + index + 1, text }));
            }
        }
        if group.iter().any(|step| step.arguments[0].eq_ignore_ascii_case(b"QUIT")) {
            self.reconnect(connection)?;
        }
        Ok(None)
    }

    fn reconnect(&mut self, connection: usize) -> Result<()> {
        self.queued[connection] = None;
        for side in [&mut self.ours, &mut self.theirs] {
            side.clients[connection] = Client::connect(side.address)?;
        }
        Ok(())
    }

    fn same(&mut self, step: &Step, ours: &Value, theirs: &Value) -> bool {
        let queue = &mut self.queued[step.connection];
        let name = step.arguments[0].to_ascii_uppercase();
        if let Value::Simple(text) = theirs {
            match (name.as_slice(), text.as_slice()) {
                (b"MULTI", b"OK") => *queue = Some(Vec::new()),
                (b"DISCARD", b"OK") | (b"RESET", _) => *queue = None,
                (_, b"QUEUED") => {
                    if let Some(commands) = queue {
                        commands.push(step.arguments.clone());
                    }
                }
                _ => {}
            }
        }
        if name == b"EXEC" && queue.is_some() && step.arguments.len() == 1 {
            let commands = queue.take().unwrap_or_default();
            return self.same_transaction(&commands, ours, theirs);
        }
        self.same_reply(&step.arguments, ours, theirs)
    }

    fn same_transaction(&self, commands: &[Arguments], ours: &Value, theirs: &Value) -> bool {
        match (ours, theirs) {
            (Value::Array(ours), Value::Array(theirs)) => {
                ours.len() == theirs.len()
                    && commands.len() == ours.len()
                    && commands
                        .iter()
                        .zip(ours.iter().zip(theirs))
                        .all(|(command, (ours, theirs))| self.same_reply(command, ours, theirs))
            }
            _ => ours == theirs,
        }
    }

    fn same_reply(&self, arguments: &Arguments, ours: &Value, theirs: &Value) -> bool {
        ours == theirs
            || compare(comparison(arguments), ours, theirs, self.skew)
            || self.excused && differences::excuse(arguments, ours, theirs)
    }

    fn keyspaces(&mut self) -> Result<Option<String>> {
        let ours = self.ours.keyspace()?;
        let theirs = self.theirs.keyspace()?;
        let same = |a: &Entry, b: &Entry| {
            (a.database, &a.name, &a.facts) == (b.database, &b.name, &b.facts)
                && near(a.deadline.unwrap_or(-1), b.deadline.unwrap_or(-1), self.skew)
        };
        let differing = ours.iter().zip(&theirs).find(|(a, b)| !same(a, b));
        if let Some((ours, theirs)) = differing {
            let name = shown(&ours.name);
            return Ok(Some(format!(
                "the keyspace, first at key \"{name}\" of database {}:\nours   {ours:?}\ntheirs {theirs:?}",
                ours.database
            )));
        }
        Ok((ours.len() != theirs.len()).then(|| "the number of keys".to_owned()))
    }
}

fn near(ours: i64, theirs: i64, skew: Duration) -> bool {
    // Negative numbers are answers of their own: no key, no deadline.
    if ours < 0 || theirs < 0 {
        return ours == theirs;
    }
    u128::from(ours.abs_diff(theirs)) <= skew.as_millis()
}

fn compare(how: Comparison, ours: &Value, theirs: &Value, skew: Duration) -> bool {
    if ours.is_error() || theirs.is_error() {
        return ours == theirs;
    }
    match how {
        Comparison::Exact => ours == theirs,
        Comparison::AnyOrder => {
            std::mem::discriminant(ours) == std::mem::discriminant(theirs)
                && sorted(ours) == sorted(theirs)
        }
        Comparison::Encoding => {
            // Small sets and lists are packed since 7.2 only, and SORT unpacks sorted sets there.
            let before = [&b"hashtable"[..], b"quicklist", b"skiplist"];
            ours == theirs
                || ours.bytes() == Some(b"listpack")
                    && theirs.bytes().is_some_and(|name| before.contains(&name))
        }
        Comparison::Pairs => pairs(ours) == pairs(theirs),
        Comparison::Groups => without_consumers(ours) == without_consumers(theirs),
        Comparison::Scores => numeric(ours.clone()) == numeric(theirs.clone()),
        Comparison::Seconds => match (ours.integer(), theirs.integer()) {
            (Some(a), Some(b)) => near(a, b, skew / 1000 + Duration::from_millis(1)),
            _ => false,
        },
        Comparison::Milliseconds => match (ours.integer(), theirs.integer()) {
            (Some(a), Some(b)) => near(a, b, skew),
            _ => false,
        },
        Comparison::Kind => std::mem::discriminant(ours) == std::mem::discriminant(theirs),
        Comparison::Hello => greeting(ours) == greeting(theirs),
    }
}

fn sorted(value: &Value) -> Vec<Vec<u8>> {
    let items = value.items().unwrap_or_default().iter();
    let mut items: Vec<Vec<u8>> =
        items.map(|item| item.bytes().unwrap_or_default().to_vec()).collect();
    items.sort_unstable();
    items
}

/// Names and values, sorted by name, of a map or of the array that RESP2 has in its place.
fn pairs(value: &Value) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = match value {
        Value::Map(pairs) => pairs.iter().map(|(k, v)| (k.text(), format!("{v:?}"))).collect(),
        other => {
            let items = other.items().unwrap_or_default();
            items.chunks_exact(2).map(|pair| (pair[0].text(), format!("{:?}", pair[1]))).collect()
        }
    };
    pairs.sort_unstable();
    pairs
}

fn greeting(value: &Value) -> Vec<(String, String)> {
    let mut pairs = pairs(value);
    pairs.retain(|(name, _)| name != "version" && name != "id");
    pairs
}

/// A difference and the shortest way to it that was found in `budget`.
pub fn minimal(
    pair: &mut Pair,
    steps: &[Step],
    found: Difference,
    budget: Duration,
) -> Result<String> {
    let deadline = Instant::now() + budget;
    let mut steps = steps[..found.steps].to_vec();
    let mut found = found;
    let mut chunk = steps.len() / 2;
    while chunk > 0 {
        let mut at = 0;
        while at < steps.len() && Instant::now() < deadline {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            match pair.run(&fewer) {
                Ok(Some(still)) => {
                    fewer.truncate(still.steps);
                    steps = fewer;
                    found = still;
                }
                _ => at += chunk,
            }
        }
        chunk /= 2;
    }
    let mut text = found.text;
    text.push_str("\nafter these commands:\n");
    for step in &steps {
        writeln!(text, "  {}.{}> {}", step.connection, step.pipeline, line(&step.arguments))?;
    }
    Ok(text)
}

/// A command for people.
fn line(arguments: &Arguments) -> String {
    arguments.iter().map(|a| format!("\"{}\"", shown(a))).collect::<Vec<_>>().join(" ")
}
