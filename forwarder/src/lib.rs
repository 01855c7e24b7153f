//! An eBPF/XDP fast-path forwarder and its control plane.

pub mod bench;
