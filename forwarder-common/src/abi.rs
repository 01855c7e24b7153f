//! Layouts of the BPF maps' keys and values, and the maps' names and sizes.
//!
//! Every struct is `repr(C)` with explicit padding, asserted below: a BPF map
//! copies bytes, and an implicit hole would be uninitialised memory in it.
//! Multi-byte fields are in host order unless the name says `_be`.

use crate::reason::Reason;

/// Version of everything in this file. Stored in map `META`; a daemon adopts
/// pinned maps only when it is equal.
pub const ABI_VERSION: u32 = 4;

/// Ports (attached or egress) that the tables hold.
pub const MAX_PORTS: u32 = 256;
/// Slots of the direct-mapped port table: `ifindex & (PORT_SLOTS - 1)`. Far
/// more than ports, so that two ports rarely want one slot; if they do, the
/// second is refused with the reason shown.
pub const PORT_SLOTS: u32 = 4096;
/// Next-hop ids: one for each distinct way out, host routes included. The
/// first [`Reason::ROW`] are the reasons' own, for both families; IPv4 has the
/// ids up to [`FIRST_ID6`], IPv6 those from there to [`FIRST_COUNTED`].
pub const MAX_NEXTHOPS: u32 = 1 << 18;
/// First id of IPv4.
pub const FIRST_ID4: u32 = Reason::ROW as u32;
/// First id of IPv6.
pub const FIRST_ID6: u32 = 1 << 17;
/// Routes that are counted each by itself, over both families: the first half
/// of them IPv4's.
pub const MAX_COUNTED: u32 = 4096;
/// Ids from here on are counted: `ROUTE_COUNTERS[id - FIRST_COUNTED]`.
pub const FIRST_COUNTED: u32 = MAX_NEXTHOPS - MAX_COUNTED;
/// Adjacencies: one for each (port, gateway) pair in use. The first half is
/// IPv4's.
pub const MAX_ADJACENCIES: u32 = 1 << 17;
/// Groups of next hops (ECMP). The first half is IPv4's.
pub const MAX_GROUPS: u32 = 4096;
/// Buckets of a group: a power of two, the hash of a flow picks one.
pub const GROUP_BUCKETS: usize = 256;
/// Interfaces of a group that the reverse-path check knows of.
pub const GROUP_LINKS: usize = 8;
/// Our own addresses of one family (exact sets behind [`OWN_FILTER_WORDS`]).
pub const MAX_OWN: u32 = 16384;
/// VLAN sub-interfaces that are ports.
pub const MAX_VLANS: u32 = 4096;
/// Words of the one-hash filter in front of the own-address set.
pub const OWN_FILTER_WORDS: usize = 2048;

/// One port, found by ifindex.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// The interface this entry is for; 0 = free. The slot is only a hash of it.
    pub ifindex: u32,
    /// Dense number, `1..MAX_PORTS`: index of the counters and the DEVMAPs.
    /// Number 0 counts what arrives on ports the daemon does not know.
    pub number: u32,
    /// The port's own MAC address.
    pub mac: [u8; 6],
    /// `PORT_*` bits.
    pub flags: u16,
    /// 0, or the [`Reason`] for which all IPv4 received here goes up.
    pub up_reason4: u16,
    /// Likewise for IPv6.
    pub up_reason6: u16,
    /// Number of the port whose DEVMAP entry frames leave by: its own, or that
    /// of the device below a VLAN sub-interface.
    pub tx: u32,
    /// Tags that frames leaving here get, see [`Tags`].
    pub tags: u32,
    /// Room to grow without an ABI change of the size.
    pub reserved: u32,
}

impl Port {
    /// As it lies in the map.
    pub const fn words(&self) -> [u32; 8] {
        let [a, b, c, d, e, f] = self.mac;
        let [g, h] = self.flags.to_ne_bytes();
        let [i, j] = self.up_reason4.to_ne_bytes();
        let [k, l] = self.up_reason6.to_ne_bytes();
        [
            self.ifindex,
            self.number,
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
            u32::from_ne_bytes([i, j, k, l]),
            self.tx,
            self.tags,
            self.reserved,
        ]
    }
}

/// `send_redirects` is on: a frame that leaves by the port it came in on, to an
/// on-link source's own network, is due an ICMP redirect once a second and flow.
pub const PORT_SEND_REDIRECTS: u16 = 1;
/// Reverse-path check of IPv4, strict (RFC 3704 §2.2): the way back to the
/// source leaves by this port.
pub const PORT_RP4_STRICT: u16 = 2;
/// Loose (RFC 3704 §2.4): there is a way back.
pub const PORT_RP4_LOOSE: u16 = 4;
/// [`PORT_RP4_STRICT`] for IPv6.
pub const PORT_RP6_STRICT: u16 = 8;
/// [`PORT_RP4_LOOSE`] for IPv6.
pub const PORT_RP6_LOOSE: u16 = 16;
/// The device has VLAN sub-interfaces that are ports: map `VLAN_PORTS`.
pub const PORT_VLANS: u16 = 32;

/// The VLAN tags between the MAC addresses and the IP header, in one word:
/// bits 0..12 the outer VLAN id, bit 12 set for an outer 802.1ad tag, bits
/// 16..28 and bit 28 the same of the inner tag, bits 30..32 how many tags.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tags(pub u32);

impl Tags {
    /// No tag.
    pub const NONE: Tags = Tags(0);
    /// Set where a tag is 802.1ad (TPID 0x88a8) rather than 802.1Q (0x8100).
    pub const AD: u32 = 1 << 12;

    /// One tag; `ad` = 802.1ad.
    pub const fn one(vid: u16, ad: bool) -> Tags {
        Tags((1 << 30) | Self::tag(vid, ad))
    }

    /// An outer and an inner tag.
    pub const fn two(outer: (u16, bool), inner: (u16, bool)) -> Tags {
        let (outer, inner) = (Self::tag(outer.0, outer.1), Self::tag(inner.0, inner.1));
        Tags((2 << 30) | (inner << 16) | outer)
    }

    const fn tag(vid: u16, ad: bool) -> u32 {
        (vid as u32 & 0xfff) | if ad { Self::AD } else { 0 }
    }

    /// How many tags: 0, 1 or 2.
    #[inline(always)]
    pub const fn count(self) -> u32 {
        self.0 >> 30
    }

    /// The outer tag: VLAN id, and [`Tags::AD`].
    #[inline(always)]
    pub const fn outer(self) -> u32 {
        self.0 & 0x1fff
    }

    /// The inner tag, likewise.
    #[inline(always)]
    pub const fn inner(self) -> u32 {
        (self.0 >> 16) & 0x1fff
    }
}

/// Key of the map `VLAN_PORTS`: which sub-interface tagged frames belong to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanKey {
    /// The device that received the frame.
    pub parent: u32,
    /// [`Tags`] of the frame.
    pub tags: u32,
}

/// What to do with a packet that matched a route: the word `NEXTHOP[id]`,
/// {kind: 4 bits, slot: 28 bits}. One aligned store changes it for every
/// prefix that uses the id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum NexthopKind {
    /// Nothing there (a freed id seen by a late reader): up, `unresolved`.
    None = 0,
    /// Forward by `ADJACENCY[slot]`.
    Adjacency = 1,
    /// Hand up; slot is the [`Reason`] to count.
    Up = 2,
    /// Drop; slot is the [`Reason`] to count.
    Drop = 3,
    /// Hand up for the kernel to resolve the neighbour, and tell the daemon.
    /// Slot is the egress port's dense number.
    Resolve = 4,
    /// One of several: the flow's hash picks a bucket of `GROUP[slot]`, which
    /// holds a next-hop id.
    Group = 5,
}

/// Set in the kind of a next-hop word whose id is counted by itself
/// ([`FIRST_COUNTED`]). A bit of the kind, so that what is not counted pays
/// nothing: the program's first comparison is with the plain kind.
pub const KIND_COUNTED: u32 = 8;

/// Packs a next-hop word.
pub const fn nexthop_word(kind: NexthopKind, slot: u32) -> u32 {
    ((kind as u32) << 28) | (slot & 0x0fff_ffff)
}

/// The kind bits of a next-hop word.
pub const fn nexthop_kind(word: u32) -> u32 {
    word >> 28
}

/// The slot bits of a next-hop word.
pub const fn nexthop_slot(word: u32) -> u32 {
    word & 0x0fff_ffff
}

/// How to reach one neighbour. Immutable while a next-hop word refers to it,
/// but for `used`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjacency {
    /// The neighbour's MAC; with `source` the frame's first 12 bytes.
    pub destination: [u8; 6],
    /// The egress port's MAC.
    pub source: [u8; 6],
    /// Egress port's dense number: index of the DEVMAP.
    pub port: u32,
    /// Largest IP packet that may leave: the lesser of link MTU and route MTU.
    pub mtu: u32,
    /// Egress interface.
    pub ifindex: u32,
    /// Written by the program: `jiffies >> 8` at the last packet, so that the
    /// daemon can tell which neighbours are in use. Stored only when different.
    pub used: u32,
    /// [`Tags`] that the frame leaves with.
    pub tags: u32,
}

impl Adjacency {
    /// How many words it has.
    pub const WORDS: usize = 8;
    /// Which of them is `used`.
    pub const USED_WORD: usize = 6;

    /// As it lies in the map.
    pub const fn words(&self) -> [u32; Self::WORDS] {
        let [a, b, c, d, e, f] = self.destination;
        let [g, h, i, j, k, l] = self.source;
        [
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
            u32::from_ne_bytes([i, j, k, l]),
            self.port,
            self.mtu,
            self.ifindex,
            self.used,
            self.tags,
        ]
    }
}

/// Packets and bytes counted under one reason at one port on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes, link-layer header included.
    pub bytes: u64,
}

/// A port's counters on one CPU: value of the per-CPU map `COUNTERS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterRow {
    /// Indexed by [`Reason`].
    pub reasons: [Counter; Reason::ROW],
}

impl Default for CounterRow {
    fn default() -> Self {
        CounterRow {
            reasons: [Counter::default(); Reason::ROW],
        }
    }
}

/// Limit of one punt class: map `PUNT_LIMIT`, indexed by `PuntClass`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PuntLimit {
    /// Nanoseconds that one packet costs on one CPU; 0 = no limit.
    pub cost_ns: u64,
    /// Nanoseconds of credit that may pile up: the burst.
    pub burst_ns: u64,
}

/// A token bucket as one number: the virtual time up to which credit is spent
/// (GCRA). Per CPU, so no lock; map `PUNT_STATE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PuntState {
    /// Theoretical arrival time, `ktime` nanoseconds.
    pub tat_ns: u64,
    /// How often there was no credit; for events also how often the ring was
    /// full.
    pub refused: u64,
}

/// The own-address filter: bit `own_hash(addr)` is set for each own address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnFilter {
    /// The bits, 32 a word.
    pub words: [u32; OWN_FILTER_WORDS],
}

impl Default for OwnFilter {
    fn default() -> Self {
        OwnFilter {
            words: [0; OWN_FILTER_WORDS],
        }
    }
}

/// The word of an IPv6 address that [`own_hash`] takes.
#[inline(always)]
pub const fn own_fold(address_be: [u32; 4]) -> u32 {
    // Not a plain XOR of all: an address whose halves repeat would become 0.
    (address_be[0] ^ address_be[1].rotate_left(9))
        ^ (address_be[2].rotate_left(17) ^ address_be[3].rotate_left(25))
}

/// The filter bit of an address (network byte order as loaded from the frame,
/// i.e. `u32::from_ne_bytes(octets)`): (word, bit).
#[inline(always)]
pub const fn own_hash(address_be: u32) -> (usize, u32) {
    // Fibonacci hashing; the top 16 bits are the well-mixed ones.
    let hash = address_be.wrapping_mul(0x9e37_79b1) >> 16;
    ((hash >> 5) as usize & (OWN_FILTER_WORDS - 1), hash & 31)
}

/// Settings that the program reads: map `META`, one entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// [`ABI_VERSION`] of the daemon that made the maps.
    pub abi_version: u32,
    /// Reserved for the next fields.
    pub reserved: [u32; 7],
}

/// Something the daemon should look at: entries of the ring buffer `EVENTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The [`Reason`] the packet was handed up (miss, unresolved) or dropped for.
    pub reason: u32,
    /// Ingress ifindex.
    pub ifindex: u32,
    /// 4 or 6; 0 where the frame ends before its addresses.
    pub family: u32,
    /// Bytes of the frame.
    pub length: u32,
    /// Destination, network order; an IPv4 address is in the first word.
    pub destination_be: [u32; 4],
    /// Source, likewise.
    pub source_be: [u32; 4],
}

/// Key of the map `REDIRECTED`: flows for which an ICMP redirect was let through.
/// Addresses as in [`Event`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowKey {
    /// Source, network order.
    pub source_be: [u32; 4],
    /// Destination, network order.
    pub destination_be: [u32; 4],
}

/// What the transmit tracepoints need to know of this kernel and this daemon:
/// map `TX_FILTER`, one entry. Offsets come from the kernel's BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxFilter {
    /// Inode number of our network namespace: the tracepoints fire for all.
    pub netns_inum: u32,
    /// `offsetof(struct net_device, ifindex)`.
    pub dev_ifindex: u32,
    /// `offsetof(struct net_device, nd_net)`: a `struct net *`.
    pub dev_net: u32,
    /// `offsetof(struct net, ns.inum)`.
    pub net_inum: u32,
    /// Ids of our DEVMAPs (plain and frags): redirects through any other map
    /// are not ours.
    pub devmap_ids: [u32; 2],
    /// `jiffies >> 8` at the last loss; written by the program.
    pub last_loss: u32,
    /// Explicit padding.
    pub reserved: u32,
}

/// A lookup of the kernel that found no route: entries of the ring buffer `MISSES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Miss {
    /// 4 or 6.
    pub family: u32,
    /// As in [`Event`].
    pub destination_be: [u32; 4],
}

impl Miss {
    /// How many words it has.
    pub const WORDS: usize = 5;
}

/// What the programs at the kernel's lookups need to know of this kernel and this
/// daemon: map `MISS_FILTER`, one entry. Offsets come from the kernel's BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MissFilter {
    /// Inode number of our network namespace: the programs run for all.
    pub netns_inum: u32,
    /// `offsetof(struct net, ns.inum)`.
    pub net_inum: u32,
    /// `offsetof(struct net, ipv6.fib6_null_entry)`.
    pub net_null6: u32,
    /// `offsetof(struct net_device, nd_net)`.
    pub dev_net: u32,
    /// `offsetof(struct sk_buff, dev)`.
    pub skb_dev: u32,
    /// `offsetof(struct sk_buff, _skb_refdst)`.
    pub skb_dst: u32,
    /// `offsetof(struct sk_buff, head)`.
    pub skb_head: u32,
    /// `offsetof(struct sk_buff, network_header)`, which counts from `head`.
    pub skb_network_header: u32,
    /// `offsetof(struct sk_buff, protocol)`.
    pub skb_protocol: u32,
    /// `offsetof(struct dst_entry, error)`.
    pub dst_error: u32,
    /// `offsetof(struct flowi_common, flowic_iif)`, which is where `struct flowi4`
    /// and `struct flowi6` begin.
    pub flow_iif: u32,
    /// `offsetof(struct flowi_common, flowic_oif)`.
    pub flow_oif: u32,
    /// `offsetof(struct flowi4, daddr)`.
    pub flow4_destination: u32,
    /// `offsetof(struct flowi6, daddr)`.
    pub flow6_destination: u32,
    /// `offsetof(struct flowi6, saddr)`.
    pub flow6_source: u32,
    /// `offsetof(struct fib6_result, f6i)`.
    pub result6_route: u32,
    /// `offsetof(struct fib6_table, tb6_id)`.
    pub table6_id: u32,
    /// `offsetof(struct task_struct, flags)`.
    pub task_flags: u32,
    /// `offsetof(struct task_struct, nsproxy)`.
    pub task_nsproxy: u32,
    /// `offsetof(struct nsproxy, net_ns)`.
    pub nsproxy_net: u32,
}

/// Where the routes are: the constant [`global::ENGINE`], fixed at load, so that
/// the verifier drops the code of the other.
pub mod engine {
    /// Maps `ROUTES4`, `ROUTES6`.
    pub const LPM_TRIE: u32 = 0;
    /// Maps `ROWS4`, `ROWS6`.
    pub const MULTIBIT: u32 = 1;
    /// The kernel's own tables, by `bpf_fib_lookup`.
    pub const KERNEL: u32 = 2;
    /// None: every destination has one next-hop id, IPv4's is
    /// [`super::FIRST_ID4`] and IPv6's [`super::FIRST_ID6`]. No router's, but
    /// `forwarder bench` measures by it what the lookup costs.
    pub const CONSTANT: u32 = 3;
}

/// Names of the constants that are set at load, as in the object file.
pub mod global {
    /// One of [`super::engine`].
    pub const ENGINE: &str = "ENGINE";
    /// Words of the value of map `ROWS4`; 0 = each row is an entry.
    pub const WORDS4: &str = "WORDS4";
    /// Words of the value of map `ROWS6`, likewise.
    pub const WORDS6: &str = "WORDS6";
    /// Seed of the flow hash, of this router alone: routers in a row that hash
    /// alike would use one path of several each.
    pub const SEED: &str = "SEED";
}

/// Names of the maps, as in the object file.
pub mod map {
    /// LPM_TRIE, IPv4 prefix → next-hop id.
    pub const ROUTES4: &str = "ROUTES4";
    /// ARRAY, mapped by the daemon: rows of the trie of [`crate::trie`], all as one
    /// value, or each as one.
    pub const ROWS4: &str = "ROWS4";
    /// LPM_TRIE, IPv6 prefix → next-hop id.
    pub const ROUTES6: &str = "ROUTES6";
    /// As [`ROWS4`], for IPv6.
    pub const ROWS6: &str = "ROWS6";
    /// ARRAY, slot → `[u32; GROUP_BUCKETS]`, next-hop ids.
    pub const GROUP: &str = "GROUP";
    /// ARRAY, slot → `[u32; GROUP_LINKS]`, the ifindexes a group leaves by, 0 =
    /// no more; all full = there may be others.
    pub const GROUP_LINKS: &str = "GROUP_LINKS";
    /// PERCPU_ARRAY, next-hop id − `FIRST_COUNTED` → `Counter`.
    pub const ROUTE_COUNTERS: &str = "ROUTE_COUNTERS";
    /// HASH, `VlanKey` → `Port`.
    pub const VLAN_PORTS: &str = "VLAN_PORTS";
    /// HASH, own IPv6 address (network order) → 1.
    pub const OWN6: &str = "OWN6";
    /// ARRAY of one value, mapped by the daemon: a word for each next-hop id.
    pub const NEXTHOP: &str = "NEXTHOP";
    /// ARRAY of one value, mapped by the daemon: an `Adjacency` for each slot.
    pub const ADJACENCY: &str = "ADJACENCY";
    /// ARRAY of one value, mapped by the daemon: a `Port` for each
    /// `ifindex & (PORT_SLOTS - 1)`.
    pub const PORTS: &str = "PORTS";
    /// PERCPU_ARRAY, port number → `CounterRow`.
    pub const COUNTERS: &str = "COUNTERS";
    /// DEVMAP of the plain program, port number → ifindex.
    pub const TX_PORTS: &str = "TX_PORTS";
    /// DEVMAP of the `xdp.frags` program: the kernel refuses one map for both.
    pub const TX_PORTS_FRAGS: &str = "TX_PORTS_FRAGS";
    /// ARRAY, one `OwnFilter`.
    pub const OWN_FILTER: &str = "OWN_FILTER";
    /// HASH, own IPv4 address (network order) → 1.
    pub const OWN4: &str = "OWN4";
    /// ARRAY, punt class → `PuntLimit`.
    pub const PUNT_LIMIT: &str = "PUNT_LIMIT";
    /// PERCPU_ARRAY, punt class → `PuntState`.
    pub const PUNT_STATE: &str = "PUNT_STATE";
    /// LRU_HASH, `FlowKey` → ktime of the last ICMP redirect let through.
    pub const REDIRECTED: &str = "REDIRECTED";
    /// RINGBUF of `Event`.
    pub const EVENTS: &str = "EVENTS";
    /// ARRAY, one `Meta`.
    pub const META: &str = "META";
    /// ARRAY, one `TxFilter`.
    pub const TX_FILTER: &str = "TX_FILTER";
    /// RINGBUF of `Miss`.
    pub const MISSES: &str = "MISSES";
    /// ARRAY, one `MissFilter`.
    pub const MISS_FILTER: &str = "MISS_FILTER";
    /// ARRAY, one `PuntLimit`.
    pub const MISS_LIMIT: &str = "MISS_LIMIT";
    /// PERCPU_ARRAY, one `PuntState`.
    pub const MISS_STATE: &str = "MISS_STATE";
}

/// Names of the programs, as in the object file.
pub mod program {
    /// XDP, one buffer a frame.
    pub const FORWARD: &str = "forward";
    /// XDP, multi-buffer (`xdp.frags`, kernel 5.18 and later).
    pub const FORWARD_FRAGS: &str = "forward_frags";
    /// BTF tracepoint of the same name.
    pub const REDIRECT_ERR: &str = "xdp_redirect_err";
    /// BTF tracepoint of the same name.
    pub const DEVMAP_XMIT: &str = "xdp_devmap_xmit";
    /// BTF tracepoint of the same name.
    pub const KFREE_SKB: &str = "kfree_skb";
    /// BTF tracepoint of the same name.
    pub const FIB_TABLE_LOOKUP: &str = "fib_table_lookup";
    /// BTF tracepoint of the same name.
    pub const FIB6_TABLE_LOOKUP: &str = "fib6_table_lookup";
    /// BTF tracepoint of the same name.
    pub const SOFTIRQ_ENTRY: &str = "softirq_entry";
    /// BTF tracepoint of the same name.
    pub const SOFTIRQ_EXIT: &str = "softirq_exit";
}

const _: () = {
    assert!(size_of::<Port>() == 32);
    assert!(size_of::<Adjacency>() == 4 * Adjacency::WORDS);
    assert!(core::mem::offset_of!(Adjacency, used) == 4 * Adjacency::USED_WORD);
    assert!(size_of::<Counter>() == 16);
    assert!(size_of::<CounterRow>() == 16 * Reason::ROW);
    assert!(size_of::<PuntLimit>() == 16);
    assert!(size_of::<PuntState>() == 16);
    assert!(size_of::<OwnFilter>() == 4 * OWN_FILTER_WORDS);
    assert!(size_of::<Meta>() == 32);
    assert!(size_of::<Event>() == 48);
    assert!(size_of::<FlowKey>() == 32);
    assert!(size_of::<VlanKey>() == 8);
    assert!(size_of::<TxFilter>() == 32);
    assert!(size_of::<Miss>() == 4 * Miss::WORDS);
    assert!(size_of::<MissFilter>() == 80);
    assert!(Reason::ALL.len() <= Reason::ROW);
    assert!(OWN_FILTER_WORDS * 32 == 1 << 16);
    assert!(PORT_SLOTS.is_power_of_two() && MAX_PORTS.is_power_of_two());
};

#[cfg(feature = "user")]
mod pod {
    //! The daemon's side: aya copies these as bytes.
    #![expect(unsafe_code, reason = "aya's Pod is an unsafe marker trait")]
    use super::*;

    macro_rules! pod {
        ($($name:ty),* $(,)?) => { $(
            // SAFETY: repr(C), Copy, no padding (sizes asserted above) and
            // every bit pattern is valid.
            unsafe impl aya::Pod for $name {}
        )* };
    }

    pod!(
        Port, Adjacency, Counter, CounterRow, PuntLimit, PuntState, OwnFilter, Meta, Event,
        FlowKey, TxFilter, VlanKey, MissFilter,
    );
}
