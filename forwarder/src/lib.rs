//! The daemon and the command line of the forwarder: everything that touches a
//! socket, a clock, netlink or BPF. What can be decided without them is in
//! `forwarder-core`.

pub mod api;
pub mod cli;
pub mod config_file;
pub mod daemon;
pub mod paths;
pub mod run_dir;
