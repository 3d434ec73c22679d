//! The table of operations that the kernel has not finished.

use crate::completion::Token;
use crate::payload::Message;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::rc::Rc;

/// A descriptor shared between the caller and the operations under way on it; it is closed when
/// the last of them lets go.
pub type Descriptor = Rc<OwnedFd>;

/// Names an operation, for cancelling it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct OpId(pub(crate) u64);

impl OpId {
    const fn new(index: u32, generation: u32) -> Self {
        Self(((generation as u64) << 32) | index as u64)
    }

    const fn index(self) -> usize {
        (self.0 & 0xFFFF_FFFF) as usize
    }

    const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Tag of operations whose completion means nothing (cancellations). No [`OpId`] equals it:
/// generations stay below `u32::MAX`.
pub(crate) const UNTRACKED: u64 = u64::MAX;

/// What an operation is and what it holds on to.
pub(crate) enum Kind<P> {
    Receive,
    Accept,
    Poll,
    Send { payload: NonNull<P>, message: Option<Box<Message>> },
}

impl<P> Kind<P> {
    pub(crate) const fn owns_memory(&self) -> bool {
        matches!(self, Self::Send { .. })
    }
}

/// One operation under way.
pub(crate) struct Operation<P> {
    pub(crate) token: Token,
    pub(crate) kind: Kind<P>,
    /// Keeps the descriptor open, and its number from being reused, until the kernel is done.
    pub(crate) _descriptor: Descriptor,
}

struct Entry<P> {
    generation: u32,
    operation: Option<Operation<P>>,
}

/// A slab of operations; an entry's generation changes whenever it is vacated.
pub(crate) struct Operations<P> {
    entries: Vec<Entry<P>>,
    free: Vec<u32>,
}

impl<P> Operations<P> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// The id that the next [`Operations::insert`] will use.
    pub(crate) fn next_id(&self) -> OpId {
        match self.free.last() {
            Some(&index) => OpId::new(index, self.entries[index as usize].generation),
            None => OpId::new(self.entries.len() as u32, 0),
        }
    }

    /// Enters an operation, under the id that [`Operations::next_id`] has told.
    pub(crate) fn insert(&mut self, operation: Operation<P>) {
        match self.free.pop() {
            Some(index) => self.entries[index as usize].operation = Some(operation),
            None => self.entries.push(Entry { generation: 0, operation: Some(operation) }),
        }
    }

    /// The operation of that id, unless it has ended.
    pub(crate) fn get(&self, id: OpId) -> Option<&Operation<P>> {
        let entry = self.entries.get(id.index())?;
        if entry.generation == id.generation() { entry.operation.as_ref() } else { None }
    }

    /// Vacates the entry.
    pub(crate) fn remove(&mut self, id: OpId) -> Option<Operation<P>> {
        let entry = self.entries.get_mut(id.index())?;
        if entry.generation != id.generation() {
            return None;
        }
        let operation = entry.operation.take()?;
        entry.generation = if entry.generation == u32::MAX - 1 { 0 } else { entry.generation + 1 };
        self.free.push(id.index() as u32);
        Some(operation)
    }

    /// Operations under way.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Operations under way that own memory which the kernel may read.
    pub(crate) fn owning(&self) -> usize {
        let owns = |e: &&Entry<P>| e.operation.as_ref().is_some_and(|o| o.kind.owns_memory());
        self.entries.iter().filter(owns).count()
    }

    /// Takes every operation out, for the ring's end.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Operation<P>> + '_ {
        self.free.clear();
        self.entries.drain(..).filter_map(|entry| entry.operation)
    }
}
