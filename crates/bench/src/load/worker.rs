//! One thread of a load: waits for sockets, counts replies, sends what comes next.

use super::connection::{Connection, receive_some};
use super::schedule::Schedule;
use super::{Extent, Phase, Plan, Share, Shared, latency_histogram};
use crate::client::Client;
use crate::keys::KeySource;
use crate::process;
use crate::template::{Sequence, Sheet};
use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Room for replies of one receive: several large values, and little enough for the cache.
const BUFFER: usize = 256 * 1024;
/// The longest wait, after which the phase is looked at again.
const LONGEST_WAIT_NS: u64 = 20_000_000;
/// Waits that are shorter are spent polling, for a sleeping thread comes back later than that.
const SHORTEST_SLEEP_NS: u64 = 60_000;

/// A thread before and while it runs.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    thread: usize,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Their tokens follow those of `connections`.
    subscribers: Vec<OwnedFd>,
    sheets: Vec<Sheet>,
    /// Replies of each operation, if they are the same for all.
    replies_each: Option<u32>,
    pipeline: usize,
    keys: KeySource,
    sequence: Sequence,
    schedule: Option<Schedule>,
    /// Index of the next operation of the schedule to become due.
    next_due: u64,
    /// Operations that may still be started.
    quota: u64,
    in_flight: u64,
    completed: u64,
    started: Instant,
    latency: Histogram<u64>,
    buffer: Vec<u8>,
}

impl<'a> Worker<'a> {
    /// Connects. Thread `thread` of `threads` gets its share of connections, operations and rate.
    pub(super) fn new(
        plan: &Plan,
        shared: &'a Shared,
        thread: usize,
        threads: usize,
    ) -> Result<Self> {
        let seed = plan.seed.wrapping_add(thread as u64);
        let sheets = plan.workload.sheets(plan.pipeline, plan.keyspace, seed);
        let own = |count: usize| (thread..count).step_by(threads);
        let connect = |index: usize| -> Result<OwnedFd> {
            let target = &plan.targets[index % plan.targets.len()];
            Client::connect(target, &plan.greeting)?.into_nonblocking()
        };
        let connections = own(plan.connections)
            .map(|index| Ok(Connection::new(connect(index)?, index % sheets.len())))
            .collect::<Result<Vec<_>>>()?;
        let subscribers = own(plan.subscribers)
            .map(|index| {
                let target = &plan.targets[index % plan.targets.len()];
                let mut client = Client::connect(target, &plan.greeting)?;
                client.subscribe("channel")?;
                client.into_nonblocking()
            })
            .collect::<Result<Vec<_>>>()?;
        let schedule =
            plan.rate.map(|rate| Schedule::new(rate / threads as f64, connections.len()));
        let worker = Self {
            shared,
            thread,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections,
            subscribers,
            replies_each: equal_replies(&sheets),
            sheets,
            pipeline: plan.pipeline.max(1),
            keys: KeySource::new(plan.distribution, plan.keyspace, seed),
            sequence: Sequence::new(plan.first_sequence + thread as u64, threads as u64),
            schedule,
            next_due: 0,
            quota: quota(plan.extent, thread as u64, threads as u64),
            in_flight: 0,
            completed: 0,
            started: Instant::now(),
            latency: latency_histogram()?,
            buffer: vec![0; BUFFER],
        };
        worker.register()?;
        Ok(worker)
    }

    fn register(&self) -> Result<()> {
        let sockets = self.connections.iter().map(|c| &c.socket).chain(&self.subscribers);
        for (token, socket) in sockets.enumerate() {
            let data = epoll::EventData::new_u64(token as u64);
            epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    /// Runs until the load is over.
    pub(super) fn run(mut self, core: Option<usize>) -> Result<Share> {
        let prepared = prepare_thread(core);
        self.shared.start.wait();
        prepared?;
        self.started = Instant::now();
        if self.schedule.is_none() {
            for index in 0..self.connections.len() {
                self.send_pipeline(index, self.now())?;
            }
        }
        let capacity = self.connections.len() + self.subscribers.len();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(capacity.clamp(1, 256));
        while !self.over() {
            let wait = self.send_due()?;
            events.clear();
            let wait = Timespec { tv_sec: 0, tv_nsec: wait.try_into()? };
            let spare = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, spare, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                self.handle(event.data.u64() as usize, event.flags)?;
            }
        }
        Ok(self.share())
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    fn over(&self) -> bool {
        self.shared.is(Phase::Over) || (self.quota == 0 && self.in_flight == 0)
    }

    fn handle(&mut self, token: usize, flags: epoll::EventFlags) -> Result<()> {
        if token >= self.connections.len() {
            let subscriber = &self.subscribers[token - self.connections.len()];
            receive_some(subscriber, &mut self.buffer)?;
            return Ok(());
        }
        if flags.contains(epoll::EventFlags::OUT) {
            self.connections[token].flush()?;
            self.watch_writable(token)?;
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
        {
            self.receive(token)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let done = connection.receive(&mut self.buffer, &self.sheets, self.replies_each)?;
        if done == 0 {
            return Ok(());
        }
        self.in_flight -= done as u64;
        self.completed += done as u64;
        self.shared.completed[self.thread].0.store(self.completed, Ordering::Relaxed);
        let now = self.now();
        if self.shared.is(Phase::Measured) {
            self.record(index, done, now);
        }
        if self.schedule.is_some() {
            self.send_what_is_due(index)
        } else if self.connections[index].in_flight == 0 {
            self.send_pipeline(index, now)
        } else {
            Ok(())
        }
    }

    fn record(&mut self, index: usize, done: usize, now: u64) {
        let connection = &self.connections[index];
        let Some(schedule) = &self.schedule else {
            self.latency.saturating_record_n(now - connection.sent_ns, done as u64);
            return;
        };
        for nth in connection.completed - done as u64..connection.completed {
            let due = schedule.due_on_connection_ns(index, nth);
            self.latency.saturating_record(now.saturating_sub(due));
        }
    }

    /// Closed loop: sends the next pipeline of a connection that has nothing in flight.
    fn send_pipeline(&mut self, index: usize, now: u64) -> Result<()> {
        let count = (self.pipeline as u64).min(self.quota) as usize;
        if count == 0 {
            return Ok(());
        }
        self.quota -= count as u64;
        self.connections[index].sent_ns = now;
        self.send(index, count)
    }

    /// Open loop: hands what has become due to its connections and returns for how many
    /// nanoseconds nothing else will.
    fn send_due(&mut self) -> Result<u64> {
        let Some(schedule) = self.schedule else {
            return Ok(LONGEST_WAIT_NS);
        };
        let now = self.now();
        while self.quota > 0 && schedule.due_ns(self.next_due) <= now {
            let index = schedule.connection(self.next_due);
            self.next_due += 1;
            self.quota -= 1;
            self.connections[index].due += 1;
            self.send_what_is_due(index)?;
        }
        let left = schedule.due_ns(self.next_due).saturating_sub(now);
        Ok(if left < SHORTEST_SLEEP_NS {
            0
        } else {
            (left - SHORTEST_SLEEP_NS).min(LONGEST_WAIT_NS)
        })
    }

    /// Open loop: sends as much of what is due as the pipeline has room for.
    fn send_what_is_due(&mut self, index: usize) -> Result<()> {
        loop {
            let connection = &self.connections[index];
            let started = connection.completed + connection.in_flight as u64;
            let count = ((connection.due - started) as usize)
                .min(self.pipeline - connection.in_flight.min(self.pipeline))
                .min(self.sheets[connection.sending.sheet].operations() - connection.sending.slot);
            if count == 0 {
                return Ok(());
            }
            self.send(index, count)?;
        }
    }

    /// Sends `count` operations, which the sheet under way still has.
    fn send(&mut self, index: usize, count: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let from = connection.sending.slot;
        let sheet = &mut self.sheets[connection.sending.sheet];
        let bytes = sheet.patched(from, from + count, &mut self.keys, &mut self.sequence);
        connection.send(bytes)?;
        connection.in_flight += count;
        connection.sending.advance(count, &self.sheets);
        self.in_flight += count as u64;
        self.watch_writable(index)
    }

    /// Asks the poller about room for writing exactly while something is unsent.
    fn watch_writable(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let wanted = connection.has_unsent();
        if wanted != connection.awaits_writable {
            connection.awaits_writable = wanted;
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, wanted);
            let data = epoll::EventData::new_u64(index as u64);
            epoll::modify(&self.epoll, &connection.socket, data, flags)?;
        }
        Ok(())
    }

    fn share(self) -> Share {
        let scanners = || self.connections.iter().map(Connection::scanner);
        Share {
            errors: scanners().map(|scanner| scanner.errors()).sum(),
            first_error: scanners().find_map(|scanner| scanner.first_error()).map(str::to_owned),
            latency: self.latency,
        }
    }
}

fn prepare_thread(core: Option<usize>) -> Result<()> {
    if let Some(core) = core {
        process::pin(&[core])?;
    }
    // Waits are to end when they are meant to, not up to 50 µs later.
    rustix::thread::set_current_timer_slack(std::num::NonZero::new(1)).context("timer slack")
}

fn equal_replies(sheets: &[Sheet]) -> Option<u32> {
    let first = sheets.first()?.replies(0);
    let mut all =
        sheets.iter().flat_map(|sheet| (0..sheet.operations()).map(|slot| sheet.replies(slot)));
    all.all(|replies| replies == first).then_some(first)
}

fn quota(extent: Extent, thread: u64, threads: u64) -> u64 {
    match extent {
        Extent::Operations(count) => count / threads + u64::from(thread < count % threads),
        Extent::Time { .. } => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_add_up() {
        for (count, threads) in [(0, 1), (1, 3), (10, 3), (1_000_000, 7)] {
            let sum: u64 = (0..threads).map(|t| quota(Extent::Operations(count), t, threads)).sum();
            assert_eq!(sum, count);
        }
    }
}
