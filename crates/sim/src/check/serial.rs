//! Strict serializability of appends and reads, and the order of each connection.
//!
//! Tokens are unique and values are never overwritten, so the longest value read of a key shows
//! the order of all writes to it; every other value must be a beginning of that one. From these
//! orders follow the dependencies between operations: *ww* (the next write of a key), *wr* (a
//! write and who read it), *rw* (a read and the next write, which it did not see). Added to them
//! are *time* (one was answered before the other was sent) and *order* (both are of one
//! connection, and the second may not happen before the first). If they can be drawn without a
//! cycle, some serial order explains everything that was seen; a cycle is an anomaly.
//!
//! The expiry of a key is an operation by nobody: it follows all who read the key alive and comes
//! before all who found it gone.

use crate::check::cycle::Graph;
use crate::history::{End, History, Key, Micro, NEVER, Op, OpId};
use crate::token::Token;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Asks for everything in the module's words.
pub(crate) fn check(history: &History) -> Result<(), String> {
    let orders = orders(history)?;
    happened(history, &orders)?;
    lengths_fit(history, &orders)?;
    expiry_is_in_time(history)?;
    aborts_have_reasons(history)?;
    let (graph, ghosts) = graph(history, &orders)?;
    match graph.shortest_cycle() {
        None => Ok(()),
        Some(cycle) => Err(tell(history, &ghosts, &cycle)),
    }
}

/// Who wrote what.
struct Orders {
    /// The tokens of each key, in the order in which they were written.
    tokens: BTreeMap<Key, Vec<Token>>,
    writer: BTreeMap<Token, OpId>,
}

impl Orders {
    fn of(&self, key: Key) -> &[Token] {
        self.tokens.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// Finds the order of writes to each key; all values read must be beginnings of it.
fn orders(history: &History) -> Result<Orders, String> {
    let mut writer = BTreeMap::new();
    let mut tokens: BTreeMap<Key, Vec<Token>> = BTreeMap::new();
    for (id, op) in history.ops.iter().enumerate() {
        for micro in &op.micros {
            match micro {
                Micro::Append(_, token) => {
                    writer.insert(*token, id);
                }
                Micro::Read(key, value) => {
                    let longest = tokens.entry(*key).or_default();
                    if value.len() > longest.len() {
                        longest.clone_from(value);
                    }
                }
                Micro::Exists(..) => {}
            }
        }
    }
    for op in &history.ops {
        for micro in &op.micros {
            let Micro::Read(key, value) = micro else { continue };
            if !tokens[key].starts_with(value) {
                let longest = &tokens[key];
                return Err(format!("two orders of key {key}: {value:?} and {longest:?}"));
            }
        }
    }
    for (key, list) in &tokens {
        let mut seen = BTreeSet::new();
        for token in list {
            if history.key_of.get(token) != Some(key) {
                return Err(format!("token {token} was never written to key {key}"));
            }
            if !seen.insert(token) {
                return Err(format!("token {token} is twice in key {key}"));
            }
        }
    }
    Ok(Orders { tokens, writer })
}

/// What was acknowledged must be there, what was refused must not, and of what was lost with a
/// connection, a write must not be there without the earlier ones. The last reads of a history
/// are of everything.
fn happened(history: &History, orders: &Orders) -> Result<(), String> {
    let there: BTreeSet<Token> = orders.tokens.values().flatten().copied().collect();
    for ids in history.by_link().values() {
        let mut missing: Option<&Op> = None;
        for op in ids.iter().map(|&id| &history.ops[id]).filter(|op| op.writes()) {
            let appends = op.micros.iter().filter_map(|micro| match micro {
                // What is to expire need not be there when everything is read.
                Micro::Append(key, token) if !history.fleeting.contains(key) => {
                    Some(there.contains(token))
                }
                _ => None,
            });
            let found: Vec<bool> = appends.collect();
            if found.is_empty() {
                continue;
            }
            let (all, any) = (!found.contains(&false), found.contains(&true));
            match op.end {
                End::Done if !all => {
                    return Err(format!("an acknowledged write is lost: {}", op.what));
                }
                End::Aborted if any => {
                    return Err(format!("an aborted transaction happened: {}", op.what));
                }
                End::Lost | End::Open if any && !all => {
                    return Err(format!("half a transaction happened: {}", op.what));
                }
                _ => {}
            }
            if let (Some(earlier), true) = (missing, any) {
                return Err(format!("{} happened without {} before it", op.what, earlier.what));
            }
            // A transaction with watched keys may have been refused.
            if !any && op.end != End::Aborted && op.watched.is_empty() {
                missing = Some(op);
            }
        }
    }
    Ok(())
}

/// What appends answered is where their tokens lie.
fn lengths_fit(history: &History, orders: &Orders) -> Result<(), String> {
    let mut ends: BTreeMap<Token, i64> = BTreeMap::new();
    for list in orders.tokens.values() {
        let mut end = 0;
        for token in list {
            end += history.size_of.get(token).copied().unwrap_or(0) as i64;
            ends.insert(*token, end);
        }
    }
    for (token, said) in &history.lengths {
        if ends.get(token) != Some(said) {
            let end = ends.get(token);
            return Err(format!("token {token} ends at {end:?}, not at {said}"));
        }
    }
    Ok(())
}

/// No key is gone before its earliest deadline, and none alive after its latest.
fn expiry_is_in_time(history: &History) -> Result<(), String> {
    for op in &history.ops {
        for micro in &op.micros {
            let Micro::Read(key, value) = micro else { continue };
            let Some(volatile) = history.volatile.get(key) else { continue };
            if value.is_empty() && op.complete_ms < volatile.earliest_ms {
                return Err(format!("key {key} expired too early: {}", op.what));
            }
            if !value.is_empty() && op.invoke_ms > volatile.latest_ms {
                return Err(format!("key {key} outlived its deadline: {}", op.what));
            }
        }
    }
    Ok(())
}

/// A transaction is refused only if somebody may have written one of its watched keys meanwhile.
fn aborts_have_reasons(history: &History) -> Result<(), String> {
    for op in history.ops.iter().filter(|op| op.end == End::Aborted) {
        let meanwhile = |(watch, keys): &(OpId, Vec<Key>)| {
            let since = history.ops[*watch].invoke;
            history.ops.iter().any(|other| {
                let writes =
                    |micro: &Micro| matches!(micro, Micro::Append(k, _) if keys.contains(k));
                let together = other.complete > since && other.invoke < op.complete;
                together && other.end != End::Aborted && other.micros.iter().any(writes)
            })
        };
        if !op.watched.iter().any(meanwhile) {
            return Err(format!("refused although nobody wrote what it watches: {}", op.what));
        }
    }
    Ok(())
}

/// Nodes beyond those of the operations.
#[derive(Default)]
struct Ghosts {
    expiries: BTreeMap<Key, usize>,
}

fn graph(history: &History, orders: &Orders) -> Result<(Graph, Ghosts), String> {
    let mut graph = Graph::new(history.ops.len());
    let mut ghosts = Ghosts::default();
    for &key in history.volatile.keys() {
        ghosts.expiries.insert(key, graph.add_node());
    }
    for list in orders.tokens.values() {
        for pair in list.windows(2) {
            graph.add(orders.writer[&pair[0]], orders.writer[&pair[1]], "ww");
        }
    }
    for (id, op) in history.ops.iter().enumerate().filter(|(_, op)| op.end == End::Done) {
        internal(op)?;
        for micro in &op.micros {
            match micro {
                Micro::Read(key, value) => {
                    read(&mut graph, orders, &ghosts, id, *key, value);
                }
                Micro::Exists(key, exists) => {
                    let Some(first) = orders.of(*key).first() else { continue };
                    let writer = orders.writer[first];
                    let (from, to, why) =
                        if *exists { (writer, id, "wr") } else { (id, writer, "rw") };
                    graph.add(from, to, why);
                }
                Micro::Append(..) => {}
            }
        }
    }
    let takes_part = |op: &Op| match op.end {
        End::Done => true,
        // Whether it happened shows in what others saw.
        End::Lost | End::Open => {
            op.writes() && {
                let mut tokens = op.micros.iter().filter_map(|micro| match micro {
                    Micro::Append(key, token) => Some(orders.of(*key).contains(token)),
                    _ => None,
                });
                tokens.any(|there| there)
            }
        }
        End::Aborted => false,
    };
    let part: Vec<bool> = history.ops.iter().map(takes_part).collect();
    add_order(&mut graph, history, &part);
    add_time(&mut graph, history, &part);
    Ok((graph, ghosts))
}

/// A transaction sees its own writes, at the end of what it saw before.
fn internal(op: &Op) -> Result<(), String> {
    let mut known: BTreeMap<Key, Vec<Token>> = BTreeMap::new();
    let mut own: BTreeMap<Key, Vec<Token>> = BTreeMap::new();
    for micro in &op.micros {
        match micro {
            Micro::Append(key, token) => {
                known.entry(*key).and_modify(|value| value.push(*token));
                own.entry(*key).or_default().push(*token);
            }
            Micro::Read(key, value) => {
                let fits = known.get(key).is_none_or(|known| known == value)
                    && own.get(key).is_none_or(|own| value.ends_with(own));
                if !fits {
                    return Err(format!("a transaction was disturbed at key {key}: {}", op.what));
                }
                known.insert(*key, value.clone());
            }
            Micro::Exists(..) => {}
        }
    }
    Ok(())
}

fn read(graph: &mut Graph, orders: &Orders, ghosts: &Ghosts, id: OpId, key: Key, value: &[Token]) {
    if let Some(&expiry) = ghosts.expiries.get(&key) {
        let (from, to) = if value.is_empty() { (expiry, id) } else { (id, expiry) };
        return graph.add(from, to, "expiry");
    }
    if let Some(last) = value.last() {
        graph.add(orders.writer[last], id, "wr");
    }
    if let Some(next) = orders.of(key).get(value.len()) {
        graph.add(id, orders.writer[next], "rw");
    }
}

/// What the order of a connection promises: writes in order, uses of one key in order, and
/// nothing before a watch that was sent earlier.
fn add_order(graph: &mut Graph, history: &History, part: &[bool]) {
    for ids in history.by_link().into_values() {
        let ids: Vec<OpId> = ids.into_iter().filter(|&id| part[id]).collect();
        let mut last_use: BTreeMap<Key, OpId> = BTreeMap::new();
        let (mut last_write, mut last_watch) = (None, None);
        for id in ids {
            let op = &history.ops[id];
            for micro in &op.micros {
                let (Micro::Append(key, _) | Micro::Read(key, _) | Micro::Exists(key, _)) = micro;
                if let Some(earlier) = last_use.insert(*key, id) {
                    graph.add(earlier, id, "order");
                }
            }
            if op.writes()
                && let Some(earlier) = last_write.replace(id)
            {
                graph.add(earlier, id, "order");
            }
            if let Some(watch) = last_watch {
                graph.add(watch, id, "order");
            }
            if op.watch {
                last_watch = Some(id);
            }
        }
    }
}

/// Whoever was answered before another was sent comes before it. Instead of an edge for each pair
/// there is a chain of nodes, one for each answer.
fn add_time(graph: &mut Graph, history: &History, part: &[bool]) {
    let mut answers: Vec<(u64, OpId)> = Vec::new();
    let mut requests: Vec<(u64, OpId)> = Vec::new();
    for (id, op) in history.ops.iter().enumerate().filter(|&(id, _)| part[id]) {
        requests.push((op.invoke, id));
        if op.complete != NEVER {
            answers.push((op.complete, id));
        }
    }
    answers.sort_unstable();
    requests.sort_unstable();
    let mut chain: Option<usize> = None;
    let mut answers = answers.into_iter().peekable();
    for (invoke, request) in requests {
        while let Some((_, answer)) = answers.next_if(|&(complete, _)| complete < invoke) {
            let node = graph.add_node();
            graph.add(answer, node, "time");
            if let Some(before) = chain {
                graph.add(before, node, "time");
            }
            chain = Some(node);
        }
        if let Some(node) = chain {
            graph.add(node, request, "time");
        }
    }
}

/// The anomaly in words.
fn tell(history: &History, ghosts: &Ghosts, cycle: &[(usize, &'static str)]) -> String {
    let mut text = String::from("no serial order explains this:");
    for &(node, why) in cycle {
        let what = match history.ops.get(node) {
            Some(op) => format!("link {} [{}..{}] {}", op.link, op.invoke, op.complete, op.what),
            None => match ghosts.expiries.iter().find(|(_, ghost)| **ghost == node) {
                Some((key, _)) => format!("expiry of key {key}"),
                None => continue,
            },
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "\n    {what}\n      -{why}->");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Volatile;
    use Micro::{Append, Exists, Read};

    /// Builds histories: `(link, invoke, complete, micros)`.
    fn history(ops: &[(usize, u64, u64, &[Micro])]) -> History {
        let mut history = History::default();
        for &(link, invoke, complete, micros) in ops {
            for micro in micros {
                if let Append(key, token) = micro {
                    history.key_of.insert(*token, *key);
                }
            }
            history.ops.push(Op {
                link,
                invoke,
                complete,
                invoke_ms: invoke as i64,
                complete_ms: complete as i64,
                micros: micros.to_vec(),
                end: End::Done,
                watch: false,
                watched: Vec::new(),
                what: format!("{micros:?}"),
            });
        }
        history
    }

    fn read(key: Key, value: &[Token]) -> Micro {
        Read(key, value.to_vec())
    }

    /// Reads of everything at the end, as every run makes.
    const LAST: u64 = 1000;

    fn objection(history: &History) -> String {
        check(history).expect_err("the history is bad")
    }

    #[test]
    fn a_good_history_passes() {
        let history = history(&[
            (0, 1, 5, &[Append(1, 10), Append(2, 11)]),
            (1, 2, 9, &[read(1, &[]), read(2, &[])]),
            (1, 10, 12, &[read(1, &[10]), read(2, &[11])]),
            (2, LAST, LAST + 1, &[read(1, &[10]), read(2, &[11])]),
        ]);
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn half_of_a_transaction_is_seen() {
        let history = history(&[
            (0, 1, 5, &[Append(1, 10), Append(2, 11)]),
            (1, 2, 9, &[read(1, &[10]), read(2, &[])]),
            (2, LAST, LAST + 1, &[read(1, &[10]), read(2, &[11])]),
        ]);
        assert!(objection(&history).contains("no serial order"));
    }

    #[test]
    fn write_skew_is_seen() {
        let history = history(&[
            (0, 1, 5, &[read(1, &[]), Append(2, 11)]),
            (1, 2, 9, &[read(2, &[]), Append(1, 10)]),
            (2, LAST, LAST + 1, &[read(1, &[10]), read(2, &[11])]),
        ]);
        assert!(objection(&history).contains("rw"));
    }

    #[test]
    fn a_stale_read_is_seen() {
        let history = history(&[
            (0, 1, 2, &[Append(1, 10)]),
            (1, 3, 4, &[read(1, &[])]),
            (2, LAST, LAST + 1, &[read(1, &[10])]),
        ]);
        assert!(objection(&history).contains("time"));
    }

    #[test]
    fn a_later_write_without_the_earlier_is_seen() {
        let history = history(&[
            (0, 1, 9, &[Append(1, 10)]),
            (0, 1, 9, &[Append(2, 11)]),
            (1, 2, 8, &[read(2, &[11])]),
            (1, 2, 8, &[read(1, &[])]),
            (2, LAST, LAST + 1, &[read(1, &[10]), read(2, &[11])]),
        ]);
        assert_eq!(check(&history), Ok(()), "the reads are free to run in any order");
        let mut history = history;
        history.ops[2].complete = 4;
        history.ops[3].invoke = 5;
        assert!(objection(&history).contains("order"));
    }

    #[test]
    fn lost_doubled_and_foreign_writes_are_seen() {
        let mut bad = history(&[(0, 1, 2, &[Append(1, 10)]), (2, LAST, LAST + 1, &[read(1, &[])])]);
        assert!(objection(&bad).contains("lost"));
        bad.ops[0].end = End::Lost;
        bad.ops[0].complete = NEVER;
        assert_eq!(check(&bad), Ok(()));
        let doubled =
            history(&[(0, 1, 2, &[Append(1, 10)]), (2, LAST, LAST + 1, &[read(1, &[10, 10])])]);
        assert!(objection(&doubled).contains("twice"));
        let foreign = history(&[
            (0, 1, 2, &[Append(1, 10)]),
            (2, LAST, LAST + 1, &[read(1, &[10]), read(2, &[10])]),
        ]);
        assert!(objection(&foreign).contains("never written"));
    }

    #[test]
    fn of_a_lost_connection_a_beginning_happened() {
        let mut history = history(&[
            (0, 1, NEVER, &[Append(1, 10)]),
            (0, 2, NEVER, &[Append(2, 11)]),
            (2, LAST, LAST + 1, &[read(1, &[]), read(2, &[11])]),
        ]);
        history.ops[0].end = End::Lost;
        history.ops[1].end = End::Lost;
        assert!(objection(&history).contains("without"));
    }

    #[test]
    fn an_abort_without_reason_is_seen() {
        let mut history = history(&[
            (0, 5, 6, &[]),
            (0, 7, 9, &[Append(2, 11)]),
            (1, 1, 2, &[Append(1, 10)]),
            (2, LAST, LAST + 1, &[read(1, &[10]), read(2, &[])]),
        ]);
        history.ops[1].end = End::Aborted;
        history.ops[1].watched = vec![(0, vec![1])];
        assert!(objection(&history).contains("refused"));
        history.ops[2].complete = 6;
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn a_read_before_the_watch_that_precedes_it_is_seen() {
        // The watch happened when the key had its value already, yet the read sent after it
        // misses what was written together with that value.
        let mut history = history(&[
            (0, 1, 9, &[read(1, &[10])]),
            (0, 1, 9, &[read(2, &[])]),
            (1, 2, 3, &[Append(1, 10), Append(2, 11)]),
            (2, LAST, LAST + 1, &[read(1, &[10]), read(2, &[11])]),
        ]);
        assert_eq!(check(&history), Ok(()));
        history.ops[0].watch = true;
        assert!(objection(&history).contains("order"));
    }

    #[test]
    fn a_key_that_comes_back_from_expiry_is_seen() {
        let mut history = history(&[
            (0, 1, 2, &[Append(1, 10)]),
            (1, 13, 14, &[read(1, &[])]),
            (1, 15, 16, &[read(1, &[10])]),
        ]);
        history.volatile.insert(1, Volatile { earliest_ms: 13, latest_ms: 17 });
        assert!(objection(&history).contains("expiry"));
        history.ops.swap(1, 2);
        (history.ops[1].invoke, history.ops[1].complete) = (10, 11);
        assert_eq!(check(&history), Ok(()));
        history.ops[1].invoke_ms = 20;
        assert!(objection(&history).contains("outlived"));
        history.ops[1].invoke_ms = 10;
        history.ops[2].complete_ms = 5;
        assert!(objection(&history).contains("early"));
    }

    #[test]
    fn existence_is_an_observation() {
        let history = history(&[
            (0, 1, 2, &[Append(1, 10)]),
            (1, 3, 4, &[Exists(1, false)]),
            (2, LAST, LAST + 1, &[read(1, &[10])]),
        ]);
        assert!(objection(&history).contains("rw"));
    }

    #[test]
    fn a_disturbed_transaction_is_seen() {
        let history = history(&[
            (0, 1, 9, &[read(1, &[]), Append(1, 10), read(1, &[20, 10])]),
            (1, 1, 9, &[Append(1, 20)]),
            (2, LAST, LAST + 1, &[read(1, &[20, 10])]),
        ]);
        assert!(objection(&history).contains("disturbed"));
    }
}
