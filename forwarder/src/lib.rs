//! The forwarder: an eBPF/XDP fast path and its control plane.

pub mod dataplane;
