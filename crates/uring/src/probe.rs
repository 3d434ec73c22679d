//! Whether this kernel, in this container, really does what the ring needs.

use crate::completion::{Completion, Received, Token};
use crate::operations::Descriptor;
use crate::ring::{Ring, RingOptions, SendMode};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

/// Generous: everything the probe waits for has already happened.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why io_uring cannot be used.
#[derive(Debug)]
pub struct Unsupported {
    /// What was tried.
    pub what: &'static str,
    /// What came of it.
    pub error: io::Error,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

impl std::error::Error for Unsupported {}

/// Tries out multishot receives with provided buffers and multishot accepts, on sockets of its
/// own.
///
/// # Errors
/// What does not work.
pub fn probe() -> Result<(), Unsupported> {
    let failed = |what| move |error| Unsupported { what, error };
    let options = RingOptions {
        submissions: 8,
        completions: 32,
        buffers: 4,
        bulk_buffers: 4,
        buffer_size: 64,
    };
    let mut ring = Ring::<Vec<u8>>::new(&options).map_err(failed("setting up a ring"))?;
    try_receive(&mut ring).map_err(failed("multishot receive into provided buffers"))?;
    try_accept(&mut ring).map_err(failed("multishot accept"))?;
    try_send(&mut ring).map_err(failed("sends that report only what they left unsent"))
}

const TOKEN: Token = Token { slot: 0, generation: 0 };

fn try_receive(ring: &mut Ring<Vec<u8>>) -> io::Result<()> {
    let (near, mut far) = UnixStream::pair()?;
    let near: Descriptor = Rc::new(OwnedFd::from(near));
    ring.receive(&near, TOKEN).map_err(|_| io::ErrorKind::Other)?;
    for word in ["one", "two"] {
        far.write_all(word.as_bytes())?;
        match next(ring)? {
            Completion::Received { result: Received::Data(bytes), more: true, .. }
                if *bytes == *word.as_bytes() => {}
            other => return Err(unexpected(&other)),
        }
    }
    drop(far);
    match next(ring)? {
        Completion::Received { result: Received::EndOfStream, .. } => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn try_accept(ring: &mut Ring<Vec<u8>>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let listener: Descriptor = Rc::new(OwnedFd::from(listener));
    let accept = ring.accept(&listener, TOKEN).map_err(|_| io::ErrorKind::Other)?;
    ring.submit()?;
    for _ in 0..2 {
        let _client = TcpStream::connect(address)?;
        match next(ring)? {
            Completion::Accepted { result: Ok(_), more: true, .. } => {}
            other => return Err(unexpected(&other)),
        }
    }
    ring.cancel(accept).map_err(|_| io::ErrorKind::Other)?;
    match next(ring)? {
        Completion::Accepted { result: Err(_), more: false, .. } => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// A send that fits is silent; one that does not reports at once how far it came.
fn try_send(ring: &mut Ring<Vec<u8>>) -> io::Result<()> {
    let (near, mut far) = UnixStream::pair()?;
    let near: Descriptor = Rc::new(OwnedFd::from(near));
    for length in [3, 8 << 20] {
        let payload = Box::new(vec![b'x'; length]);
        ring.send(&near, TOKEN, payload, SendMode::Attempt).map_err(|_| io::ErrorKind::Other)?;
        ring.submit()?;
        let reported = ring.has_completions();
        let mut out = Vec::new();
        ring.reap(1, usize::MAX, &mut out);
        match (length, reported, out.pop()) {
            (3, false, Some(Completion::Sent { result: Ok(3), .. })) => {}
            (4.., true, Some(Completion::Sent { result: Ok(1..), .. })) => return Ok(()),
            (_, _, Some(other)) => return Err(unexpected(&other)),
            (_, _, None) => return Err(io::ErrorKind::TimedOut.into()),
        }
        let mut word = [0; 3];
        far.read_exact(&mut word)?;
    }
    Ok(())
}

fn next(ring: &mut Ring<Vec<u8>>) -> io::Result<Completion<Vec<u8>>> {
    let mut out = Vec::new();
    for _ in 0..4 {
        ring.submit_and_wait(1, Some(PATIENCE))?;
        ring.reap(1, usize::MAX, &mut out);
        if let Some(completion) = out.pop() {
            return Ok(completion);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn unexpected(completion: &Completion<Vec<u8>>) -> io::Error {
    io::Error::other(format!("unexpected {}", completion.name()))
}
