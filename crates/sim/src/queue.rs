//! Queues: lists to which clients push and from which others pop, most of them waiting.

use crate::ask::{About, Command, Expect, Request};
use crate::history::{End, Key, NEVER, QueueOp, QueueWork};
use crate::random::Random;
use crate::scene::Scene;
use crate::token::{self, Token};

/// The database of the queues.
pub(crate) const QUEUE_DB: usize = 4;

/// Index into [`crate::history::History::queue`].
pub(crate) type QueueId = usize;

impl Scene {
    fn queue_name(&self, key: Key) -> Vec<u8> {
        format!("queue:{key}:{}", self.salt()).into_bytes()
    }

    fn queue_op(&mut self, work: QueueWork) -> QueueId {
        self.history.queue.push(QueueOp {
            invoke: self.step,
            complete: NEVER,
            invoke_ms: self.now_ms,
            complete_ms: i64::MAX,
            end: End::Open,
            waited: None,
            unblocked: false,
            work,
        });
        self.history.queue.len() - 1
    }

    fn queue_request(&mut self, work: QueueWork, parts: Vec<Part>) -> Request {
        let (commands, expects) = parts.into_iter().unzip();
        let id = self.queue_op(work);
        self.request(About::Queue(id), commands, expects)
    }

    fn queue(&self, random: &mut Random) -> Key {
        random.below(self.queues) as Key
    }

    fn push_part(&mut self, key: Key, pushed: &mut Vec<(Key, Token)>, random: &mut Random) -> Part {
        let mut command = vec![b"RPUSH".to_vec(), self.queue_name(key)];
        for _ in 0..random.range(1, 3) {
            let token = self.token();
            pushed.push((key, token));
            command.push(token::write(token, self.filling(random)));
        }
        (command, Expect::Count)
    }

    /// Appends to one queue, or to several in a transaction.
    pub(crate) fn push(&mut self, random: &mut Random) -> Request {
        let mut pushed = Vec::new();
        if random.chance(2, 3) {
            let key = self.queue(random);
            let part = self.push_part(key, &mut pushed, random);
            return self.queue_request(QueueWork::Push(pushed), vec![part]);
        }
        let mut parts = vec![(vec![b"MULTI".to_vec()], Expect::Simple("OK"))];
        let mut replies = Vec::new();
        for _ in 0..random.range(1, 3) {
            let key = self.queue(random);
            let (command, expect) = self.push_part(key, &mut pushed, random);
            parts.push((command, Expect::Simple("QUEUED")));
            replies.push(expect);
        }
        parts.push((vec![b"EXEC".to_vec()], Expect::Transaction(replies)));
        self.queue_request(QueueWork::Push(pushed), parts)
    }

    /// Takes the first element of a queue, waiting for it or not, and maybe appends it to another.
    pub(crate) fn pop(&mut self, random: &mut Random) -> Request {
        let mut keys = vec![self.queue(random)];
        let wait_ms = random.pick(&[0, 1, 20, 300, 3_000, 3_000]);
        let to = random.chance(1, 3).then(|| self.queue(random));
        if wait_ms > 0 && to.is_none() && random.chance(1, 3) {
            keys.push(self.queue(random));
        }
        let names: Vec<Vec<u8>> = keys.iter().map(|&key| self.queue_name(key)).collect();
        let timeout = format!("{}.{:03}", wait_ms / 1000, wait_ms % 1000).into_bytes();
        let word = |text: &str| text.as_bytes().to_vec();
        let mut command: Command = vec![word(match (wait_ms, to) {
            (0, None) => "LPOP",
            (0, Some(_)) => "LMOVE",
            (_, None) => "BLPOP",
            (_, Some(_)) => "BLMOVE",
        })];
        command.extend(names.iter().cloned());
        if let Some(to) = to {
            command.extend([self.queue_name(to), word("LEFT"), word("RIGHT")]);
        }
        if wait_ms > 0 {
            command.push(timeout);
        }
        let named = keys.iter().copied().zip(names).collect();
        let expect = if wait_ms > 0 && to.is_none() {
            Expect::Popped(named)
        } else {
            Expect::Taken(keys[0])
        };
        let wait_ms = (wait_ms > 0).then_some(wait_ms as i64);
        let work = QueueWork::Pop { keys, wait_ms, to, got: None };
        self.queue_request(work, vec![(command, expect)])
    }

    /// Reads what is left in a queue.
    pub(crate) fn rest(&self, key: Key) -> Request {
        let command = vec![b"LRANGE".to_vec(), self.queue_name(key), b"0".to_vec(), b"-1".to_vec()];
        self.request(About::Rest(key), vec![command], vec![Expect::Tokens])
    }

    /// Records how an operation ended.
    pub(crate) fn queue_answered(&mut self, id: QueueId, taken: Option<(Key, Token)>) {
        let op = &mut self.history.queue[id];
        op.complete = self.step;
        op.complete_ms = self.now_ms;
        op.end = End::Done;
        if let QueueWork::Pop { got, .. } = &mut op.work {
            *got = taken;
        }
    }

    /// The server says that the client of this operation waits.
    pub(crate) fn queue_waits(&mut self, id: QueueId) {
        let op = &mut self.history.queue[id];
        op.waited = op.waited.or(Some(self.step));
    }
}

/// A command and what its reply must be.
type Part = (Command, Expect);
