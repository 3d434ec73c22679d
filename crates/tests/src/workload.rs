//! Concurrent clients whose common history is checked, see [`crate::history`].

use crate::client::{Client, encode};
use crate::history::{Operation, Transaction, check};
use crate::value::Value;
use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Clients at work at the same time.
const CLIENTS: usize = 6;
/// Keys of a round: few enough that clients meet, enough to lie in several stores.
const KEYS: u32 = 6;
/// Length of a round; each begins with new keys, for each read returns the whole list.
const ROUND: Duration = Duration::from_millis(400);
/// Digits of a token in a list.
const DIGITS: usize = 8;

/// What a run did, for people.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    /// Histories checked.
    pub rounds: u64,
    /// Transactions in them.
    pub transactions: u64,
}

/// Runs clients against the server at `addresses` for `duration` and checks their histories. With
/// several addresses the clients are spread over them.
pub fn appends(addresses: &[SocketAddr], duration: Duration, seed: u64) -> Result<Summary> {
    let deadline = Instant::now() + duration;
    let mut summary = Summary::default();
    while summary.rounds == 0 || Instant::now() < deadline {
        let history = round(addresses, summary.rounds, seed)?;
        if let Err(why) = check(&history) {
            bail!("round {} of seed {seed} is not strictly serializable: {why}", summary.rounds);
        }
        summary.rounds += 1;
        summary.transactions += history.len() as u64;
    }
    Ok(summary)
}

fn round(addresses: &[SocketAddr], number: u64, seed: u64) -> Result<Vec<Transaction>> {
    let shared = Shared { clock: Instant::now(), tokens: AtomicU64::new(0), round: number };
    let histories = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let shared = &shared;
                let address = addresses[client % addresses.len()];
                let rng = StdRng::seed_from_u64(seed ^ number << 16 ^ (client as u64) << 8);
                scope.spawn(move || Worker::connect(client, address, rng, shared)?.work())
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("a client panicked")))
            .collect::<Result<Vec<_>>>()
    })?;
    let mut history = Vec::new();
    for mut transactions in histories {
        let first = history.len();
        for transaction in &mut transactions {
            transaction.after.iter_mut().for_each(|index| *index += first);
        }
        history.append(&mut transactions);
    }
    let mut last = Worker::connect(CLIENTS, addresses[0], StdRng::seed_from_u64(seed), &shared)?;
    last.run(vec![Request { reads: (0..KEYS).collect(), ..Request::default() }])?;
    history.append(&mut last.history);
    Ok(history)
}

struct Shared {
    clock: Instant,
    tokens: AtomicU64,
    round: u64,
}

struct Worker<'a> {
    number: usize,
    address: SocketAddr,
    client: Client,
    rng: StdRng,
    shared: &'a Shared,
    history: Vec<Transaction>,
}

/// One command, or one transaction, of a pipeline.
#[derive(Default)]
struct Request {
    /// Sent as MULTI … EXEC: these operations, reads with their tokens still empty.
    exec: Option<Vec<Operation>>,
    /// Otherwise an append …
    append: Option<(u32, u64)>,
    /// … or a GET of one key or an MGET of several.
    reads: Vec<u32>,
}

impl Request {
    fn keys(&self) -> Vec<u32> {
        let of = |operation: &Operation| match operation {
            Operation::Append { key, .. } | Operation::Read { key, .. } => *key,
        };
        match (&self.exec, self.append) {
            (Some(operations), _) => operations.iter().map(of).collect(),
            (None, Some((key, _))) => vec![key],
            (None, None) => self.reads.clone(),
        }
    }

    fn writes(&self) -> bool {
        self.append.is_some() || self.exec.is_some()
    }

    /// Commands that may touch several stores wait for all before them.
    fn is_barrier(&self) -> bool {
        self.exec.is_some() || self.reads.len() > 1
    }

    /// Whether the server must let this take effect before `later` of the same pipeline: a read
    /// of one key may be grouped with others, as long as it stays behind what concerns its key.
    fn comes_before(&self, later: &Request) -> bool {
        later.is_barrier()
            || self.writes() && later.writes()
            || self.keys().iter().any(|key| later.keys().contains(key))
    }
}

impl<'a> Worker<'a> {
    fn connect(
        number: usize,
        address: SocketAddr,
        rng: StdRng,
        shared: &'a Shared,
    ) -> Result<Self> {
        let client = Client::connect(address)?;
        Ok(Worker { number, address, client, rng, shared, history: Vec::new() })
    }

    fn work(mut self) -> Result<Vec<Transaction>> {
        while self.shared.clock.elapsed() < ROUND {
            match self.rng.random_range(0..100) {
                0 => self.give_up()?,
                1..40 => {
                    let request = self.request();
                    self.run(vec![request])?;
                }
                40..70 => {
                    let count = self.rng.random_range(2..10);
                    let requests = (0..count).map(|_| self.request()).collect();
                    self.run(requests)?;
                }
                _ => self.optimistic()?,
            }
        }
        Ok(self.history)
    }

    fn request(&mut self) -> Request {
        let several = self.rng.random_range(2..5);
        match self.rng.random_range(0..6) {
            0 | 1 => Request { append: Some((self.key(), self.token())), ..Request::default() },
            2 => Request { reads: vec![self.key()], ..Request::default() },
            3 => {
                Request { reads: (0..several).map(|_| self.key()).collect(), ..Request::default() }
            }
            _ => {
                let operations = (0..several).map(|_| self.operation()).collect();
                Request { exec: Some(operations), ..Request::default() }
            }
        }
    }

    fn operation(&mut self) -> Operation {
        let key = self.key();
        if self.rng.random() {
            Operation::Append { key, token: self.token() }
        } else {
            Operation::Read { key, tokens: Vec::new() }
        }
    }

    fn key(&mut self) -> u32 {
        self.rng.random_range(0..KEYS)
    }

    fn token(&self) -> u64 {
        self.shared.tokens.fetch_add(1, Ordering::Relaxed)
    }

    fn name(&self, key: u32) -> String {
        format!("list:{}:{key}", self.shared.round)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.shared.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Sends all requests in one write and records what they did.
    fn run(&mut self, requests: Vec<Request>) -> Result<()> {
        let mut frames = Vec::new();
        for request in &requests {
            self.encode(request, &mut frames);
        }
        let began = self.now();
        self.client.send_raw(&frames)?;
        let first = self.history.len();
        for (place, request) in requests.iter().enumerate() {
            let operations = self.replies(request)?;
            let before = requests[..place].iter().enumerate();
            let after = before.filter(|(_, earlier)| earlier.comes_before(request));
            let after = after.map(|(index, _)| first + index).collect();
            self.record(began, operations, after);
        }
        Ok(())
    }

    fn record(&mut self, began: u64, operations: Vec<Operation>, after: Vec<usize>) {
        let ended = self.now();
        self.history.push(Transaction { client: self.number, began, ended, operations, after });
    }

    fn encode(&self, request: &Request, frames: &mut Vec<u8>) {
        if let Some(operations) = &request.exec {
            encode(frames, &["MULTI"]);
            for operation in operations {
                self.encode_operation(operation, frames);
            }
            encode(frames, &["EXEC"]);
        } else if let Some((key, token)) = request.append {
            self.encode_operation(&Operation::Append { key, token }, frames);
        } else if let [key] = request.reads[..] {
            encode(frames, &["GET", &self.name(key)]);
        } else {
            let mut command = vec!["MGET".to_owned()];
            command.extend(request.reads.iter().map(|&key| self.name(key)));
            encode(frames, &command);
        }
    }

    fn encode_operation(&self, operation: &Operation, frames: &mut Vec<u8>) {
        match operation {
            Operation::Append { key, token } => {
                encode(frames, &["APPEND", &self.name(*key), &format!("{token:0DIGITS$}")]);
            }
            Operation::Read { key, .. } => encode(frames, &["GET", &self.name(*key)]),
        }
    }

    fn replies(&mut self, request: &Request) -> Result<Vec<Operation>> {
        if let Some(operations) = &request.exec {
            let done = self.exec_replies(operations)?;
            return done.context("EXEC without WATCH was refused");
        }
        let reply = self.client.read()?;
        if let Some((key, token)) = request.append {
            ensure!(reply.integer().is_some(), "APPEND was answered by {reply:?}");
            return Ok(vec![Operation::Append { key, token }]);
        }
        if let [key] = request.reads[..] {
            return Ok(vec![Operation::Read { key, tokens: tokens(&reply)? }]);
        }
        let values = reply.items().context("MGET")?;
        ensure!(values.len() == request.reads.len(), "MGET was answered by {reply:?}");
        let pairs = request.reads.iter().zip(values);
        pairs.map(|(&key, value)| Ok(Operation::Read { key, tokens: tokens(value)? })).collect()
    }

    /// The replies of MULTI, of what it queued and of EXEC; `None` if EXEC did nothing.
    fn exec_replies(&mut self, operations: &[Operation]) -> Result<Option<Vec<Operation>>> {
        let multi = self.client.read()?;
        ensure!(multi.is_ok(), "MULTI was answered by {multi:?}");
        for _ in operations {
            let queued = self.client.read()?;
            ensure!(queued.text() == "QUEUED", "queueing was answered by {queued:?}");
        }
        let reply = self.client.read()?;
        if reply == Value::Null {
            return Ok(None);
        }
        let replies = reply.items().with_context(|| format!("EXEC was answered by {reply:?}"))?;
        ensure!(replies.len() == operations.len(), "EXEC was answered by {reply:?}");
        let done = operations.iter().zip(replies).map(|(operation, reply)| {
            Ok(match operation {
                Operation::Append { .. } => operation.clone(),
                Operation::Read { key, .. } => {
                    Operation::Read { key: *key, tokens: tokens(reply)? }
                }
            })
        });
        done.collect::<Result<Vec<_>>>().map(Some)
    }

    /// Begins a transaction and leaves without EXEC: nobody may ever see its tokens.
    fn give_up(&mut self) -> Result<()> {
        let mut frames = Vec::new();
        encode(&mut frames, &["WATCH", &self.name(0)]);
        encode(&mut frames, &["MULTI"]);
        for key in 0..KEYS {
            self.encode_operation(&Operation::Append { key, token: self.token() }, &mut frames);
        }
        self.client.send_raw(&frames)?;
        if self.rng.random() {
            self.client.reset_on_drop()?;
        }
        self.client = Client::connect(self.address)?;
        Ok(())
    }

    /// Watches some keys, reads them, and appends to others if nothing has changed: what was read
    /// then belongs to the transaction, and write skew would show as a cycle.
    fn optimistic(&mut self) -> Result<()> {
        let watched = [self.key(), self.key()];
        let mut command = vec!["WATCH".to_owned()];
        command.extend(watched.map(|key| self.name(key)));
        let reply = self.client.call(&command)?;
        ensure!(reply.is_ok(), "WATCH was answered by {reply:?}");
        let mut operations = Vec::new();
        for key in watched {
            let began = self.now();
            let reply = self.client.call(&["GET", &self.name(key)])?;
            let read = Operation::Read { key, tokens: tokens(&reply)? };
            self.record(began, vec![read.clone()], Vec::new());
            operations.push(read);
        }
        let wanted: Vec<Operation> = (0..2).map(|_| self.operation()).collect();
        let mut frames = Vec::new();
        self.encode(&Request { exec: Some(wanted.clone()), ..Request::default() }, &mut frames);
        let began = self.now();
        self.client.send_raw(&frames)?;
        if let Some(mut done) = self.exec_replies(&wanted)? {
            operations.append(&mut done);
            self.record(began, operations, Vec::new());
        }
        Ok(())
    }
}

fn tokens(value: &Value) -> Result<Vec<u64>> {
    let text = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Bulk(text) => std::str::from_utf8(text)?,
        other => bail!("a list was answered by {other:?}"),
    };
    ensure!(text.len().is_multiple_of(DIGITS), "half a token in {text:?}");
    let parts = (0..text.len()).step_by(DIGITS).map(|at| &text[at..at + DIGITS]);
    parts.map(|part| Ok(part.parse()?)).collect()
}
