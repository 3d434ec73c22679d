//! One connection as a driver sees it, and the table of them.

use crate::pending::{Pending, Pool};
use kevy_shard::service::{Action, ConnId, Service};
use rustix::net::Shutdown;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// What a connection lives through. Each state is final but for the step to a later one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Life {
    /// Receives and sends.
    Open,
    /// Receiving or sending has failed and the service knows; it closes it.
    Failed,
    /// Closed by the service: what there is to send is sent first. Bytes received are dropped
    /// (but taken in: unread bytes at the end would make TCP discard the last words).
    Draining,
    /// Torn down as soon as nothing is under way.
    Doomed,
}

/// The output lane. `U` names a send under way in the kernel.
pub(crate) enum Lane<B, U> {
    /// Nothing taken from the service.
    Idle,
    /// To be sent, from the first byte that has not left.
    Ready(Box<Pending<B>>),
    /// To be sent when the socket takes bytes again.
    Blocked(Box<Pending<B>>),
    /// The kernel has it.
    InFlight(U),
}

/// One connection. `R` is the driver's receive lane, `U` its name for a send under way.
pub(crate) struct Connection<B, R, U> {
    pub(crate) socket: Rc<OwnedFd>,
    pub(crate) life: Life,
    pub(crate) receive: R,
    pub(crate) lane: Lane<B, U>,
    /// The service has output that has not been taken.
    pub(crate) announced: bool,
    /// The service wants to receive.
    pub(crate) wanted: bool,
    /// In the ready set.
    pub(crate) queued: bool,
    /// Both directions have been shut down.
    pub(crate) shut: bool,
}

impl<B: AsRef<[u8]>, R, U> Connection<B, R, U> {
    pub(crate) fn new(socket: OwnedFd, receive: R) -> Self {
        Self {
            socket: Rc::new(socket),
            life: Life::Open,
            receive,
            lane: Lane::Idle,
            announced: false,
            wanted: true,
            queued: false,
            shut: false,
        }
    }

    /// Does what the service asked for, as far as it concerns states only.
    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Send(_) => self.announced = true,
            Action::PauseReceive(_) => self.wanted = false,
            Action::ResumeReceive(_) => self.wanted = true,
            Action::Close(_) if self.life == Life::Open => self.life = Life::Draining,
            Action::Close(_) if self.life == Life::Draining => {}
            Action::Close(_) | Action::Abort(_) => self.life = Life::Doomed,
        }
    }

    /// Receiving or sending has failed. Returns whether the service is to be told.
    pub(crate) fn fail(&mut self) -> bool {
        match self.life {
            Life::Open => {
                self.life = Life::Failed;
                true
            }
            Life::Draining => {
                self.life = Life::Doomed;
                false
            }
            Life::Failed | Life::Doomed => false,
        }
    }

    /// Fills an idle lane with the service's output, and drops what nobody will get.
    pub(crate) fn load<S>(&mut self, id: ConnId, service: &mut S, pool: &mut Pool<B>)
    where
        S: Service<Body = B>,
    {
        if matches!(self.life, Life::Failed | Life::Doomed) {
            self.announced = false;
            self.unload(pool);
        } else if matches!(self.lane, Lane::Idle) && (self.announced || self.life == Life::Draining)
        {
            self.announced = false;
            let mut pending = pool.take();
            service.take_output(id, &mut pending.output);
            if pending.left() > 0 {
                self.lane = Lane::Ready(pending);
            } else {
                pool.give(pending);
                if self.life == Life::Draining {
                    self.life = Life::Doomed;
                }
            }
        }
    }

    fn unload(&mut self, pool: &mut Pool<B>) {
        match std::mem::replace(&mut self.lane, Lane::Idle) {
            Lane::Ready(pending) | Lane::Blocked(pending) => pool.give(pending),
            other => self.lane = other,
        }
    }

    /// Whether somebody may be waiting for the news that this output has left.
    pub(crate) fn urgent(&self, bytes: usize) -> bool {
        bytes >= LARGE || !self.wanted || self.life != Life::Open
    }

    /// Ends both directions at once, so that whatever the kernel has under way on the socket
    /// completes. Returns `false` if the socket is beyond that.
    pub(crate) fn shut_down(&mut self) -> bool {
        self.shut = true;
        rustix::net::shutdown(&*self.socket, Shutdown::Both).is_ok()
    }
}

/// Outputs from this size on are reported as sent by a turn of their own, if need be.
const LARGE: usize = 64 * 1024;

/// The connection that an action is about.
pub(crate) const fn target(action: Action) -> ConnId {
    match action {
        Action::Send(id)
        | Action::PauseReceive(id)
        | Action::ResumeReceive(id)
        | Action::Close(id)
        | Action::Abort(id) => id,
    }
}

/// Connections by slot.
pub(crate) struct Table<C> {
    slots: Vec<Option<(u32, Box<C>)>>,
    len: usize,
}

impl<C> Table<C> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// `None` if the connection is gone, whoever has its slot now.
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut C> {
        match self.slots.get_mut(id.slot as usize) {
            Some(Some((generation, connection))) if *generation == id.generation => {
                Some(connection)
            }
            _ => None,
        }
    }

    pub(crate) fn contains(&self, id: ConnId) -> bool {
        matches!(self.slots.get(id.slot as usize), Some(Some((g, _))) if *g == id.generation)
    }

    /// Enters a connection; gives it back if the slot is taken.
    pub(crate) fn insert(&mut self, id: ConnId, connection: C) -> Result<(), C> {
        let slot = id.slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        if self.slots[slot].is_some() {
            return Err(connection);
        }
        self.slots[slot] = Some((id.generation, Box::new(connection)));
        self.len += 1;
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Box<C>> {
        if !self.contains(id) {
            return None;
        }
        self.len -= 1;
        self.slots[id.slot as usize].take().map(|(_, connection)| connection)
    }

    pub(crate) fn ids(&self) -> Vec<ConnId> {
        let id = |(slot, tenant): (usize, &Option<(u32, Box<C>)>)| {
            tenant
                .as_ref()
                .map(|(generation, _)| ConnId { slot: slot as u32, generation: *generation })
        };
        self.slots.iter().enumerate().filter_map(id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_is_not_its_former_tenant() {
        let mut table = Table::new();
        let old = ConnId { slot: 3, generation: 0 };
        let new = ConnId { slot: 3, generation: 1 };
        table.insert(old, 'a').unwrap();
        assert_eq!(table.insert(new, 'b'), Err('b'));
        assert_eq!(table.remove(old).as_deref(), Some(&'a'));
        table.insert(new, 'b').unwrap();
        assert_eq!(table.get_mut(old), None);
        assert_eq!(table.remove(old), None);
        assert_eq!(table.get_mut(new), Some(&mut 'b'));
        assert_eq!((table.len(), table.ids()), (1, vec![new]));
    }
}
