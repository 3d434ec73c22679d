//! `INFO`.

use std::fmt::{Display, Write as _};

use kevy_command::{After, Args, Call, Categories, Doc, Error, Flags, Group, Reply, Row, Run};

use super::engine;
use crate::engine::Engine;
use crate::stats::Totals;

mod resources;
mod sections;
mod statistics;

pub(super) use resources::human;

pub(super) const INFO: Row = Row {
    name: "info",
    arity: -1,
    flags: Flags::LOADING.union(Flags::STALE),
    categories: Categories::DANGEROUS,
    keys: &[],
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    doc: Doc {
        summary: "Tells about the server, what it holds and what it has done.",
        since: "1.0.0",
        group: Group::Server,
        complexity: "O(1)",
        syntax: "[section [section ...]]",
    },
    run: Run::Server(info),
};
fn info(call: &mut Call<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Result<After, Error> {
    let engine = engine(call)?;
    let names: Vec<&[u8]> = args.iter().skip(1).collect();
    let scene = Scene { engine, call, totals: engine.totals() };
    let mut sheet = Sheet::default();
    for section in SECTIONS.iter().filter(|section| section.is_wanted(&names)) {
        sheet.title(section.title);
        (section.write)(&scene, &mut sheet);
    }
    reply.verbatim("txt", sheet.text.as_bytes());
    Ok(After::Continue)
}

/// What sections are written from.
struct Scene<'a> {
    engine: &'a Engine,
    call: &'a Call<'a>,
    totals: Totals,
}

/// One section.
struct Section {
    name: &'static str,
    title: &'static str,
    asked: Asked,
    write: fn(&Scene<'_>, &mut Sheet),
}

/// When a section is shown without being named.
#[derive(PartialEq, Eq)]
enum Asked {
    /// Always.
    Default,
    /// For `all` and `everything`.
    All,
}

/// In the order in which they are shown.
const SECTIONS: &[Section] = &[
    section("server", "Server", Asked::Default, sections::server),
    section("clients", "Clients", Asked::Default, sections::clients),
    section("memory", "Memory", Asked::Default, resources::memory),
    section("persistence", "Persistence", Asked::Default, sections::persistence),
    section("stats", "Stats", Asked::Default, statistics::stats),
    section("replication", "Replication", Asked::Default, sections::replication),
    section("cpu", "CPU", Asked::Default, resources::cpu),
    section("modules", "Modules", Asked::Default, |_, _| {}),
    section("commandstats", "Commandstats", Asked::All, statistics::commandstats),
    section("errorstats", "Errorstats", Asked::Default, statistics::errorstats),
    section("latencystats", "Latencystats", Asked::All, |_, _| {}),
    section("cluster", "Cluster", Asked::Default, sections::cluster),
    section("keyspace", "Keyspace", Asked::Default, statistics::keyspace),
    section("shards", "Shards", Asked::All, statistics::shards),
];

const fn section(
    name: &'static str,
    title: &'static str,
    asked: Asked,
    write: fn(&Scene<'_>, &mut Sheet),
) -> Section {
    Section { name, title, asked, write }
}

impl Section {
    fn is_wanted(&self, names: &[&[u8]]) -> bool {
        let default = self.asked == Asked::Default;
        if names.is_empty() {
            return default;
        }
        let any =
            |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted.as_bytes()));
        any("all") || any("everything") || any(self.name) || (default && any("default"))
    }
}

/// The text under way.
#[derive(Default)]
struct Sheet {
    text: String,
}

impl Sheet {
    fn title(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\r\n");
        }
        self.line(format_args!("# {title}"));
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name}:{value}"));
    }

    /// Fields that are always the same, as long as the feature behind them does not exist.
    fn fixed(&mut self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.field(name, value);
        }
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a string does not fail.
        let _ = write!(self.text, "{line}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[&[u8]]) -> Vec<&'static str> {
        SECTIONS.iter().filter(|it| it.is_wanted(names)).map(|it| it.name).collect()
    }

    #[test]
    fn sections_are_chosen_by_name_and_group() {
        let default = wanted(&[]);
        assert!(!default.contains(&"commandstats") && default.contains(&"keyspace"));
        assert_eq!(wanted(&[b"DEFAULT"]), default);
        assert_eq!(wanted(&[b"cpu", b"Server"]), ["server", "cpu"]);
        assert_eq!(wanted(&[b"default", b"commandstats"]).len(), default.len() + 1);
        assert_eq!(wanted(&[b"all"]).len(), SECTIONS.len());
        assert!(wanted(&[b"nothing"]).is_empty());
    }

    #[test]
    fn sections_are_separated_by_an_empty_line() {
        let mut sheet = Sheet::default();
        sheet.title("A");
        sheet.field("x", 1);
        sheet.title("B");
        assert_eq!(sheet.text, "# A\r\nx:1\r\n\r\n# B\r\n");
    }
}
