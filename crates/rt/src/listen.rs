//! Listening sockets.

use crate::config::{Backend, RuntimeConfig, TcpBind, UnixBind};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where connections come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Tcp,
    Unix(PathBuf),
}

/// A bound, listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: OwnedFd,
    pub(crate) source: Source,
}

impl Listener {
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        SockRef::from(&self.socket).local_addr().ok()?.as_socket()
    }

    /// The kernel's multishot accept waits on a blocking listener only; accepting until nothing
    /// is left needs a non-blocking one.
    pub(crate) fn prepare(&self, backend: Backend) -> io::Result<()> {
        SockRef::from(&self.socket).set_nonblocking(backend == Backend::Epoll)
    }
}

/// Opens everything that is configured.
pub(crate) fn listen(config: &RuntimeConfig) -> io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for bind in &config.tcp {
        match listen_tcp(bind, config) {
            Ok(socket) => {
                listeners.push(Listener { socket: socket.into(), source: Source::Tcp });
            }
            Err(error) if skippable(bind, &error) => {
                tracing::warn!("not listening on {}: {error}", bind.address);
            }
            Err(error) => return Err(in_context(error, &bind.address.to_string())),
        }
    }
    if !config.tcp.is_empty() && listeners.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "none of the configured addresses can be listened on",
        ));
    }
    if let Some(unix) = &config.unix {
        let socket = listen_unix(unix, config.backlog)
            .map_err(|error| in_context(error, &unix.path.display().to_string()))?;
        let source = Source::Unix(unix.path.clone());
        listeners.push(Listener { socket: socket.into(), source });
    }
    Ok(listeners)
}

fn in_context(error: io::Error, place: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {place}: {error}"))
}

/// Redis skips addresses marked optional that the machine lacks, and address families that the
/// kernel lacks.
fn skippable(bind: &TcpBind, error: &io::Error) -> bool {
    use rustix::io::Errno;
    let missing_family = [
        Errno::NOPROTOOPT,
        Errno::PROTONOSUPPORT,
        Errno::SOCKTNOSUPPORT,
        Errno::PFNOSUPPORT,
        Errno::AFNOSUPPORT,
    ];
    match Errno::from_io_error(error) {
        Some(Errno::ADDRNOTAVAIL) => bind.optional,
        Some(errno) => missing_family.contains(&errno),
        None => false,
    }
}

fn listen_tcp(bind: &TcpBind, config: &RuntimeConfig) -> io::Result<Socket> {
    let domain = Domain::for_address(bind.address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if let Some(size) = config.send_buffer {
        // Accepted connections inherit it.
        socket.set_send_buffer_size(size)?;
    }
    socket.bind(&bind.address.into())?;
    socket.listen(backlog_of(config.backlog))?;
    Ok(socket)
}

fn listen_unix(bind: &UnixBind, backlog: u32) -> io::Result<Socket> {
    remove_socket(&bind.path);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(&bind.path)?)?;
    if let Some(permissions) = bind.permissions {
        fs::set_permissions(&bind.path, fs::Permissions::from_mode(permissions))?;
    }
    socket.listen(backlog_of(backlog))?;
    Ok(socket)
}

fn backlog_of(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}

/// Removes a socket left by an earlier process, and nothing but a socket.
pub(crate) fn remove_socket(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        // If it cannot be removed, binding says why.
        let _ = fs::remove_file(path);
    }
}
