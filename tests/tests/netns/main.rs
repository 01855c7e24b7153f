//! The real daemon between network namespaces. One binary, since linking one a
//! file would take longer than the tests.

mod accounts;
mod bad_input;
mod bench;
mod configured;
mod counted;
mod differential;
mod doctor;
mod ecmp;
mod events;
mod flood;
mod foreign_routes;
mod forwarding;
mod growth;
mod invariant;
mod ipv6;
mod lab_itself;
mod latency;
mod lifecycle;
mod live;
mod losses;
mod ports;
mod query;
mod reverse_path;
mod rip_replay;
mod route_command;
mod route_listing;
mod route_socket;
mod traffic;
mod vlan;

/// Attached by the driver, as the labs' links are made for.
const NATIVE: &str = "[dataplane]\nattach = \"native\"\n";

/// For `--success-output`: figures are wanted where they are good, too.
#[expect(clippy::print_stderr, reason = "a test's own report")]
fn show(figures: &str) {
    eprintln!("{figures}");
}
