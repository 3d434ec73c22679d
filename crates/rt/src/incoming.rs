//! Connections between being accepted and being a service's.

use crate::listen::Source;
use kevy_shard::service::{Peer, PeerAddress};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// An accepted connection on its way to the thread that will serve it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
}

impl Incoming {
    /// Sets a new connection's options and learns its addresses.
    ///
    /// Fails if the peer has gone already.
    pub(crate) fn new(socket: OwnedFd, source: &Source, keepalive: u32) -> io::Result<Self> {
        let address = match source {
            Source::Unix(path) => PeerAddress::Unix(path.clone()),
            Source::Tcp => {
                let options = SockRef::from(&socket);
                options.set_tcp_nodelay(true)?;
                if keepalive > 0 {
                    options.set_tcp_keepalive(&keepalive_of(keepalive))?;
                }
                let gone = || io::Error::from(io::ErrorKind::NotConnected);
                let peer = options.peer_addr()?.as_socket().ok_or_else(gone)?;
                let local = options.local_addr()?.as_socket().ok_or_else(gone)?;
                PeerAddress::Tcp { peer, local }
            }
        };
        let peer = Peer { address, fd: socket.as_raw_fd() };
        Ok(Self { socket, peer })
    }
}

/// Asks after `seconds` of silence, then three times at a third of that, as Redis does: the dead
/// are known after twice the time.
fn keepalive_of(seconds: u32) -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(u64::from(seconds)))
        .with_interval(Duration::from_secs(u64::from(seconds / 3).max(1)))
        .with_retries(3)
}
