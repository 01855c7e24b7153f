//! The `forwarder` command.
fn main() {}
