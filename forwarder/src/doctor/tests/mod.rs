//! Every rule with made-up facts: a machine on which all is well, and one thing
//! changed.

mod forwarding;
mod interface;
mod kernel;
mod limits;
mod queues;
mod shape;
mod veth;

use std::collections::BTreeMap;

use forwarder_core::config::{Attach, Bypass, Config};
use forwarder_core::kernel::event::Constraints;

use super::facts::{Facts, Forwarding, Interface, Kernel, Limits, Peer, Place};
use super::finding::{Finding, Level};
use super::judge;
use crate::dataplane::ethtool::{Channels, Offload, Queues};
use crate::dataplane::features::{BASIC, NDO_XMIT, REDIRECT, RX_SG};
use crate::kernel::NeighbourTable;

const ALL: u64 = BASIC | REDIRECT | NDO_XMIT | RX_SG;

fn facts() -> Facts {
    Facts {
        config: Config::default(),
        initial_namespace: None,
        cpus: 4,
        kernel: Kernel {
            release: "6.12.9".into(),
            version: Some((6, 12)),
            btf: true,
            jit: Ok(1),
            jit_harden: Ok(0),
            bpf_dir: "/sys/fs/bpf/forwarder/default".into(),
            bpffs: Ok(true),
            missing_capabilities: Vec::new(),
            membarrier: true,
        },
        limits: Limits {
            available: Ok(8 << 30),
            memlock: None,
            neighbours: Ok(vec![table("arp_cache", 20), table("ndisc_cache", 20)]),
        },
        forwarding: Forwarding {
            ipv4: Ok(1),
            ipv6: Ok(1),
            hash_policy: Ok(1),
            hash_policy6: Ok(1),
            constraints: Ok(Constraints::default()),
            missing: None,
        },
        interfaces: vec![nic("eth0"), nic("eth1")],
        left_out: Some(vec![("lo".into(), "loopback".into())]),
    }
}

fn table(name: &str, entries: u32) -> NeighbourTable {
    NeighbourTable {
        name: name.into(),
        entries,
        thresholds: [1024, 4096, 8192],
    }
}

fn nic(name: &str) -> Interface {
    Interface {
        name: name.into(),
        port: Ok(()),
        ethernet: true,
        up: true,
        carrier: true,
        mtu: 1500,
        software: false,
        ipv6: false,
        forwarding: true,
        rp_filter: Ok(2),
        send_redirects: false,
        driver: Ok("mlx5_core".into()),
        abilities: Some(ALL),
        channels: Ok(Some(combined(4, 8))),
        offloads: Ok(BTreeMap::new()),
        vlans: Vec::new(),
        programs: Vec::new(),
        tc: None,
        peer: None,
    }
}

fn veth(name: &str) -> Interface {
    Interface {
        driver: Ok("veth".into()),
        software: true,
        channels: Ok(None),
        peer: Some(Peer {
            place: Place::Here,
            name: Ok("far0".into()),
            unfinished: Ok(false),
        }),
        ..nic(name)
    }
}

fn combined(now: u32, max: u32) -> Channels {
    let both = |combined| Queues {
        combined,
        ..Queues::default()
    };
    Channels {
        max: both(max),
        now: both(now),
    }
}

/// An offload that is on.
fn on(name: &str, changeable: bool) -> BTreeMap<String, Offload> {
    let offload = Offload {
        on: true,
        changeable,
    };
    BTreeMap::from([(name.to_owned(), offload)])
}

fn with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = facts();
    change(&mut facts);
    facts
}

/// With the first interface changed.
fn with_nic(change: impl FnOnce(&mut Interface)) -> Facts {
    with(|facts| change(&mut facts.interfaces[0]))
}

fn native(facts: &mut Facts) {
    facts.config.dataplane.attach = Attach::Native;
}

/// The first finding of a check.
#[track_caller]
fn finding(facts: &Facts, check: &str) -> Finding {
    let findings = judge(facts);
    let found = findings.iter().find(|one| one.check == check);
    found
        .unwrap_or_else(|| panic!("no {check}: {findings:?}"))
        .clone()
}

/// What one change makes of one check, and that it leaves all others well.
#[track_caller]
fn assert_only(facts: &Facts, check: &str, level: Level, commands: &[&str]) {
    let found = finding(facts, check);
    assert_eq!(
        (found.level, found.commands.as_slice()),
        (level, &strings(commands)[..]),
        "{found:?}"
    );
    let others = judge(facts);
    let others: Vec<_> = others
        .iter()
        .filter(|one| one.check != check && one.level != Level::Ok)
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[track_caller]
fn assert_well(facts: &Facts) {
    let all = judge(facts);
    let ill: Vec<_> = all.iter().filter(|one| one.level != Level::Ok).collect();
    assert!(ill.is_empty(), "{ill:?}");
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn nothing_is_said_of_a_machine_that_is_well() {
    assert_well(&facts());
    assert_well(&with(|facts| facts.interfaces = vec![veth("v0")]));
}
