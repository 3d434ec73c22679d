//! Consumer groups: what was delivered to whom and has not been acknowledged.

use super::ids::IdMap;
use super::{StreamId, tree_memory};
use crate::class::allocated;
use std::collections::BTreeSet;

/// A consumer of a group, for as long as it is not deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsumerId(u32);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// When it was last delivered, in Unix milliseconds.
    pub delivered_ms: i64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// To whom it was last delivered.
    pub consumer: ConsumerId,
}

/// One consumer of a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last tried to read or claim, in Unix milliseconds.
    pub seen_ms: i64,
    /// When it last was given something, in Unix milliseconds.
    pub active_ms: Option<i64>,
    /// The ids of what is pending for it; all else about them is in the group.
    pending: IdMap<()>,
}

impl Consumer {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries are pending for it.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The ids of the entries that are pending for it, from `from` on.
    pub fn pending_from(&self, from: StreamId) -> impl Iterator<Item = StreamId> {
        self.pending.range(from, StreamId::MAX).map(|(id, ())| id)
    }

    fn memory(&self) -> usize {
        allocated(self.name.len()) + self.pending.memory()
    }
}

/// A consumer group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The last entry that was delivered to anybody.
    pub last_id: StreamId,
    /// How many of the entries ever added were before or at `last_id`, if that is known.
    pub entries_read: Option<u64>,
    pending: IdMap<Pending>,
    /// The pending entries by the times of their deliveries, from the first time on that somebody
    /// asks for those that are idle.
    by_time: Option<BTreeSet<(i64, StreamId)>>,
    /// By their numbers.
    consumers: Vec<Option<Consumer>>,
    /// The numbers of deleted ones, to be given again.
    free: Vec<u32>,
    /// The numbers in the order of the names.
    by_name: Vec<u32>,
    /// Bytes that the consumers hold from the allocator.
    held: usize,
}

impl Group {
    /// A group that has read up to `last_id`.
    #[must_use]
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self { last_id, entries_read, ..Self::default() }
    }

    /// Bytes held from the allocator. O(1).
    pub(super) fn memory(&self) -> usize {
        self.held
            + self.pending.memory()
            + tree_memory::<(i64, StreamId), ()>(self.by_time.as_ref().map_or(0, BTreeSet::len))
            + allocated(self.consumers.capacity() * size_of::<Option<Consumer>>())
            + allocated(self.by_name.capacity() * size_of::<u32>())
            + allocated(self.free.capacity() * size_of::<u32>())
    }

    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        self.by_name.binary_search_by(|&id| self.consumer(ConsumerId(id)).name().cmp(name))
    }

    /// The consumer of this name.
    #[must_use]
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.place(name).ok().map(|place| ConsumerId(self.by_name[place]))
    }

    /// A consumer.
    ///
    /// # Panics
    /// If it was deleted.
    #[must_use]
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        match &self.consumers[id.0 as usize] {
            Some(consumer) => consumer,
            None => unreachable!("consumers are found by name and not kept"),
        }
    }

    /// Notes that a consumer was seen, and whether it was given something.
    pub fn saw(&mut self, id: ConsumerId, now_ms: i64, active: bool) {
        if let Some(consumer) = &mut self.consumers[id.0 as usize] {
            consumer.seen_ms = now_ms;
            if active {
                consumer.active_ms = Some(now_ms);
            }
        }
    }

    /// Number of consumers.
    #[must_use]
    pub fn consumers_len(&self) -> usize {
        self.by_name.len()
    }

    /// The consumers in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name.iter().map(|&id| self.consumer(ConsumerId(id)))
    }

    /// The consumer of this name, and whether it is new.
    pub fn consumer_or_create(&mut self, name: &[u8], now_ms: i64) -> (ConsumerId, bool) {
        let place = match self.place(name) {
            Ok(place) => return (ConsumerId(self.by_name[place]), false),
            Err(place) => place,
        };
        let consumer = Consumer {
            name: name.into(),
            seen_ms: now_ms,
            active_ms: None,
            pending: IdMap::default(),
        };
        self.held += consumer.memory();
        let id = self.free.pop().unwrap_or_else(|| {
            self.consumers.push(None);
            self.consumers.len() as u32 - 1
        });
        self.consumers[id as usize] = Some(consumer);
        self.by_name.insert(place, id);
        (ConsumerId(id), true)
    }

    /// Deletes a consumer with all that is pending for it; how many entries that were.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let place = self.place(name).ok()?;
        let id = self.by_name.remove(place);
        let consumer = self.consumers[id as usize].take()?;
        self.held -= consumer.memory();
        self.free.push(id);
        for (id, ()) in consumer.pending.range(StreamId::MIN, StreamId::MAX) {
            let pending = self.pending.remove(id);
            self.index(id, pending, None);
        }
        Some(consumer.pending.len())
    }

    /// How many entries are pending.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// What is known of a pending entry.
    #[must_use]
    pub fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(id)
    }

    /// The pending entries from one id to another, both included.
    pub fn pending_range(
        &self,
        from: StreamId,
        to: StreamId,
    ) -> impl DoubleEndedIterator<Item = (StreamId, &Pending)> {
        self.pending.range(from, to)
    }

    /// Makes an entry pending as told, whoever had it before.
    pub fn set_pending(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        self.index(id, before, Some(pending));
        match before {
            Some(before) if before.consumer == pending.consumer => {}
            before => {
                if let Some(before) = before {
                    self.change_consumer(before.consumer, |ids| ids.remove(id));
                }
                self.change_consumer(pending.consumer, |ids| ids.insert(id, ()));
            }
        }
    }

    /// Ends that an entry is pending; what was known of it.
    pub fn remove_pending(&mut self, id: StreamId) -> Option<Pending> {
        let pending = self.pending.remove(id)?;
        self.index(id, Some(pending), None);
        self.change_consumer(pending.consumer, |ids| ids.remove(id));
        Some(pending)
    }

    /// The first `count` of the pending entries that were delivered by the time `until_ms`, those
    /// that have been longest first.
    pub fn idle_until(&mut self, until_ms: i64, count: usize) -> Vec<StreamId> {
        let pending = &self.pending;
        let by_time = self.by_time.get_or_insert_with(|| {
            let all = pending.range(StreamId::MIN, StreamId::MAX);
            all.map(|(id, pending)| (pending.delivered_ms, id)).collect()
        });
        let idle = by_time.range(..=(until_ms, StreamId::MAX));
        idle.take(count).map(|(_, id)| *id).collect()
    }

    /// Brings the order by times up to date, if there is one.
    fn index(&mut self, id: StreamId, before: Option<Pending>, after: Option<Pending>) {
        if let Some(by_time) = &mut self.by_time {
            if let Some(before) = before {
                by_time.remove(&(before.delivered_ms, id));
            }
            if let Some(after) = after {
                by_time.insert((after.delivered_ms, id));
            }
        }
    }

    fn change_consumer(
        &mut self,
        id: ConsumerId,
        change: impl FnOnce(&mut IdMap<()>) -> Option<()>,
    ) {
        if let Some(consumer) = &mut self.consumers[id.0 as usize] {
            self.held -= consumer.memory();
            change(&mut consumer.pending);
            self.held += consumer.memory();
        }
    }

    /// Drops up to so many pending entries, when the group is no more; how many.
    pub(super) fn free_slice(&mut self, budget: usize) -> usize {
        let mut freed = 0;
        while freed < budget && self.pending.pop_first().is_some() {
            freed += 1;
        }
        while freed < budget
            && let Some(by_time) = &mut self.by_time
            && by_time.pop_first().is_some()
        {
            freed += 1;
        }
        while freed < budget
            && let Some(consumer) = self.consumers.last_mut()
        {
            match consumer.as_mut().and_then(|consumer| consumer.pending.pop_first()) {
                Some(_) => {}
                None => drop(self.consumers.pop()),
            }
            freed += 1;
        }
        freed
    }
}
