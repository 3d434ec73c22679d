//! What a runtime is told at its start.

use crate::clock::Clock;
use kevy_uring::RingOptions;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How a runtime does its I/O.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// `io_uring`.
    IoUring,
    /// `epoll`.
    Epoll,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

/// Which backend to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BackendChoice {
    /// io_uring where a probe at start succeeds, else epoll.
    #[default]
    Auto,
    /// This one or none.
    Forced(Backend),
}

/// Whether threads are bound to cores.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Pin {
    /// Thread by thread to the cores that the process may use, if there are at least as many of
    /// them as threads and more than one thread.
    Auto,
    /// Not at all.
    #[default]
    Never,
    /// Thread `i` to `cores[i % cores.len()]`.
    Cores(Vec<usize>),
}

/// A TCP address to listen on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpBind {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// An address that this machine does not have is skipped.
    pub optional: bool,
}

impl From<SocketAddr> for TcpBind {
    fn from(address: SocketAddr) -> Self {
        Self { address, optional: false }
    }
}

/// A Unix socket to listen on. Whatever lies at the path is replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnixBind {
    /// Its path.
    pub path: PathBuf,
    /// Its permission bits; `None` leaves what the umask gives.
    pub permissions: Option<u32>,
}

/// Everything a runtime is told at its start.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// TCP addresses.
    pub tcp: Vec<TcpBind>,
    /// The Unix socket.
    pub unix: Option<UnixBind>,
    /// Connections that may wait to be accepted; the system may cap it.
    pub backlog: u32,
    /// Seconds of silence after which TCP asks whether the peer is alive; 0: never.
    pub tcp_keepalive: u32,
    /// Bytes of the kernel's send buffer of each TCP connection; `None`: the system decides.
    pub send_buffer: Option<usize>,
    /// io_uring or epoll.
    pub backend: BackendChoice,
    /// Binding of threads to cores.
    pub pin: Pin,
    /// How long a thread of the io_uring driver looks out for the next event before it sleeps,
    /// where that has paid lately. Zero: it sleeps at once.
    pub spin: Duration,
    /// Sizes of each thread's ring.
    pub ring: RingOptions,
    /// The clock, shared with whoever compares times with services.
    pub clock: Clock,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            tcp: Vec::new(),
            unix: None,
            backlog: 511,
            tcp_keepalive: 300,
            send_buffer: None,
            backend: BackendChoice::Auto,
            pin: Pin::default(),
            spin: Duration::from_micros(8),
            ring: RingOptions::default(),
            clock: Clock::start(),
        }
    }
}
