//! A whole table from BIRD in one burst: how much of it is held before the next
//! update would bring the rest.

use serde::Serialize;

use super::arrival::{self, Arrival};
use super::device::{Bed, Device, Kind, bird_config, milliseconds};
use super::{Options, grouped};
use crate::console::Console;
use crate::lab::{Lab, in_lab};

/// One burst.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// Who received it.
    pub device: Kind,
    /// Routes that BIRD announced.
    pub routes: usize,
    /// Of them in the kernel's table after the first full burst.
    pub kernel: u64,
    /// Likewise in the fast path's.
    pub xdp: Option<u64>,
    /// From the first packet until the kernel had all; `null` = it never had.
    pub kernel_ms: Option<f64>,
    /// Likewise the fast path.
    pub xdp_ms: Option<f64>,
    /// Full datagrams that BIRD sent until then.
    pub datagrams: u64,
    /// Datagrams that the socket had no room for.
    pub socket_drops: u64,
    /// Frames that a link dropped.
    pub link_drops: u64,
}

impl Received {
    /// Everything is there, and nothing had to be sent twice for it.
    pub(super) fn complete(&self) -> bool {
        let all = self.routes as u64;
        self.kernel_ms.is_some()
            && self.xdp.is_none_or(|xdp| xdp >= all)
            && self.socket_drops + self.link_drops == 0
    }
}

/// Every size to every device, each time a fresh one.
pub(super) fn measure(options: &Options, console: &Console) -> anyhow::Result<Vec<Received>> {
    let mut results = Vec::new();
    for routes in &options.routes {
        for kind in Kind::ALL {
            console.step(&format!(
                "receive: {} routes from BIRD to {}; waiting for its first full update",
                grouped(*routes as u64),
                kind.name()
            ));
            let result = in_lab("rip-bench-receive", |lab| burst(lab, kind, *routes))?;
            console.detail(&format!(
                "{} in the kernel's table, {} datagrams dropped",
                grouped(result.kernel),
                result.socket_drops + result.link_drops
            ));
            results.push(result);
        }
    }
    Ok(results)
}

fn burst(lab: &Lab, kind: Kind, routes: usize) -> anyhow::Result<Received> {
    let bed = Bed::new(lab, kind, 1)?;
    let mut device = Device::start(lab, kind, &bed.router)?;
    let arrival = std::thread::scope(|scope| {
        // BIRD speaks before it answers its console.
        let bird = scope.spawn(|| lab.start_bird(&bed.neighbours[0], &bird_config(routes)));
        let fast_path = device.fast_path.as_mut();
        let arrival = arrival::first_update(&mut device.counters, fast_path, routes, 0);
        match bird.join() {
            Ok(started) => started.and(arrival),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let Arrival {
        kernel,
        kernel_after,
        fast_path,
        fast_path_after,
        datagrams,
    } = arrival;
    Ok(Received {
        device: kind,
        routes,
        kernel,
        xdp: fast_path,
        kernel_ms: kernel_after.map(milliseconds),
        xdp_ms: fast_path_after.map(milliseconds),
        datagrams,
        socket_drops: device.counters.socket_drops()?,
        link_drops: device.counters.received()?.dropped,
    })
}
