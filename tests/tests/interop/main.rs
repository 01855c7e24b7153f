//! RIPv2 with FRR (zebra + ripd) and BIRD, and zebra beside the daemon, as
//! Debian ships them, checked in the kernel's tables of all sides.

mod authentication;
mod bench;
mod large_tables;
mod peers;
mod rip;
mod ripng;
mod versions;
mod zebra;
