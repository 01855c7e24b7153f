//! One netlink socket: opened, given a big receive buffer, read a datagram at
//! a time.
//!
//! Used by the monitor, by [`Requester`](super::request::Requester) and by
//! the constraint watcher. Sockets belong to the network namespace of the
//! thread that opens them.
//!
//! Why not netlink-proto: its connection task dies on read errors, and drops
//! what it can't decode without telling; here both reach the caller.

use std::io;

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures::FutureExt as _;
use netlink_sys::{AsyncSocket as _, Socket, SocketAddr, TokioSocket};
use nix::sys::socket::{setsockopt, sockopt};

/// Size of read buffers. The kernel makes dump parts of at most 32 KiB, and
/// notifications of an interface without its virtual functions of a few.
pub(crate) const READ_BUFFER: usize = 128 * 1024;

/// A netlink socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("opening a netlink socket ({protocol}): {action} failed: {source}; {hint}")]
pub struct OpenError {
    protocol: &'static str,
    action: &'static str,
    source: io::Error,
    hint: &'static str,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// Messages were lost: the receive buffer was full.
    #[error("the kernel dropped netlink messages for want of buffer space")]
    Overrun,
    /// Anything else; the socket is to be opened anew.
    #[error("reading from a netlink socket: {0}")]
    Io(#[from] io::Error),
}

/// A netlink protocol and its name for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    number: isize,
    name: &'static str,
}

impl Protocol {
    pub(crate) const ROUTE: Protocol = Protocol {
        number: 0,
        name: "NETLINK_ROUTE",
    };
    pub(crate) const XFRM: Protocol = Protocol {
        number: 6,
        name: "NETLINK_XFRM",
    };
    pub(crate) const NETFILTER: Protocol = Protocol {
        number: 12,
        name: "NETLINK_NETFILTER",
    };
}

/// A bound, non-blocking netlink socket.
pub(crate) struct NetlinkSocket {
    socket: TokioSocket,
    port: u32,
    sequence: u32,
}

impl std::fmt::Debug for NetlinkSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetlinkSocket")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl NetlinkSocket {
    /// Opens a socket that listens to these multicast groups, with a receive
    /// buffer of that many bytes where the kernel allows it.
    pub(crate) fn open(
        protocol: Protocol,
        groups: &[u32],
        receive_buffer: usize,
    ) -> Result<Self, OpenError> {
        let fail = |action| move |source| open_error(protocol, action, source);
        let mut socket = TokioSocket::new(protocol.number).map_err(fail("socket"))?;
        set_options(socket.socket_ref(), receive_buffer);
        let address = socket.socket_mut().bind_auto().map_err(fail("bind"))?;
        for group in groups {
            let joined = socket.socket_ref().add_membership(*group);
            joined.map_err(fail("joining a multicast group"))?;
        }
        Ok(NetlinkSocket {
            socket,
            port: address.port_number(),
            sequence: 0,
        })
    }

    /// Our `nlmsg_pid`, which replies to us carry.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// A sequence number for a request; never 0.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Sends to the kernel.
    pub(crate) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let kernel = SocketAddr::new(0, 0);
        poll_fn(|cx| self.socket.poll_send_to(cx, bytes, &kernel))
            .await
            .map(drop)
    }

    /// Waits for the next datagram. Safe to cancel: nothing is read then.
    pub(crate) async fn receive<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ReceiveError> {
        let len = poll_fn(|cx| self.poll_receive(cx, buffer)).await?;
        Ok(buffer.get(..len).unwrap_or_default())
    }

    /// The next datagram if there is one now.
    pub(crate) fn try_receive<'b>(
        &self,
        buffer: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, ReceiveError> {
        match poll_fn(|cx| self.poll_receive(cx, buffer)).now_or_never() {
            Some(len) => Ok(buffer.get(..len?)),
            None => Ok(None),
        }
    }

    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, ReceiveError>> {
        let size = buffer.len();
        loop {
            let mut space = &mut *buffer;
            match ready!(self.socket.poll_recv_from(cx, &mut space)) {
                Ok(sender) if sender.port_number() == 0 => {
                    return Poll::Ready(Ok(size - space.len()));
                }
                // Another process talks to us: not the kernel.
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::ENOBUFS) => return Poll::Ready(Err(ReceiveError::Overrun)),
                    _ => return Poll::Ready(Err(error.into())),
                },
            }
        }
    }
}

fn set_options(socket: &Socket, receive_buffer: usize) {
    // Without CAP_NET_ADMIN net.core.rmem_max is the limit, which will do.
    if setsockopt(socket, sockopt::RcvBufForce, &receive_buffer).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &receive_buffer);
    }
    // Old kernels lack these; what they do is checked again in userspace.
    let _ = socket.set_netlink_get_strict_chk(true);
    let _ = socket.set_ext_ack(true);
    let _ = socket.set_cap_ack(true);
}

fn open_error(protocol: Protocol, action: &'static str, source: io::Error) -> OpenError {
    let hint = match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "run as root or with CAP_NET_ADMIN",
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit of open files",
        Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => "this kernel does not have it",
        _ => "the daemon can't follow the kernel without it",
    };
    OpenError {
        protocol: protocol.name,
        action,
        source,
        hint,
    }
}

impl OpenError {
    /// The kernel was built without this protocol.
    pub(crate) fn is_unsupported(&self) -> bool {
        let unsupported = [libc::EPROTONOSUPPORT, libc::EAFNOSUPPORT, libc::ENOPROTOOPT];
        self.source
            .raw_os_error()
            .is_some_and(|errno| unsupported.contains(&errno))
    }
}

#[cfg(test)]
mod tests;
