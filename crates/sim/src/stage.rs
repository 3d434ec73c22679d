//! The shards, each on a thread of its own, and the baton by which exactly one of them runs.
//!
//! The director (the thread that made the stage) gives a shard work and runs it until its turn is
//! over or it is suspended at a [`Moment`] of a holding. A suspended shard keeps what it holds
//! while others run. Who goes on is the director's choice alone, so a run is a function of its
//! seed although it has several threads.

use crate::random::Random;
use crate::rows::Rows;
use kevy_shard::service::{Action, ConnId, Event, Now, Service, Wake};
use kevy_shard::{Hook, Moment, Shard, World, WorldOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What a shard's driver would tell it, with the bytes owned.
pub(crate) enum Arrival {
    Received(ConnId, Vec<u8>),
    End(ConnId),
    Failed(ConnId),
    Sent(ConnId, usize),
}

impl Arrival {
    fn event(&self) -> Event<'_> {
        match self {
            Self::Received(id, bytes) => Event::Received(*id, bytes),
            Self::End(id) => Event::EndOfStream(*id),
            Self::Failed(id) => Event::Failed(*id),
            Self::Sent(id, count) => Event::Sent(*id, *count),
        }
    }
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Received(id, bytes) => write!(f, "Received({}, {})", id.slot, bytes.len()),
            Self::End(id) => write!(f, "End({})", id.slot),
            Self::Failed(id) => write!(f, "Failed({})", id.slot),
            Self::Sent(id, count) => write!(f, "Sent({}, {count})", id.slot),
        }
    }
}

/// What a shard is to do next.
pub(crate) struct Job {
    /// Connections whose descriptors have been closed since the last turn.
    pub(crate) closed: Vec<ConnId>,
    pub(crate) now: Now,
    pub(crate) arrivals: Vec<Arrival>,
}

/// Why the director has the baton again.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The shard is suspended at a moment of a holding.
    At(Moment),
    /// Its turn is over.
    Done(Vec<Action>),
    /// It panicked.
    Panicked(String),
}

enum Seat {
    Idle,
    Given(Job),
    Busy,
    Stopped(Stop),
    Leave,
}

struct Baton {
    /// Who runs: a shard, or the director by the number of shards.
    holder: usize,
    seats: Vec<Seat>,
    random: Random,
    /// How often a moment suspends, out of 256.
    chance: usize,
}

struct Shared {
    baton: Mutex<Baton>,
    bells: Vec<Condvar>,
}

/// See the module.
pub(crate) struct Stage {
    shared: Arc<Shared>,
    pub(crate) world: Arc<World>,
    shards: Vec<Arc<Mutex<Shard<Rows>>>>,
    pub(crate) woken: Vec<Arc<Woken>>,
    threads: Vec<JoinHandle<()>>,
}

/// Whether a shard that sleeps has been woken.
#[derive(Default)]
pub(crate) struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Woken {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Gives the baton to `to` and waits until `me` has it again.
    fn pass<'a>(
        &'a self,
        mut baton: MutexGuard<'a, Baton>,
        to: usize,
        me: usize,
    ) -> MutexGuard<'a, Baton> {
        baton.holder = to;
        self.bells[to].notify_one();
        self.wait(baton, me)
    }

    fn wait<'a>(&'a self, mut baton: MutexGuard<'a, Baton>, me: usize) -> MutexGuard<'a, Baton> {
        while baton.holder != me {
            baton = self.bells[me].wait(baton).unwrap_or_else(PoisonError::into_inner);
        }
        baton
    }

    /// A moment of a holding: suspends the shard or not.
    fn moment(&self, shard: usize, moment: Moment) {
        let mut baton = lock(&self.baton);
        if baton.holder != shard {
            // The director itself called into the shard.
            return;
        }
        let chance = baton.chance;
        if !baton.random.chance(chance, 256) {
            return;
        }
        baton.seats[shard] = Seat::Stopped(Stop::At(moment));
        let director = self.bells.len() - 1;
        baton = self.pass(baton, director, shard);
        baton.seats[shard] = Seat::Busy;
    }
}

impl Stage {
    /// Shards for `options`, suspended at `chance` of 256 moments.
    pub(crate) fn new(mut options: WorldOptions, chance: usize, random: Random) -> Self {
        let count = options.shards;
        let shared = Arc::new(Shared {
            baton: Mutex::new(Baton {
                holder: count,
                seats: (0..count).map(|_| Seat::Idle).collect(),
                random,
                chance,
            }),
            bells: (0..=count).map(|_| Condvar::new()).collect(),
        });
        let rows = Arc::new(Rows::new());
        options.commands = kevy_shard::Commands::table(&*rows).len();
        let hooked = Arc::clone(&shared);
        let hook: Hook = Box::new(move |shard, moment| hooked.moment(shard, moment));
        options.hook = Some(hook);
        let world = World::new(options);
        rows.set_world(Arc::clone(&world));
        let shard =
            |at| Arc::new(Mutex::new(Shard::new(at, Arc::clone(&world), Arc::clone(&rows))));
        let shards: Vec<_> = (0..count).map(shard).collect();
        let woken: Vec<Arc<Woken>> = (0..count).map(|_| Arc::default()).collect();
        for (at, woken) in woken.iter().enumerate() {
            world.set_waker(at, Arc::clone(woken) as Arc<dyn Wake>);
        }
        let thread = |(at, shard): (usize, &Arc<Mutex<Shard<Rows>>>)| {
            let (shared, shard) = (Arc::clone(&shared), Arc::clone(shard));
            std::thread::spawn(move || act(&shared, &shard, at))
        };
        let threads = shards.iter().enumerate().map(thread).collect();
        Self { shared, world, shards, woken, threads }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.len()
    }

    /// A shard between its turns.
    pub(crate) fn shard(&self, at: usize) -> MutexGuard<'_, Shard<Rows>> {
        lock(&self.shards[at])
    }

    /// Begins a turn.
    pub(crate) fn start(&self, at: usize, job: Job) -> Stop {
        let mut baton = lock(&self.shared.baton);
        debug_assert!(matches!(baton.seats[at], Seat::Idle));
        baton.seats[at] = Seat::Given(job);
        self.run(baton, at)
    }

    /// Goes on with a suspended turn.
    pub(crate) fn resume(&self, at: usize) -> Stop {
        self.run(lock(&self.shared.baton), at)
    }

    /// From now on nobody is suspended.
    pub(crate) fn hurry(&self) {
        lock(&self.shared.baton).chance = 0;
    }

    fn run(&self, baton: MutexGuard<'_, Baton>, at: usize) -> Stop {
        let mut baton = self.shared.pass(baton, at, self.len());
        match std::mem::replace(&mut baton.seats[at], Seat::Idle) {
            Seat::Stopped(Stop::At(moment)) => {
                baton.seats[at] = Seat::Busy;
                Stop::At(moment)
            }
            Seat::Stopped(stop) => stop,
            _ => unreachable!("a shard gives the baton back with its reason"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.hurry();
        for (at, thread) in std::mem::take(&mut self.threads).into_iter().enumerate() {
            let busy = matches!(lock(&self.shared.baton).seats[at], Seat::Busy);
            if busy {
                self.resume(at);
            }
            let mut baton = lock(&self.shared.baton);
            baton.seats[at] = Seat::Leave;
            baton.holder = at;
            self.shared.bells[at].notify_one();
            drop(baton);
            // A panic of the thread has been told as its stop.
            let _ = thread.join();
        }
    }
}

/// The life of a shard's thread.
fn act(shared: &Shared, shard: &Mutex<Shard<Rows>>, me: usize) {
    let director = shared.bells.len() - 1;
    let mut baton = shared.wait(lock(&shared.baton), me);
    loop {
        let job = match std::mem::replace(&mut baton.seats[me], Seat::Busy) {
            Seat::Given(job) => job,
            _ => return,
        };
        drop(baton);
        let played = catch_unwind(AssertUnwindSafe(|| play(&mut lock(shard), job)));
        let stop = played.map_or_else(|panic| Stop::Panicked(words(&*panic)), Stop::Done);
        baton = lock(&shared.baton);
        baton.seats[me] = Seat::Stopped(stop);
        baton = shared.pass(baton, director, me);
    }
}

fn play(shard: &mut Shard<Rows>, job: Job) -> Vec<Action> {
    for id in job.closed {
        shard.closed(id);
    }
    let events: Vec<Event<'_>> = job.arrivals.iter().map(Arrival::event).collect();
    shard.turn(&job.now, &events);
    let mut actions = Vec::new();
    shard.actions(&mut actions);
    actions
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
