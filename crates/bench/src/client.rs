//! Connections to a server: the address, a blocking client for single commands.

use crate::scan::Scanner;
use anyhow::{Context, Result, bail};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Host and port.
    Tcp(String, u16),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

impl Target {
    /// A port of this machine.
    pub fn local(port: u16) -> Self {
        Self::Tcp("127.0.0.1".to_owned(), port)
    }

    fn connect(&self) -> Result<OwnedFd> {
        let socket: OwnedFd = match self {
            Self::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port))?;
                stream.set_nodelay(true)?;
                stream.into()
            }
            Self::Unix(path) => UnixStream::connect(path)?.into(),
        };
        Ok(socket)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What each connection says first.
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    /// Speak RESP3.
    pub resp3: bool,
    /// User name of `AUTH`; `default` if only a password is given.
    pub user: Option<String>,
    /// Password of `AUTH`.
    pub password: Option<String>,
    /// Database to select.
    pub database: u32,
}

impl Greeting {
    fn commands(&self) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let mut commands = Vec::new();
        if let Some(password) = &self.password {
            let user = self.user.as_deref().unwrap_or("default");
            commands.push(words(&["AUTH", user, password]));
        }
        if self.resp3 {
            commands.push(words(&["HELLO", "3"]));
        }
        if self.database != 0 {
            commands.push(words(&["SELECT", &self.database.to_string()]));
        }
        commands
    }
}

/// A blocking connection for one command at a time.
pub struct Client {
    socket: OwnedFd,
}

impl Client {
    /// Connects and greets.
    ///
    /// # Errors
    /// Nobody listens, or the server refuses the greeting.
    pub fn connect(target: &Target, greeting: &Greeting) -> Result<Self> {
        let socket = target.connect().with_context(|| format!("cannot connect to {target}"))?;
        let mut client = Self { socket };
        for command in greeting.commands() {
            client.command(&command)?;
        }
        Ok(client)
    }

    /// Tries to connect until the server answers `PING` or the time is up.
    ///
    /// # Errors
    /// The time is up.
    pub fn wait_for(target: &Target, greeting: &Greeting, limit: Duration) -> Result<Self> {
        let deadline = Instant::now() + limit;
        loop {
            let attempt = Self::connect(target, greeting).and_then(|mut client| {
                client.command(&["PING"])?;
                Ok(client)
            });
            match attempt {
                Ok(client) => return Ok(client),
                Err(error) if Instant::now() >= deadline => {
                    return Err(error.context("the server did not become ready"));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Sends one command and returns the bytes of its reply.
    ///
    /// # Errors
    /// The connection failed or the reply is an error.
    pub fn command(&mut self, words: &[impl AsRef<str>]) -> Result<Vec<u8>> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let word = word.as_ref();
            request.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        self.exchange(&request, 1)
    }

    /// Sends encoded requests and returns the bytes of all their replies.
    ///
    /// # Errors
    /// The connection failed or a reply is an error.
    pub fn exchange(&mut self, requests: &[u8], replies: u64) -> Result<Vec<u8>> {
        let mut socket = Socket(&self.socket);
        socket.write_all(requests)?;
        let mut scanner = Scanner::default();
        let (mut received, mut completed) = (Vec::new(), 0);
        let mut buffer = [0u8; 16 * 1024];
        while completed < replies {
            let len = socket.read(&mut buffer)?;
            if len == 0 {
                bail!("the server closed the connection");
            }
            completed += scanner.feed(&buffer[..len])?;
            received.extend_from_slice(&buffer[..len]);
        }
        match scanner.first_error() {
            Some(error) => bail!("the server replied: {error}"),
            None => Ok(received),
        }
    }

    /// Subscribes to a channel and waits for the confirmation.
    ///
    /// # Errors
    /// The connection failed.
    pub fn subscribe(&mut self, channel: &str) -> Result<()> {
        let mut socket = Socket(&self.socket);
        socket.write_all(format!("SUBSCRIBE {channel}\r\n").as_bytes())?;
        let mut confirmation = Vec::new();
        let mut buffer = [0u8; 256];
        // Under RESP3 it is a push, which no scanner takes for an answer.
        while !confirmation.ends_with(b":1\r\n") {
            let len = socket.read(&mut buffer)?;
            if len == 0 || confirmation.len() > 4096 {
                bail!("no confirmation of SUBSCRIBE");
            }
            confirmation.extend_from_slice(&buffer[..len]);
        }
        Ok(())
    }

    /// A number from a section of `INFO`, for example `used_memory`.
    ///
    /// # Errors
    /// The connection failed, or there is no such number.
    pub fn info_number(&mut self, section: &str, field: &str) -> Result<u64> {
        let reply = self.command(&["INFO", section])?;
        let text = String::from_utf8_lossy(&reply);
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value
            .and_then(|value| value.trim().parse().ok())
            .with_context(|| format!("no number {field} in INFO {section}"))
    }

    /// The socket, from now on without blocking.
    ///
    /// # Errors
    /// The system refuses.
    pub fn into_nonblocking(self) -> Result<OwnedFd> {
        rustix::io::ioctl_fionbio(&self.socket, true)?;
        Ok(self.socket)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Reading and writing on a borrowed socket.
struct Socket<'a>(&'a OwnedFd);

impl Read for Socket<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let (len, _) = rustix::net::recv(self.0, buf, rustix::net::RecvFlags::empty())?;
        Ok(len)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(rustix::net::send(self.0, buf, rustix::net::SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
