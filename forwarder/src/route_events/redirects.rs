//! ICMP redirects, heard on raw sockets: each is judged by the RIB and told of
//! with its author (`RTM_REDIRECT`), followed or not.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;

use forwarder_core::net::{Family, Ifindex, Ipv4, Ipv6};
use forwarder_core::rib::Redirect;
use forwarder_core::route_event::RouteEvent;
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Errno, Gateway, RouteMessage};
use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Events, Verdict};
use crate::rib_task::RibHandle;

/// A redirect fits; what is longer is read as far as this.
const PACKET: usize = 512;
/// `ICMP_REDIRECT`.
const TYPE4: u8 = 5;
/// `NDISC_REDIRECT`.
const TYPE6: u8 = 137;

/// Listens until cancelled.
///
/// # Errors
/// The sockets cannot be opened.
pub fn listen(
    events: &Events,
    (ipv4, ipv6): (RibHandle<Ipv4>, RibHandle<Ipv6>),
    follow: bool,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let socket4 = open(Domain::IPV4, Protocol::ICMPV4, &filter4())?;
    setsockopt(&socket4, sockopt::Ipv4PacketInfo, &true)?;
    let socket6 = open(Domain::IPV6, Protocol::ICMPV6, &filter6())?;
    setsockopt(&socket6, sockopt::Ipv6RecvPacketInfo, &true)?;
    setsockopt(&socket6, sockopt::Ipv6RecvHopLimit, &true)?;
    let (socket4, socket6) = (watched(socket4)?, watched(socket6)?);
    let events4 = events.clone();
    let events6 = events.clone();
    tokio::spawn(cancel.clone().run_until_cancelled_owned(async move {
        hear(&socket4, read4, &events4, &ipv4, follow).await;
    }));
    tokio::spawn(cancel.clone().run_until_cancelled_owned(async move {
        hear(&socket6, read6, &events6, &ipv6, follow).await;
    }));
    Ok(())
}

fn open(domain: Domain, protocol: Protocol, filter: &[SockFilter]) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    // In the kernel: a flood of pings is none of ours.
    socket.attach_filter(filter)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose descriptor changes; a socket's does not"
)]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::new(socket)
}

/// Takes packets whose ICMP type is a redirect's: behind the IPv4 header, which
/// the filter sees.
fn filter4() -> [SockFilter; 5] {
    [
        instruction(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0),
        instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_IND, 0, 0, 0),
        instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            u32::from(TYPE4),
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

/// Likewise; it sees no IPv6 header.
fn filter6() -> [SockFilter; 4] {
    [
        instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 0),
        instruction(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            u32::from(TYPE6),
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> SockFilter {
    SockFilter::new(u16::try_from(code).unwrap_or(0), jt, jf, k)
}

/// A packet with what the kernel says of it.
struct Heard {
    bytes: Vec<u8>,
    author: IpAddr,
    ifindex: Ifindex,
    hop_limit: Option<i32>,
}

async fn hear<F: Family>(
    socket: &AsyncFd<Socket>,
    read: impl Fn(&Heard) -> Option<Redirect<F>>,
    events: &Events,
    rib: &RibHandle<F>,
    follow: bool,
) {
    loop {
        match socket.async_io(Interest::READABLE, receive).await {
            Ok(Some(heard)) => {
                let Some(redirect) = read(&heard) else {
                    debug!("a redirect of {} makes no sense", heard.author);
                    events.counts.redirect(Verdict::Malformed);
                    continue;
                };
                let Ok(verdict) = rib.redirect(redirect, follow).await else {
                    return;
                };
                events.counts.redirect(verdict.into());
                events.publish(RouteEvent::Route(Box::new(told(&redirect, verdict.err()))));
            }
            Ok(None) => {}
            Err(error) => return warn!("ICMP redirects are not heard any more: {error}"),
        }
    }
}

fn told<F: Family>(redirect: &Redirect<F>, errno: Option<Errno>) -> RouteMessage {
    let mut message = RouteMessage::new(RTM_REDIRECT);
    message.flags = RTF_HOST | RTF_DONE;
    if redirect.gateway.is_some() {
        message.flags |= RTF_GATEWAY;
    }
    message.index = u16::try_from(redirect.ifindex.0).unwrap_or(0);
    message.errno = errno;
    message.destination = Some(redirect.prefix().into());
    let nearer = redirect.gateway.unwrap_or(redirect.destination);
    message.gateway = Some(Gateway::Ip(nearer.into()));
    message.author = Some(redirect.author.into());
    message
}

/// `None` = the kernel has not said where it came in, which it always does.
fn receive(socket: &Socket) -> io::Result<Option<Heard>> {
    let mut buffer = [0; PACKET];
    let mut control = cmsg_space!(libc::in6_pktinfo, i32);
    let mut bytes = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut bytes,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let mut ifindex = None;
    let mut hop_limit = None;
    for control in message.cmsgs()? {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                ifindex = u32::try_from(info.ipi_ifindex).ok();
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => ifindex = Some(info.ipi6_ifindex),
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = Some(limit),
            _ => {}
        }
    }
    let author = message.address.and_then(|address| {
        let ipv4 = address
            .as_sockaddr_in()
            .map(|address| IpAddr::V4(address.ip()));
        ipv4.or_else(|| {
            address
                .as_sockaddr_in6()
                .map(|address| IpAddr::V6(address.ip()))
        })
    });
    let length = message.bytes;
    let (Some(ifindex), Some(author)) = (ifindex, author) else {
        return Ok(None);
    };
    Ok(Some(Heard {
        bytes: buffer[..length].to_vec(),
        author,
        ifindex: Ifindex(ifindex),
        hop_limit,
    }))
}

/// RFC 792: type, code 0 to 3, checksum, the gateway, then the header of the
/// packet that it is about.
fn read4(heard: &Heard) -> Option<Redirect<Ipv4>> {
    let IpAddr::V4(author) = heard.author else {
        return None;
    };
    let header = usize::from(heard.bytes.first()? & 0xf) * 4;
    let icmp = heard.bytes.get(header..)?;
    if icmp.len() < 28 || icmp[0] != TYPE4 || icmp[1] > 3 || sum(icmp) != 0xffff {
        return None;
    }
    let address = |at: usize| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = icmp.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    Some(Redirect {
        destination: address(8 + 16)?,
        gateway: Some(address(4)?),
        author,
        ifindex: heard.ifindex,
    })
}

/// RFC 4861 §8.1: from a link-local address, over no router, to a router's
/// link-local address or to the host itself. The kernel has verified the
/// checksum.
fn read6(heard: &Heard) -> Option<Redirect<Ipv6>> {
    let IpAddr::V6(author) = heard.author else {
        return None;
    };
    let icmp = &heard.bytes;
    let genuine = author.is_unicast_link_local() && heard.hop_limit == Some(255);
    if !genuine || icmp.len() < 40 || icmp[0] != TYPE6 || icmp[1] != 0 {
        return None;
    }
    let address = |at: usize| -> Option<Ipv6Addr> {
        let octets: [u8; 16] = icmp.get(at..at + 16)?.try_into().ok()?;
        Some(octets.into())
    };
    let (target, destination) = (address(8)?, address(24)?);
    let router = target != destination;
    if destination.is_multicast() || (router && !target.is_unicast_link_local()) {
        return None;
    }
    Some(Redirect {
        destination,
        gateway: router.then_some(target),
        author,
        ifindex: heard.ifindex,
    })
}

/// The sum of RFC 1071, which is 0xffff over a message with its checksum.
fn sum(bytes: &[u8]) -> u16 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut sum: u32 = pairs
        .iter()
        .map(|pair| u32::from(u16::from_be_bytes(*pair)))
        .sum();
    sum += rest.first().map_or(0, |byte| u32::from(*byte) << 8);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(0)
}
