//! Tests that are data: what a client says and what it is answered.
//!
//! ```text
//! # a comment
//! > SET a 1          a command of the first client; `2>` and `3>` are of others
//! OK                 its reply, see `render`; sorted behind `sorted `, without brackets behind
//!                    `flat ` where the newer protocol nests otherwise
//! > DEBUG-ONLY  …
//! wait 1500          the time goes on by so many ms
//! ```
//! Each file runs on one store and on four, in both versions of the protocol, and on redis-server
//! as well, except what stands behind `not-redis` or waits.

use crate::machine::Machine;
use crate::render::{render, words};
use kevy_resp::Proto;
use std::path::{Path, PathBuf};

pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Wait(i64),
    Call { client: usize, words: Vec<Vec<u8>>, expected: String },
}

pub(crate) struct Transcript {
    pub(crate) path: PathBuf,
    pub(crate) steps: Vec<Step>,
    pub(crate) on_redis: bool,
}

/// All transcripts.
pub(crate) fn all() -> Vec<Transcript> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/laws/transcripts");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Transcript {
    let text = std::fs::read_to_string(&path).unwrap();
    let mut transcript = Transcript { path, steps: Vec::new(), on_redis: true };
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "not-redis" {
            transcript.on_redis = false;
            continue;
        }
        let kind = if let Some(ms) = line.strip_prefix("wait ") {
            transcript.on_redis = false;
            Kind::Wait(ms.parse().unwrap())
        } else {
            let (client, command) = line.split_once('>').expect("a command");
            let client: usize = if client.is_empty() { 1 } else { client.parse().unwrap() };
            let (_, expected) = lines.next().expect("a reply");
            Kind::Call { client: client - 1, words: words(command), expected: expected.to_owned() }
        };
        transcript.steps.push(Step { line: at + 1, kind });
    }
    transcript
}

/// The expected and the given reply, made comparable.
pub(crate) fn comparable(expected: &str, given: &str) -> (String, String) {
    if let Some(expected) = expected.strip_prefix("sorted ") {
        (sorted(expected), sorted(given))
    } else if let Some(expected) = expected.strip_prefix("flat ") {
        (flat(expected), flat(given))
    } else {
        (expected.to_owned(), given.to_owned())
    }
}

fn flat(list: &str) -> String {
    list.replace(['[', ']'], "")
}

fn sorted(list: &str) -> String {
    let inner = list.trim_start_matches('[').trim_end_matches(']');
    let mut items: Vec<&str> = inner.split(", ").collect();
    items.sort_unstable();
    items.join(", ")
}

#[test]
fn transcripts_hold_on_any_number_of_stores_in_both_protocols() {
    for transcript in all() {
        for (stores, proto) in
            [1, 4].into_iter().flat_map(|n| [(n, Proto::Resp2), (n, Proto::Resp3)])
        {
            let mut machine = Machine::new(stores, proto);
            for step in &transcript.steps {
                match &step.kind {
                    Kind::Wait(ms) => machine.now_ms += ms,
                    Kind::Call { client, words, expected } => {
                        let given = render(&machine.call(*client, words));
                        let (expected, given) = comparable(expected, &given);
                        assert_eq!(
                            given,
                            expected,
                            "{}:{} on {stores} stores in {proto:?}",
                            transcript.path.display(),
                            step.line
                        );
                    }
                }
            }
        }
    }
}
