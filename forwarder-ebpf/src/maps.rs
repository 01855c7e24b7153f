//! The maps shared with the daemon. Layouts and names: `forwarder_common::abi`.
//! The daemon sets the sizes that are configurable when it loads the object.
//!
//! What a packet meets on its way is one value each ([`Table`]): the verifier
//! inlines a lookup in an array by way of a key on the stack, which stands
//! between the loads of a packet, each of which waits for the one before.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMap, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf};
use forwarder_common::abi::{
    Adjacency, Counter, CounterRow, FlowKey, GROUP_BUCKETS, GROUP_LINKS as LINKS, MAX_ADJACENCIES,
    MAX_COUNTED, MAX_GROUPS, MAX_NEXTHOPS, MAX_OWN, MAX_PORTS, MAX_VLANS, Meta, OwnFilter,
    PORT_SLOTS, Port, PuntLimit, PuntState, TxFilter, VlanKey,
};
use forwarder_common::reason::PuntClass;
use forwarder_common::trie::{ROOT_ROWS, Row};

/// An array of one entry, whose value is an array that the program indexes itself.
pub type Table<T> = Array<T>;

#[map]
pub static ROUTES4: LpmTrie<u32, u32> = LpmTrie::with_max_entries(1 << 20, 0);

/// The loader sets the size of the value.
#[map]
pub static ROWS4: Table<[Row; ROOT_ROWS as usize]> = Table::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub static ROUTES6: LpmTrie<[u32; 4], u32> = LpmTrie::with_max_entries(1 << 20, 0);

/// Likewise.
#[map]
pub static ROWS6: Table<[Row; ROOT_ROWS as usize]> = Table::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub static GROUP: Array<[u32; GROUP_BUCKETS]> = Array::with_max_entries(MAX_GROUPS, 0);

#[map]
pub static GROUP_LINKS: Array<[u32; LINKS]> = Array::with_max_entries(MAX_GROUPS, 0);

#[map]
pub static ROUTE_COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(MAX_COUNTED, 0);

#[map]
pub static VLAN_PORTS: HashMap<VlanKey, Port> = HashMap::with_max_entries(MAX_VLANS, 0);

#[map]
pub static NEXTHOP: Table<[u32; MAX_NEXTHOPS as usize]> =
    Table::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub static ADJACENCY: Table<[Adjacency; MAX_ADJACENCIES as usize]> =
    Table::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub static PORTS: Table<[Port; PORT_SLOTS as usize]> = Table::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub static COUNTERS: PerCpuArray<CounterRow> = PerCpuArray::with_max_entries(MAX_PORTS, 0);

#[map]
pub static TX_PORTS: DevMap = DevMap::with_max_entries(MAX_PORTS, 0);

#[map]
pub static TX_PORTS_FRAGS: DevMap = DevMap::with_max_entries(MAX_PORTS, 0);

#[map]
pub static OWN_FILTER: Array<OwnFilter> = Array::with_max_entries(1, 0);

#[map]
pub static OWN4: HashMap<u32, u32> = HashMap::with_max_entries(MAX_OWN, 0);

#[map]
pub static OWN6: HashMap<[u32; 4], u32> = HashMap::with_max_entries(MAX_OWN, 0);

#[map]
pub static PUNT_LIMIT: Array<PuntLimit> = Array::with_max_entries(PuntClass::SLOTS, 0);

#[map]
pub static PUNT_STATE: PerCpuArray<PuntState> = PerCpuArray::with_max_entries(PuntClass::SLOTS, 0);

#[map]
pub static REDIRECTED: LruHashMap<FlowKey, u64> = LruHashMap::with_max_entries(4096, 0);

#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

#[map]
pub static META: Array<Meta> = Array::with_max_entries(1, 0);

#[map]
pub static TX_FILTER: Array<TxFilter> = Array::with_max_entries(1, 0);
