//! Members chosen by chance.

use super::{number_from, write_member};
use crate::{
    Args, Categories, CommandList, Doc, Effect, Error, EventClass, Flags, Group, KeyFlags, KeySpec,
    Logged, Reply, Row, Run,
};
use kevy_data::{Change, IntBuffer, Item, Random, Set};
use kevy_keyspace::{Key, Keyspace};

pub(super) const SPOP: Row = Row {
    name: "spop",
    arity: -2,
    flags: Flags::WRITE.union(Flags::FAST),
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Removes members of a set, chosen by chance, and returns them.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(1), with a count O(N) where N is the value of the passed count.",
        syntax: "key [count]",
    },
    run: Run::Keys(spop),
};
fn spop(ks: &mut Keyspace<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let key = args.key()?;
    match args.remaining() {
        0 => pop_one(ks, &key, reply),
        1 => {
            let count = number_from(&mut args, 0, "ERR value is out of range, must be positive")?;
            pop_many(ks, &key, usize::try_from(count).unwrap_or(usize::MAX), reply)
        }
        _ => Err(Error::SYNTAX),
    }
}

fn pop_one(ks: &mut Keyspace<'_>, key: &Key<'_>, reply: &mut Reply<'_>) -> Result<Effect, Error> {
    let mut random = Random::new(ks.random());
    let updated = ks.update_existing::<Set, _>(key, |set| Change::Changed(set.pop(&mut random)))?;
    let Some((Some(member), removed)) = updated.map(|updated| (updated.result, updated.removed))
    else {
        reply.null();
        return Ok(Effect::none());
    };
    reply.bulk(member.as_bytes());
    let mut frames = CommandList::new();
    let fits = frames.push([b"SREM", key.bytes, member.as_bytes()]);
    debug_assert!(fits, "two arguments of a stored size");
    Ok(popped(1, Logged::Frames(Box::new(frames)), removed))
}

fn pop_many(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    count: usize,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let Some(set) = ks.look::<Set>(key)? else {
        reply.set(0);
        return Ok(Effect::none());
    };
    let len = set.len();
    if count == 0 {
        reply.set(0);
        return Ok(Effect::none());
    }
    if count >= len {
        reply.set(len);
        set.iter().for_each(|member| write_member(reply, member));
        ks.remove(key);
        return Ok(popped(len, Logged::Delete, true));
    }
    check_size(ks, key, count)?;
    let (limits, mut random) = (ks.limits(), Random::new(ks.random()));
    let mut frames = Removals::new(key.bytes);
    reply.set(count);
    ks.update_existing::<Set, _>(key, |set| {
        set.pop_many(count, limits, &mut random, |member| {
            write_member(reply, member);
            frames.push(member);
        });
        Change::Changed(())
    })?;
    Ok(popped(count, Logged::Frames(Box::new(frames.finish())), false))
}

/// The log holds less than 4 GiB of one command.
fn check_size(ks: &Keyspace<'_>, key: &Key<'_>, count: usize) -> Result<(), Error> {
    const MOST: usize = 1 << 31;
    let members = ks.at(key).map_or(0, |record| record.memory());
    let frames = (count / Removals::BATCH + 1).saturating_mul(key.bytes.len() + 64);
    if members.saturating_add(frames) > MOST {
        return Err(Error::new("ERR too many members to be popped at once"));
    }
    Ok(())
}

/// The effect of having removed so many members, and the set with them or not.
fn popped(count: usize, logged: Logged, removed: bool) -> Effect {
    let mut effect = Effect::logged(logged, EventClass::Set, "spop");
    effect.changes = u32::try_from(count).unwrap_or(u32::MAX);
    if removed {
        effect.push_event(EventClass::Generic, "del", 1);
    }
    effect
}

/// `SREM` commands for members as they are popped.
struct Removals<'k> {
    key: &'k [u8],
    frames: CommandList,
    /// The texts of the members that no frame has yet.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl<'k> Removals<'k> {
    /// Members in one frame, as in Redis.
    const BATCH: usize = 1024;

    fn new(key: &'k [u8]) -> Self {
        Self { key, frames: CommandList::new(), bytes: Vec::new(), ends: Vec::new() }
    }

    fn push(&mut self, member: Item<'_>) {
        self.bytes.extend_from_slice(member.text(&mut IntBuffer::new()));
        self.ends.push(self.bytes.len());
        if self.ends.len() == Self::BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let members = starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end]);
        let fits = self.frames.push([&b"SREM"[..], self.key].into_iter().chain(members));
        debug_assert!(fits, "the size was checked before");
        self.bytes.clear();
        self.ends.clear();
    }

    fn finish(mut self) -> CommandList {
        if !self.ends.is_empty() {
            self.flush();
        }
        self.frames
    }
}

pub(super) const SRANDMEMBER: Row = Row {
    name: "srandmember",
    arity: -2,
    flags: Flags::READONLY,
    categories: Categories::SET,
    keys: &[KeySpec::one(1, KeyFlags::RO.union(KeyFlags::ACCESS))],
    tips: &["nondeterministic_output"],
    doc: Doc {
        summary: "Returns members of a set, chosen by chance.",
        since: "1.0.0",
        group: Group::Set,
        complexity: "O(1), with a count O(N) where N is the absolute value of the passed count.",
        syntax: "key [count]",
    },
    run: Run::Keys(srandmember),
};
fn srandmember(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, Error> {
    let key = args.key()?;
    let mut random = Random::new(ks.random());
    match args.remaining() {
        0 => match ks.read::<Set>(&key)?.and_then(|set| set.random(&mut random)) {
            Some(member) => write_member(reply, member),
            None => reply.null(),
        },
        1 => {
            let count = args.int()?;
            if count == i64::MIN {
                let most = i64::MAX;
                return Err(Error::owned(format!(
                    "ERR value is out of range, value must between -{most} and {most}"
                )));
            }
            write_random(ks, &key, count, &mut random, reply)?;
        }
        _ => return Err(Error::SYNTAX),
    }
    Ok(Effect::none())
}

/// Writes up to `count` different members, or if it is negative as many that may repeat.
fn write_random(
    ks: &mut Keyspace<'_>,
    key: &Key<'_>,
    count: i64,
    random: &mut Random,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let set = ks.read::<Set>(key)?;
    let Some(set) = set.filter(|_| count != 0) else {
        reply.array(0);
        return Ok(());
    };
    let number = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let write = |reply: &mut Reply<'_>, member| write_member(reply, member);
    if count < 0 {
        reply.array(number);
        set.random_repeated(number, random, |member| write(reply, member));
    } else {
        reply.array(number.min(set.len()));
        set.random_distinct(number, random, |member| write(reply, member));
    }
    Ok(())
}
