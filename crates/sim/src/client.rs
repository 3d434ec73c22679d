//! A client: what it asks, and whether the replies fit.

use crate::ask::{About, Expect, Request};
use crate::history::{Key, OpId};
use crate::queue::{QUEUE_DB, QueueId};
use crate::random::Random;
use crate::scene::{REGISTER_DB, Scene, Step};
use kevy_resp::decode::decode;
use kevy_resp::write_command;
use std::collections::VecDeque;

/// What a client is interested in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Appends, reads and transactions.
    Lists,
    /// Appends to one key and reads of it.
    Single,
    /// Lists with watched keys.
    Watches,
    /// Writes and reads several keys as one register.
    Register,
    /// Creates keys that expire, and reads them.
    Volatile,
    /// Pushes to queues and pops from them.
    Queues,
    /// Switches the whole server.
    Switch,
    /// Reads everything, at the end of a run.
    Audit,
}

/// See the module.
pub(crate) struct Client {
    pub(crate) role: Role,
    pub(crate) random: Random,
    /// Its connection, if it has one.
    pub(crate) link: Option<usize>,
    /// Requests that it will still begin.
    pub(crate) left: usize,
    /// Most requests under way at a time.
    depth: usize,
    /// Requests decided on, to be sent one behind the other.
    planned: VecDeque<Plan>,
    pub(crate) waiting: VecDeque<Request>,
    inbox: Vec<u8>,
    /// It has said goodbye.
    pub(crate) leaving: bool,
    /// The watch in force, its keys, and the reads of these since.
    watch: Option<OpId>,
    /// The key of [`Role::Single`].
    only: Key,
    watched: Vec<Key>,
    reads: Vec<OpId>,
}

/// Parts of a longer piece of work.
#[derive(Clone, Debug)]
enum Plan {
    Watch(Vec<Key>),
    ReadWatched(Vec<Key>),
    Read(Vec<Key>),
    Append(Key),
    Unwatch,
    Exec(Vec<Step>),
    Select(usize),
    Rest(Key),
    Hello,
}

impl Client {
    pub(crate) fn new(role: Role, left: usize, depth: usize, mut random: Random) -> Self {
        let only = random.below(3) as Key;
        // Who waits for what is known of clients that ask for one thing at a time.
        let one = role == Role::Switch || (role == Role::Queues && random.chance(3, 4));
        let depth = if one { 1 } else { depth };
        Self {
            role,
            random,
            link: None,
            left,
            depth,
            planned: VecDeque::new(),
            waiting: VecDeque::new(),
            inbox: Vec::new(),
            leaving: false,
            watch: None,
            only,
            watched: Vec::new(),
            reads: Vec::new(),
        }
    }

    /// Begins anew on a connection.
    pub(crate) fn connected(&mut self, link: usize) {
        self.link = Some(link);
        self.leaving = false;
        self.planned.clear();
        self.forget_watch();
        if self.random.chance(1, 3) {
            self.planned.push_back(Plan::Hello);
        }
        if self.role == Role::Register {
            self.planned.push_back(Plan::Select(REGISTER_DB));
        }
        if self.role == Role::Queues {
            self.planned.push_back(Plan::Select(QUEUE_DB));
        }
    }

    /// Its connection is gone.
    pub(crate) fn lost(&mut self, scene: &mut Scene) {
        self.link = None;
        self.inbox.clear();
        for request in self.waiting.drain(..) {
            scene.lost(request);
        }
    }

    /// Whether it has something to send now.
    pub(crate) fn can_send(&self) -> bool {
        let more = self.left > 0 || !self.planned.is_empty();
        self.link.is_some() && !self.leaving && more && self.waiting.len() < self.depth
    }

    /// Sends some requests: their bytes.
    pub(crate) fn send(&mut self, scene: &mut Scene) -> Vec<u8> {
        let mut bytes = Vec::new();
        let room = self.depth - self.waiting.len().min(self.depth);
        for _ in 0..self.random.range(1, room.max(1)) {
            if !self.can_send() {
                break;
            }
            let request = self.next(scene);
            encode(&request, &mut self.random, &mut bytes);
            self.leaving |= request.about == About::Quit;
            self.waiting.push_back(request);
        }
        bytes
    }

    /// Says goodbye by the protocol, if it is not in the midst of something.
    pub(crate) fn quit(&mut self, scene: &Scene) -> Vec<u8> {
        let mut bytes = Vec::new();
        let request = scene.quit();
        encode(&request, &mut self.random, &mut bytes);
        self.waiting.push_back(request);
        self.leaving = true;
        bytes
    }

    /// Takes bytes received.
    ///
    /// # Errors
    /// If they are not the replies asked for.
    pub(crate) fn receive(&mut self, bytes: &[u8], scene: &mut Scene) -> Result<(), String> {
        self.inbox.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((frame, len)) = decode(&self.inbox[at..]).map_err(|e| e.to_string())? {
            at += len;
            let Some(request) = self.waiting.front_mut() else {
                return Err(format!("a reply nobody asked for: {frame:?}"));
            };
            if request.take(&frame)?
                && let Some(request) = self.waiting.pop_front()
            {
                scene.answered(request)?;
            }
        }
        self.inbox.drain(..at);
        Ok(())
    }

    /// The only request under way, if it is one on queues.
    pub(crate) fn queue_op(&self) -> Option<QueueId> {
        match self.waiting.front()?.about {
            About::Queue(id) if self.waiting.len() == 1 => Some(id),
            _ => None,
        }
    }

    /// Whether a request on queues is under way.
    pub(crate) fn may_wait(&self) -> bool {
        self.waiting.iter().any(|request| matches!(request.about, About::Queue(_)))
    }

    fn next(&mut self, scene: &mut Scene) -> Request {
        if self.planned.is_empty() {
            self.left -= 1;
            self.plan(scene);
        }
        if let Some(plan) = self.planned.pop_front() {
            return self.carry_out(plan, scene);
        }
        let link = self.link.unwrap_or(0);
        let random = &mut self.random;
        match (self.role, random.below(20)) {
            (_, 0) => scene.ping(random),
            (_, 1) => scene.look(),
            (Role::Switch, _) => scene.switch(),
            (Role::Queues, at) => {
                if at < 9 {
                    scene.push(random)
                } else {
                    scene.pop(random)
                }
            }
            (Role::Register, at) => match at {
                2..=8 => scene.write_register(random),
                9..=15 => scene.read_register(),
                _ => scene.whole_register(random),
            },
            (Role::Single, at) => {
                let key = self.only.min(scene.keys() - 1);
                if at < 8 { scene.append(link, key, random) } else { scene.read(link, vec![key]) }
            }
            (Role::Volatile, 2..=6) => scene.create(link, random),
            (Role::Volatile, 7..=14) => {
                let mut keys = scene.some_keys(random);
                let recent = scene.ready.len().saturating_sub(4);
                keys.extend_from_slice(&scene.ready[recent..]);
                random.shuffle(&mut keys);
                scene.read(link, keys)
            }
            (_, 2) => scene.names(link),
            (_, 3..=6) => {
                let keys = scene.some_keys(random);
                scene.read(link, keys)
            }
            (_, 7..=9) => {
                let key = scene.key(random);
                scene.read(link, vec![key])
            }
            (_, 10..=13) => {
                let steps = steps(scene, random);
                scene.exec(link, &steps, Vec::new(), Vec::new(), random)
            }
            _ => {
                let key = scene.key(random);
                scene.append(link, key, random)
            }
        }
    }

    /// Decides on a longer piece of work, or not.
    fn plan(&mut self, scene: &Scene) {
        if self.role != Role::Watches || self.random.chance(1, 3) {
            return;
        }
        let random = &mut self.random;
        let watched = scene.some_keys(random);
        let others = scene.some_keys(random);
        self.planned.push_back(Plan::Watch(watched.clone()));
        self.planned.push_back(Plan::ReadWatched(watched));
        if random.chance(1, 2) {
            self.planned.push_back(Plan::Read(others.clone()));
        }
        match random.below(10) {
            0 => self.planned.push_back(Plan::Unwatch),
            1 => self.planned.push_back(Plan::Append(others[0])),
            _ => {}
        }
        self.planned.push_back(Plan::Exec(steps(scene, random)));
    }

    fn forget_watch(&mut self) {
        self.watch = None;
        self.watched.clear();
        self.reads.clear();
    }

    fn carry_out(&mut self, plan: Plan, scene: &mut Scene) -> Request {
        let link = self.link.unwrap_or(0);
        let random = &mut self.random;
        match plan {
            Plan::Watch(keys) => {
                let request = scene.watch(link, &keys);
                self.watch = op_of(&request);
                self.watched = keys;
                request
            }
            Plan::ReadWatched(keys) => {
                let request = scene.read(link, keys);
                self.reads.extend(op_of(&request));
                request
            }
            Plan::Read(keys) => scene.read(link, keys),
            Plan::Append(key) => scene.append(link, key, random),
            Plan::Unwatch => {
                self.forget_watch();
                scene.plain(&["UNWATCH"], Expect::Simple("OK"))
            }
            Plan::Exec(steps) => {
                let watches = self.watch.take().map(|id| (id, std::mem::take(&mut self.watched)));
                let reads = std::mem::take(&mut self.reads);
                scene.exec(link, &steps, watches.into_iter().collect(), reads, random)
            }
            Plan::Select(db) => scene.plain(&["SELECT", &db.to_string()], Expect::Simple("OK")),
            Plan::Rest(key) => scene.rest(key),
            Plan::Hello => scene.plain(&["HELLO", random.pick(&["2", "3"])], Expect::Any),
        }
    }

    /// Plans to read everything there is.
    pub(crate) fn audit(&mut self, scene: &Scene) {
        for (db, keys) in scene.all_keys().into_iter().enumerate() {
            self.planned.push_back(Plan::Select(db));
            self.planned.extend(keys.into_iter().map(|key| Plan::Read(vec![key])));
        }
        self.planned.push_back(Plan::Select(QUEUE_DB));
        self.planned.extend((0..scene.queues as Key).map(Plan::Rest));
    }
}

fn op_of(request: &Request) -> Option<OpId> {
    match request.about {
        About::Op(id) => Some(id),
        _ => None,
    }
}

/// The steps of a transaction.
fn steps(scene: &Scene, random: &mut Random) -> Vec<Step> {
    let step = |random: &mut Random| match random.below(10) {
        0 => Step::Ping,
        1 => Step::Append(scene.key_elsewhere(random)),
        2 => Step::Read(vec![scene.key_elsewhere(random)]),
        3..=5 => Step::Read(scene.some_keys(random)),
        _ => Step::Append(scene.key(random)),
    };
    (0..random.range(1, 5)).map(|_| step(random)).collect()
}

/// Encodes the commands of a request, simple ones sometimes as a line.
fn encode(request: &Request, random: &mut Random, out: &mut Vec<u8>) {
    for command in &request.commands {
        let plain = |word: &Vec<u8>| word.iter().all(u8::is_ascii_alphanumeric);
        if command.iter().all(plain) && random.chance(1, 4) {
            out.extend_from_slice(&command.join(&b' '));
            out.extend_from_slice(b"\r\n");
        } else {
            write_command(out, command);
        }
    }
}
