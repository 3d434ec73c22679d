//! Waking a thread that sleeps in its driver.

use kevy_shard::service::Wake;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;

/// Wakes one thread. Ringing is remembered: whoever rings before the thread lies down keeps it
/// from sleeping, so a wake-up is never lost. Only ringing for a sleeper costs a system call.
#[derive(Debug)]
pub struct Doorbell {
    state: AtomicU8,
    event: OwnedFd,
}

impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { state: AtomicU8::new(AWAKE), event })
    }

    /// Another handle to the descriptor that becomes readable when a sleeper is rung for.
    pub(crate) fn listen(&self) -> io::Result<OwnedFd> {
        self.event.try_clone()
    }

    /// The thread is about to wait. `false`: it was rung for, so it must look around first.
    pub(crate) fn lie_down(&self) -> bool {
        // Sequentially consistent, against the sleeper's later look at its mail and the ringer's
        // earlier posting of it.
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether it was rung for since the thread got up.
    pub(crate) fn is_rung(&self) -> bool {
        // A ring that this look misses keeps the thread from lying down.
        self.state.load(Ordering::Relaxed) == RUNG
    }

    /// Whether it was rung for since it last asked, in a turn without sleep.
    pub(crate) fn rung(&self) -> bool {
        self.is_rung() && self.get_up()
    }

    /// The thread is awake, for whatever reason. Returns whether it was rung for.
    pub(crate) fn get_up(&self) -> bool {
        self.state.swap(AWAKE, Ordering::SeqCst) == RUNG
    }

    /// Resets the descriptor after it has been reported readable.
    pub(crate) fn quiet(&self) {
        let mut count = [0; 8];
        // Nothing to read (it was reset before) is as good.
        let _ = rustix::io::read(&self.event, &mut count);
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Wake for Doorbell {
    fn wake(&self) {
        if self.state.swap(RUNG, Ordering::SeqCst) == ASLEEP {
            // Fails only if the counter is about to overflow: then it is readable anyway.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}
