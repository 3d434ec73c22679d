//! `kevy-bench null`: a server without a store, as the limit that others are compared with.
//!
//! It skips through frames by their lengths, looks at the first letter of each command's name and
//! answers with a fixed reply: `G` with a value, `P` with `+PONG`, everything else with `+OK`. It
//! runs on the drivers that kevy runs on.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use kevy_rt::{
    Action, Backend, BackendChoice, ConnId, Event, Now, Peer, Runtime, RuntimeConfig, Service, Wait,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

type Output = kevy_resp::Output<Arc<[u8]>>;

/// Values from this size on are referred to and not copied.
const SHARED_FROM: usize = 4096;
/// A header line is not longer; longer ones are inline commands of no interest.
const LINE_KEPT: usize = 64;

/// Cuts a stream of requests into commands without looking at the arguments.
#[derive(Default)]
struct FrameScanner {
    /// Bytes of an argument and its line end that are still to come.
    skip: usize,
    /// Arguments of the command under way that have not begun.
    arguments: u64,
    /// First letter of its name, once that has begun; zero before.
    letter: u8,
    /// The argument under way is the name, and nothing of it has come.
    name_next: bool,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
}

/// The stream is not made of requests.
#[derive(Debug, PartialEq, Eq)]
struct NotRequests;

impl FrameScanner {
    /// Takes in the next bytes and tells the first letter of each command completed by them.
    fn feed(
        &mut self,
        mut bytes: &[u8],
        mut command: impl FnMut(u8),
    ) -> std::result::Result<(), NotRequests> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                bytes = self.pass_argument(bytes, &mut command);
                continue;
            }
            if let (true, Some((value, len))) = (self.line.is_empty(), whole_header(bytes)) {
                self.begin(bytes[0], value)?;
                bytes = &bytes[len..];
                continue;
            }
            let Some(newline) = bytes.iter().position(|&byte| byte == b'\n') else {
                let room = LINE_KEPT.saturating_sub(self.line.len());
                self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
                return Ok(());
            };
            let (line, rest) = bytes.split_at(newline + 1);
            bytes = rest;
            if self.line.is_empty() {
                self.line(line, &mut command)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.line(&whole, &mut command)?;
                whole.clear();
                self.line = whole;
            }
        }
        Ok(())
    }

    #[inline]
    fn pass_argument<'a>(&mut self, bytes: &'a [u8], command: &mut impl FnMut(u8)) -> &'a [u8] {
        if self.name_next {
            self.name_next = false;
            self.letter = bytes[0].to_ascii_uppercase();
        }
        let passed = self.skip.min(bytes.len());
        self.skip -= passed;
        if self.skip == 0 && self.arguments == 0 {
            command(self.letter);
            self.letter = 0;
        }
        &bytes[passed..]
    }

    /// A line that came in pieces, or is no header of a frame.
    fn line(
        &mut self,
        line: &[u8],
        command: &mut impl FnMut(u8),
    ) -> std::result::Result<(), NotRequests> {
        match (whole_header(line), line) {
            (Some((value, _)), _) => self.begin(line[0], value),
            (None, _) if self.arguments > 0 || line[0] == b'*' => Err(NotRequests),
            // Empty lines between commands are allowed.
            (None, b"\r\n" | b"\n") => Ok(()),
            (None, _) => {
                command(line[0].to_ascii_uppercase());
                Ok(())
            }
        }
    }

    /// The header of a command or of an argument, whichever is due.
    #[inline]
    fn begin(&mut self, kind: u8, value: u64) -> std::result::Result<(), NotRequests> {
        match (kind, self.arguments) {
            (b'*', 0) => self.arguments = value,
            (b'$', 1..) => {
                self.skip = value as usize + 2;
                self.arguments -= 1;
                self.name_next = self.letter == 0;
            }
            _ => return Err(NotRequests),
        }
        Ok(())
    }
}

/// The number of a header line that is there in whole, and the length of the line.
#[inline]
fn whole_header(bytes: &[u8]) -> Option<(u64, usize)> {
    let (b'*' | b'$', digits) = bytes.split_first()? else {
        return None;
    };
    let mut value = 0u64;
    for (i, &byte) in digits.iter().take(12).enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
            b'\r' if i > 0 && digits.get(i + 1) == Some(&b'\n') => return Some((value, i + 3)),
            _ => return None,
        }
    }
    None
}

/// What is answered.
struct Replies {
    /// A whole reply, or only its header if the value is shared.
    value: Vec<u8>,
    shared: Option<Arc<[u8]>>,
}

impl Replies {
    fn new(value_size: usize) -> Self {
        let header = format!("${value_size}\r\n").into_bytes();
        let body = vec![b'x'; value_size];
        if value_size >= SHARED_FROM {
            return Self { value: header, shared: Some(body.into()) };
        }
        Self { value: [header, body, b"\r\n".to_vec()].concat(), shared: None }
    }

    #[inline]
    fn answer(&self, letter: u8, output: &mut Output) {
        match letter {
            b'G' => {
                output.extend(&self.value);
                if let Some(body) = &self.shared {
                    output.push_body(Arc::clone(body));
                    output.extend(b"\r\n");
                }
            }
            b'P' => output.extend(b"+PONG\r\n"),
            _ => output.extend(b"+OK\r\n"),
        }
    }
}

struct Connection {
    scanner: FrameScanner,
    output: Output,
    /// The driver knows that there is output.
    announced: bool,
}

struct Slot {
    generation: u32,
    tenant: Option<Connection>,
}

/// The connections of one thread.
struct NullService {
    replies: Replies,
    slots: Vec<Slot>,
    free: Vec<u32>,
    actions: Vec<Action>,
}

impl NullService {
    fn new(value_size: usize) -> Self {
        let replies = Replies::new(value_size);
        Self { replies, slots: Vec::new(), free: Vec::new(), actions: Vec::new() }
    }

    fn received(&mut self, id: ConnId, bytes: &[u8]) {
        let Self { replies, slots, actions, .. } = self;
        let Some(connection) = tenant(slots, id) else {
            return;
        };
        let Connection { scanner, output, announced } = connection;
        if scanner.feed(bytes, |letter| replies.answer(letter, output)).is_err() {
            actions.push(Action::Abort(id));
        } else if !output.is_empty() && !std::mem::replace(announced, true) {
            actions.push(Action::Send(id));
        }
    }
}

fn tenant(slots: &mut [Slot], id: ConnId) -> Option<&mut Connection> {
    let slot = slots.get_mut(id.slot as usize)?;
    slot.tenant.as_mut().filter(|_| slot.generation == id.generation)
}

impl Service for NullService {
    type Body = Arc<[u8]>;

    fn connect(&mut self, _peer: Peer) -> std::result::Result<ConnId, Vec<u8>> {
        let scanner = FrameScanner::default();
        let tenant = Some(Connection { scanner, output: Output::new(), announced: false });
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        if index as usize == self.slots.len() {
            self.slots.push(Slot { generation: 0, tenant: None });
        }
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.tenant = tenant;
        Ok(ConnId { slot: index, generation: slot.generation })
    }

    fn turn(&mut self, _now: &Now, events: &[Event<'_>]) {
        for event in events {
            match *event {
                Event::Received(id, bytes) => self.received(id, bytes),
                Event::EndOfStream(id) => self.actions.push(Action::Close(id)),
                Event::Failed(id) => self.actions.push(Action::Abort(id)),
                Event::Sent(..) => {}
            }
        }
    }

    fn actions(&mut self, out: &mut Vec<Action>) {
        out.append(&mut self.actions);
    }

    fn take_output(&mut self, conn: ConnId, out: &mut Output) {
        if let Some(connection) = tenant(&mut self.slots, conn) {
            connection.announced = false;
            std::mem::swap(&mut connection.output, out);
        }
    }

    fn closed(&mut self, conn: ConnId) {
        if tenant(&mut self.slots, conn).is_some() {
            self.slots[conn.slot as usize].tenant = None;
            self.free.push(conn.slot);
        }
    }

    fn wait(&self) -> Wait {
        Wait::Forever
    }

    fn before_sleep(&mut self) -> bool {
        true
    }

    fn after_sleep(&mut self) {}

    fn finished(&self) -> bool {
        // It serves until it is killed.
        false
    }
}

/// How the null server does its I/O.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum IoBackend {
    /// io_uring where that works, else epoll.
    Auto,
    /// io_uring or not at all.
    #[value(name = "io_uring")]
    IoUring,
    /// epoll.
    Epoll,
}

impl From<IoBackend> for BackendChoice {
    fn from(backend: IoBackend) -> Self {
        match backend {
            IoBackend::Auto => Self::Auto,
            IoBackend::IoUring => Self::Forced(Backend::IoUring),
            IoBackend::Epoll => Self::Forced(Backend::Epoll),
        }
    }
}

/// Options of `null`.
#[derive(Args, Debug)]
pub struct NullArgs {
    /// Port.
    #[arg(short, long, default_value_t = 6379)]
    port: u16,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Bytes of the value that commands with G are answered with.
    #[arg(long, default_value_t = 64)]
    value_size: usize,
    /// How I/O is done.
    #[arg(long, value_enum, default_value = "auto")]
    io_backend: IoBackend,
}

/// Serves until it is killed.
///
/// # Errors
/// The port cannot be had, or the backend fails.
pub fn main(args: &NullArgs) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let config = RuntimeConfig {
        tcp: vec![address.into()],
        backend: args.io_backend.into(),
        ..RuntimeConfig::default()
    };
    let threads = args.threads.max(1);
    let runtime = Runtime::bind(config, threads).with_context(|| format!("{address}"))?;
    let services = (0..threads).map(|_| NullService::new(args.value_size)).collect();
    let handle = runtime.start(services)?;
    println!("null server on {address}, {} threads, {}", threads, handle.backend());
    Ok(handle.join()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kevy_rt::PeerAddress;
    use proptest::prelude::*;

    fn letters(pieces: &[&[u8]]) -> std::result::Result<String, NotRequests> {
        let mut scanner = FrameScanner::default();
        let mut letters = String::new();
        for piece in pieces {
            scanner.feed(piece, |letter| letters.push(char::from(letter)))?;
        }
        Ok(letters)
    }

    #[test]
    fn rubbish_within_a_command_is_refused() {
        assert_eq!(letters(&[b"*1\r\nGET\r\n"]), Err(NotRequests));
        assert_eq!(letters(&[b"*x\r\n"]), Err(NotRequests));
        assert_eq!(letters(&[b"*1\r\n$-1\r\n"]), Err(NotRequests));
    }

    #[test]
    fn inline_commands_and_empty_lines() {
        assert_eq!(letters(&[b"ping\r\n\r\n*0\r\nGET a\r\n"]).unwrap(), "PG");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 256,
            failure_persistence: None,
            rng_seed: proptest::test_runner::RngSeed::Fixed(0x6b65_7679),
            ..ProptestConfig::default()
        })]

        #[test]
        fn splits_do_not_matter(
            values in prop::collection::vec(0usize..40, 1..20),
            cuts in prop::collection::vec(1usize..12, 1..20),
        ) {
            let mut stream = Vec::new();
            let mut expected = String::new();
            for size in values {
                stream.extend_from_slice(b"*3\r\n$3\r\nset\r\n$2\r\n\r\n\r\n$");
                stream.extend_from_slice(format!("{size}\r\n").as_bytes());
                stream.extend(std::iter::repeat_n(b'\n', size));
                stream.extend_from_slice(b"\r\n*1\r\n$4\r\nGETX\r\n*1\r\n$0\r\n\r\n");
                expected.push_str("SG\r");
            }
            let mut pieces = Vec::new();
            let (mut rest, mut turn) = (stream.as_slice(), 0);
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(rest.len().min(cuts[turn % cuts.len()]));
                pieces.push(piece);
                (rest, turn) = (tail, turn + 1);
            }
            prop_assert_eq!(letters(&pieces).unwrap(), expected);
        }
    }

    fn peer() -> Peer {
        Peer { address: PeerAddress::Unix("x".into()), fd: -1 }
    }

    #[test]
    fn answers_by_letter_and_announces_once() {
        for (size, shared) in [(3, false), (SHARED_FROM, true)] {
            let mut service = NullService::new(size);
            assert_eq!(service.replies.shared.is_some(), shared);
            let id = service.connect(peer()).unwrap();
            let events = [
                Event::Received(id, b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPI"),
                Event::Received(id, b"NG\r\n*1\r\n$3\r\nFOO\r\n"),
            ];
            service.turn(&Now::default(), &events);
            let mut actions = Vec::new();
            service.actions(&mut actions);
            assert_eq!(actions, [Action::Send(id)]);
            let mut output = Output::new();
            service.take_output(id, &mut output);
            let value = "x".repeat(size);
            let expected = format!("${size}\r\n{value}\r\n+PONG\r\n+OK\r\n");
            assert_eq!(output.to_vec(), expected.as_bytes());
        }
    }

    #[test]
    fn an_earlier_tenant_of_a_slot_is_not_served() {
        let mut service = NullService::new(1);
        let old = service.connect(peer()).unwrap();
        service.closed(old);
        let new = service.connect(peer()).unwrap();
        assert_eq!(old.slot, new.slot);
        service.turn(&Now::default(), &[Event::Received(old, b"PING\r\n")]);
        let mut actions = Vec::new();
        service.actions(&mut actions);
        assert!(actions.is_empty());
    }
}
