//! One UDP socket an interface, bound to it and to the RIP port.
//!
//! One for all would need IP_PKTINFO to tell interfaces apart and could join
//! the group on 20 interfaces only (`igmp_max_memberships`). The port is not
//! shared: with SO_REUSEADDR on both sides a second RIP daemon would take a part
//! of the packets away in silence, so none of our sockets sets it. Sockets bound
//! to different devices do not collide (net/ipv4/udp.c, udp_lib_lport_inuse).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd as _;
use std::task::{Context, Poll};

use forwarder_core::net::{Ifindex, Ipv4};
use forwarder_core::rip::{Send, Wire as _};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What is asked for. A neighbour that sends 10,000 routes sends 400 datagrams
/// back to back, each of which costs the kernel some 1.3 kB of this.
const RECEIVE_BUFFER: usize = 8 << 20;
/// More than any RIP packet; what is longer is refused for its length.
pub(super) const DATAGRAM: usize = 2048;
/// Class selector 6, network control, as routing protocols use (RFC 4594 §3.1).
const TOS_CS6: u32 = 0xc0;
/// RIP never leaves the link.
const TTL: u32 = 1;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process has the port.
    #[error(
        "UDP port {port} {place} is held by another process, probably another RIP daemon \
         (ripd, bird, routed); find it with `ss -lunp sport = :{port}` and stop it",
        port = Ipv4::PORT
    )]
    PortHeld {
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
pub fn check_port() -> Result<(), SocketError> {
    let place = || "of this host".to_owned();
    let setup = |what| move |error| refused(what, "the host", error);
    let socket = udp().map_err(setup("open a UDP socket"))?;
    match socket.bind(&wildcard().into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(SocketError::PortHeld { place: place() })
        }
        result => result.map_err(setup("bind the RIP port")),
    }
}

/// A datagram that came.
pub(super) struct Received<'a> {
    pub(super) source: SocketAddrV4,
    pub(super) payload: &'a [u8],
}

/// The socket of an interface.
pub(super) struct RipSocket {
    udp: UdpSocket,
    ifindex: Ifindex,
    /// What the kernel granted, in bytes of its own accounting.
    pub(super) receive_buffer: usize,
    /// Datagrams that the kernel dropped because we were too slow.
    pub(super) drops: u32,
    /// Datagrams that the kernel did not take.
    pub(super) send_failures: u64,
}

impl RipSocket {
    /// Opens the socket. `group`: receive what is multicast to RIP routers.
    pub(super) fn open(ifindex: Ifindex, name: &str, group: bool) -> Result<Self, SocketError> {
        let at = |what| move |error| refused(what, name, error);
        let socket = udp().map_err(at("open a UDP socket"))?;
        socket
            .bind_device(Some(name.as_bytes()))
            .map_err(at("bind a socket to the device"))?;
        let receive_buffer =
            enlarge_receive_buffer(&socket).map_err(at("size the receive buffer"))?;
        configure(&socket).map_err(at("set socket options"))?;
        socket
            .bind(&wildcard().into())
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => SocketError::PortHeld {
                    place: format!("on {name}"),
                },
                _ => refused("bind the RIP port", name, error),
            })?;
        if group {
            let interface = InterfaceIndexOrAddress::Index(ifindex.0);
            let join = socket.join_multicast_v4_n(&Ipv4::GROUP, &interface);
            join.map_err(at("join group 224.0.0.9"))?;
        }
        let udp = UdpSocket::from_std(socket.into()).map_err(at("watch the socket"))?;
        Ok(RipSocket {
            udp,
            ifindex,
            receive_buffer,
            drops: 0,
            send_failures: 0,
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
        buffer: &'a mut [u8; DATAGRAM],
    ) -> io::Result<Option<Received<'a>>> {
        loop {
            let outcome = self.udp.try_io(Interest::READABLE, || {
                Ok(receive_one(self.udp.as_raw_fd(), buffer)?)
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
                    payload: &buffer[..message.len],
                }));
            }
        }
    }

    /// Sends; a datagram that the kernel does not take now is lost, as it might
    /// be on the wire, and counted.
    pub(super) fn send(&mut self, send: &Send<Ipv4>) -> io::Result<()> {
        let outcome = send_one(self.udp.as_raw_fd(), self.ifindex, send);
        if outcome.is_err() {
            self.send_failures += 1;
        }
        Ok(outcome?)
    }
}

fn udp() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn wildcard() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, Ipv4::PORT)
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

fn configure(socket: &Socket) -> io::Result<()> {
    socket.set_multicast_all_v4(false)?;
    socket.set_multicast_loop_v4(false)?;
    socket.set_multicast_ttl_v4(TTL)?;
    socket.set_ttl_v4(TTL)?;
    socket.set_tos_v4(TOS_CS6)?;
    setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    setsockopt(socket, sockopt::RxqOvfl, &1)?;
    Ok(())
}

/// What the kernel says about a datagram.
struct Message {
    len: usize,
    source: Option<SocketAddrV4>,
    ifindex: Option<u32>,
    drops: Option<u32>,
}

fn receive_one(fd: i32, buffer: &mut [u8; DATAGRAM]) -> nix::Result<Message> {
    let mut control = nix::cmsg_space!(libc::in_pktinfo, u32);
    let mut parts = [IoSliceMut::new(buffer)];
    let received =
        recvmsg::<SockaddrIn>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let mut message = Message {
        len: received.bytes,
        source: received.address.map(SocketAddrV4::from),
        ifindex: None,
        drops: None,
    };
    for control in received.cmsgs()? {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                message.ifindex = u32::try_from(info.ipi_ifindex).ok();
            }
            ControlMessageOwned::RxqOvfl(drops) => message.drops = Some(drops),
            _ => {}
        }
    }
    Ok(message)
}

/// Interface and source address go with each datagram, for the group as for
/// unicast, so that an interface with several subnets needs one socket.
fn send_one(fd: i32, ifindex: Ifindex, send: &Send<Ipv4>) -> nix::Result<()> {
    let info = libc::in_pktinfo {
        ipi_ifindex: i32::try_from(ifindex.0).map_err(|_| nix::Error::ENODEV)?,
        ipi_spec_dst: libc::in_addr {
            s_addr: u32::from(send.source).to_be(),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let to = SockaddrIn::from(SocketAddrV4::new(send.destination, send.port));
    let control = [ControlMessage::Ipv4PacketInfo(&info)];
    let parts = [IoSlice::new(&send.payload)];
    sendmsg(fd, &parts, &control, MsgFlags::MSG_DONTWAIT, Some(&to)).map(drop)
}
