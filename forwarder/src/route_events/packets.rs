//! What happens to packets: `RTM_MISS` where no route leads, `RTM_RESOLVE` where
//! one does that asks others for link-layer addresses (`RTF_XRESOLVE`), and
//! `RTM_LOSING` where a gateway does not answer any more.
//!
//! The fast path's events are a sample by `[dataplane.punt] events`; that is the
//! limit of these messages' rate. Where the kernel is heard (see [`super::misses`]),
//! misses come from there.

use std::net::IpAddr;

use forwarder_core::net::{Family, Ifindex, Ipv4, Ipv6};
use forwarder_core::rib::socket::route_message;
use forwarder_core::route_event::RouteEvent;
use forwarder_core::route_msg::RouteMessage;
use forwarder_core::route_msg::number::*;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Events;
use crate::rib_task::{Filter, RibHandle};

/// Addresses that wait to be looked up. More are not looked up: the packet that
/// is sent again asks again.
const DEPTH: usize = 256;

/// Routes through one gateway that are told of when it fails: enough for who
/// counts, and a bound for a table that has one gateway.
const LOSING: usize = 256;

/// What is to be looked up in the RIB.
#[derive(Clone, Copy, Debug)]
enum Question {
    /// A packet waits for this host's address.
    Unresolved(IpAddr),
    /// This gateway's entry has failed.
    Failed(Ifindex, IpAddr),
}

/// Where the fast path says what it has seen.
#[derive(Clone, Debug)]
pub struct Packets {
    events: Events,
    questions: mpsc::Sender<Question>,
    /// Whether the kernel tells of misses.
    kernel: watch::Receiver<bool>,
}

impl Packets {
    /// Starts the task that looks up what an event is about. `kernel` says whether
    /// the kernel tells of misses.
    pub fn start(
        events: Events,
        kernel: watch::Receiver<bool>,
        ribs: (RibHandle<Ipv4>, RibHandle<Ipv6>),
        cancel: CancellationToken,
    ) -> Packets {
        let (questions, receiver) = mpsc::channel(DEPTH);
        let packets = Packets {
            events,
            questions,
            kernel,
        };
        tokio::spawn(answer(packets.events.clone(), ribs, receiver, cancel));
        packets
    }

    /// No route of the fast path leads there. The packet goes up: where the kernel
    /// is heard, its word is the message.
    pub fn missed(&self, destination: IpAddr) {
        if self.events.misses_are_heard() && !*self.kernel.borrow() {
            self.events.publish(about(RTM_MISS, destination));
        }
    }

    /// The next hop's link-layer address is unknown.
    pub fn unresolved(&self, destination: IpAddr) {
        if self.events.are_heard() {
            self.ask(Question::Unresolved(destination));
        }
    }

    /// A neighbour does not answer: asked for nobody too, since dynamic routes
    /// through it go.
    pub fn failed(&self, ifindex: Ifindex, neighbour: IpAddr) {
        self.ask(Question::Failed(ifindex, neighbour));
    }

    fn ask(&self, question: Question) {
        // See DEPTH.
        if self.questions.try_send(question).is_err() {
            self.events.counts.unasked();
        }
    }
}

/// A message that names a destination and nothing else.
pub(super) fn about(kind: u8, destination: IpAddr) -> RouteEvent {
    let mut message = RouteMessage::new(kind);
    message.flags = RTF_DONE;
    message.destination = Some(destination.into());
    RouteEvent::Route(Box::new(message))
}

async fn answer(
    events: Events,
    (ipv4, ipv6): (RibHandle<Ipv4>, RibHandle<Ipv6>),
    mut questions: mpsc::Receiver<Question>,
    cancel: CancellationToken,
) {
    loop {
        let question = tokio::select! {
            () = cancel.cancelled() => return,
            question = questions.recv() => question,
        };
        let answered = match question {
            None => return,
            Some(Question::Unresolved(address @ IpAddr::V4(_))) => {
                resolve(&events, &ipv4, address).await
            }
            Some(Question::Unresolved(address)) => resolve(&events, &ipv6, address).await,
            Some(Question::Failed(ifindex, address @ IpAddr::V4(_))) => {
                losing(&events, &ipv4, ifindex, address).await
            }
            Some(Question::Failed(ifindex, address)) => {
                losing(&events, &ipv6, ifindex, address).await
            }
        };
        // The RIB has ended, and the daemon with it.
        if answered.is_err() {
            return;
        }
    }
}

async fn resolve<F: Family>(
    events: &Events,
    rib: &RibHandle<F>,
    destination: IpAddr,
) -> anyhow::Result<()> {
    let Some(address) = F::from_ip(destination) else {
        return Ok(());
    };
    let taken = rib.show(Filter::Longest(address)).await?;
    let route = taken.iter().find_map(|entry| entry.selected.as_ref());
    let attributes = route.and_then(|route| route.attributes.as_ref());
    if attributes.is_some_and(|attributes| attributes.flags & RTF_XRESOLVE != 0) {
        events.publish(about(RTM_RESOLVE, destination));
    }
    Ok(())
}

/// The routes that packets do not take any more for the moment. A dynamic one
/// goes for good, after the message: its author's word is worth nothing without
/// the gateway.
async fn losing<F: Family>(
    events: &Events,
    rib: &RibHandle<F>,
    ifindex: Ifindex,
    gateway: IpAddr,
) -> anyhow::Result<()> {
    let Some(address) = F::from_ip(gateway) else {
        return Ok(());
    };
    let lost = rib.losing(address, ifindex, LOSING).await?;
    for (prefix, route) in &lost {
        let ways = &route.nexthops;
        let way = ways.iter().position(|hop| hop.gateway == Some(address));
        let message = route_message::<F>(RTM_LOSING, prefix, route, way.unwrap_or(0), true);
        events.publish(RouteEvent::Route(Box::new(message)));
    }
    rib.give_up(lost).await;
    Ok(())
}
