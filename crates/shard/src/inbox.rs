//! The one inbox of a shard: many producers, one consumer, and the way to wake it.

use crate::service::Wake;
use crate::sync::{Flag, Lock, Primitives, Std};
use std::sync::{Arc, OnceLock};

/// Mail for one shard, in the order in which it was posted.
pub struct Inbox<M, P: Primitives = Std> {
    mail: P::Mutex<Vec<M>>,
    /// There may be mail. Written after the mail, read before it.
    full: P::Flag,
    /// The shard sleeps, or is about to.
    sleeping: P::Flag,
    waker: OnceLock<Arc<dyn Wake>>,
}

impl<M, P: Primitives> Default for Inbox<M, P> {
    fn default() -> Self {
        Self {
            mail: Lock::new(Vec::new()),
            full: Flag::new(false),
            sleeping: Flag::new(false),
            waker: OnceLock::new(),
        }
    }
}

impl<M, P: Primitives> Inbox<M, P> {
    /// Names what wakes the shard. Only the first call counts.
    pub fn set_waker(&self, waker: Arc<dyn Wake>) {
        // A second waker would be a second driver for the same shard: the first one stays.
        let _ = self.waker.set(waker);
    }

    /// Posts mail and wakes the shard if it sleeps.
    pub fn post(&self, mail: M) {
        self.mail.lock().push(mail);
        self.full.set(true);
        self.wake();
    }

    /// Wakes the shard if it sleeps.
    ///
    /// `full` is written before `sleeping` is read here, and `sleeping` before `full` is read in
    /// [`Inbox::before_sleep`], all sequentially consistent: one of the two sees the other.
    pub fn wake(&self) {
        if self.sleeping.get()
            && self.sleeping.swap(false)
            && let Some(waker) = self.waker.get()
        {
            waker.wake();
        }
    }

    /// Whether there is mail.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.get()
    }

    /// Swaps the mail into `into`, which is empty.
    pub fn take(&self, into: &mut Vec<M>) {
        if self.is_full() {
            self.full.set(false);
            std::mem::swap(&mut *self.mail.lock(), into);
        }
    }

    /// Announces that the shard sleeps; `false` if there is mail, and then it must not.
    #[must_use]
    pub fn before_sleep(&self) -> bool {
        self.sleeping.set(true);
        if self.full.get() {
            self.sleeping.set(false);
            return false;
        }
        true
    }

    /// The shard is awake.
    pub fn after_sleep(&self) {
        self.sleeping.set(false);
    }
}

impl<M, P: Primitives> std::fmt::Debug for Inbox<M, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("full", &self.is_full()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::modelled::Loom;

    #[test]
    fn mail_comes_in_the_order_in_which_it_was_posted() {
        let inbox: Inbox<u32> = Inbox::default();
        assert!(!inbox.is_full());
        (0..3).for_each(|mail| inbox.post(mail));
        let mut mail = Vec::new();
        inbox.take(&mut mail);
        assert_eq!(mail, [0, 1, 2]);
        mail.clear();
        inbox.take(&mut mail);
        assert_eq!(mail, []);
    }

    /// What a thread would sleep on.
    struct Bell {
        rung: loom::sync::Mutex<bool>,
        changed: loom::sync::Condvar,
    }

    impl Bell {
        fn wait(&self) {
            let mut rung = self.rung.lock().unwrap();
            while !*rung {
                rung = self.changed.wait(rung).unwrap();
            }
            *rung = false;
        }
    }

    impl Wake for Bell {
        fn wake(&self) {
            *self.rung.lock().unwrap() = true;
            self.changed.notify_one();
        }
    }

    /// In every interleaving a shard that sleeps whenever it may gets all mail: a lost wake-up
    /// would let it sleep for ever, which the model reports as a deadlock.
    fn all_mail_wakes(producers: u32) {
        let mut model = loom::model::Builder::new();
        // With so many switches forced on running threads, a few seconds suffice.
        model.preemption_bound = Some(2);
        model.check(move || {
            let inbox: Arc<Inbox<u32, Loom>> = Arc::default();
            let (rung, changed) = (loom::sync::Mutex::new(false), loom::sync::Condvar::new());
            let bell = Arc::new(Bell { rung, changed });
            inbox.set_waker(Arc::clone(&bell) as Arc<dyn Wake>);
            let threads: Vec<_> = (0..producers)
                .map(|mail| {
                    let inbox = Arc::clone(&inbox);
                    loom::thread::spawn(move || inbox.post(mail))
                })
                .collect();
            let (mut got, mut mail) = (0, Vec::new());
            while got < producers {
                inbox.take(&mut mail);
                got += mail.drain(..).count() as u32;
                if got < producers && inbox.before_sleep() {
                    bell.wait();
                    inbox.after_sleep();
                }
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn no_wake_up_is_lost() {
        all_mail_wakes(1);
        all_mail_wakes(2);
    }
}
