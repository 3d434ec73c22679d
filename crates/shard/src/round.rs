//! One round of a turn: the commands that were read together, and the plan by which they run.
//!
//! Of each connection a round holds one *chunk*, its next commands in order. A chunk is divided
//! into *components*, sets of commands that must run together: commands on the same store, those
//! joined by a command on several stores, and (unless the user relaxes it) all its writes. A
//! component runs at once with all its stores held, so
//!
//! - what one connection sends for one store runs in order;
//! - no write of a connection is visible before an earlier one of the same connection: its writes
//!   run under boxes that are held together;
//! - a command that names several keys, or ends a transaction, runs after all earlier ones;
//! - reads of other stores are free to run before or after.
//!
//! Components on one store are gathered over all connections: the box is taken once for them.

use crate::door::StoreId;
use crate::service::ConnId;
use crate::work::{Item, Job, Material, Piece, StoreSet};
use crate::world::Paused;
use kevy_command::Output;

/// Most commands in a chunk; also bounds how long a component holds its stores.
pub(crate) const CHUNK_ITEMS: usize = 256;

/// Where the bytes of a chunk lie.
#[derive(Debug)]
pub(crate) enum Source {
    /// In the buffer of this event of the turn.
    Event(usize),
    /// In the connection's own input, taken out of it for the round.
    Input(Vec<u8>),
}

/// The next commands of one connection.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) conn: ConnId,
    pub(crate) source: Source,
    pub(crate) first: usize,
    pub(crate) end: usize,
    /// Batches with commands of it that wait at doors.
    pub(crate) missing: u32,
    /// Whether replies are written straight to the connection's output: while its commands form
    /// one component and none of them waits at a door.
    pub(crate) direct: bool,
    /// The first item whose reply is not in the output.
    pub(crate) emitted: usize,
    /// Up to where the bytes have become commands.
    pub(crate) consumed: usize,
    pub(crate) why: Why,
}

/// Why a chunk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// No complete command is left.
    Drained,
    /// The next command has to wait until those before it have run, or for the next round.
    GoOn,
    /// `CLIENT PAUSE` holds the next command back, having suspended this.
    Paused(Paused),
    /// A reply waits for all shards.
    Barrier,
    /// No more commands are taken from the connection.
    Closed,
}

impl Chunk {
    /// The bytes of the commands.
    pub(crate) fn bytes<'a>(&'a self, events: &[crate::service::Event<'a>]) -> &'a [u8] {
        match &self.source {
            Source::Input(bytes) => bytes,
            Source::Event(at) => match events.get(*at) {
                Some(crate::service::Event::Received(_, bytes)) => bytes,
                _ => &[],
            },
        }
    }
}

/// Names an item of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemRef {
    pub(crate) chunk: u32,
    pub(crate) item: u32,
}

/// Commands that need the same several stores.
#[derive(Debug, Default)]
pub(crate) struct JointGroup {
    pub(crate) stores: Vec<StoreId>,
    pub(crate) items: Vec<ItemRef>,
}

/// The commands of a round and their plan. All memory is kept from round to round.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) items: Vec<Item>,
    pub(crate) material: Material,
    /// The lists of [`StoreSet::Many`].
    pub(crate) stores: Vec<StoreId>,
    /// Replies that do not go straight to an output.
    pub(crate) scratch: Output,
    /// For each store, the items that need it alone.
    pub(crate) groups: Vec<Vec<ItemRef>>,
    pub(crate) joints: Vec<JointGroup>,
    joints_used: usize,
    /// Where the components of the chunk being planned go.
    targets: Vec<Target>,
    unions: Unions,
}

impl Round {
    pub(crate) fn new(stores: usize) -> Self {
        Self {
            groups: (0..stores).map(|_| Vec::new()).collect(),
            unions: Unions::new(stores),
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Begins the chunk of a connection.
    pub(crate) fn begin(&mut self, conn: ConnId, source: Source) {
        let at = self.items.len();
        self.chunks.push(Chunk {
            conn,
            source,
            first: at,
            end: at,
            missing: 0,
            direct: true,
            emitted: at,
            consumed: 0,
            why: Why::Drained,
        });
    }

    /// Whether the chunk under way holds a command that has yet to run.
    pub(crate) fn has_work(&self) -> bool {
        let first = self.chunks.last().map_or(0, |chunk| chunk.first);
        self.items[first..].iter().any(|item| !matches!(item.stores, StoreSet::None))
    }

    /// Number of commands in the chunk under way.
    pub(crate) fn chunk_len(&self) -> usize {
        self.items.len() - self.chunks.last().map_or(0, |chunk| chunk.first)
    }

    /// Ends the chunk and plans it. `ordered`: writes become visible in the order they were sent.
    pub(crate) fn end(&mut self, consumed: usize, why: Why, ordered: bool) {
        let Some(chunk) = self.chunks.last_mut() else { return };
        chunk.end = self.items.len();
        chunk.consumed = consumed;
        chunk.why = why;
        let base = chunk.first;
        let items = &self.items[base..];
        let mut sets =
            items.iter().map(|item| item.stores).filter(|s| !matches!(s, StoreSet::None));
        let Some(first) = sets.next() else { return };
        if let StoreSet::One(store) = first
            && sets.all(|set| matches!(set, StoreSet::One(other) if other == store))
        {
            let chunk_at = (self.chunks.len() - 1) as u32;
            for (at, item) in items.iter().enumerate() {
                if !matches!(item.stores, StoreSet::None) {
                    let item = (base + at) as u32;
                    self.groups[store as usize].push(ItemRef { chunk: chunk_at, item });
                }
            }
            return;
        }
        self.plan(ordered);
    }

    /// Divides the last chunk into components and files these into groups.
    fn plan(&mut self, ordered: bool) {
        let chunk_at = self.chunks.len() - 1;
        let chunk = &mut self.chunks[chunk_at];
        let items = &mut self.items[chunk.first..chunk.end];
        for item in items.iter() {
            let set = match &item.stores {
                StoreSet::None => continue,
                StoreSet::One(store) => std::slice::from_ref(store),
                StoreSet::Many(piece) => piece.of(&self.stores),
            };
            self.unions.join(set);
            if item.writes && ordered {
                self.unions.join_writer(set[0]);
            }
            if item.several && ordered {
                self.unions.join_touched();
            }
        }
        let components = self.unions.number();
        chunk.direct = components.len() == 1;
        let (joints, used) = (&mut self.joints, &mut self.joints_used);
        self.targets.clear();
        self.targets.extend(components.iter().map(|stores| match stores[..] {
            [store] => Target::Store(store),
            _ => Target::Joint(joint_group(joints, used, stores)),
        }));
        for (at, item) in items.iter_mut().enumerate() {
            let any = match &item.stores {
                StoreSet::None => continue,
                StoreSet::One(store) => *store,
                StoreSet::Many(piece) => piece.of(&self.stores)[0],
            };
            item.component = self.unions.component(any);
            let at = ItemRef { chunk: chunk_at as u32, item: (chunk.first + at) as u32 };
            match self.targets[item.component as usize] {
                Target::Store(store) => self.groups[store as usize].push(at),
                Target::Joint(joint) => self.joints[joint].items.push(at),
            }
        }
        self.unions.reset();
    }

    /// The joint groups of this round.
    pub(crate) fn joints_used(&self) -> usize {
        self.joints_used
    }

    /// Takes an item away to be run elsewhere.
    pub(crate) fn take(&mut self, at: ItemRef) -> Item {
        let item = &mut self.items[at.item as usize];
        Item {
            job: std::mem::replace(&mut item.job, Job::Said),
            caller: item.caller,
            spans: item.spans,
            keys: item.keys,
            own: item.own.take(),
            stores: item.stores,
            component: item.component,
            place: at.item,
            writes: item.writes,
            several: item.several,
            reply: item.reply,
            waiter: None,
        }
    }

    /// Keeps a list of stores for an item: sorted, each once.
    pub(crate) fn store_set(&mut self, first: usize) -> StoreSet {
        let list = &mut self.stores[first..];
        list.sort_unstable();
        let mut kept = usize::from(!list.is_empty());
        for at in 1..list.len() {
            if list[at] != list[kept - 1] {
                list[kept] = list[at];
                kept += 1;
            }
        }
        self.stores.truncate(first + kept);
        match self.stores[first..] {
            [] => StoreSet::None,
            [only] => {
                self.stores.truncate(first);
                StoreSet::One(only)
            }
            _ => StoreSet::Many(Piece::since(first, self.stores.len())),
        }
    }

    /// Forgets the round; its groups have been emptied by running them.
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.material.clear();
        self.stores.clear();
        self.scratch.clear();
        self.scratch.shrink_to(1 << 20);
        self.joints_used = 0;
    }
}

/// Where the items of a component go.
#[derive(Clone, Copy, Debug)]
enum Target {
    Store(StoreId),
    Joint(usize),
}

/// The joint group for exactly these stores, a new one if there is none yet.
fn joint_group(joints: &mut Vec<JointGroup>, used: &mut usize, stores: &[StoreId]) -> usize {
    if let Some(found) = joints[..*used].iter().position(|joint| joint.stores == stores) {
        return found;
    }
    if joints.len() == *used {
        joints.push(JointGroup::default());
    }
    joints[*used].stores.clear();
    joints[*used].stores.extend_from_slice(stores);
    joints[*used].items.clear();
    *used += 1;
    *used - 1
}

/// Disjoint sets of stores. All memory is kept from chunk to chunk.
#[derive(Debug, Default)]
struct Unions {
    /// For each store, one of its set that is not greater; the root of a set names itself.
    parent: Vec<StoreId>,
    /// For each store, whether it is among the touched ones.
    marked: Vec<bool>,
    /// For each touched store, the number of its component.
    component: Vec<u32>,
    touched: Vec<StoreId>,
    writer: Option<StoreId>,
    /// The stores of each component; those beyond the last numbering's are empty.
    lists: Vec<Vec<StoreId>>,
}

impl Unions {
    fn new(stores: usize) -> Self {
        Self {
            parent: (0..stores as StoreId).collect(),
            marked: vec![false; stores],
            component: vec![0; stores],
            ..Self::default()
        }
    }

    fn root(&self, mut store: StoreId) -> StoreId {
        while self.parent[store as usize] != store {
            store = self.parent[store as usize];
        }
        store
    }

    /// The smaller root stays, so chains are short and the outcome does not depend on the order.
    fn unite(&mut self, a: StoreId, b: StoreId) {
        if a != b {
            let (a, b) = (self.root(a), self.root(b));
            self.parent[a.max(b) as usize] = a.min(b);
        }
    }

    fn join(&mut self, set: &[StoreId]) {
        for &store in set {
            if !std::mem::replace(&mut self.marked[store as usize], true) {
                self.touched.push(store);
            }
            self.unite(set[0], store);
        }
    }

    /// Joins all stores touched so far.
    fn join_touched(&mut self) {
        for at in 1..self.touched.len() {
            self.unite(self.touched[0], self.touched[at]);
        }
    }

    fn join_writer(&mut self, store: StoreId) {
        if let Some(writer) = self.writer {
            self.unite(writer, store);
        }
        self.writer = Some(store);
    }

    /// Numbers the components and lists the stores of each, ascending.
    fn number(&mut self) -> &[Vec<StoreId>] {
        self.touched.sort_unstable();
        let mut count = 0;
        for at in 0..self.touched.len() {
            let store = self.touched[at];
            let root = self.root(store);
            // The root is the smallest of its component, so it was numbered before the others.
            let component = match root == store {
                true => count,
                false => self.component[root as usize] as usize,
            };
            if component == count {
                count += 1;
                if self.lists.len() < count {
                    self.lists.push(Vec::new());
                }
            }
            self.component[store as usize] = component as u32;
            self.lists[component].push(store);
        }
        &self.lists[..count]
    }

    fn component(&self, store: StoreId) -> u32 {
        self.component[store as usize]
    }

    fn reset(&mut self) {
        for store in self.touched.drain(..) {
            self.parent[store as usize] = store;
            self.marked[store as usize] = false;
            self.lists[self.component[store as usize] as usize].clear();
        }
        self.writer = None;
    }
}
