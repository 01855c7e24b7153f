//! What differs between UDP over IPv4 and over IPv6.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use forwarder_core::net::{Ifindex, Ipv4, Ipv6};
use forwarder_core::rip::{Send, Wire};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
    recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Socket};

/// Class selector 6, network control, as routing protocols use (RFC 4594 §3.1).
const CS6: u32 = 0xc0;

/// What the kernel says about a datagram.
pub struct Message<F: Wire> {
    pub(super) len: usize,
    pub(super) source: Option<(F::Addr, u16)>,
    pub(super) ifindex: Option<u32>,
    pub(super) drops: Option<u32>,
    pub(super) hop_limit: Option<u8>,
    /// It was sent to a group.
    pub(super) multicast: bool,
}

/// A family that sockets are opened for.
pub trait Transport: Wire {
    /// Of the socket.
    const DOMAIN: Domain;

    /// Any address, and the protocol's port.
    fn wildcard() -> SocketAddr;

    /// Sets what every socket of the protocol has.
    fn configure(socket: &Socket) -> io::Result<()>;

    /// Joins the group of its routers.
    fn join(socket: &Socket, ifindex: Ifindex) -> io::Result<()>;

    /// Receives one.
    fn receive(fd: i32, buffer: &mut [u8]) -> nix::Result<Message<Self>>;

    /// Sends one. Interface, source address and hop limit go with each datagram, for the
    /// group as for unicast, so that an interface with several subnets needs
    /// one socket.
    fn send(fd: i32, ifindex: Ifindex, send: &Send<Self>) -> nix::Result<()>;
}

impl Transport for Ipv4 {
    const DOMAIN: Domain = Domain::IPV4;

    fn wildcard() -> SocketAddr {
        SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, Self::PORT).into()
    }

    fn configure(socket: &Socket) -> io::Result<()> {
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_broadcast(true)?;
        socket.set_tos_v4(CS6)?;
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        setsockopt(socket, sockopt::Ipv4RecvTtl, &true)?;
        Ok(())
    }

    fn join(socket: &Socket, ifindex: Ifindex) -> io::Result<()> {
        let interface = InterfaceIndexOrAddress::Index(ifindex.0);
        socket.join_multicast_v4_n(&Self::GROUP, &interface)
    }

    fn receive(fd: i32, buffer: &mut [u8]) -> nix::Result<Message<Self>> {
        receive::<Self>(fd, buffer)
    }

    fn send(fd: i32, ifindex: Ifindex, send: &Send<Self>) -> nix::Result<()> {
        let info = libc::in_pktinfo {
            ipi_ifindex: i32::try_from(ifindex.0).map_err(|_| nix::Error::ENODEV)?,
            ipi_spec_dst: libc::in_addr {
                s_addr: u32::from(send.source).to_be(),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let to = SockaddrIn::from(SocketAddrV4::new(send.destination, send.port));
        let ttl = libc::c_int::from(send.hop_limit);
        let control = [
            ControlMessage::Ipv4PacketInfo(&info),
            ControlMessage::Ipv4Ttl(&ttl),
        ];
        let parts = [IoSlice::new(&send.payload)];
        sendmsg(fd, &parts, &control, MsgFlags::MSG_DONTWAIT, Some(&to)).map(drop)
    }
}

impl Transport for Ipv6 {
    const DOMAIN: Domain = Domain::IPV6;

    fn wildcard() -> SocketAddr {
        SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, Self::PORT, 0, 0).into()
    }

    fn configure(socket: &Socket) -> io::Result<()> {
        socket.set_only_v6(true)?;
        socket.set_multicast_all_v6(false)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_tclass_v6(CS6)?;
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
        Ok(())
    }

    fn join(socket: &Socket, ifindex: Ifindex) -> io::Result<()> {
        socket.join_multicast_v6(&Self::GROUP, ifindex.0)
    }

    fn receive(fd: i32, buffer: &mut [u8]) -> nix::Result<Message<Self>> {
        receive::<Self>(fd, buffer)
    }

    fn send(fd: i32, ifindex: Ifindex, send: &Send<Self>) -> nix::Result<()> {
        let info = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr {
                s6_addr: send.source.octets(),
            },
            ipi6_ifindex: ifindex.0,
        };
        let scope = match send.destination.segments()[0] {
            // Link-local addresses and groups are of one link.
            0xfe80..=0xfebf | 0xff02 => ifindex.0,
            _ => 0,
        };
        let to = SocketAddrV6::new(send.destination, send.port, 0, scope);
        let hops = libc::c_int::from(send.hop_limit);
        let control = [
            ControlMessage::Ipv6PacketInfo(&info),
            ControlMessage::Ipv6HopLimit(&hops),
        ];
        let parts = [IoSlice::new(&send.payload)];
        let to = SockaddrIn6::from(to);
        sendmsg(fd, &parts, &control, MsgFlags::MSG_DONTWAIT, Some(&to)).map(drop)
    }
}

fn receive<F: Transport>(fd: i32, buffer: &mut [u8]) -> nix::Result<Message<F>> {
    let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int, u32);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags)?;
    let mut message = Message {
        len: received.bytes,
        source: received.address.as_ref().and_then(source::<F>),
        ifindex: None,
        drops: None,
        hop_limit: None,
        multicast: false,
    };
    for control in received.cmsgs()? {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                message.ifindex = u32::try_from(info.ipi_ifindex).ok();
                let to = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
                message.multicast = to.is_multicast();
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                message.ifindex = Some(info.ipi6_ifindex);
                message.multicast = Ipv6Addr::from(info.ipi6_addr.s6_addr).is_multicast();
            }
            ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
                message.hop_limit = u8::try_from(limit).ok();
            }
            ControlMessageOwned::RxqOvfl(drops) => message.drops = Some(drops),
            _ => {}
        }
    }
    Ok(message)
}

fn source<F: Transport>(address: &SockaddrStorage) -> Option<(F::Addr, u16)> {
    let address = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => SocketAddr::V4(SocketAddrV4::from(*v4)),
        (_, Some(v6)) => SocketAddr::V6(SocketAddrV6::from(*v6)),
        _ => return None,
    };
    Some((F::from_ip(address.ip())?, address.port()))
}
