//! Single additions: one outstanding beside a bare round trip and netlink, and
//! 64 outstanding beside netlink, in turns.

use std::time::Instant;

use anyhow::Context as _;
use forwarder_core::route_msg::extension::{ACK_CHANNEL, NO_LISTEN, NO_OWN_COPIES, PACKED};
use forwarder_core::route_msg::number::RTM_ADD;
use serde::Serialize;

use super::super::family::BenchFamily;
use super::super::router::Router;
use super::super::samples::Summary;
use super::bare::Echo;
use super::client::Client;
use super::daemon::Daemon;
use super::greeting;
use super::messages::{Entry, Messages, exports};
use super::netlink::{Netlink, datagrams};

/// Requests outstanding in the second part.
const OUTSTANDING: usize = 64;
/// Of these, in one packet: one is worked on while the other is on its way.
const PACKED_TOGETHER: usize = 32;
/// Most additions of a sample.
const SAMPLE: usize = 10_000;

/// What a client sends that only writes.
pub(super) const WRITER: u32 = NO_OWN_COPIES | NO_LISTEN | PACKED | ACK_CHANNEL;

/// Additions a second, and ratios of what was measured in the same turn.
#[derive(Clone, Debug, Serialize)]
pub struct Requests {
    /// Additions of a sample.
    pub additions: usize,
    /// Bytes of a request.
    pub bytes: usize,
    /// The same bytes there and back.
    pub bare: Summary,
    /// The daemon, one outstanding.
    pub single: Summary,
    /// Netlink, likewise.
    pub netlink_single: Summary,
    /// The daemon, 64 outstanding.
    pub window: Summary,
    /// Netlink, 64 a datagram.
    pub netlink_window: Summary,
    /// One outstanding: the daemon by a bare round trip.
    pub by_bare: Summary,
    /// One outstanding: the daemon by netlink.
    pub single_by_netlink: Summary,
    /// 64 outstanding: the daemon by netlink.
    pub window_by_netlink: Summary,
}

/// One turn: additions a second.
#[derive(Clone, Copy)]
struct Turn {
    bare: f64,
    single: f64,
    netlink_single: f64,
    window: f64,
    netlink_window: f64,
}

pub(super) fn measure<F: BenchFamily>(
    daemon: &Daemon,
    kernel: &Router,
    entries: &[Entry<F>],
    samples: usize,
) -> anyhow::Result<Requests> {
    let mut client = Client::connect(&daemon.socket(), &greeting(WRITER))?;
    let echo = Echo::start()?;
    let mut netlink = kernel.enter(Netlink::open)?;
    let additions = (entries.len() / (2 * samples)).clamp(1, SAMPLE);
    let mut slices = entries.chunks(additions);
    let mut turns = Vec::with_capacity(samples);
    let mut bytes = 0;
    for _ in 0..samples {
        let (Some(first), Some(second)) = (slices.next(), slices.next()) else {
            break;
        };
        let (one, two) = (
            Messages::of::<F>(RTM_ADD, first),
            Messages::of::<F>(RTM_ADD, second),
        );
        let port = kernel.egress();
        let (alone, packed) = (
            datagrams(&exports::<F>(first, port), 1),
            datagrams(&exports::<F>(second, port), OUTSTANDING),
        );
        bytes = one.length;
        let together = (PACKED_TOGETHER, OUTSTANDING);
        turns.push(Turn {
            bare: rate(one.count(), || echo.pump(&one.bytes, one.length))?,
            single: rate(one.count(), || {
                client.pump(&one.bytes, one.length, 1, 1).map(drop)
            })?,
            netlink_single: rate(one.count(), || netlink.pump(&alone))?,
            window: rate(two.count(), || {
                let (packed, window) = together;
                client
                    .pump(&two.bytes, two.length, packed, window)
                    .map(drop)
            })?,
            netlink_window: rate(two.count(), || netlink.pump(&packed))?,
        });
    }
    summary(&turns, additions, bytes)
}

/// So many a second.
fn rate(count: usize, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn summary(turns: &[Turn], additions: usize, bytes: usize) -> anyhow::Result<Requests> {
    let of = |value: fn(&Turn) -> f64| {
        let values: Vec<f64> = turns.iter().map(value).collect();
        Summary::of(&values).context("the table is too small for one sample")
    };
    Ok(Requests {
        additions,
        bytes,
        bare: of(|turn| turn.bare)?,
        single: of(|turn| turn.single)?,
        netlink_single: of(|turn| turn.netlink_single)?,
        window: of(|turn| turn.window)?,
        netlink_window: of(|turn| turn.netlink_window)?,
        by_bare: of(|turn| turn.single / turn.bare)?,
        single_by_netlink: of(|turn| turn.single / turn.netlink_single)?,
        window_by_netlink: of(|turn| turn.window / turn.netlink_window)?,
    })
}
