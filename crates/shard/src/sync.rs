//! The primitives under the doors, so that the very code can run on a model checker's.

use std::ops::DerefMut;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

/// A family of primitives.
pub trait Primitives {
    /// Mutual exclusion.
    type Mutex<T>: Lock<T>;
    /// A shared truth value.
    type Flag: Flag;
}

/// A shared truth value; all uses of all flags stand in one order that all threads see.
pub trait Flag {
    /// A flag with this value.
    fn new(value: bool) -> Self;

    /// The value.
    fn get(&self) -> bool;

    /// Replaces the value.
    fn set(&self, value: bool);

    /// Replaces the value and gives the former one.
    fn swap(&self, value: bool) -> bool;
}

/// A mutual exclusion lock.
pub trait Lock<T> {
    /// Holds the lock.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a,
        T: 'a;

    /// A free lock around `value`.
    fn new(value: T) -> Self;

    /// Waits until the lock is free and takes it.
    fn lock(&self) -> Self::Guard<'_>;
}

/// The primitives of the standard library.
#[derive(Debug)]
pub struct Std;

impl Primitives for Std {
    type Mutex<T> = std::sync::Mutex<T>;
    type Flag = AtomicBool;
}

impl Flag for AtomicBool {
    fn new(value: bool) -> Self {
        Self::new(value)
    }

    #[inline]
    fn get(&self) -> bool {
        self.load(Ordering::SeqCst)
    }

    #[inline]
    fn set(&self, value: bool) {
        self.store(value, Ordering::SeqCst);
    }

    #[inline]
    fn swap(&self, value: bool) -> bool {
        self.swap(value, Ordering::SeqCst)
    }
}

impl<T> Lock<T> for std::sync::Mutex<T> {
    type Guard<'a>
        = std::sync::MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn lock(&self) -> Self::Guard<'_> {
        // Nothing that can panic runs under these locks, so a poisoned one is still consistent.
        Self::lock(self).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The primitives of the model checker.
#[cfg(test)]
pub(crate) mod modelled {
    use super::{Flag, Lock, Ordering, Primitives};

    pub(crate) struct Loom;

    impl Primitives for Loom {
        type Mutex<T> = loom::sync::Mutex<T>;
        type Flag = loom::sync::atomic::AtomicBool;
    }

    impl<T> Lock<T> for loom::sync::Mutex<T> {
        type Guard<'a>
            = loom::sync::MutexGuard<'a, T>
        where
            T: 'a;

        fn new(value: T) -> Self {
            Self::new(value)
        }

        fn lock(&self) -> Self::Guard<'_> {
            Self::lock(self).unwrap()
        }
    }

    /// The model knows no sequential consistency but of operations that read and write at once:
    /// these see the latest value and synchronize with whoever wrote it.
    impl Flag for loom::sync::atomic::AtomicBool {
        fn new(value: bool) -> Self {
            Self::new(value)
        }

        fn get(&self) -> bool {
            self.fetch_or(false, Ordering::SeqCst)
        }

        fn set(&self, value: bool) {
            self.swap(value, Ordering::SeqCst);
        }

        fn swap(&self, value: bool) -> bool {
            self.swap(value, Ordering::SeqCst)
        }
    }
}
