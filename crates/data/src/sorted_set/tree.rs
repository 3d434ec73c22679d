//! An ordered sequence with ranks: a B+-tree whose inner nodes count what lies below them.
//!
//! The order is the caller's: whoever looks for a place says how an item compares with it. Every
//! operation touches a path of nodes and their neighbours, so none takes long at any size.

use std::cmp::Ordering;
use std::ops::Range;

/// Items of a full leaf: 1 KiB of 16-byte items, which is a size class of the allocator.
pub(super) const LEAF_MAX: usize = 64;
/// Children of a full inner node.
const INNER_MAX: usize = 32;
/// Items and children with which a bulk-built node begins: there is room for some more.
const LEAF_FILL: usize = 56;
const INNER_FILL: usize = 28;

/// A sequence of small items with O(log n) access by rank and by order.
#[derive(Debug)]
pub(super) struct Tree<T> {
    root: Node<T>,
    len: usize,
    nodes: Nodes,
}

/// How many nodes there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Nodes {
    leaves: usize,
    inner: usize,
}

/// All leaves are at the same depth. No node but an empty tree's root is empty.
#[derive(Debug)]
enum Node<T> {
    Leaf(Vec<T>),
    Inner(Vec<Child<T>>),
}

#[derive(Debug)]
struct Child<T> {
    /// The first item below: so the way down is found without looking into the children.
    first: T,
    /// Number of items below.
    count: usize,
    node: Node<T>,
}

/// Whether a node is the first, and whether it is the last one of its depth.
#[derive(Clone, Copy)]
struct Edge {
    first: bool,
    last: bool,
}

impl<T: Copy> Node<T> {
    /// Number of items or children.
    fn width(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(children) => children.len(),
        }
    }

    /// Number of items below.
    fn count(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    fn first(&self) -> Option<T> {
        match self {
            Node::Leaf(items) => items.first().copied(),
            Node::Inner(children) => children.first().map(|child| child.first),
        }
    }

    /// Below these widths a node shares with a neighbour, and up to those it becomes one with it.
    fn widths(&self) -> (usize, usize) {
        match self {
            Node::Leaf(_) => (LEAF_MAX / 4, LEAF_MAX * 3 / 4),
            Node::Inner(_) => (INNER_MAX / 4, INNER_MAX * 3 / 4),
        }
    }

    /// Puts an item at the place that `order` tells; what had to be split off behind this node.
    fn insert(
        &mut self,
        item: T,
        order: &impl Fn(&T) -> Ordering,
        edge: Edge,
        nodes: &mut Nodes,
    ) -> Option<Node<T>> {
        let before = |held: &T| order(held) == Ordering::Less;
        match self {
            Node::Leaf(items) => {
                let at = items.partition_point(before);
                let split = insert_into(items, at, item, LEAF_MAX, edge)?;
                nodes.leaves += 1;
                Some(Node::Leaf(split))
            }
            Node::Inner(children) => {
                let at = children.partition_point(|child| before(&child.first)).saturating_sub(1);
                let last = at + 1 == children.len();
                let below = Edge { first: edge.first && at == 0, last: edge.last && last };
                let child = children.get_mut(at)?;
                let split = child.node.insert(item, order, below, nodes);
                child.count += 1;
                child.first = child.node.first()?;
                let split = Child::of(split?)?;
                child.count -= split.count;
                let split = insert_into(children, at + 1, split, INNER_MAX, edge)?;
                nodes.inner += 1;
                Some(Node::Inner(split))
            }
        }
    }

    /// Removes up to `most` items that lie in one leaf, from the one that `seek` finds on; how
    /// many it were.
    fn remove(
        &mut self,
        seek: &mut impl Seek<T>,
        most: usize,
        taken: &mut impl FnMut(T),
        nodes: &mut Nodes,
    ) -> usize {
        match self {
            Node::Leaf(items) => {
                let Some(at) = seek.item(items) else { return 0 };
                let end = items.len().min(at.saturating_add(most));
                items.drain(at..end).for_each(taken);
                end - at
            }
            Node::Inner(children) => {
                let at = seek.child(children);
                let Some(child) = children.get_mut(at) else { return 0 };
                let removed = child.node.remove(seek, most, taken, nodes);
                if removed > 0 {
                    settle(children, at, removed, nodes);
                }
                removed
            }
        }
    }

    /// Drops the last leaf, and nodes that are empty then; how many items it had.
    fn pop_leaf(&mut self, nodes: &mut Nodes) -> usize {
        match self {
            Node::Leaf(items) => std::mem::take(items).len(),
            Node::Inner(children) => {
                let Some(last) = children.last_mut() else { return 0 };
                let popped = last.node.pop_leaf(nodes);
                last.count -= popped;
                if last.count == 0
                    && let Some(empty) = children.pop()
                {
                    nodes.forget(&empty.node);
                }
                popped
            }
        }
    }
}

impl<T: Copy> Child<T> {
    /// A node as a child; none if it is empty.
    fn of(node: Node<T>) -> Option<Self> {
        Some(Child { first: node.first()?, count: node.count(), node })
    }
}

impl Nodes {
    fn forget<T>(&mut self, node: &Node<T>) {
        match node {
            Node::Leaf(_) => self.leaves -= 1,
            Node::Inner(_) => self.inner -= 1,
        }
    }
}

/// Inserts into the items or children of a node. A full one is cut in two, whose second part comes
/// back: in the middle; but at the ends of the tree such that what comes in ascending or
/// descending order fills its nodes.
fn insert_into<E>(node: &mut Vec<E>, at: usize, item: E, max: usize, edge: Edge) -> Option<Vec<E>> {
    if node.len() < max {
        node.reserve_exact(max - node.len());
        node.insert(at, item);
        return None;
    }
    let cut = match at {
        0 if edge.first => 0,
        at if at == max && edge.last => max,
        _ => max / 2,
    };
    let mut split = Vec::with_capacity(max);
    split.extend(node.drain(cut..));
    if at < cut || cut == 0 {
        node.insert(at, item);
    } else {
        split.insert(at - cut, item);
    }
    Some(split)
}

/// Brings a node up to date after `removed` items below its child `at` have gone.
fn settle<T: Copy>(children: &mut Vec<Child<T>>, at: usize, removed: usize, nodes: &mut Nodes) {
    let child = &mut children[at];
    child.count -= removed;
    match child.node.first() {
        None => nodes.forget(&children.remove(at).node),
        Some(first) => {
            child.first = first;
            if child.node.width() < child.node.widths().0 {
                even_out(children, at, nodes);
            }
        }
    }
}

/// Joins a narrow child with a neighbour, or gives both the same width.
fn even_out<T: Copy>(children: &mut Vec<Child<T>>, at: usize, nodes: &mut Nodes) {
    let left = if at + 1 < children.len() { at } else { at.wrapping_sub(1) };
    let Some([one, other]) = children.get_mut(left..).and_then(|rest| rest.first_chunk_mut())
    else {
        return;
    };
    let joined = one.node.width() + other.node.width() <= one.node.widths().1;
    match (&mut one.node, &mut other.node) {
        (Node::Leaf(left), Node::Leaf(right)) => balance(left, right, joined),
        (Node::Inner(left), Node::Inner(right)) => balance(left, right, joined),
        _ => return,
    }
    one.count = one.node.count();
    other.count = other.node.count();
    match other.node.first() {
        Some(first) => other.first = first,
        None => nodes.forget(&children.remove(left + 1).node),
    }
}

/// Moves everything to the left, or as much as makes both sides alike.
fn balance<E>(left: &mut Vec<E>, right: &mut Vec<E>, joined: bool) {
    let half = (left.len() + right.len()) / 2;
    if joined {
        left.append(right);
    } else if left.len() < half {
        left.extend(right.drain(..half - left.len()));
    } else {
        right.splice(..0, left.drain(half..));
    }
}

/// How the way to an item is found.
trait Seek<T> {
    /// The child in which it lies.
    fn child(&mut self, children: &[Child<T>]) -> usize;
    /// Its place in the leaf, if it is there.
    fn item(&mut self, items: &[T]) -> Option<usize>;
}

/// By its rank.
struct Rank(usize);

impl<T> Seek<T> for Rank {
    fn child(&mut self, children: &[Child<T>]) -> usize {
        let mut at = 0;
        while at + 1 < children.len() && self.0 >= children[at].count {
            self.0 -= children[at].count;
            at += 1;
        }
        at
    }

    fn item(&mut self, items: &[T]) -> Option<usize> {
        (self.0 < items.len()).then_some(self.0)
    }
}

/// By how items compare with it.
struct Order<F>(F);

impl<T, F: Fn(&T) -> Ordering> Seek<T> for Order<F> {
    fn child(&mut self, children: &[Child<T>]) -> usize {
        let up_to_it = |child: &Child<T>| (self.0)(&child.first) != Ordering::Greater;
        children.partition_point(up_to_it).saturating_sub(1)
    }

    fn item(&mut self, items: &[T]) -> Option<usize> {
        items.binary_search_by(&self.0).ok()
    }
}

impl<T: Copy> Default for Tree<T> {
    fn default() -> Self {
        Tree { root: Node::Leaf(Vec::new()), len: 0, nodes: Nodes { leaves: 1, inner: 0 } }
    }
}

impl<T: Copy> Tree<T> {
    /// A tree of items that come in its order.
    pub(super) fn from_sorted(items: impl IntoIterator<Item = T>) -> Self {
        let mut items = items.into_iter();
        let (mut level, mut nodes, mut len) = (Vec::new(), Nodes::default(), 0);
        loop {
            let mut leaf = Vec::with_capacity(LEAF_MAX);
            leaf.extend(items.by_ref().take(LEAF_FILL));
            len += leaf.len();
            let Some(child) = Child::of(Node::Leaf(leaf)) else { break };
            nodes.leaves += 1;
            level.push(child);
        }
        while level.len() > 1 {
            let mut children = level.into_iter();
            level = Vec::with_capacity(children.len().div_ceil(INNER_FILL));
            loop {
                let mut inner = Vec::with_capacity(INNER_MAX);
                inner.extend(children.by_ref().take(INNER_FILL));
                let Some(child) = Child::of(Node::Inner(inner)) else { break };
                nodes.inner += 1;
                level.push(child);
            }
        }
        match level.pop() {
            Some(Child { node: root, .. }) => Tree { root, len, nodes },
            None => Self::default(),
        }
    }

    /// Number of items.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Number of nodes, each a block of memory.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.leaves + self.nodes.inner
    }

    /// Bytes held from the allocator.
    pub(super) fn memory(&self) -> usize {
        let leaf = const { crate::allocated(LEAF_MAX * size_of::<T>()) };
        let inner = const { crate::allocated(INNER_MAX * size_of::<Child<T>>()) };
        self.nodes.leaves * leaf + self.nodes.inner * inner
    }

    /// Inserts an item; `order` tells how another compares with it, and none is equal.
    pub(super) fn insert(&mut self, item: T, order: impl Fn(&T) -> Ordering) {
        let edge = Edge { first: true, last: true };
        self.len += 1;
        let Some(split) = self.root.insert(item, &order, edge, &mut self.nodes) else { return };
        let root = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
        let mut children = Vec::with_capacity(INNER_MAX);
        children.extend([root, split].into_iter().filter_map(Child::of));
        self.nodes.inner += 1;
        self.root = Node::Inner(children);
    }

    /// Removes the item to which `order` says that it is equal; whether there was one.
    pub(super) fn remove(&mut self, order: impl Fn(&T) -> Ordering) -> bool {
        self.remove_some(Order(order), 1, &mut |_| ()) > 0
    }

    /// Removes up to `most` items from the one with a rank on, as far as its leaf goes; how many.
    pub(super) fn remove_run(
        &mut self,
        rank: usize,
        most: usize,
        mut taken: impl FnMut(T),
    ) -> usize {
        self.remove_some(Rank(rank), most, &mut taken)
    }

    fn remove_some(
        &mut self,
        mut seek: impl Seek<T>,
        most: usize,
        taken: &mut impl FnMut(T),
    ) -> usize {
        let removed = self.root.remove(&mut seek, most, taken, &mut self.nodes);
        self.len -= removed;
        self.lower();
        removed
    }

    /// Drops levels with a single child at the top.
    fn lower(&mut self) {
        while let Node::Inner(children) = &mut self.root
            && children.len() <= 1
        {
            let below = children.pop().map(|child| child.node);
            self.nodes.inner -= 1;
            self.nodes.leaves += usize::from(below.is_none());
            self.root = below.unwrap_or(Node::Leaf(Vec::new()));
        }
    }

    /// Drops up to `budget` leaves with their items; how many.
    pub(super) fn clear_slice(&mut self, budget: usize) -> usize {
        let mut leaves = 0;
        while leaves < budget && self.len > 0 {
            self.len -= self.root.pop_leaf(&mut self.nodes);
            self.lower();
            leaves += 1;
        }
        leaves
    }

    /// How many items lie in front of the first one of which `before` does not hold. It must hold
    /// of no item behind that one.
    pub(super) fn partition_point(&self, before: impl Fn(&T) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(items) => return rank + items.partition_point(&before),
                Node::Inner(children) => {
                    let at = children.partition_point(|child| before(&child.first));
                    let at = at.saturating_sub(1);
                    rank += children[..at].iter().map(|child| child.count).sum::<usize>();
                    let Some(child) = children.get(at) else { return rank };
                    node = &child.node;
                }
            }
        }
    }

    /// The leaf of the item with a rank, which is below [`len`](Self::len), and its place there.
    fn leaf(&self, rank: usize) -> (&[T], usize) {
        let (mut node, mut seek) = (&self.root, Rank(rank));
        loop {
            match node {
                Node::Leaf(items) => return (items, seek.0),
                Node::Inner(children) => {
                    let at = seek.child(children);
                    let Some(child) = children.get(at) else { return (&[], 0) };
                    node = &child.node;
                }
            }
        }
    }

    /// The items with these ranks, from both ends.
    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_, T> {
        let end = ranks.end.min(self.len);
        Iter { tree: self, ranks: ranks.start.min(end)..end, front: &[], back: &[] }
    }
}

/// Items by their ranks.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a, T> {
    tree: &'a Tree<T>,
    /// What is still to come.
    ranks: Range<usize>,
    /// The next items from the front, as far as their leaf goes; perhaps beyond the end.
    front: &'a [T],
    /// The next items from the back.
    back: &'a [T],
}

impl<T: Copy> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.front.is_empty() {
            let (items, at) = self.tree.leaf(self.ranks.start);
            self.front = items.get(at..)?;
        }
        let (item, rest) = self.front.split_first()?;
        self.front = rest;
        self.ranks.start += 1;
        Some(*item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ranks.len(), Some(self.ranks.len()))
    }
}

impl<T: Copy> DoubleEndedIterator for Iter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.back.is_empty() {
            let (items, at) = self.tree.leaf(self.ranks.end - 1);
            self.back = items.get(..=at)?;
        }
        let (item, rest) = self.back.split_last()?;
        self.back = rest;
        self.ranks.end -= 1;
        Some(*item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    impl Tree<u32> {
        fn add(&mut self, item: u32) {
            self.insert(item, |held| held.cmp(&item));
        }

        /// Checks every count, every first item, every width and the depth.
        fn assert_sound(&self) {
            let mut met = Nodes::default();
            let (count, _) = assert_node(&self.root, &mut met);
            assert_eq!((count, met), (self.len, self.nodes));
            assert!(self.range(0..self.len).is_sorted());
        }
    }

    /// Number of items and height.
    fn assert_node(node: &Node<u32>, met: &mut Nodes) -> (usize, usize) {
        match node {
            Node::Leaf(items) => {
                met.leaves += 1;
                assert!(items.len() <= LEAF_MAX && items.capacity() <= LEAF_MAX);
                (items.len(), 0)
            }
            Node::Inner(children) => {
                met.inner += 1;
                assert!(!children.is_empty() && children.len() <= INNER_MAX);
                assert!(children.capacity() <= INNER_MAX);
                let mut heights = Vec::new();
                for child in children {
                    let (count, height) = assert_node(&child.node, met);
                    assert!(count > 0 && count == child.count);
                    assert_eq!(Some(child.first), child.node.first());
                    heights.push(height);
                }
                assert!(heights.iter().all(|height| *height == heights[0]));
                (children.iter().map(|child| child.count).sum(), heights[0] + 1)
            }
        }
    }

    const MANY: u32 = if cfg!(miri) { 700 } else { 20_000 };

    fn fill(items: impl Iterator<Item = u32>) -> f64 {
        let mut tree = Tree::default();
        items.for_each(|item| tree.add(item));
        tree.assert_sound();
        assert!(tree.range(0..MANY as usize).eq(0..MANY));
        tree.len() as f64 / (tree.nodes.leaves * LEAF_MAX) as f64
    }

    #[test]
    fn ascending_and_descending_items_fill_their_leaves() {
        assert!(fill(0..MANY) > 0.9);
        assert!(fill((0..MANY).rev()) > 0.9);
        // Any other order: 9,973 has no divisor in common with the number of items.
        assert!(fill((0..MANY).map(|item| item * 9_973 % MANY)) > 0.6);
    }

    #[test]
    fn what_is_removed_at_random_gives_its_memory_back() {
        let mut tree = Tree::from_sorted(0..MANY);
        for item in (0..MANY).filter(|item| item % 16 != 0) {
            assert!(tree.remove(|held| held.cmp(&item)));
            assert!(!tree.remove(|held| held.cmp(&item)));
        }
        tree.assert_sound();
        assert!(tree.nodes.leaves <= tree.len() / (LEAF_MAX / 4) + 1);
        assert!(tree.range(0..tree.len()).eq((0..MANY).step_by(16)));
    }

    #[test]
    fn slices_clear_leaf_by_leaf() {
        let mut tree = Tree::from_sorted(0..MANY);
        let mut left = tree.nodes.leaves;
        while tree.len() > 0 {
            assert_eq!(tree.clear_slice(3), left.min(3));
            left = left.saturating_sub(3);
            tree.assert_sound();
        }
        assert_eq!((tree.clear_slice(3), tree.nodes()), (0, 1));
        tree.add(1);
        tree.assert_sound();
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(Vec<u32>),
        Remove(Vec<u32>),
        RemoveRuns(usize, usize),
        Rebuild,
    }

    fn step() -> impl Strategy<Value = Step> {
        let items = || prop::collection::vec(0_u32..3_000, 0..200);
        let run = (0_u32..3_000, 0_u32..150).prop_map(|(from, len)| (from..from + len).collect());
        let down = (0_u32..3_000, 0_u32..150)
            .prop_map(|(from, len)| (from..from + len).rev().collect::<Vec<_>>());
        prop_oneof![
            items().prop_map(Step::Insert),
            run.prop_map(Step::Insert),
            down.prop_map(Step::Insert),
            items().prop_map(Step::Remove),
            (0_usize..2_000, 0_usize..300).prop_map(|(from, len)| Step::RemoveRuns(from, len)),
            Just(Step::Rebuild),
        ]
    }

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 2 } else { 200 },
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..Config::default()
        })]

        #[test]
        fn a_tree_is_a_sorted_vector(
            steps in prop::collection::vec(step(), 1..if cfg!(miri) { 6 } else { 30 }),
            from in 0_usize..3_000,
            len in 0_usize..500,
        ) {
            let (mut tree, mut model) = (Tree::default(), Vec::<u32>::new());
            for step in steps {
                match step {
                    Step::Insert(items) => for item in items {
                        if let Err(at) = model.binary_search(&item) {
                            model.insert(at, item);
                            tree.add(item);
                        }
                    },
                    Step::Remove(items) => for item in items {
                        let found = model.binary_search(&item);
                        prop_assert_eq!(tree.remove(|held| held.cmp(&item)), found.is_ok());
                        found.map(|at| model.remove(at)).ok();
                    },
                    Step::RemoveRuns(from, len) => {
                        let end = (from + len).min(model.len());
                        let expected: Vec<_> = model.drain(from.min(end)..end).collect();
                        let mut taken = Vec::new();
                        while taken.len() < len
                            && tree.remove_run(from, len - taken.len(), |item| taken.push(item)) > 0
                        {}
                        prop_assert_eq!(taken, expected);
                    }
                    Step::Rebuild => tree = Tree::from_sorted(model.iter().copied()),
                }
                tree.assert_sound();
                prop_assert_eq!(tree.len(), model.len());
            }
            let end = (from + len).min(model.len());
            let part = &model[from.min(end)..end];
            prop_assert!(tree.range(from..from + len).eq(part.iter().copied()));
            prop_assert!(tree.range(from..from + len).rev().eq(part.iter().rev().copied()));
            let (mut both, mut ends) = (tree.range(from..from + len), Vec::new());
            while let Some(item) = both.next() {
                ends.push(item);
                ends.extend(both.next_back());
            }
            ends.sort_unstable();
            prop_assert_eq!(&ends[..], part);
            for item in [0, from as u32, 3_200] {
                let below = model.partition_point(|held| *held < item);
                prop_assert_eq!(tree.partition_point(|held| *held < item), below);
                prop_assert_eq!(tree.range(below..below + 1).next(), model.get(below).copied());
            }
        }
    }
}
