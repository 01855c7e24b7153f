//! What the tests of the routing socket and their second processes speak of: the
//! router of `tests/netns/route_socket`.

use std::time::{Duration, Instant};

use super::{Client, Request};

/// The net of eth0.
pub const CONNECTED: &str = "192.0.2.0/24";
/// Inside it.
pub const SUBNET: &str = "192.0.2.0/25";
/// The host on eth0.
pub const GATEWAY: &str = "192.0.2.254";

/// So many questions, one after the other: how long they take.
///
/// # Errors
/// One is not answered.
pub fn flood(client: &mut Client, questions: u32) -> anyhow::Result<Duration> {
    let start = Instant::now();
    for _ in 0..questions {
        client.done(Request::get(CONNECTED)?)?;
    }
    Ok(start.elapsed())
}
