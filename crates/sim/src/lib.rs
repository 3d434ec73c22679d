//! Many shards, their clients and time, under one seed.
//!
//! A run has one to four real shards on threads of their own, of which exactly one moves at a
//! time; they can be suspended at every moment of a holding, so any shard can be the slow one
//! that holds what others wait for. Clients send pipelines, transactions and watches over a
//! network that cuts, delays and breaks; the clock is virtual. What they were told is recorded
//! and judged by checkers that know nothing of how the server works:
//!
//! - strict serializability of everything on lists of unique tokens, with the order that each
//!   connection is promised;
//! - linearizability of a register that is spread over several keys;
//! - each reply answers its request, and the replies of a connection come in request order;
//! - an element of a queue is popped by exactly one client, who waits longest is served first, and
//!   nobody misses what is there;
//! - a switch of the whole server is in force everywhere once it is answered;
//! - nobody waits for ever, nothing is left over, and a shutdown ends.
//!
//! The same seed makes the same run, on machines where the hash function of keys is the same.
#![forbid(unsafe_code)]

mod ask;
mod check;
mod client;
mod history;
mod link;
mod queue;
mod random;
mod rows;
mod run;
mod scene;
mod stage;
mod token;

pub use run::{Failure, Options, Report, simulate};
pub use scene::Mutant;
