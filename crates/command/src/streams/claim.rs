//! Taking over what is pending for others.

use super::{GroupLog, id, no_key_or_group, range_start, write_entry, write_id};
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::stream::{ConsumerId, Entries, Group as StreamGroup, Pending, StreamId};
use kevy_data::{Change, Stream};
use kevy_keyspace::{Key, Keyspace};

pub(super) const XCLAIM: Row = Row {
    name: "xclaim",
    arity: -6,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::UPDATE))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Makes given entries pending for another consumer, if they have been for long.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(log N) for each entry, where N is the number of entries pending",
        syntax: "key group consumer min-idle-time:integer id [id ...] [IDLE ms:integer] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID last-id]",
    },
    run: Run::Keys(xclaim),
};
fn xclaim(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, group, consumer) = (args.key()?, args.bytes()?, args.bytes()?);
    find_group(ks, &key, group)?;
    let terms = Terms::read(&mut args, ks.now_ms())?;
    claiming(ks, &key, group, consumer, |claim| {
        let mut moved = false;
        if terms.last_id > claim.group.last_id {
            claim.group.last_id = terms.last_id;
            moved = true;
        }
        let (mark, mut count) = (reply.mark(), 0);
        for &id in &terms.ids {
            let logged = claim.log.frames.len();
            if let Some(pending) = terms.claimed(claim, id)
                && claim.take(id, pending)
            {
                count += 1;
                write_claimed(reply, claim.entries, id, terms.just_id);
            }
            // A claim in the log says the last id too.
            moved &= claim.log.frames.len() == logged;
        }
        if moved && claim.log.set_id(claim.group.last_id, claim.group.entries_read) {
            claim.changes += 1;
        }
        reply.array_at(mark, count);
    })
}

/// The group must exist.
fn find_group(ks: &mut Keyspace<'_>, key: &Key<'_>, group: &[u8]) -> Result<(), Error> {
    let stream = ks.look::<Stream>(key)?;
    match stream.and_then(|stream| stream.groups().get(group)) {
        Some(_) => Ok(()),
        None => Err(no_key_or_group(key.bytes, group)),
    }
}

/// An entry that was taken over, or its id alone.
fn write_claimed(reply: &mut Reply<'_>, entries: &Entries, id: StreamId, just_id: bool) {
    match entries.get(id) {
        Some(entry) if !just_id => write_entry(reply, entry),
        _ => write_id(reply, id),
    }
}

/// What `XCLAIM` is to take over, and how.
struct Terms {
    min_idle_ms: i64,
    ids: Vec<StreamId>,
    /// When the entries are to have been delivered.
    delivered_ms: i64,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
    now_ms: i64,
}

impl Terms {
    fn read(args: &mut Args<'_>, now_ms: i64) -> Result<Self, Error> {
        let min_idle_ms = number(args, "min-idle-time argument")?.max(0);
        let mut terms = Self {
            min_idle_ms,
            ids: Vec::with_capacity(args.remaining()),
            delivered_ms: now_ms,
            retry_count: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
            now_ms,
        };
        // Ids end where the options begin.
        while let Some(id) = args.peek().and_then(|text| StreamId::parse(text, 0)) {
            terms.ids.push(id);
            args.seek(args.position() + 1);
        }
        while let Some(option) = args.peek() {
            terms.option(args, option)?;
        }
        Ok(terms)
    }

    fn option(&mut self, args: &mut Args<'_>, option: &[u8]) -> Result<(), Error> {
        let more = args.remaining() > 1;
        if args.option("FORCE") {
            self.force = true;
        } else if args.option("JUSTID") {
            self.just_id = true;
        } else if more && args.option("IDLE") {
            let idle = number(args, "IDLE option argument")?;
            self.deliver_at(self.now_ms.checked_sub(idle).unwrap_or(-1));
        } else if more && args.option("TIME") {
            let time = number(args, "TIME option argument")?;
            self.deliver_at(time);
        } else if more && args.option("RETRYCOUNT") {
            self.retry_count = u64::try_from(number(args, "RETRYCOUNT option argument")?).ok();
        } else if more && args.option("LASTID") {
            self.last_id = id(args.bytes()?)?;
        } else {
            return Err(Error::quoting("ERR Unrecognized XCLAIM option '", option, "'"));
        }
        Ok(())
    }

    /// Clients may compute times badly: those that make no sense are the present. While a log is
    /// replayed there is no present time, and what it says makes sense.
    fn deliver_at(&mut self, time_ms: i64) {
        let sensible = time_ms >= 0 && (time_ms <= self.now_ms || self.now_ms < 0);
        self.delivered_ms = if sensible { time_ms } else { self.now_ms };
    }

    /// What is to be known of this entry when it was taken over; none if it is not to be.
    fn claimed(&self, claim: &mut Claim<'_>, id: StreamId) -> Option<Pending> {
        let before = claim.pending_of_existing(id)?;
        let deliveries = match before {
            None if !self.force => return None,
            None => 1,
            Some(before) if !is_idle(before, self.min_idle_ms, self.now_ms) => return None,
            Some(before) => before.deliveries,
        };
        let deliveries = match self.retry_count {
            Some(count) => count,
            None if self.just_id => deliveries,
            None => deliveries.saturating_add(1),
        };
        Some(Pending { delivered_ms: self.delivered_ms, deliveries, consumer: claim.consumer })
    }
}

fn is_idle(pending: Pending, min_idle_ms: i64, now_ms: i64) -> bool {
    min_idle_ms == 0 || now_ms.saturating_sub(pending.delivered_ms) >= min_idle_ms
}

fn number(args: &mut Args<'_>, what: &str) -> Result<i64, Error> {
    args.int().map_err(|_| Error::owned(format!("ERR Invalid {what} for XCLAIM")))
}

/// A group in which entries are taken over for a consumer.
struct Claim<'a> {
    entries: &'a Entries,
    group: &'a mut StreamGroup,
    consumer: ConsumerId,
    name: &'a [u8],
    now_ms: i64,
    log: GroupLog<'a>,
    changes: u32,
}

impl Claim<'_> {
    /// What is known of a pending entry; `None`: it does not exist in the stream, and is not
    /// pending any more.
    fn pending_of_existing(&mut self, id: StreamId) -> Option<Option<Pending>> {
        let pending = self.group.pending(id).copied();
        if self.entries.contains(id) {
            return Some(pending);
        }
        if let Some(pending) = pending {
            // Replayed, this ends that it is pending as well: the entry is not there.
            let owner = self.group.consumer(pending.consumer).name();
            if self.log.claim(id, owner, &pending, self.group.last_id) {
                self.group.remove_pending(id);
                self.changes += 1;
            }
        }
        None
    }

    /// Takes an entry over. `false`: there is no room in the log.
    fn take(&mut self, id: StreamId, pending: Pending) -> bool {
        if !self.log.claim(id, self.name, &pending, self.group.last_id) {
            return false;
        }
        self.group.set_pending(id, pending);
        self.group.saw(self.consumer, self.now_ms, true);
        self.changes += 1;
        true
    }
}

/// Takes over entries of a group that exists.
fn claiming(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    group: &[u8],
    name: &[u8],
    run: impl FnOnce(&mut Claim<'_>),
) -> Result<Effect, Error> {
    let now_ms = ks.now_ms();
    let mut frames = CommandList::new();
    let updated = ks.update_existing::<Stream, _>(key, |stream| {
        let (entries, groups) = stream.parts_mut();
        let Some(mut of) = groups.get_mut(group) else { return Change::Unchanged((false, 0)) };
        let (consumer, created) = of.consumer_or_create(name, now_ms);
        of.saw(consumer, now_ms, false);
        let mut log = GroupLog { key: key.bytes, group, frames: &mut frames };
        if created {
            let logged = log.create_consumer(name);
            debug_assert!(logged, "it is the first");
        }
        let group = &mut *of;
        let mut claim = Claim { entries, group, consumer, name, now_ms, log, changes: 0 };
        run(&mut claim);
        let changes = claim.changes + u32::from(created);
        Change::when(changes > 0, (created, changes))
    })?;
    let Some((created, changes)) = updated.map(|updated| updated.result) else {
        return Err(no_key_or_group(key.bytes, group));
    };
    let logged = match changes {
        0 => Logged::Nothing,
        _ => Logged::Frames(Box::new(frames)),
    };
    let effect = Effect { changes, logged, ..Effect::none() };
    Ok(match created {
        true => effect.event(EventClass::Stream, "xgroup-createconsumer", 1),
        false => effect,
    })
}

pub(super) const XAUTOCLAIM: Row = Row {
    name: "xautoclaim",
    arity: -6,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::STREAM,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::DELETE))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Makes entries pending for another consumer, those that have been for long.",
        since: "6.2.0",
        group: Group::Stream,
        complexity: "O(N) where N is the count",
        syntax: "key group consumer min-idle-time:integer start:string [COUNT count] [JUSTID]",
    },
    run: Run::Keys(xautoclaim),
};
fn xautoclaim(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let (key, group, consumer) = (args.key()?, args.bytes()?, args.bytes()?);
    let min_idle_ms = args
        .int()
        .map_err(|_| Error::new("ERR Invalid min-idle-time argument for XAUTOCLAIM"))?
        .max(0);
    let start = range_start(args.bytes()?)?;
    let (mut count, mut just_id) = (100, false);
    while !args.at_end() {
        if args.remaining() > 1 && args.option("COUNT") {
            count = auto_count(&mut args)?;
        } else if args.option("JUSTID") {
            just_id = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    find_group(ks, &key, group)?;
    claiming(ks, &key, group, consumer, |claim| {
        reply.array(3);
        let mark = reply.mark();
        let sweep = Sweep { min_idle_ms, start, count, just_id };
        sweep.run(claim, reply, mark);
    })
}

/// How many entries are looked at for each that may be returned.
const ATTEMPTS: usize = 10;

fn auto_count(args: &mut Args<'_>) -> Result<usize, Error> {
    const WRONG: Error = Error::new("ERR COUNT must be > 0");
    // As many as `LONG_MAX` bytes could hold ids of.
    let max = i64::MAX / size_of::<StreamId>() as i64;
    match args.int() {
        Ok(count) if (1..=max).contains(&count) => usize::try_from(count).map_err(|_| WRONG),
        _ => Err(WRONG),
    }
}

/// A walk over what is pending.
struct Sweep {
    min_idle_ms: i64,
    start: StreamId,
    count: usize,
    just_id: bool,
}

impl Sweep {
    /// Writes where to go on, what was taken over, and the ids of what does not exist any more.
    fn run(&self, claim: &mut Claim<'_>, reply: &mut Reply<'_>, mark: kevy_resp::Mark) {
        let (mut claimed, mut deleted) = (0, Vec::new());
        let mut next = Some(self.start);
        let mut attempts = self.count.saturating_mul(ATTEMPTS);
        let mut going_on = StreamId::MIN;
        while let Some(id) = next.and_then(|from| first_pending(claim.group, from)) {
            if attempts == 0 || claimed + deleted.len() == self.count {
                going_on = id;
                break;
            }
            attempts -= 1;
            next = id.next();
            let pending = match claim.pending_of_existing(id) {
                None => {
                    deleted.push(id);
                    continue;
                }
                Some(pending) => pending,
            };
            let Some(before) = pending.filter(|&p| is_idle(p, self.min_idle_ms, claim.now_ms))
            else {
                continue;
            };
            let deliveries = before.deliveries.saturating_add(u64::from(!self.just_id));
            let consumer = claim.consumer;
            let pending = Pending { delivered_ms: claim.now_ms, deliveries, consumer };
            if claim.take(id, pending) {
                claimed += 1;
                write_claimed(reply, claim.entries, id, self.just_id);
            }
        }
        reply.array_at(mark, claimed);
        let text = going_on.to_string();
        reply.output().insert(mark, format!("${}\r\n{text}\r\n", text.len()).as_bytes());
        reply.array(deleted.len());
        deleted.into_iter().for_each(|id| write_id(reply, id));
    }
}

fn first_pending(group: &StreamGroup, from: StreamId) -> Option<StreamId> {
    group.pending_range(from, StreamId::MAX).next().map(|(id, _)| id)
}
