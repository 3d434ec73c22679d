//! `COMMAND`: what the table says of itself.

use crate::docs::{help, named_children, write_doc};
use crate::row::{Begin, Find};
use crate::table::Entry;
use crate::{
    After, Args, Call, Categories, Doc, Error, Flags, Found, Group, KeyFlags, KeySpec, Reply, Row,
    Run, Table, glob,
};

/// `COMMAND` and its subcommands.
pub const COMMANDS: &[&Row] = &[&COMMAND];

const COMMAND: Row = Row {
    name: "command",
    arity: -1,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Describes commands.",
        since: "2.8.13",
        group: Group::Server,
        complexity: "O(N) where N is the total number of commands",
        syntax: "",
    },
    run: Run::Container(&[
        &COMMAND_ALL,
        &COMMAND_COUNT,
        &COMMAND_INFO,
        &COMMAND_DOCS,
        &COMMAND_LIST,
        &COMMAND_GETKEYS,
        &COMMAND_GETKEYSANDFLAGS,
        &COMMAND_HELP,
    ]),
};

/// What `COMMAND` alone calls.
const COMMAND_ALL: Row = Row {
    name: "",
    arity: 1,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns flags, keys and categories of all commands.",
        since: "2.8.13",
        group: Group::Server,
        complexity: "O(N) where N is the total number of commands",
        syntax: "",
    },
    run: Run::Connection(all),
};
fn all(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.array(top(call.table).count());
    for entry in top(call.table) {
        write_info(reply, call.table, entry);
    }
    Ok(After::Continue)
}

/// The entries that are no subcommands.
fn top(table: &Table) -> impl Iterator<Item = &Entry> {
    let entries = table.entries().map(|(_, entry)| entry);
    entries.filter(|entry| entry.parent.is_none() && table.is_told(entry))
}

const COMMAND_COUNT: Row = Row {
    name: "count",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Returns the number of commands.",
        since: "2.8.13",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(count),
};
fn count(call: &mut Call<'_>, _: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    reply.integer(top(call.table).count() as i64);
    Ok(After::Continue)
}

const COMMAND_INFO: Row = Row {
    name: "info",
    arity: -2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns flags, keys and categories of commands.",
        since: "2.8.13",
        group: Group::Server,
        complexity: "O(N) where N is the number of commands to look up",
        syntax: "[command-name [command-name ...]]",
    },
    run: Run::Connection(info),
};
fn info(call: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    if args.len() == 2 {
        return all(call, args, reply);
    }
    reply.array(args.len() - 2);
    for name in args.iter().skip(2) {
        let entry = call.table.named(name).map(|found| call.table.entry(found.id));
        match entry.filter(|entry| call.table.is_told(entry)) {
            Some(entry) => write_info(reply, call.table, entry),
            None => reply.null_array(),
        }
    }
    Ok(After::Continue)
}

const COMMAND_DOCS: Row = Row {
    name: "docs",
    arity: -2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns the documentation of commands.",
        since: "7.0.0",
        group: Group::Server,
        complexity: "O(N) where N is the number of commands to look up",
        syntax: "[command-name [command-name ...]]",
    },
    run: Run::Connection(docs),
};
fn docs(call: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let named = args.iter().skip(2).filter_map(|name| call.table.named(name));
    let mut entries: Vec<&Entry> = named.map(|found| call.table.entry(found.id)).collect();
    if args.len() == 2 {
        entries = top(call.table).collect();
    }
    reply.map(entries.len());
    for entry in entries {
        reply.bulk(entry.full_name.as_bytes());
        write_doc(reply, call.table, entry);
    }
    Ok(After::Continue)
}

const COMMAND_LIST: Row = Row {
    name: "list",
    arity: -2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &["nondeterministic_output_order"],
    doc: Doc {
        summary: "Returns the names of commands.",
        since: "7.0.0",
        group: Group::Server,
        complexity: "O(N) where N is the total number of commands",
        syntax: "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    },
    run: Run::Connection(list),
};
fn list(call: &mut Call<'_>, mut args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    args.seek(2);
    let filter = Filter::read(&mut args)?;
    let (mark, mut count) = (reply.mark(), 0);
    for (_, entry) in call.table.entries() {
        if call.table.is_told(entry) && filter.wants(entry) {
            reply.bulk(entry.full_name.as_bytes());
            count += 1;
        }
    }
    reply.array_at(mark, count);
    Ok(After::Continue)
}

/// Which names `COMMAND LIST` gives.
enum Filter<'a> {
    All,
    /// There are no modules, so none of any.
    Module,
    /// None if there is no such category.
    Category(Option<Categories>),
    Pattern(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn read(args: &mut Args<'a>) -> Result<Self, Error> {
        if args.at_end() {
            return Ok(Self::All);
        }
        if args.remaining() != 3 || !args.option("FILTERBY") {
            return Err(Error::SYNTAX);
        }
        if args.option("MODULE") {
            Ok(Self::Module)
        } else if args.option("ACLCAT") {
            let name = String::from_utf8_lossy(args.bytes()?).to_ascii_uppercase();
            Ok(Self::Category(Categories::from_name(&name)))
        } else if args.option("PATTERN") {
            Ok(Self::Pattern(args.bytes()?))
        } else {
            Err(Error::SYNTAX)
        }
    }

    fn wants(&self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Module => false,
            Self::Category(category) => {
                category.is_some_and(|category| entry.row.categories().contains(category))
            }
            Self::Pattern(pattern) => glob::matches(pattern, entry.full_name.as_bytes(), true),
        }
    }
}

const COMMAND_GETKEYS: Row = Row {
    name: "getkeys",
    arity: -3,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Returns the keys of a call.",
        since: "2.8.13",
        group: Group::Server,
        complexity: "O(N) where N is the number of arguments to the command",
        syntax: "command [arg [arg ...]]",
    },
    run: Run::Connection(getkeys),
};
fn getkeys(call: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let inner = args.inner(2);
    let keys = keys_of(call.table, &inner)?;
    reply.array(keys.len());
    for (at, _) in keys {
        reply.bulk(inner.get(at).unwrap_or_default());
    }
    Ok(After::Continue)
}

const COMMAND_GETKEYSANDFLAGS: Row = Row {
    name: "getkeysandflags",
    arity: -3,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Returns the keys of a call and what it does to them.",
        since: "7.0.0",
        group: Group::Server,
        complexity: "O(N) where N is the number of arguments to the command",
        syntax: "command [arg [arg ...]]",
    },
    run: Run::Connection(getkeysandflags),
};
fn getkeysandflags(
    call: &mut Call<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, Error> {
    let inner = args.inner(2);
    let keys = keys_of(call.table, &inner)?;
    reply.array(keys.len());
    for (at, flags) in keys {
        reply.array(2);
        reply.bulk(inner.get(at).unwrap_or_default());
        write_set(reply, key_flags(flags));
    }
    Ok(After::Continue)
}

/// The positions of the keys of a call, with what is done to each.
fn keys_of(table: &Table, args: &Args<'_>) -> Result<Vec<(usize, KeyFlags)>, Error> {
    const UNKNOWN: Error = Error::new("ERR Invalid command specified");
    let Found { row, .. } = table.find(args).map_err(|_| UNKNOWN)?;
    if row.keys.is_empty() {
        return Err(Error::new("ERR The command has no key arguments"));
    }
    if !row.fits(args.len()) {
        return Err(Error::new("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    row.each_key(args, |at, flags| keys.push((at, flags)));
    if keys.is_empty() {
        return Err(Error::new("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

const COMMAND_HELP: Row = Row {
    name: "help",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::CONNECTION,
    keys: &[],
    tips: &[],
    doc: Doc {
        summary: "Lists the subcommands.",
        since: "5.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "",
    },
    run: Run::Connection(help),
};

/// Writes what `COMMAND INFO` says of a command.
fn write_info(reply: &mut Reply<'_>, table: &Table, entry: &Entry) {
    let row = entry.row;
    reply.array(10);
    reply.bulk(entry.full_name.as_bytes());
    reply.integer(i64::from(row.arity));
    write_set(reply, flags(row.flags));
    let (first, last, step) = key_range(row.keys);
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
    let categories = row.categories();
    write_set(reply, categories.iter_names().map(|(name, _)| format!("@{}", name.to_lowercase())));
    reply.set(row.tips.len());
    row.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(row.keys.len());
    row.keys.iter().for_each(|spec| write_key_spec(reply, spec));
    let children: Vec<&Entry> = named_children(table, entry).collect();
    if children.is_empty() {
        reply.set(0);
        return;
    }
    reply.array(children.len());
    for child in children {
        write_info(reply, table, child);
    }
}

fn write_set(reply: &mut Reply<'_>, names: impl Iterator<Item = String>) {
    let (mark, mut count) = (reply.mark(), 0);
    for name in names {
        reply.simple(&name);
        count += 1;
    }
    reply.set_at(mark, count);
}

/// The flags that clients are told, by their names.
fn flags(flags: Flags) -> impl Iterator<Item = String> {
    let hidden = Flags::PROTECTED | Flags::NOT_QUEUED | Flags::OPAQUE;
    (flags - hidden).iter_names().map(|(name, flag)| match flag {
        Flags::MOVABLE_KEYS => "movablekeys".to_owned(),
        _ => name.to_lowercase(),
    })
}

/// The access is told in capitals, what it is for in small letters.
fn key_flags(flags: KeyFlags) -> impl Iterator<Item = String> {
    let access = KeyFlags::RO | KeyFlags::RW | KeyFlags::OW | KeyFlags::RM;
    flags.iter_names().map(move |(name, flag)| match access.contains(flag) {
        true => name.to_owned(),
        false => name.to_lowercase(),
    })
}

/// First key, last key and step, for clients that know no key specifications; zeros if they cannot
/// be told so.
fn key_range(specs: &[KeySpec]) -> (i64, i64, i64) {
    if let [only] = specs {
        return simple_range(only).unwrap_or((0, 0, 0));
    }
    let ranges = specs.iter().filter_map(simple_range).filter(|range| range.2 == 1);
    let joined = ranges.reduce(|a, b| {
        // A position from the end, negative, is behind all others.
        let last = if a.1 < 0 || b.1 < 0 { a.1.min(b.1) } else { a.1.max(b.1) };
        (a.0.min(b.0), last, 1)
    });
    joined.unwrap_or((0, 0, 0))
}

fn simple_range(spec: &KeySpec) -> Option<(i64, i64, i64)> {
    let (Begin::Index(first), Find::Range { last, step, .. }) = (spec.begin, spec.find) else {
        return None;
    };
    let (first, last) = (i64::from(first), i64::from(last));
    Some((first, if last >= 0 { first + last } else { last }, i64::from(step)))
}

fn write_key_spec(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.map(3);
    reply.bulk(b"flags");
    write_set(reply, key_flags(spec.flags));
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => write_fields(reply, "index", &[("index", i64::from(index))]),
        Begin::Keyword { word, from, .. } => {
            reply.map(2);
            reply.bulk(b"type");
            reply.bulk(b"keyword");
            reply.bulk(b"spec");
            reply.map(2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            reply.bulk(b"startfrom");
            reply.integer(i64::from(from));
        }
        Begin::Option { .. } | Begin::Unknown => write_fields(reply, "unknown", &[]),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        _ if matches!(spec.begin, Begin::Option { .. }) => write_fields(reply, "unknown", &[]),
        Find::Range { last, step, limit } => {
            let (last, step, limit) = (i64::from(last), i64::from(step), i64::from(limit));
            let fields = [("lastkey", last), ("keystep", step), ("limit", limit)];
            write_fields(reply, "range", &fields);
        }
        Find::KeyNum { index, first, step } => {
            let (index, first, step) = (i64::from(index), i64::from(first), i64::from(step));
            let fields = [("keynumidx", index), ("firstkey", first), ("keystep", step)];
            write_fields(reply, "keynum", &fields);
        }
        Find::Unknown => write_fields(reply, "unknown", &[]),
    }
}

/// Writes one half of a key specification: its type and its numbers.
fn write_fields(reply: &mut Reply<'_>, kind: &str, fields: &[(&str, i64)]) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields.len());
    for (name, number) in fields {
        reply.bulk(name.as_bytes());
        reply.integer(*number);
    }
}
