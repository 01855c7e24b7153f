//! Asks the kernel for neighbours on the dataplane's behalf.
//!
//! A task of its own, because each request waits for the kernel's answer and
//! the dataplane must not. It owns the netlink handle; the dataplane decides.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use forwarder_core::net::Ifindex;
use tokio::sync::mpsc;
use tracing::debug;

use crate::kernel::{Managed, Neighbours};

/// Requests waiting. When it is full the request is dropped: the dataplane
/// asks again at its next scan.
const DEPTH: usize = 1024;

/// How often neighbours are asked for on a kernel that cannot manage them:
/// half the usual reachable time.
const REPEAT: Duration = Duration::from_secs(15);

/// What to ask the kernel for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Resolve this neighbour now.
    Resolve(Ifindex, IpAddr),
    /// Keep it resolved.
    Manage(Ifindex, IpAddr),
    /// Let it age again.
    Release(Ifindex, IpAddr),
}

/// The way to the task.
pub fn channel() -> (mpsc::Sender<Request>, mpsc::Receiver<Request>) {
    mpsc::channel(DEPTH)
}

/// Serves requests until the sender is dropped, so that the releases sent at
/// the end of the daemon are carried out.
pub async fn run(mut neighbours: Neighbours, mut requests: mpsc::Receiver<Request>) {
    let mut by_asking = BTreeSet::new();
    let mut repeat = tokio::time::interval(REPEAT);
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                Some(request) => serve(&mut neighbours, &mut by_asking, request).await,
                None => return,
            },
            _ = repeat.tick() => {
                for &(ifindex, address) in &by_asking {
                    ignore(neighbours.resolve(ifindex, address).await, address);
                }
            }
        }
    }
}

async fn serve(
    neighbours: &mut Neighbours,
    by_asking: &mut BTreeSet<(Ifindex, IpAddr)>,
    request: Request,
) {
    match request {
        Request::Resolve(ifindex, address) => {
            ignore(neighbours.resolve(ifindex, address).await, address);
        }
        Request::Manage(ifindex, address) => match neighbours.manage(ifindex, address).await {
            Ok(Managed::ByAsking) => drop(by_asking.insert((ifindex, address))),
            Ok(Managed::ByKernel | Managed::NotNeeded) => {}
            Err(error) => ignore(Err(error), address),
        },
        Request::Release(ifindex, address) => {
            by_asking.remove(&(ifindex, address));
            ignore(neighbours.unmanage(ifindex, address).await, address);
        }
    }
}

/// The link or the neighbour went meanwhile; the next scan starts anew.
fn ignore<E: std::fmt::Display>(result: Result<(), E>, address: IpAddr) {
    if let Err(error) = result {
        debug!("neighbour {address}: {error}");
    }
}
