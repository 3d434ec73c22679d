//! Nobody waits long for those who send as fast as they can.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod common;

use common::{Plan, Server, eventually};
use kevy_rt::Backend;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

both_backends!(beside_an_upload, beside_many_uploads, beside_a_flood);

/// Senders of which epoll receives in one turn: 64 KiB from each, 512 KiB in all.
const SENDERS_IN_A_TURN: usize = 8;
/// Turns after which what a socket holds has nearly always been received. A turn takes 512 KiB at most,
/// and all buffers together hold somewhat more than four times that.
const TURNS: u64 = 12;
const ROUNDS: usize = 100;

/// Ends the senders, whether or not the test succeeds.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends without a pause until told to end.
fn press(mut stream: &TcpStream, piece: &[u8], end: &AtomicBool) {
    while !end.load(Ordering::SeqCst) {
        match stream.write(piece) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// While `senders` send `piece` again and again, a small request that is in its socket when a
/// turn begins is received within few turns.
fn small_request(backend: Backend, senders: usize, piece: &[u8]) {
    let plan = Plan { mute: Some(b'm'), stop_on: Some(b's'), ..Plan::default() };
    let server = Server::start(backend, plan);
    let plan = &server.plan;
    let end = AtomicBool::new(false);
    let streams: Vec<TcpStream> = (0..senders).map(|_| server.connect()).collect();
    let mut small = server.connect();
    small.set_nodelay(true).unwrap();
    std::thread::scope(|scope| {
        let _ending = Ending(&end);
        for stream in &streams {
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            scope.spawn(|| press(stream, piece, &end));
        }
        for round in 1..=ROUNDS as u64 {
            // The pressure is on again.
            let before = plan.muted.load(Ordering::SeqCst);
            eventually("muted bytes", || plan.muted.load(Ordering::SeqCst) > before + 100 * round);
            small.write_all(b"s").unwrap();
            eventually("the stop", || plan.stopped.swap(false, Ordering::SeqCst));
            small.write_all(b"x").unwrap();
            plan.gate.store(true, Ordering::SeqCst);
            small.read_exact(&mut [0]).unwrap();
        }
    });
    let mut waits = plan.waits.lock().unwrap();
    waits.sort_unstable();
    assert_eq!(waits.len(), ROUNDS);
    // Usually it waits for one round of everybody, at most. The slowest tenth is not looked at:
    // which socket the kernel serves first is its own affair, the more so on a busy machine.
    let round = 2 + (senders / SENDERS_IN_A_TURN) as u64;
    for (rank, limit) in [(ROUNDS / 2, round), (ROUNDS * 9 / 10, TURNS)] {
        let (turns, bytes) = waits[rank];
        assert!(turns <= limit, "{turns} turns, {bytes} bytes of others at rank {rank}");
    }
}

fn beside_an_upload(backend: Backend) {
    small_request(backend, 1, &[b'm'; 1 << 20]);
}

/// More of them than a turn has room for.
fn beside_many_uploads(backend: Backend) {
    small_request(backend, 24, &[b'm'; 1 << 20]);
}

fn beside_a_flood(backend: Backend) {
    small_request(backend, 2, b"m");
}
