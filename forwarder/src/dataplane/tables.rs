//! The BPF maps, typed: the only place that writes them.
//!
//! Owned by the dataplane task. Writes are carried out in the order in which
//! `fib::Fib` gives them; that order is what keeps readers right (fill an
//! adjacency, then store the word that names it, then the prefix).

use std::collections::BTreeMap;
use std::time::Duration;

use aya::maps::{Array, DevMap, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use aya::util::nr_cpus;
use forwarder_common::abi::{
    ABI_VERSION, Adjacency, Counter, CounterRow, FIRST_COUNTED, GROUP_BUCKETS, GROUP_LINKS,
    MAX_ADJACENCIES, MAX_NEXTHOPS, MAX_PORTS, Meta, OwnFilter, PORT_SLOTS, Port, PuntLimit,
    VlanKey, map, own_hash,
};
use forwarder_common::reason::PuntClass;
use forwarder_core::fib::FibOp;
use forwarder_core::fib::trie::Trie;
use forwarder_core::net::{Ipv4, Ipv6};

use super::events::EventMaps;
use super::family::{Both, MapFamily};
use super::mapped::MappedWords;
use super::object::{LoadError, Object};
use super::routes::{Routes, WriteError, is_absent};

/// What piles up unused: packets that come together are no flood yet.
const BURST: Duration = Duration::from_millis(100);
/// Likewise of what routing protocols come by. Daemons send a full table of RIP's
/// back to back: 100,000 routes are 4,000 datagrams, of which a tenth of a second's
/// credit let 2,000 through.
const PROTOCOL_BURST: Duration = Duration::from_millis(500);

macro_rules! take {
    ($object:expr, $name:expr) => {
        $object
            .take_map($name)?
            .try_into()
            .map_err(|source| LoadError::Map {
                name: $name,
                source,
            })?
    };
}

/// Maps a map into memory.
fn mapped(object: &mut Object, name: &'static str, bytes: usize) -> Result<MappedWords, LoadError> {
    let Map::Array(map) = object.take_map(name)? else {
        return Err(LoadError::Missing(name));
    };
    MappedWords::new(map, bytes / size_of::<u32>())
        .map_err(|source| LoadError::Mapping { name, source })
}

fn within(stored: bool) -> Result<(), MapError> {
    stored.then_some(()).ok_or(MapError::KeyNotFound)
}

/// The maps of one family.
pub struct FamilyTables<F: MapFamily> {
    routes: Routes<F>,
    own: HashMap<MapData, F::Key, u32>,
}

impl<F: MapFamily> FamilyTables<F> {
    fn new(object: &mut Object) -> Result<Self, LoadError> {
        Ok(FamilyTables {
            routes: Routes::new(object)?,
            own: take!(object, F::OWN),
        })
    }

    /// Prefix → next-hop id. A prefix that is new can find no room, or one whose
    /// id is beyond what the slots of its nodes hold; the table is then as before.
    pub fn set_route(&mut self, prefix: F::Prefix, id: u32) -> Result<(), WriteError> {
        self.routes.set(prefix, id)
    }

    /// Forgets a prefix; one that is not there is no error.
    pub fn remove_route(&mut self, prefix: F::Prefix) -> Result<(), WriteError> {
        self.routes.remove(prefix)
    }

    /// Whether rows of the route table wait for a grace period.
    pub fn has_freed_rows(&self) -> bool {
        self.routes.trie().is_some_and(Trie::has_freed)
    }

    /// Rows to be returned with [`FamilyTables::release_rows`] after a grace
    /// period.
    pub fn take_freed_rows(&mut self) -> Vec<u32> {
        self.routes
            .trie_mut()
            .map(Trie::take_freed)
            .unwrap_or_default()
    }

    /// The rows may be used again.
    pub fn release_rows(&mut self, rows: Vec<u32>) {
        if let Some(trie) = self.routes.trie_mut() {
            trie.release(rows);
        }
    }

    /// Whether so few rows are left that the table should grow: a sixteenth, which
    /// is several steps of the programmer.
    pub fn is_crowded(&self) -> bool {
        let (used, rows) = self.rows();
        rows - used < rows / 16
    }

    /// Rows of the route table: in use, and all; none with another engine than
    /// `multibit`.
    pub fn rows(&self) -> (u32, u32) {
        let trie = self.routes.trie();
        trie.map_or((0, 0), |trie| (trie.rows_used(), trie.rows()))
    }
}

/// Handles of all maps.
pub struct Tables {
    families: Both<FamilyTables<Ipv4>, FamilyTables<Ipv6>>,
    nexthop: MappedWords,
    adjacency: MappedWords,
    group: Array<MapData, [u32; GROUP_BUCKETS]>,
    group_links: Array<MapData, [u32; GROUP_LINKS]>,
    route_counters: PerCpuArray<MapData, Counter>,
    ports: MappedWords,
    vlan_ports: HashMap<MapData, VlanKey, Port>,
    counters: PerCpuArray<MapData, CounterRow>,
    tx_ports: DevMap<MapData>,
    tx_ports_frags: DevMap<MapData>,
    own_filter: Array<MapData, OwnFilter>,
    punt_limit: Array<MapData, PuntLimit>,
    /// How many own addresses share each filter bit: a bit goes when its last
    /// address does.
    own_bits: Vec<u16>,
    filter: OwnFilter,
    /// Counts since the daemon started: 0 for the maps that it started with.
    generation: u32,
    /// What earlier generations have counted, by port number.
    earlier: BTreeMap<u32, CounterRow>,
    /// Likewise by next-hop id, for routes that are counted by themselves.
    earlier_routes: BTreeMap<u32, Counter>,
}

impl Tables {
    /// Takes the maps out of a loaded object.
    pub fn new(object: &mut Object) -> Result<Tables, LoadError> {
        let mut meta: Array<MapData, Meta> = take!(object, map::META);
        meta.set(
            0,
            Meta {
                abi_version: ABI_VERSION,
                ..Meta::default()
            },
            0,
        )
        .map_err(|source| LoadError::Map {
            name: map::META,
            source,
        })?;
        Ok(Tables {
            families: Both {
                v4: FamilyTables::new(object)?,
                v6: FamilyTables::new(object)?,
            },
            nexthop: mapped(
                object,
                map::NEXTHOP,
                size_of::<[u32; MAX_NEXTHOPS as usize]>(),
            )?,
            adjacency: mapped(
                object,
                map::ADJACENCY,
                size_of::<[Adjacency; MAX_ADJACENCIES as usize]>(),
            )?,
            group: take!(object, map::GROUP),
            group_links: take!(object, map::GROUP_LINKS),
            route_counters: take!(object, map::ROUTE_COUNTERS),
            ports: mapped(object, map::PORTS, size_of::<[Port; PORT_SLOTS as usize]>())?,
            vlan_ports: take!(object, map::VLAN_PORTS),
            counters: take!(object, map::COUNTERS),
            tx_ports: take!(object, map::TX_PORTS),
            tx_ports_frags: take!(object, map::TX_PORTS_FRAGS),
            own_filter: take!(object, map::OWN_FILTER),
            punt_limit: take!(object, map::PUNT_LIMIT),
            own_bits: vec![0; 1 << 16],
            filter: OwnFilter::default(),
            generation: 0,
            earlier: BTreeMap::new(),
            earlier_routes: BTreeMap::new(),
        })
    }

    /// Which generation of maps this is.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// These maps take the place of others.
    pub fn succeed(&mut self, before: &Tables) {
        self.generation = before.generation + 1;
    }

    /// Takes over what the maps before have counted, once no program writes them;
    /// of routes those with these ids.
    pub fn inherit_counters(&mut self, before: &Tables, ids: &[u32]) {
        for &id in ids {
            if let Ok(counter) = before.route_counter(id) {
                let sum = self.earlier_routes.entry(id).or_default();
                sum.packets += counter.packets;
                sum.bytes += counter.bytes;
            }
        }
        for number in 0..MAX_PORTS {
            if let Ok(row) = before.counters(number) {
                add(self.earlier.entry(number).or_default(), &row);
            }
        }
    }

    /// Takes the maps with events out of a loaded object.
    pub fn events(object: &mut Object) -> Result<EventMaps, LoadError> {
        Ok(EventMaps {
            ring: take!(object, map::EVENTS),
            state: take!(object, map::PUNT_STATE),
        })
    }

    /// The maps of one family.
    pub fn of<F: MapFamily>(&self) -> &FamilyTables<F> {
        F::tables(&self.families)
    }

    /// Likewise, to be written.
    pub fn of_mut<F: MapFamily>(&mut self) -> &mut FamilyTables<F> {
        F::tables_mut(&mut self.families)
    }

    /// One write of the FIB's, whatever becomes of those that are refused.
    pub fn carry_out<F: MapFamily>(&mut self, op: &FibOp<F>) -> Result<(), WriteError> {
        match op {
            FibOp::SetAdjacency { slot, adjacency } => self.set_adjacency(*slot, *adjacency)?,
            FibOp::SetGroup {
                slot,
                buckets,
                links,
            } => self.set_group(*slot, buckets, *links)?,
            FibOp::SetNexthop { id, word } => self.set_nexthop(*id, *word)?,
            FibOp::SetRoute { prefix, id } => self.of_mut::<F>().set_route(*prefix, *id)?,
            FibOp::RemoveRoute { prefix } => self.of_mut::<F>().remove_route(*prefix)?,
            FibOp::ClearCounter { id } => self.clear_route_counter(*id)?,
            FibOp::AddOwn(address) => self.add_own::<F>(*address)?,
            FibOp::RemoveOwn(address) => self.remove_own::<F>(*address)?,
        }
        Ok(())
    }

    /// `NEXTHOP[id] = word`.
    pub fn set_nexthop(&mut self, id: u32, word: u32) -> Result<(), MapError> {
        within(self.nexthop.store(id as usize, word))
    }

    /// Fills a free adjacency slot.
    pub fn set_adjacency(&mut self, slot: u32, adjacency: Adjacency) -> Result<(), MapError> {
        within(self.adjacency.store_element(slot, adjacency.words()))
    }

    /// Fills a free group slot: a next-hop id a bucket, and the interfaces that
    /// they leave by.
    pub fn set_group(
        &mut self,
        slot: u32,
        buckets: &[u32; GROUP_BUCKETS],
        links: [u32; GROUP_LINKS],
    ) -> Result<(), MapError> {
        self.group.set(slot, buckets, 0)?;
        self.group_links.set(slot, links, 0)
    }

    /// What a route that is counted by itself has counted, all CPUs together.
    pub fn route_counter(&self, id: u32) -> Result<Counter, MapError> {
        let mut total = self.earlier_routes.get(&id).copied().unwrap_or_default();
        let index = id.checked_sub(FIRST_COUNTED).ok_or(MapError::KeyNotFound)?;
        for counter in self.route_counters.get(&index, 0)?.iter() {
            total.packets += counter.packets;
            total.bytes += counter.bytes;
        }
        Ok(total)
    }

    /// Starts a counted id at zero: it may have been another route's.
    pub fn clear_route_counter(&mut self, id: u32) -> Result<(), MapError> {
        self.earlier_routes.remove(&id);
        let index = id.checked_sub(FIRST_COUNTED).ok_or(MapError::KeyNotFound)?;
        let cpus = nr_cpus().map_err(|(_, error)| MapError::IoError(error))?;
        let zero = PerCpuValues::try_from(vec![Counter::default(); cpus])?;
        self.route_counters.set(index, zero, 0)
    }

    /// The coarse time at which an adjacency was last used.
    pub fn used(&self, slot: u32) -> Result<u32, MapError> {
        let word = slot as usize * Adjacency::WORDS + Adjacency::USED_WORD;
        self.adjacency.load(word).ok_or(MapError::KeyNotFound)
    }

    /// An address of this router: packets from it are dropped.
    pub fn add_own<F: MapFamily>(&mut self, address: F::Addr) -> Result<(), MapError> {
        let key = F::key(address);
        // The exact set first: a filter bit without its entry only costs time.
        self.of_mut::<F>().own.insert(key, 1, 0)?;
        self.change_filter(F::own_word(&key), true)
    }

    /// No longer an address of this router.
    pub fn remove_own<F: MapFamily>(&mut self, address: F::Addr) -> Result<(), MapError> {
        let key = F::key(address);
        match self.of_mut::<F>().own.remove(&key) {
            Ok(()) => self.change_filter(F::own_word(&key), false),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn change_filter(&mut self, key: u32, add: bool) -> Result<(), MapError> {
        let (word, bit) = own_hash(key);
        let count = &mut self.own_bits[word * 32 + bit as usize];
        *count = if add {
            count.saturating_add(1)
        } else {
            count.saturating_sub(1)
        };
        let mask = 1 << bit;
        let bits = &mut self.filter.words[word];
        let wanted = if *count > 0 {
            *bits | mask
        } else {
            *bits & !mask
        };
        if wanted != *bits {
            *bits = wanted;
            self.own_filter.set(0, self.filter, 0)?;
        }
        Ok(())
    }

    /// Makes a port known to the programs, as receiver and as egress.
    pub fn set_port(&mut self, port: Port) -> Result<(), MapError> {
        self.set_egress(port.number, port.ifindex)?;
        within(
            self.ports
                .store_element(slot_of(port.ifindex), port.words()),
        )
    }

    fn set_egress(&mut self, number: u32, ifindex: u32) -> Result<(), MapError> {
        for devmap in [&mut self.tx_ports, &mut self.tx_ports_frags] {
            // A null program: nothing runs on the frame at egress.
            devmap
                .set(number, ifindex, None, 0)
                .map_err(|error| match error {
                    aya::maps::xdp::XdpMapError::MapError(error) => error,
                    aya::maps::xdp::XdpMapError::ChainedProgramNotSupported => {
                        MapError::ProgramNotLoaded
                    }
                })?;
        }
        Ok(())
    }

    /// Forgets a port. Its DEVMAP entries go with the device, or are
    /// overwritten when the number is used again.
    pub fn clear_port(&mut self, ifindex: u32) -> Result<(), MapError> {
        let free = Port::default().words();
        within(self.ports.store_element(slot_of(ifindex), free))
    }

    /// Makes a VLAN sub-interface known as egress, to the engine that goes by
    /// the kernel's tables: frames leave by `port.tx`, which is its parent's.
    pub fn set_sub_egress(&mut self, port: Port) -> Result<(), MapError> {
        within(
            self.ports
                .store_element(slot_of(port.ifindex), port.words()),
        )
    }

    /// Makes the sub-interface known that receives these tagged frames.
    pub fn set_vlan(&mut self, key: VlanKey, port: Port) -> Result<(), MapError> {
        self.vlan_ports.insert(key, port, 0)
    }

    /// Its frames go up from now on; one that is not there is no error.
    pub fn clear_vlan(&mut self, key: VlanKey) -> Result<(), MapError> {
        match self.vlan_ports.remove(&key) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The counters of a port, all CPUs together; number 0: unknown ports.
    pub fn counters(&self, number: u32) -> Result<CounterRow, MapError> {
        let mut total = self.earlier.get(&number).copied().unwrap_or_default();
        for row in self.counters.get(&number, 0)?.iter() {
            add(&mut total, row);
        }
        Ok(total)
    }

    /// Starts a port's counters at zero: its number may have been another's.
    pub fn clear_counters(&mut self, number: u32) -> Result<(), MapError> {
        self.earlier.remove(&number);
        let cpus = nr_cpus().map_err(|(_, error)| MapError::IoError(error))?;
        let zero = PerCpuValues::try_from(vec![CounterRow::default(); cpus])?;
        self.counters.set(number, zero, 0)
    }

    /// Limits what goes up under a class, per CPU; a rate of 0 means no limit.
    pub fn set_punt_limit(&mut self, class: PuntClass, rate: u32) -> Result<(), MapError> {
        let burst = match class {
            PuntClass::Own | PuntClass::Link => PROTOCOL_BURST,
            _ => BURST,
        };
        self.punt_limit.set(class as u32, limit(rate, burst), 0)
    }

    /// Limits events to the daemon, per CPU and second.
    pub fn set_event_limit(&mut self, rate: u32) -> Result<(), MapError> {
        self.punt_limit
            .set(PuntClass::EVENT_SLOT, punt_limit(rate), 0)
    }
}

/// A rate as the cost of one packet; the burst is a tenth of a second's worth.
pub(super) fn punt_limit(rate: u32) -> PuntLimit {
    limit(rate, BURST)
}

fn limit(rate: u32, burst: Duration) -> PuntLimit {
    match rate {
        0 => PuntLimit::default(),
        rate => PuntLimit {
            cost_ns: 1_000_000_000 / u64::from(rate),
            burst_ns: u64::try_from(burst.as_nanos()).unwrap_or(u64::MAX),
        },
    }
}

/// Adds every counter of a row to another.
pub fn add(total: &mut CounterRow, row: &CounterRow) {
    for (sum, counter) in total.reasons.iter_mut().zip(&row.reasons) {
        sum.packets += counter.packets;
        sum.bytes += counter.bytes;
    }
}

/// Slot of a port in the direct-mapped table.
pub fn slot_of(ifindex: u32) -> u32 {
    ifindex & (PORT_SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use forwarder_core::config::PuntLimits;

    use super::*;

    #[test]
    fn a_burst_of_100_000_rip_routes_goes_up() {
        const ENTRIES: u64 = 25;
        let rate = PuntLimits::default().limit(PuntClass::Link);
        let limit = limit(rate, PROTOCOL_BURST);
        assert!(limit.burst_ns / limit.cost_ns >= 2 * 100_000 / ENTRIES);
    }
}
