//! The one inbox of a shard: many producers, one consumer, and the way to wake it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::service::Wake;

/// Mail for one shard, in the order in which it was posted.
pub struct Inbox<M> {
    mail: Mutex<Vec<M>>,
    /// There may be mail. Written after the mail, read before it.
    full: AtomicBool,
    /// The shard sleeps, or is about to.
    sleeping: AtomicBool,
    waker: OnceLock<Arc<dyn Wake>>,
}

impl<M> Default for Inbox<M> {
    fn default() -> Self {
        Self {
            mail: Mutex::default(),
            full: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
            waker: OnceLock::new(),
        }
    }
}

impl<M> Inbox<M> {
    /// Names what wakes the shard. Only the first call counts.
    pub fn set_waker(&self, waker: Arc<dyn Wake>) {
        // A second waker would be a second driver for the same shard: the first one stays.
        let _ = self.waker.set(waker);
    }

    /// Posts mail and wakes the shard if it sleeps.
    pub fn post(&self, mail: M) {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        self.full.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Wakes the shard if it sleeps.
    ///
    /// `full` is written before `sleeping` is read here, and `sleeping` before `full` is read in
    /// [`Inbox::before_sleep`], all sequentially consistent: one of the two sees the other.
    pub fn wake(&self) {
        if self.sleeping.load(Ordering::SeqCst)
            && self.sleeping.swap(false, Ordering::SeqCst)
            && let Some(waker) = self.waker.get()
        {
            waker.wake();
        }
    }

    /// Whether there is mail.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Swaps the mail into `into`, which is empty.
    pub fn take(&self, into: &mut Vec<M>) {
        if self.is_full() {
            self.full.store(false, Ordering::SeqCst);
            std::mem::swap(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner), into);
        }
    }

    /// Announces that the shard sleeps; `false` if there is mail, and then it must not.
    #[must_use]
    pub fn before_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) {
            self.sleeping.store(false, Ordering::SeqCst);
            return false;
        }
        true
    }

    /// The shard is awake.
    pub fn after_sleep(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }
}

impl<M> std::fmt::Debug for Inbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("full", &self.is_full()).finish_non_exhaustive()
    }
}
