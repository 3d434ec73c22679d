//! Reading what is new in several streams.

use super::{id, limit, streams_keys, write_entries};
use crate::{
    Args, Attempt, Categories, CommandList, Doc, Effect, Error, Flags, Group, Reply, Row, Run, Wait,
};
use kevy_data::Stream;
use kevy_data::stream::{Entries, IdBuffer, StreamId};
use kevy_keyspace::{Key, Keyspace, Kind};
use kevy_resp::{Mark, Proto};
use std::ops::Range;

pub(super) const XREAD: Row = Row {
    name: "xread",
    arity: -4,
    flags: Flags::BLOCKING.union(Flags::READONLY).union(Flags::MOVABLE_KEYS),
    categories: Categories::STREAM,
    keys: &[streams_keys(1)],
    tips: &[],
    doc: Doc {
        summary: "Returns the entries behind given ids of several streams; may wait for the first.",
        since: "5.0.0",
        group: Group::Stream,
        complexity: "O(N) where N is the number of entries returned",
        syntax: "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    },
    run: Run::Blocking(xread),
};
fn xread(
    ks: &mut Keyspace<'_>,
    mut args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Attempt, Error> {
    let options = Options::read(&mut args, ks.now_ms(), &GROUPLESS)?;
    let streams = Streams::read(&args, &options)?;
    let mut after = Vec::with_capacity(streams.keys.len());
    for at in streams.keys.clone() {
        let stream = ks.read::<Stream>(&streams.key(at)?)?;
        after.push(start_of(stream.map(Stream::entries), streams.id_text(at))?);
    }
    let mut served = Served::new(reply);
    for (at, &after) in streams.keys.clone().zip(&after) {
        let key = streams.key(at)?;
        let Some(stream) = ks.read::<Stream>(&key)? else { continue };
        let Some(from) = after.next() else { continue };
        let mut entries = stream.entries().range(from, StreamId::MAX).peekable();
        if entries.peek().is_some() {
            served.stream(reply, &key);
            write_entries(reply, entries.take(options.limit));
        }
    }
    if served.close(reply) {
        return Ok(Effect::none().into());
    }
    Ok(match options.block {
        None => Effect::none().into(),
        Some(timeout_ms) => {
            let wait = Wait::data(Kind::Stream, streams.keys.clone(), timeout_ms);
            Attempt::Nothing(match streams.resolved(&after) {
                Some(call) => wait.again(call),
                None => wait,
            })
        }
    })
}

/// Behind which id a stream is to be read: `$` is its last one, `+` the one before its last entry.
fn start_of(entries: Option<&Entries>, text: &[u8]) -> Result<StreamId, Error> {
    let last_id = entries.map_or(StreamId::MIN, Entries::last_id);
    match text {
        b"$" => Ok(last_id),
        b"+" => Ok(match entries {
            Some(entries) if !entries.is_empty() => {
                entries.top_id().previous().unwrap_or(StreamId::MIN)
            }
            _ => last_id,
        }),
        b">" => Err(Error::new(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
             <consumer> option.",
        )),
        text => id(text),
    }
}

/// The options in front of the streams.
pub(super) struct Options<'a> {
    pub(super) limit: usize,
    /// How long to wait, in ms; none: not at all.
    pub(super) block: Option<u64>,
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    pub(super) no_ack: bool,
    /// From how many idle ms on pending entries are taken over.
    pub(super) claim_ms: Option<i64>,
    /// What is said where the numbers of keys and ids do not match.
    command: &'static Dialect,
}

/// How the two commands differ in their options.
pub(super) struct Dialect {
    pub(super) name: &'static str,
    pub(super) newest: &'static str,
    pub(super) with_group: bool,
}

const GROUPLESS: Dialect = Dialect { name: "xread", newest: "$", with_group: false };

impl<'a> Options<'a> {
    /// Reads up to `STREAMS` and that.
    pub(super) fn read(
        args: &mut Args<'a>,
        now_ms: i64,
        command: &'static Dialect,
    ) -> Result<Self, Error> {
        let mut options = Self {
            limit: usize::MAX,
            block: None,
            group: None,
            no_ack: false,
            claim_ms: None,
            command,
        };
        loop {
            let more = args.remaining().saturating_sub(1);
            if more > 0 && args.option("BLOCK") {
                options.block = Some(args.timeout_millis(now_ms)?);
            } else if more > 0 && args.option("COUNT") {
                options.limit = limit(args.int()?);
            } else if more > 0 && args.option("STREAMS") {
                break;
            } else if more > 1 && args.option("GROUP") {
                command.only_with_group("GROUP")?;
                options.group = Some((args.bytes()?, args.bytes()?));
            } else if args.option("NOACK") {
                command.only_with_group("NOACK")?;
                options.no_ack = true;
            } else if command.with_group && more > 0 && args.option("CLAIM") {
                let idle = args.int().map_err(|_| {
                    Error::new("ERR min-idle-time is not an integer or out of range")
                })?;
                if idle < 0 {
                    return Err(Error::new("ERR min-idle-time must be a positive integer"));
                }
                options.claim_ms = Some(idle);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(options)
    }
}

impl Dialect {
    fn only_with_group(&self, option: &str) -> Result<(), Error> {
        if self.with_group {
            return Ok(());
        }
        Err(Error::owned(format!(
            "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
        )))
    }
}

/// The streams to be read: as many keys as ids.
pub(super) struct Streams<'a> {
    args: Args<'a>,
    /// The arguments that are keys; as many behind them are ids.
    pub(super) keys: Range<usize>,
}

impl<'a> Streams<'a> {
    pub(super) fn read(args: &Args<'a>, options: &Options<'_>) -> Result<Self, Error> {
        let (first, count) = (args.position(), args.remaining());
        if !count.is_multiple_of(2) {
            let Dialect { name, newest, .. } = options.command;
            return Err(Error::owned(format!(
                "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{newest}' \
                 must be specified."
            )));
        }
        Ok(Self { args: *args, keys: first..first + count / 2 })
    }

    pub(super) fn key(&self, at: usize) -> Result<Key<'a>, Error> {
        self.args.key_at(at).ok_or(Error::SYNTAX)
    }

    /// What was given as the id of the key at `at`.
    pub(super) fn id_text(&self, at: usize) -> &'a [u8] {
        self.args.get(at + self.keys.len()).unwrap_or_default()
    }

    /// The call with these ids, if they depend on the moment.
    fn resolved(&self, ids: &[StreamId]) -> Option<CommandList> {
        let symbolic = |at: usize| matches!(self.id_text(at), b"$" | b"+");
        if !self.keys.clone().any(symbolic) {
            return None;
        }
        let mut call: Vec<Vec<u8>> = self.args.iter().map(<[u8]>::to_vec).collect();
        for (at, id) in self.keys.clone().zip(ids).filter(|(at, _)| symbolic(*at)) {
            call[at + self.keys.len()] = id.text(&mut IdBuffer::new()).to_vec();
        }
        let mut list = CommandList::new();
        list.push(call.iter().map(Vec::as_slice)).then_some(list)
    }
}

/// The reply that is made of the streams that have something: a map in RESP3.
pub(super) struct Served {
    mark: Mark,
    pub(super) count: usize,
}

impl Served {
    pub(super) fn new(reply: &Reply<'_>) -> Self {
        Self { mark: reply.mark(), count: 0 }
    }

    /// The entries of this stream follow.
    pub(super) fn stream(&mut self, reply: &mut Reply<'_>, key: &Key<'_>) {
        if reply.proto() == Proto::Resp2 {
            reply.array(2);
        }
        reply.bulk(key.bytes);
        self.count += 1;
    }

    /// Finishes the reply; whether there was anything.
    pub(super) fn close(&self, reply: &mut Reply<'_>) -> bool {
        match (self.count, reply.proto()) {
            (0, _) => reply.null_array(),
            (count, Proto::Resp2) => reply.array_at(self.mark, count),
            (count, Proto::Resp3) => reply.map_at(self.mark, count),
        }
        self.count > 0
    }
}
