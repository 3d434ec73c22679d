//! Connections that come and go, threads that sleep, wake and end.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod common;

use common::{Echo, Plan, Server, eventually, exchange, read_to_end};
use crossbeam_utils::CachePadded;
use kevy_resp::Output;
use kevy_rt::{
    Action, Backend, BackendChoice, ConnId, Event, Now, Peer, Runtime, RuntimeConfig, Service,
    StartError, Wait, Wake,
};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

both_backends!(
    storm_of_resets,
    storm_of_connections,
    descriptors_return,
    idle,
    shutdown_flushes,
    ping_pong,
    timers,
    paused_hang_up,
    out_of_descriptors,
);

/// Closing with a reset: whatever is unread or unsent is gone.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

fn storm_of_resets(backend: Backend) {
    let server = Server::with(backend, Plan::default(), 2, |_| {});
    let mut witness = server.connect();
    for round in 0..5000 {
        let mut stream = server.connect();
        if round % 3 != 0 {
            stream.write_all(&[7; 1000]).unwrap();
        }
        reset(stream);
        if round % 100 == 0 {
            witness.write_all(b"still here").unwrap();
            witness.read_exact(&mut [0; 10]).unwrap();
        }
    }
    drop(witness);
    // A connection reset before it was accepted is never introduced.
    let gone =
        || server.plan.opened.load(Ordering::SeqCst) == server.plan.closed.load(Ordering::SeqCst);
    eventually("closing", gone);
    eventually("the count to return", || (0..2).all(|t| server.control.connections(t) == 0));
}

/// Slots are reused at once, by both sides; nobody gets another's bytes.
fn storm_of_connections(backend: Backend) {
    let server = Server::with(backend, Plan::default(), 2, |_| {});
    for round in 0..2000_u32 {
        let mut stream = server.connect();
        let mark = round.to_le_bytes();
        stream.write_all(&mark).unwrap();
        if round % 2 == 0 {
            // Leaves without its reply: the send meets a closed socket.
            continue;
        }
        let mut back = [0; 4];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, mark);
    }
    eventually("closing", || server.plan.closed.load(Ordering::SeqCst) == 2000);
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// In a process of its own, for other tests open descriptors as well.
fn descriptors_return(backend: Backend) {
    let name = format!(
        "{}::descriptors_return",
        if backend == Backend::Epoll { "epoll" } else { "io_uring" }
    );
    if std::env::var_os("KEVY_RT_ALONE").is_none() {
        return alone(&name);
    }
    let once = || {
        let server = Server::with(backend, Plan::default(), 2, |_| {});
        let streams: Vec<_> = (0..100).map(|_| server.connect()).collect();
        for stream in &streams {
            exchange(stream, b"hello", 5);
        }
        for (i, stream) in streams.into_iter().enumerate() {
            if i % 2 == 0 { reset(stream) } else { drop(stream) }
        }
        eventually("closing", || server.plan.closed.load(Ordering::SeqCst) == 100);
        let before = open_descriptors();
        let stream = server.connect();
        exchange(&stream, b"hello", 5);
        drop(stream);
        eventually("closing", || server.plan.closed.load(Ordering::SeqCst) == 101);
        assert_eq!(open_descriptors(), before, "a closed connection leaves nothing behind");
        server.stop();
    };
    once();
    let before = open_descriptors();
    once();
    assert_eq!(open_descriptors(), before);
}

/// Runs one test of this file in a process of its own.
fn alone(name: &str) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("KEVY_RT_ALONE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Connections that do nothing cause no turn.
fn idle(backend: Backend) {
    let server = Server::start(backend, Plan::default());
    let streams: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for stream in &streams {
        exchange(stream, b"hello", 5);
    }
    // The turn that takes in the last completion may still come.
    std::thread::sleep(Duration::from_millis(50));
    let before = server.plan.turns.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.plan.turns.load(Ordering::SeqCst), before);
}

/// What is under way when the service finishes still leaves.
fn shutdown_flushes(backend: Backend) {
    let plan = Plan { bodies: 100, body_size: 100_000, ..Plan::default() };
    let mut server = Server::start(backend, plan);
    let mut stream = server.connect();
    stream.write_all(b"x").unwrap();
    eventually("the request", || server.plan.received.load(Ordering::SeqCst) == 1);
    let back = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_to_end(&mut stream).unwrap());
        let handle = server.handle.take().unwrap();
        server.plan.finish.store(true, Ordering::SeqCst);
        handle.shutdown();
        handle.join().unwrap();
        reader.join().unwrap()
    });
    assert_eq!(back.len(), 100 * 100_001);
    assert!(TcpStream::connect(server.addresses[0]).is_err(), "nobody listens any more");
}

/// What two services that throw a ball share.
struct Court {
    balls: [CachePadded<AtomicU64>; 2],
    asleep: [CachePadded<AtomicBool>; 2],
    wakers: Vec<Arc<dyn Wake>>,
    rounds: u64,
    done: AtomicBool,
}

/// Throws the ball back to the other thread, which mostly sleeps by then.
struct Player {
    me: usize,
    seen: u64,
    court: Arc<Court>,
}

impl Player {
    fn throw(&self, to: usize) {
        self.court.balls[to].fetch_add(1, Ordering::SeqCst);
        if self.court.asleep[to].swap(false, Ordering::SeqCst) {
            self.court.wakers[to].wake();
        }
    }

    fn ball(&self) -> bool {
        self.court.balls[self.me].load(Ordering::SeqCst) > self.seen
    }
}

impl Service for Player {
    type Body = Vec<u8>;

    fn connect(&mut self, _peer: Peer) -> Result<ConnId, Vec<u8>> {
        Err(Vec::new())
    }

    fn turn(&mut self, _now: &Now, _events: &[Event<'_>]) {
        if self.me == 0 && self.seen == 0 && !self.ball() {
            self.court.balls[0].store(1, Ordering::SeqCst);
        }
        while self.ball() {
            self.seen += 1;
            if self.seen >= self.court.rounds {
                self.court.done.store(true, Ordering::SeqCst);
                self.court.wakers.iter().for_each(|waker| waker.wake());
            } else {
                self.throw(1 - self.me);
            }
        }
    }

    fn actions(&mut self, _out: &mut Vec<Action>) {}
    fn take_output(&mut self, _conn: ConnId, _out: &mut Output<Vec<u8>>) {}
    fn closed(&mut self, _conn: ConnId) {}

    fn wait(&self) -> Wait {
        Wait::Forever
    }

    fn before_sleep(&mut self) -> bool {
        self.court.asleep[self.me].store(true, Ordering::SeqCst);
        if self.ball() || self.court.done.load(Ordering::SeqCst) {
            self.court.asleep[self.me].store(false, Ordering::SeqCst);
            return false;
        }
        true
    }

    fn after_sleep(&mut self) {
        self.court.asleep[self.me].store(false, Ordering::SeqCst);
    }

    fn finished(&self) -> bool {
        self.court.done.load(Ordering::SeqCst)
    }
}

/// A lost wake-up would stop the game.
fn ping_pong(backend: Backend) {
    let config =
        RuntimeConfig { backend: BackendChoice::Forced(backend), ..RuntimeConfig::default() };
    let runtime = Runtime::bind(config, 2).unwrap();
    let court = Arc::new(Court {
        balls: Default::default(),
        asleep: Default::default(),
        wakers: runtime.wakers(),
        rounds: 100_000,
        done: AtomicBool::new(false),
    });
    let player = |me| Player { me, seen: 0, court: Arc::clone(&court) };
    let handle = runtime.start(vec![player(0), player(1)]).unwrap();
    handle.join().unwrap();
}

/// Wakes up at its times, and only then.
struct Timer {
    next: u64,
    fired: Vec<u64>,
    turns: Arc<AtomicU64>,
}

const PERIOD_NS: u64 = 5_000_000;

impl Service for Timer {
    type Body = Vec<u8>;

    fn connect(&mut self, _peer: Peer) -> Result<ConnId, Vec<u8>> {
        Err(Vec::new())
    }

    fn turn(&mut self, now: &Now, _events: &[Event<'_>]) {
        self.turns.fetch_add(1, Ordering::SeqCst);
        if now.mono_ns >= self.next {
            self.fired.push(now.mono_ns - self.next);
            self.next = now.mono_ns + PERIOD_NS;
        }
    }

    fn actions(&mut self, _out: &mut Vec<Action>) {}
    fn take_output(&mut self, _conn: ConnId, _out: &mut Output<Vec<u8>>) {}
    fn closed(&mut self, _conn: ConnId) {}

    fn wait(&self) -> Wait {
        Wait::Until(self.next)
    }

    fn before_sleep(&mut self) -> bool {
        true
    }

    fn after_sleep(&mut self) {}

    fn finished(&self) -> bool {
        self.fired.len() == 20
    }
}

fn timers(backend: Backend) {
    let config =
        RuntimeConfig { backend: BackendChoice::Forced(backend), ..RuntimeConfig::default() };
    let runtime = Runtime::bind(config, 1).unwrap();
    let turns = Arc::new(AtomicU64::new(0));
    let timer = Timer { next: 0, fired: Vec::new(), turns: Arc::clone(&turns) };
    runtime.start(vec![timer]).unwrap().join().unwrap();
    let turns = turns.load(Ordering::SeqCst);
    // One for each firing; a sleep may end a little early by the clocks' granularity.
    assert!((20..=45).contains(&turns), "{turns} turns for 20 firings");
}

/// A paused connection whose peer vanishes keeps nobody awake, and is closed in the end.
fn paused_hang_up(backend: Backend) {
    let plan =
        Plan { pause_above: Some(10_000), bodies: 1000, body_size: 10_000, ..Plan::default() };
    let server = Server::start(backend, plan);
    for (round, hang_up) in [drop::<TcpStream>, reset].into_iter().enumerate() {
        let mut stream = server.connect();
        let closed = server.plan.closed.load(Ordering::SeqCst);
        stream.write_all(b"xyz").unwrap();
        eventually("the pause", || server.plan.paused.load(Ordering::SeqCst) > round as u64);
        hang_up(stream);
        eventually("closing", || server.plan.closed.load(Ordering::SeqCst) == closed + 1);
    }
    std::thread::sleep(Duration::from_millis(50));
    let before = server.plan.turns.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.plan.turns.load(Ordering::SeqCst), before);
}

/// Accepting rests while there are no descriptors, and resumes.
fn out_of_descriptors(backend: Backend) {
    let name = format!(
        "{}::out_of_descriptors",
        if backend == Backend::Epoll { "epoll" } else { "io_uring" }
    );
    if std::env::var_os("KEVY_RT_ALONE").is_none() {
        return alone(&name);
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let server = Server::start(backend, Plan::default());
    let waiting = TcpStream::connect(server.addresses[0]).unwrap();
    exchange(&waiting, b"a", 1);
    let limit = getrlimit(Resource::Nofile);
    let low = Rlimit { current: Some(open_descriptors() as u64 + 8), maximum: limit.maximum };
    setrlimit(Resource::Nofile, low).unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(server.addresses[0]) {
        clients.push(client);
    }
    std::thread::sleep(Duration::from_millis(50));
    let before = server.plan.turns.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(500));
    let turns = server.plan.turns.load(Ordering::SeqCst) - before;
    assert!(turns < 30, "{turns} turns without descriptors");
    exchange(&waiting, b"b", 1);
    setrlimit(Resource::Nofile, limit).unwrap();
    for client in &clients {
        assert_eq!(exchange(client, b"c", 1), b"c");
    }
}

#[test]
fn as_many_services_as_threads() {
    let plan = Arc::new(Plan::default());
    let runtime = Runtime::bind(RuntimeConfig::default(), 2).unwrap();
    let refused = runtime.start(vec![Echo::new(&plan)]);
    assert!(matches!(refused, Err(StartError::Services { threads: 2, services: 1 })));
}

#[test]
fn an_address_in_use_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = RuntimeConfig { tcp: vec![address.into()], ..RuntimeConfig::default() };
    let refused = Runtime::bind(config, 1);
    assert!(
        matches!(&refused, Err(StartError::Listen(error)) if error.to_string().contains(&address.to_string()))
    );
}

#[test]
fn an_optional_address_may_be_missing() {
    let missing: SocketAddr = "192.0.2.1:0".parse().unwrap();
    let present: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let optional = kevy_rt::TcpBind { address: missing, optional: true };
    let tcp = vec![optional, present.into()];
    let runtime = Runtime::bind(RuntimeConfig { tcp, ..RuntimeConfig::default() }, 1).unwrap();
    assert_eq!(runtime.local_addresses().len(), 1);
    let tcp = vec![missing.into(), present.into()];
    assert!(Runtime::bind(RuntimeConfig { tcp, ..RuntimeConfig::default() }, 1).is_err());
}
