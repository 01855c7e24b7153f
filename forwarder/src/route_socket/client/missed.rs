//! What one client was not told, by what makes up for it. A marker tells of all of
//! it, once; a dump of a family's table makes up for what was missed of its routes
//! and for nothing else.

use forwarder_core::rib::Generation;

/// What was missed since the last marker.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// Routes: it was told of them up to here.
    pub(super) ipv4: Option<Generation>,
    /// Likewise.
    pub(super) ipv6: Option<Generation>,
    /// Replies and events.
    pub(super) others: bool,
}

impl Missed {
    /// Whether there is something to tell.
    pub(super) fn is_any(&self) -> bool {
        self.ipv4.is_some() || self.ipv6.is_some() || self.others
    }
}
