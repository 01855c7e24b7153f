//! A client of the routing socket: for programs that set routes or follow them.
//!
//! Each change is acknowledged on a channel of its own, so that it is known to be
//! done or refused although nothing else is read. What is told of changes waits
//! in the socket until [`Client::next`] asks for it.
//!
//! ```no_run
//! # async fn example() -> Result<(), forwarder::route_client::Error> {
//! use std::path::Path;
//! use forwarder::route_client::{Client, Options, Route};
//!
//! let path = Path::new("/run/forwarder/default/route.sock");
//! let mut client = Client::connect(path, &Options::default()).await?;
//! let net = "198.51.100.0/24".parse().expect("a prefix");
//! client.add(&Route::to(net).via("192.0.2.1".parse().expect("an address"))).await?;
//! let taken = client.lookup("198.51.100.7".parse().expect("an address")).await?;
//! println!("by interface {}", taken.index);
//! # Ok(())
//! # }
//! ```
//!
//! [`blocking`] is the same without a runtime. `docs/route-socket.md` is the
//! protocol.

pub mod blocking;
mod client;
mod route;
mod transport;

use std::io;
use std::time::Duration;

use forwarder_core::route_msg::extension::{
    ACK_CHANNEL, NO_LISTEN, NO_OWN_COPIES, PACKED, REVISION,
};
use forwarder_core::route_msg::number::AF_UNSPEC;
use forwarder_core::route_msg::read::Garbled;
pub use forwarder_core::route_msg::{
    DumpKind, Gateway, IfAddr, IfAnnounce, IfInfo, LinkAddr, Message, Metrics, Mode, RouteMessage,
};
use forwarder_core::route_msg::{Errno, Greeting};
use thiserror::Error;

pub use client::{Client, Done};
pub use route::Route;

/// Who connects, and what it wants to hear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Registers the routes of this connection under a name: they are swept when
    /// the last connection of that name has been gone for the time. `None` = they
    /// are nobody's, and stay.
    pub owner: Option<(String, Duration)>,
    /// Whether it is told of changes at all.
    pub listen: bool,
    /// Whether it is told of its own.
    pub own_copies: bool,
    /// What becomes of what it is too slow for.
    pub mode: Mode,
    /// `AF_*` of what it is told of; [`AF_UNSPEC`] = all.
    pub family: u8,
    /// Acknowledgements wait for the fast path.
    pub wait_xdp: bool,
}

impl Default for Options {
    /// One that changes routes and listens to nothing.
    fn default() -> Self {
        Options {
            owner: None,
            listen: false,
            own_copies: false,
            mode: Mode::Reliable,
            family: AF_UNSPEC,
            wait_xdp: false,
        }
    }
}

impl Options {
    /// One that follows all changes, and loses none while it keeps up.
    pub fn listener() -> Options {
        Options {
            listen: true,
            own_copies: true,
            ..Options::default()
        }
    }

    fn greeting(&self) -> Greeting {
        let (name, stale_time) = self.owner.clone().unwrap_or_default();
        let flags = [
            (!self.listen, NO_LISTEN),
            (!self.own_copies, NO_OWN_COPIES),
            (
                self.wait_xdp,
                forwarder_core::route_msg::extension::WAIT_XDP,
            ),
        ];
        let set = flags.iter().filter(|(set, _)| *set);
        Greeting {
            seq: 0,
            revision: REVISION,
            flags: ACK_CHANNEL | PACKED | set.map(|(_, flag)| flag).sum::<u32>(),
            family: self.family,
            mode: self.mode,
            stale_time: u32::try_from(stale_time.as_secs()).unwrap_or(u32::MAX),
            types: 0,
            name,
        }
    }
}

/// Why a request was not done.
#[derive(Debug, Error)]
pub enum Error {
    /// The daemon refuses it. Nothing has changed.
    #[error("{errno}: {}", hint(*errno))]
    Refused {
        /// Why.
        errno: Errno,
        /// Of a batch: which of its requests, from 0.
        index: usize,
    },
    /// The socket fails; the daemon may have ended.
    #[error("the routing socket: {0}")]
    Io(#[from] io::Error),
    /// The daemon sends what is no message.
    #[error("the routing socket: {0}")]
    Garbled(#[from] Garbled),
    /// The daemon has hung up.
    #[error(
        "the routing socket was closed: the daemon has ended, or the user has too many connections"
    )]
    Closed,
}

impl Error {
    /// The errno, where the daemon has refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Refused { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// What an errno means here, and what to do.
pub const fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::Eperm => "only root and the group of [route-socket] may change routes",
        Errno::Esrch => "there is no such route",
        Errno::Eio => "the daemon could not do it: its log says why",
        Errno::Enomem => "the kernel has no memory for it",
        Errno::Eacces => "IPv6 is switched off on the interface",
        Errno::Ebusy => "the route is another source's: `forwarder show routes PREFIX` says whose",
        Errno::Eexist => "there is such a route already",
        Errno::Enodev => "there is no such interface",
        Errno::Einval => "the request makes no sense",
        Errno::Enospc => "the kernel's table is full",
        Errno::Ecanceled => "another request of the batch was refused",
        Errno::Emsgsize => "too many requests in one packet or batch",
        Errno::Eprotonosupport => "the daemon speaks another version",
        Errno::Eopnotsupp => "the daemon has no such request",
        Errno::Eafnosupport => "neither IPv4 nor IPv6, or both in one batch",
        Errno::Enetdown => "the interface is down",
        Errno::Enetunreach => "no interface reaches the gateway",
        Errno::Enobufs => "the table is full: [route-socket] max-routes",
        Errno::Ehostunreach => "the host cannot be a gateway",
    }
}
