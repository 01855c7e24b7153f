//! Traffic between namespaces from ordinary sockets: what an application
//! would notice.

mod background;
mod stream;
mod tcp;
mod udp;

#[cfg(test)]
pub(crate) use stream::count;
pub use stream::{Gaps, Stream};
pub use tcp::transfer;
pub use udp::{UdpEcho, exchange};
