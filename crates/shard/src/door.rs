//! The doors of the stores: ownership is the lock.
//!
//! A store is one box. It lies at its door, or someone holds it, or it belongs to a [`Joint`]
//! entry that waits for more boxes. Whoever comes for a store that is out is entered in the
//! queue; whoever has finished puts the box back or is given the next entry to deal with.
//!
//! Invariant: *a store that lies at its door has an empty queue.* Box and queue change only
//! together, under the door's lock, which is held for nanoseconds and never while a command runs.
//!
//! Work that needs several stores is entered in the queues of all of them in one step, with the
//! doors locked in ascending order: so any two such entries stand in the same order everywhere,
//! and waiting for each other in a circle is impossible.

use crate::sync::{Lock, Primitives, Std};
use crossbeam_utils::CachePadded;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Names a store: its index among the doors.
pub type StoreId = u32;

/// Boxes of stores, in ascending order of their names, each once.
pub type Boxes<S> = SmallVec<[(StoreId, Box<S>); 4]>;

/// Work together with all the stores that it needs.
#[derive(Debug)]
pub struct Ready<S, B> {
    /// The stores.
    pub boxes: Boxes<S>,
    /// What is to be done with them.
    pub batch: Box<B>,
}

/// All doors of a server. `S` is a store, `B` a batch of work for stores.
pub struct Doors<S, B, P: Primitives = Std> {
    doors: Box<[Padded<S, B, P>]>,
}

/// Each door has its cache lines to itself.
type Padded<S, B, P> = CachePadded<<P as Primitives>::Mutex<Door<S, B, P>>>;

struct Door<S, B, P: Primitives> {
    store: Option<Box<S>>,
    queue: VecDeque<Entry<S, B, P>>,
}

/// What waits in a queue.
enum Entry<S, B, P: Primitives> {
    /// Work for this store alone.
    Single(Box<B>),
    /// Work for this store and others; the same value stands in all their queues.
    Joint(Arc<Joint<S, B, P>>),
}

/// Work for several stores, and those that it has been given so far.
struct Joint<S, B, P: Primitives> {
    state: P::Mutex<JointState<S, B>>,
}

struct JointState<S, B> {
    /// Taken out by whoever brings the last store.
    batch: Option<Box<B>>,
    boxes: Boxes<S>,
    missing: usize,
}

impl<S, B, P: Primitives> Doors<S, B, P> {
    /// Doors with a store at each.
    pub fn new(stores: impl IntoIterator<Item = S>) -> Self {
        let door = |store| Door { store: Some(Box::new(store)), queue: VecDeque::new() };
        let lock = |store| CachePadded::new(Lock::new(door(store)));
        Self { doors: stores.into_iter().map(lock).collect() }
    }

    /// How many stores there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.doors.len()
    }

    /// Whether there is no store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.doors.is_empty()
    }

    /// Takes the store if it lies at its door.
    #[must_use]
    pub fn take(&self, id: StoreId) -> Option<Box<S>> {
        self.door(id).lock().store.take()
    }

    /// Takes the stores `ids`, ascending and without repetition, if all lie at their doors.
    #[must_use]
    pub fn take_all(&self, ids: &[StoreId]) -> Option<Boxes<S>> {
        debug_assert!(ids.is_sorted_by(|a, b| a < b));
        let mut guards: SmallVec<[_; 4]> = SmallVec::new();
        for &id in ids {
            let guard = self.door(id).lock();
            guard.store.as_ref()?;
            guards.push(guard);
        }
        let take = |(guard, &id): (&mut _, &StoreId)| {
            let door: &mut Door<S, B, P> = guard;
            door.store.take().map(|store| (id, store))
        };
        guards
            .iter_mut()
            .map(|guard| &mut **guard)
            .zip(ids)
            .filter_map(take)
            .collect::<Boxes<S>>()
            .into()
    }

    /// Enters `batch` for the store `id`; gives it back with the store if that lies there.
    pub fn enter(&self, id: StoreId, batch: Box<B>) -> Option<Ready<S, B>> {
        let mut door = self.door(id).lock();
        match door.store.take() {
            Some(store) => Some(Ready { boxes: SmallVec::from_iter([(id, store)]), batch }),
            None => {
                door.queue.push_back(Entry::Single(batch));
                None
            }
        }
    }

    /// Enters `batch` for all the stores `ids`, ascending and without repetition; gives it back
    /// with the stores if all lie there. Those that do lie there are held for it otherwise.
    pub fn enter_all(&self, ids: &[StoreId], batch: Box<B>) -> Option<Ready<S, B>> {
        debug_assert!(ids.is_sorted_by(|a, b| a < b));
        let mut guards: SmallVec<[_; 4]> = ids.iter().map(|&id| self.door(id).lock()).collect();
        let mut boxes = Boxes::new();
        for (guard, &id) in guards.iter_mut().zip(ids) {
            boxes.extend(guard.store.take().map(|store| (id, store)));
        }
        let missing = ids.len() - boxes.len();
        if missing == 0 {
            return Some(Ready { boxes, batch });
        }
        let held: SmallVec<[StoreId; 4]> = boxes.iter().map(|&(id, _)| id).collect();
        let state = JointState { batch: Some(batch), boxes, missing };
        let joint = Arc::new(Joint { state: Lock::new(state) });
        for (guard, id) in guards.iter_mut().zip(ids) {
            if !held.contains(id) {
                guard.queue.push_back(Entry::Joint(Arc::clone(&joint)));
            }
        }
        None
    }

    /// Gives a store back. If someone waits for it and can go on now, the caller has to see to
    /// that: it runs the work, or hands it to another shard.
    #[must_use]
    pub fn put(&self, id: StoreId, store: Box<S>) -> Option<Ready<S, B>> {
        let (entry, store) = {
            let mut door = self.door(id).lock();
            debug_assert!(door.store.is_none());
            match door.queue.pop_front() {
                Some(entry) => (entry, store),
                None => {
                    door.store = Some(store);
                    return None;
                }
            }
        };
        match entry {
            Entry::Single(batch) => {
                Some(Ready { boxes: SmallVec::from_iter([(id, store)]), batch })
            }
            Entry::Joint(joint) => joint.give(id, store),
        }
    }

    /// Whether every store lies at its door.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.doors.iter().all(|door| {
            let door = door.lock();
            debug_assert!(door.store.is_none() || door.queue.is_empty());
            door.store.is_some()
        })
    }

    fn door(&self, id: StoreId) -> &P::Mutex<Door<S, B, P>> {
        &self.doors[id as usize]
    }
}

impl<S, B, P: Primitives> Joint<S, B, P> {
    /// Adds a store whose turn has come; the last one sets the work free.
    fn give(&self, id: StoreId, store: Box<S>) -> Option<Ready<S, B>> {
        let mut state = self.state.lock();
        let at = state.boxes.partition_point(|&(other, _)| other < id);
        state.boxes.insert(at, (id, store));
        state.missing -= 1;
        if state.missing > 0 {
            return None;
        }
        let batch = state.batch.take()?;
        Some(Ready { boxes: std::mem::take(&mut state.boxes), batch })
    }
}

impl<S, B, P: Primitives> std::fmt::Debug for Doors<S, B, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doors").field("len", &self.doors.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::modelled::Loom;

    type Plain = Doors<Vec<u32>, u32>;

    fn doors(n: usize) -> Plain {
        Doors::new((0..n).map(|_| Vec::new()))
    }

    #[test]
    fn a_store_out_gives_the_queue_in_order() {
        let doors = doors(1);
        let store = doors.take(0).unwrap();
        assert!(doors.take(0).is_none());
        assert!(doors.enter(0, Box::new(1)).is_none());
        assert!(doors.enter(0, Box::new(2)).is_none());
        let first = doors.put(0, store).unwrap();
        assert_eq!(*first.batch, 1);
        let (id, store) = first.boxes.into_iter().next().unwrap();
        let second = doors.put(id, store).unwrap();
        assert_eq!(*second.batch, 2);
        let (id, store) = second.boxes.into_iter().next().unwrap();
        assert!(doors.put(id, store).is_none());
        assert!(doors.take(0).is_some());
    }

    #[test]
    fn joint_work_holds_what_lies_there_and_runs_with_the_last_box() {
        let doors = doors(3);
        let one = doors.take(1).unwrap();
        assert!(doors.enter_all(&[0, 1, 2], Box::new(9)).is_none());
        assert!(doors.take(0).is_none(), "held for the joint work");
        assert!(doors.enter(2, Box::new(3)).is_none());
        let ready = doors.put(1, one).unwrap();
        assert_eq!(*ready.batch, 9);
        assert_eq!(ready.boxes.iter().map(|&(id, _)| id).collect::<Vec<_>>(), [0, 1, 2]);
        let mut after = Vec::new();
        for (id, store) in ready.boxes {
            after.extend(doors.put(id, store).map(|ready| *ready.batch));
        }
        assert_eq!(after, [3]);
    }

    #[test]
    fn taking_all_takes_none_if_one_is_out() {
        let doors = doors(2);
        let one = doors.take(1).unwrap();
        assert!(doors.take_all(&[0, 1]).is_none());
        assert!(doors.take(0).is_some());
        assert!(doors.put(1, one).is_none());
    }

    type Modelled = Doors<Vec<u32>, u32, Loom>;

    /// Runs work to the end as a shard does: each entry leaves its mark in all its stores.
    fn finish(doors: &Modelled, ready: Option<Ready<Vec<u32>, u32>>) {
        let mut todo: Vec<_> = ready.into_iter().collect();
        while let Some(mut ready) = todo.pop() {
            for (_, store) in &mut ready.boxes {
                store.push(*ready.batch);
            }
            for (id, store) in ready.boxes {
                todo.extend(doors.put(id, store));
            }
        }
    }

    /// Every interleaving of `works`: nothing is lost, nothing waits for ever, and any two joint
    /// works stand in the same order in all the stores they share.
    fn check(stores: u32, works: &'static [&'static [StoreId]]) {
        loom::model(move || {
            let doors = Arc::new(Modelled::new((0..stores).map(|_| Vec::new())));
            let threads: Vec<_> = (0..works.len())
                .map(|at| {
                    let doors = Arc::clone(&doors);
                    loom::thread::spawn(move || {
                        let batch = Box::new(at as u32);
                        let ready = match works[at] {
                            [id] => doors.enter(*id, batch),
                            ids => doors.enter_all(ids, batch),
                        };
                        finish(&doors, ready);
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            let seen: Vec<Vec<u32>> =
                (0..stores).map(|id| *doors.take(id).expect("every store is back")).collect();
            for (at, ids) in works.iter().enumerate() {
                for &id in *ids {
                    let times = seen[id as usize].iter().filter(|&&x| x == at as u32).count();
                    assert_eq!(times, 1, "work {at} in store {id}");
                }
            }
            let order = |id: StoreId, a: u32, b: u32| {
                let position = |x| seen[id as usize].iter().position(|&y| y == x);
                position(a) < position(b)
            };
            for (a, first) in works.iter().enumerate() {
                for (b, second) in works.iter().enumerate().skip(a + 1) {
                    let shared = first.iter().filter(|id| second.contains(id));
                    let mut orders = shared.map(|&id| order(id, a as u32, b as u32));
                    if let Some(one) = orders.next() {
                        assert!(orders.all(|other| other == one), "works {a} and {b}");
                    }
                }
            }
        });
    }

    #[test]
    fn every_interleaving_of_overlapping_joint_works() {
        check(2, &[&[0, 1], &[0, 1]]);
        check(3, &[&[0, 1], &[1, 2]]);
    }

    #[test]
    fn every_interleaving_of_joint_and_single_works() {
        check(2, &[&[0, 1], &[0], &[1]]);
    }

    #[test]
    fn every_interleaving_of_a_circle_of_joint_works() {
        check(3, &[&[0, 1], &[1, 2], &[0, 2]]);
    }
}
