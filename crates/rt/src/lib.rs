//! Moves services: every [`Service`] on a thread of its own, with its connections, by io_uring
//! or, where that is not to be had, by epoll. Both drivers show a client the same behaviour.
//!
//! ```text
//! Runtime::bind   listeners and one Doorbell for each thread, before the services exist
//! Runtime::start  the threads; Handle to stop and join them
//!   driver        reap -> Service::turn -> actions -> arm, send, close -> submit and wait
//! ```
//!
//! This crate knows nothing of RESP: it moves bytes received to a service, and the service's
//! outputs to sockets. It is the place where the clock is read.
//!
//! What a service may rely on beyond the contract of [`kevy_shard::service`]:
//! - [`Event::Sent`] of an output that left at once comes with the next turn, whatever causes
//!   that. It causes a turn by itself where somebody may be waiting for it: when the connection
//!   is paused, when the output was large (64 KiB) or when it did not leave at once.
//! - After [`Action::Close`] or [`Action::Abort`] nothing of the connection is reported but
//!   [`Event::Sent`]; what the client still sends is read and dropped.
//! - After [`Event::Failed`] the connection stays until the service closes it.
#![forbid(unsafe_code)]

mod clock;
mod config;
mod connection;
mod core;
mod doorbell;
mod epoll;
mod incoming;
mod intake;
mod listen;
mod pending;
mod runtime;
mod shared;
mod uring;

pub use clock::Clock;
pub use config::{Backend, BackendChoice, Pin, RuntimeConfig, TcpBind, UnixBind};
pub use doorbell::Doorbell;
pub use kevy_shard::service::{Action, ConnId, Event, Now, Peer, PeerAddress, Service, Wait, Wake};
pub use kevy_uring::RingOptions;
pub use runtime::{Handle, Runtime, StartError, Stopper};
pub use shared::Control;
