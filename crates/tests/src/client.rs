//! A plain blocking client that shows replies as they are.

use crate::value::{Value, decode};
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a reply may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Both kinds of stream that the server listens on.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// A second handle of the same connection.
    fn twin(&self) -> Result<Stream> {
        Ok(match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
        })
    }

    fn reader(&mut self) -> &mut dyn Read {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        }
    }
}

/// A connection.
pub struct Client {
    stream: Stream,
    /// Received and not yet read as a reply, from `start` on.
    received: Vec<u8>,
    start: usize,
}

impl Client {
    /// Connects over TCP.
    pub fn connect(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: Stream::Tcp(stream), received: Vec::new(), start: 0 })
    }

    /// Connects over a Unix socket.
    pub fn connect_unix(path: &Path) -> Result<Client> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: Stream::Unix(stream), received: Vec::new(), start: 0 })
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.writer().write_all(bytes).context("sending")
    }

    /// Sends one command without reading its reply.
    pub fn send(&mut self, arguments: &[impl AsRef<[u8]>]) -> Result<()> {
        let mut frame = Vec::new();
        encode(&mut frame, arguments);
        self.send_raw(&frame)
    }

    /// Reads one reply.
    pub fn read(&mut self) -> Result<Value> {
        loop {
            if let Some((value, length)) = decode(&self.received[self.start..])? {
                self.start += length;
                if self.start == self.received.len() {
                    self.received.clear();
                    self.start = 0;
                }
                return Ok(value);
            }
            if self.receive()? == 0 {
                bail!("the server closed the connection instead of answering");
            }
        }
    }

    /// Sends one command and reads its reply.
    pub fn call(&mut self, arguments: &[impl AsRef<[u8]>]) -> Result<Value> {
        self.send(arguments)?;
        self.read()
    }

    /// Sends a command given as words with one space between them and reads its reply.
    pub fn words(&mut self, command: &str) -> Result<Value> {
        self.call(&command.split(' ').collect::<Vec<_>>())
    }

    /// Sends all commands in one write and reads as many replies.
    pub fn pipeline<C: AsRef<[A]>, A: AsRef<[u8]>>(
        &mut self,
        commands: &[C],
    ) -> Result<Vec<Value>> {
        let mut frames = Vec::new();
        for command in commands {
            encode(&mut frames, command.as_ref());
        }
        self.send_raw(&frames)?;
        commands.iter().map(|_| self.read()).collect()
    }

    /// Sends `bytes` from a thread of their own while `read` reads: a server may rightly stop
    /// reading while its replies are not read.
    pub fn send_while_reading(
        &mut self,
        bytes: Vec<u8>,
        read: impl FnOnce(&mut Client) -> Result<()>,
    ) -> Result<()> {
        let mut twin = self.stream.twin()?;
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || twin.writer().write_all(&bytes));
            read(self)?;
            match sender.join() {
                Ok(sent) => sent.context("sending"),
                Err(_) => bail!("the sending thread panicked"),
            }
        })
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&self) -> Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write)?,
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write)?,
        }
        Ok(())
    }

    /// Reads until the server closes; a reset counts as closing.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>> {
        while self.receive()? > 0 {}
        Ok(self.received.split_off(self.start))
    }

    /// Waits up to `longest` for one reply; `None` if none came.
    pub fn read_within(&mut self, longest: Duration) -> Result<Option<Value>> {
        self.set_patience(longest)?;
        let reply = self.read();
        self.set_patience(PATIENCE)?;
        match reply {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_timeout(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The local address of a TCP connection.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// Makes the connection end in a reset instead of an orderly close when it is dropped.
    pub fn reset_on_drop(&self) -> Result<()> {
        if let Stream::Tcp(stream) = &self.stream {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Makes reading and writing fail after waiting for `longest`.
    pub fn set_patience(&self, longest: Duration) -> Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(longest))?;
                stream.set_write_timeout(Some(longest))?;
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(longest))?;
                stream.set_write_timeout(Some(longest))?;
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<usize> {
        let mut chunk = [0; 64 * 1024];
        loop {
            match self.stream.reader().read(&mut chunk) {
                Ok(count) => {
                    self.received.extend_from_slice(&chunk[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(error).context("waiting for a reply"),
            }
        }
    }
}

fn is_timeout(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| matches!(error.kind(), TimedOut | WouldBlock))
}

/// Appends one command as an array of bulks.
pub fn encode(out: &mut Vec<u8>, arguments: &[impl AsRef<[u8]>]) {
    out.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments {
        let argument = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}
