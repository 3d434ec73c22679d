//! The epoll driver, for where io_uring is not to be had: level-triggered, sends tried at once.

use crate::connection::{Connection, Lane, Life, Table, target};
use crate::core::{ACCEPT_REST, Core, Happening, Sleep};
use crate::incoming::Incoming;
use crate::listen::{Listener, Source};
use crate::pending::Pending;
use crate::shared::{Phase, Seat};
use kevy_shard::service::{ConnId, Service};
use kevy_uring::{Gather, MAX_SLICES};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags};
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Reports of the kernel taken in for one turn at most.
const TURN_REPORTS: usize = 512;
/// Bytes received for one turn at most.
const TURN_BYTES: usize = 512 * 1024;
/// Bytes received from one connection in one turn at most.
const RECEIVE_BYTES: usize = 64 * 1024;
/// With less room than this left, receiving waits for the next turn.
const LEAST_ROOM: usize = 16 * 1024;
/// Bytes sent to one connection before the others have their turn.
const SEND_BYTES: usize = 1024 * 1024;
/// Connections accepted in one turn at most, for each listener.
const ACCEPTS: usize = 64;

/// Slot of what is not a connection; the generation tells the bell or the listener's index.
const OWN: u32 = u32::MAX;
const BELL: ConnId = ConnId { slot: OWN, generation: u32::MAX };

/// What epoll watches a connection for, and whether anything more can come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Watch {
    /// `None`: not registered.
    flags: Option<epoll::EventFlags>,
    ended: bool,
    /// The last turn that has come to it.
    turn: u64,
}

type Conn<B> = Connection<B, Watch, std::convert::Infallible>;

struct Accepting {
    socket: OwnedFd,
    source: Source,
    /// Not watched before (in `mono_ns`).
    rest_until: Option<u64>,
}

pub(crate) struct EpollDriver<S: Service> {
    core: Core<S>,
    epoll: OwnedFd,
    table: Table<Conn<S::Body>>,
    /// Connections with something to send, watch or close; each once (`Connection::queued`).
    ready: Vec<ConnId>,
    reports: Vec<epoll::Event>,
    /// Bytes received in this turn, one receive behind the other.
    arena: Box<[u8]>,
    filled: usize,
    /// Connections for which the last turn had no room: they come first in the next one.
    missed: Vec<ConnId>,
    /// Number of the turn.
    turn: u64,
    listeners: Vec<Accepting>,
}

fn data(id: ConnId) -> epoll::EventData {
    epoll::EventData::new_u64((u64::from(id.generation) << 32) | u64::from(id.slot))
}

fn conn_id(data: epoll::EventData) -> ConnId {
    let bits = data.u64();
    ConnId { slot: bits as u32, generation: (bits >> 32) as u32 }
}

impl<S: Service> EpollDriver<S> {
    pub(crate) fn new(service: S, mut seat: Seat) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = &seat.shared.post(seat.thread).bell;
        epoll::add(&epoll, bell, data(BELL), epoll::EventFlags::IN)?;
        let mut listeners = Vec::new();
        for Listener { socket, source } in std::mem::take(&mut seat.listeners) {
            let id = ConnId { slot: OWN, generation: listeners.len() as u32 };
            epoll::add(&epoll, &socket, data(id), epoll::EventFlags::IN)?;
            listeners.push(Accepting { socket, source, rest_until: None });
        }
        Ok(Self {
            core: Core::new(service, seat),
            epoll,
            table: Table::new(),
            ready: Vec::new(),
            reports: Vec::with_capacity(TURN_REPORTS),
            arena: vec![0; TURN_BYTES].into_boxed_slice(),
            filled: 0,
            missed: Vec::new(),
            turn: 0,
            listeners,
        })
    }

    /// Runs until the service has finished. Fails only if the epoll instance does.
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
            self.settle_own();
            self.settle_all();
            self.wait()?;
        }
    }

    /// Receives and accepts whatever the kernel has reported.
    fn collect(&mut self) {
        self.turn += 1;
        // epoll reports what stays readable in the same order again and again.
        let missed = std::mem::take(&mut self.missed);
        for &id in &missed {
            self.receive(id);
        }
        let mut reports = std::mem::take(&mut self.reports);
        for report in reports.drain(..) {
            let id = conn_id(report.data);
            if id == BELL {
                self.core.seat.shared.post(self.core.seat.thread).bell.quiet();
            } else if id.slot == OWN {
                self.accept(id.generation as usize);
            } else {
                self.reported(id, report.flags);
            }
        }
        self.reports = reports;
    }

    fn reported(&mut self, id: ConnId, flags: epoll::EventFlags) {
        let Some(conn) = self.table.get_mut(id) else { return };
        let broken = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
        if matches!(conn.lane, Lane::Blocked(_))
            && (broken || flags.contains(epoll::EventFlags::OUT))
        {
            queue(&mut self.ready, conn, id);
        }
        if broken || flags.contains(epoll::EventFlags::IN) {
            self.receive(id);
        }
    }

    /// Receives once into what is left of the arena, if the connection is watched for that.
    /// Without room it is for the next turn, which comes at once: the socket stays readable.
    fn receive(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else { return };
        let watched = conn.receive.flags.is_some_and(|f| f.contains(epoll::EventFlags::IN));
        if !watched || conn.receive.ended || conn.receive.turn == self.turn {
            return;
        }
        conn.receive.turn = self.turn;
        let room = self.arena.len() - self.filled;
        if room < LEAST_ROOM {
            self.missed.push(id);
            return;
        }
        let space = &mut self.arena[self.filled..][..room.min(RECEIVE_BYTES)];
        let open = conn.life == Life::Open;
        match rustix::net::recv(&*conn.socket, space, RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                conn.receive.ended = true;
                if open {
                    self.core.happenings.push(Happening::EndOfStream(id));
                }
                queue(&mut self.ready, conn, id);
            }
            Ok((count, _)) => {
                if open {
                    self.core.happenings.push(Happening::Received(id, self.filled, count));
                    self.filled += count;
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => {
                tracing::debug!("receiving from {id:?}: {error}");
                conn.receive.ended = true;
                if conn.fail() {
                    self.core.happenings.push(Happening::Failed(id));
                }
                queue(&mut self.ready, conn, id);
            }
        }
    }

    fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get_mut(index) else { return };
            match rustix::net::accept_with(&listener.socket, SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    if let Some(incoming) = self.core.accepted(socket, &listener.source) {
                        self.admit(incoming);
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    if self.core.accept_failed(&error.into()) {
                        let until = self.core.now_ns() + ACCEPT_REST.as_nanos() as u64;
                        listener.rest_until = Some(until);
                        // Level-triggered: watching it meanwhile would spin.
                        let _ = epoll::delete(&self.epoll, &listener.socket);
                        return;
                    }
                }
            }
        }
    }

    fn admit(&mut self, incoming: Incoming) {
        let Some((id, socket)) = self.core.introduce(incoming) else { return };
        let watch = Watch { flags: None, ended: false, turn: 0 };
        if self.table.insert(id, Connection::new(socket, watch)).is_err() {
            tracing::error!("the service named a new connection like an old one: {id:?}");
            return;
        }
        if let Some(conn) = self.table.get_mut(id) {
            queue(&mut self.ready, conn, id);
        }
    }

    fn turn(&mut self) {
        let arena = &self.arena;
        self.core.turn(|at, count| &arena[at..at + count]);
        self.filled = 0;
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

    /// Watches rested listeners again, or gives all of them up.
    fn settle_own(&mut self) {
        if self.core.phase() != Phase::Running {
            self.listeners.clear();
            return;
        }
        let now = self.core.now_ns();
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if listener.rest_until.is_some_and(|until| until <= now) {
                let id = ConnId { slot: OWN, generation: index as u32 };
                let added =
                    epoll::add(&self.epoll, &listener.socket, data(id), epoll::EventFlags::IN);
                let later = now + ACCEPT_REST.as_nanos() as u64;
                listener.rest_until = added.is_err().then_some(later);
            }
        }
    }

    fn settle_all(&mut self) {
        let mut rest = 0;
        for at in 0..self.ready.len() {
            let id = self.ready[at];
            if !self.settle(id) {
                self.ready[rest] = id;
                rest += 1;
            }
        }
        self.ready.truncate(rest);
    }

    /// Sends, watches or closes a connection. `false`: there is more to send right away.
    fn settle(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.table.get_mut(id) else { return true };
        let mut left = SEND_BYTES;
        loop {
            conn.load(id, &mut self.core.service, &mut self.core.pool);
            // What did not leave at once is reported as soon as it has left.
            self.core.urgent |= matches!(conn.lane, Lane::Blocked(_));
            let Some(pending) = take_sendable(conn) else { break };
            if left == 0 {
                conn.lane = Lane::Ready(pending);
                return false;
            }
            left = left.saturating_sub(send(conn, id, pending, &mut self.core));
            if matches!(conn.lane, Lane::Blocked(_)) {
                break;
            }
        }
        conn.queued = false;
        if conn.life != Life::Doomed && watch(&self.epoll, conn, id).is_err() && conn.fail() {
            self.core.happenings.push(Happening::Failed(id));
            self.core.urgent = true;
        }
        if conn.life == Life::Doomed {
            // Closing the only descriptor of the socket ends the watch as well.
            self.table.remove(id);
            self.core.closed(id);
        }
        true
    }

    fn wait(&mut self) -> io::Result<()> {
        let rest = self.listeners.iter().filter_map(|listener| listener.rest_until).min();
        let busy = !self.ready.is_empty() || self.core.urgent;
        let sleep = if busy { Sleep::No } else { self.core.may_sleep(rest) };
        let Sleep::For(timeout) = sleep else { return self.poll(Some(Duration::ZERO)) };
        if !self.core.before_sleep() {
            return self.poll(Some(Duration::ZERO));
        }
        let result = if self.core.lie_down() {
            let result = self.poll(timeout);
            self.core.get_up();
            result
        } else {
            self.poll(Some(Duration::ZERO))
        };
        self.core.after_sleep();
        result
    }

    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(whole_millis);
        let buffer = rustix::buffer::spare_capacity(&mut self.reports);
        match epoll::wait(&self.epoll, buffer, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Rounded up to what `epoll_wait` can express: waking too early would spin.
fn whole_millis(timeout: Duration) -> Timespec {
    const LONGEST_MS: u128 = i32::MAX as u128;
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(LONGEST_MS) as i64;
    Timespec { tv_sec: millis / 1000, tv_nsec: (millis % 1000) * 1_000_000 }
}

/// Puts a connection into the ready set, once.
fn queue<B>(ready: &mut Vec<ConnId>, conn: &mut Conn<B>, id: ConnId) {
    if !conn.queued {
        conn.queued = true;
        ready.push(id);
    }
}

fn take_sendable<B>(conn: &mut Conn<B>) -> Option<Box<Pending<B>>> {
    match std::mem::replace(&mut conn.lane, Lane::Idle) {
        Lane::Ready(pending) | Lane::Blocked(pending) => Some(pending),
        Lane::Idle => None,
        Lane::InFlight(never) => match never {},
    }
}

/// Tries one send and puts what is left back into the lane. Returns how many bytes have left.
fn send<S: Service>(
    conn: &mut Conn<S::Body>,
    id: ConnId,
    mut pending: Box<Pending<S::Body>>,
    core: &mut Core<S>,
) -> usize {
    match write(&conn.socket, &pending) {
        Ok((count, offered)) => {
            core.urgent |= conn.urgent(pending.left());
            core.happenings.push(Happening::Sent(id, count));
            pending.advance(count);
            if pending.left() == 0 {
                core.pool.give(pending);
            } else if count < offered {
                core.urgent = true;
                conn.lane = Lane::Blocked(pending);
            } else {
                conn.lane = Lane::Ready(pending);
            }
            count
        }
        Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => {
            conn.lane = Lane::Blocked(pending);
            0
        }
        Err(error) => {
            tracing::debug!("sending to {id:?}: {error}");
            core.pool.give(pending);
            if conn.fail() {
                core.happenings.push(Happening::Failed(id));
                core.urgent = true;
            }
            0
        }
    }
}

/// One gathered write. Returns bytes sent and bytes offered.
fn write<B>(socket: &OwnedFd, pending: &Pending<B>) -> Result<(usize, usize), Errno>
where
    B: AsRef<[u8]> + 'static,
{
    const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
    let mut slices: Vec<IoSlice<'_>> = Vec::new();
    pending.slices(MAX_SLICES, &mut slices);
    let offered = slices.iter().map(|slice| slice.len()).sum();
    let count = match slices.as_slice() {
        [one] => rustix::net::send(socket, one, FLAGS)?,
        many => rustix::net::sendmsg(socket, many, &mut SendAncillaryBuffer::default(), FLAGS)?,
    };
    Ok((count, offered))
}

/// Makes epoll watch for what the connection needs. A connection that needs nothing is not
/// registered: a hang-up, which is always reported, would keep the thread from sleeping.
fn watch<B>(epoll: &OwnedFd, conn: &mut Conn<B>, id: ConnId) -> Result<(), Errno> {
    let mut flags = epoll::EventFlags::empty();
    let receives = matches!(conn.life, Life::Open | Life::Draining);
    if receives && conn.wanted && !conn.receive.ended {
        flags |= epoll::EventFlags::IN;
    }
    if matches!(conn.lane, Lane::Blocked(_)) {
        flags |= epoll::EventFlags::OUT;
    }
    let wanted = (!flags.is_empty()).then_some(flags);
    match (conn.receive.flags, wanted) {
        (was, wanted) if was == wanted => return Ok(()),
        (None, Some(flags)) => epoll::add(epoll, &*conn.socket, data(id), flags)?,
        (Some(_), Some(flags)) => epoll::modify(epoll, &*conn.socket, data(id), flags)?,
        (_, None) => epoll::delete(epoll, &*conn.socket)?,
    }
    conn.receive.flags = wanted;
    Ok(())
}
