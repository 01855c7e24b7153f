//! What programs and people read.

use super::super::render::render;
use super::*;

/// Changes here are changes of `docs/doctor.md` and of the changelog.
#[test]
fn the_json_of_a_finding_is_pinned() {
    let facts = with_nic(|nic| nic.forwarding = false);
    let json = serde_json::to_value(finding(&facts, "forwarding")).unwrap();
    let expected = serde_json::json!({
        "level": "problem",
        "group": "interface",
        "interface": "eth0",
        "check": "forwarding",
        "found": "net.ipv4.conf.eth0.forwarding is 0",
        "meaning": "The port hands all IPv4 up (`forwarding-off`), and the kernel drops it.",
        "commands": ["sysctl -w net.ipv4.conf.eth0.forwarding=1"],
    });
    assert_eq!(json, expected);
    let json = serde_json::to_value(finding(&facts, "version")).unwrap();
    let expected = serde_json::json!({
        "level": "ok",
        "group": "kernel",
        "interface": null,
        "check": "version",
        "found": "Linux 6.12.9",
        "meaning": null,
        "commands": [],
    });
    assert_eq!(json, expected);
}

/// Every check that can be is in the page that explains them.
#[test]
fn the_documentation_names_every_check() {
    let page = include_str!("../../../../docs/doctor.md");
    let facts = with(|facts| {
        facts.kernel.version = Some((5, 10));
        facts.interfaces.push(veth("v0"));
        facts.interfaces[1].offloads = Err("no answer".into());
    });
    for finding in judge(&facts) {
        let name = format!("`{}`", finding.check);
        assert!(page.contains(&name), "docs/doctor.md lacks {name}");
    }
}

#[test]
fn people_see_what_is_ill_in_full_and_what_is_well_in_one_line() {
    let mut facts = with_nic(|nic| nic.forwarding = false);
    facts.interfaces.truncate(1);
    facts.forwarding.hash_policy = Ok(0);
    let text = render(&judge(&facts), false);
    let expected = "\
kernel
  ok       version, capabilities, btf, jit, jit-harden, bpffs, membarrier

limits
  ok       memory, neighbours-ipv4, neighbours-ipv6

forwarding
  note     multipath-hash: net.ipv4.fib_multipath_hash_policy is 0
           The kernel chooses among equal paths by addresses alone, the fast
           path by ports too: flows between two hosts that take the slow path
           share one link.
           # sysctl -w net.ipv4.fib_multipath_hash_policy=1
  ok       ports, ip-forward, ipv6-forward, rp-filter, send-redirects,
           netfilter, rules, xfrm

interface eth0
  problem  forwarding: net.ipv4.conf.eth0.forwarding is 0
           The port hands all IPv4 up (`forwarding-off`), and the kernel drops
           it.
           # sysctl -w net.ipv4.conf.eth0.forwarding=1
  ok       port, link, xdp-program, driver, redirect, mtu, vlan-offload,
           receive-offload, queues, traffic-control

1 problem, 1 note
";
    assert_eq!(text, expected);
}

#[test]
fn all_shows_what_is_well_too() {
    let text = render(&judge(&facts()), true);
    assert!(
        text.contains("\n  ok       version: Linux 6.12.9\n"),
        "{text}"
    );
    assert!(text.ends_with("\nall is well\n"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}
