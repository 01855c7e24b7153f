//! Room in memory and in the kernel's tables.

use std::mem::size_of;

use forwarder_common::abi::{
    Adjacency, Counter, CounterRow, FlowKey, GROUP_BUCKETS, GROUP_LINKS, MAX_ADJACENCIES,
    MAX_COUNTED, MAX_GROUPS, MAX_NEXTHOPS, MAX_OWN, MAX_PORTS, MAX_VLANS, OwnFilter, PORT_SLOTS,
    Port, VlanKey,
};
use forwarder_common::trie::Row;
use forwarder_core::config::{Dataplane, Engine};

use super::facts::{Facts, Look};
use super::finding::{Check, Finding, Group, Level};
use crate::dataplane::usage::MANAGED_PER_PORT;
use crate::kernel::NeighbourTable;

/// Memory of maps is charged to a control group from here on, before it counted
/// as locked.
const CHARGED_TO_CGROUP: (u32, u32) = (5, 11);
/// Of an entry of a hash map, beside key and value (`struct htab_elem`, bucket).
const HASH_OVERHEAD: usize = 64;
/// The ring of events (`forwarder-ebpf/src/maps.rs`).
const EVENT_RING: usize = 256 * 1024;
const MIB: u64 = 1 << 20;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let needed = map_memory(&facts.config.dataplane, facts.cpus);
    let mut findings = vec![memory(facts, needed)];
    findings.extend(memlock(facts, needed));
    findings.extend(neighbours(facts));
    findings
}

const fn check(name: &'static str) -> Check<'static> {
    Check::new(Group::Limits, name)
}

/// Bytes that the maps take at the start. An LPM trie grows with its prefixes.
pub(super) fn map_memory(settings: &Dataplane, cpus: usize) -> u64 {
    let array = |entries: u32, value: usize| u64::from(entries) * value.next_multiple_of(8) as u64;
    let hash = |entries: u32, entry: usize| u64::from(entries) * (entry + HASH_OVERHEAD) as u64;
    let rows = match settings.engine {
        Engine::Multibit => settings.ipv4_rows + settings.ipv6_rows,
        Engine::LpmTrie | Engine::Kernel => 0,
    };
    let per_cpu =
        array(MAX_PORTS, size_of::<CounterRow>()) + array(MAX_COUNTED, size_of::<Counter>());
    array(rows, size_of::<Row>())
        + array(MAX_NEXTHOPS, size_of::<u32>())
        + array(MAX_ADJACENCIES, size_of::<Adjacency>())
        + array(MAX_GROUPS, size_of::<[u32; GROUP_BUCKETS]>())
        + array(MAX_GROUPS, size_of::<[u32; GROUP_LINKS]>())
        + array(PORT_SLOTS, size_of::<Port>())
        + size_of::<OwnFilter>() as u64
        + hash(MAX_OWN, size_of::<[u32; 2]>())
        + hash(MAX_OWN, size_of::<[u32; 5]>())
        + hash(MAX_VLANS, size_of::<(VlanKey, Port)>())
        + hash(4096, size_of::<(FlowKey, u64)>())
        + EVENT_RING as u64
        + per_cpu * cpus as u64
}

fn memory(facts: &Facts, needed: u64) -> Finding {
    let check = check("memory");
    let available = match &facts.limits.available {
        Err(why) => return check.hidden(why),
        Ok(available) => *available,
    };
    let found = format!(
        "the maps take {} MiB, {} MiB are available",
        needed.div_ceil(MIB),
        available / MIB
    );
    let less = "lower `[dataplane] ipv4-rows` and `ipv6-rows`, or add memory.";
    if needed > available {
        check.problem(found, format!("The daemon will not start: {less}"))
    } else if needed > available / 2 {
        check.warning(found, format!("Little is left for everything else: {less}"))
    } else {
        check.ok(found)
    }
}

/// Says something only on kernels where it counts.
fn memlock(facts: &Facts, needed: u64) -> Option<Finding> {
    if facts.kernel.version? >= CHARGED_TO_CGROUP {
        return None;
    }
    let Some(limit) = facts.limits.memlock.filter(|limit| *limit < needed) else {
        return Some(check("memlock").ok("enough"));
    };
    let found = format!("RLIMIT_MEMLOCK is {} KiB", limit / 1024);
    let meaning = "Before Linux 5.11 maps count as locked memory: the daemon will not start from \
                   this shell. The unit file sets the limit itself (LimitMEMLOCK).";
    Some(
        check("memlock")
            .problem(found, meaning)
            .mend("ulimit -l unlimited"),
    )
}

fn neighbours(facts: &Facts) -> Vec<Finding> {
    let tables = match &facts.limits.neighbours {
        Err(why) => return vec![check("neighbours-ipv4").hidden(why)],
        Ok(tables) => tables,
    };
    tables.iter().map(|table| of_table(facts, table)).collect()
}

/// The kernel purges entries above the second threshold and makes none above
/// the third.
fn of_table(facts: &Facts, table: &NeighbourTable) -> Finding {
    let (name, family) = match table.name.as_str() {
        "arp_cache" => ("neighbours-ipv4", "ipv4"),
        _ => ("neighbours-ipv6", "ipv6"),
    };
    let [_, soft, hard] = table.thresholds;
    let ports = facts.interfaces.len().max(1);
    let wanted = ports.saturating_mul(MANAGED_PER_PORT) as u64;
    let entries = u64::from(table.entries);
    let found =
        format!("{entries} neighbours of at most {hard} (net.{family}.neigh.default.gc_thresh3)");
    let used = family == "ipv4" || facts.interfaces.iter().any(|interface| interface.ipv6);
    let wanted = if used { wanted } else { 0 };
    let Some((level, meaning)) = crowded(entries, u64::from(soft), u64::from(hard), wanted) else {
        return check(name).ok(found);
    };
    let room = (entries + wanted).saturating_mul(2).next_power_of_two();
    check(name)
        .at(level, found, meaning)
        .mend(facts.initial(&format!(
            "net.{family}.neigh.default.gc_thresh3={room} net.{family}.neigh.default.gc_thresh2={} \
         net.{family}.neigh.default.gc_thresh1={}",
            room / 2,
            room / 4
        )))
}

fn crowded(entries: u64, soft: u64, hard: u64, wanted: u64) -> Option<(Level, String)> {
    if entries * 10 >= hard * 9 {
        let meaning =
            "The table is full: new neighbours are refused, and packets to them are lost.";
        Some((Level::Problem, meaning.into()))
    } else if entries > soft {
        let meaning =
            "The kernel throws neighbours in use away (gc_thresh2) and resolves them again.";
        Some((Level::Warning, meaning.into()))
    } else if entries.max(wanted) > hard {
        let meaning = format!(
            "There is no room for {wanted} neighbours, {MANAGED_PER_PORT} a port, which is what the \
             daemon keeps resolved at most. Enough for few hosts."
        );
        Some((Level::Note, meaning))
    } else {
        None
    }
}

/// For the facts: `MemAvailable` of `/proc/meminfo`.
pub(super) fn available(meminfo: &str) -> Look<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| "/proc/meminfo has no MemAvailable".to_owned())
}
