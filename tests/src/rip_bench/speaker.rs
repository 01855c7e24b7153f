//! A RIP router that says what it is told to, when it is told to, and hears what
//! is said: where a real one would choose the moment by itself.
//!
//! Its packets are written by hand, so that it cannot share a mistake with the
//! daemon that is measured.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ipnet::Ipv4Net;
use socket2::SockRef;

use super::counters::Counters;
use crate::lab::{LONG, Namespace};

/// RFC 2453 §4: entries in a datagram.
pub(super) const ENTRIES: usize = 25;
/// The metric of what cannot be reached.
pub(super) const INFINITY: u8 = 16;

const PORT: u16 = 520;
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 9);
const RESPONSE: u8 = 2;
const HEADER: usize = 4;
const ENTRY: usize = 20;

/// Room for a whole table of datagrams that wait to be sent or read.
const BUFFER: usize = 16 << 20;
/// Datagrams that even FRR's socket, the smallest, has room for: it holds some
/// 65 of them.
const FED_AT_ONCE: usize = 16;

/// The `n`th of the destinations that everything here is about: /24s from
/// 20.0.0.0 on.
pub(super) fn prefix(n: usize) -> Ipv4Net {
    let third_octet = 8;
    let offset = u32::try_from(n).unwrap_or(u32::MAX) << third_octet;
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(20, 0, 0, 0)).wrapping_add(offset));
    Ipv4Net::new_assert(address, 24)
}

/// Whether this is one of them, as the kernel's listing writes it.
pub(super) fn is_destination(text: &str) -> bool {
    let first = u32::from(Ipv4Addr::new(20, 0, 0, 0));
    text.parse::<Ipv4Net>()
        .is_ok_and(|prefix| prefix.prefix_len() == 24 && u32::from(prefix.addr()) >= first)
}

/// Responses that offer these destinations with this metric.
pub(super) fn responses(destinations: Range<usize>, metric: u8) -> Vec<Vec<u8>> {
    let all: Vec<usize> = destinations.collect();
    all.chunks(ENTRIES)
        .map(|some| response(some, metric))
        .collect()
}

fn response(destinations: &[usize], metric: u8) -> Vec<u8> {
    let mut datagram = vec![RESPONSE, 2, 0, 0];
    for destination in destinations {
        let prefix = prefix(*destination);
        // Family, tag, prefix, mask, next hop = the sender, metric.
        datagram.extend([0, 2, 0, 0]);
        datagram.extend(prefix.addr().octets());
        datagram.extend(prefix.netmask().octets());
        datagram.extend([0; 4]);
        datagram.extend([0, 0, 0, metric]);
    }
    datagram
}

/// What a response says: destinations and metrics. Nothing of a request.
fn entries(datagram: &[u8]) -> Vec<(Ipv4Net, u8)> {
    if datagram.first() != Some(&RESPONSE) {
        return Vec::new();
    }
    let entries = datagram.get(HEADER..).unwrap_or_default();
    entries.chunks_exact(ENTRY).filter_map(entry).collect()
}

fn entry(bytes: &[u8]) -> Option<(Ipv4Net, u8)> {
    let address = |at: usize| {
        let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    let prefix = Ipv4Net::with_netmask(address(4)?, address(8)?).ok()?;
    Some((prefix, *bytes.get(19)?))
}

/// See the module's head.
pub(super) struct Speaker {
    socket: UdpSocket,
}

impl Speaker {
    /// Speaks in `namespace` on the link that has this address of its.
    pub(super) fn start(namespace: &Namespace, address: Ipv4Addr) -> anyhow::Result<Speaker> {
        let name = namespace.name().to_owned();
        let open = || {
            let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT))?;
            socket.join_multicast_v4(&GROUP, &address)?;
            socket.set_multicast_loop_v4(false)?;
            let options = SockRef::from(&socket);
            options.set_multicast_if_v4(&address)?;
            options.set_send_buffer_size(BUFFER)?;
            options.set_recv_buffer_size(BUFFER)?;
            Ok(Speaker { socket })
        };
        namespace
            .enter(open)
            .with_context(|| format!("opening a socket for RIP on {name}"))
    }

    /// Multicasts one datagram.
    pub(super) fn send(&self, datagram: &[u8]) -> anyhow::Result<()> {
        let to = SocketAddrV4::new(GROUP, PORT);
        self.socket
            .send_to(datagram, to)
            .with_context(|| format!("sending a response to {to}"))?;
        Ok(())
    }

    /// All of them, back to back, as FRR and BIRD send theirs.
    pub(super) fn burst(&self, datagrams: &[Vec<u8>]) -> anyhow::Result<()> {
        datagrams
            .iter()
            .try_for_each(|datagram| self.send(datagram))
    }

    /// All of them, no faster than the receiver reads: it then loses none,
    /// however small its socket's buffer.
    pub(super) fn feed(
        &self,
        datagrams: &[Vec<u8>],
        receiver: &mut Counters,
    ) -> anyhow::Result<()> {
        for some in datagrams.chunks(FED_AT_ONCE) {
            self.burst(some)?;
            wait_until_read(receiver)?;
        }
        Ok(())
    }

    /// Throws away what has been heard so far.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        self.socket.set_nonblocking(true)?;
        let mut buffer = [0; 2048];
        let ended = loop {
            match self.socket.recv(&mut buffer) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        self.socket.set_nonblocking(false)?;
        match ended.kind() {
            ErrorKind::WouldBlock => Ok(()),
            _ => Err(ended).context("reading what was heard"),
        }
    }

    /// The next datagram's routes, and when it came; `None` when the time is up.
    pub(super) fn hear(&self, until: Instant) -> anyhow::Result<Option<Heard>> {
        let left = until.saturating_duration_since(Instant::now());
        // Zero would mean: wait for ever.
        let left = left.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(left))?;
        let mut buffer = [0; 2048];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Ok(Some(Heard {
                at: Instant::now(),
                routes: entries(&buffer[..length]),
            })),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error).context("listening to RIP"),
        }
    }

    /// When a response first says this of a destination; `None` when none does
    /// in time.
    pub(super) fn hears(
        &self,
        destination: Ipv4Net,
        metric: u8,
        until: Instant,
    ) -> anyhow::Result<Option<Instant>> {
        while Instant::now() < until {
            let Some(heard) = self.hear(until)? else {
                break;
            };
            if heard.routes.contains(&(destination, metric)) {
                return Ok(Some(heard.at));
            }
        }
        Ok(None)
    }
}

/// A datagram that has come.
pub(super) struct Heard {
    /// When.
    pub(super) at: Instant,
    /// What it says.
    pub(super) routes: Vec<(Ipv4Net, u8)>,
}

/// Looks often and never sleeps long: a socket is read within microseconds, and
/// the sleep would be what is measured.
fn wait_until_read(receiver: &mut Counters) -> anyhow::Result<()> {
    let end = Instant::now() + LONG;
    while receiver.queued()? > 0 {
        anyhow::ensure!(
            Instant::now() < end,
            "the receiver has left datagrams in its socket for {LONG:?}: does it still run?"
        );
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{INFINITY, entries, prefix, responses};

    #[test]
    fn what_is_said_is_what_is_heard() {
        let said = responses(0..60, INFINITY);
        assert_eq!(said.len(), 3);
        let heard: Vec<_> = said.iter().flat_map(|datagram| entries(datagram)).collect();
        let expected: Vec<_> = (0..60).map(|n| (prefix(n), INFINITY)).collect();
        assert_eq!(heard, expected);
    }

    #[test]
    fn destinations_are_different_networks() {
        assert_eq!(prefix(0).to_string(), "20.0.0.0/24");
        assert_eq!(prefix(99_999).to_string(), "21.134.159.0/24");
        assert!(super::is_destination("20.0.0.0/24"));
        assert!(!super::is_destination("10.0.1.0/24"));
        assert!(!super::is_destination("default"));
    }

    #[test]
    fn a_request_and_a_torso_say_nothing() {
        assert_eq!(entries(&[1, 2, 0, 0]), []);
        assert_eq!(entries(&[2, 2, 0]), []);
        assert_eq!(entries(&[2, 2, 0, 0, 0, 2]), []);
    }
}
