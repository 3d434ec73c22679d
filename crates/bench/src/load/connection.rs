//! One connection of a load: what is unsent, what is in flight, how far the replies are.

use crate::scan::Scanner;
use crate::template::Sheet;
use anyhow::{Result, bail};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// A place in the endless sequence of sheets that a connection goes through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Index of the sheet.
    pub(super) sheet: usize,
    /// Operation within the sheet.
    pub(super) slot: usize,
}

impl Cursor {
    /// Goes on by `operations`, which may not lead beyond the end of the sheet.
    pub(super) fn advance(&mut self, operations: usize, sheets: &[Sheet]) {
        self.slot += operations;
        if self.slot == sheets[self.sheet].operations() {
            *self = Self { sheet: (self.sheet + 1) % sheets.len(), slot: 0 };
        }
    }
}

/// A connection and its place in the load.
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    scanner: Scanner,
    /// The next operation to send.
    pub(super) sending: Cursor,
    /// The operation whose replies come next.
    receiving: Cursor,
    /// Replies of that operation that have come.
    partial: u32,
    /// Operations sent and not yet answered in full.
    pub(super) in_flight: usize,
    /// Operations answered in full.
    pub(super) completed: u64,
    /// Operations that have become due, where the load has a rate.
    pub(super) due: u64,
    /// When the pipeline in flight was sent, in nanoseconds after the start.
    pub(super) sent_ns: u64,
    unsent: Vec<u8>,
    unsent_from: usize,
    /// The poller is asked to tell when the socket takes more.
    pub(super) awaits_writable: bool,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, first_sheet: usize) -> Self {
        let start = Cursor { sheet: first_sheet, slot: 0 };
        Self {
            socket,
            scanner: Scanner::default(),
            sending: start,
            receiving: start,
            partial: 0,
            in_flight: 0,
            completed: 0,
            due: 0,
            sent_ns: 0,
            unsent: Vec::new(),
            unsent_from: 0,
            awaits_writable: false,
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent_from < self.unsent.len()
    }

    pub(super) fn scanner(&self) -> &Scanner {
        &self.scanner
    }

    /// Sends what the socket takes at once and keeps the rest.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = if self.has_unsent() { 0 } else { send_some(&self.socket, bytes)? };
        if sent < bytes.len() {
            self.unsent.extend_from_slice(&bytes[sent..]);
        }
        Ok(())
    }

    /// Sends more of what was kept.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.unsent_from += send_some(&self.socket, &self.unsent[self.unsent_from..])?;
        if !self.has_unsent() {
            self.unsent.clear();
            self.unsent_from = 0;
        }
        Ok(())
    }

    /// Receives once and returns the number of operations completed by it.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        sheets: &[Sheet],
        replies_each: Option<u32>,
    ) -> Result<usize> {
        let Some(len) = receive_some(&self.socket, buffer)? else {
            return Ok(0);
        };
        let replies = self.scanner.feed(&buffer[..len])?;
        let operations = match replies_each {
            Some(1) => replies as usize,
            Some(each) => self.divide(replies, each),
            None => self.walk(replies, sheets),
        };
        if operations > self.in_flight {
            bail!("more replies than requests");
        }
        self.in_flight -= operations;
        self.completed += operations as u64;
        Ok(operations)
    }

    fn divide(&mut self, replies: u64, each: u32) -> usize {
        let replies = replies + u64::from(self.partial);
        self.partial = (replies % u64::from(each)) as u32;
        (replies / u64::from(each)) as usize
    }

    fn walk(&mut self, replies: u64, sheets: &[Sheet]) -> usize {
        let mut left = replies + u64::from(self.partial);
        let mut operations = 0;
        loop {
            let needed = u64::from(sheets[self.receiving.sheet].replies(self.receiving.slot));
            if left < needed {
                self.partial = left as u32;
                return operations;
            }
            left -= needed;
            operations += 1;
            self.receiving.advance(1, sheets);
        }
    }
}

/// Bytes that the socket took: none if it is full.
fn send_some(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    match send(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(sent) => Ok(sent),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Bytes received, or nothing if none are there.
pub(super) fn receive_some(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Option<usize>> {
    match recv(socket, buffer, RecvFlags::empty()) {
        Ok((0, _)) => bail!("the server closed the connection"),
        Ok((len, _)) => Ok(Some(len)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Connection::new(ours.into(), 0), theirs)
    }

    #[test]
    fn replies_become_operations_across_sheets() {
        let get = Template::parse(&["GET k"], 0).unwrap();
        let exec = Template::parse(&["MULTI", "GET k", "EXEC"], 0).unwrap();
        let sheets = [Sheet::new([&get, &exec], 1), Sheet::new([&exec, &get], 1)];
        let (mut connection, mut server) = pair();
        connection.in_flight = 8;
        let mut operations = Vec::new();
        let mut buffer = [0; 64];
        for replies in [1usize, 2, 1, 3, 1, 7, 1] {
            server.write_all("+OK\r\n".repeat(replies).as_bytes()).unwrap();
            operations.push(connection.receive(&mut buffer, &sheets, None).unwrap());
        }
        assert_eq!(operations, [1, 0, 1, 1, 1, 3, 1]);
        assert_eq!((connection.completed, connection.in_flight), (8, 0));
    }

    #[test]
    fn equal_operations_need_no_walk() {
        let (mut connection, mut server) = pair();
        connection.in_flight = 3;
        let mut buffer = [0; 64];
        server.write_all(b":1\r\n:1\r\n:1\r\n:1\r\n").unwrap();
        assert_eq!(connection.receive(&mut buffer, &[], Some(3)).unwrap(), 1);
        server.write_all(b":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n").unwrap();
        assert_eq!(connection.receive(&mut buffer, &[], Some(3)).unwrap(), 2);
    }

    #[test]
    fn too_many_replies_are_an_error() {
        let (mut connection, mut server) = pair();
        connection.in_flight = 1;
        server.write_all(b":1\r\n:1\r\n").unwrap();
        assert!(connection.receive(&mut [0; 64], &[], Some(1)).is_err());
    }

    #[test]
    fn what_the_socket_does_not_take_is_sent_later_and_in_order() {
        let (mut connection, mut server) = pair();
        let first: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        connection.send(&first).unwrap();
        assert!(connection.has_unsent());
        connection.send(b"end").unwrap();
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 1_000_003];
            server.read_exact(&mut all).unwrap();
            all
        });
        while connection.has_unsent() {
            connection.flush().unwrap();
            std::thread::yield_now();
        }
        let all = reader.join().unwrap();
        assert_eq!(all[..1_000_000], first);
        assert_eq!(&all[1_000_000..], b"end");
    }
}
