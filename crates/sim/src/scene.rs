//! What the clients of a run share: keys, the history, and how requests are made.

use crate::ask::{About, Command, Expect, Request, show};
use crate::history::{End, History, Key, Micro, NEVER, Op, OpId, RegisterOp, Volatile};
use crate::random::Random;
use crate::token::{self, Token};

/// First of the keys in database 1, which only transactions use.
const ELSEWHERE: Key = 100;
/// First of the keys that expire.
const VOLATILE: Key = 1000;
/// The database of the register.
pub(crate) const REGISTER_DB: usize = 2;

/// A fault in how clients ask, by which the checkers prove that they see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mutant {
    /// None.
    #[default]
    Sound,
    /// What should happen at one moment on several keys is done key by key, as a server would
    /// that takes its stores one after the other.
    KeyByKey,
    /// The server may make writes of a connection visible in another order than they were sent.
    Unordered,
}

/// One step of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Append(Key),
    Read(Vec<Key>),
    Ping,
}

/// See the module.
pub(crate) struct Scene {
    pub(crate) history: History,
    pub(crate) mutant: Mutant,
    /// Distinguishes the names of this run's keys, so that each run spreads them differently.
    salt: u64,
    keys: Key,
    elsewhere: Key,
    pub(crate) register: usize,
    /// How many queues there are.
    pub(crate) queues: usize,
    next_token: Token,
    next_volatile: Key,
    /// Volatile keys whose creation has been answered.
    pub(crate) ready: Vec<Key>,
    pub(crate) large: bool,
    pub(crate) version: Token,
    /// Step and virtual time at this moment.
    pub(crate) step: u64,
    pub(crate) now_ms: i64,
}

impl Scene {
    pub(crate) fn new(random: &mut Random, mutant: Mutant, keys: usize, bursts: bool) -> Self {
        Self {
            history: History::default(),
            mutant,
            salt: random.next() % 10_000,
            keys: keys as Key,
            elsewhere: random.range(1, 3) as Key,
            register: random.range(2, 6),
            queues: random.range(1, 4),
            next_token: 1,
            next_volatile: VOLATILE,
            ready: Vec::new(),
            large: !bursts && random.chance(1, 8),
            version: 0,
            step: 0,
            now_ms: 0,
        }
    }

    pub(crate) fn key(&self, random: &mut Random) -> Key {
        random.below(self.keys as usize) as Key
    }

    /// How many keys the connections' database has.
    pub(crate) const fn keys(&self) -> Key {
        self.keys
    }

    /// A few different keys.
    pub(crate) fn some_keys(&self, random: &mut Random) -> Vec<Key> {
        let mut keys: Vec<Key> = (0..self.keys).collect();
        random.shuffle(&mut keys);
        keys.truncate(random.range(1, 4));
        keys
    }

    /// A key in another database than the connection's.
    pub(crate) fn key_elsewhere(&self, random: &mut Random) -> Key {
        ELSEWHERE + random.below(self.elsewhere as usize) as Key
    }

    /// The keys of each database, for the reads at the end.
    pub(crate) fn all_keys(&self) -> [Vec<Key>; 2] {
        [(0..self.keys).collect(), (ELSEWHERE..ELSEWHERE + self.elsewhere).collect()]
    }

    fn name(&self, key: Key) -> Vec<u8> {
        format!("key:{key}:{}", self.salt).into_bytes()
    }

    fn register_name(&self, at: usize) -> Vec<u8> {
        format!("register:{at}:{}", self.salt).into_bytes()
    }

    pub(crate) const fn salt(&self) -> u64 {
        self.salt
    }

    pub(crate) fn token(&mut self) -> Token {
        self.next_token += 1;
        self.next_token
    }

    pub(crate) fn filling(&self, random: &mut Random) -> usize {
        if self.large && random.chance(1, 12) {
            random.range(16 << 10, 40 << 10)
        } else {
            random.below(24)
        }
    }

    // Requests.

    /// Records an operation; what it reads is added when it is answered.
    fn op(&mut self, link: usize, micros: Vec<Micro>, commands: &[Command]) -> OpId {
        let words: Vec<String> = commands.iter().map(|command| show(command)).collect();
        self.history.ops.push(Op {
            link,
            invoke: self.step,
            complete: NEVER,
            invoke_ms: self.now_ms,
            complete_ms: i64::MAX,
            micros,
            end: End::Open,
            watch: false,
            watched: Vec::new(),
            what: words.join("; "),
        });
        self.history.ops.len() - 1
    }

    pub(crate) fn request(
        &self,
        about: About,
        commands: Vec<Command>,
        expects: Vec<Expect>,
    ) -> Request {
        let mut request = Request::new(about, commands, expects);
        request.invoke = self.step;
        request.invoke_ms = self.now_ms;
        request
    }

    fn ask(&mut self, link: usize, micros: Vec<Micro>, parts: Vec<(Command, Expect)>) -> Request {
        let (commands, expects): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let id = self.op(link, micros, &commands);
        self.request(About::Op(id), commands, expects)
    }

    /// A request that belongs to no history.
    pub(crate) fn plain(&self, words: &[&str], expect: Expect) -> Request {
        let command = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.request(About::Nothing, vec![command], vec![expect])
    }

    pub(crate) fn ping(&self, random: &mut Random) -> Request {
        let word = format!("{:x}", random.next());
        self.plain(&["PING", &word], Expect::Bulk(word.clone().into_bytes()))
    }

    pub(crate) fn quit(&self) -> Request {
        let mut request = self.plain(&["QUIT"], Expect::Simple("OK"));
        request.about = About::Quit;
        request
    }

    fn append_part(&mut self, key: Key, random: &mut Random) -> (Micro, (Command, Expect)) {
        let (token, filling) = (self.token(), self.filling(random));
        let bytes = token::write(token, filling);
        self.history.key_of.insert(token, key);
        self.history.size_of.insert(token, bytes.len());
        let command = vec![b"APPEND".to_vec(), self.name(key), bytes];
        (Micro::Append(key, token), (command, Expect::Length(key, token)))
    }

    fn read_part(&self, keys: Vec<Key>) -> (Command, Expect) {
        if let [key] = keys[..] {
            return (vec![b"GET".to_vec(), self.name(key)], Expect::Value(key));
        }
        let names = keys.iter().map(|&key| self.name(key));
        (std::iter::once(b"MGET".to_vec()).chain(names).collect(), Expect::Values(keys))
    }

    pub(crate) fn append(&mut self, link: usize, key: Key, random: &mut Random) -> Request {
        let (micro, part) = self.append_part(key, random);
        self.ask(link, vec![micro], vec![part])
    }

    pub(crate) fn read(&mut self, link: usize, keys: Vec<Key>) -> Request {
        let parts = if self.mutant == Mutant::KeyByKey {
            keys.into_iter().map(|key| self.read_part(vec![key])).collect()
        } else {
            vec![self.read_part(keys)]
        };
        self.ask(link, Vec::new(), parts)
    }

    pub(crate) fn names(&mut self, link: usize) -> Request {
        let keys = (0..self.keys).map(|key| (key, self.name(key))).collect();
        let command = vec![b"KEYS".to_vec(), b"*".to_vec()];
        self.ask(link, Vec::new(), vec![(command, Expect::Names(keys))])
    }

    pub(crate) fn watch(&mut self, link: usize, keys: &[Key]) -> Request {
        let names = keys.iter().map(|&key| self.name(key));
        let command = std::iter::once(b"WATCH".to_vec()).chain(names).collect();
        let request = self.ask(link, Vec::new(), vec![(command, Expect::Simple("OK"))]);
        if let About::Op(id) = request.about {
            self.history.ops[id].watch = true;
        }
        request
    }

    /// A transaction. `watches` are the operations that watch keys for it, `reads` those that
    /// have read these keys since.
    pub(crate) fn exec(
        &mut self,
        link: usize,
        steps: &[Step],
        watches: Vec<(OpId, Vec<Key>)>,
        reads: Vec<OpId>,
        random: &mut Random,
    ) -> Request {
        let (mut micros, mut parts) = (Vec::new(), Vec::new());
        let mut db = 0;
        for step in steps {
            let keys: &[Key] = match step {
                Step::Append(key) => std::slice::from_ref(key),
                Step::Read(keys) => keys,
                Step::Ping => &[],
            };
            let wanted = usize::from(keys.iter().any(|&key| (ELSEWHERE..VOLATILE).contains(&key)));
            if wanted != db && !keys.is_empty() {
                db = wanted;
                parts.push(select(db));
            }
            match step {
                Step::Append(key) => {
                    let (micro, part) = self.append_part(*key, random);
                    micros.push(micro);
                    parts.push(part);
                }
                Step::Read(keys) => parts.push(self.read_part(keys.clone())),
                Step::Ping => parts.push((vec![b"PING".to_vec()], Expect::Simple("PONG"))),
            }
        }
        if db != 0 {
            parts.push(select(0));
        }
        if self.mutant == Mutant::KeyByKey && watches.is_empty() {
            return self.ask(link, micros, parts);
        }
        let count = parts.len();
        let (mut commands, expects): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        commands.insert(0, vec![b"MULTI".to_vec()]);
        commands.push(vec![b"EXEC".to_vec()]);
        let mut replies = vec![Expect::Simple("QUEUED"); count];
        replies.insert(0, Expect::Simple("OK"));
        replies.push(Expect::Transaction(expects));
        let id = self.op(link, micros, &commands);
        self.history.ops[id].watched = watches;
        self.request(About::Exec(id, reads), commands, replies)
    }

    /// Creates a key that expires.
    pub(crate) fn create(&mut self, link: usize, random: &mut Random) -> Request {
        let key = self.next_volatile;
        self.next_volatile += 1;
        self.history.fleeting.insert(key);
        let life = random.range(1, 60) as i64;
        let token = self.token();
        let bytes = token::write(token, self.filling(random));
        self.history.key_of.insert(token, key);
        let command =
            vec![b"SET".to_vec(), self.name(key), bytes, b"PX".to_vec(), life.to_string().into()];
        let id = self.op(link, vec![Micro::Append(key, token)], std::slice::from_ref(&command));
        let about = About::Create(id, key, life);
        self.request(about, vec![command], vec![Expect::Simple("OK")])
    }

    pub(crate) fn write_register(&mut self, random: &mut Random) -> Request {
        let token = self.token();
        let bytes = token::write(token, self.filling(random));
        let pairs = (0..self.register).map(|at| [self.register_name(at), bytes.clone()]);
        let commands: Vec<Command> = if self.mutant == Mutant::KeyByKey {
            pairs.map(|[key, value]| vec![b"SET".to_vec(), key, value]).collect()
        } else {
            vec![std::iter::once(b"MSET".to_vec()).chain(pairs.flatten()).collect()]
        };
        let expects = vec![Expect::Simple("OK"); commands.len()];
        self.request(About::RegisterWrite(token), commands, expects)
    }

    pub(crate) fn read_register(&self) -> Request {
        let names = (0..self.register).map(|at| self.register_name(at));
        let (commands, expects) = if self.mutant == Mutant::KeyByKey {
            let commands: Vec<Command> = names.map(|name| vec![b"GET".to_vec(), name]).collect();
            let expects = vec![Expect::RegisterValue; commands.len()];
            (commands, expects)
        } else {
            let command = std::iter::once(b"MGET".to_vec()).chain(names).collect();
            (vec![command], vec![Expect::RegisterValues(self.register)])
        };
        self.request(About::RegisterRead, commands, expects)
    }

    /// Looks at the register as a whole database, or replaces it.
    pub(crate) fn whole_register(&mut self, random: &mut Random) -> Request {
        match random.below(6) {
            0 | 1 => self.plain(&["KEYS", "*"], Expect::RegisterNames(self.register)),
            2 | 3 => self.plain(&["DBSIZE"], Expect::RegisterCount(self.register)),
            replace => {
                self.history.register_replaced = true;
                let words: &[&str] =
                    if replace == 4 { &["FLUSHDB"] } else { &["SWAPDB", "2", "3"] };
                self.plain(words, Expect::Simple("OK"))
            }
        }
    }

    pub(crate) fn switch(&mut self) -> Request {
        self.version += 1;
        let version = self.version;
        let mut request = self.plain(&["SIM.SWITCH", &version.to_string()], Expect::Simple("OK"));
        request.about = About::Switch(version);
        request
    }

    pub(crate) fn look(&self) -> Request {
        let mut request = self.plain(&["SIM.LOOK"], Expect::Version);
        request.about = About::Look;
        request
    }

    // Ends of requests.

    /// Records the answer of a request.
    ///
    /// # Errors
    /// If it cannot be right whatever else happened.
    pub(crate) fn answered(&mut self, request: Request) -> Result<(), String> {
        let Request { about, answer, invoke, invoke_ms, .. } = request;
        self.history.lengths.extend(&answer.lengths);
        let times = |write, value, complete| RegisterOp { invoke, complete, write, value };
        match about {
            About::Nothing | About::Quit => {}
            About::Op(id) => self.complete(id, answer.micros),
            About::Exec(id, reads) => {
                return self.executed(id, &reads, answer.aborted, answer.micros);
            }
            About::Create(id, key, life) => {
                let micros = self.history.ops[id].micros.clone();
                self.complete(id, micros);
                let volatile =
                    Volatile { earliest_ms: invoke_ms + life, latest_ms: self.now_ms + life };
                self.history.volatile.insert(key, volatile);
                self.ready.push(key);
            }
            About::RegisterWrite(token) => {
                self.history.register.push(times(true, token, self.step));
            }
            About::RegisterRead => {
                let first = answer.register.first().copied().flatten();
                if answer.register.iter().any(|&value| value != first) {
                    return Err(format!("half of a write was seen: {:?}", answer.register));
                }
                if let Some(value) = first {
                    self.history.register.push(times(false, value, self.step));
                }
            }
            About::Queue(id) => self.queue_answered(id, answer.taken),
            About::Rest(key) => {
                self.history.rest.insert(key, answer.rest);
            }
            About::Switch(version) => {
                self.history.switches.push(times(true, version, self.step));
            }
            About::Look => {
                let version = answer.version.unwrap_or(0);
                self.history.switches.push(times(false, version, self.step));
            }
        }
        Ok(())
    }

    /// Records that the connection of a request was lost before its answer.
    pub(crate) fn lost(&mut self, request: Request) {
        let invoke = request.invoke;
        let unknown = |value| RegisterOp { invoke, complete: NEVER, write: true, value };
        match request.about {
            About::Op(id) | About::Exec(id, _) | About::Create(id, ..) => {
                self.history.ops[id].end = End::Lost;
            }
            About::RegisterWrite(token) => self.history.register.push(unknown(token)),
            About::Switch(version) => self.history.switches.push(unknown(version)),
            About::Queue(id) => self.history.queue[id].end = End::Lost,
            About::Nothing | About::Quit | About::RegisterRead | About::Look | About::Rest(_) => {}
        }
    }

    fn complete(&mut self, id: OpId, micros: Vec<Micro>) {
        let op = &mut self.history.ops[id];
        op.complete = self.step;
        op.complete_ms = self.now_ms;
        op.micros = micros;
        op.end = End::Done;
    }

    /// A transaction that ran has, by its watches, seen what was read since they began: so have
    /// the watches.
    fn executed(
        &mut self,
        id: OpId,
        reads: &[OpId],
        aborted: bool,
        micros: Vec<Micro>,
    ) -> Result<(), String> {
        if aborted {
            let op = &mut self.history.ops[id];
            op.complete = self.step;
            op.complete_ms = self.now_ms;
            op.end = End::Aborted;
            if op.watched.is_empty() {
                return Err(format!("aborted, and watches nothing: {}", op.what));
            }
            return Ok(());
        }
        let watched = self.history.ops[id].watched.clone();
        let reads = reads.iter().flat_map(|&read| self.history.ops[read].micros.clone());
        let seen: Vec<Micro> = reads.collect();
        for (watch, keys) in watched {
            let of_these = |micro: &&Micro| {
                keys.iter().any(|key| matches!(micro, Micro::Read(k, _) if k == key))
            };
            self.history.ops[watch].micros = seen.iter().filter(of_these).cloned().collect();
        }
        self.complete(id, seen.into_iter().chain(micros).collect());
        Ok(())
    }
}

fn select(db: usize) -> (Command, Expect) {
    (vec![b"SELECT".to_vec(), db.to_string().into_bytes()], Expect::Simple("OK"))
}
