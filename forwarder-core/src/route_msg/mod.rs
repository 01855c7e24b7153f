//! The messages of the routing socket: route(4)'s, as FreeBSD lays them out on
//! amd64 (`RTM_VERSION` 5, `net/route.h`, `net/if.h`), and our own with types
//! from 0x40 on, which a reader that does not know them skips by their length.
//!
//! Bytes in, values out, and back; nothing here knows the table. The server
//! (`route_socket` in the `forwarder` crate) reads [`request`]s and writes
//! [`message`]s and [`extension`]s; the client library does the reverse
//! ([`read`]). `docs/route-socket.md` is the protocol as a document.
//!
//! Everything that comes in is hostile: no byte sequence panics, is read past
//! its end, or is passed on unparsed. Integers are in host order; sockaddrs are
//! at any alignment, so that nothing is ever cast.

mod bytes;
mod errno;
pub mod extension;
pub mod message;
mod metrics;
pub mod number;
pub mod read;
pub mod request;
pub mod sockaddr;
#[cfg(test)]
mod tests;

pub use errno::Errno;
pub use extension::{Dump, DumpKind, Greeting, GreetingReply, Mode};
pub use message::{IfAddr, IfAnnounce, IfInfo, RouteMessage};
pub use metrics::Metrics;
pub use read::{Message, read};
pub use request::{ClientMessage, RequestKind, RouteRequest};
pub use sockaddr::{Gateway, LinkAddr};
