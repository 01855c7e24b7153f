//! The far ends of a router's ports: raw frames in, and what comes out until our
//! markers do.
//!
//! Two markers to each port, because a frame goes one of two ways: redirected by
//! the program, or up, through the kernel's queues. Neither way overtakes itself,
//! but a busy machine lets one fall behind the other.

use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, ensure};
use forwarder_tests::frame::Frame;
use forwarder_tests::lab::Namespace;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike as _, bind, recv, send,
    setsockopt, socket,
};
use nix::sys::time::TimeVal;

use super::twins::{PORTS, far_mac, port_mac};

/// Markers that a frame is followed by and the program redirects.
pub(super) const FAST_MARKERS: u64 = PORTS as u64;
/// What a marker carries in front of its number.
const MAGIC: &[u8; 8] = b"a marker";
/// A router that takes longer for a marker has lost it.
const PATIENCE_S: i64 = 5;

/// A frame that came out: of which port, and its bytes.
pub(super) type Output = (usize, Vec<u8>);

/// A packet socket at the far end of each port.
pub(super) struct Wire {
    ports: Vec<OwnedFd>,
}

impl Wire {
    /// Interfaces `eth0` and so on of a namespace.
    pub(super) fn open(namespace: &Namespace) -> anyhow::Result<Wire> {
        let ports =
            namespace.enter(|| (0..PORTS).map(|port| open(&format!("eth{port}"))).collect());
        Ok(Wire { ports: ports? })
    }

    /// Sends a frame to a router's port, and behind it the markers to each port.
    pub(super) fn send(&self, port: usize, frame: &[u8], number: u64) -> anyhow::Result<()> {
        self.inject(port, frame)?;
        for to in 0..PORTS {
            self.inject(port, &marker(port, to, number, Way::Fast))?;
            self.inject(port, &marker(port, to, number, Way::Up))?;
        }
        Ok(())
    }

    fn inject(&self, port: usize, frame: &[u8]) -> anyhow::Result<()> {
        let sent = send(self.ports[port].as_raw_fd(), frame, MsgFlags::empty());
        let sent = sent.with_context(|| format!("sending {} bytes", frame.len()))?;
        ensure!(sent == frame.len(), "{sent} of {} bytes sent", frame.len());
        Ok(())
    }

    /// What has come out of all ports until the markers did.
    pub(super) fn receive(&self, number: u64) -> anyhow::Result<Vec<Output>> {
        let mut outputs = Vec::new();
        for port in 0..PORTS {
            let mut markers = 0;
            while markers < 2 {
                let frame = self.next(port)?;
                match marker_number(&frame) {
                    Some(found) if found == number => markers += 1,
                    // Of a frame before, that had been given up.
                    Some(_) => {}
                    None => outputs.push((port, frame)),
                }
            }
        }
        Ok(outputs)
    }

    fn next(&self, port: usize) -> anyhow::Result<Vec<u8>> {
        let mut frame = vec![0; 4096];
        // MSG_TRUNC: the true length, should it be more.
        let len = recv(
            self.ports[port].as_raw_fd(),
            &mut frame,
            MsgFlags::MSG_TRUNC,
        )
        .with_context(|| format!("waiting for the markers out of port {port}"))?;
        ensure!(len <= frame.len(), "a frame of {len} bytes");
        frame.truncate(len);
        Ok(frame)
    }
}

fn open(interface: &str) -> anyhow::Result<OwnedFd> {
    // Bound before it receives anything of other interfaces: no protocol yet.
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )
    .context("opening a packet socket")?;
    let is_link = |address: &nix::sys::socket::SockaddrStorage| {
        address.family() == Some(AddressFamily::Packet)
    };
    let address = getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address.filter(is_link))
        .with_context(|| format!("no link address of {interface}"))?;
    let address = address.as_link_addr().context("no link address")?;
    bind(fd.as_raw_fd(), address).with_context(|| format!("binding to {interface}"))?;
    setsockopt(&fd, ReceiveTimeout, &TimeVal::new(PATIENCE_S, 0))?;
    Ok(fd)
}

/// Which way a marker takes through our router.
#[derive(Clone, Copy)]
enum Way {
    /// Redirected: by a source that is on no link, which is never told of a
    /// shorter way.
    Fast,
    /// Up, because of an IP option.
    Up,
}

/// A packet that keeps its place behind whatever took its way before it.
fn marker(from: usize, to: usize, number: u64, way: Way) -> Vec<u8> {
    let host = |port: usize, host: u8| [10, 0, port as u8 + 1, host].into();
    let (source, options) = match way {
        Way::Fast => ([192, 0, 2, 9].into(), vec![]),
        Way::Up => (host(from, 3), vec![1, 1, 1, 0]),
    };
    let mut payload = vec![0x30, 0, 0x31, 0, 0, 24, 0, 0];
    payload.extend(MAGIC);
    payload.extend(number.to_be_bytes());
    Frame {
        to: port_mac(from),
        from: far_mac(from),
        options,
        source,
        destination: host(to, 2),
        payload,
        ..Frame::default()
    }
    .bytes()
}

fn marker_number(frame: &[u8]) -> Option<u64> {
    let (_, number) = frame
        .split_last_chunk::<8>()
        .filter(|(head, _)| head.ends_with(MAGIC))?;
    Some(u64::from_be_bytes(*number))
}
