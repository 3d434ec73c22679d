//! A service to test drivers with, and what starts and watches it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test file uses a part; a failed unwrap fails the test"
)]

use kevy_resp::Output;
use kevy_rt::{
    Action, Backend, BackendChoice, ConnId, Event, Handle, Now, Peer, Runtime, RuntimeConfig,
    Service, StartError, Wait,
};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Long enough for any machine; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the test wants of the services, and what they tell it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Reply to each byte received with that many bodies instead of echoing.
    pub(crate) bodies: usize,
    /// Bytes of each body.
    pub(crate) body_size: usize,
    /// Pause receiving while more than so many bytes of output are unsent.
    pub(crate) pause_above: Option<usize>,
    /// Refuse further connections with these words.
    pub(crate) refuse: Option<&'static [u8]>,
    /// Close a connection after a reply to this byte.
    pub(crate) close_on: Option<u8>,
    /// Abort a connection that sends this byte.
    pub(crate) abort_on: Option<u8>,
    /// Drop whatever begins with this byte.
    pub(crate) mute: Option<u8>,
    /// Stop the thread when something begins with this byte, until the gate opens.
    pub(crate) stop_on: Option<u8>,
    pub(crate) stopped: AtomicBool,
    pub(crate) gate: AtomicBool,
    /// Turns and muted bytes between each opening of the gate and the next thing to echo.
    pub(crate) waits: Mutex<Vec<(u64, u64)>>,
    pub(crate) muted: AtomicU64,
    pub(crate) finish: AtomicBool,
    pub(crate) turns: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) paused: AtomicU64,
    pub(crate) opened: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    pub(crate) failed: AtomicUsize,
    pub(crate) most_unsent: AtomicUsize,
}

#[derive(Default)]
struct Conn {
    generation: u32,
    output: Output<Arc<[u8]>>,
    unsent: usize,
    paused: bool,
}

/// Sends back what it gets, or what the plan says.
pub(crate) struct Echo {
    plan: Arc<Plan>,
    conns: HashMap<u32, Conn>,
    free: Vec<u32>,
    generations: Vec<u32>,
    actions: Vec<Action>,
    body: Arc<[u8]>,
    /// Turns and muted bytes when the gate has opened.
    opened: Option<(u64, u64)>,
}

impl Echo {
    pub(crate) fn new(plan: &Arc<Plan>) -> Self {
        let body: Vec<u8> = (0..plan.body_size).map(|i| b'a' + (i % 26) as u8).collect();
        Self {
            plan: Arc::clone(plan),
            conns: HashMap::new(),
            free: Vec::new(),
            generations: Vec::new(),
            actions: Vec::new(),
            body: body.into(),
            opened: None,
        }
    }

    fn received(&mut self, id: ConnId, bytes: &[u8]) {
        let plan = Arc::clone(&self.plan);
        plan.received.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        let conn = self.conns.get_mut(&id.slot).expect("bytes for an unknown connection");
        assert_eq!(conn.generation, id.generation, "bytes for a former connection");
        assert!(!bytes.is_empty());
        if plan.mute == Some(bytes[0]) {
            // Slower than the senders, so that their sockets are full.
            std::hint::black_box(
                bytes.iter().fold(0_u64, |sum, &b| sum.rotate_left(5) ^ u64::from(b)),
            );
            plan.muted.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            return;
        }
        if plan.stop_on == Some(bytes[0]) {
            self.stop();
            return;
        }
        self.count_wait();
        let conn = self.conns.get_mut(&id.slot).expect("looked up above");
        if plan.bodies == 0 {
            conn.output.extend(bytes);
            conn.unsent += bytes.len();
        } else {
            for _ in 0..bytes.len() * plan.bodies {
                conn.output.push_body(Arc::clone(&self.body));
                conn.output.extend(b"|");
                conn.unsent += self.body.len() + 1;
            }
        }
        plan.most_unsent.fetch_max(conn.unsent, Ordering::SeqCst);
        self.push(Action::Send(id));
        if plan.abort_on.is_some_and(|byte| bytes.contains(&byte)) {
            self.push(Action::Abort(id));
        }
        if plan.close_on.is_some_and(|byte| bytes.contains(&byte)) {
            self.push(Action::Close(id));
        }
        self.throttle(id);
    }

    fn progress(&self) -> (u64, u64) {
        (self.plan.turns.load(Ordering::SeqCst), self.plan.muted.load(Ordering::SeqCst))
    }

    fn stop(&mut self) {
        self.plan.stopped.store(true, Ordering::SeqCst);
        eventually("the gate to open", || self.plan.gate.swap(false, Ordering::SeqCst));
        self.opened = Some(self.progress());
    }

    fn count_wait(&mut self) {
        if let Some((turns, muted)) = self.opened.take() {
            let (turns_now, muted_now) = self.progress();
            self.plan.waits.lock().unwrap().push((turns_now - turns, muted_now - muted));
        }
    }

    fn push(&mut self, action: Action) {
        if !self.actions.contains(&action) {
            self.actions.push(action);
        }
    }

    fn throttle(&mut self, id: ConnId) {
        let Some(limit) = self.plan.pause_above else { return };
        let Some(conn) = self.conns.get_mut(&id.slot) else { return };
        let pause = conn.unsent > limit;
        if pause == conn.paused {
            return;
        }
        conn.paused = pause;
        self.plan.paused.fetch_add(u64::from(pause), Ordering::SeqCst);
        // Each kind of action at most once for a connection in a turn: the last word counts.
        self.actions.retain(
            |a| !matches!(a, Action::PauseReceive(i) | Action::ResumeReceive(i) if *i == id),
        );
        self.actions.push(if pause { Action::PauseReceive(id) } else { Action::ResumeReceive(id) });
    }
}

impl Service for Echo {
    type Body = Arc<[u8]>;

    fn connect(&mut self, _peer: Peer) -> Result<ConnId, Vec<u8>> {
        if let Some(words) = self.plan.refuse {
            return Err(words.to_vec());
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            self.generations.len() as u32 - 1
        });
        let generation = self.generations[slot as usize];
        self.conns.insert(slot, Conn { generation, ..Conn::default() });
        self.plan.opened.fetch_add(1, Ordering::SeqCst);
        Ok(ConnId { slot, generation })
    }

    fn turn(&mut self, _now: &Now, events: &[Event<'_>]) {
        self.plan.turns.fetch_add(1, Ordering::SeqCst);
        for event in events {
            match *event {
                Event::Received(id, bytes) => self.received(id, bytes),
                Event::EndOfStream(id) => self.push(Action::Close(id)),
                Event::Failed(id) => {
                    self.plan.failed.fetch_add(1, Ordering::SeqCst);
                    self.push(Action::Abort(id));
                }
                Event::Sent(id, count) => {
                    self.plan.sent.fetch_add(count as u64, Ordering::SeqCst);
                    if let Some(conn) = self.conns.get_mut(&id.slot)
                        && conn.generation == id.generation
                    {
                        conn.unsent -= count;
                        self.throttle(id);
                    }
                }
            }
        }
    }

    fn actions(&mut self, out: &mut Vec<Action>) {
        out.append(&mut self.actions);
    }

    fn take_output(&mut self, id: ConnId, out: &mut Output<Self::Body>) {
        assert!(out.is_empty());
        if let Some(conn) = self.conns.get_mut(&id.slot)
            && conn.generation == id.generation
        {
            std::mem::swap(&mut conn.output, out);
        }
    }

    fn closed(&mut self, id: ConnId) {
        let conn = self.conns.remove(&id.slot).expect("an unknown connection was closed");
        assert_eq!(conn.generation, id.generation);
        self.generations[id.slot as usize] += 1;
        self.free.push(id.slot);
        self.plan.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn wait(&self) -> Wait {
        Wait::Forever
    }

    fn before_sleep(&mut self) -> bool {
        !self.plan.finish.load(Ordering::SeqCst)
    }

    fn after_sleep(&mut self) {}

    fn finished(&self) -> bool {
        self.plan.finish.load(Ordering::SeqCst)
    }
}

/// A runtime of echo services under test.
pub(crate) struct Server {
    pub(crate) plan: Arc<Plan>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) control: Arc<kevy_rt::Control>,
    pub(crate) handle: Option<Handle>,
}

impl Server {
    pub(crate) fn start(backend: Backend, plan: Plan) -> Self {
        Self::with(backend, plan, 1, |_| {})
    }

    pub(crate) fn with(
        backend: Backend,
        plan: Plan,
        threads: usize,
        change: impl FnOnce(&mut RuntimeConfig),
    ) -> Self {
        let mut config = RuntimeConfig {
            tcp: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()],
            backend: BackendChoice::Forced(backend),
            ..RuntimeConfig::default()
        };
        change(&mut config);
        let plan = Arc::new(plan);
        let runtime = Runtime::bind(config, threads).unwrap();
        let (addresses, control) = (runtime.local_addresses(), runtime.control());
        let handle = runtime.start((0..threads).map(|_| Echo::new(&plan)).collect()).unwrap();
        assert_eq!(handle.backend(), backend);
        Self { plan, addresses, control, handle: Some(handle) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addresses[0]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.plan.finish.store(true, Ordering::SeqCst);
            handle.shutdown();
            handle.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

/// Waits until `done` holds.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} has not happened");
        std::thread::yield_now();
    }
}

/// Sends and receives the same bytes at the same time; returns what came back.
pub(crate) fn exchange(stream: &TcpStream, bytes: &[u8], expected: usize) -> Vec<u8> {
    std::thread::scope(|scope| {
        scope.spawn(|| (&*stream).write_all(bytes).unwrap());
        let mut back = vec![0; expected];
        (&*stream).read_exact(&mut back).unwrap();
        back
    })
}

/// Bytes in which every position looks different from its neighbours.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i as u32).wrapping_mul(2_654_435_761).rotate_left(11) as u8).collect()
}

/// Whether the machine is declared to lack io_uring.
pub(crate) fn without_io_uring() -> bool {
    let without = std::env::var("KEVY_TEST_WITHOUT").unwrap_or_default();
    without.split(',').any(|name| name.trim() == "io_uring")
}

/// One test for both backends.
#[macro_export]
macro_rules! both_backends {
    ($($name:ident),+ $(,)?) => {
        mod io_uring {
            $(#[test]
            fn $name() {
                if !$crate::common::without_io_uring() {
                    super::$name(kevy_rt::Backend::IoUring);
                }
            })+
        }
        mod epoll {
            $(#[test]
            fn $name() {
                super::$name(kevy_rt::Backend::Epoll);
            })+
        }
    };
}

pub(crate) fn start_error(result: Result<Handle, StartError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

pub(crate) fn read_to_end(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}
