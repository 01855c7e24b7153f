//! What differs between the two address families here: the names and keys of
//! their maps, and which field of a structure is whose. Everything else in
//! this folder is written once, over [`MapFamily`].

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::Pod;
use forwarder_common::abi::{map, own_fold};
use forwarder_core::fib::FibFamily;
use forwarder_core::net::{Ipv4, Ipv6};

use super::side::Side;
use super::tables::FamilyTables;

/// One of each, where both families have their own.
#[derive(Default)]
pub struct Both<A, B> {
    /// IPv4's.
    pub v4: A,
    /// IPv6's.
    pub v6: B,
}

/// An address family as the maps have it.
pub trait MapFamily: FibFamily {
    /// An address as a map's key: its bytes in network order.
    type Key: Pod;

    /// The `LPM_TRIE` with its prefixes.
    const ROUTES: &'static str;
    /// The array with the rows of its trie.
    const ROWS: &'static str;
    /// The hash with this router's addresses.
    const OWN: &'static str;

    /// The key of an address.
    fn key(address: Self::Addr) -> Self::Key;

    /// What [`own_hash`](forwarder_common::abi::own_hash) takes for an address.
    fn own_word(key: &Self::Key) -> u32;

    /// This family's maps.
    fn tables(both: &Both<FamilyTables<Ipv4>, FamilyTables<Ipv6>>) -> &FamilyTables<Self>;

    /// Likewise, to be written.
    fn tables_mut(
        both: &mut Both<FamilyTables<Ipv4>, FamilyTables<Ipv6>>,
    ) -> &mut FamilyTables<Self>;

    /// This family's side of the fast path.
    fn side(both: &Both<Side<Ipv4>, Side<Ipv6>>) -> &Side<Self>;

    /// Likewise, to be changed.
    fn side_mut(both: &mut Both<Side<Ipv4>, Side<Ipv6>>) -> &mut Side<Self>;
}

macro_rules! parts {
    ($part:ident) => {
        fn tables(both: &Both<FamilyTables<Ipv4>, FamilyTables<Ipv6>>) -> &FamilyTables<Self> {
            &both.$part
        }

        fn tables_mut(
            both: &mut Both<FamilyTables<Ipv4>, FamilyTables<Ipv6>>,
        ) -> &mut FamilyTables<Self> {
            &mut both.$part
        }

        fn side(both: &Both<Side<Ipv4>, Side<Ipv6>>) -> &Side<Self> {
            &both.$part
        }

        fn side_mut(both: &mut Both<Side<Ipv4>, Side<Ipv6>>) -> &mut Side<Self> {
            &mut both.$part
        }
    };
}

impl MapFamily for Ipv4 {
    parts!(v4);

    type Key = u32;

    const ROUTES: &'static str = map::ROUTES4;
    const ROWS: &'static str = map::ROWS4;
    const OWN: &'static str = map::OWN4;

    fn key(address: Ipv4Addr) -> u32 {
        u32::from_ne_bytes(address.octets())
    }

    fn own_word(key: &u32) -> u32 {
        *key
    }
}

impl MapFamily for Ipv6 {
    parts!(v6);

    type Key = [u32; 4];

    const ROUTES: &'static str = map::ROUTES6;
    const ROWS: &'static str = map::ROWS6;
    const OWN: &'static str = map::OWN6;

    fn key(address: Ipv6Addr) -> [u32; 4] {
        let octets = address.octets();
        std::array::from_fn(|word| {
            let at = word * 4;
            u32::from_ne_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
        })
    }

    fn own_word(key: &[u32; 4]) -> u32 {
        own_fold(*key)
    }
}
