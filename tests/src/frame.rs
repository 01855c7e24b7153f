//! Ethernet frames built by hand, for programs run with `test_run`.

use std::net::{Ipv4Addr, Ipv6Addr};

use forwarder_common::checksum;

/// An IPv4 frame; every field can be made wrong.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Destination MAC.
    pub to: [u8; 6],
    /// Source MAC.
    pub from: [u8; 6],
    /// EtherType.
    pub ether_type: u16,
    /// IP version.
    pub version: u8,
    /// Header length in words; `None` = what the options make it.
    pub ihl: Option<u8>,
    /// Type of service.
    pub tos: u8,
    /// Total length; `None` = the true one.
    pub total_len: Option<u16>,
    /// Identification.
    pub id: u16,
    /// Flags and fragment offset: as a host sends what is not to be fragmented.
    pub fragment: u16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Option bytes, a multiple of four.
    pub options: Vec<u8>,
    /// Added to the right checksum.
    pub checksum_error: u16,
    /// What follows the header.
    pub payload: Vec<u8>,
    /// Bytes behind the IP packet.
    pub trailer: Vec<u8>,
}

impl Default for Frame {
    fn default() -> Self {
        Frame {
            to: [0; 6],
            from: [0x02, 0xaa, 0, 0, 0, 1],
            ether_type: 0x0800,
            version: 4,
            ihl: None,
            tos: 0,
            total_len: None,
            id: 0x1234,
            fragment: 0x4000,
            ttl: 64,
            protocol: 17,
            source: Ipv4Addr::new(198, 51, 100, 7),
            destination: Ipv4Addr::new(203, 0, 113, 9),
            options: Vec::new(),
            checksum_error: 0,
            payload: (0..64).collect(),
            trailer: Vec::new(),
        }
    }
}

impl Frame {
    /// The bytes on the wire, without the frame check sequence.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.to);
        bytes.extend(self.from);
        bytes.extend(self.ether_type.to_be_bytes());
        bytes.extend(self.ip_header());
        bytes.extend(&self.payload);
        bytes.extend(&self.trailer);
        bytes
    }

    fn ip_header(&self) -> Vec<u8> {
        let words = 5 + self.options.len() / 4;
        let length = words * 4 + self.payload.len();
        let ihl = self.ihl.unwrap_or(words as u8);
        let mut header = vec![self.version << 4 | ihl, self.tos];
        for half in [
            self.total_len.unwrap_or(length as u16),
            self.id,
            self.fragment,
        ] {
            header.extend(half.to_be_bytes());
        }
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(self.source.octets());
        header.extend(self.destination.octets());
        header.extend(&self.options);
        let sum = checksum::compute(&header).wrapping_add(self.checksum_error);
        header[10..12].copy_from_slice(&sum.to_ne_bytes());
        header
    }
}

/// An IPv6 frame; every field can be made wrong.
#[derive(Clone, Debug)]
pub struct Frame6 {
    /// Destination MAC.
    pub to: [u8; 6],
    /// Source MAC.
    pub from: [u8; 6],
    /// IP version.
    pub version: u8,
    /// Payload length; `None` = the true one.
    pub payload_len: Option<u16>,
    /// Hop limit.
    pub hop_limit: u8,
    /// Next header.
    pub next_header: u8,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// What follows the header.
    pub payload: Vec<u8>,
    /// Bytes behind the IP packet.
    pub trailer: Vec<u8>,
}

impl Default for Frame6 {
    fn default() -> Self {
        Frame6 {
            to: [0; 6],
            from: [0x02, 0xaa, 0, 0, 0, 1],
            version: 6,
            payload_len: None,
            hop_limit: 64,
            next_header: 17,
            source: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7),
            destination: Ipv6Addr::new(0x2001, 0xdb8, 0xbeef, 0, 0, 0, 0, 9),
            payload: (0..64).collect(),
            trailer: Vec::new(),
        }
    }
}

impl Frame6 {
    /// The bytes on the wire, without the frame check sequence.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.to);
        bytes.extend(self.from);
        bytes.extend(0x86ddu16.to_be_bytes());
        bytes.extend([self.version << 4, 0x12, 0x34, 0x56]);
        let length = self.payload_len.unwrap_or(self.payload.len() as u16);
        bytes.extend(length.to_be_bytes());
        bytes.extend([self.next_header, self.hop_limit]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.payload);
        bytes.extend(&self.trailer);
        bytes
    }
}
