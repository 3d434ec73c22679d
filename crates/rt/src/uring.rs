//! The io_uring driver: one system call submits everything and waits.

use crate::connection::{Connection, Lane, Life, Table, target};
use crate::core::{ACCEPT_REST, Core, Happening, Sleep};
use crate::incoming::Incoming;
use crate::intake::{BULK_ARMS, Intake, Place, Receive, share};
use crate::listen::{Listener, Source};
use crate::pending::Pending;
use crate::shared::{Phase, Seat};
use kevy_shard::Credit;
use kevy_shard::service::{ConnId, Service};
use kevy_uring::{Buffer, Completion, Descriptor, OpId, Received, Ring, SendMode, Token};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

/// Completions taken in for one turn at most.
const TURN_COMPLETIONS: usize = 512;
/// Bytes received for one turn at most (and one buffer more).
const TURN_BYTES: usize = 512 * 1024;

/// Tokens of what is not a connection have this slot and tell by their generation what they are:
/// the bell or the listener of that index.
const OWN: u32 = u32::MAX;
const BELL: Token = Token { slot: OWN, generation: u32::MAX };

type Conn<B> = Connection<B, Intake, OpId>;

/// A listener and its multishot accept.
struct Accepting {
    socket: Descriptor,
    source: Source,
    armed: Option<OpId>,
    /// Not to be armed before (in `mono_ns`).
    rest_until: Option<u64>,
}

pub(crate) struct UringDriver<S: Service> {
    core: Core<S>,
    ring: Ring<Pending<S::Body>>,
    table: Table<Conn<S::Body>>,
    /// Connections with something to arm, send or close; each once (`Connection::queued`).
    ready: Vec<ConnId>,
    /// Connections that wait to receive in bulk (`Receive::Waiting`).
    line: VecDeque<ConnId>,
    /// Number of the turn.
    turn: u64,
    completions: Vec<Completion<Pending<S::Body>>>,
    /// Buffers on loan for the turn; all of them return to the kernel at its end.
    buffers: Vec<Buffer>,
    listeners: Vec<Accepting>,
    bell: Descriptor,
    bell_armed: bool,
    /// How long to look out before going to sleep, and whether that pays.
    lookout: (Duration, Credit),
    /// The turn had something to tell the service.
    flowing: bool,
}

const fn token(id: ConnId) -> Token {
    Token { slot: id.slot, generation: id.generation }
}

const fn conn(token: Token) -> ConnId {
    ConnId { slot: token.slot, generation: token.generation }
}

impl<S: Service> UringDriver<S> {
    pub(crate) fn new(
        service: S,
        mut seat: Seat,
        ring: Ring<Pending<S::Body>>,
        spin: Duration,
    ) -> io::Result<Self> {
        let accepting = |listener: Listener| Accepting {
            socket: Rc::new(listener.socket),
            source: listener.source,
            armed: None,
            rest_until: None,
        };
        let listeners = std::mem::take(&mut seat.listeners).into_iter().map(accepting).collect();
        let bell = Rc::new(seat.shared.post(seat.thread).bell.listen()?);
        Ok(Self {
            core: Core::new(service, seat),
            ring,
            table: Table::new(),
            ready: Vec::new(),
            line: VecDeque::new(),
            turn: 0,
            completions: Vec::new(),
            buffers: Vec::new(),
            listeners,
            bell,
            bell_armed: false,
            lookout: (spin, Credit::default()),
            flowing: false,
        })
    }

    /// Runs until the service has finished. Fails only if the ring itself does.
    pub(crate) fn run(mut self) -> io::Result<()> {
        loop {
            self.core.look_around();
            self.collect();
            while let Some(incoming) = self.core.next_given() {
                self.admit(incoming);
            }
            self.turn();
            if self.core.begin_end() {
                self.drain_all();
            }
            if self.core.over(self.table.len()) {
                return Ok(());
            }
            self.settle_all()?;
            self.wait()?;
        }
    }

    /// Takes in what the kernel has done.
    fn collect(&mut self) {
        self.turn += 1;
        let mut completions = std::mem::take(&mut self.completions);
        self.ring.reap(TURN_COMPLETIONS, TURN_BYTES, &mut completions);
        for completion in completions.drain(..) {
            match completion {
                Completion::Received { token, result, more } => self.received(token, result, more),
                Completion::Sent { token, payload, result } => self.sent(token, payload, result),
                Completion::Accepted { token, result, more } => self.accepted(token, result, more),
                Completion::Polled { more, .. } => {
                    self.core.seat.shared.post(self.core.seat.thread).bell.quiet();
                    self.bell_armed = more;
                }
            }
        }
        self.completions = completions;
    }

    fn received(&mut self, token: Token, result: Received, more: bool) {
        let id = conn(token);
        // A completion of a connection that is gone: its buffer returns as it is dropped here.
        let Some(conn) = self.table.get_mut(id) else { return };
        let open = conn.life == Life::Open;
        let mut place = Place::Back;
        match result {
            Received::Data(buffer) => {
                let share = share(self.ring.buffers().count());
                if conn.receive.note(&buffer, self.turn, share) {
                    queue(&mut self.ready, conn, id);
                }
                if open {
                    let happening = Happening::Received(id, self.buffers.len(), 0);
                    self.core.happenings.push(happening);
                    self.buffers.push(buffer);
                }
            }
            Received::EndOfStream => {
                conn.receive.state = Receive::Ended;
                if open {
                    self.core.happenings.push(Happening::EndOfStream(id));
                }
            }
            // Nothing is lost: whatever comes waits in the socket until the next receive.
            Received::NoBuffers => place = conn.receive.ran_out(self.turn),
            Received::Cancelled => {}
            Received::Failed(error) => {
                conn.receive.state = Receive::Ended;
                tracing::debug!("receiving from {id:?}: {error}");
                if conn.fail() {
                    self.core.happenings.push(Happening::Failed(id));
                }
            }
        }
        if !more {
            if conn.receive.state != Receive::Ended {
                conn.receive.state = Receive::Idle;
                if conn.receive.bulk {
                    line_up(&mut self.line, conn, id, place);
                } else if place == Place::Front
                    && receiving(conn)
                    && let Ok(op) = self.ring.receive(&conn.socket, token)
                {
                    // Before whatever the others are about to submit.
                    conn.receive.arm(op, self.turn);
                }
            }
            queue(&mut self.ready, conn, id);
        }
    }

    fn sent(
        &mut self,
        token: Token,
        mut payload: Box<Pending<S::Body>>,
        result: io::Result<usize>,
    ) {
        let id = conn(token);
        let Some(conn) = self.table.get_mut(id) else { return self.core.pool.give(payload) };
        conn.lane = Lane::Idle;
        match result {
            Ok(count) => {
                payload.advance(count);
                self.core.happenings.push(Happening::Sent(id, count));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::debug!("sending to {id:?}: {error}");
                if conn.fail() {
                    self.core.happenings.push(Happening::Failed(id));
                }
            }
        }
        if payload.left() > 0 && conn.life < Life::Doomed && conn.life != Life::Failed {
            conn.lane = Lane::Blocked(payload);
        } else {
            self.core.pool.give(payload);
        }
        if !matches!(conn.lane, Lane::Idle) || conn.announced || conn.life != Life::Open {
            queue(&mut self.ready, conn, id);
        }
    }

    fn accepted(&mut self, token: Token, result: io::Result<OwnedFd>, more: bool) {
        let Some(listener) = self.listeners.get_mut(token.generation as usize) else { return };
        if !more {
            listener.armed = None;
        }
        match result {
            Ok(socket) => {
                if let Some(incoming) = self.core.accepted(socket, &listener.source) {
                    self.admit(incoming);
                }
            }
            Err(error) => {
                if self.core.accept_failed(&error) {
                    let until = self.core.now_ns() + ACCEPT_REST.as_nanos() as u64;
                    listener.rest_until = Some(until);
                }
            }
        }
    }

    fn admit(&mut self, incoming: Incoming) {
        let Some((id, socket)) = self.core.introduce(incoming) else { return };
        if self.table.insert(id, Connection::new(socket, Intake::new())).is_err() {
            tracing::error!("the service named a new connection like an old one: {id:?}");
            return;
        }
        if let Some(conn) = self.table.get_mut(id) {
            queue(&mut self.ready, conn, id);
        }
    }

    fn turn(&mut self) {
        self.flowing |= !self.core.happenings.is_empty();
        let buffers = &self.buffers;
        self.core.turn(|at, _| &buffers[at]);
        self.buffers.clear();
        let actions = self.core.actions();
        for &action in &actions {
            let id = target(action);
            if let Some(conn) = self.table.get_mut(id) {
                conn.apply(action);
                queue(&mut self.ready, conn, id);
            }
        }
        self.core.done(actions);
    }

    /// Closes every connection once its output has left.
    fn drain_all(&mut self) {
        for id in self.table.ids() {
            if let Some(conn) = self.table.get_mut(id) {
                conn.life = conn.life.max(Life::Draining);
                queue(&mut self.ready, conn, id);
            }
        }
    }

    /// Visits the ready set until it is empty or the kernel takes no more.
    fn settle_all(&mut self) -> io::Result<()> {
        self.settle_own();
        loop {
            let mut rest = 0;
            for at in 0..self.ready.len() {
                let id = self.ready[at];
                if !self.settle(id) {
                    self.ready[rest] = id;
                    rest += 1;
                }
            }
            self.ready.truncate(rest);
            // What the queue had no room for stays in the ready set.
            if rest == 0 || self.ring.submit()? == 0 {
                break;
            }
        }
        self.serve_line();
        Ok(())
    }

    /// Arms the first of those that wait to receive in bulk.
    fn serve_line(&mut self) {
        for _ in 0..self.line.len().min(BULK_ARMS) {
            let Some(id) = self.line.pop_front() else { return };
            let Some(conn) = self.table.get_mut(id) else { continue };
            conn.receive.state = Receive::Idle;
            if !receiving(conn) {
                continue;
            }
            match self.ring.receive_bulk(&conn.socket, token(id)) {
                Ok(op) => conn.receive.arm(op, self.turn),
                Err(_) => line_up(&mut self.line, conn, id, Place::Front),
            }
        }
    }

    /// Arms the bell and the listeners. What finds no room is tried again before the next wait.
    fn settle_own(&mut self) {
        self.bell_armed = self.bell_armed || self.ring.poll(&self.bell, BELL).is_ok();
        if self.core.phase() != Phase::Running {
            for listener in std::mem::take(&mut self.listeners) {
                if let Some(id) = listener.armed
                    && self.ring.cancel(id).is_err()
                {
                    self.listeners.push(listener);
                }
            }
            return;
        }
        let now = self.core.now_ns();
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if listener.rest_until.is_some_and(|until| until <= now) {
                listener.rest_until = None;
            }
            if listener.armed.is_none() && listener.rest_until.is_none() {
                let token = Token { slot: OWN, generation: index as u32 };
                listener.armed = self.ring.accept(&listener.socket, token).ok();
            }
        }
    }

    /// Whether the bell or a listener waits for room in the submission queue.
    fn own_unsettled(&self) -> bool {
        let unsettled = |listener: &Accepting| match self.core.phase() {
            Phase::Running => listener.armed.is_none() && listener.rest_until.is_none(),
            _ => true,
        };
        !self.bell_armed || self.listeners.iter().any(unsettled)
    }

    /// Submits what a connection needs. `false`: there was no room, so it stays ready.
    fn settle(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.table.get_mut(id) else { return true };
        conn.load(id, &mut self.core.service, &mut self.core.pool);
        let settled = send(conn, id, &mut self.ring, &mut self.core.urgent)
            && receive(conn, id, &mut self.ring, &mut self.line, self.turn);
        if !settled {
            return false;
        }
        conn.queued = false;
        if conn.life == Life::Doomed {
            return self.tear_down(id);
        }
        true
    }

    /// Closes a connection if the kernel has nothing of it under way, and else makes it let go.
    fn tear_down(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.table.get_mut(id) else { return true };
        let receiving = match conn.receive.state {
            Receive::Armed(op) | Receive::Stopping(op) => Some(op),
            Receive::Idle | Receive::Waiting | Receive::Ended => None,
        };
        let sending = match conn.lane {
            Lane::InFlight(op) => Some(op),
            _ => None,
        };
        if receiving.is_none() && sending.is_none() {
            self.table.remove(id);
            self.core.closed(id);
            return true;
        }
        // The completions that this causes bring the connection back here.
        if !conn.shut && !conn.shut_down() {
            for op in receiving.into_iter().chain(sending) {
                if self.ring.cancel(op).is_err() {
                    conn.shut = false;
                    conn.queued = true;
                    return false;
                }
            }
        }
        true
    }

    fn wait(&mut self) -> io::Result<()> {
        let unsettled = !self.ready.is_empty() || !self.line.is_empty() || self.own_unsettled();
        let busy = unsettled || self.core.urgent || !self.core.happenings.is_empty();
        if busy || self.ring.has_completions() {
            return self.ring.submit_and_wait(0, None);
        }
        let rest = self.listeners.iter().filter_map(|listener| listener.rest_until).min();
        let Sleep::For(timeout) = self.core.may_sleep(rest) else {
            return self.ring.submit_and_wait(0, None);
        };
        if !self.core.before_sleep() {
            return self.ring.submit_and_wait(0, None);
        }
        let result = if self.spin(timeout)? || !self.core.lie_down() {
            self.ring.submit_and_wait(0, None)
        } else {
            let result = self.ring.submit_and_wait(1, timeout);
            self.core.get_up();
            result
        };
        self.core.after_sleep();
        result
    }

    /// Looks out for a while, if that is likely to spare the sleep. Returns whether something
    /// has come.
    fn spin(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let flowing = std::mem::take(&mut self.flowing);
        let (limit, credit) = &mut self.lookout;
        if !flowing || limit.is_zero() || !credit.worth_it() {
            return Ok(false);
        }
        self.ring.submit_and_wait(0, None)?;
        let limit = (*limit).min(timeout.unwrap_or(Duration::MAX));
        let clock = self.core.seat.shared.clock;
        let end = clock.mono_ns() + limit.as_nanos() as u64;
        let come = loop {
            if self.ring.has_completions() || self.core.is_rung() {
                break true;
            }
            if clock.mono_ns() >= end {
                break false;
            }
            std::hint::spin_loop();
        };
        credit.learn(come);
        Ok(come)
    }
}

/// Puts a connection into the ready set, once.
fn queue<B>(ready: &mut Vec<ConnId>, conn: &mut Conn<B>, id: ConnId) {
    if !conn.queued {
        conn.queued = true;
        ready.push(id);
    }
}

/// Queues the send that the lane calls for. `false`: no room.
fn send<B: AsRef<[u8]> + 'static>(
    conn: &mut Conn<B>,
    id: ConnId,
    ring: &mut Ring<Pending<B>>,
    urgent: &mut bool,
) -> bool {
    let blocked = matches!(conn.lane, Lane::Blocked(_));
    let (pending, mode) = match std::mem::replace(&mut conn.lane, Lane::Idle) {
        Lane::Ready(pending) => (pending, SendMode::Attempt),
        Lane::Blocked(pending) => (pending, SendMode::Wait),
        other => {
            conn.lane = other;
            return true;
        }
    };
    let left = pending.left();
    match ring.send(&conn.socket, token(id), pending, mode) {
        Ok(sending) => {
            conn.lane = Lane::InFlight(sending.id);
            // An attempt completes without waking anybody.
            let partial = sending.offered < left;
            *urgent |= mode == SendMode::Attempt && (partial || conn.urgent(left));
            true
        }
        Err(pending) => {
            conn.lane = if blocked { Lane::Blocked(pending) } else { Lane::Ready(pending) };
            false
        }
    }
}

/// Whether the connection is to be received from.
fn receiving<B>(conn: &Conn<B>) -> bool {
    conn.wanted && matches!(conn.life, Life::Open | Life::Draining)
}

/// Puts a connection without a receive into the line for receiving in bulk.
fn line_up<B>(line: &mut VecDeque<ConnId>, conn: &mut Conn<B>, id: ConnId, place: Place) {
    conn.receive.state = Receive::Waiting;
    match place {
        Place::Back => line.push_back(id),
        Place::Front => line.push_front(id),
    }
}

/// Arms or cancels the receive as the service wants it. `false`: no room.
fn receive<B: AsRef<[u8]> + 'static>(
    conn: &mut Conn<B>,
    id: ConnId,
    ring: &mut Ring<Pending<B>>,
    line: &mut VecDeque<ConnId>,
    turn: u64,
) -> bool {
    let wanted = receiving(conn);
    match conn.receive.state {
        Receive::Idle if wanted && conn.receive.bulk => line_up(line, conn, id, Place::Back),
        Receive::Idle if wanted => match ring.receive(&conn.socket, token(id)) {
            Ok(op) => conn.receive.arm(op, turn),
            Err(_) => return false,
        },
        Receive::Armed(op) if conn.receive.misplaced || (!wanted && conn.life == Life::Open) => {
            if ring.cancel(op).is_err() {
                return false;
            }
            conn.receive.state = Receive::Stopping(op);
        }
        _ => {}
    }
    true
}
