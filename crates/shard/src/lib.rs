//! One core of the server without I/O.
#![forbid(unsafe_code)]

pub mod service;
