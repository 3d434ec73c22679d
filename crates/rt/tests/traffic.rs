//! Bytes in, bytes out: exactly, in order, whatever the sockets do.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod common;

use common::{PATIENCE, Plan, Server, eventually, exchange, pattern, read_to_end};
use kevy_rt::{Backend, UnixBind};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

both_backends!(
    echo,
    many_connections,
    tiny_buffers,
    thousands_of_bodies,
    tiny_bodies,
    half_close,
    slow_reader,
    two_receive_buffers,
    tiny_queue,
    unix_socket,
    ipv6,
    refused_connection,
    last_words,
    abort,
);

fn echo(backend: Backend) {
    let server = Server::start(backend, Plan::default());
    let mut stream = server.connect();
    for length in [1, 3, 100, 16 * 1024, 16 * 1024 + 1, 1_000_000] {
        let bytes = pattern(length);
        assert!(exchange(&stream, &bytes, length) == bytes, "{length} bytes");
    }
    stream.write_all(b"x").unwrap();
    let mut back = [0];
    stream.read_exact(&mut back).unwrap();
    server.stop();
}

fn many_connections(backend: Backend) {
    let server = Server::with(backend, Plan::default(), 3, |_| {});
    let streams: Vec<TcpStream> = (0..90).map(|_| server.connect()).collect();
    for round in 0..20 {
        for (i, mut stream) in streams.iter().enumerate() {
            write!(stream, "{i}:{round};").unwrap();
        }
        for (i, mut stream) in streams.iter().enumerate() {
            let expected = format!("{i}:{round};");
            let mut back = vec![0; expected.len()];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, expected.as_bytes());
        }
    }
    for thread in 0..3 {
        assert_eq!(server.control.connections(thread), 30, "thread {thread}");
    }
}

/// Short writes at every place resume at the exact byte.
fn tiny_buffers(backend: Backend) {
    let plan = Plan { bodies: 7, body_size: 3001, ..Plan::default() };
    let server = Server::with(backend, plan, 1, |config| config.send_buffer = Some(1));
    // Small segments: with large ones a small window makes TCP wait for its timers.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.set_tcp_mss(600).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(&server.addresses[0].into()).unwrap();
    let stream = TcpStream::from(socket);
    let one = [(0..3001).map(|i| b'a' + (i % 26) as u8).collect(), b"|".to_vec()].concat();
    let expected = one.repeat(7 * 20);
    assert!(exchange(&stream, &[1; 20], expected.len()) == expected);
    eventually("the account of what was sent", || {
        server.plan.sent.load(Ordering::SeqCst) == expected.len() as u64
    });
}

fn thousands_of_bodies(backend: Backend) {
    let server = Server::start(backend, Plan { bodies: 5000, body_size: 100, ..Plan::default() });
    let stream = server.connect();
    let one = [(0..100).map(|i| b'a' + (i % 26) as u8).collect(), b"|".to_vec()].concat();
    let expected = one.repeat(5000);
    for _ in 0..5 {
        assert!(exchange(&stream, b"x", expected.len()) == expected);
    }
}

/// More slices than one gathered write takes, few bytes: the next chunk must not wait for
/// something else to happen.
fn tiny_bodies(backend: Backend) {
    let server = Server::start(backend, Plan { bodies: 3000, body_size: 1, ..Plan::default() });
    let stream = server.connect();
    for _ in 0..50 {
        assert!(exchange(&stream, b"x", 6000) == b"a|".repeat(3000));
    }
}

fn half_close(backend: Backend) {
    let server = Server::start(backend, Plan::default());
    let bytes = pattern(300_000);
    for _ in 0..20 {
        let mut stream = server.connect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&bytes).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            assert!(read_to_end(&mut &stream).unwrap() == bytes);
        });
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    eventually("closing", || server.plan.closed.load(Ordering::SeqCst) == 20);
}

/// A client that does not read is not read from either, and gets everything in the end.
fn slow_reader(backend: Backend) {
    let plan = Plan { pause_above: Some(100_000), ..Plan::default() };
    let server = Server::start(backend, plan);
    let stream = server.connect();
    let bytes = pattern(30_000_000);
    let back = std::thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&bytes).unwrap());
        eventually("the pause", || server.plan.paused.load(Ordering::SeqCst) > 0);
        let mut back = vec![0; bytes.len()];
        (&stream).read_exact(&mut back).unwrap();
        back
    });
    assert!(back == bytes);
    let most = server.plan.most_unsent.load(Ordering::SeqCst);
    // What one turn may receive comes on top of the limit, and what completes after the pause.
    assert!(most < 4_000_000, "{most} bytes unsent");
}

/// A burst that finds no receive buffer costs no connection and no byte.
fn two_receive_buffers(backend: Backend) {
    let server = Server::with(backend, Plan::default(), 1, |config| {
        config.ring.buffers = 2;
        config.ring.buffer_size = 512;
    });
    let streams: Vec<TcpStream> = (0..64).map(|_| server.connect()).collect();
    let bytes = pattern(20_000);
    std::thread::scope(|scope| {
        for stream in &streams {
            scope.spawn(|| assert!(exchange(stream, &bytes, bytes.len()) == bytes));
        }
    });
}

/// What finds the submission queue full is submitted later.
fn tiny_queue(backend: Backend) {
    let server = Server::with(backend, Plan::default(), 1, |config| {
        config.ring.submissions = 2;
        config.ring.completions = 4;
    });
    let streams: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for round in 0..10 {
        for mut stream in &streams {
            stream.write_all(&[round; 10]).unwrap();
        }
        for mut stream in &streams {
            let mut back = [0; 10];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, [round; 10]);
        }
    }
    drop(streams);
    eventually("closing", || server.plan.closed.load(Ordering::SeqCst) == 200);
}

fn unix_socket(backend: Backend) {
    let path = std::env::temp_dir().join(format!("kevy-rt-{}-{backend}.sock", std::process::id()));
    let server = Server::with(backend, Plan::default(), 2, |config| {
        config.unix = Some(UnixBind { path: path.clone(), permissions: Some(0o600) });
    });
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut streams: Vec<_> = (0..4).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(stream).unwrap(), b"hello");
    }
    eventually("closing", || server.plan.closed.load(Ordering::SeqCst) == 4);
    server.stop();
    assert!(!path.exists(), "the socket is removed");
}

fn ipv6(backend: Backend) {
    let server = Server::with(backend, Plan::default(), 1, |config| {
        config.tcp.push(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)).into());
    });
    let stream = TcpStream::connect(server.addresses[1]).unwrap();
    assert!(stream.peer_addr().unwrap().is_ipv6());
    assert_eq!(exchange(&stream, b"six", 3), b"six");
}

fn refused_connection(backend: Backend) {
    let server = Server::start(backend, Plan { refuse: Some(b"-ERR full\r\n"), ..Plan::default() });
    for _ in 0..10 {
        assert_eq!(read_to_end(&mut server.connect()).unwrap(), b"-ERR full\r\n");
    }
    eventually("the count to return", || server.control.connections(0) == 0);
}

/// A reply that precedes the closing arrives, although the client has sent more.
fn last_words(backend: Backend) {
    let server = Server::start(backend, Plan { close_on: Some(b'!'), ..Plan::default() });
    for _ in 0..50 {
        let mut stream = server.connect();
        stream.write_all(b"goodbye!").unwrap();
        assert_eq!(read_to_end(&mut stream).unwrap(), b"goodbye!");
    }
}

fn abort(backend: Backend) {
    let server = Server::start(backend, Plan { abort_on: Some(b'!'), ..Plan::default() });
    for _ in 0..50 {
        let mut stream = server.connect();
        stream.write_all(b"!").unwrap();
        assert_eq!(read_to_end(&mut stream).unwrap_or_default(), b"");
    }
    eventually("closing", || server.plan.closed.load(Ordering::SeqCst) == 50);
}
