//! What is on its way to one client: packets, in order, bounded.

use std::collections::VecDeque;

use forwarder_core::route_msg::RouteMessage;

use super::socket::{Connection, Sent};

/// Packets of a client that takes several messages in one are filled up to here:
/// a reader's buffer is at least 64 KiB.
const PACKED: usize = 60_000;

/// Packets and how they are filled.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The client takes several messages in a packet.
    pub(super) packed: bool,
    /// The client has shut its reading down: nothing goes out any more.
    pub(super) deaf: bool,
}

impl Outbox {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Adds a message at the end.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.deaf {
            return;
        }
        let joins = |last: &&mut Vec<u8>| self.packed && last.len() < PACKED;
        if let Some(last) = self.packets.back_mut().filter(joins) {
            let before = last.len();
            encode(last);
            self.bytes += last.len() - before;
            return;
        }
        let mut packet = Vec::with_capacity(256);
        encode(&mut packet);
        self.bytes += packet.len();
        self.packets.push_back(packet);
    }

    pub(super) fn route(&mut self, message: &RouteMessage) {
        self.push(|out| message.encode(out));
    }

    /// Sends what there is room for.
    pub(super) fn flush(&mut self, connection: &Connection) {
        self.flush_with(|packet| connection.send(packet));
    }

    /// [`Outbox::flush`] by another way.
    pub(super) fn flush_with(&mut self, send: impl Fn(&[u8]) -> Sent) {
        while let Some(packet) = self.packets.front() {
            match send(packet) {
                Sent::Whole => {
                    self.bytes -= packet.len();
                    self.packets.pop_front();
                }
                Sent::Full => return,
                Sent::Deaf => {
                    self.deaf = true;
                    self.packets.clear();
                    self.bytes = 0;
                }
            }
        }
    }
}
