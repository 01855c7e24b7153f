//! How a packet's entries are read: by its version, as far as the interface
//! accepts that.

use super::config::SendVersion;
use super::interface::Interface;
use super::io::Datagram;
use super::packet::{ENTRY, Packet, Rte};
use super::reject::Reject;
use super::wire::{Dialect, Wire};
use crate::net::Family;

/// The way to read entries.
pub(super) enum Reading<F: Family> {
    /// They have masks.
    Prefixes,
    /// They mean what they mean on this subnet.
    Classful(F::Prefix),
}

impl<F: Wire> Reading<F> {
    /// Checks the version, and that there is no authentication (RFC 2453 §5.2: an
    /// unauthenticated router discards authenticated messages).
    pub(super) fn new(
        interface: &Interface<F>,
        datagram: &Datagram<'_, F>,
        packet: &Packet<'_>,
    ) -> Result<Self, Reject> {
        let setup = &interface.setup;
        let dialect = F::dialect(packet.version)?;
        if !setup.config.receive_version.accepts(dialect) {
            return Err(Reject::VersionRefused);
        }
        if packet.entries().first().is_some_and(F::is_authentication) {
            return Err(Reject::UnexpectedAuth);
        }
        match dialect {
            Dialect::Prefixes => Ok(Reading::Prefixes),
            Dialect::Classful if packet.reserved => Err(Reject::ReservedHeader),
            Dialect::Classful => setup
                .facing(datagram.source)
                .map(|facing| Reading::Classful(facing.subnet))
                .ok_or(Reject::NotOnLink),
        }
    }

    /// The destination in an entry.
    pub(super) fn prefix(&self, entry: &[u8; ENTRY]) -> Result<F::Prefix, Reject> {
        match self {
            Reading::Prefixes => F::decode_prefix(entry),
            Reading::Classful(subnet) => F::prefix_v1(entry, subnet),
        }
    }

    /// An entry of a response.
    pub(super) fn rte(&self, entry: &[u8; ENTRY]) -> Result<Rte<F>, Reject> {
        match self {
            Reading::Prefixes => F::decode(entry),
            Reading::Classful(subnet) => F::decode_v1(entry, subnet),
        }
    }

    /// The version to answer in: that of the question, if it is sent here at all
    /// (RFC 2453 §4.6).
    pub(super) fn answer(&self, interface: &Interface<F>) -> Result<SendVersion, Reject> {
        match (self, interface.setup.config.send_version) {
            (Reading::Classful(_), SendVersion::V2) => Err(Reject::VersionRefused),
            (Reading::Classful(_), _) | (_, SendVersion::V1) => Ok(SendVersion::V1),
            // Nobody overhears it.
            (Reading::Prefixes, _) => Ok(SendVersion::V2),
        }
    }
}
