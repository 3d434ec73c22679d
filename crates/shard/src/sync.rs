//! The primitives under the doors, so that the very code can run on a model checker's.

use std::ops::DerefMut;
use std::sync::PoisonError;

/// A family of primitives.
pub trait Primitives {
    /// Mutual exclusion.
    type Mutex<T>: Lock<T>;
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
