//! The real daemon between network namespaces. One binary, since linking one a
//! file would take longer than the tests.

mod bad_input;
mod configured;
mod flood;
mod foreign_routes;
mod forwarding;
mod invariant;
mod lab_itself;
mod latency;
mod lifecycle;
mod traffic;

/// Attached by the driver, as the labs' links are made for.
const NATIVE: &str = "[dataplane]\nattach = \"native\"\n";
