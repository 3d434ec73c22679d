//! Reading commands out of what a connection sent, and admitting them to the round.

use crate::conn::{Body, Conn, Life};
use crate::gates::{self, House, Refused, Way};
use crate::round::{CHUNK_ITEMS, Round, Why};
use crate::run::Runner;
use crate::work::{Caller, Item, Job, OwnBytes, Piece, StoreSet};
use crate::world::Paused;
use kevy_command::session::{Queued, ReplyMode, Transaction};
use kevy_command::{After, Args, Flags, Found, Multi, PlacedKey, Reply, Run, Session, Table};
use kevy_data::BlobBuilder;
use kevy_keyspace::Placement;
use kevy_resp::{Limits, Mark, Need, Span, Step};
use std::sync::atomic::Ordering;

/// A last argument of at least this many bytes is received straight into its allocation.
pub(crate) const BODY_FROM: usize = 16 << 10;

/// Longest pieces of an argument that a refusal to allocate is reported for.
const NO_MEMORY: &str = "ERR Protocol error: out of memory for an argument";

/// What became of a command.
enum Next {
    /// It was admitted, refused or answered: the next one may come.
    More,
    /// It has not been looked at: it must wait.
    Wait(Why),
    /// It was the last one.
    Last(Why),
}

/// Where a command's arguments are.
struct Words<'a> {
    bytes: &'a [u8],
    /// Where its spans begin in the round's material.
    first: usize,
    own: Option<Box<OwnBytes>>,
}

impl Words<'_> {
    /// Its bytes, and its last argument if that was received on its own.
    fn parts(&self) -> (&[u8], Option<&kevy_data::Blob>) {
        match &self.own {
            Some(own) => (&own.bytes, own.blob.as_ref()),
            None => (self.bytes, None),
        }
    }

    /// The arguments of the command.
    #[inline]
    fn args<'a>(&'a self, spans: &'a [Span], placement: Placement) -> Args<'a> {
        let (bytes, blob) = self.parts();
        Args::new(bytes, &spans[self.first..], blob, &[], placement)
    }
}

/// Admits commands from `bytes` on, until none is complete or one has to wait. Gives how many of
/// the bytes have been used, and why it ended.
pub(crate) fn admit(
    runner: &mut Runner<'_>,
    conn: &mut Conn,
    round: &mut Round,
    bytes: &[u8],
    from: usize,
    paused: Paused,
) -> (usize, Why) {
    let mut at = from;
    let mut parsed = 0;
    // The password may have been taken away since the client connected.
    conn.session.authenticated |= runner.settings.password.is_none();
    if let Some(body) = conn.input.body.take_if(|body| body.value.remaining() == 0 && body.end == 0)
    {
        match admit_body(runner, conn, round, body, paused) {
            Next::More => {}
            Next::Wait(why) | Next::Last(why) => return (at, why),
        }
    }
    loop {
        if parsed >= CHUNK_ITEMS {
            return (at, Why::GoOn);
        }
        parsed += 1;
        let limits = match conn.session.authenticated {
            true => Limits::authenticated(runner.settings.max_bulk as i64),
            false => Limits::unauthenticated(),
        };
        let first = round.material.spans.len();
        let step = conn.input.parser.parse(bytes, at, &limits, &mut round.material.spans);
        let (end, own) = match step {
            Ok(Step::Command { end }) => (end, None),
            Ok(Step::Quoted { end, args }) => {
                round.material.spans.extend_from_slice(&args.args);
                (end, Some(Box::new(OwnBytes { bytes: args.bytes, blob: None })))
            }
            Ok(Step::Skip { end }) => {
                at = end;
                continue;
            }
            Ok(Step::Incomplete(need)) => return begin_body(conn, round, bytes, at, need),
            Err(error) => {
                say(round, conn, |reply| reply.error(error.text()));
                runner.counters.error("ERR");
                conn.life = Life::Closing;
                return (bytes.len(), Why::Closed);
            }
        };
        match admit_one(runner, conn, round, Words { bytes, first, own }, paused) {
            Next::More => at = end,
            Next::Wait(why) => {
                round.material.spans.truncate(first);
                return (at, why);
            }
            Next::Last(why) => return (end, why),
        }
    }
}

/// If what is missing is a large last argument, prepares its destination.
fn begin_body(
    conn: &mut Conn,
    round: &mut Round,
    bytes: &[u8],
    at: usize,
    need: Need,
) -> (usize, Why) {
    let Need::Tail { start, len, .. } = need else { return (at, Why::Drained) };
    if len < BODY_FROM || !conn.session.authenticated {
        return (at, Why::Drained);
    }
    let Ok(value) = BlobBuilder::with_capacity(len) else {
        say(round, conn, |reply| reply.error(NO_MEMORY));
        conn.life = Life::Closing;
        return (bytes.len(), Why::Closed);
    };
    let mut body = Body { head: Vec::new(), spans: Vec::new(), value, end: 2 };
    for span in conn.input.parser.pending() {
        let start = body.head.len() as u32;
        let from = at + span.start as usize;
        body.head.extend_from_slice(&bytes[from..from + span.len as usize]);
        body.spans.push(Span { start, len: span.len });
    }
    conn.input.parser.reset();
    match body.take(&bytes[start.min(bytes.len())..]) {
        Ok((taken, _)) => {
            conn.input.body = Some(Box::new(body));
            (start.min(bytes.len()) + taken, Why::Drained)
        }
        Err(_) => {
            say(round, conn, |reply| reply.error(NO_MEMORY));
            conn.life = Life::Closing;
            (bytes.len(), Why::Closed)
        }
    }
}

/// Admits a command whose last argument was received on its own.
fn admit_body(
    runner: &mut Runner<'_>,
    conn: &mut Conn,
    round: &mut Round,
    body: Box<Body>,
    paused: Paused,
) -> Next {
    if paused != Paused::Nothing {
        conn.input.body = Some(body);
        return Next::Wait(Why::Paused(paused));
    }
    let first = round.material.spans.len();
    let (own, spans) = (*body).finish();
    round.material.spans.extend_from_slice(&spans);
    let words = Words { bytes: &[], first, own: Some(Box::new(own)) };
    admit_one(runner, conn, round, words, paused)
}

/// Admits one command, whose spans are the last of the round's material.
#[inline]
fn admit_one(
    runner: &mut Runner<'_>,
    conn: &mut Conn,
    round: &mut Round,
    words: Words<'_>,
    paused: Paused,
) -> Next {
    let args = words.args(&round.material.spans, runner.world.placement);
    if paused != Paused::Nothing && waits_for_pause(paused, runner.table, &args, &conn.session) {
        return Next::Wait(Why::Paused(paused));
    }
    let house = House { settings: runner.settings, table: runner.table, full: runner.full };
    let admitted = gates::admit(&mut conn.session, &house, &args);
    let (found, way) = match admitted {
        Ok(admitted) => admitted,
        Err(refused) if refused.cut => {
            conn.life = Life::Closing;
            return Next::Last(Why::Closed);
        }
        Err(refused) => {
            advance_reply_mode(&mut conn.session);
            refuse(runner, conn, round, refused);
            unwatch(round, conn, runner);
            return Next::More;
        }
    };
    if let Way::Run = way
        && waits_for_work(found, &conn.session)
        && round.has_work()
    {
        return Next::Wait(Why::GoOn);
    }
    advance_reply_mode(&mut conn.session);
    conn.session.client.last_command.store(found.id.0.into(), Ordering::Relaxed);
    if let Way::Queue = way {
        if !queue(conn, found, &args) {
            conn.life = Life::Closing;
            return Next::Last(Why::Closed);
        }
        say(round, conn, |reply| reply.simple("QUEUED"));
        return Next::More;
    }
    match found.row.run {
        Run::Keys(_) | Run::AllStores(_) | Run::Reach(..) | Run::Walk(..) => {
            push_call(round, conn, runner, found, words);
            Next::More
        }
        Run::Blocking(_) => {
            push_call(round, conn, runner, found, words);
            // What comes behind it waits with it.
            Next::Last(Why::GoOn)
        }
        Run::Session(prepare, _) => match prepare(&mut conn.session, &args) {
            Ok(()) => {
                push_call(round, conn, runner, found, words);
                // A read that was sent after a watch must not run before it: what it saw would
                // not be what the watch protects.
                Next::Last(Why::GoOn)
            }
            Err(error) => {
                refuse(runner, conn, round, Refused::of(found, error));
                Next::More
            }
        },
        Run::Connection(handler) | Run::Server(handler) => {
            let begin = round.scratch.mark();
            let mut reply = Reply::new(&mut round.scratch, conn.session.proto);
            let session = &mut conn.session;
            let after = runner.call_session(handler, found, session, args, &mut reply);
            said(round, conn, begin);
            unwatch(round, conn, runner);
            go_by(conn, after)
        }
        Run::Transaction(handler) => match handler(&mut conn.session) {
            Ok(transaction) => push_transaction(round, conn, runner, found, transaction),
            Err(error) => {
                refuse(runner, conn, round, Refused::of(found, error));
                unwatch(round, conn, runner);
                Next::More
            }
        },
        // The table resolves containers to their subcommands.
        Run::Container(_) => Next::More,
    }
}

/// What a command without stores asks of the runtime.
fn go_by(conn: &mut Conn, after: Result<After, ()>) -> Next {
    match after {
        Ok(After::Close) => {
            conn.life = Life::Closing;
            Next::Last(Why::Closed)
        }
        Ok(After::Barrier) => Next::Last(Why::Barrier),
        Ok(After::Continue) | Err(()) => Next::More,
    }
}

/// Answers a refused command and counts it.
fn refuse(runner: &Runner<'_>, conn: &Conn, round: &mut Round, refused: Refused) {
    let Refused { error, found, .. } = refused;
    runner.counters.error(error.code());
    if let Some(found) = found {
        runner.counters.command(found.id).rejected.add(1);
    }
    say(round, conn, |reply| reply.error(error.text()));
}

/// Whether a command has to wait until all earlier ones of its connection have run: those on the
/// server's state, and transactions that touch the session.
#[inline]
fn waits_for_work(found: Found, session: &Session) -> bool {
    match (found.row.run, &session.multi) {
        (Run::Server(_), _) => true,
        (Run::Transaction(_), Multi::Queueing(queue)) => touches_session(&queue.meta),
        _ => false,
    }
}

/// Whether commands of a transaction need the client's session.
pub(crate) fn touches_session(queue: &[Queued]) -> bool {
    queue.iter().any(|queued| matches!(queued.found.row.run, Run::Connection(_) | Run::Server(_)))
}

/// Whether `CLIENT PAUSE` holds this command back, as in Redis. Asked before the gates, which
/// must see a command once only: a refusal may end the transaction.
fn waits_for_pause(paused: Paused, table: &Table, args: &Args<'_>, session: &Session) -> bool {
    let writes = Flags::WRITE.union(Flags::MAY_REPLICATE);
    let Ok(found) = table.find(args) else { return paused == Paused::All };
    match paused {
        Paused::Nothing => false,
        Paused::All => true,
        Paused::Writes => match (&session.multi, found.row.run) {
            (Multi::Queueing(queue), Run::Transaction(_)) => {
                queue.meta.iter().any(|queued| queued.found.row.flags.intersects(writes))
            }
            _ => found.row.flags.intersects(writes),
        },
    }
}

/// Steps `CLIENT REPLY SKIP` on by one command.
fn advance_reply_mode(session: &mut Session) {
    session.reply_mode = match session.reply_mode {
        ReplyMode::SkipNext => ReplyMode::Skip,
        ReplyMode::Skip => ReplyMode::On,
        mode => mode,
    };
}

fn caller(conn: &Conn) -> Caller {
    Caller {
        conn: conn.id,
        client: conn.session.client.id,
        db: conn.session.db,
        proto: conn.session.proto,
        no_touch: conn.session.no_touch,
        silent: conn.session.reply_mode != ReplyMode::On,
    }
}

/// Answers a command at once, in its place among the replies.
fn say(round: &mut Round, conn: &Conn, write: impl FnOnce(&mut Reply<'_>)) {
    let begin = round.scratch.mark();
    write(&mut Reply::new(&mut round.scratch, conn.session.proto));
    said(round, conn, begin);
}

/// Files what was written to the scratch since `begin` as the reply of a command.
fn said(round: &mut Round, conn: &Conn, begin: Mark) {
    if conn.session.reply_mode != ReplyMode::On {
        round.scratch.rewind(begin);
        return;
    }
    let reply = (begin, round.scratch.mark());
    round.items.push(Item { reply, ..Item::new(Job::Said, caller(conn), StoreSet::None) });
}

/// Queues a command for `EXEC`. `false`: the queue is as long as a queue can be.
fn queue(conn: &mut Conn, found: Found, args: &Args<'_>) -> bool {
    let Multi::Queueing(queue) = &mut conn.session.multi else { return false };
    if !queue.list.push_args(args) {
        return false;
    }
    queue.meta.push(Queued { found });
    true
}

/// Plans a call over stores.
#[inline]
fn push_call(round: &mut Round, conn: &Conn, runner: &Runner<'_>, found: Found, words: Words<'_>) {
    let placement = runner.world.placement;
    let material = &mut round.material;
    let spans = Piece::since(words.first, material.spans.len());
    let args = words.args(&material.spans, placement);
    let first_key = material.keys.len();
    let first_store = round.stores.len();
    place(found, &args, &mut material.keys);
    let keys = Piece::since(first_key, material.keys.len());
    let all = found.row.run.needs_all_stores(&args);
    let several = all || material.keys.len() - first_key > 1;
    let stores = match (found.row.run, &material.keys[first_key..]) {
        _ if all => {
            round.stores.extend(0..placement.stores());
            round.store_set(first_store)
        }
        (Run::Walk(store, _), _) => StoreSet::One(store(&args, placement) % placement.stores()),
        (_, [key]) => StoreSet::One(key.store),
        // A call without keys that is one only by its errors, or of a command whose keys are not
        // where its row says: any store will do.
        (_, []) => StoreSet::One(0),
        (_, keys) => {
            round.stores.extend(keys.iter().map(|key| key.store));
            round.store_set(first_store)
        }
    };
    round.items.push(Item {
        spans,
        keys,
        own: words.own,
        writes: found.row.flags.contains(Flags::WRITE),
        several,
        ..Item::new(Job::Call(found), caller(conn), stores)
    });
}

/// Hashes the keys of a call.
#[inline]
fn place(found: Found, args: &Args<'_>, keys: &mut Vec<PlacedKey>) {
    let placement = args.placement();
    found.row.each_key(args, |at, _| {
        if let Some(bytes) = args.get(at) {
            let key = placement.key(bytes);
            keys.push(PlacedKey { arg: at as u32, store: key.store, hash: key.hash });
        }
    });
}

/// Plans a transaction over the stores of all its commands and of the keys watched.
fn push_transaction(
    round: &mut Round,
    conn: &Conn,
    runner: &Runner<'_>,
    found: Found,
    transaction: Transaction,
) -> Next {
    let placement = runner.world.placement;
    let ends_chunk = touches_session(&transaction.queue.meta);
    let is_server = |queued: &Queued| matches!(queued.found.row.run, Run::Server(_));
    let changes_server = transaction.queue.meta.iter().any(is_server);
    let first = round.stores.len();
    round.stores.extend(transaction.watched.iter().map(|w| placement.key(&w.key).store));
    let mut writes = false;
    for (at, queued) in transaction.queue.meta.iter().enumerate() {
        let args = transaction.queue.list.args(at, placement);
        writes |= queued.found.row.flags.contains(Flags::WRITE);
        match queued.found.row.run {
            run if run.needs_all_stores(&args) => round.stores.extend(0..placement.stores()),
            Run::Walk(store, _) => round.stores.push(store(&args, placement) % placement.stores()),
            Run::Keys(_)
            | Run::AllStores(_)
            | Run::Reach(..)
            | Run::Session(..)
            | Run::Blocking(_) => {
                let stores = &mut round.stores;
                let before = stores.len();
                queued.found.row.each_key(&args, |at, _| {
                    stores.extend(args.get(at).map(|key| placement.key(key).store));
                });
                if stores.len() == before {
                    stores.push(0);
                }
            }
            Run::Connection(_) | Run::Server(_) | Run::Transaction(_) | Run::Container(_) => {}
        }
    }
    if round.stores.len() == first {
        // Nothing of it needs a store; taking one keeps a single way of running.
        round.stores.push(0);
    }
    let stores = round.store_set(first);
    let job = Job::Transaction(found, Box::new(transaction));
    round.items.push(Item { writes, several: true, ..Item::new(job, caller(conn), stores) });
    // What comes behind it depends on what it does to the session.
    match (ends_chunk, changes_server) {
        (_, true) => Next::Last(Why::Barrier),
        (true, false) => Next::Last(Why::GoOn),
        (false, false) => Next::More,
    }
}

/// Plans the release of keys that the session no longer watches.
fn unwatch(round: &mut Round, conn: &mut Conn, runner: &Runner<'_>) {
    if conn.session.unwatched.is_empty() {
        return;
    }
    let first = round.stores.len();
    let placement = runner.world.placement;
    let keys = conn.session.unwatched.drain(..);
    round.stores.extend(keys.map(|watched| placement.key(&watched.key).store));
    let stores = round.store_set(first);
    let caller = Caller { silent: true, ..caller(conn) };
    round.items.push(Item::new(Job::Unwatch, caller, stores));
}
