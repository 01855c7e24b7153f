//! The daemon and the command line of the forwarder: everything that touches a
//! socket, a clock, netlink or BPF. What can be decided without them is in
//! `forwarder-core`.

pub mod api;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config_file;
pub mod daemon;
pub mod dataplane;
pub mod doctor;
pub mod kernel;
pub mod paths;
pub mod redistribute;
pub mod rib_task;
pub mod rip_io;
pub mod rip_keys;
pub mod rip_record;
mod rip_rows;
pub mod route_client;
pub mod route_events;
pub mod route_socket;
pub mod route_store;
pub mod run_dir;
