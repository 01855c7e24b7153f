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

use futures::FutureExt as _;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::unix::AsyncFd;

/// First size of the read buffer. The kernel makes dump parts of at most 32
/// KiB; only a notification can be longer (a link with many VFs).
const READ_BUFFER: usize = 64 * 1024;
/// The read buffer doesn't grow beyond this, whatever is sent.
const READ_BUFFER_LIMIT: usize = 4 * 1024 * 1024;

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
    /// Messages were lost: the buffer was full, or a datagram too long.
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
    pub(crate) const ROUTE: Protocol = Protocol { number: 0, name: "NETLINK_ROUTE" };
    pub(crate) const XFRM: Protocol = Protocol { number: 6, name: "NETLINK_XFRM" };
    pub(crate) const NETFILTER: Protocol = Protocol { number: 12, name: "NETLINK_NETFILTER" };
}

/// A bound, non-blocking netlink socket.
#[derive(Debug)]
pub(crate) struct NetlinkSocket {
    io: AsyncFd<Socket>,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
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
        let mut socket = Socket::new(protocol.number).map_err(fail("socket"))?;
        set_receive_buffer(&socket, receive_buffer);
        // Old kernels lack these; what they do is checked again in userspace.
        let _ = socket.set_netlink_get_strict_chk(true);
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        socket.set_non_blocking(true).map_err(fail("non-blocking mode"))?;
        let address = socket.bind_auto().map_err(fail("bind"))?;
        for group in groups {
            socket.add_membership(*group).map_err(fail("joining a multicast group"))?;
        }
        let io = AsyncFd::new(socket).map_err(fail("registering with the runtime"))?;
        let buffer = vec![0; READ_BUFFER];
        Ok(NetlinkSocket { io, port: address.port_number(), sequence: 0, buffer })
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
        loop {
            let mut guard = self.io.writable().await?;
            match guard.try_io(|io| io.get_ref().send_to(bytes, &kernel, 0)) {
                Ok(sent) => return sent.map(drop),
                Err(_would_block) => {}
            }
        }
    }

    /// Waits until there is something to read. Safe to cancel.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await.map(|mut guard| guard.retain_ready())
    }

    /// Waits for the next datagram and reads it.
    pub(crate) async fn receive(&mut self) -> Result<&[u8], ReceiveError> {
        loop {
            self.readable().await?;
            if let Some(len) = self.read()? {
                return Ok(self.buffer.get(..len).unwrap_or_default());
            }
        }
    }

    /// The next datagram if there is one now.
    pub(crate) fn try_receive(&mut self) -> Result<Option<&[u8]>, ReceiveError> {
        let len = self.read()?;
        Ok(len.map(|len| self.buffer.get(..len).unwrap_or_default()))
    }

    /// Reads one datagram of the kernel's into the buffer: its length.
    fn read(&mut self) -> Result<Option<usize>, ReceiveError> {
        // The guard is taken before the read, so that what arrives after an
        // empty read is not forgotten when readiness is cleared.
        while let Some(guard) = self.io.readable().now_or_never() {
            let mut guard = guard?;
            let mut space: &mut [u8] = &mut self.buffer;
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            let Ok(read) = guard.try_io(|io| io.get_ref().recv_from(&mut space, flags)) else {
                return Ok(None);
            };
            match read {
                Ok((len, _)) if len > self.buffer.len() => return Err(self.grow(len)),
                Ok((len, sender)) if sender.port_number() == 0 => return Ok(Some(len)),
                // Another process talks to us: not the kernel.
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::ENOBUFS) => return Err(ReceiveError::Overrun),
                    _ => return Err(ReceiveError::Io(error)),
                },
            }
        }
        Ok(None)
    }

    /// A datagram did not fit: the next one like it will.
    fn grow(&mut self, len: usize) -> ReceiveError {
        self.buffer.resize(len.next_power_of_two().min(READ_BUFFER_LIMIT), 0);
        ReceiveError::Overrun
    }
}

fn open_error(protocol: Protocol, action: &'static str, source: io::Error) -> OpenError {
    let hint = match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "run as root or with CAP_NET_ADMIN",
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit of open files",
        Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => "this kernel does not have it",
        _ => "the daemon can't follow the kernel without it",
    };
    OpenError { protocol: protocol.name, action, source, hint }
}

impl OpenError {
    /// The kernel was built without this protocol.
    pub(crate) fn is_unsupported(&self) -> bool {
        let unsupported = [libc::EPROTONOSUPPORT, libc::EAFNOSUPPORT, libc::ENOPROTOOPT];
        self.source.raw_os_error().is_some_and(|errno| unsupported.contains(&errno))
    }
}

fn set_receive_buffer(socket: &Socket, bytes: usize) {
    // Without CAP_NET_ADMIN net.core.rmem_max is the limit, which will do.
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &bytes);
    }
}

#[cfg(test)]
mod tests;
