//! Asks the kernel to resolve neighbours, and to keep those resolved that the
//! fast path sends to.
//!
//! Owned by the dataplane task. Answers come as neighbour events through the
//! monitor.
//!
//! Every request is preceded by a look at the entry. The kernel takes any of
//! these requests on a `PERMANENT` entry as an order to drop its address
//! (`__neigh_update`: `new = old & ~NUD_PERMANENT`), and clears the
//! `EXT_LEARNED` and `MANAGED` flags that a request does not repeat: without
//! the look, an operator's static neighbour would be lost.

use std::net::IpAddr;

use forwarder_core::net::{Ifindex, Ipv4, Ipv6};

use super::family::NetlinkFamily as _;
use super::message::{
    NDA_DST, NDA_FLAGS_EXT, NDA_LLADDR, NEIGHBOUR_LEN, NTF_EXT_MANAGED, NeighbourEntry,
    decode_neighbour,
};
use super::request::{RequestError, Requester};
use super::requests::fixed;
use super::socket::{OpenError, Protocol};
use super::wire::{Malformed, Request};

/// What became of [`Neighbours::manage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Managed {
    /// The kernel keeps the entry resolved by itself (`NTF_EXT_MANAGED`).
    ByKernel,
    /// The kernel is too old (before 5.16): [`Neighbours::resolve`] has to be
    /// repeated, at half the reachable time.
    ByAsking,
    /// The entry needs no upkeep: `PERMANENT` or `NOARP`.
    NotNeeded,
}

/// A handle on the kernel's neighbour tables.
#[derive(Debug)]
pub struct Neighbours {
    requester: Requester,
}

impl Neighbours {
    /// Opens a socket of its own, within a tokio runtime.
    pub fn open() -> Result<Self, OpenError> {
        Requester::open(Protocol::ROUTE).map(|requester| Neighbours { requester })
    }

    /// Has the kernel resolve an address, or confirm it if it is stale.
    pub async fn resolve(&mut self, ifindex: Ifindex, address: IpAddr) -> Result<(), RequestError> {
        let entry = self.look_up(ifindex, address).await?;
        if entry.is_some_and(|entry| is_fixed(&entry) || entry.managed) {
            return Ok(());
        }
        self.change(ifindex, address, entry, Wish::Use).await
    }

    /// Has the kernel keep an address resolved until [`Neighbours::unmanage`].
    pub async fn manage(
        &mut self,
        ifindex: Ifindex,
        address: IpAddr,
    ) -> Result<Managed, RequestError> {
        let entry = self.look_up(ifindex, address).await?;
        if entry.is_some_and(|entry| is_fixed(&entry)) {
            return Ok(Managed::NotNeeded);
        }
        self.change(ifindex, address, entry, Wish::Manage).await?;
        // An old kernel accepts the flag and does nothing about it.
        let entry = self.look_up(ifindex, address).await?;
        let managed = entry.is_some_and(|entry| entry.managed);
        Ok(if managed {
            Managed::ByKernel
        } else {
            Managed::ByAsking
        })
    }

    /// Leaves an address to the kernel's ordinary ageing.
    pub async fn unmanage(
        &mut self,
        ifindex: Ifindex,
        address: IpAddr,
    ) -> Result<(), RequestError> {
        match self.look_up(ifindex, address).await? {
            Some(entry) if entry.managed => {
                self.change(ifindex, address, Some(entry), Wish::LetGo)
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Sets an entry by hand. One that lasts is `PERMANENT`, like those of
    /// `ip neigh add`; another the kernel confirms and forgets like its own.
    pub async fn set(
        &mut self,
        ifindex: Ifindex,
        address: IpAddr,
        mac: [u8; 6],
        lasts: bool,
    ) -> Result<(), RequestError> {
        let state = if lasts {
            libc::NUD_PERMANENT
        } else {
            libc::NUD_REACHABLE
        };
        let mut header: [u8; NEIGHBOUR_LEN] = fixed(family_of(address));
        set(&mut header, 4, &ifindex.0.to_ne_bytes());
        set(&mut header, 8, &state.to_ne_bytes());
        let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        let request = Request::new(libc::RTM_NEWNEIGH, flags, &header)
            .attribute(NDA_DST, &bytes(address))
            .attribute(NDA_LLADDR, &mac);
        self.requester.acknowledged(&request).await
    }

    /// Removes an entry.
    pub async fn remove(&mut self, ifindex: Ifindex, address: IpAddr) -> Result<(), RequestError> {
        let mut header: [u8; NEIGHBOUR_LEN] = fixed(family_of(address));
        set(&mut header, 4, &ifindex.0.to_ne_bytes());
        let request =
            Request::new(libc::RTM_DELNEIGH, 0, &header).attribute(NDA_DST, &bytes(address));
        self.requester.acknowledged(&request).await
    }

    async fn look_up(
        &mut self,
        ifindex: Ifindex,
        address: IpAddr,
    ) -> Result<Option<NeighbourEntry<IpAddr>>, RequestError> {
        let mut header: [u8; NEIGHBOUR_LEN] = fixed(family_of(address));
        set(&mut header, 4, &ifindex.0.to_ne_bytes());
        let request =
            Request::new(libc::RTM_GETNEIGH, 0, &header).attribute(NDA_DST, &bytes(address));
        match self.requester.get(&request, decode_any).await {
            Ok(entry) => Ok(entry.flatten()),
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn change(
        &mut self,
        ifindex: Ifindex,
        address: IpAddr,
        entry: Option<NeighbourEntry<IpAddr>>,
        wish: Wish,
    ) -> Result<(), RequestError> {
        let keep = entry.map_or(0, |entry| entry.flags & libc::NTF_EXT_LEARNED);
        let (state, flags) = wish.state_and_flags(entry);
        let mut header: [u8; NEIGHBOUR_LEN] = fixed(family_of(address));
        set(&mut header, 4, &ifindex.0.to_ne_bytes());
        set(&mut header, 8, &state.to_ne_bytes());
        set(&mut header, 10, &[flags | keep]);
        let mut request = Request::new(libc::RTM_NEWNEIGH, libc::NLM_F_CREATE, &header)
            .attribute(NDA_DST, &bytes(address));
        if wish == Wish::Manage {
            request = request.u32(NDA_FLAGS_EXT, NTF_EXT_MANAGED);
        }
        self.requester.acknowledged(&request).await
    }
}

fn family_of(address: IpAddr) -> libc::c_int {
    match address {
        IpAddr::V4(_) => Ipv4::AF,
        IpAddr::V6(_) => Ipv6::AF,
    }
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => Ipv4::bytes(address),
        IpAddr::V6(address) => Ipv6::bytes(address),
    }
}

fn decode_any(payload: &[u8]) -> Result<Option<NeighbourEntry<IpAddr>>, Malformed> {
    let v4 = decode_neighbour::<Ipv4>(payload)?.map(NeighbourEntry::general);
    match v4 {
        Some(entry) => Ok(Some(entry)),
        None => Ok(decode_neighbour::<Ipv6>(payload)?.map(NeighbourEntry::general)),
    }
}

/// The operator's, or the device's: nothing to resolve.
fn is_fixed(entry: &NeighbourEntry<IpAddr>) -> bool {
    entry.state & (libc::NUD_PERMANENT | libc::NUD_NOARP) != 0
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wish {
    Use,
    Manage,
    LetGo,
}

impl Wish {
    /// `ndm_state` and `ndm_flags`. With `NTF_USE` or `NTF_EXT_MANAGED` the
    /// kernel ignores the state; it has to be NONE all the same, PERMANENT is
    /// refused.
    fn state_and_flags(self, entry: Option<NeighbourEntry<IpAddr>>) -> (u16, u8) {
        match (self, entry) {
            (Wish::Manage, _) => (libc::NUD_NONE, 0),
            // Without an order to resolve, which would go out on the wire.
            (Wish::LetGo, Some(entry)) if entry.is_usable() => (libc::NUD_STALE, 0),
            (Wish::LetGo, Some(entry)) if entry.state & libc::NUD_FAILED != 0 => {
                (libc::NUD_FAILED, 0)
            }
            (Wish::Use | Wish::LetGo, _) => (libc::NUD_NONE, libc::NTF_USE),
        }
    }
}

/// Writes into a fixed header; the offsets are constants within it.
fn set(header: &mut [u8], offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if let Some(field) = header.get_mut(offset..end) {
        field.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests;
