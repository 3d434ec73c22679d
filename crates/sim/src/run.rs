//! One run: everything that happens, one step at a time, each chosen by the seed.

use crate::check;
use crate::client::{Client, Role};
use crate::link::Link;
use crate::random::Random;
use crate::scene::{Mutant, Scene};
use crate::stage::{Job, Stage, Stop};
use kevy_command::{Output, Settings};
use kevy_shard::WorldOptions;
use kevy_shard::service::{Action, ConnId, Now, Peer, PeerAddress, Service, Wait};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};

/// More steps than any run needs: one that makes so many does not come to rest.
const MAX_STEPS: u64 = 200_000;

/// How a run is made, beside its seed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Options {
    /// See [`Mutant`].
    pub mutant: Mutant,
    /// Tells every step on standard error.
    pub trace: bool,
}

/// What a run amounted to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Steps made.
    pub steps: u64,
    /// Operations recorded.
    pub operations: usize,
    /// Times a shard was suspended in a holding.
    pub suspensions: u64,
    /// Batches that waited at a door.
    pub queued: u64,
    /// Hash of everything that happened, in order.
    pub trace: u64,
}

/// An objection to a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The seed that repeats it.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, what } = self;
        write!(f, "seed {seed}: {what}\nrepeat with\n    ")?;
        write!(f, "KEVY_SIM_SEED={seed} cargo test -p kevy-sim --test seeds\n    ")?;
        write!(f, "cargo run -p kevy-sim -- --trace {seed}")
    }
}

impl std::error::Error for Failure {}

/// Makes the run of a seed.
///
/// # Errors
/// What a checker objects to, a panic, or that the run does not come to rest.
pub fn simulate(seed: u64, options: Options) -> Result<Report, Failure> {
    // Effective for the first run only; all want the same.
    kevy_map::set_seed(0x6b65_7679);
    let mut run = Run::new(seed, options);
    let outcome = run.play();
    outcome.map(|()| run.report()).map_err(|what| Failure { seed, what })
}

/// A shard as its driver sees it.
struct Driver {
    /// In the midst of a turn, suspended.
    busy: bool,
    asleep: bool,
    /// How often it gets to run, compared with the others.
    speed: u32,
    closed: Vec<ConnId>,
}

struct Run {
    random: Random,
    stage: Stage,
    drivers: Vec<Driver>,
    clients: Vec<Client>,
    links: Vec<Link>,
    by_id: BTreeMap<(usize, ConnId), usize>,
    scene: Scene,
    now: Now,
    /// Out of 1000 steps, how many break something.
    faults: usize,
    /// Clients are paused now and then.
    pauses: bool,
    /// The clients send nothing new, and nothing breaks.
    settling: bool,
    suspensions: u64,
    trace: DefaultHasher,
    tell: bool,
}

/// What can happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Resume(usize),
    Turn(usize),
    Send(usize),
    Connect(usize),
    Fetch(usize),
    Land(usize),
    Leave(usize),
    Break(usize),
    Kill(usize),
    Unblock(usize),
    Pause,
    Time,
}

impl Run {
    fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(seed);
        let shards = random.range(1, 4);
        let chance = random.pick(&[0, 32, 128, 128, 220, 256]);
        let settings = Settings {
            ordered_pipelines: options.mutant != Mutant::Unordered,
            compat_version: "0".to_owned(),
            ..Settings::default()
        };
        let world = WorldOptions { shards, settings, ..WorldOptions::default() };
        let stage = Stage::new(world, chance, random.fork());
        let drivers = (0..shards)
            .map(|_| Driver {
                busy: false,
                asleep: false,
                speed: random.pick(&[1, 8, 8, 32]),
                closed: Vec::new(),
            })
            .collect();
        // Long pipelines on few keys make turns in which one store gets more commands than run
        // in one holding.
        let bursts = random.chance(1, 12);
        let keys = if bursts { random.range(1, 3) } else { random.range(1, 8) };
        let scene = Scene::new(&mut random, options.mutant, keys, bursts);
        let clients = clients(&mut random, bursts);
        let faults = random.pick(&[0, 0, 0, 2, 10]);
        // Nothing expires during a pause, so those who look for that would object.
        let pauses = random.chance(1, 8)
            && clients.iter().all(|client: &Client| client.role != Role::Volatile);
        let mut run = Self {
            random,
            stage,
            drivers,
            clients,
            links: Vec::new(),
            by_id: BTreeMap::new(),
            scene,
            now: Now { unix_us: 1_700_000_000_000_000, mono_ns: 1 },
            faults,
            pauses,
            settling: false,
            suspensions: 0,
            trace: DefaultHasher::new(),
            tell: options.trace,
        };
        run.pass_time(0);
        run
    }

    fn play(&mut self) -> Result<(), String> {
        self.work()?;
        if self.random.chance(1, 10) {
            // A shutdown in the midst of work: nothing can be read afterwards.
            return self.shut_down();
        }
        self.settle()?;
        self.audit()?;
        check::check(&self.scene.history)?;
        self.leave_all()?;
        self.shut_down()
    }

    fn report(&self) -> Report {
        let counters = self.stage.world.all_shard_counters();
        Report {
            steps: self.scene.step,
            operations: self.scene.history.ops.len(),
            suspensions: self.suspensions,
            queued: counters.map(|counters| counters.queued_batches.get()).sum(),
            trace: self.trace.finish(),
        }
    }

    // The phases of a run.

    /// The clients do what they came for.
    fn work(&mut self) -> Result<(), String> {
        while self.clients.iter().any(|client| client.left > 0 || !client.waiting.is_empty()) {
            if !self.step()? {
                // Only time can help: a timer.
                self.pass_time(1_000);
            }
            self.look_at_steps()?;
        }
        Ok(())
    }

    /// Everything under way comes to its end, without any help by time.
    fn settle(&mut self) -> Result<(), String> {
        self.settling = true;
        let pause = self.stage.world.paused_until_ms() - self.now.unix_ms();
        if pause > 0 {
            self.pass_time((pause + 1) * 1_000);
        }
        loop {
            while self.step()? {
                self.look_at_steps()?;
            }
            if !self.clients.iter().any(Client::may_wait) {
                break;
            }
            // A command that waits for data ends by time.
            self.pass_time(10_000);
            self.look_at_steps()?;
        }
        for (at, client) in self.clients.iter().enumerate() {
            if let Some(request) = client.waiting.front() {
                let asked: Vec<String> =
                    request.commands.iter().map(|command| crate::ask::show(command)).collect();
                return Err(format!("client {at} waits for ever for {}", asked.join("; ")));
            }
        }
        self.at_rest()
    }

    /// With no request under way, nothing may be under way in the server.
    fn at_rest(&self) -> Result<(), String> {
        if !self.stage.world.is_at_rest() {
            return Err("a store is not at its door, or there is mail".to_owned());
        }
        for at in 0..self.stage.len() {
            if !self.stage.shard(at).is_quiet() {
                return Err(format!("shard {at} still has something under way"));
            }
        }
        Ok(())
    }

    /// Reads everything.
    fn audit(&mut self) -> Result<(), String> {
        self.clients.push(Client::new(Role::Audit, 0, usize::MAX, self.random.fork()));
        self.settling = false;
        let faults = std::mem::take(&mut self.faults);
        self.stage.hurry();
        let auditor = self.clients.len() - 1;
        let shard = self.random.below(self.stage.len());
        self.connect(auditor, shard)?;
        self.clients[auditor].audit(&self.scene);
        while self.clients[auditor].can_send() {
            self.send(auditor);
        }
        self.settle()?;
        self.faults = faults;
        Ok(())
    }

    /// All connections end, in one way or another, except some that a shutdown will find.
    fn leave_all(&mut self) -> Result<(), String> {
        let keep = self.random.chance(1, 4);
        for at in 0..self.links.len() {
            if self.links[at].gone || (keep && self.random.chance(1, 2)) {
                continue;
            }
            match self.random.below(3) {
                0 => self.links[at].break_off(),
                _ => self.leave(at),
            }
        }
        self.settle()?;
        let left = self.links.iter().filter(|link| !link.gone).count();
        let connected = self.stage.world.connected();
        if connected != left {
            return Err(format!("{connected} clients are counted, {left} are there"));
        }
        if !keep && left > 0 {
            return Err(format!("{left} connections were not closed"));
        }
        Ok(())
    }

    /// A graceful shutdown: every shard's thread ends.
    fn shut_down(&mut self) -> Result<(), String> {
        self.settling = true;
        for link in &mut self.links {
            link.may_end = true;
        }
        self.stage.world.stop();
        for _ in 0..2_000 {
            while self.step()? {
                self.look_at_steps()?;
            }
            let finished = (0..self.stage.len()).all(|at| self.stage.shard(at).finished());
            if finished {
                return if self.stage.world.connected() == 0 {
                    self.at_rest()
                } else {
                    Err("clients are left after the shutdown".to_owned())
                };
            }
            self.pass_time(10_000);
        }
        Err("the shutdown does not end".to_owned())
    }

    fn look_at_steps(&self) -> Result<(), String> {
        if self.scene.step < MAX_STEPS { Ok(()) } else { Err("the run does not rest".to_owned()) }
    }

    // Steps.

    /// Chooses what happens next. `false`: nothing can.
    fn step(&mut self) -> Result<bool, String> {
        self.scene.step += 1;
        let (mut steps, mut weights) = (Vec::new(), Vec::new());
        self.choices(|step, weight| {
            steps.push(step);
            weights.push(weight);
        });
        let Some(at) = self.random.weighted(&weights) else { return Ok(false) };
        self.note(format_args!("{:?}", steps[at]));
        self.perform(steps[at])?;
        self.see_who_waits();
        Ok(true)
    }

    /// Notes which clients the server says to wait.
    fn see_who_waits(&mut self) {
        let mut waiting: Option<Vec<_>> = None;
        for client in &self.clients {
            let (Some(link), Some(op)) = (client.link, client.queue_op()) else { continue };
            let known = waiting.get_or_insert_with(|| self.stage.world.clients());
            let id = self.links[link].server_id;
            if known.iter().any(|other| other.id == id && other.waiter().is_some()) {
                self.scene.queue_waits(op);
            }
        }
    }

    fn choices(&self, mut add: impl FnMut(Step, u32)) {
        for (at, driver) in self.drivers.iter().enumerate() {
            if driver.busy {
                add(Step::Resume(at), 3 * driver.speed);
            } else if self.may_start(at) {
                add(Step::Turn(at), 2 * driver.speed);
            }
        }
        for (at, link) in self.links.iter().enumerate().filter(|(_, link)| !link.gone) {
            if link.has_flight() {
                add(Step::Land(at), 12);
            } else if link.wants_output() && !self.drivers[link.shard].busy {
                add(Step::Fetch(at), 12);
            }
        }
        if self.settling {
            return;
        }
        for (at, client) in self.clients.iter().enumerate() {
            if client.can_send() {
                add(Step::Send(at), 12);
            } else if client.link.is_none() && client.left > 0 {
                add(Step::Connect(at), 12);
            }
        }
        self.trouble(&mut add);
        add(Step::Pause, u32::from(self.pauses));
        add(Step::Time, 4);
    }

    /// What clients and networks do to connections.
    fn trouble(&self, add: &mut impl FnMut(Step, u32)) {
        for (at, link) in self.links.iter().enumerate().filter(|(_, link)| !link.gone) {
            if self.clients[link.client].left == 0 && !self.clients[link.client].leaving {
                add(Step::Leave(at), 2);
            }
            if self.faults > 0 && !link.may_end {
                add(Step::Break(at), u32::from(self.faults > 5));
                add(Step::Kill(at), u32::from(self.faults > 5));
            }
            if self.clients[link.client].queue_op().is_some() {
                add(Step::Unblock(at), 1);
            }
        }
    }

    fn may_start(&self, at: usize) -> bool {
        let driver = &self.drivers[at];
        let timer = || match self.stage.shard(at).wait() {
            Wait::Now => true,
            Wait::Until(at) => at <= self.now.mono_ns,
            Wait::Forever => false,
        };
        let arrivals = || self.links.iter().any(|link| link.shard == at && link.has_arrivals());
        !driver.asleep
            || self.stage.woken[at].is_set()
            || !driver.closed.is_empty()
            || arrivals()
            || timer()
    }

    fn perform(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Resume(at) => {
                let stop = self.stage.resume(at);
                self.stopped(at, stop)
            }
            Step::Turn(at) => self.turn(at),
            Step::Send(at) => {
                self.send(at);
                Ok(())
            }
            Step::Connect(client) => {
                let shard = self.random.below(self.stage.len());
                if self.drivers[shard].busy { Ok(()) } else { self.connect(client, shard) }
            }
            Step::Fetch(at) => {
                self.fetch(at);
                Ok(())
            }
            Step::Land(at) => self.land(at),
            Step::Leave(at) => {
                self.leave(at);
                Ok(())
            }
            Step::Break(at) => {
                self.links[at].break_off();
                Ok(())
            }
            Step::Kill(at) => {
                self.kill(at);
                Ok(())
            }
            Step::Unblock(at) => {
                self.unblock(at);
                Ok(())
            }
            Step::Pause => {
                self.pause();
                Ok(())
            }
            Step::Time => {
                let us = self.random.pick(&[10, 1_000, 1_000, 10_000, 150_000]);
                self.pass_time(us);
                Ok(())
            }
        }
    }

    /// Ends the waiting of a client, if the server says that it waits.
    fn unblock(&mut self, at: usize) {
        let Some(op) = self.clients[self.links[at].client].queue_op() else { return };
        let is_its_own = self.scene.history.queue[op].waited.is_some();
        if is_its_own && self.stage.world.unblock(self.links[at].server_id, false) {
            self.scene.history.queue[op].unblocked = true;
        }
    }

    fn pause(&mut self) {
        let until = self.now.unix_ms() + self.random.range(1, 40) as i64;
        self.stage.world.pause(until, self.random.chance(1, 2), self.now.unix_ms());
    }

    fn pass_time(&mut self, us: i64) {
        self.now.unix_us += us;
        self.now.mono_ns += us as u64 * 1_000;
        self.scene.now_ms = self.now.unix_ms();
    }

    fn send(&mut self, client: usize) {
        let bytes = self.clients[client].send(&mut self.scene);
        self.trace.write(&bytes);
        self.note(format_args!("{} bytes", bytes.len()));
        if let Some(link) = self.clients[client].link {
            self.links[link].send(&bytes);
        }
    }

    fn connect(&mut self, client: usize, shard: usize) -> Result<(), String> {
        let address = PeerAddress::Unix("/simulation".into());
        let connected = self.stage.shard(shard).connect(Peer { address, fd: 3 });
        let id = connected.map_err(|words| String::from_utf8_lossy(&words).into_owned())?;
        let server_id = self.stage.world.clients().last().map_or(0, |client| client.id);
        let link = self.links.len();
        self.links.push(Link::new(shard, id, client, server_id));
        self.by_id.insert((shard, id), link);
        self.clients[client].connected(link);
        Ok(())
    }

    /// A client ends its connection properly.
    fn leave(&mut self, at: usize) {
        let client = &mut self.clients[self.links[at].client];
        if client.waiting.is_empty() && self.random.chance(1, 3) {
            let bytes = client.quit(&self.scene);
            self.links[at].send(&bytes);
            self.links[at].may_end = true;
        } else {
            client.leaving = true;
            self.links[at].half_closed = true;
            // Who hangs up while a command waits gets no answer.
            self.links[at].may_end |= client.may_wait();
        }
    }

    fn kill(&mut self, at: usize) {
        let link = &mut self.links[at];
        let clients = self.stage.world.clients();
        if let Some(client) = clients.iter().find(|client| client.id == link.server_id) {
            link.may_end = true;
            self.stage.world.kill(client);
        }
    }

    fn turn(&mut self, at: usize) -> Result<(), String> {
        if self.drivers[at].asleep {
            self.drivers[at].asleep = false;
            self.stage.woken[at].clear();
            self.stage.shard(at).after_sleep();
        }
        let mut order: Vec<usize> =
            (0..self.links.len()).filter(|&link| self.links[link].shard == at).collect();
        self.random.shuffle(&mut order);
        let mut arrivals = Vec::new();
        for link in order {
            if self.settling || self.random.chance(3, 4) {
                self.links[link].arrivals(&mut self.random, self.settling, &mut arrivals);
            }
        }
        self.note(format_args!("{arrivals:?}"));
        let closed = std::mem::take(&mut self.drivers[at].closed);
        let stop = self.stage.start(at, Job { closed, now: self.now, arrivals });
        self.stopped(at, stop)
    }

    /// A shard has stopped: in the midst of a turn or behind it.
    fn stopped(&mut self, at: usize, stop: Stop) -> Result<(), String> {
        match stop {
            Stop::At(moment) => {
                self.note(format_args!("{moment:?}"));
                self.suspensions += 1;
                self.drivers[at].busy = true;
                Ok(())
            }
            Stop::Panicked(words) => Err(format!("shard {at} panicked: {words}")),
            Stop::Done(actions) => {
                self.drivers[at].busy = false;
                self.note(format_args!("{actions:?}"));
                self.act(at, &actions)?;
                self.maybe_sleep(at);
                Ok(())
            }
        }
    }

    fn act(&mut self, shard: usize, actions: &[Action]) -> Result<(), String> {
        for (at, &action) in actions.iter().enumerate() {
            let id = target(action);
            if actions[..at].contains(&action) {
                return Err(format!("asked twice for {action:?}"));
            }
            let aborted = actions[..at].contains(&Action::Abort(id));
            let Some(&link) = self.by_id.get(&(shard, id)).filter(|_| !aborted) else {
                return Err(format!("{action:?} on a connection that is gone"));
            };
            self.links[link].apply(action);
            self.look_at_end(link)?;
        }
        Ok(())
    }

    fn maybe_sleep(&mut self, at: usize) {
        let mut shard = self.stage.shard(at);
        if shard.wait() != Wait::Now && self.random.chance(3, 4) {
            self.stage.woken[at].clear();
            self.drivers[at].asleep = shard.before_sleep();
        }
    }

    fn fetch(&mut self, at: usize) {
        let link = &mut self.links[at];
        let mut output = Output::new();
        self.stage.shard(link.shard).take_output(link.id, &mut output);
        let bytes = output.to_vec();
        self.trace.write(&bytes);
        link.fill(bytes);
        if link.gone {
            // Whoever waits for replies has been told so before: see `look_at_end`.
            let _ = self.look_at_end(at);
        }
    }

    fn land(&mut self, at: usize) -> Result<(), String> {
        let bytes = self.links[at].land(&mut self.random, self.settling);
        let client = self.links[at].client;
        let received = self.clients[client].receive(&bytes, &mut self.scene);
        received.map_err(|why| format!("link {at}: {why}"))
    }

    /// If a connection has ended, its client and its shard learn of it.
    fn look_at_end(&mut self, at: usize) -> Result<(), String> {
        let link = &self.links[at];
        let Some(_) = self.by_id.get(&(link.shard, link.id)).filter(|_| link.gone) else {
            return Ok(());
        };
        self.by_id.remove(&(link.shard, link.id));
        self.drivers[link.shard].closed.push(link.id);
        let client = &mut self.clients[link.client];
        let early = !client.waiting.is_empty() && !link.may_end;
        let leaving = client.leaving;
        client.lost(&mut self.scene);
        if early || (!leaving && !link.may_end) {
            return Err(format!("link {at} was closed before its client was done"));
        }
        Ok(())
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        // The hash as a whole cannot fail to be written to.
        let _ = std::fmt::write(&mut Trace(&mut self.trace), what);
        if self.tell {
            tell(&format!("{:>6} {what}", self.scene.step));
        }
    }
}

/// Hashes what is written.
struct Trace<'a>(&'a mut DefaultHasher);

impl std::fmt::Write for Trace<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[expect(clippy::print_stderr, reason = "asked for, to follow a run")]
fn tell(text: &str) {
    let cut = text.char_indices().nth(400).map_or(text.len(), |(at, _)| at);
    eprintln!("{}", &text[..cut]);
}

fn target(action: Action) -> ConnId {
    match action {
        Action::Send(id)
        | Action::PauseReceive(id)
        | Action::ResumeReceive(id)
        | Action::Close(id)
        | Action::Abort(id) => id,
    }
}

/// The clients of a run.
fn clients(random: &mut Random, bursts: bool) -> Vec<Client> {
    let roles = [
        Role::Single,
        Role::Lists,
        Role::Lists,
        Role::Lists,
        Role::Watches,
        Role::Watches,
        Role::Register,
        Role::Register,
        Role::Volatile,
        Role::Queues,
        Role::Queues,
        Role::Queues,
    ];
    let (count, requests) = (random.range(2, 6), random.range(3, 30));
    let (requests, depth) =
        if bursts { (requests + 300, 600) } else { (requests, random.range(1, 12)) };
    // Several clients that wait for the same key are rare otherwise.
    let queues = !bursts && random.chance(1, 5);
    let mut clients: Vec<Client> = (0..count)
        .map(|_| {
            let single = bursts && random.chance(2, 3);
            let role = match (single, queues) {
                (true, _) => Role::Single,
                (_, true) => Role::Queues,
                _ => random.pick(&roles),
            };
            Client::new(role, requests, depth, random.fork())
        })
        .collect();
    if random.chance(1, 6) {
        clients.push(Client::new(Role::Switch, requests.min(20), 1, random.fork()));
    }
    clients
}
