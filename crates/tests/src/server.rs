//! Starting and stopping servers, each with a port and a directory of its own.

use crate::client::Client;
use crate::environment::{Need, Program};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How a shard talks to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The io_uring driver.
    IoUring,
    /// The epoll driver.
    Epoll,
}

impl Backend {
    /// The value of the directive `io-backend`.
    pub fn name(self) -> &'static str {
        match self {
            Backend::IoUring => "io_uring",
            Backend::Epoll => "epoll",
        }
    }
}

/// How kevy is started; redis-server ignores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Number of shards.
    pub shards: u32,
    /// Driver of the shards.
    pub backend: Backend,
}

impl Layout {
    /// Two shards on epoll: what runs everywhere.
    pub const PLAIN: Layout = Layout { shards: 2, backend: Backend::Epoll };

    /// Each of `shards` on each driver that this machine is to be tested with.
    pub fn all(shards: &[u32]) -> Vec<Layout> {
        let backends = [Backend::IoUring, Backend::Epoll];
        let wanted = |b: &Backend| *b == Backend::Epoll || Need::IoUring.wanted();
        let of = |backend| shards.iter().map(move |&shards| Layout { shards, backend });
        backends.into_iter().filter(wanted).flat_map(of).collect()
    }
}

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; dropping it kills it and removes its directory.
pub struct Server {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Server {
    /// Starts `program` with nothing persisted and `arguments` after our own, and waits until it
    /// answers.
    pub fn start(program: &Program, layout: Layout, arguments: &[&str]) -> Result<Server> {
        // Another process may take the port between our asking for it and the server's using it.
        for _ in 0..4 {
            let mut server = Server::spawn(program, layout, arguments)?;
            if server.wait_until_ready()? {
                return Ok(server);
            }
        }
        bail!("{} found no free port", program.path.display())
    }

    /// Starts the server under test with two shards on epoll.
    pub fn plain(arguments: &[&str]) -> Result<Server> {
        Server::start(&Program::under_test()?, Layout::PLAIN, arguments)
    }

    /// Starts redis-server.
    pub fn oracle(arguments: &[&str]) -> Result<Server> {
        Server::start(&Program::oracle()?, Layout::PLAIN, arguments)
    }

    fn spawn(program: &Program, layout: Layout, arguments: &[&str]) -> Result<Server> {
        let port = free_port()?;
        let directory = fresh_directory()?;
        let log = File::create(directory.join("log"))?;
        let mut command = Command::new(&program.path);
        command
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .args(["--enable-debug-command", "yes"])
            .arg("--dir")
            .arg(&directory);
        if program.is_kevy {
            command.args(["--shards", &layout.shards.to_string()]);
            command.args(["--io-backend", layout.backend.name()]);
        }
        let child = command
            .args(arguments)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.path.display()))?;
        Ok(Server { child, port, directory })
    }

    /// Whether it came up: false if its port was taken by somebody else.
    fn wait_until_ready(&mut self) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if log.contains("Address already in use") || log.contains("Failed listening on port") {
                return Ok(false);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} at start; its log:\n{log}");
            }
            if log.contains("Ready to accept connections")
                && TcpStream::connect(self.address()).is_ok()
            {
                return Ok(true);
            }
            ensure!(Instant::now() < deadline, "the server is not ready; its log:\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its address on IPv4.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its working directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection.
    pub fn client(&self) -> Result<Client> {
        Client::connect(self.address())
    }

    /// What it has written to standard output and standard error.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()).context("no VmRSS")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// Number of open descriptors.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status =
            Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status()?;
        ensure!(status.success(), "kill -{name} failed");
        Ok(())
    }

    /// Waits until the process has ended.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "the server does not end; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Fails if the process has ended; for the close of a test that tried to break it.
    pub fn ensure_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended with {status}; its log:\n{}", self.log());
        }
        let pong = self.client()?.words("PING")?;
        let answered = pong.text() == "PONG" || pong.text().starts_with("NOAUTH");
        ensure!(answered, "PING was answered by {pong:?}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Runs `test` on a server with each of `shards` on each driver, and fails if it does not survive.
pub fn on_each(
    shards: &[u32],
    arguments: &[&str],
    test: fn(&mut Server) -> Result<()>,
) -> Result<()> {
    let program = Program::under_test()?;
    for layout in Layout::all(shards) {
        let mut server = Server::start(&program, layout, arguments)?;
        test(&mut server)
            .and_then(|()| server.ensure_alive())
            .with_context(|| format!("{layout:?}"))?;
    }
    Ok(())
}

/// Waits until `condition` holds; fails if it does not within 15 s.
pub fn eventually(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition()? {
        ensure!(Instant::now() < deadline, "not within 15 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A port that was free a moment ago, outside the range from which the kernel gives ports to
/// outgoing connections.
pub fn free_port() -> Result<u16> {
    const FIRST: u32 = 16_000;
    const COUNT: u32 = 14_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let spread = std::process::id().wrapping_mul(131).wrapping_add(step);
        let port = u16::try_from(FIRST + spread % COUNT)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}

/// A new empty directory below the system's directory for temporary files.
pub fn fresh_directory() -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let name = format!("kevy-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("creating {}", path.display()));
            }
        }
    }
}
