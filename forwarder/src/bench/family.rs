//! What differs between the address families in a measurement.

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::Pod;
use forwarder_common::bench::{Key4, Key6, map, program};
use forwarder_core::net::{Family as _, Ipv4, Ipv6};
use ipnet::{Ipv4Net, Ipv6Net};

use super::flow::FrameAddress;
use super::table::{Bits, Blocks, Nested, Shape};
use crate::dataplane::family::MapFamily;
use crate::kernel::NetlinkFamily;

/// A family that can be measured. Links are in the ranges set apart for this
/// (RFC 2544, RFC 5180), so that no table holds them.
pub trait BenchFamily: MapFamily<Addr: FrameAddress> + NetlinkFamily {
    /// What a table of the Internet looks like.
    fn shape() -> Shape;

    /// A prefix from an address as a number, and a length.
    fn of_bits(bits: Bits) -> Option<Self::Prefix>;

    /// A host in a prefix, picked by random bits.
    fn host_in(prefix: &Self::Prefix, random: u128) -> Self::Addr;

    /// The router's networks: of the port that frames come in by, and of the
    /// one that they leave by.
    fn links() -> [Self::Prefix; 2];

    /// A host of a link by its number: 1 is the router.
    fn on_link(link: usize, number: u16) -> Self::Addr;

    /// The program that looks keys up, and the map with them.
    const LOOKUPS: (&'static str, &'static str);

    /// A key and its answer, as the map holds them.
    type LookupKey: Pod;

    /// Makes one.
    fn lookup_key(address: Self::Addr, answer: u32) -> Self::LookupKey;

    /// Where the frames come from.
    fn sender() -> Self::Addr {
        Self::on_link(0, 2)
    }

    /// A next hop by its number.
    fn hop(number: u8) -> Self::Addr {
        Self::on_link(1, 10 + u16::from(number))
    }
}

impl BenchFamily for Ipv4 {
    type LookupKey = Key4;
    const LOOKUPS: (&'static str, &'static str) = (program::LOOKUPS4, map::KEYS4);

    fn lookup_key(address: Ipv4Addr, answer: u32) -> Key4 {
        let address = Self::key(address);
        Key4 { address, answer }
    }

    fn shape() -> Shape {
        Shape {
            bits: 32,
            lengths: &[
                (8, 2),
                (9, 1),
                (10, 4),
                (11, 11),
                (12, 32),
                (13, 65),
                (14, 130),
                (15, 220),
                (16, 1500),
                (17, 900),
                (18, 1500),
                (19, 2800),
                (20, 4700),
                (21, 5600),
                (22, 12000),
                (23, 10700),
                (24, 59600),
                (25, 2),
                (26, 2),
                (27, 2),
                (28, 2),
                (29, 1),
                (32, 98),
            ],
            // 1/8 to 223/8.
            space: &[
                (0x0100_0000, 8),
                (0x0200_0000, 7),
                (0x0400_0000, 6),
                (0x0800_0000, 5),
                (0x1000_0000, 4),
                (0x2000_0000, 3),
                (0x4000_0000, 3),
                (0x6000_0000, 4),
                (0x8000_0000, 3),
                (0xa000_0000, 3),
                (0xc000_0000, 4),
                (0xd000_0000, 4),
            ],
            blocks: &[
                Blocks {
                    len: 16,
                    per_thousand: 36,
                },
                Blocks {
                    len: 24,
                    per_thousand: 1,
                },
            ],
            nested: Nested {
                len: 24,
                percent: 45,
                inside: 17,
            },
        }
    }

    fn of_bits((network, len): Bits) -> Option<Ipv4Net> {
        Ipv4::prefix((network as u32).into(), len)
    }

    fn host_in(prefix: &Ipv4Net, random: u128) -> Ipv4Addr {
        let host = prefix.hostmask().to_bits();
        (prefix.network().to_bits() | (random as u32 & host)).into()
    }

    fn links() -> [Ipv4Net; 2] {
        [0, 1].map(|link| Ipv4Net::new_assert(Ipv4Addr::new(198, 18, link, 0), 24))
    }

    fn on_link(link: usize, number: u16) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, link as u8, number as u8)
    }
}

impl BenchFamily for Ipv6 {
    type LookupKey = Key6;
    const LOOKUPS: (&'static str, &'static str) = (program::LOOKUPS6, map::KEYS6);

    fn lookup_key(address: Ipv6Addr, answer: u32) -> Key6 {
        let address = Self::key(address);
        Key6 { address, answer }
    }

    fn shape() -> Shape {
        const fn at(first: u16) -> u128 {
            (first as u128) << 112
        }
        const SPACE: &[Bits] = &[
            (at(0x2001), 20),
            (at(0x2400), 13),
            (at(0x2600), 13),
            (at(0x2620), 23),
            (at(0x2800), 14),
            (at(0x2a00), 12),
            (at(0x2a00), 13),
            (at(0x2c00), 13),
        ];
        Shape {
            bits: 128,
            lengths: &[
                (20, 50),
                (24, 100),
                (28, 400),
                (29, 2700),
                (30, 500),
                (31, 300),
                (32, 14100),
                (33, 1300),
                (34, 1100),
                (35, 900),
                (36, 3700),
                (37, 500),
                (38, 1400),
                (39, 600),
                (40, 8400),
                (41, 500),
                (42, 1400),
                (43, 700),
                (44, 9000),
                (45, 900),
                (46, 1900),
                (47, 2000),
                (48, 47100),
                (56, 70),
                (64, 130),
            ],
            space: SPACE,
            blocks: &[
                Blocks {
                    len: 32,
                    per_thousand: 65,
                },
                Blocks {
                    len: 40,
                    per_thousand: 65,
                },
                Blocks {
                    len: 48,
                    per_thousand: 2,
                },
            ],
            nested: Nested {
                len: 48,
                percent: 45,
                inside: 40,
            },
        }
    }

    fn of_bits((network, len): Bits) -> Option<Ipv6Net> {
        Ipv6::prefix(network.into(), len)
    }

    fn host_in(prefix: &Ipv6Net, random: u128) -> Ipv6Addr {
        let host = prefix.hostmask().to_bits();
        (prefix.network().to_bits() | (random & host)).into()
    }

    fn links() -> [Ipv6Net; 2] {
        [0, 1].map(|link| Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 2, 0, link, 0, 0, 0, 0), 64))
    }

    fn on_link(link: usize, number: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 2, 0, link as u16, 0, 0, 0, number)
    }
}
