//! What `HELP` and `COMMAND DOCS` tell, made from the rows.

use crate::syntax::{self, Argument, Kind};
use crate::table::Entry;
use crate::{After, Args, Call, Error, Reply, Row, Run, Table};
use std::cell::Cell;

/// The handler of every `HELP`: the subcommands of the container that was called.
pub fn help(call: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let container = String::from_utf8_lossy(args.name()).to_ascii_uppercase();
    let found = call.table.named(args.name());
    let rows = match found.map(|found| found.row.run) {
        Some(Run::Container(rows)) => rows,
        _ => &[],
    };
    reply.array(1 + 2 * rows.len());
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for row in rows {
        reply.simple(&usage(row));
        reply.simple(&format!("    {}", row.doc.summary));
    }
    Ok(After::Continue)
}

/// How a subcommand is called, without its container's name.
fn usage(row: &Row) -> String {
    let name = match row.name {
        "" => "(no subcommand)".to_owned(),
        name => name.to_ascii_uppercase(),
    };
    let words = row.doc.syntax.split(' ').map(|word| match word.split_once(':') {
        // Brackets may stand behind the type.
        Some((word, kind)) => {
            word.to_owned() + kind.trim_start_matches(|c: char| c.is_ascii_lowercase())
        }
        None => word.to_owned(),
    });
    let syntax: Vec<String> = words.collect();
    format!("{name} {}", syntax.join(" ")).trim_end().to_owned()
}

/// Writes the documentation of a command, its subcommands included, as a map.
pub(crate) fn write_doc(reply: &mut Reply<'_>, table: &Table, entry: &Entry) {
    let doc = &entry.row.doc;
    let arguments = syntax::parse(doc.syntax).unwrap_or_default();
    let children: Vec<&Entry> = named_children(table, entry).collect();
    reply.map(4 + usize::from(!arguments.is_empty()) + usize::from(!children.is_empty()));
    for (field, text) in [
        ("summary", doc.summary),
        ("since", doc.since),
        ("group", doc.group.name()),
        ("complexity", doc.complexity),
    ] {
        reply.bulk(field.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        let keys = Keys { seen: Cell::new(0), specs: entry.row.keys.len() };
        write_arguments(reply, &arguments, &keys);
    }
    if !children.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(children.len());
        for child in children {
            reply.bulk(child.full_name.as_bytes());
            write_doc(reply, table, child);
        }
    }
}

/// The subcommands of a container.
pub(crate) fn named_children<'t>(
    table: &'t Table,
    entry: &'t Entry,
) -> impl Iterator<Item = &'t Entry> {
    let children = entry.children.iter().map(|id| table.entry(*id));
    children.filter(|child| table.is_told(child))
}

/// Gives each argument that is a key the key specification it belongs to, in order; the last one
/// gets all that remain.
struct Keys {
    seen: Cell<usize>,
    specs: usize,
}

impl Keys {
    fn next(&self) -> usize {
        let seen = self.seen.replace(self.seen.get() + 1);
        seen.min(self.specs.saturating_sub(1))
    }
}

fn write_arguments(reply: &mut Reply<'_>, arguments: &[Argument], keys: &Keys) {
    reply.array(arguments.len());
    for argument in arguments {
        write_argument(reply, argument, keys);
    }
}

fn write_argument(reply: &mut Reply<'_>, argument: &Argument, keys: &Keys) {
    let (mark, mut fields) = (reply.mark(), 0);
    let mut field = |reply: &mut Reply<'_>, name: &str| {
        fields += 1;
        reply.bulk(name.as_bytes());
    };
    for (name, text) in [("name", argument.name.as_str()), ("type", argument.kind.name())] {
        field(reply, name);
        reply.bulk(text.as_bytes());
    }
    if !matches!(argument.kind, Kind::OneOf | Kind::Block) {
        field(reply, "display_text");
        reply.bulk(argument.name.as_bytes());
    }
    if argument.kind == Kind::Key {
        field(reply, "key_spec_index");
        reply.integer(keys.next() as i64);
    }
    if let Some(token) = &argument.token {
        field(reply, "token");
        reply.bulk(token.as_bytes());
    }
    let flags = [(argument.optional, "optional"), (argument.multiple, "multiple")];
    let flags: Vec<&str> = flags.iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
    if !flags.is_empty() {
        field(reply, "flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if !argument.children.is_empty() {
        field(reply, "arguments");
        write_arguments(reply, &argument.children, keys);
    }
    reply.map_at(mark, fields);
}
