//! What the threads of a runtime share.

use crate::clock::Clock;
use crate::config::Backend;
use crate::doorbell::Doorbell;
use crate::incoming::Incoming;
use crate::listen::Listener;
use crossbeam_utils::CachePadded;
use kevy_shard::service::Wake;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Settings that may change while a runtime runs, and what it tells about itself.
#[derive(Debug)]
pub struct Control {
    tcp_keepalive: AtomicU32,
    /// 0: not started; else the backend.
    backend: AtomicU8,
    connections: Box<[CachePadded<AtomicUsize>]>,
}

impl Control {
    pub(crate) fn new(threads: usize, tcp_keepalive: u32) -> Self {
        Self {
            tcp_keepalive: AtomicU32::new(tcp_keepalive),
            backend: AtomicU8::new(0),
            connections: (0..threads).map(|_| CachePadded::default()).collect(),
        }
    }

    /// Seconds of `tcp-keepalive` for connections accepted from now on; 0 is off.
    pub fn set_tcp_keepalive(&self, seconds: u32) {
        self.tcp_keepalive.store(seconds, Ordering::Relaxed);
    }

    /// Seconds of `tcp-keepalive`.
    #[must_use]
    pub fn tcp_keepalive(&self) -> u32 {
        self.tcp_keepalive.load(Ordering::Relaxed)
    }

    /// The backend in use, once the runtime has started.
    #[must_use]
    pub fn backend(&self) -> Option<Backend> {
        match self.backend.load(Ordering::Relaxed) {
            1 => Some(Backend::IoUring),
            2 => Some(Backend::Epoll),
            _ => None,
        }
    }

    pub(crate) fn set_backend(&self, backend: Backend) {
        let code = match backend {
            Backend::IoUring => 1,
            Backend::Epoll => 2,
        };
        self.backend.store(code, Ordering::Relaxed);
    }

    /// Connections that the thread has, or has been given.
    #[must_use]
    pub fn connections(&self, thread: usize) -> usize {
        self.connections.get(thread).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Enters a new connection at the thread that has fewest; returns the thread.
    fn assign(&self) -> usize {
        let load = |thread: &usize| self.connections[*thread].load(Ordering::Relaxed);
        let thread = (0..self.connections.len()).min_by_key(load).unwrap_or(0);
        self.connections[thread].fetch_add(1, Ordering::Relaxed);
        thread
    }

    pub(crate) fn retire(&self, thread: usize) {
        self.connections[thread].fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a runtime is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    Running,
    /// No new connections; services finish.
    Stopping,
    /// A thread has failed: all end at once.
    Failed,
}

/// What lies ready for one thread.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) bell: Arc<Doorbell>,
    incoming: Mutex<Vec<Incoming>>,
}

/// What all threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) control: Arc<Control>,
    pub(crate) clock: Clock,
    posts: Box<[Post]>,
    phase: AtomicU8,
}

impl Shared {
    pub(crate) fn new(control: Arc<Control>, clock: Clock, bells: &[Arc<Doorbell>]) -> Self {
        let post =
            |bell: &Arc<Doorbell>| Post { bell: Arc::clone(bell), incoming: Mutex::default() };
        let posts = bells.iter().map(post).collect();
        Self { control, clock, posts, phase: AtomicU8::new(Phase::Running as u8) }
    }

    pub(crate) fn post(&self, thread: usize) -> &Post {
        &self.posts[thread]
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Running,
            1 => Phase::Stopping,
            _ => Phase::Failed,
        }
    }

    /// Moves on to a later phase and tells all threads.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::SeqCst);
        self.posts.iter().for_each(|post| post.bell.wake());
    }

    /// Gives a connection to the thread that has fewest. Returns it if that is thread `me`.
    pub(crate) fn distribute(&self, me: usize, incoming: Incoming) -> Option<Incoming> {
        let thread = self.control.assign();
        if thread == me {
            return Some(incoming);
        }
        let post = &self.posts[thread];
        post.incoming.lock().unwrap_or_else(PoisonError::into_inner).push(incoming);
        post.bell.wake();
        None
    }
}

impl Post {
    /// Moves the connections given to this thread to `out`.
    pub(crate) fn collect(&self, out: &mut Vec<Incoming>) {
        let mut incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner);
        out.append(&mut incoming);
    }
}

/// A thread's place in the runtime.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) shared: Arc<Shared>,
    pub(crate) thread: usize,
    /// Those that this thread accepts on: all of them on the first thread, none elsewhere.
    pub(crate) listeners: Vec<Listener>,
}
