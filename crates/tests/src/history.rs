//! A checker of strict serializability for histories of appends.
//!
//! Each key holds a list; each append adds a token that occurs nowhere else. A read of a key thus
//! tells the whole order of the appends before it, and from all reads follow the edges of a graph
//! over the transactions: who wrote after whom (ww), who read from whom (wr), who read before whom
//! wrote (rw), who ended before whom began (real time), and whatever order the caller adds. The
//! history is strictly serializable only if that graph has no cycle.

use std::collections::HashMap;
use std::fmt::Write as _;

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Appends a token to a key.
    Append {
        /// The key.
        key: u32,
        /// The token, never used twice.
        token: u64,
    },
    /// Reads a key as the tokens appended so far.
    Read {
        /// The key.
        key: u32,
        /// What was there, in order.
        tokens: Vec<u64>,
    },
}

/// A transaction that took effect.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The client that ran it.
    pub client: usize,
    /// When it was sent, in nanoseconds of one clock.
    pub began: u64,
    /// When its reply was read.
    pub ended: u64,
    /// What it did, in order.
    pub operations: Vec<Operation>,
    /// Transactions, by index, that must come before this one for another reason.
    pub after: Vec<usize>,
}

/// Why one node comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    WroteBefore(u32),
    ReadFrom(u32),
    ReadBeforeWrite(u32),
    RealTime,
    Order,
}

/// Checks a history; an error tells what is wrong with it.
///
/// The history must end with a read of each key that was appended to.
pub fn check(history: &[Transaction]) -> Result<(), String> {
    let versions = Versions::of(history)?;
    let mut graph = Graph::new(history.len());
    versions.edges(history, &mut graph)?;
    real_time(history, &mut graph);
    for (index, transaction) in history.iter().enumerate() {
        for &before in &transaction.after {
            graph.add(before, index, Reason::Order);
        }
    }
    match graph.cycle() {
        None => Ok(()),
        Some(cycle) => Err(describe(history, &cycle)),
    }
}

/// The order of the appends to each key, and who made them.
struct Versions {
    order: HashMap<u32, Vec<u64>>,
    writer: HashMap<u64, usize>,
}

impl Versions {
    fn of(history: &[Transaction]) -> Result<Versions, String> {
        let mut order: HashMap<u32, Vec<u64>> = HashMap::new();
        let mut writer = HashMap::new();
        for (index, transaction) in history.iter().enumerate() {
            for operation in &transaction.operations {
                match operation {
                    Operation::Append { token, .. } => {
                        writer.insert(*token, index);
                    }
                    Operation::Read { key, tokens } => {
                        let longest = order.entry(*key).or_default();
                        let (short, long) = if tokens.len() <= longest.len() {
                            (tokens.as_slice(), longest.as_slice())
                        } else {
                            (longest.as_slice(), tokens.as_slice())
                        };
                        if !long.starts_with(short) {
                            return Err(format!("key {key} was read as {short:?} and as {long:?}"));
                        }
                        if tokens.len() > longest.len() {
                            longest.clone_from(tokens);
                        }
                    }
                }
            }
        }
        let versions = Versions { order, writer };
        versions.each_append_once(history)?;
        Ok(versions)
    }

    /// Fails if an append is missing from the longest read of its key, or is in it twice.
    fn each_append_once(&self, history: &[Transaction]) -> Result<(), String> {
        let mut times: HashMap<(u32, u64), u32> = HashMap::new();
        for (key, tokens) in &self.order {
            tokens.iter().for_each(|token| *times.entry((*key, *token)).or_default() += 1);
        }
        if let Some(((key, token), count)) = times.iter().find(|(_, count)| **count > 1) {
            return Err(format!("token {token} is {count} times in key {key}"));
        }
        for (index, transaction) in history.iter().enumerate() {
            for operation in &transaction.operations {
                if let Operation::Append { key, token } = operation
                    && !times.contains_key(&(*key, *token))
                {
                    return Err(format!(
                        "transaction {index} appended {token} to key {key}: it is lost"
                    ));
                }
            }
        }
        Ok(())
    }

    fn edges(&self, history: &[Transaction], graph: &mut Graph) -> Result<(), String> {
        for (key, tokens) in &self.order {
            for pair in tokens.windows(2) {
                let (first, second) = (self.writer(pair[0])?, self.writer(pair[1])?);
                graph.add(first, second, Reason::WroteBefore(*key));
            }
        }
        for (index, transaction) in history.iter().enumerate() {
            self.reads_of(index, transaction, graph)?;
        }
        Ok(())
    }

    /// Edges of the reads of one transaction. It sees its own appends, so what it read from
    /// others ends where its own begin.
    fn reads_of(
        &self,
        index: usize,
        transaction: &Transaction,
        graph: &mut Graph,
    ) -> Result<(), String> {
        let mut own: HashMap<u32, Vec<u64>> = HashMap::new();
        for operation in &transaction.operations {
            match operation {
                Operation::Append { key, token } => own.entry(*key).or_default().push(*token),
                Operation::Read { key, tokens } => {
                    let mine = own.get(key).map(Vec::as_slice).unwrap_or_default();
                    if !tokens.ends_with(mine) {
                        return Err(format!(
                            "transaction {index} appended {mine:?} to key {key} and then read {tokens:?}"
                        ));
                    }
                    let seen = tokens.len() - mine.len();
                    if let Some(last) = tokens[..seen].last() {
                        graph.add(self.writer(*last)?, index, Reason::ReadFrom(*key));
                    }
                    let next = self.order.get(key).and_then(|order| order.get(tokens.len()));
                    if let Some(next) = next {
                        graph.add(index, self.writer(*next)?, Reason::ReadBeforeWrite(*key));
                    }
                }
            }
        }
        Ok(())
    }

    fn writer(&self, token: u64) -> Result<usize, String> {
        let writer = self.writer.get(&token).copied();
        writer.ok_or_else(|| format!("token {token} was read and written by nobody who succeeded"))
    }
}

/// Adds an edge from each transaction to those that began after it ended. A chain of nodes, one
/// for each end, stands for time, so that the number of edges stays linear.
fn real_time(history: &[Transaction], graph: &mut Graph) {
    let mut by_end: Vec<usize> = (0..history.len()).collect();
    by_end.sort_unstable_by_key(|&index| history[index].ended);
    let chain = graph.grow(history.len());
    for (place, &index) in by_end.iter().enumerate() {
        graph.add(index, chain + place, Reason::RealTime);
        if place > 0 {
            graph.add(chain + place - 1, chain + place, Reason::RealTime);
        }
    }
    for (index, transaction) in history.iter().enumerate() {
        let ended = by_end.partition_point(|&other| history[other].ended < transaction.began);
        if ended > 0 {
            graph.add(chain + ended - 1, index, Reason::RealTime);
        }
    }
}

struct Graph {
    edges: Vec<Vec<(usize, Reason)>>,
}

impl Graph {
    fn new(nodes: usize) -> Graph {
        Graph { edges: vec![Vec::new(); nodes] }
    }

    /// Adds `more` nodes and returns the number of the first.
    fn grow(&mut self, more: usize) -> usize {
        let first = self.edges.len();
        self.edges.resize(first + more, Vec::new());
        first
    }

    fn add(&mut self, from: usize, to: usize, reason: Reason) {
        if from != to {
            self.edges[from].push((to, reason));
        }
    }

    /// A shortest cycle through some node that lies on one, as nodes and the reasons for the
    /// edges that leave them.
    fn cycle(&self) -> Option<Vec<(usize, Reason)>> {
        let leftover = self.on_or_behind_cycles()?;
        let starts = (0..self.edges.len()).filter(|&node| leftover[node]);
        starts.take(2_000).filter_map(|node| self.way_back(node, &leftover)).min_by_key(Vec::len)
    }

    /// Removes nodes without predecessors until none is left: what remains lies on cycles or
    /// behind them.
    fn on_or_behind_cycles(&self) -> Option<Vec<bool>> {
        let mut incoming = vec![0_usize; self.edges.len()];
        for (to, _) in self.edges.iter().flatten() {
            incoming[*to] += 1;
        }
        let mut free: Vec<usize> =
            (0..incoming.len()).filter(|&node| incoming[node] == 0).collect();
        let mut left = vec![true; incoming.len()];
        while let Some(node) = free.pop() {
            left[node] = false;
            for (to, _) in &self.edges[node] {
                incoming[*to] -= 1;
                if incoming[*to] == 0 {
                    free.push(*to);
                }
            }
        }
        left.contains(&true).then_some(left)
    }

    /// Breadth first from `start` back to itself.
    fn way_back(&self, start: usize, within: &[bool]) -> Option<Vec<(usize, Reason)>> {
        let mut from: HashMap<usize, (usize, Reason)> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for &(to, reason) in &self.edges[node] {
                if within[to] && !from.contains_key(&to) {
                    from.insert(to, (node, reason));
                    queue.push_back(to);
                }
            }
            if from.contains_key(&start) {
                break;
            }
        }
        let mut cycle = Vec::new();
        let mut at = start;
        loop {
            let &(before, reason) = from.get(&at)?;
            cycle.push((before, reason));
            at = before;
            if at == start {
                cycle.reverse();
                return Some(cycle);
            }
        }
    }
}

fn describe(history: &[Transaction], cycle: &[(usize, Reason)]) -> String {
    let mut text = String::from(
        "these transactions each come before the next, and the last before the first:\n",
    );
    for (node, reason) in cycle {
        // Nodes behind the transactions stand for moments.
        if let Some(transaction) = history.get(*node) {
            let _ = writeln!(
                text,
                "  T{node} of client {}, {}..{} ns: {} [then {reason:?}]",
                transaction.client,
                transaction.began,
                transaction.ended,
                brief(&transaction.operations)
            );
        }
    }
    text
}

/// Operations with long reads cut down to their ends.
fn brief(operations: &[Operation]) -> String {
    let one = |operation: &Operation| match operation {
        Operation::Append { key, token } => format!("append {token} to {key}"),
        Operation::Read { key, tokens } => {
            format!("read {key}: {} tokens, the last {:?}", tokens.len(), tokens.last())
        }
    };
    operations.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(key: u32, token: u64) -> Operation {
        Operation::Append { key, token }
    }

    fn read(key: u32, tokens: &[u64]) -> Operation {
        Operation::Read { key, tokens: tokens.to_vec() }
    }

    fn at(began: u64, ended: u64, operations: Vec<Operation>) -> Transaction {
        Transaction { client: 0, began, ended, operations, after: Vec::new() }
    }

    #[test]
    fn a_serial_history_passes() {
        let history = vec![
            at(0, 1, vec![append(1, 10), append(2, 20)]),
            at(2, 3, vec![read(1, &[10]), append(1, 11), read(1, &[10, 11])]),
            at(4, 5, vec![read(1, &[10, 11]), read(2, &[20])]),
        ];
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn concurrent_transactions_may_take_effect_in_either_order() {
        let history = vec![
            at(0, 9, vec![append(1, 10)]),
            at(0, 9, vec![append(1, 11)]),
            at(0, 9, vec![read(1, &[11])]),
            at(10, 11, vec![read(1, &[11, 10])]),
        ];
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn a_torn_write_is_found() {
        let history = vec![
            at(0, 9, vec![append(1, 10), append(2, 20)]),
            at(0, 9, vec![read(1, &[10]), read(2, &[])]),
            at(10, 11, vec![read(1, &[10]), read(2, &[20])]),
        ];
        assert!(check(&history).is_err());
    }

    #[test]
    fn write_skew_is_found() {
        let history = vec![
            at(0, 9, vec![read(1, &[]), append(2, 20)]),
            at(0, 9, vec![read(2, &[]), append(1, 10)]),
            at(10, 11, vec![read(1, &[10]), read(2, &[20])]),
        ];
        assert!(check(&history).is_err());
    }

    #[test]
    fn a_stale_read_is_found_by_real_time_alone() {
        let history = vec![
            at(0, 1, vec![append(1, 10)]),
            at(2, 3, vec![read(1, &[])]),
            at(4, 5, vec![read(1, &[10])]),
        ];
        assert!(check(&history).is_err());
    }

    #[test]
    fn a_lost_append_is_found() {
        let lost = vec![at(0, 1, vec![append(1, 10)]), at(2, 3, vec![read(1, &[])])];
        assert!(check(&lost).is_err());
        let twice = vec![at(0, 1, vec![append(1, 10)]), at(2, 3, vec![read(1, &[10, 10])])];
        assert!(check(&twice).is_err());
        let history = vec![
            at(0, 1, vec![append(1, 10)]),
            at(2, 3, vec![append(1, 11)]),
            at(4, 5, vec![read(1, &[11])]),
            at(6, 7, vec![read(1, &[10])]),
        ];
        assert!(check(&history).is_err());
    }

    #[test]
    fn order_within_a_pipeline_is_kept() {
        let mut second = at(0, 9, vec![append(2, 20)]);
        second.after.push(0);
        let history = vec![
            at(0, 9, vec![append(1, 10)]),
            second,
            at(0, 9, vec![read(2, &[20]), read(1, &[])]),
            at(10, 11, vec![read(1, &[10]), read(2, &[20])]),
        ];
        assert!(check(&history).is_err());
    }

    #[test]
    fn a_token_of_a_refused_transaction_is_found() {
        let history = vec![at(0, 1, vec![read(1, &[99])])];
        assert!(check(&history).is_err());
    }
}
