//! What both drivers do alike: turns of the service, new connections, sleeping and ending.

use crate::doorbell::Doorbell;
use crate::incoming::Incoming;
use crate::listen::Source;
use crate::pending::Pool;
use crate::shared::{Phase, Seat};
use kevy_shard::service::{Action, ConnId, Event, Now, Service, Wait};
use rustix::net::SendFlags;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long accepting rests after the process or the machine ran out of something.
pub(crate) const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How long outputs may take to leave once the service has finished.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Something to tell the service; the bytes of `Received` are the driver's, by range or index.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    Received(ConnId, usize, usize),
    EndOfStream(ConnId),
    Failed(ConnId),
    Sent(ConnId, usize),
}

/// How long a thread may sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sleep {
    /// Not at all.
    No,
    /// So long; `None` is for ever.
    For(Option<Duration>),
}

/// The part of a driver that does not depend on how I/O is done.
pub(crate) struct Core<S: Service> {
    pub(crate) service: S,
    pub(crate) seat: Seat,
    pub(crate) pool: Pool<S::Body>,
    pub(crate) happenings: Vec<Happening>,
    /// What happened since the last turn must not wait for something else to happen.
    pub(crate) urgent: bool,
    now: Now,
    phase: Phase,
    events: Vec<Event<'static>>,
    actions: Vec<Action>,
    given: Vec<Incoming>,
    accept_failing: bool,
    /// The bell has rung and the post has not been looked at.
    rung: bool,
    /// When an ending thread gives up on outputs that do not leave, in `mono_ns`.
    deadline: Option<u64>,
}

impl<S: Service> Core<S> {
    pub(crate) fn new(service: S, seat: Seat) -> Self {
        let now = seat.shared.clock.now();
        Self {
            service,
            pool: Pool::new(),
            happenings: Vec::new(),
            urgent: true,
            now,
            phase: seat.shared.phase(),
            events: Vec::new(),
            actions: Vec::new(),
            given: Vec::new(),
            accept_failing: false,
            rung: true,
            deadline: None,
            seat,
        }
    }

    pub(crate) const fn now_ns(&self) -> u64 {
        self.now.mono_ns
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the thread is on its way out: the service is not asked any more.
    pub(crate) const fn ending(&self) -> bool {
        self.deadline.is_some()
    }

    /// Begins the end, once. Returns whether this was the moment.
    pub(crate) fn begin_end(&mut self) -> bool {
        if self.ending() || !self.service.finished() {
            return false;
        }
        self.deadline = Some(self.now.mono_ns + LAST_WORDS.as_nanos() as u64);
        true
    }

    /// Whether the loop is over, given the connections left.
    pub(crate) fn over(&self, connections: usize) -> bool {
        self.phase == Phase::Failed
            || self.deadline.is_some_and(|end| connections == 0 || self.now.mono_ns >= end)
    }

    /// Runs a turn of the service on what has happened. `bytes` finds the bytes of a `Received`.
    pub(crate) fn turn<'a>(&mut self, bytes: impl Fn(usize, usize) -> &'a [u8]) {
        self.urgent = false;
        if self.ending() {
            self.happenings.clear();
            return;
        }
        let mut events: Vec<Event<'a>> = std::mem::take(&mut self.events);
        events.extend(self.happenings.drain(..).map(|happening| match happening {
            Happening::Received(conn, at, length) => Event::Received(conn, bytes(at, length)),
            Happening::EndOfStream(conn) => Event::EndOfStream(conn),
            Happening::Failed(conn) => Event::Failed(conn),
            Happening::Sent(conn, count) => Event::Sent(conn, count),
        }));
        self.service.turn(&self.now, &events);
        self.events = emptied(events);
    }

    /// The service's actions since the last turn. Give the list back with [`Core::done`].
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        let mut actions = std::mem::take(&mut self.actions);
        if !self.ending() {
            self.service.actions(&mut actions);
        }
        actions
    }

    pub(crate) fn done(&mut self, mut actions: Vec<Action>) {
        actions.clear();
        self.actions = actions;
    }

    /// Reads the clocks; looks at the post if the bell has rung.
    pub(crate) fn look_around(&mut self) {
        self.now = self.seat.shared.clock.now();
        let post = self.seat.shared.post(self.seat.thread);
        if post.bell.rung() || std::mem::take(&mut self.rung) {
            self.phase = self.seat.shared.phase();
            post.collect(&mut self.given);
        }
    }

    /// The next connection that another thread has accepted for this one.
    pub(crate) fn next_given(&mut self) -> Option<Incoming> {
        self.given.pop()
    }

    /// Takes in an accepted connection. Returns it if it is this thread's.
    pub(crate) fn accepted(&mut self, socket: OwnedFd, source: &Source) -> Option<Incoming> {
        if self.accept_failing {
            self.accept_failing = false;
            tracing::info!("accepting connections again");
        }
        let shared = &self.seat.shared;
        // It fails for a peer that has gone already: nothing to do, nobody to tell.
        let incoming = Incoming::new(socket, source, shared.control.tcp_keepalive()).ok()?;
        shared.distribute(self.seat.thread, incoming)
    }

    /// Accepting has failed. Returns whether it must rest before the next try: after a failure
    /// that is not about the one connection, trying again at once would only spin.
    pub(crate) fn accept_failed(&mut self, error: &io::Error) -> bool {
        use rustix::io::Errno;
        let passing = [Errno::CONNABORTED, Errno::INTR, Errno::AGAIN, Errno::CANCELED];
        if Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno)) {
            return false;
        }
        if !self.accept_failing {
            self.accept_failing = true;
            tracing::warn!("cannot accept connections: {error}");
        }
        true
    }

    /// Introduces a connection to the service. Says its last words and drops it if refused.
    pub(crate) fn introduce(&mut self, incoming: Incoming) -> Option<(ConnId, OwnedFd)> {
        let Incoming { socket, peer } = incoming;
        if !self.ending() {
            match self.service.connect(peer) {
                Ok(id) => return Some((id, socket)),
                Err(words) => {
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    // Best effort: a peer that does not take them gets none.
                    let _ = rustix::net::send(&socket, &words, flags);
                }
            }
        }
        self.seat.shared.control.retire(self.seat.thread);
        None
    }

    /// A connection's descriptor is closed.
    pub(crate) fn closed(&mut self, id: ConnId) {
        self.seat.shared.control.retire(self.seat.thread);
        self.service.closed(id);
    }

    /// How long the thread may sleep, if the driver has nothing left to do and wants to be back
    /// at `until` (in `mono_ns`).
    pub(crate) fn may_sleep(&self, until: Option<u64>) -> Sleep {
        let wait = if self.ending() { Wait::Forever } else { self.service.wait() };
        let service = match wait {
            Wait::Now => return Sleep::No,
            Wait::Until(at) => Some(at),
            Wait::Forever => None,
        };
        match [service, until, self.deadline].into_iter().flatten().min() {
            None => Sleep::For(None),
            Some(at) if at <= self.now.mono_ns => Sleep::No,
            Some(at) => Sleep::For(Some(Duration::from_nanos(at - self.now.mono_ns))),
        }
    }

    /// Announces that the thread is about to sleep. `false`: something has arrived, so it must
    /// not. From now on whoever leaves something for the service rings the bell.
    pub(crate) fn before_sleep(&mut self) -> bool {
        self.ending() || self.service.before_sleep()
    }

    /// Whether the bell has rung since the thread last looked around.
    pub(crate) fn is_rung(&self) -> bool {
        self.bell().is_rung()
    }

    /// The last step before waiting. `false`: the bell has rung.
    pub(crate) fn lie_down(&self) -> bool {
        self.bell().lie_down()
    }

    /// The first step after waiting.
    pub(crate) fn get_up(&mut self) {
        self.rung |= self.bell().get_up();
    }

    /// Takes the announcement back.
    pub(crate) fn after_sleep(&mut self) {
        if !self.ending() {
            self.service.after_sleep();
        }
    }

    fn bell(&self) -> &Doorbell {
        &self.seat.shared.post(self.seat.thread).bell
    }
}

/// The same list without its elements, free of their lifetime. The allocation is kept.
fn emptied<'a>(mut events: Vec<Event<'_>>) -> Vec<Event<'a>> {
    events.clear();
    events.into_iter().map(|_| unreachable!("the list is empty")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_list_keeps_its_memory() {
        let bytes = vec![1, 2, 3];
        let id = ConnId { slot: 0, generation: 0 };
        let mut events = Vec::with_capacity(100);
        events.push(Event::Received(id, &bytes));
        let events: Vec<Event<'static>> = emptied(events);
        assert_eq!((events.len(), events.capacity()), (0, 100));
    }
}
