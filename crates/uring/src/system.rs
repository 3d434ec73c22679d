//! The system calls that the `io-uring` crate offers in no reusable form.

use std::io;
use std::mem::size_of;
use std::os::fd::RawFd;
use std::time::Duration;

pub(crate) const GETEVENTS: u32 = 1 << 0;
const EXT_ARG: u32 = 1 << 3;
const REGISTERED_RING: u32 = 1 << 4;
pub(crate) const NO_IOWAIT: u32 = 1 << 7;

const REGISTER_RING_FDS: libc::c_uint = 20;
const UNREGISTER_RING_FDS: libc::c_uint = 21;

/// `struct io_uring_getevents_arg`.
#[repr(C)]
#[derive(Default)]
struct GetEventsArg {
    sigmask: u64,
    sigmask_size: u32,
    min_wait_usec: u32,
    timespec: u64,
}

/// `struct io_uring_rsrc_update`.
#[repr(C)]
struct ResourceUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// How the ring is named in `io_uring_enter`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RingName {
    Descriptor(RawFd),
    /// Index into the thread's registered rings: spares the descriptor look-up of every call.
    Registered(u32),
}

/// Registers the ring's descriptor with the calling thread.
pub(crate) fn register_ring(fd: RawFd) -> io::Result<RingName> {
    let mut update = ResourceUpdate { offset: u32::MAX, reserved: 0, data: fd as u64 };
    register_one(fd, REGISTER_RING_FDS, &mut update)?;
    Ok(RingName::Registered(update.offset))
}

/// Takes [`register_ring`] back; must be called by the same thread. As long as it is registered,
/// a ring lives on although its descriptor is closed.
pub(crate) fn unregister_ring(fd: RawFd, index: u32) -> io::Result<()> {
    let mut update = ResourceUpdate { offset: index, reserved: 0, data: 0 };
    register_one(fd, UNREGISTER_RING_FDS, &mut update)
}

fn register_one(fd: RawFd, operation: libc::c_uint, update: &mut ResourceUpdate) -> io::Result<()> {
    // SAFETY: 1. `update` has the layout of `io_uring_rsrc_update` and lives through the call;
    // 2. one element is passed, as the length says; 3. the kernel writes its `offset` only.
    let done = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            fd,
            operation,
            std::ptr::from_mut(update),
            1 as libc::c_uint,
        )
    };
    if done == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `io_uring_enter`: submits `submit` entries and waits until `want` completions are there, or
/// for `timeout`. Returns the number submitted.
///
/// # Safety
/// The ring is alive, and the first `submit` entries of its submission queue describe operations
/// whose memory stays valid until they complete.
pub(crate) unsafe fn enter(
    ring: RingName,
    submit: u32,
    want: u32,
    flags: u32,
    timeout: Option<Duration>,
) -> io::Result<u32> {
    let (fd, name_flag) = match ring {
        RingName::Descriptor(fd) => (fd, 0),
        RingName::Registered(index) => (index as RawFd, REGISTERED_RING),
    };
    // `struct __kernel_timespec`: two 64-bit words.
    let timespec = timeout.map(|t| [t.as_secs().min(i64::MAX as u64), u64::from(t.subsec_nanos())]);
    let argument = GetEventsArg {
        timespec: timespec.as_ref().map_or(0, |t| t.as_ptr() as u64),
        ..GetEventsArg::default()
    };
    // SAFETY: 1. the submitted entries are valid (caller); 2. `argument` and `timespec` have the
    // kernel's layouts and live through the call; 3. EXT_ARG tells the kernel which layout it is.
    let done = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            fd,
            submit,
            want,
            flags | name_flag | EXT_ARG,
            &raw const argument,
            size_of::<GetEventsArg>(),
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done as u32) }
}
