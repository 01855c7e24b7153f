//! The pure core of the forwarder: no sockets, no clock, no BPF, no netlink.
//!
//! Each part is a function of (state, now, input): the shells in the
//! `forwarder` crate feed it events and carry out what it answers, so the
//! same inputs always give the same outputs.
//!
//! * [`net`], [`route`], [`interface`]: the words everything else is said in
//! * [`kernel`]: what the kernel's tables hold, and what of ours belongs there
//! * [`rib`]: every source's candidates, the winner, the journal of changes
//! * [`fib`]: from winners, neighbours and ports to the words of the BPF maps
//! * [`rip`]: the RIP engine
//! * [`route_msg`]: the messages of the routing socket; [`route_event`]: what it
//!   tells besides routes
//! * [`config`]: the configuration file
#![forbid(unsafe_code)]

pub mod config;
pub mod fib;
pub mod interface;
pub mod kernel;
pub mod net;
pub mod rib;
pub mod rip;
pub mod route;
pub mod route_event;
pub mod route_msg;
pub mod time;
