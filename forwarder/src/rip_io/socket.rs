//! One UDP socket an interface, bound to it and to the RIP port.
//!
//! One for all would need IP_PKTINFO to tell interfaces apart and could join
//! the group on 20 interfaces only (`igmp_max_memberships`). The port is not
//! shared: with SO_REUSEADDR on both sides a second RIP daemon would take a part
//! of the packets away in silence, so none of our sockets sets it. Sockets bound
//! to different devices do not collide (net/ipv4/udp.c, udp_lib_lport_inuse).

use std::io;
use std::marker::PhantomData;
use std::os::fd::AsRawFd as _;
use std::task::{Context, Poll};

use forwarder_core::net::Ifindex;
use forwarder_core::rip::Send;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::transport::Transport;

/// What is asked for. A neighbour that sends 10,000 routes sends 400 datagrams
/// back to back, each of which costs the kernel some 1.3 kB of this.
const RECEIVE_BUFFER: usize = 8 << 20;
/// Any UDP datagram: RIPng's are as long as the link carries.
pub(super) const DATAGRAM: usize = 1 << 16;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process has the port.
    #[error(
        "UDP port {port} {place} is held by another process, probably another RIP daemon \
         (ripd, ripngd, bird, routed); find it with `ss -lunp sport = :{port}` and stop it"
    )]
    PortHeld {
        /// 520 or 521.
        port: u16,
        /// "on eth1", "of this host".
        place: String,
    },
    /// We may not.
    #[error(
        "no permission to {what} on {interface}: RIP needs root, or CAP_NET_BIND_SERVICE, \
         CAP_NET_RAW and CAP_NET_ADMIN"
    )]
    Permission {
        /// What was attempted.
        what: &'static str,
        /// Where.
        interface: String,
    },
    /// The kernel said no to something else.
    #[error("cannot {what} on {interface}: {source}")]
    Setup {
        /// What was attempted.
        what: &'static str,
        /// Where.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Fails where another process holds the RIP port, on whatever interface or
/// address. To be asked before anything is set up, and while we have no socket
/// ourselves.
pub fn check_port<F: Transport>() -> Result<(), SocketError> {
    let place = || "of this host".to_owned();
    let setup = |what| move |error| refused(what, "the host", error);
    let socket = udp::<F>().map_err(setup("open a UDP socket"))?;
    match socket.bind(&F::wildcard().into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(SocketError::PortHeld {
            port: F::PORT,
            place: place(),
        }),
        result => result.map_err(setup("bind the RIP port")),
    }
}

/// A datagram that came.
pub(super) struct Received<'a, F: Transport> {
    pub(super) source: (F::Addr, u16),
    pub(super) hop_limit: Option<u8>,
    pub(super) multicast: bool,
    pub(super) payload: &'a [u8],
}

/// The socket of an interface.
pub(super) struct RipSocket<F> {
    udp: UdpSocket,
    ifindex: Ifindex,
    /// What the kernel granted, in bytes of its own accounting.
    pub(super) receive_buffer: usize,
    /// Datagrams that the kernel dropped because we were too slow.
    pub(super) drops: u32,
    /// Datagrams that the kernel did not take.
    pub(super) send_failures: u64,
    family: PhantomData<F>,
}

impl<F: Transport> RipSocket<F> {
    /// Opens the socket. `group`: receive what is multicast to RIP routers.
    pub(super) fn open(ifindex: Ifindex, name: &str, group: bool) -> Result<Self, SocketError> {
        let at = |what| move |error| refused(what, name, error);
        let socket = udp::<F>().map_err(at("open a UDP socket"))?;
        socket
            .bind_device(Some(name.as_bytes()))
            .map_err(at("bind a socket to the device"))?;
        let receive_buffer =
            enlarge_receive_buffer(&socket).map_err(at("size the receive buffer"))?;
        F::configure(&socket)
            .and_then(|()| Ok(setsockopt(&socket, sockopt::RxqOvfl, &1)?))
            .map_err(at("set socket options"))?;
        socket
            .bind(&F::wildcard().into())
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => SocketError::PortHeld {
                    port: F::PORT,
                    place: format!("on {name}"),
                },
                _ => refused("bind the RIP port", name, error),
            })?;
        if group {
            F::join(&socket, ifindex).map_err(at("join the group of RIP routers"))?;
        }
        let udp = UdpSocket::from_std(socket.into()).map_err(at("watch the socket"))?;
        Ok(RipSocket {
            udp,
            ifindex,
            receive_buffer,
            drops: 0,
            send_failures: 0,
            family: PhantomData,
        })
    }

    /// Whether [`RipSocket::receive`] may have something.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error shows again in `receive`, which reports it.
        self.udp.poll_recv_ready(cx).map(drop)
    }

    /// The next datagram; `None` when the socket is empty.
    pub(super) fn receive<'a>(
        &mut self,
        buffer: &'a mut [u8],
    ) -> io::Result<Option<Received<'a, F>>> {
        loop {
            let outcome = self.udp.try_io(Interest::READABLE, || {
                Ok(F::receive(self.udp.as_raw_fd(), buffer)?)
            });
            let message = match outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome?,
            };
            self.drops = message.drops.unwrap_or(self.drops);
            // The device binding says the same; an interface renamed between
            // the look-up of its name and the binding would show here.
            let ours = message
                .ifindex
                .is_none_or(|ifindex| ifindex == self.ifindex.0);
            if let (true, Some(source)) = (ours, message.source) {
                return Ok(Some(Received {
                    source,
                    hop_limit: message.hop_limit,
                    multicast: message.multicast,
                    payload: &buffer[..message.len],
                }));
            }
        }
    }

    /// Sends; a datagram that the kernel does not take now is lost, as it might
    /// be on the wire, and counted.
    pub(super) fn send(&mut self, send: &Send<F>) -> io::Result<()> {
        let outcome = F::send(self.udp.as_raw_fd(), self.ifindex, send);
        if outcome.is_err() {
            self.send_failures += 1;
        }
        Ok(outcome?)
    }
}

fn udp<F: Transport>() -> io::Result<Socket> {
    let socket = Socket::new(F::DOMAIN, Type::DGRAM, Some(Protocol::UDP))?;
    if F::BITS == 128 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn refused(what: &'static str, interface: &str, source: io::Error) -> SocketError {
    let interface = interface.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied => SocketError::Permission { what, interface },
        _ => SocketError::Setup {
            what,
            interface,
            source,
        },
    }
}

/// As much as the kernel gives: beyond `rmem_max` only with CAP_NET_ADMIN.
fn enlarge_receive_buffer(socket: &Socket) -> io::Result<usize> {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    socket.recv_buffer_size()
}
