//! A small safe layer over io_uring, holding what a shard's network loop needs and nothing else.
//!
//! What makes it safe:
//! - memory that the kernel reads or writes is owned by the layer until the kernel is done with
//!   it: payloads of sends ([`Gather`]) are given back by their [`Completion`], receive buffers
//!   ([`ProvidedBufRing`]) are lent to the caller as [`Buffer`] guards, each returned exactly once;
//! - descriptors in use by an operation are kept open by it ([`Descriptor`]);
//! - every operation is an entry of a table; the kernel's 64-bit tag names entry and generation,
//!   so a late completion is never mistaken for one of the entry's next tenant.
//!
//! A [`Ring`] belongs to the thread that made it. It knows nothing of what the bytes mean, reads
//! no clock and starts no thread. All `unsafe` of the network path is in this crate.

mod buffers;
mod completion;
mod operations;
mod payload;
mod probe;
mod ring;
mod system;

pub use buffers::{Buffer, ProvidedBufRing};
pub use completion::{Completion, Received, Token};
pub use operations::{Descriptor, OpId};
pub use payload::{Gather, MAX_SLICES};
pub use probe::{Unsupported, probe};
pub use ring::{QueueFull, Ring, RingOptions, SendMode, Sending};
