//! Who waits for data in keys, in order of arrival.
//!
//! A waiter stands in the lines of all its keys, in as many stores as these lie in. A change of
//! such a key notes it as *ready*; whoever holds the store then serves its line before putting
//! the store back. What serving means is the business of whoever made the waiter.

use kevy_data::{Kind, allocated};
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A key for which somebody waits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WaitedKey {
    /// Its store.
    pub store: u32,
    /// Its name.
    pub bytes: Box<[u8]>,
}

/// Somebody who waits.
pub struct Waiter {
    /// Places in a line are in this order: who registers holds all stores of the keys while the
    /// number is drawn.
    ticket: u64,
    db: usize,
    kind: Kind,
    loss: bool,
    /// In ascending order, each once.
    keys: Box<[WaitedKey]>,
    state: AtomicU8,
    call: Box<dyn Any + Send + Sync>,
}

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;
/// Claimed, and another of its keys has changed since.
const NEWS: u8 = 2;
const OVER: u8 = 3;

/// What has come of [`Waiter::claim`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claimed {
    /// The caller serves it, nobody else does, until it calls [`Waiter::release`] or
    /// [`Waiter::finish`].
    Yes,
    /// It waits no more.
    TooLate,
    /// Somebody else tries to serve it at this moment, from another of its stores, and will see
    /// to it that its lines are looked through once more.
    Elsewhere,
}

/// What has come of [`Waiter::cancel`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cancelled {
    /// It waits no more: the caller answers.
    Yes,
    /// It was served or cancelled before.
    TooLate,
    /// Somebody tries to serve it at this moment: ask again.
    Busy,
}

impl Waiter {
    /// A waiter for data of type `kind` in `keys` of a database, or, with `loss`, for any change
    /// of these. `call` is what serves it.
    pub fn new(
        ticket: u64,
        db: usize,
        kind: Kind,
        loss: bool,
        mut keys: Vec<WaitedKey>,
        call: Box<dyn Any + Send + Sync>,
    ) -> Self {
        keys.sort_unstable();
        keys.dedup();
        let state = AtomicU8::new(WAITING);
        Self { ticket, db, kind, loss, keys: keys.into(), state, call }
    }

    /// Its number, never given twice.
    pub fn ticket(&self) -> u64 {
        self.ticket
    }

    /// What serves it, if that is a `T`.
    pub fn call<T: 'static>(&self) -> Option<&T> {
        self.call.downcast_ref()
    }

    /// The stores of its keys, in ascending order, each once.
    pub fn stores(&self) -> impl Iterator<Item = u32> {
        self.keys.chunk_by(|a, b| a.store == b.store).map(|keys| keys[0].store)
    }

    /// Whether it waits no more.
    pub fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) == OVER
    }

    /// Takes it in order to serve it.
    #[must_use]
    pub fn claim(&self) -> Claimed {
        loop {
            match self.pass(WAITING, CLAIMED) {
                Ok(_) => return Claimed::Yes,
                Err(OVER) => return Claimed::TooLate,
                Err(NEWS) => return Claimed::Elsewhere,
                // It may have been released meanwhile.
                Err(_) => {
                    if self.pass(CLAIMED, NEWS).is_ok() {
                        return Claimed::Elsewhere;
                    }
                }
            }
        }
    }

    /// Nothing was there for it: it goes on waiting. Whether one of its keys has changed since it
    /// was claimed: then the caller has its lines looked through once more.
    #[must_use]
    pub fn release(&self) -> bool {
        self.end_claim(WAITING)
    }

    /// It has been served. As for [`release`](Self::release).
    #[must_use]
    pub fn finish(&self) -> bool {
        self.end_claim(OVER)
    }

    fn end_claim(&self, next: u8) -> bool {
        let before = self.state.swap(next, Ordering::AcqRel);
        debug_assert!(matches!(before, CLAIMED | NEWS), "only who has claimed a waiter ends that");
        before == NEWS
    }

    /// Ends the waiting unless somebody has claimed it.
    #[must_use]
    pub fn cancel(&self) -> Cancelled {
        match self.pass(WAITING, OVER) {
            Ok(_) => Cancelled::Yes,
            Err(OVER) => Cancelled::TooLate,
            Err(_) => Cancelled::Busy,
        }
    }

    fn pass(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    fn keys_in(&self, store: u32) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().filter(move |key| key.store == store).map(|key| &*key.bytes)
    }

    /// What it costs itself, accounted where its first key is.
    fn bytes_in(&self, store: u32) -> usize {
        if self.keys.first().is_none_or(|first| first.store != store) {
            return 0;
        }
        let names: usize = self.keys.iter().map(|key| allocated(key.bytes.len())).sum();
        allocated(size_of::<Self>() + 2 * size_of::<usize>())
            + allocated(size_of_val(&*self.keys))
            + names
            + allocated(size_of_val(&*self.call))
    }
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiter").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// Those who wait for one key.
#[derive(Default)]
struct Line {
    by_ticket: BTreeMap<u64, Arc<Waiter>>,
    /// How many of them wait for any change.
    loss: usize,
    /// It stands in the list of ready keys.
    noted: bool,
}

/// What a waited key costs beside its bytes: an entry of a tree between half and two thirds full.
const KEY_COST: usize = 80;

/// What a line costs: a tree of nodes with room for 11 entries, half to two thirds full.
const fn line_bytes(waiters: usize) -> usize {
    const ENTRY: usize = size_of::<(u64, Arc<Waiter>)>();
    const LEAF: usize = allocated(11 * ENTRY + 16);
    match waiters {
        0 => 0,
        1..=11 => LEAF,
        _ => waiters * LEAF / 6,
    }
}

/// The waiters for the keys of one store.
///
/// A line exists while somebody stands in it, so an idle server pays one length check.
#[derive(Default)]
pub(crate) struct Waiters {
    /// By database; none is empty.
    dbs: BTreeMap<usize, BTreeMap<Box<[u8]>, Line>>,
    /// Keys whose lines are to be looked through.
    ready: VecDeque<(usize, Box<[u8]>)>,
    keys: usize,
    /// Keys for any change of which somebody waits.
    loss_keys: usize,
    bytes: usize,
}

impl Waiters {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.dbs.is_empty()
    }

    /// Keys for which somebody waits.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Keys for any change of which somebody waits.
    pub(crate) fn loss_keys(&self) -> usize {
        self.loss_keys
    }

    /// Bytes held, about.
    pub(crate) fn memory(&self) -> usize {
        self.bytes
    }

    /// Enters a waiter in the lines of its keys of this store.
    pub(crate) fn enter(&mut self, store: u32, waiter: &Arc<Waiter>) {
        let Self { dbs, keys, loss_keys, bytes, .. } = self;
        for key in waiter.keys_in(store) {
            let db = dbs.entry(waiter.db).or_default();
            let line = match db.get_mut(key) {
                Some(line) => line,
                None => {
                    *keys += 1;
                    *bytes += KEY_COST + allocated(key.len());
                    db.entry(key.into()).or_default()
                }
            };
            let held = line_bytes(line.by_ticket.len());
            if line.by_ticket.insert(waiter.ticket, Arc::clone(waiter)).is_none() {
                *loss_keys += usize::from(waiter.loss && line.loss == 0);
                line.loss += usize::from(waiter.loss);
            }
            *bytes = *bytes + line_bytes(line.by_ticket.len()) - held;
        }
        *bytes += waiter.bytes_in(store);
    }

    /// Takes a waiter out of the lines of this store; whether it stood there.
    pub(crate) fn forget(&mut self, store: u32, waiter: &Waiter) -> bool {
        let Self { dbs, keys, loss_keys, bytes, .. } = self;
        let Some(db) = dbs.get_mut(&waiter.db) else { return false };
        let mut stood = false;
        for key in waiter.keys_in(store) {
            let Some(line) = db.get_mut(key) else { continue };
            let held = line_bytes(line.by_ticket.len());
            if line.by_ticket.remove(&waiter.ticket).is_none() {
                continue;
            }
            stood = true;
            line.loss -= usize::from(waiter.loss);
            *loss_keys -= usize::from(waiter.loss && line.loss == 0);
            *bytes = *bytes + line_bytes(line.by_ticket.len()) - held;
            if line.by_ticket.is_empty() {
                db.remove(key);
                *keys -= 1;
                *bytes -= KEY_COST + allocated(key.len());
            }
        }
        if stood {
            *bytes -= waiter.bytes_in(store);
        }
        if db.is_empty() {
            dbs.remove(&waiter.db);
        }
        stood
    }

    /// Notes that a key has changed; whether somebody waits for it.
    #[cold]
    pub(crate) fn note(&mut self, db: usize, key: &[u8], exists: bool) -> bool {
        let Some(line) = self.dbs.get_mut(&db).and_then(|keys| keys.get_mut(key)) else {
            return false;
        };
        if !exists && line.loss == 0 {
            return false;
        }
        if !std::mem::replace(&mut line.noted, true) {
            self.ready.push_back((db, key.into()));
        }
        true
    }

    /// Notes the keys for which a waiter stands in line.
    pub(crate) fn note_keys_of(&mut self, store: u32, waiter: &Waiter) {
        for key in waiter.keys_in(store) {
            self.note(waiter.db, key, true);
        }
    }

    /// All keys of a database are replaced, as by `FLUSHDB` and `SWAPDB`, after which some `exist`
    /// or none does. Whether somebody waits for one.
    pub(crate) fn note_all(&mut self, db: usize, exist: bool) -> bool {
        let lines = self.dbs.get_mut(&db).into_iter().flatten();
        for (key, line) in lines {
            if (exist || line.loss > 0) && !std::mem::replace(&mut line.noted, true) {
                self.ready.push_back((db, key.clone()));
            }
        }
        self.has_ready()
    }

    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The key that was noted first.
    pub(crate) fn take_ready(&mut self) -> Option<(usize, Box<[u8]>)> {
        let (db, key) = self.ready.pop_front()?;
        if let Some(line) = self.dbs.get_mut(&db).and_then(|keys| keys.get_mut(&key)) {
            line.noted = false;
        }
        if self.ready.is_empty() {
            self.ready = VecDeque::new();
        }
        Some((db, key))
    }

    /// The first waiter for a key, from a ticket on, for whom a value of type `kind` (or none)
    /// may be news.
    pub(crate) fn next(
        &self,
        db: usize,
        key: &[u8],
        from: u64,
        kind: Option<Kind>,
    ) -> Option<&Arc<Waiter>> {
        let line = self.dbs.get(&db)?.get(key)?;
        if kind.is_none() && line.loss == 0 {
            return None;
        }
        let concerns =
            |waiter: &&Arc<Waiter>| !waiter.is_over() && (waiter.loss || kind == Some(waiter.kind));
        line.by_ticket.range(from..).map(|(_, waiter)| waiter).find(concerns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    const STORE: u32 = 1;

    fn name(key: usize) -> Box<[u8]> {
        Box::new([b'a' + key as u8])
    }

    fn waiter(ticket: u64, db: usize, keys: &[usize], loss: bool) -> Arc<Waiter> {
        // Every other key lies in another store.
        let key = |&key: &usize| WaitedKey { store: (key % 2) as u32, bytes: name(key) };
        let keys = keys.iter().map(key).collect();
        Arc::new(Waiter::new(ticket, db, Kind::List, loss, keys, Box::new(())))
    }

    #[test]
    fn a_waiter_is_claimed_once() {
        let waiter = waiter(1, 0, &[1], false);
        assert_eq!(waiter.claim(), Claimed::Yes);
        assert_eq!(waiter.cancel(), Cancelled::Busy);
        assert!(!waiter.release());
        assert_eq!(waiter.claim(), Claimed::Yes);
        assert_eq!([waiter.claim(), waiter.claim()], [Claimed::Elsewhere; 2]);
        assert_eq!(waiter.cancel(), Cancelled::Busy);
        assert!(waiter.release());
        assert_eq!(waiter.claim(), Claimed::Yes);
        assert!(!waiter.finish());
        assert_eq!((waiter.cancel(), waiter.claim()), (Cancelled::TooLate, Claimed::TooLate));
        let other = super::tests::waiter(2, 0, &[1], false);
        assert_eq!((other.cancel(), other.cancel()), (Cancelled::Yes, Cancelled::TooLate));
        assert_eq!(other.claim(), Claimed::TooLate);
    }

    #[test]
    fn many_threads_claim_it_once() {
        for _ in 0..200 {
            let waiter = waiter(1, 0, &[1], false);
            let won: usize = std::thread::scope(|scope| {
                let claim = || usize::from(waiter.claim() == Claimed::Yes);
                let cancel = || usize::from(waiter.cancel() == Cancelled::Yes);
                let threads = [scope.spawn(claim), scope.spawn(claim), scope.spawn(cancel)];
                threads.map(|thread| thread.join().unwrap()).iter().sum()
            });
            assert_eq!(won, 1);
        }
    }

    #[test]
    fn keys_named_twice_count_once() {
        let waiter = waiter(1, 0, &[1, 3, 1, 2, 3], false);
        assert_eq!(waiter.stores().collect::<Vec<_>>(), [0, 1]);
        let mut waiters = Waiters::default();
        waiters.enter(STORE, &waiter);
        assert_eq!(waiters.keys(), 2);
        assert!(waiters.forget(STORE, &waiter) && !waiters.forget(STORE, &waiter));
        assert_eq!((waiters.is_empty(), waiters.memory()), (true, 0));
    }

    #[test]
    fn types_and_losses_decide_who_is_concerned() {
        let mut waiters = Waiters::default();
        waiters.enter(STORE, &waiter(1, 0, &[1], false));
        let ticket = |waiters: &Waiters, from, kind| {
            waiters.next(0, b"b", from, kind).map(|waiter| waiter.ticket())
        };
        assert_eq!(ticket(&waiters, 0, Some(Kind::List)), Some(1));
        assert_eq!(ticket(&waiters, 2, Some(Kind::List)), None);
        assert_eq!(ticket(&waiters, 0, Some(Kind::Stream)), None);
        assert!(!waiters.note(0, b"b", false) && !waiters.has_ready());
        waiters.enter(STORE, &waiter(2, 0, &[1], true));
        assert_eq!(ticket(&waiters, 0, Some(Kind::Stream)), Some(2));
        assert_eq!(ticket(&waiters, 0, None), Some(2));
        assert!(waiters.note(0, b"b", false) && waiters.note(0, b"b", true));
        assert_eq!(waiters.take_ready(), Some((0, name(1))));
        assert_eq!(waiters.take_ready(), None);
        assert!(!waiters.note_all(1, true) && waiters.note_all(0, false));
    }

    #[test]
    fn a_million_cancelled_waiters_leave_nothing() {
        let mut waiters = Waiters::default();
        let count = if cfg!(miri) { 100 } else { 1_000_000 };
        let all: Vec<_> = (0..count).map(|ticket| waiter(ticket, 0, &[1], false)).collect();
        all.iter().for_each(|waiter| waiters.enter(STORE, waiter));
        assert!(waiters.memory() > 100 * all.len());
        // From the front, the back and the middle: none costs a walk through the line.
        let mut order: Vec<_> = all.iter().collect();
        order.sort_by_key(|waiter| waiter.ticket().wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for waiter in order {
            assert_eq!(waiter.cancel(), Cancelled::Yes);
            assert!(waiters.forget(STORE, waiter));
        }
        assert_eq!((waiters.is_empty(), waiters.keys(), waiters.memory()), (true, 0, 0));
    }

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 4 } else { 256 },
            rng_seed: RngSeed::Fixed(12), failure_persistence: None,
            ..Config::default()
        })]
        #[test]
        fn lines_are_those_of_a_plain_list(
            steps in prop::collection::vec(
                (0_u8..8, 0_usize..2, prop::collection::vec(0_usize..4, 1..4), any::<bool>()),
                0..100,
            )
        ) {
            let mut waiters = Waiters::default();
            let mut model: Vec<Arc<Waiter>> = Vec::new();
            for (ticket, (what, db, keys, flag)) in steps.into_iter().enumerate() {
                match what {
                    0..=3 => {
                        let new = waiter(ticket as u64, db, &keys, flag);
                        waiters.enter(STORE, &new);
                        model.push(new);
                    }
                    4 | 5 if !model.is_empty() => {
                        let old = model.remove(keys[0] * 7 % model.len());
                        let here = old.stores().any(|store| store == STORE);
                        prop_assert_eq!(waiters.forget(STORE, &old), here);
                    }
                    6 if !model.is_empty() => {
                        let claimed = model.remove(keys[0] % model.len());
                        prop_assert_eq!(claimed.claim(), Claimed::Yes);
                        prop_assert!(!claimed.finish());
                        waiters.forget(STORE, &claimed);
                    }
                    _ => {
                        let kind = flag.then_some(Kind::List);
                        let key = name(keys[0]);
                        let stands = |waiter: &&Arc<Waiter>| {
                            waiter.db == db
                                && waiter.keys_in(STORE).any(|other| *other == *key)
                                && (waiter.loss || flag)
                        };
                        let expected: Vec<u64> =
                            model.iter().filter(stands).map(|waiter| waiter.ticket).collect();
                        let mut line = Vec::new();
                        let mut from = 0;
                        while let Some(waiter) = waiters.next(db, &key, from, kind) {
                            line.push(waiter.ticket);
                            from = waiter.ticket + 1;
                        }
                        prop_assert_eq!(line, expected);
                    }
                }
            }
            model.iter().for_each(|waiter| { waiters.forget(STORE, waiter); });
            prop_assert!(waiters.is_empty());
            let left = (waiters.keys(), waiters.loss_keys(), waiters.memory());
            prop_assert_eq!(left, (0, 0, 0));
        }
    }
}
