//! The frames of one measurement, as a template for the generator program.

use std::net::Ipv4Addr;

use forwarder_common::bench::{GENERATED, Generator, IP, TEMPLATE_WORDS};
use forwarder_common::checksum;

use super::BenchError;

/// Shortest frame: Ethernet's minimum without the check sequence.
pub const MIN_FRAME: usize = 60;
/// Longest frame: the kernel gives a live frame one page, with 256 bytes of
/// headroom and the tail that an skb needs; a full Ethernet frame fits.
const MAX_FRAME: usize = 1514;
const _: () = assert!(MIN_FRAME >= GENERATED);

/// UDP datagrams from one source to one or many destinations in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source of the Ethernet frames: usually the sending interface's.
    pub source_mac: [u8; 6],
    /// The first router's port.
    pub destination_mac: [u8; 6],
    /// IPv4 source.
    pub source: Ipv4Addr,
    /// IPv4 destinations, used in turn; at least one.
    pub destinations: Vec<Ipv4Addr>,
    /// UDP source port.
    pub source_port: u16,
    /// UDP destination port: what a sink recognises the flow by.
    pub destination_port: u16,
    /// TTL that the frames start with.
    pub ttl: u8,
    /// Length of a frame in bytes, without the check sequence: 60 to 1514.
    pub frame_len: usize,
}

impl Flow {
    /// Bytes of the frame in front of its payload, destination and checksums
    /// zero (a UDP checksum of zero means that there is none, RFC 768).
    fn headers(&self) -> [u8; IP + 28] {
        let ip_len = (self.frame_len - IP) as u16;
        let mut frame = [0; IP + 28];
        frame[0..6].copy_from_slice(&self.destination_mac);
        frame[6..12].copy_from_slice(&self.source_mac);
        frame[12..14].copy_from_slice(&0x0800_u16.to_be_bytes());
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&ip_len.to_be_bytes());
        frame[IP + 8] = self.ttl;
        frame[IP + 9] = 17;
        frame[IP + 12..IP + 16].copy_from_slice(&self.source.octets());
        frame[34..36].copy_from_slice(&self.source_port.to_be_bytes());
        frame[36..38].copy_from_slice(&self.destination_port.to_be_bytes());
        frame[38..40].copy_from_slice(&(ip_len - 20).to_be_bytes());
        frame
    }

    /// What the generator program needs to know.
    pub(super) fn template(&self) -> Result<Generator, BenchError> {
        self.check()?;
        let headers = self.headers();
        let mut bytes = [0; 8 * TEMPLATE_WORDS];
        bytes[..headers.len()].copy_from_slice(&headers);
        let mut template = [0; TEMPLATE_WORDS];
        for (word, chunk) in template.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*chunk);
        }
        Ok(Generator {
            template,
            header_sum: checksum::sum(&headers[IP..IP + 20]),
            destinations: self.destinations.len() as u32,
            ..Generator::default()
        })
    }

    fn check(&self) -> Result<(), BenchError> {
        if !(MIN_FRAME..=MAX_FRAME).contains(&self.frame_len) {
            return Err(BenchError::Flow(format!(
                "a frame of {} bytes cannot be sent: {MIN_FRAME} to {MAX_FRAME} can",
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

    /// The destinations as they lie in a frame.
    pub(super) fn destination_words(&self) -> impl Iterator<Item = u32> + '_ {
        self.destinations
            .iter()
            .map(|destination| u32::from_ne_bytes(destination.octets()))
    }
}
