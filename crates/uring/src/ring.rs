//! The ring: operations in, completions out, one system call for both.

use crate::buffers::ProvidedBufRing;
use crate::completion::{Completion, Received, Token};
use crate::operations::{Descriptor, Kind, OpId, Operation, Operations, UNTRACKED};
use crate::payload::{Gather, MAX_BYTES, Message, Shape};
use crate::system::{self, RingName};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::Duration;

/// The group of buffers that receives share.
const SHARED: u16 = 0;
/// The group of buffers for receives in bulk.
const BULK: u16 = 1;
/// Message headers kept for reuse.
const SPARE_MESSAGES: usize = 32;
/// How long the end of a ring waits for the kernel to let go of memory before it is leaked.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Entries of the submission queue (rounded up to a power of two).
    pub submissions: u32,
    /// Entries of the completion queue. More completions than that are kept by the kernel, at a
    /// cost.
    pub completions: u32,
    /// Receive buffers: a power of two.
    pub buffers: u16,
    /// Further receive buffers for [`Ring::receive_bulk`]: a power of two.
    pub bulk_buffers: u16,
    /// Bytes of each receive buffer.
    pub buffer_size: u32,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            submissions: 1024,
            completions: 4096,
            buffers: 128,
            bulk_buffers: 16,
            buffer_size: 16 * 1024,
        }
    }
}

/// The submission queue is full: submit, then try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueFull;

/// What a send does when the socket takes no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendMode {
    /// It ends there, with fewer bytes than offered or with `WouldBlock`. Its completion is ready
    /// once it has been submitted, and ends a wait only if something was left unsent.
    Attempt,
    /// It waits in the kernel until some bytes have left.
    Wait,
}

/// A send under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sending {
    /// Its name.
    pub id: OpId,
    /// Bytes offered to the kernel: all that the payload holds, or the first slices of many.
    pub offered: usize,
}

/// A send in [`SendMode::Attempt`], of which the kernel reports only failures and short counts.
struct Quiet {
    id: OpId,
    /// How many entries had been queued before it, ever.
    position: u64,
    /// Bytes offered: what it has sent if nothing else is reported.
    offered: usize,
}

/// An io_uring instance with its buffers and all operations under way.
///
/// Not `Send`: the kernel serves such a ring for the thread that made it only.
pub struct Ring<P: Gather> {
    ring: IoUring,
    name: RingName,
    enter_flags: u32,
    buffers: Rc<ProvidedBufRing>,
    bulk_buffers: Rc<ProvidedBufRing>,
    operations: Operations<P>,
    #[expect(clippy::vec_box, reason = "the kernel is given the address of a message")]
    spare: Vec<Box<Message>>,
    /// Entries queued, and of these submitted, since the beginning.
    queued: u64,
    submitted: u64,
    quiet: VecDeque<Quiet>,
    stray: u64,
}

impl<P: Gather> fmt::Debug for Ring<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} under way, {:?})", self.operations.len(), self.buffers)
    }
}

/// Asks for the setup that costs least and takes what the kernel grants.
fn set_up(options: &RingOptions) -> io::Result<IoUring> {
    let build = |level: u8| {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(options.completions.max(options.submissions * 2));
        if level >= 1 {
            builder.setup_submit_all().setup_coop_taskrun().setup_taskrun_flag();
        }
        if level >= 2 {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        builder.build(options.submissions)
    };
    let refused = |e: &io::Error| e.raw_os_error() == Some(libc::EINVAL);
    match build(2) {
        Err(error) if refused(&error) => match build(1) {
            Err(error) if refused(&error) => build(0),
            other => other,
        },
        other => other,
    }
}

impl<P: Gather> Ring<P> {
    /// Makes a ring with its buffers for the calling thread.
    ///
    /// # Errors
    /// What the kernel says: not permitted, not supported, too little locked memory.
    pub fn new(options: &RingOptions) -> io::Result<Self> {
        let ring = set_up(options)?;
        let parameters = ring.params();
        if !parameters.is_feature_ext_arg()
            || !parameters.is_feature_nodrop()
            || !parameters.is_feature_skip_cqe_on_success()
        {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let enter_flags = if parameters.is_feature_no_iowait() { system::NO_IOWAIT } else { 0 };
        let buffers = ProvidedBufRing::new(0, options.buffers, options.buffer_size)?;
        let bulk_buffers =
            ProvidedBufRing::new(options.buffers, options.bulk_buffers, options.buffer_size)?;
        for (group, buffers) in [(SHARED, &buffers), (BULK, &bulk_buffers)] {
            // SAFETY: the address and count are those of a live, page-aligned ring, which `Drop`
            // frees only after it has been unregistered (else it leaks it). If the second call
            // fails, no receive has used the first ones and none ever will.
            unsafe {
                ring.submitter().register_buf_ring_with_flags(
                    buffers.address(),
                    buffers.count(),
                    group,
                    0,
                )?;
            }
        }
        let fd = ring.as_raw_fd();
        let name = system::register_ring(fd).unwrap_or(RingName::Descriptor(fd));
        Ok(Self {
            ring,
            name,
            enter_flags,
            buffers,
            bulk_buffers,
            operations: Operations::new(),
            spare: Vec::new(),
            queued: 0,
            submitted: 0,
            quiet: VecDeque::new(),
            stray: 0,
        })
    }

    /// The receive buffers.
    #[must_use]
    pub fn buffers(&self) -> &ProvidedBufRing {
        &self.buffers
    }

    /// Operations under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.operations.len()
    }

    /// Completions that belonged to no operation under way.
    #[must_use]
    pub const fn stray(&self) -> u64 {
        self.stray
    }

    /// Whether completions are waiting, or work of the kernel that will make some.
    pub fn has_completions(&mut self) -> bool {
        let submission = self.ring.submission();
        let pending = submission.taskrun() || submission.cq_overflow();
        drop(submission);
        pending || !self.ring.completion().is_empty()
    }

    /// Attempted sends that have been submitted and whose completions have not been reaped.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.quiet.len()
    }

    /// Entries queued and not yet submitted.
    pub fn queued(&mut self) -> usize {
        self.ring.submission().len()
    }

    /// Receives from `socket` into provided buffers until it is cancelled or ends.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn receive(&mut self, socket: &Descriptor, token: Token) -> Result<OpId, QueueFull> {
        self.receive_into(SHARED, socket, token)
    }

    /// Like [`Ring::receive`], into buffers of their own: for a socket that would leave the others
    /// no buffers.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn receive_bulk(&mut self, socket: &Descriptor, token: Token) -> Result<OpId, QueueFull> {
        self.receive_into(BULK, socket, token)
    }

    fn receive_into(
        &mut self,
        group: u16,
        socket: &Descriptor,
        token: Token,
    ) -> Result<OpId, QueueFull> {
        let entry = opcode::RecvMulti::new(types::Fd(socket.as_raw_fd()), group).build();
        self.start(entry, socket, token, Kind::Receive).map_err(|_| QueueFull)
    }

    /// Accepts connections from `listener` until it is cancelled or fails. The listener must be
    /// blocking (the kernel ends the accept of a non-blocking one at once).
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn accept(&mut self, listener: &Descriptor, token: Token) -> Result<OpId, QueueFull> {
        let entry = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.start(entry, listener, token, Kind::Accept).map_err(|_| QueueFull)
    }

    /// Reports each time `descriptor` becomes readable.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn poll(&mut self, descriptor: &Descriptor, token: Token) -> Result<OpId, QueueFull> {
        let readable = libc::POLLIN as u32;
        let entry =
            opcode::PollAdd::new(types::Fd(descriptor.as_raw_fd()), readable).multi(true).build();
        self.start(entry, descriptor, token, Kind::Poll).map_err(|_| QueueFull)
    }

    /// Sends what `payload` still holds, at most [`crate::MAX_SLICES`] slices of it. The ring owns
    /// the payload until the completion gives it back.
    ///
    /// # Errors
    /// The payload, when the queue is full.
    pub fn send(
        &mut self,
        socket: &Descriptor,
        token: Token,
        payload: Box<P>,
        mode: SendMode,
    ) -> Result<Sending, Box<P>> {
        let fd = types::Fd(socket.as_raw_fd());
        let flags = match mode {
            // WAITALL makes a short count a failure, which is reported in spite of SKIP_SUCCESS.
            SendMode::Attempt => libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_WAITALL,
            SendMode::Wait => libc::MSG_NOSIGNAL,
        };
        let mut message = self.spare.pop().unwrap_or_else(|| Box::new(Message::new()));
        let payload = NonNull::from(Box::leak(payload));
        // SAFETY: the box was just turned into a pointer; it is turned back only after the
        // message has been cleared (`reclaim`).
        let shape = unsafe { message.describe(payload.as_ptr()) };
        let (entry, message, offered) = match shape {
            Shape::Gathered(offered) => {
                let entry = opcode::SendMsg::new(fd, message.header()).flags(flags as u32).build();
                (entry, Some(message), offered)
            }
            Shape::Single(start, length) => {
                self.recycle(message);
                let length = length.min(MAX_BYTES);
                let entry = opcode::Send::new(fd, start, length as u32).flags(flags).build();
                (entry, None, length)
            }
            Shape::Empty => {
                self.recycle(message);
                let nothing = NonNull::dangling().as_ptr();
                (opcode::Send::new(fd, nothing, 0).flags(flags).build(), None, 0)
            }
        };
        let position = self.queued;
        let entry = match mode {
            SendMode::Attempt => entry.flags(squeue::Flags::SKIP_SUCCESS),
            SendMode::Wait => entry,
        };
        let kind = Kind::Send { payload, message };
        match self.start(entry, socket, token, kind) {
            Ok(id) => {
                if mode == SendMode::Attempt {
                    self.quiet.push_back(Quiet { id, position, offered });
                }
                Ok(Sending { id, offered })
            }
            Err(operation) => match operation.kind {
                Kind::Send { payload, message } => Err(self.reclaim(payload, message)),
                _ => unreachable!("a refused send is handed back as it was"),
            },
        }
    }

    /// Asks the kernel to end an operation, which then completes with what it had. Unknown ids
    /// (the operation has ended meanwhile) are harmless.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn cancel(&mut self, id: OpId) -> Result<(), QueueFull> {
        if self.operations.get(id).is_none() {
            return Ok(());
        }
        let entry = opcode::AsyncCancel::new(id.0).build().user_data(UNTRACKED);
        // SAFETY: a cancellation refers to no memory.
        unsafe { self.ring.submission().push(&entry) }.map_err(|_| QueueFull)?;
        self.queued += 1;
        Ok(())
    }

    fn start(
        &mut self,
        entry: squeue::Entry,
        descriptor: &Descriptor,
        token: Token,
        kind: Kind<P>,
    ) -> Result<OpId, Operation<P>> {
        let id = self.operations.next_id();
        let operation = Operation { token, kind, _descriptor: Rc::clone(descriptor) };
        let entry = entry.user_data(id.0);
        // SAFETY: 1. the descriptor stays open and 2. the memory that a send refers to stays
        // valid and unchanged until the operation completes: both are owned by the entry made
        // right below; 3. receives use provided buffers only, which outlive the ring.
        match unsafe { self.ring.submission().push(&entry) } {
            Ok(()) => {
                self.queued += 1;
                self.operations.insert(operation);
                Ok(id)
            }
            Err(_) => Err(operation),
        }
    }

    /// Submits what is queued, without waiting. Returns how many entries the kernel has taken.
    ///
    /// # Errors
    /// The ring itself has failed.
    pub fn submit(&mut self) -> io::Result<u32> {
        self.enter(0, None)
    }

    /// Submits what is queued and waits until `want` completions are there (those of the very
    /// submissions included), for at most `timeout`. With `want` 0 it only gathers what is there.
    ///
    /// # Errors
    /// The ring itself has failed. Interruptions and time-outs are none.
    pub fn submit_and_wait(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        self.enter(want, timeout).map(drop)
    }

    fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<u32> {
        let submission = self.ring.submission();
        let queued = submission.len() as u32;
        let pending = submission.taskrun() || submission.cq_overflow();
        drop(submission);
        if queued == 0 && want == 0 && !pending {
            return Ok(0);
        }
        let wait = if want > 0 || pending { system::GETEVENTS } else { 0 };
        // SAFETY: the ring is alive; every queued entry was pushed together with an operation
        // that owns what it refers to.
        match unsafe { system::enter(self.name, queued, want, self.enter_flags | wait, timeout) } {
            Ok(submitted) => {
                self.submitted += u64::from(submitted);
                Ok(submitted)
            }
            Err(error) => match error.raw_os_error() {
                // EBUSY, EAGAIN: completions must be reaped, or memory is short for the moment.
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(0),
                _ => Err(error),
            },
        }
    }

    /// Appends completions until `max` are taken, `max_bytes` have been received, or none is
    /// left. The completions of attempted sends come last, all together, beyond `max` if need be.
    pub fn reap(&mut self, max: usize, max_bytes: usize, out: &mut Vec<Completion<P>>) {
        let (mut taken, mut bytes) = (0, 0);
        while taken < max && bytes < max_bytes {
            let Some(entry) = self.ring.completion().next() else { break };
            taken += 1;
            if let Some(completion) = self.interpret(&entry) {
                if let Completion::Received { result: Received::Data(buffer), .. } = &completion {
                    bytes += buffer.len();
                }
                out.push(completion);
            }
        }
        if !self.quiet.is_empty() && self.ring.completion().is_empty() {
            self.reap_quiet(out);
        }
    }

    /// Completes the attempted sends of which nothing was reported: everything has left.
    ///
    /// An attempt never waits in the kernel: it has run when the call that submitted it returns,
    /// and had it failed or come up short, that would have been in the completion queue, which
    /// is empty now. The probe checks that the kernel at hand does it so.
    fn reap_quiet(&mut self, out: &mut Vec<Completion<P>>) {
        if self.ring.submission().cq_overflow() {
            return;
        }
        while let Some(first) = self.quiet.front()
            && first.position < self.submitted
        {
            let (id, offered) = (first.id, first.offered);
            self.quiet.pop_front();
            out.extend(self.sent(id, Ok(offered)));
        }
    }

    /// Ends a send. `None` if it has ended before.
    fn sent(&mut self, id: OpId, result: io::Result<usize>) -> Option<Completion<P>> {
        let Operation { token, kind, .. } = self.operations.remove(id)?;
        let Kind::Send { payload, message } = kind else { return None };
        let payload = self.reclaim(payload, message);
        Some(Completion::Sent { token, payload, result })
    }

    fn interpret(&mut self, entry: &cqueue::Entry) -> Option<Completion<P>> {
        let (result, flags) = (entry.result(), entry.flags());
        // Taken first and on every path: whatever became of the operation, the buffer returns.
        let buffer = cqueue::buffer_select(flags).and_then(|id| {
            let buffers =
                if id < self.buffers.count() { &self.buffers } else { &self.bulk_buffers };
            // SAFETY: each completion is interpreted once, and names a buffer at most once.
            unsafe { buffers.take(id, result.max(0) as usize) }
        });
        if entry.user_data() == UNTRACKED {
            return None;
        }
        let id = OpId::from_user_data(entry.user_data());
        let more = cqueue::more(flags);
        let Some(operation) = self.operations.get(id) else {
            self.stray += 1;
            return None;
        };
        let token = operation.token;
        let completion = match &operation.kind {
            Kind::Receive => Completion::Received { token, result: received(result, buffer), more },
            Kind::Accept => Completion::Accepted { token, result: accepted(result), more },
            Kind::Poll => Completion::Polled { token, result: checked(result).map(drop), more },
            Kind::Send { .. } => return self.sent(id, checked(result)),
        };
        if !more {
            self.operations.remove(id);
        }
        Some(completion)
    }

    /// Ends the loan of a payload that the kernel does not read (any more).
    fn reclaim(&mut self, payload: NonNull<P>, message: Option<Box<Message>>) -> Box<P> {
        if let Some(message) = message {
            self.recycle(message);
        }
        // SAFETY: 1. the pointer comes from a leaked box and this is the only place that takes it
        // back, once, since the operation was removed from the table or never entered it; 2. the
        // message with the slices into it has been cleared.
        unsafe { Box::from_raw(payload.as_ptr()) }
    }

    fn recycle(&mut self, mut message: Box<Message>) {
        message.clear();
        if self.spare.len() < SPARE_MESSAGES {
            self.spare.push(message);
        }
    }

    /// Cancels everything and takes in the last completions. Returns whether the kernel has let
    /// go of all memory.
    fn wind_up(&mut self) -> bool {
        let patience = types::Timespec::from(END_PATIENCE);
        let all = types::CancelBuilder::any();
        let _ = self.enter(0, None);
        // Not found means that nothing was left to cancel.
        let _ = self.ring.submitter().register_sync_cancel(Some(patience), all);
        let mut rest = Vec::new();
        for _ in 0..16 {
            rest.clear();
            self.reap(usize::MAX, usize::MAX, &mut rest);
            if self.operations.owning() == 0 && !self.has_completions() {
                break;
            }
            if self.enter(1, Some(END_PATIENCE / 16)).is_err() {
                break;
            }
        }
        self.operations.owning() == 0
    }
}

impl<P: Gather> Drop for Ring<P> {
    fn drop(&mut self) {
        self.wind_up();
        // What the kernel may still read is leaked, not freed under it.
        for operation in self.operations.drain() {
            if let Kind::Send { message, .. } = operation.kind {
                std::mem::forget(message);
            }
        }
        for (group, buffers) in [(SHARED, &self.buffers), (BULK, &self.bulk_buffers)] {
            if self.ring.submitter().unregister_buf_ring(group).is_err() {
                std::mem::forget(Rc::clone(buffers));
            }
        }
        if let RingName::Registered(index) = self.name {
            // It fails if the kernel has dropped it already: then nothing is left to do.
            let _ = system::unregister_ring(self.ring.as_raw_fd(), index);
        }
    }
}

impl OpId {
    const fn from_user_data(user_data: u64) -> Self {
        Self(user_data)
    }
}

fn checked(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

fn received(result: i32, buffer: Option<crate::Buffer>) -> Received {
    match (result, buffer) {
        (0, _) => Received::EndOfStream,
        (1.., Some(buffer)) => Received::Data(buffer),
        (1.., None) => Received::Failed(io::Error::other("bytes received without a buffer")),
        (code, _) => match -code {
            libc::ENOBUFS => Received::NoBuffers,
            libc::ECANCELED => Received::Cancelled,
            // The kernel could not queue or poll for the moment: nothing is lost.
            libc::EAGAIN | libc::EINTR => Received::NoBuffers,
            errno => Received::Failed(io::Error::from_raw_os_error(errno)),
        },
    }
}

fn accepted(result: i32) -> io::Result<OwnedFd> {
    checked(result)?;
    // SAFETY: a positive result of an accept is a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}
