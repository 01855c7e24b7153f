//! What goes into the engine and what comes out of it.

use super::auth::UnixTime;
use super::config::{InterfaceSetup, Tuning};
use super::metric::Metric;
use super::reject::Reject;
use crate::net::{Family, Ifindex};
use crate::route::Nexthop;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input<'a, F: Family> {
    /// A datagram came to the RIP port.
    Datagram(Datagram<'a, F>),
    /// The point in time that [`super::Rip::next_deadline`] named has come.
    /// Everything but answers to requests for single destinations is sent from
    /// here, so that a burst of datagrams causes one triggered update.
    Deadline,
    /// RIP is to run on an interface that can carry frames; or its addresses or
    /// its configuration have changed.
    InterfaceUp(InterfaceSetup<F>),
    /// The interface carries no frames any more, or is gone.
    InterfaceDown(Ifindex),
    /// RIP is to run on the interface no longer. What was advertised there is
    /// poisoned first; [`super::Rip::has_interface`] tells when that is done.
    InterfaceRemove(Ifindex),
    /// Routes of other sources to advertise.
    Redistribute(Redistribute<F>),
    /// Send a request for the whole table on the interface.
    Request(Ifindex),
    /// Forget something at the operator's wish.
    Clear(Clear<F>),
    /// New timers and limits.
    Reconfigure(Tuning),
    /// What a wall clock shows now: at start, and when it was set. Authentication
    /// takes lifetimes of keys and sequence numbers from it.
    WallClock(UnixTime),
    /// Poison all that was advertised; [`super::Rip::is_drained`] tells when
    /// that is done. Nothing is learnt any more.
    Shutdown,
}

/// A datagram as it came from the socket.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a, F: Family> {
    /// Where it arrived.
    pub ifindex: Ifindex,
    /// Who sent it.
    pub source: F::Addr,
    /// From which port.
    pub source_port: u16,
    /// Its TTL or hop limit, if the kernel has told.
    pub hop_limit: Option<u8>,
    /// It was sent to a group.
    pub multicast: bool,
    /// What is in it; hostile.
    pub payload: &'a [u8],
}

/// A route of another source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redistribute<F: Family> {
    /// It is there, or has changed.
    Update {
        /// Its destination.
        prefix: F::Prefix,
        /// The metric to advertise, below infinity.
        metric: Metric,
        /// The tag to advertise.
        tag: u16,
        /// The router it leads to: advertised as next hop where it is on the
        /// link (RFC 2453 §4.4).
        next_hop: Option<F::Addr>,
    },
    /// It is gone.
    Withdraw {
        /// Its destination.
        prefix: F::Prefix,
    },
}

/// What an operator can have forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clear<F: Family> {
    /// A neighbour and all it offered.
    Neighbor(F::Addr),
    /// All that was learnt; it is asked for again.
    Routes,
    /// The counters.
    Counters,
}

/// What is to be done about an input, in order within each list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actions<F: Family> {
    /// Datagrams to send.
    pub sends: Vec<Send<F>>,
    /// What the RIB is to be told.
    pub routes: Vec<RouteChange<F>>,
    /// What an operator may want to know.
    pub events: Vec<Event<F>>,
}

impl<F: Family> Default for Actions<F> {
    fn default() -> Self {
        Actions {
            sends: Vec::new(),
            routes: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// A datagram to send from the RIP port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send<F: Family> {
    /// By which interface.
    pub ifindex: Ifindex,
    /// From which of its addresses.
    pub source: F::Addr,
    /// To whom: a router or the group.
    pub destination: F::Addr,
    /// To which port.
    pub port: u16,
    /// With which TTL or hop limit.
    pub hop_limit: u8,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// A change of what RIP offers to the RIB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RouteChange<F: Family> {
    /// The route is there, or has changed.
    Update {
        /// Its destination.
        prefix: F::Prefix,
        /// Where to; at least one.
        nexthops: Vec<Nexthop<F>>,
        /// How far, below infinity.
        metric: Metric,
        /// Its tag.
        tag: u16,
    },
    /// The route is gone.
    Withdraw {
        /// Its destination.
        prefix: F::Prefix,
    },
}

/// Something worth a line in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<F: Family> {
    /// A neighbour was heard for the first time.
    NeighborUp(NeighborKey<F>),
    /// A neighbour has been silent for the timeout.
    NeighborLost(NeighborKey<F>),
    /// No key's time to be sent is now: the last one goes on.
    OutOfKeys(Ifindex),
    /// Something was refused for a reason that was quiet for a minute.
    Rejected(Reject, NeighborKey<F>),
}

/// A router on an interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NeighborKey<F: Family> {
    /// The interface it is heard on.
    pub ifindex: Ifindex,
    /// Its address.
    pub address: F::Addr,
}
