//! Black-box tests of the server. Nothing here depends on a crate of the server: what is tested is
//! the program, through its sockets, with redis-server as the oracle.

#![forbid(unsafe_code)]
