//! What the layer promises, tried on socket pairs.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use kevy_uring::{
    Completion, Descriptor, Gather, MAX_SLICES, Received, Ring, RingOptions, SendMode, Token,
};
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

const SMALL: RingOptions =
    RingOptions { submissions: 8, completions: 64, buffers: 4, bulk_buffers: 2, buffer_size: 64 };
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

const fn token(slot: u32) -> Token {
    Token { slot, generation: slot + 100 }
}

/// Slices that know when they are dropped.
struct Payload {
    slices: Vec<Vec<u8>>,
    _alive: Rc<()>,
}

impl Gather for Payload {
    fn slices<'a>(&'a self, max: usize, out: &mut Vec<IoSlice<'a>>) {
        out.extend(self.slices.iter().take(max).map(|slice| IoSlice::new(slice)));
    }
}

/// A ring with one socket pair; `None` where the machine is declared to lack io_uring.
struct Bench {
    ring: Ring<Payload>,
    near: Descriptor,
    far: UnixStream,
    alive: Rc<()>,
    reaped: VecDeque<Completion<Payload>>,
}

impl Bench {
    fn new(options: &RingOptions) -> Option<Self> {
        let without = std::env::var("KEVY_TEST_WITHOUT").unwrap_or_default();
        if without.split(',').any(|name| name.trim() == "io_uring") {
            return None;
        }
        let (near, far) = UnixStream::pair().unwrap();
        far.set_read_timeout(PATIENCE).unwrap();
        let near = Rc::new(OwnedFd::from(near));
        Some(Self {
            ring: Ring::new(options).unwrap(),
            near,
            far,
            alive: Rc::new(()),
            reaped: VecDeque::new(),
        })
    }

    fn payload(&self, slices: &[&[u8]]) -> Box<Payload> {
        let slices = slices.iter().map(|slice| slice.to_vec()).collect();
        Box::new(Payload { slices, _alive: Rc::clone(&self.alive) })
    }

    /// Waits for the next completion.
    fn next(&mut self) -> Completion<Payload> {
        let mut out = Vec::new();
        for _ in 0..100 {
            if let Some(completion) = self.reaped.pop_front() {
                return completion;
            }
            self.ring.reap(1, usize::MAX, &mut out);
            self.reaped.extend(out.drain(..));
            if !self.reaped.is_empty() {
                continue;
            }
            self.ring.submit_and_wait(1, PATIENCE).unwrap();
        }
        panic!("no completion")
    }

    fn no_more(&mut self) {
        let mut out = Vec::new();
        self.ring.submit_and_wait(0, None).unwrap();
        self.ring.reap(usize::MAX, usize::MAX, &mut out);
        assert!(out.is_empty(), "{} completions too many", out.len());
    }
}

#[test]
fn receives_go_on_until_the_end_of_the_stream() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    bench.ring.receive(&bench.near, token(3)).unwrap();
    for round in 0..100_u8 {
        bench.far.write_all(&[round; 10]).unwrap();
        match bench.next() {
            Completion::Received { token: t, result: Received::Data(buffer), more: true } => {
                assert_eq!((t, &*buffer), (token(3), &[round; 10][..]));
                assert_eq!(bench.ring.buffers().lent(), 1);
            }
            other => panic!("{}", name(&other)),
        }
        assert_eq!(bench.ring.buffers().lent(), 0);
    }
    bench.far.shutdown(std::net::Shutdown::Write).unwrap();
    let end = bench.next();
    assert!(matches!(end, Completion::Received { result: Received::EndOfStream, more: false, .. }));
    assert_eq!((bench.ring.in_flight(), bench.ring.stray()), (0, 0));
}

#[test]
fn without_buffers_nothing_is_lost() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    bench.ring.receive(&bench.near, token(0)).unwrap();
    let sent: Vec<u8> = (0..500).map(|i| i as u8).collect();
    bench.far.write_all(&sent).unwrap();
    let (mut got, mut dry) = (Vec::new(), 0);
    let mut held = Vec::new();
    while got.len() < sent.len() {
        match bench.next() {
            Completion::Received { result: Received::Data(buffer), .. } => {
                got.extend_from_slice(&buffer);
                held.push(buffer);
                assert_eq!(usize::from(bench.ring.buffers().lent()), held.len());
            }
            Completion::Received { result: Received::NoBuffers, more: false, .. } => {
                assert_eq!(held.len(), 4);
                dry += 1;
                held.clear();
                bench.ring.receive(&bench.near, token(0)).unwrap();
            }
            other => panic!("{}", name(&other)),
        }
    }
    assert_eq!(got, sent);
    assert!(dry >= 1);
}

#[test]
fn a_cancelled_receive_ends_and_its_name_is_stale() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    let first = bench.ring.receive(&bench.near, token(1)).unwrap();
    bench.ring.cancel(first).unwrap();
    let end = bench.next();
    assert!(matches!(end, Completion::Received { result: Received::Cancelled, more: false, .. }));
    let second = bench.ring.receive(&bench.near, token(2)).unwrap();
    assert_ne!(first, second, "the table's entry is reused under another generation");
    bench.ring.cancel(first).unwrap();
    bench.far.write_all(b"x").unwrap();
    match bench.next() {
        Completion::Received { token: t, result: Received::Data(_), more: true } => {
            assert_eq!(t, token(2));
        }
        other => panic!("{}", name(&other)),
    }
}

#[test]
fn an_attempt_is_silent_when_everything_leaves() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    for slices in [&[&b"one"[..]][..], &[b"two", b"three", b"four"], &[]] {
        let payload = bench.payload(slices);
        let sending = bench.ring.send(&bench.near, token(9), payload, SendMode::Attempt);
        let offered = sending.map_err(drop).unwrap().offered;
        assert_eq!(offered, slices.concat().len());
        let mut out = Vec::new();
        bench.ring.reap(usize::MAX, usize::MAX, &mut out);
        assert!(out.is_empty(), "it has not been submitted");
        bench.ring.submit().unwrap();
        assert!(!bench.ring.has_completions());
        bench.ring.reap(usize::MAX, usize::MAX, &mut out);
        match out.pop() {
            Some(Completion::Sent { token: t, result: Ok(count), payload }) => {
                assert_eq!((t, count), (token(9), offered));
                assert_eq!(payload.slices, slices);
            }
            _ => panic!("the send has not ended"),
        }
        let mut back = vec![0; offered];
        bench.far.read_exact(&mut back).unwrap();
        assert_eq!(back, slices.concat());
    }
    assert_eq!(Rc::strong_count(&bench.alive), 1, "every payload came back");
}

#[test]
fn a_full_socket_ends_attempts_and_holds_waits() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    let big = vec![7; 4 << 20];
    let payload = bench.payload(&[&big, &big]);
    bench.ring.send(&bench.near, token(1), payload, SendMode::Attempt).map_err(drop).unwrap();
    let Completion::Sent { result: Ok(count), payload, .. } = bench.next() else {
        panic!("a short count is expected")
    };
    assert!(count > 0 && count < big.len());
    bench.ring.send(&bench.near, token(2), payload, SendMode::Attempt).map_err(drop).unwrap();
    let Completion::Sent { result: Err(error), payload, .. } = bench.next() else {
        panic!("nothing can have left")
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    bench.ring.send(&bench.near, token(3), payload, SendMode::Wait).map_err(drop).unwrap();
    bench.no_more();
    let mut back = vec![0; count];
    bench.far.read_exact(&mut back).unwrap();
    assert!(matches!(bench.next(), Completion::Sent { result: Ok(1..), .. }));
    assert_eq!(bench.ring.in_flight(), 0);
}

#[test]
fn one_send_takes_as_many_slices_as_the_kernel_does() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    let slices: Vec<&[u8]> = vec![b"ab"; 5000];
    let payload = bench.payload(&slices);
    let sending = bench.ring.send(&bench.near, token(1), payload, SendMode::Attempt);
    assert_eq!(sending.map_err(drop).unwrap().offered, 2 * MAX_SLICES);
    bench.ring.submit().unwrap();
    assert!(
        matches!(bench.next(), Completion::Sent { result: Ok(count), .. } if count == 2 * MAX_SLICES)
    );
}

#[test]
fn sending_to_nobody_fails() {
    let Some(bench) = Bench::new(&SMALL) else { return };
    let Bench { mut ring, near, far, alive, .. } = bench;
    drop(far);
    let payload = Box::new(Payload { slices: vec![b"x".to_vec()], _alive: alive });
    ring.send(&near, token(1), payload, SendMode::Attempt).map_err(drop).unwrap();
    ring.submit().unwrap();
    let mut out = Vec::new();
    ring.reap(usize::MAX, usize::MAX, &mut out);
    match out.pop() {
        Some(Completion::Sent { result: Err(error), .. }) => {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
        _ => panic!("a failure is expected"),
    }
}

#[test]
fn a_full_queue_gives_everything_back() {
    let Some(mut bench) = Bench::new(&RingOptions { submissions: 2, ..SMALL }) else { return };
    for _ in 0..2 {
        let payload = bench.payload(&[b"a"]);
        bench.ring.send(&bench.near, token(1), payload, SendMode::Attempt).map_err(drop).unwrap();
    }
    let payload = bench.payload(&[b"b"]);
    let refused = bench.ring.send(&bench.near, token(2), payload, SendMode::Attempt);
    let payload = refused.err().unwrap();
    assert_eq!(payload.slices, [b"b"]);
    assert!(bench.ring.receive(&bench.near, token(3)).is_err());
    assert_eq!(bench.ring.submit().unwrap(), 2);
    bench.ring.send(&bench.near, token(2), payload, SendMode::Attempt).map_err(drop).unwrap();
    bench.ring.submit().unwrap();
    for _ in 0..3 {
        assert!(matches!(bench.next(), Completion::Sent { result: Ok(1), .. }));
    }
    bench.no_more();
}

/// The completion queue is smaller than what completes at once.
#[test]
fn an_overflowing_completion_queue_loses_nothing() {
    let options = RingOptions {
        submissions: 4,
        completions: 8,
        buffers: 64,
        bulk_buffers: 2,
        buffer_size: 64,
    };
    let Some(mut bench) = Bench::new(&options) else { return };
    let pairs: Vec<_> = (0..40).map(|_| UnixStream::pair().unwrap()).collect();
    let (near, far): (Vec<_>, Vec<_>) =
        pairs.into_iter().map(|(near, far)| (Rc::new(OwnedFd::from(near)), far)).unzip();
    for (slot, near) in near.iter().enumerate() {
        while bench.ring.receive(near, token(slot as u32)).is_err() {
            bench.ring.submit().unwrap();
        }
    }
    bench.ring.submit().unwrap();
    for mut far in &far {
        far.write_all(b"x").unwrap();
    }
    let mut seen = vec![0; 40];
    for _ in 0..40 {
        match bench.next() {
            Completion::Received { token, result: Received::Data(_), .. } => {
                seen[token.slot as usize] += 1;
            }
            other => panic!("{}", name(&other)),
        }
    }
    assert_eq!(seen, [1; 40]);
}

/// Ending a ring cancels what is under way and frees its payloads after the kernel let go.
#[test]
fn the_end_of_a_ring_returns_its_payloads() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    bench.ring.receive(&bench.near, token(0)).unwrap();
    let big = vec![1; 8 << 20];
    for slot in 1..4 {
        let payload = bench.payload(&[&big]);
        bench.ring.send(&bench.near, token(slot), payload, SendMode::Wait).map_err(drop).unwrap();
    }
    bench.ring.submit().unwrap();
    let Bench { ring, near, far, alive, .. } = bench;
    drop(ring);
    assert_eq!(Rc::strong_count(&alive), 1);
    assert_eq!(Rc::strong_count(&near), 1, "no operation holds the descriptor");
    drop(far);
}

/// A thread may register sixteen rings; each must make room for the next, and let go of its
/// sockets.
#[test]
fn a_thread_may_have_many_rings_in_turn() {
    for _ in 0..50 {
        let Some(mut bench) = Bench::new(&SMALL) else { return };
        bench.ring.receive(&bench.near, token(0)).unwrap();
        bench.ring.submit().unwrap();
        let Bench { ring, near, mut far, .. } = bench;
        drop((ring, near));
        assert_eq!(far.read(&mut [0]).unwrap(), 0, "the socket is closed");
    }
}

#[test]
fn buffers_outlive_the_ring() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    bench.ring.receive(&bench.near, token(0)).unwrap();
    bench.far.write_all(b"kept").unwrap();
    let Completion::Received { result: Received::Data(buffer), .. } = bench.next() else {
        panic!("bytes are expected")
    };
    drop(bench);
    assert_eq!(&*buffer, b"kept");
}

#[test]
fn waiting_ends_in_time() {
    let Some(mut bench) = Bench::new(&SMALL) else { return };
    bench.ring.submit_and_wait(1, Some(Duration::from_millis(1))).unwrap();
    bench.ring.receive(&bench.near, token(0)).unwrap();
    bench.ring.submit_and_wait(1, Some(Duration::from_millis(1))).unwrap();
    bench.no_more();
}

#[test]
fn impossible_buffers_are_refused() {
    for (buffers, buffer_size) in [(0, 64), (3, 64), (4, 0)] {
        let options = RingOptions { buffers, buffer_size, ..SMALL };
        assert!(Ring::<Payload>::new(&options).is_err());
    }
}

fn name(completion: &Completion<Payload>) -> &'static str {
    match completion {
        Completion::Received { .. } => "a receive",
        Completion::Sent { .. } => "a send",
        Completion::Accepted { .. } => "an accept",
        Completion::Polled { .. } => "a poll",
    }
}
