//! Which devices take redirected frames: the `netdev` generic netlink family
//! (kernel 6.3, `Documentation/netlink/specs/netdev.yaml`).
//!
//! Asked at start, then followed: a veth's answer changes when its peer gets a
//! program or GRO. Owned by the dataplane task. The protocol is three message
//! kinds, so it is spoken here rather than through a library that would have
//! to be kept in step with the other netlink crates.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{AsyncSocket as _, AsyncSocketExt as _, SocketAddr, TokioSocket};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

const NLMSG_HEADER: usize = 16;
const GENL_HEADER: usize = 4;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
const CTRL_ATTR_MCAST_GRP_NAME: u16 = 1;
const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;

const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_CMD_DEV_DEL_NTF: u8 = 3;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;

/// `NETDEV_XDP_ACT_BASIC`: the driver runs programs.
pub const BASIC: u64 = 1;
/// `NETDEV_XDP_ACT_REDIRECT`: its programs may redirect.
pub const REDIRECT: u64 = 2;
/// `NETDEV_XDP_ACT_NDO_XMIT`: the device takes redirected frames.
pub const NDO_XMIT: u64 = 4;
/// `NETDEV_XDP_ACT_RX_SG`: its programs may see frames in several buffers.
pub const RX_SG: u64 = 32;

/// After an overrun (`ENOBUFS`) the kernel drops every notification, without a
/// further word, until the socket has been read empty (`netlink_overrun`,
/// `netlink_rcv_wake`): a dump that is asked for before misses what changes
/// meanwhile. Nothing to read for so long is empty.
const DRAINED: Duration = Duration::from_millis(2);

/// What the kernel says of its devices' XDP abilities.
#[derive(Default)]
pub struct Features {
    /// `None` where the kernel has no such family.
    socket: Option<TokioSocket>,
    /// Its number.
    family: u16,
    /// Notifications were lost: all devices are asked for again when nothing
    /// has come until then.
    lost: Option<Instant>,
    by_index: BTreeMap<u32, u64>,
}

impl Features {
    /// Asks the kernel for all devices and subscribes to changes. A kernel
    /// without the family tells nothing, which is no error.
    pub async fn open() -> io::Result<Features> {
        let mut socket = TokioSocket::new(NETLINK_GENERIC)?;
        socket.socket_mut().bind_auto()?;
        let mut features = Features::default();
        let Some(family) = resolve(&socket).await? else {
            debug!("this kernel does not tell XDP features (before 6.3)");
            return Ok(features);
        };
        // Subscribed first: a change during the dump is then told twice, not never.
        if let Some(group) = family.group {
            socket.socket_mut().add_membership(group)?;
        }
        features.family = family.id;
        send(&socket, &dump(family.id)).await?;
        let mut done = false;
        while !done {
            let (bytes, _) = socket.recv_from_full().await?;
            done = features.apply(&bytes);
        }
        features.socket = Some(socket);
        Ok(features)
    }

    /// Whether a device takes redirected frames; `None` where the kernel does
    /// not tell.
    pub fn takes_redirects(&self, ifindex: u32) -> Option<bool> {
        self.bits(ifindex).map(|bits| bits & NDO_XMIT != 0)
    }

    /// A device's abilities ([`NDO_XMIT`] and its like); `None` where the
    /// kernel does not tell.
    pub fn bits(&self, ifindex: u32) -> Option<u64> {
        self.socket.as_ref()?;
        Some(self.by_index.get(&ifindex).copied().unwrap_or(0))
    }

    /// Waits for a change; for ever where the kernel tells none. Cancel-safe:
    /// a datagram is read whole or not at all.
    pub async fn changed(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return std::future::pending().await;
        };
        let received = match self.lost {
            None => socket.recv_from_full().await,
            // A point in time and not a time: the caller asks for other things
            // meanwhile, and begins anew.
            Some(drained) => match timeout_at(drained, socket.recv_from_full()).await {
                Ok(received) => received,
                Err(_nothing_more) => {
                    send(socket, &dump(self.family)).await?;
                    self.lost = None;
                    return Ok(());
                }
            },
        };
        match received {
            Ok((bytes, _)) => {
                self.apply(&bytes);
                self.lost = self.lost.map(|_| Instant::now() + DRAINED);
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.lost = Some(Instant::now() + DRAINED);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes in a datagram's messages; true at the end of a dump.
    fn apply(&mut self, bytes: &[u8]) -> bool {
        let mut done = false;
        for (kind, payload) in messages(bytes) {
            match kind {
                NLMSG_DONE | NLMSG_ERROR => done = true,
                _ => self.device(payload),
            }
        }
        done
    }

    fn device(&mut self, payload: &[u8]) {
        let Some((command, attributes)) = command(payload) else {
            return;
        };
        let mut ifindex = None;
        let mut bits = 0;
        for (kind, value) in attributes_of(attributes) {
            match kind {
                NETDEV_A_DEV_IFINDEX => ifindex = value.try_into().ok().map(u32::from_ne_bytes),
                NETDEV_A_DEV_XDP_FEATURES => {
                    bits = value.try_into().map_or(0, u64::from_ne_bytes);
                }
                _ => {}
            }
        }
        let Some(ifindex) = ifindex else { return };
        if command == NETDEV_CMD_DEV_DEL_NTF {
            self.by_index.remove(&ifindex);
        } else {
            self.by_index.insert(ifindex, bits);
        }
    }
}

/// Asks for all devices.
fn dump(family: u16) -> Vec<u8> {
    message(family, NETDEV_CMD_DEV_GET, NLM_F_REQUEST | NLM_F_DUMP, &[])
}

/// The family's number, and its multicast group "mgmt".
#[derive(Debug, PartialEq, Eq)]
struct Family {
    id: u16,
    group: Option<u32>,
}

async fn resolve(socket: &TokioSocket) -> io::Result<Option<Family>> {
    let name = attribute(CTRL_ATTR_FAMILY_NAME, b"netdev\0");
    send(
        socket,
        &message(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_REQUEST, &name),
    )
    .await?;
    let (bytes, _) = socket.recv_from_full().await?;
    Ok(family(&bytes))
}

/// `None` where the kernel answered that there is no such family.
fn family(bytes: &[u8]) -> Option<Family> {
    let (kind, payload) = messages(bytes).next()?;
    if kind == NLMSG_ERROR {
        return None;
    }
    let mut id = None;
    let mut group = None;
    for (kind, value) in attributes_of(command(payload)?.1) {
        match kind {
            CTRL_ATTR_FAMILY_ID => id = value.try_into().ok().map(u16::from_ne_bytes),
            CTRL_ATTR_MCAST_GROUPS => group = attributes_of(value).find_map(|(_, g)| mgmt(g)),
            _ => {}
        }
    }
    Some(Family { id: id?, group })
}

fn mgmt(group: &[u8]) -> Option<u32> {
    let mut id = None;
    let mut named = false;
    for (kind, value) in attributes_of(group) {
        match kind {
            CTRL_ATTR_MCAST_GRP_NAME => named = value == b"mgmt\0",
            CTRL_ATTR_MCAST_GRP_ID => id = value.try_into().ok().map(u32::from_ne_bytes),
            _ => {}
        }
    }
    id.filter(|_| named)
}

async fn send(socket: &TokioSocket, message: &[u8]) -> io::Result<()> {
    socket
        .send_to(message, &SocketAddr::new(0, 0))
        .await
        .map(|_| ())
}

fn message(kind: u16, command: u8, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let length = (NLMSG_HEADER + GENL_HEADER + attributes.len()) as u32;
    let mut bytes = Vec::with_capacity(length as usize);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([command, 1, 0, 0]);
    bytes.extend(attributes);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(align(bytes.len()), 0);
    bytes
}

const fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// The messages of a datagram: (type, payload). A broken length ends it.
fn messages(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let payload = rest.get(NLMSG_HEADER..length)?;
        rest = rest.get(align(length)..).unwrap_or_default();
        Some((kind, payload))
    })
}

/// A generic netlink payload: (command, attributes).
fn command(payload: &[u8]) -> Option<(u8, &[u8])> {
    Some((*payload.first()?, payload.get(GENL_HEADER..)?))
}

/// The attributes of a block: (type, value). A broken length ends it.
fn attributes_of(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?) as usize;
        // The two top bits say nested and network byte order.
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_answer_gives_its_number_and_group() {
        let mut group = attribute(CTRL_ATTR_MCAST_GRP_ID, &5u32.to_ne_bytes());
        group.extend(attribute(CTRL_ATTR_MCAST_GRP_NAME, b"mgmt\0"));
        let mut body = attribute(CTRL_ATTR_FAMILY_ID, &31u16.to_ne_bytes());
        body.extend(attribute(CTRL_ATTR_MCAST_GROUPS, &attribute(1, &group)));
        let bytes = message(GENL_ID_CTRL, 1, 0, &body);
        assert_eq!(
            family(&bytes),
            Some(Family {
                id: 31,
                group: Some(5)
            })
        );
    }

    /// No prefix of a message makes the reader panic or loop.
    #[test]
    fn cut_messages_are_read_as_far_as_they_go() {
        let mut body = attribute(NETDEV_A_DEV_IFINDEX, &7u32.to_ne_bytes());
        body.extend(attribute(
            NETDEV_A_DEV_XDP_FEATURES,
            &NDO_XMIT.to_ne_bytes(),
        ));
        let bytes = message(31, NETDEV_CMD_DEV_GET, 0, &body);
        for length in 0..=bytes.len() {
            let mut features = Features::default();
            features.apply(&bytes[..length]);
            assert_eq!(features.by_index.contains_key(&7), length == bytes.len());
        }
    }

    #[test]
    fn a_length_of_nothing_ends_the_datagram() {
        assert_eq!(messages(&[0; 64]).count(), 0);
        assert_eq!(attributes_of(&[0; 64]).count(), 0);
    }
}
