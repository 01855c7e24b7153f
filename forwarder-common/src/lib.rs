//! What both sides of the kernel boundary agree on.
//!
//! Owns the layout of every BPF map value ([`abi`]), the one list of verdict
//! reasons ([`reason`]), the checksum arithmetic ([`checksum`]), the lookup in
//! the route table ([`trie`]), and what measurements need: what the traffic
//! programs share with their loader ([`bench`]), which checks can be left out
//! ([`check`]). The XDP program, the daemon and host tests all use these,
//! so a layout or a rule can not differ between them. `no_std`, no allocation,
//! no dependencies.
#![no_std]

#[cfg(all(target_arch = "bpf", feature = "user"))]
compile_error!("the `user` feature is for the daemon; the BPF build must not enable it");

pub mod abi;
pub mod bench;
pub mod check;
pub mod checksum;
pub mod flow;
pub mod reason;
pub mod trie;

#[cfg(test)]
mod tests;
