//! Watched keys: the optimistic locks of `WATCH` and `EXEC`.

use std::collections::BTreeMap;

/// How a watched key stands at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Presence {
    Absent,
    /// There, but its deadline has passed.
    Expired,
    Live,
}

struct Watcher {
    db: usize,
    client: u64,
    /// The key had expired, but was still there, when it was watched: its removal is no change.
    expired: bool,
}

#[derive(Default)]
struct Client {
    broken: bool,
    /// Emptied when the watch breaks: nothing more needs to be known then.
    keys: Vec<(usize, Box<[u8]>)>,
}

/// The watches on the keys of one store.
///
/// A client that watches nothing here has no entry, so an idle server pays one length check.
#[derive(Default)]
pub(crate) struct Watches {
    keys: BTreeMap<Box<[u8]>, Vec<Watcher>>,
    clients: BTreeMap<u64, Client>,
    bytes: usize,
}

/// What a watched key costs beside twice its bytes: an entry in a tree and in two lists.
const WATCH_COST: usize = 192;
/// What a watching client costs: an entry in a tree and the least list.
const CLIENT_COST: usize = 150;

impl Watches {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes held, about.
    pub(crate) fn memory(&self) -> usize {
        self.bytes
    }

    pub(crate) fn watch(&mut self, client: u64, db: usize, key: &[u8], presence: Presence) {
        let state = self.clients.entry(client).or_insert_with(|| {
            self.bytes += CLIENT_COST;
            Client::default()
        });
        if state.broken || state.keys.iter().any(|(d, k)| *d == db && **k == *key) {
            return;
        }
        state.keys.push((db, key.into()));
        let watcher = Watcher { db, client, expired: presence == Presence::Expired };
        self.keys.entry(key.into()).or_default().push(watcher);
        self.bytes += WATCH_COST + 2 * key.len();
    }

    pub(crate) fn unwatch(&mut self, client: u64) {
        if let Some(state) = self.clients.remove(&client) {
            self.bytes -= CLIENT_COST;
            self.release(client, state.keys);
        }
    }

    fn release(&mut self, client: u64, keys: Vec<(usize, Box<[u8]>)>) {
        for (db, key) in keys {
            self.bytes -= WATCH_COST + 2 * key.len();
            let Some(watchers) = self.keys.get_mut(&key) else { continue };
            watchers.retain(|watcher| watcher.client != client || watcher.db != db);
            if watchers.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    fn break_watch(&mut self, client: u64) {
        let Some(state) = self.clients.get_mut(&client) else { return };
        state.broken = true;
        let keys = std::mem::take(&mut state.keys);
        self.release(client, keys);
    }

    /// A key has changed; it `exists` afterwards or not.
    #[cold]
    pub(crate) fn touch(&mut self, db: usize, key: &[u8], exists: bool) {
        let Some(watchers) = self.keys.get_mut(key) else { return };
        let mut broken = Vec::new();
        for watcher in watchers.iter_mut().filter(|watcher| watcher.db == db) {
            if watcher.expired && !exists {
                watcher.expired = false;
            } else {
                broken.push(watcher.client);
            }
        }
        for client in broken {
            self.break_watch(client);
        }
    }

    /// All keys of a database are replaced, as by `FLUSHDB` and `SWAPDB`; `presence` tells how a
    /// key stands before and after.
    pub(crate) fn replace(
        &mut self,
        db: usize,
        mut presence: impl FnMut(&[u8]) -> (Presence, Presence),
    ) {
        let mut broken = Vec::new();
        for (key, watchers) in &mut self.keys {
            for watcher in watchers.iter_mut().filter(|watcher| watcher.db == db) {
                match (watcher.expired, presence(key)) {
                    (true, (_, Presence::Absent)) => watcher.expired = false,
                    (true, (_, Presence::Expired)) => {}
                    (false, (Presence::Absent, Presence::Absent)) => {}
                    (false, (Presence::Absent, Presence::Expired)) => watcher.expired = true,
                    _ => broken.push(watcher.client),
                }
            }
        }
        for client in broken {
            self.break_watch(client);
        }
    }

    /// Whether a watch of the client has broken; `presence` tells how a key stands now.
    pub(crate) fn broken(
        &self,
        client: u64,
        mut presence: impl FnMut(usize, &[u8]) -> Presence,
    ) -> bool {
        let Some(state) = self.clients.get(&client) else { return false };
        state.broken
            || state.keys.iter().any(|(db, key)| {
                !self.was_expired(client, *db, key) && presence(*db, key) == Presence::Expired
            })
    }

    fn was_expired(&self, client: u64, db: usize, key: &[u8]) -> bool {
        let watchers = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        watchers.iter().any(|w| w.client == client && w.db == db && w.expired)
    }
}
