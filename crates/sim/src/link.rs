//! A connection as its driver and the network see it.

use crate::random::Random;
use crate::stage::Arrival;
use kevy_shard::service::{Action, ConnId};

/// See the module.
pub(crate) struct Link {
    pub(crate) shard: usize,
    pub(crate) id: ConnId,
    pub(crate) client: usize,
    /// Number of the client in the server.
    pub(crate) server_id: u64,
    /// Bytes on their way to the server.
    to_server: Vec<u8>,
    /// The client sends nothing more.
    pub(crate) half_closed: bool,
    end_told: bool,
    /// Bytes that the service gave and that have not reached the client.
    flight: Vec<u8>,
    /// Of those that have, how many the service has not been told.
    unreported: usize,
    paused: bool,
    announced: bool,
    /// The service wants it closed when everything is sent.
    draining: bool,
    /// The connection broke.
    pub(crate) broken: bool,
    broken_told: bool,
    /// It may end at any time, because something was done to it or its client asked.
    pub(crate) may_end: bool,
    pub(crate) gone: bool,
}

impl Link {
    pub(crate) fn new(shard: usize, id: ConnId, client: usize, server_id: u64) -> Self {
        Self {
            shard,
            id,
            client,
            server_id,
            to_server: Vec::new(),
            half_closed: false,
            end_told: false,
            flight: Vec::new(),
            unreported: 0,
            paused: false,
            announced: false,
            draining: false,
            broken: false,
            broken_told: false,
            may_end: false,
            gone: false,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.to_server.extend_from_slice(bytes);
    }

    /// The connection breaks: what is under way in either direction is lost.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
        self.may_end = true;
        self.to_server.clear();
        self.flight.clear();
    }

    /// Whether the shard would be told something.
    pub(crate) fn has_arrivals(&self) -> bool {
        if self.gone || self.broken_told {
            return false;
        }
        if self.broken || self.unreported > 0 {
            return true;
        }
        let receives = !self.paused && !self.draining;
        receives && (!self.to_server.is_empty() || (self.half_closed && !self.end_told))
    }

    /// What the shard is told in a turn.
    pub(crate) fn arrivals(&mut self, random: &mut Random, whole: bool, out: &mut Vec<Arrival>) {
        if !self.has_arrivals() {
            return;
        }
        if self.unreported > 0 {
            out.push(Arrival::Sent(self.id, std::mem::take(&mut self.unreported)));
        }
        if self.broken {
            self.broken_told = true;
            out.push(Arrival::Failed(self.id));
            return;
        }
        if self.paused || self.draining {
            return;
        }
        let pieces = random.range(1, 3);
        for _ in 0..pieces {
            if self.to_server.is_empty() {
                break;
            }
            let all = self.to_server.len();
            let len = match random.below(4) {
                _ if whole => all,
                0 => random.range(1, all.min(20)),
                1 => random.range(1, all),
                _ => all,
            };
            let rest = self.to_server.split_off(len);
            out.push(Arrival::Received(self.id, std::mem::replace(&mut self.to_server, rest)));
        }
        if self.half_closed && !self.end_told && self.to_server.is_empty() {
            self.end_told = true;
            out.push(Arrival::End(self.id));
        }
    }

    /// Does what the service asked for.
    pub(crate) fn apply(&mut self, action: Action) {
        match action {
            Action::Send(_) => self.announced = true,
            Action::PauseReceive(_) => self.paused = true,
            Action::ResumeReceive(_) => self.paused = false,
            Action::Close(_) => {
                self.draining = true;
                self.to_server.clear();
            }
            Action::Abort(_) => self.gone = true,
        }
    }

    /// Whether output can be taken from the service.
    pub(crate) fn wants_output(&self) -> bool {
        !self.gone && !self.broken && self.flight.is_empty() && (self.announced || self.draining)
    }

    /// Takes what the service gave; the end of a connection that is being closed is when there is
    /// nothing more.
    pub(crate) fn fill(&mut self, output: Vec<u8>) {
        self.announced = false;
        self.gone |= output.is_empty() && self.draining;
        self.flight = output;
    }

    /// Whether bytes are on their way to the client.
    pub(crate) fn has_flight(&self) -> bool {
        !self.gone && !self.flight.is_empty()
    }

    /// Some of the bytes reach the client.
    pub(crate) fn land(&mut self, random: &mut Random, whole: bool) -> Vec<u8> {
        let all = self.flight.len();
        let len = if whole || random.chance(1, 2) { all } else { random.range(1, all) };
        let rest = self.flight.split_off(len);
        self.unreported += len;
        std::mem::replace(&mut self.flight, rest)
    }
}
