//! What a shard does without being asked, in slices: expiry, freeing, idle clients.

use crate::close::is_over_limit;
use crate::conn::{Lane, Life};
use crate::door::{Boxes, StoreId};
use crate::service::Wait;
use crate::shard::{Shard, runner};
use crate::world::{Commands, Paused};
use kevy_keyspace::Store;
use smallvec::SmallVec;
use std::sync::atomic::Ordering;

/// Keys expired in one slice: some 50 µs of work.
const EXPIRE_SLICE: usize = 128;
/// Records freed in one slice.
const FREE_SLICE: usize = 256;
/// Connections looked at in one tick.
const CONN_SLICE: usize = 512;

/// When the background work was done last, and where it goes on.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    last_ns: u64,
    next_conn: usize,
    /// What a slice left over.
    more: More,
}

/// Work left over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
enum More {
    /// None.
    #[default]
    Nothing,
    /// There may be some in a store that is out.
    Soon,
    /// There is some.
    Now,
}

/// When to look again for a store that is out, in ns.
const SOON_NS: u64 = 1_000_000;

impl<C: Commands> Shard<C> {
    fn period_ns(&self) -> u64 {
        1_000_000_000 / u64::from(self.settings.hz.clamp(1, 500))
    }

    /// Does the background work that is due.
    pub(crate) fn run_tick(&mut self) {
        let due = self.now.mono_ns.saturating_sub(self.tick.last_ns) >= self.period_ns();
        if !due && self.tick.more == More::Nothing {
            return;
        }
        self.tick.more = self.care_for_stores();
        if due {
            self.tick.last_ns = self.now.mono_ns;
            self.close_idle();
        }
    }

    /// Expires and frees in the stores whose home this is, where their boxes lie at the door: a
    /// store that is out is busy and comes again. Whether there is more to do.
    fn care_for_stores(&mut self) -> More {
        let shards = self.world.shards();
        let stores = self.world.stores();
        let mut more = More::Nothing;
        for id in (self.index..stores).step_by(shards) {
            more = more.max(self.care_for(id as StoreId));
        }
        more
    }

    fn care_for(&mut self, id: StoreId) -> More {
        let Some(mut store) = self.world.doors.take(id) else { return More::Soon };
        let now_ms = store.time(self.now.unix_ms());
        // Who pauses clients wants to look at data that stands still.
        let still = self.world.paused(now_ms) != Paused::Nothing;
        let expire = self.settings.active_expire && !still;
        let mut more = false;
        if expire {
            let changes = &mut self.after.changes;
            more |= store.expire_slice(now_ms, EXPIRE_SLICE, changes);
            changes.clear();
        }
        more |= store.free_slice(FREE_SLICE);
        let mut boxes = SmallVec::from_iter([(id, store)]);
        if self.after.changes.take_woken() {
            self.serve_here(&mut boxes, now_ms);
        }
        self.put_back_idle(boxes);
        if more { More::Now } else { More::Nothing }
    }

    /// Serves those who wait for keys of stores held.
    fn serve_here(&mut self, boxes: &mut Boxes<Store>, now_ms: i64) {
        let Self { world, commands, settings, after, index, now, full, .. } = self;
        let mut runner = runner(world, &**commands, settings, *index, now, after, *full);
        runner.now_ms = now_ms;
        runner.serve(boxes);
        runner.stop();
        self.see_to_waiters();
    }

    /// Closes clients that have been idle, or have not read their output, for too long. Those for
    /// whom the server has something to do are not idle.
    fn close_idle(&mut self) {
        let timeout_ms = self.settings.timeout.saturating_mul(1000) as i64;
        if timeout_ms == 0 && self.settings.output_soft_limit == 0 {
            return;
        }
        let now_ms = self.now.unix_ms();
        let slots = self.conns.slots();
        for _ in 0..CONN_SLICE.min(slots) {
            let slot = self.tick.next_conn % slots;
            self.tick.next_conn = slot + 1;
            let Some(conn) = self.conns.at_slot(slot) else { continue };
            if conn.life == Life::Aborted || !matches!(conn.lane, Lane::Ready | Lane::Blocked(_)) {
                continue;
            }
            let waits = matches!(conn.lane, Lane::Blocked(_));
            let id = conn.id;
            let idle_ms = now_ms - conn.session.client.active_ms.load(Ordering::Relaxed);
            if timeout_ms > 0 && idle_ms > timeout_ms && !waits {
                self.abort(id);
            } else if is_over_limit(conn, &self.settings, self.now.mono_ns) {
                self.world.shard_counters(self.index).output_limit.add(1);
                self.abort(id);
            }
        }
    }

    /// When the next tick is due.
    pub(crate) fn next_tick(&self) -> Wait {
        let mut next = self.tick.last_ns + self.period_ns();
        match self.tick.more {
            More::Now => return Wait::Now,
            More::Soon => next = next.min(self.now.mono_ns + SOON_NS),
            More::Nothing => {}
        }
        if self.has_paused() {
            let left_ms = self.world.paused_until_ms() - self.now.unix_ms();
            let left_ns = u64::try_from(left_ms).unwrap_or(0).saturating_mul(1_000_000);
            next = next.min(self.now.mono_ns.saturating_add(left_ns));
        }
        next = next.min(self.waits.next_ns().unwrap_or(u64::MAX));
        Wait::Until(next)
    }
}
