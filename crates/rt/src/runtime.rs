//! Threads: starting them, stopping them, and hearing how they ended.

use crate::clock::Clock;
use crate::config::{Backend, BackendChoice, Pin, RuntimeConfig};
use crate::doorbell::Doorbell;
use crate::epoll::EpollDriver;
use crate::listen::{Listener, Source, listen, remove_socket};
use crate::pending::Pending;
use crate::shared::{Control, Phase, Seat, Shared};
use crate::uring::UringDriver;
use kevy_shard::service::{Service, Wake};
use kevy_uring::Ring;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Why a runtime cannot start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen(io::Error),
    /// io_uring was demanded and cannot be used.
    IoUring(String),
    /// A thread, an eventfd or an epoll instance cannot be had.
    System(io::Error),
    /// The number of services is not that of the threads.
    Services {
        /// Threads announced.
        threads: usize,
        /// Services given.
        services: usize,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => write!(f, "{error}"),
            Self::IoUring(why) => write!(f, "io_uring cannot be used: {why}"),
            Self::System(error) => write!(f, "cannot start the threads: {error}"),
            Self::Services { threads, services } => {
                write!(f, "{services} services for {threads} threads")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// A runtime that listens but does not serve yet.
///
/// It exists before its services do, for they need to know how to wake each other.
#[derive(Debug)]
pub struct Runtime {
    config: RuntimeConfig,
    listeners: Vec<Listener>,
    bells: Vec<Arc<Doorbell>>,
    control: Arc<Control>,
}

impl Runtime {
    /// Opens the listeners, and a doorbell for each of `threads` threads (at least one).
    ///
    /// # Errors
    /// An address cannot be listened on, or descriptors have run out.
    pub fn bind(config: RuntimeConfig, threads: usize) -> Result<Self, StartError> {
        let threads = threads.max(1);
        let listeners = listen(&config).map_err(StartError::Listen)?;
        let bells = (0..threads).map(|_| Doorbell::new().map(Arc::new)).collect::<Result<_, _>>();
        let bells = bells.map_err(StartError::System)?;
        let control = Arc::new(Control::new(threads, config.tcp_keepalive));
        Ok(Self { config, listeners, bells, control })
    }

    /// What wakes each of the threads.
    #[must_use]
    pub fn wakers(&self) -> Vec<Arc<dyn Wake>> {
        self.bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect()
    }

    /// Settings that may change later, and figures.
    #[must_use]
    pub fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// The clock that services are told.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.config.clock
    }

    /// The TCP addresses listened on, with the ports that the system has chosen.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(Listener::local_address).collect()
    }

    /// Starts a thread for each service. Returns when all of them serve.
    ///
    /// # Errors
    /// The demanded backend cannot be used, or the system refuses threads or descriptors.
    pub fn start<S: Service + Send + 'static>(
        self,
        services: Vec<S>,
    ) -> Result<Handle, StartError> {
        if services.len() != self.bells.len() {
            let (threads, services) = (self.bells.len(), services.len());
            return Err(StartError::Services { threads, services });
        }
        let shared =
            Arc::new(Shared::new(Arc::clone(&self.control), self.config.clock, &self.bells));
        let unix_paths = self.unix_paths();
        let wants = choose(self.config.backend)?;
        let cores = cores(&self.config.pin, services.len());
        let (reports, heard) = mpsc::channel();
        let mut threads = Vec::new();
        let mut listeners = self.listeners;
        for (thread, service) in services.into_iter().enumerate() {
            let seat = Seat {
                shared: Arc::clone(&shared),
                thread,
                listeners: std::mem::take(&mut listeners),
            };
            let (verdict, orders) = mpsc::channel();
            let berth = Berth {
                ring: self.config.ring,
                spin: self.config.spin,
                core: cores.as_ref().map(|cores| cores[thread]),
                wants,
                reports: reports.clone(),
                orders,
            };
            let join = thread::Builder::new()
                .name(format!("shard-{thread}"))
                .spawn(move || berth.serve(service, seat))
                .map_err(StartError::System)?;
            threads.push(Thread { join, verdict });
        }
        drop(reports);
        agree(&threads, &heard, wants, self.config.backend, &self.control)?;
        Ok(Handle { shared, threads, heard, unix_paths })
    }

    fn unix_paths(&self) -> Vec<PathBuf> {
        let path = |listener: &Listener| match &listener.source {
            Source::Unix(path) => Some(path.clone()),
            Source::Tcp => None,
        };
        self.listeners.iter().filter_map(path).collect()
    }
}

/// What a thread tells the one that started it.
enum Report {
    /// It is ready for the wanted backend, or not.
    Prepared(io::Result<()>),
    /// It has ended.
    Ended(usize, io::Result<()>),
}

struct Thread {
    join: JoinHandle<()>,
    verdict: Sender<Backend>,
}

/// The backend to try.
fn choose(choice: BackendChoice) -> Result<Backend, StartError> {
    match choice {
        BackendChoice::Forced(Backend::Epoll) => Ok(Backend::Epoll),
        BackendChoice::Forced(Backend::IoUring) => match kevy_uring::probe() {
            Ok(()) => Ok(Backend::IoUring),
            Err(why) => Err(StartError::IoUring(why.to_string())),
        },
        BackendChoice::Auto => match kevy_uring::probe() {
            Ok(()) => Ok(Backend::IoUring),
            Err(why) => {
                tracing::info!("io_uring cannot be used ({why})");
                Ok(Backend::Epoll)
            }
        },
    }
}

/// Hears from all threads whether they could prepare, and tells them what they are to use.
fn agree(
    threads: &[Thread],
    heard: &Receiver<Report>,
    wants: Backend,
    choice: BackendChoice,
    control: &Control,
) -> Result<(), StartError> {
    let mut backend = wants;
    for _ in threads {
        let problem = match heard.recv() {
            Ok(Report::Prepared(Ok(()))) => continue,
            Ok(Report::Prepared(Err(error)) | Report::Ended(_, Err(error))) => error,
            Ok(Report::Ended(_, Ok(()))) | Err(_) => io::Error::other("a thread has ended"),
        };
        if choice != BackendChoice::Auto || wants == Backend::Epoll {
            // The threads end as their channels close.
            return Err(StartError::IoUring(problem.to_string()));
        }
        tracing::info!("io_uring cannot be used ({problem})");
        backend = Backend::Epoll;
    }
    control.set_backend(backend);
    tracing::info!("I/O by {backend}, {} threads", threads.len());
    for thread in threads {
        let gone = |_| StartError::System(io::Error::other("a thread has ended"));
        thread.verdict.send(backend).map_err(gone)?;
    }
    Ok(())
}

/// What a thread needs to become a driver.
struct Berth {
    ring: kevy_uring::RingOptions,
    spin: Duration,
    core: Option<usize>,
    wants: Backend,
    reports: Sender<Report>,
    orders: Receiver<Backend>,
}

impl Berth {
    fn serve<S: Service>(self, service: S, seat: Seat) {
        if let Some(core) = self.core {
            pin(core);
        }
        let thread = seat.thread;
        let shared = Arc::clone(&seat.shared);
        // A panic of one service must not leave the others waiting for it.
        let alarm = Alarm { shared: &shared };
        let result = self.drive(service, seat);
        std::mem::forget(alarm);
        if result.is_err() {
            shared.advance(Phase::Failed);
        }
        // Nobody listens if the start was given up.
        let _ = self.reports.send(Report::Ended(thread, result));
    }

    fn drive<S: Service>(&self, service: S, seat: Seat) -> io::Result<()> {
        // A ring is served for the thread that made it only, so it is made here.
        let ring = match self.wants {
            Backend::IoUring => Ring::<Pending<S::Body>>::new(&self.ring).map(Some),
            Backend::Epoll => Ok(None),
        };
        let (ring, prepared) = match ring {
            Ok(ring) => (ring, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let _ = self.reports.send(Report::Prepared(prepared));
        let Ok(backend) = self.orders.recv() else { return Ok(()) };
        for listener in &seat.listeners {
            listener.prepare(backend)?;
        }
        match (backend, ring) {
            (Backend::IoUring, Some(ring)) => {
                UringDriver::new(service, seat, ring, self.spin)?.run()
            }
            _ => EpollDriver::new(service, seat)?.run(),
        }
    }
}

/// Ends all threads if its own unwinds.
struct Alarm<'a> {
    shared: &'a Shared,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.shared.advance(Phase::Failed);
    }
}

/// The core for each thread, if threads are to be bound.
fn cores(pin: &Pin, threads: usize) -> Option<Vec<usize>> {
    let chosen = match pin {
        Pin::Never => return None,
        Pin::Cores(cores) => cores.clone(),
        Pin::Auto => {
            let mask = rustix::thread::sched_getaffinity(None).ok()?;
            let allowed = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| mask.is_set(*core));
            let allowed: Vec<usize> = allowed.collect();
            if threads < 2 || allowed.len() < threads {
                return None;
            }
            allowed
        }
    };
    if chosen.is_empty() {
        return None;
    }
    Some((0..threads).map(|thread| chosen[thread % chosen.len()]).collect())
}

fn pin(core: usize) {
    let mut mask = rustix::thread::CpuSet::new();
    mask.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &mask) {
        tracing::warn!("cannot bind a thread to core {core}: {error}");
    }
}

/// A running runtime. Dropping it leaves the threads running.
pub struct Handle {
    shared: Arc<Shared>,
    threads: Vec<Thread>,
    heard: Receiver<Report>,
    unix_paths: Vec<PathBuf>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({} threads)", self.threads.len())
    }
}

/// Tells a runtime to stop, from any thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    shared: Arc<Shared>,
}

impl Stopper {
    /// Stops accepting and wakes all threads; each ends when its service has finished.
    pub fn stop(&self) {
        self.shared.advance(Phase::Stopping);
    }
}

impl Handle {
    /// The backend in use.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.shared.control.backend().unwrap_or(Backend::Epoll)
    }

    /// Something that stops this runtime while another thread joins it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: Arc::clone(&self.shared) }
    }

    /// Stops accepting and wakes all threads; each ends when its service has finished
    /// ([`Service::finished`]) and its outputs have left.
    pub fn shutdown(&self) {
        self.stopper().stop();
    }

    /// Waits until all threads have ended.
    ///
    /// # Errors
    /// The first failure of a thread; it has ended the others too.
    pub fn join(self) -> io::Result<()> {
        let mut outcome = Ok(());
        for report in &self.heard {
            if let Report::Ended(thread, Err(error)) = report {
                let error = io::Error::new(error.kind(), format!("shard {thread}: {error}"));
                outcome = outcome.and(Err(error));
            }
        }
        for thread in self.threads {
            if thread.join.join().is_err() {
                outcome = outcome.and(Err(io::Error::other("a shard's thread has panicked")));
            }
        }
        self.unix_paths.iter().for_each(|path| remove_socket(path));
        outcome
    }
}
