//! Replies that wait until every shard has passed a moment.

use crate::conn::Lane;
use crate::service::ConnId;
use crate::shard::Shard;
use crate::world::{Commands, Mail};

impl<C: Commands> Shard<C> {
    /// Holds the output of a connection back until all shards have passed this moment.
    pub(crate) fn ask_barrier(&mut self, id: ConnId) {
        let shards = self.world.shards();
        let Some(conn) = self.conns.get(id) else { return };
        let reply = Box::new(std::mem::take(&mut conn.out));
        conn.lane = Lane::Barrier { missing: shards, reply };
        for shard in 0..shards {
            let mail = Mail::Barrier { from: self.index, conn: id };
            if shard == self.index {
                self.barriers.push((self.batches, shard, id));
            } else {
                self.world.post(shard, mail);
            }
        }
    }

    pub(crate) fn answer_barriers(&mut self) {
        let oldest = self.outstanding.first().copied().unwrap_or(u64::MAX);
        let mut at = 0;
        while let Some(&(until, from, conn)) = self.barriers.get(at) {
            if oldest < until {
                at += 1;
                continue;
            }
            self.barriers.remove(at);
            if from == self.index {
                self.passed(conn);
            } else {
                self.world.post(from, Mail::Passed(conn));
            }
        }
    }

    pub(crate) fn passed(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let Lane::Barrier { missing, reply } = &mut conn.lane else { return };
        *missing -= 1;
        if *missing > 0 {
            return;
        }
        let mut whole = std::mem::take(&mut **reply);
        whole.append(&mut conn.out);
        conn.out = whole;
        conn.lane = Lane::Ready;
        self.let_go_on(id);
        self.note_output(id);
    }
}
