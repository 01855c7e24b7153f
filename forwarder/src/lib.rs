//! The forwarder: an eBPF/XDP fast path and its control plane.

pub mod bench;
pub mod dataplane;
