//! The frames of one measurement, as a template for the generator program.

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::maps::{Array, Map, MapError};
use forwarder_common::bench as abi;
use forwarder_common::checksum;

use super::BenchError;

/// Shortest IPv4 frame: Ethernet's minimum without the check sequence.
pub const MIN_FRAME: usize = 60;
/// Longest frame: the kernel gives a live frame one page, with 256 bytes of
/// headroom and the tail that an skb needs; a full Ethernet frame fits.
const MAX_FRAME: usize = 1514;
const _: () = assert!(MIN_FRAME >= abi::GENERATED);

/// UDP datagrams from one source to one or many destinations in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow<A = Ipv4Addr> {
    /// Source of the Ethernet frames: usually the sending interface's.
    pub source_mac: [u8; 6],
    /// The first router's port.
    pub destination_mac: [u8; 6],
    /// IP source.
    pub source: A,
    /// IP destinations, used in turn; at least one.
    pub destinations: Vec<A>,
    /// UDP source port.
    pub source_port: u16,
    /// UDP destination port: what a sink recognises the flow by.
    pub destination_port: u16,
    /// TTL that the frames start with.
    pub ttl: u8,
    /// Length of a frame in bytes, without the check sequence: 60 (72 for IPv6)
    /// to 1514.
    pub frame_len: usize,
}

/// An address as frames carry it: IPv4's or IPv6's.
pub trait FrameAddress: Copy {
    /// Shortest frame.
    const MIN_FRAME: usize;
    /// The program that makes the frames.
    const PROGRAM: &'static str;
    /// The map with their destinations.
    const MAP: &'static str;

    /// Bytes of the frame in front of its tag, destination and checksums zero
    /// (a UDP checksum of zero means that there is none, RFC 768; over IPv6 no
    /// router looks at it).
    fn headers(flow: &Flow<Self>) -> Vec<u8>;

    /// Puts a destination into a frame that [`FrameAddress::headers`] has begun.
    fn complete(self, frame: &mut [u8]);

    /// Writes one destination into [`FrameAddress::MAP`].
    fn store(self, map: &mut Map, index: u32, tag: u16) -> Result<(), MapError>;
}

impl FrameAddress for Ipv4Addr {
    const MIN_FRAME: usize = MIN_FRAME;
    const PROGRAM: &'static str = abi::program::GENERATE;
    const MAP: &'static str = abi::map::DESTINATIONS;

    fn headers(flow: &Flow<Self>) -> Vec<u8> {
        let ip_len = (flow.frame_len - abi::IP) as u16;
        let mut frame = flow.ethernet(0x0800);
        frame.extend([0x45, 0]);
        frame.extend(ip_len.to_be_bytes());
        frame.extend([0, 0, 0, 0, flow.ttl, UDP, 0, 0]);
        frame.extend(flow.source.octets());
        frame.extend([0; 4]);
        frame.extend(flow.udp(ip_len - 20));
        frame
    }

    fn complete(self, frame: &mut [u8]) {
        let (at, sum) = (abi::IP_DESTINATION, abi::IP_CHECKSUM);
        frame[at..at + 4].copy_from_slice(&self.octets());
        frame[sum..sum + 2].fill(0);
        let value = checksum::compute(&frame[abi::IP..abi::IP + 20]);
        frame[sum..sum + 2].copy_from_slice(&value.to_ne_bytes());
    }

    fn store(self, map: &mut Map, index: u32, tag: u16) -> Result<(), MapError> {
        let entry = abi::Destination {
            address: u32::from_ne_bytes(self.octets()),
            tag,
            reserved: 0,
        };
        Array::<_, abi::Destination>::try_from(map)?.set(index, entry, 0)
    }
}

impl FrameAddress for Ipv6Addr {
    const MIN_FRAME: usize = abi::GENERATED6;
    const PROGRAM: &'static str = abi::program::GENERATE6;
    const MAP: &'static str = abi::map::DESTINATIONS6;

    fn headers(flow: &Flow<Self>) -> Vec<u8> {
        let payload = (flow.frame_len - abi::IP - 40) as u16;
        let mut frame = flow.ethernet(0x86dd);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend(payload.to_be_bytes());
        frame.extend([UDP, flow.ttl]);
        frame.extend(flow.source.octets());
        frame.extend([0; 16]);
        frame.extend(flow.udp(payload));
        frame
    }

    fn complete(self, frame: &mut [u8]) {
        let at = abi::IP6_DESTINATION;
        frame[at..at + 16].copy_from_slice(&self.octets());
    }

    fn store(self, map: &mut Map, index: u32, tag: u16) -> Result<(), MapError> {
        let mut address = [0; 4];
        for (word, bytes) in address.iter_mut().zip(self.octets().as_chunks::<4>().0) {
            *word = u32::from_ne_bytes(*bytes);
        }
        let entry = abi::Destination6 {
            address,
            tag,
            reserved: 0,
        };
        Array::<_, abi::Destination6>::try_from(map)?.set(index, entry, 0)
    }
}

const UDP: u8 = 17;

impl<A: FrameAddress> Flow<A> {
    fn ethernet(&self, ether_type: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(abi::GENERATED6);
        bytes.extend(self.destination_mac);
        bytes.extend(self.source_mac);
        bytes.extend(ether_type.to_be_bytes());
        bytes
    }

    fn udp(&self, len: u16) -> impl Iterator<Item = u8> + use<A> {
        let fields = [self.source_port, self.destination_port, len, 0];
        fields.into_iter().flat_map(u16::to_be_bytes)
    }

    /// What the generator program needs to know.
    pub(super) fn template(&self) -> Result<abi::Generator, BenchError> {
        self.check()?;
        let headers = A::headers(self);
        let mut bytes = [0; 8 * abi::TEMPLATE_WORDS6];
        bytes[..headers.len()].copy_from_slice(&headers);
        let mut template = [0; abi::TEMPLATE_WORDS6];
        for (word, chunk) in template.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*chunk);
        }
        Ok(abi::Generator {
            template,
            // Of no meaning for IPv6, whose header has no checksum.
            header_sum: checksum::sum(&headers[abi::IP..abi::IP + 20]),
            destinations: self.destinations.len() as u32,
            ..abi::Generator::default()
        })
    }

    fn check(&self) -> Result<(), BenchError> {
        let shortest = A::MIN_FRAME;
        if !(shortest..=MAX_FRAME).contains(&self.frame_len) {
            return Err(BenchError::Flow(format!(
                "a frame of {} bytes cannot be sent: {shortest} to {MAX_FRAME} can",
                self.frame_len
            )));
        }
        if self.destinations.is_empty() || u32::try_from(self.destinations.len()).is_err() {
            return Err(BenchError::Flow(
                "a flow needs one destination at least".to_owned(),
            ));
        }
        Ok(())
    }
}
