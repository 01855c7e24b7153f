//! What the server asks of the daemon.

use std::future::Future;
use std::net::IpAddr;

use ipnet::IpNet;

use super::counters::PortCounters;
use super::model::{
    Clients, Done, Events, Fib, FibRoute, Interface, Lookup, Neighbor, Nexthop, RipClear, RipError,
    RipInterface, RipNeighbor, RipRoute, Route, RouteCounter, Status,
};

/// An answer or why there is none.
pub type Reply<T> = Result<T, ApiError>;

/// Why a question cannot be answered or a command not be carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{error}")]
pub struct ApiError {
    /// What kind of failure it is.
    pub kind: ApiErrorKind,
    /// What was tried and what went wrong.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The kind of an [`ApiError`]: the HTTP status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApiErrorKind {
    /// The question itself is wrong: 400.
    BadRequest,
    /// What was asked for is not there: 404.
    NotFound,
    /// It cannot be done as things are (a bad configuration file): 409.
    Refused,
    /// The daemon is starting or stopping: 503.
    Unavailable,
    /// Anything else: 500.
    Internal,
}

impl ApiError {
    /// An error with what to do about it.
    pub fn new(kind: ApiErrorKind, error: impl Into<String>, hint: impl Into<String>) -> Self {
        ApiError {
            kind,
            error: error.into(),
            hint: Some(hint.into()),
        }
    }

    /// RIP was asked for and is off.
    pub fn rip_is_off() -> Self {
        let hint = "put a table [rip] into the configuration file, then `forwarder reload`";
        ApiError::new(ApiErrorKind::NotFound, "RIP is not switched on", hint)
    }

    /// The task that would know has ended.
    pub fn stopping() -> Self {
        let hint = "ask again once it is up";
        ApiError::new(
            ApiErrorKind::Unavailable,
            "the daemon is starting or stopping",
            hint,
        )
    }
}

/// Which routes are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouteQuery {
    /// Of which tables.
    pub table: RouteTable,
    /// Only this prefix, exactly.
    pub prefix: Option<IpNet>,
}

/// Which events are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventQuery {
    /// Only those with a higher number, from the oldest on; else the newest.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Which tables routes are shown of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RouteTable {
    /// The one that is routed by.
    #[default]
    Main,
    /// The router's own addresses and broadcasts.
    Local,
    /// Every table.
    All,
}

/// The daemon as the API sees it. Each method asks the task that owns the state
/// and waits for its answer; none changes anything by itself.
///
/// What is expensive to put together (a million routes) the implementation puts
/// together away from the runtime's thread, which has packets' routes to see to.
pub trait Backend: Send + Sync + 'static {
    /// The daemon at a glance.
    fn status(&self) -> impl Future<Output = Reply<Status>> + Send;
    /// Every source's offers, by table and prefix.
    fn routes(&self, query: RouteQuery) -> impl Future<Output = Reply<Vec<Route>>> + Send;
    /// What RIB, kernel and fast path do with one destination; see
    /// [`super::lookup::compare`].
    fn lookup(&self, address: IpAddr) -> impl Future<Output = Reply<Lookup>> + Send;
    /// Every interface, ports and others.
    fn interfaces(&self) -> impl Future<Output = Reply<Vec<Interface>>> + Send;
    /// Neighbours on our ports.
    fn neighbors(&self) -> impl Future<Output = Reply<Vec<Neighbor>>> + Send;
    /// Who is connected to the routing socket.
    fn clients(&self) -> impl Future<Output = Reply<Clients>> + Send;
    /// The fast path's next hops.
    fn nexthops(&self) -> impl Future<Output = Reply<Vec<Nexthop>>> + Send;
    /// The fast path's counters, all CPUs together.
    fn counters(&self) -> impl Future<Output = Reply<Vec<PortCounters>>> + Send;
    /// The routes that are counted each by itself.
    fn route_counters(&self) -> impl Future<Output = Reply<Vec<RouteCounter>>> + Send;
    /// What the fast path told of single packets.
    fn events(&self, query: EventQuery) -> impl Future<Output = Reply<Events>> + Send;
    /// The fast path's tables.
    fn fib(&self) -> impl Future<Output = Reply<Fib>> + Send;
    /// The fast path's routes of one family, in address order.
    fn fib_routes(&self, ipv6: bool) -> impl Future<Output = Reply<Vec<FibRoute>>> + Send;
    /// Where RIP runs; [`ApiError::rip_is_off`] for this and the next four.
    fn rip_interfaces(&self) -> impl Future<Output = Reply<Vec<RipInterface>>> + Send;
    /// Whom RIP hears.
    fn rip_neighbors(&self) -> impl Future<Output = Reply<Vec<RipNeighbor>>> + Send;
    /// What they offer.
    fn rip_routes(&self) -> impl Future<Output = Reply<Vec<RipRoute>>> + Send;
    /// What was refused, every reason.
    fn rip_errors(&self) -> impl Future<Output = Reply<Vec<RipError>>> + Send;
    /// Forgets something.
    fn rip_clear(&self, what: RipClear) -> impl Future<Output = Reply<Done>> + Send;
    /// Asks the neighbours on an interface for their tables.
    fn rip_request(&self, interface: String) -> impl Future<Output = Reply<Done>> + Send;
    /// Reads the configuration again; all of it is applied or nothing.
    fn reload(&self) -> impl Future<Output = Reply<Done>> + Send;
    /// Begins to stop, and answers at once. The socket goes when all is done.
    fn stop(&self) -> impl Future<Output = Reply<Done>> + Send;
}
