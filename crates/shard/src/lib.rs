//! One core of the server without I/O.
//!
//! A [`Shard`] has connections. It takes the bytes that its driver received, reads commands out
//! of them, asks the gates, takes the stores that the commands need at their [`door::Doors`],
//! runs the handlers and gives replies to send. Work for stores that are held elsewhere waits at
//! their doors and comes home through the shard's [`inbox::Inbox`].
//!
//! Absent from here: sockets, clocks and files (the driver has them), and which commands exist
//! (a shard knows rows).
#![forbid(unsafe_code)]

mod admit;
mod barrier;
mod blocked;
mod close;
mod conn;
pub mod counters;
mod credit;
mod deliver;
pub mod door;
mod execute;
mod gates;
pub mod inbox;
mod receive;
mod round;
mod run;
mod serve;
pub mod service;
mod shard;
pub mod sync;
mod tick;
mod work;
mod world;

pub use credit::Credit;
pub use shard::Shard;
pub use work::Batch;
pub use world::{Commands, Hook, Mail, Moment, Paused, World, WorldOptions};
