//! Shortest cycles of a directed graph.

use std::collections::{BTreeMap, VecDeque};

/// A directed graph whose edges say why.
#[derive(Default)]
pub(crate) struct Graph {
    edges: Vec<Vec<(usize, &'static str)>>,
}

impl Graph {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { edges: vec![Vec::new(); nodes] }
    }

    pub(crate) fn add_node(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.edges.len() - 1
    }

    pub(crate) fn add(&mut self, from: usize, to: usize, why: &'static str) {
        if from != to {
            self.edges[from].push((to, why));
        }
    }

    /// A cycle with as few nodes as there are in any, as its edges `(from, why)`.
    pub(crate) fn shortest_cycle(&self) -> Option<Vec<(usize, &'static str)>> {
        let on_cycles = self.on_cycles();
        let mut best: Option<Vec<(usize, &'static str)>> = None;
        for start in (0..self.edges.len()).filter(|&node| on_cycles[node]) {
            let limit = best.as_ref().map_or(usize::MAX, Vec::len);
            if limit == 2 {
                break;
            }
            best = self.cycle_through(start, &on_cycles, limit).or(best);
        }
        best
    }

    /// Which nodes remain when those without predecessors, and then those without successors,
    /// are taken away again and again. None: there is no cycle.
    fn on_cycles(&self) -> Vec<bool> {
        let reversed = self.reversed();
        let forward = peel(&self.edges, &vec![true; self.edges.len()]);
        if forward.iter().any(|&left| left) { peel(&reversed, &forward) } else { forward }
    }

    fn reversed(&self) -> Vec<Vec<(usize, &'static str)>> {
        let mut reversed = vec![Vec::new(); self.edges.len()];
        for (from, edges) in self.edges.iter().enumerate() {
            for &(to, why) in edges {
                reversed[to].push((from, why));
            }
        }
        reversed
    }

    /// The shortest cycle through `start`, if it has less than `limit` nodes.
    fn cycle_through(
        &self,
        start: usize,
        among: &[bool],
        limit: usize,
    ) -> Option<Vec<(usize, &'static str)>> {
        let mut came: BTreeMap<usize, (usize, &'static str)> = BTreeMap::new();
        let mut queue = VecDeque::from([(start, 1)]);
        while let Some((node, nodes)) = queue.pop_front() {
            if nodes >= limit {
                return None;
            }
            for &(to, why) in &self.edges[node] {
                if !among[to] || came.contains_key(&to) {
                    continue;
                }
                came.insert(to, (node, why));
                if to == start {
                    return Some(walk_back(&came, start));
                }
                queue.push_back((to, nodes + 1));
            }
        }
        None
    }
}

fn walk_back(
    came: &BTreeMap<usize, (usize, &'static str)>,
    start: usize,
) -> Vec<(usize, &'static str)> {
    let mut cycle = Vec::new();
    let mut at = start;
    while let Some(&(from, why)) = came.get(&at) {
        cycle.push((from, why));
        at = from;
        if at == start {
            break;
        }
    }
    cycle.reverse();
    cycle
}

/// Takes away nodes without predecessors until none is left that has none.
fn peel(edges: &[Vec<(usize, &'static str)>], among: &[bool]) -> Vec<bool> {
    let mut left = among.to_vec();
    let mut predecessors = vec![0_usize; edges.len()];
    for (from, edges) in edges.iter().enumerate() {
        for &(to, _) in edges {
            predecessors[to] += usize::from(left[from]);
        }
    }
    let mut free: Vec<usize> =
        (0..edges.len()).filter(|&node| left[node] && predecessors[node] == 0).collect();
    while let Some(node) = free.pop() {
        left[node] = false;
        for &(to, _) in &edges[node] {
            predecessors[to] -= 1;
            if left[to] && predecessors[to] == 0 {
                free.push(to);
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(usize, usize)]) -> Graph {
        let nodes = edges.iter().map(|&(a, b)| a.max(b) + 1).max().unwrap_or(0);
        let mut graph = Graph::new(nodes);
        for &(from, to) in edges {
            graph.add(from, to, "e");
        }
        graph
    }

    #[test]
    fn a_graph_without_cycles_has_none() {
        assert!(graph(&[(0, 1), (1, 2), (0, 2), (3, 2)]).shortest_cycle().is_none());
    }

    #[test]
    fn the_shortest_cycle_is_found() {
        let graph = graph(&[(0, 1), (1, 2), (2, 3), (3, 0), (3, 4), (4, 3), (5, 0), (4, 6)]);
        let mut nodes: Vec<usize> =
            graph.shortest_cycle().unwrap().into_iter().map(|(node, _)| node).collect();
        nodes.sort_unstable();
        assert_eq!(nodes, [3, 4]);
    }
}
