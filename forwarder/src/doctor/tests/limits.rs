use forwarder_core::config::Engine;

use super::super::limits::{available, map_memory};
use super::*;

#[test]
fn maps_larger_than_the_memory_are_a_problem() {
    let needed = map_memory(&Config::default().dataplane, 4);
    let with_bytes = |bytes| with(|facts| facts.limits.available = Ok(bytes));
    assert_only(&with_bytes(needed - 1), "memory", Level::Problem, &[]);
    assert_only(&with_bytes(needed * 2 - 1), "memory", Level::Warning, &[]);
    assert_well(&with_bytes(needed * 2));
}

#[test]
fn rows_are_counted_for_the_engine_that_has_them() {
    let of = |engine| {
        let mut config = Config::default();
        config.dataplane.engine = engine;
        map_memory(&config.dataplane, 4)
    };
    let rows = u64::from(32_768_u32 + 16_384) * 1024;
    assert_eq!(of(Engine::Multibit) - of(Engine::LpmTrie), rows);
}

#[test]
fn locked_memory_counts_on_old_kernels_only() {
    let limited = |version| {
        with(|facts| {
            facts.kernel.version = Some(version);
            facts.limits.memlock = Some(64 << 10);
        })
    };
    let old = finding(&limited((5, 10)), "memlock");
    assert_eq!(old.level, Level::Problem);
    assert_eq!(old.commands, ["ulimit -l unlimited"]);
    let new = judge(&limited((5, 11)));
    assert!(new.iter().all(|one| one.check != "memlock"));
}

fn with_neighbours(entries: u32, thresholds: [u32; 3]) -> Facts {
    with(|facts| {
        let arp = NeighbourTable {
            thresholds,
            ..table("arp_cache", entries)
        };
        facts.limits.neighbours = Ok(vec![arp]);
    })
}

fn of_thresholds(low: u32) -> String {
    let name = "net.ipv4.neigh.default.gc_thresh";
    format!(
        "sysctl -w {name}3={} {name}2={} {name}1={low}",
        low * 4,
        low * 2
    )
}

/// The kernel's defaults, and two ports of 1,024 neighbours each.
#[test]
fn room_for_every_ports_neighbours_is_wanted() {
    let default = with_neighbours(3, [128, 512, 1024]);
    assert_only(
        &default,
        "neighbours-ipv4",
        Level::Note,
        &[&of_thresholds(2048)],
    );
    assert_well(&with_neighbours(3, [512, 1024, 2048]));
}

#[test]
fn a_crowded_table_is_a_warning_and_a_full_one_a_problem() {
    let crowded = with_neighbours(5000, [1024, 4096, 8192]);
    assert_only(
        &crowded,
        "neighbours-ipv4",
        Level::Warning,
        &[&of_thresholds(4096)],
    );
    let full = with_neighbours(7400, [1024, 4096, 8192]);
    assert_only(
        &full,
        "neighbours-ipv4",
        Level::Problem,
        &[&of_thresholds(8192)],
    );
}

/// Its thresholds may be below: they hold after the command.
#[test]
fn the_command_makes_room_that_suffices() {
    for entries in [0, 100, 900, 1024, 50_000] {
        let command = &finding(
            &with_neighbours(entries, [128, 512, 1024]),
            "neighbours-ipv4",
        );
        let settings = command.commands[0].split(['=', ' ']);
        let numbers: Vec<u32> = settings.filter_map(|word| word.parse().ok()).collect();
        let mended = with_neighbours(entries, [numbers[2], numbers[1], numbers[0]]);
        assert_well(&mended);
    }
}

#[test]
fn ipv6_neighbours_need_room_where_ports_have_ipv6() {
    let mut facts = with(|facts| {
        let ndisc = NeighbourTable {
            thresholds: [128, 512, 1024],
            ..table("ndisc_cache", 3)
        };
        facts.limits.neighbours = Ok(vec![ndisc]);
    });
    assert_well(&facts);
    facts.interfaces[0].ipv6 = true;
    assert_eq!(finding(&facts, "neighbours-ipv6").level, Level::Note);
}

#[test]
fn the_available_memory_is_read_in_bytes() {
    let text = "MemTotal: 9 kB\nMemAvailable:    2048 kB\n";
    assert_eq!(available(text), Ok(2 << 20));
    assert!(available("MemTotal: 9 kB\n").is_err());
    assert!(available("MemAvailable: much\n").is_err());
}
