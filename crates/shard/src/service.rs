//! The seam between a shard and the driver that moves it.
//!
//! A driver (io_uring, epoll, the simulator) does the I/O; a [`Service`] turns bytes received
//! into bytes to send and never does I/O, reads no clock and never blocks.

use kevy_resp::Output;
use std::net::SocketAddr;
use std::os::fd::RawFd;

/// Names a connection of one shard. A slot is reused; the generation tells its tenants apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ConnId {
    /// Index into the shard's connections.
    pub slot: u32,
    /// Counts the tenants of the slot.
    pub generation: u32,
}

/// What the other end of a new connection is.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: PeerAddress,
    /// The descriptor's number, for `CLIENT LIST` only: a service never uses it.
    pub fd: RawFd,
}

/// The two addresses of a connection, as `CLIENT LIST` shows them.
#[derive(Clone, Debug)]
pub enum PeerAddress {
    /// TCP over IPv4 or IPv6.
    Tcp {
        /// The client's end.
        peer: SocketAddr,
        /// The server's end.
        local: SocketAddr,
    },
    /// A Unix socket, by its path.
    Unix(std::path::PathBuf),
}

/// What a driver tells its service within one turn.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Bytes of a connection, in order of arrival; borrowed for the turn only.
    Received(ConnId, &'a [u8]),
    /// The peer will send nothing more. It may still read.
    EndOfStream(ConnId),
    /// Receiving or sending failed: the connection is of no use any more.
    Failed(ConnId),
    /// So many more bytes of the connection's output have left.
    Sent(ConnId, usize),
}

/// What a service wants done. Within one turn each connection is named at most once for each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// There is output to take with [`Service::take_output`].
    Send(ConnId),
    /// Receive nothing more until [`Action::ResumeReceive`] (back-pressure).
    PauseReceive(ConnId),
    /// Receive again.
    ResumeReceive(ConnId),
    /// Close once all output has been taken and sent.
    Close(ConnId),
    /// Close at once, whatever is unsent.
    Abort(ConnId),
}

/// The clocks, read once a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Microseconds since the Unix epoch.
    pub unix_us: i64,
    /// Nanoseconds of a clock that never goes back.
    pub mono_ns: u64,
}

impl Now {
    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_ms(&self) -> i64 {
        self.unix_us / 1000
    }
}

/// How long a driver may wait for the next completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// There is work left: only look what has arrived.
    Now,
    /// Until this instant of [`Now::mono_ns`].
    Until(u64),
    /// Until something arrives.
    Forever,
}

/// What a driver moves: a shard of the server, the null server of the benchmarks, a test's echo.
pub trait Service {
    /// Large bodies that replies refer to without copying.
    type Body: AsRef<[u8]> + Clone + Send + 'static;

    /// A connection has been accepted.
    ///
    /// # Errors
    /// The last words to send (best effort) before it is closed.
    fn connect(&mut self, peer: Peer) -> Result<ConnId, Vec<u8>>;

    /// Takes in what has happened and runs what is runnable. `events` borrow the kernel's
    /// buffers: what outlives the turn is copied.
    fn turn(&mut self, now: &Now, events: &[Event<'_>]);

    /// Appends what the driver has to do since the last call.
    fn actions(&mut self, out: &mut Vec<Action>);

    /// Moves the output of a connection to `out`, which is empty. Called when nothing of the
    /// connection is in flight; what is produced afterwards is announced by another
    /// [`Action::Send`]. An unknown connection gives nothing.
    fn take_output(&mut self, conn: ConnId, out: &mut Output<Self::Body>);

    /// The descriptor of the connection is closed; its slot may be reused.
    fn closed(&mut self, conn: ConnId);

    /// How long the driver may wait.
    fn wait(&self) -> Wait;

    /// Announces to the other shards that this one sleeps. `false`: something has arrived
    /// meanwhile, so it must not.
    fn before_sleep(&mut self) -> bool;

    /// The thread is awake again.
    fn after_sleep(&mut self);

    /// A graceful shutdown is complete; the driver's loop ends.
    fn finished(&self) -> bool;
}

/// Wakes a thread that sleeps in its driver. Waking one that is awake costs a spurious turn.
pub trait Wake: Send + Sync {
    /// Ends the wait of the thread.
    fn wake(&self);
}
