use super::super::forwarding::number;
use super::*;

#[test]
fn a_kernel_that_does_not_forward_is_a_problem() {
    let off = with(|facts| {
        facts.forwarding.ipv4 = Ok(0);
        facts
            .interfaces
            .iter_mut()
            .for_each(|nic| nic.forwarding = false);
    });
    assert_only(
        &off,
        "ip-forward",
        Level::Problem,
        &["sysctl -w net.ipv4.ip_forward=1"],
    );
}

#[test]
fn what_the_daemon_will_switch_on_is_well() {
    assert_well(&with(|facts| {
        facts.config.kernel.forwarding = true;
        facts.forwarding.ipv4 = Ok(0);
        facts
            .interfaces
            .iter_mut()
            .for_each(|nic| nic.forwarding = false);
    }));
}

#[test]
fn ipv6_forwarding_matters_where_ports_have_ipv6() {
    let mut facts = with(|facts| facts.forwarding.ipv6 = Ok(0));
    assert_well(&facts);
    facts.interfaces[0].ipv6 = true;
    let mend = ["sysctl -w net.ipv6.conf.all.forwarding=1"];
    assert_only(&facts, "ipv6-forward", Level::Warning, &mend);
    facts.forwarding.ipv6 = Err("no such file".into());
    assert_well(&facts);
}

/// A dot in an interface's name is written as a slash in a sysctl's.
#[test]
fn strict_reverse_path_filters_are_loosened_by_one_command() {
    let strict = with(|facts| {
        facts.interfaces[0].rp_filter = Ok(1);
        facts.interfaces[1].rp_filter = Ok(1);
        facts.interfaces[1].name = "eth1.7".into();
    });
    let mend = "sysctl -w net.ipv4.conf.eth0.rp_filter=2 net.ipv4.conf.eth1/7.rp_filter=2";
    assert_only(&strict, "rp-filter", Level::Note, &[mend]);
    assert_well(&with_nic(|nic| nic.rp_filter = Ok(0)));
}

#[test]
fn redirects_are_told_and_no_fault() {
    let on = with_nic(|nic| nic.send_redirects = true);
    assert_well(&on);
    assert!(finding(&on, "send-redirects").found.contains("eth0"));
}

#[test]
fn the_kernels_choice_among_paths_should_look_at_ports() {
    let by_address = with(|facts| facts.forwarding.hash_policy = Ok(0));
    let mend = ["sysctl -w net.ipv4.fib_multipath_hash_policy=1"];
    assert_only(&by_address, "multipath-hash", Level::Note, &mend);
    assert_well(&with(|facts| {
        facts.forwarding.hash_policy = Err("no such file".into());
    }));
    let mut both = by_address;
    both.forwarding.hash_policy6 = Ok(0);
    assert_only(&both, "multipath-hash", Level::Note, &mend);
    both.interfaces[1].ipv6 = true;
    let mend = "sysctl -w net.ipv4.fib_multipath_hash_policy=1 \
                net.ipv6.fib_multipath_hash_policy=1";
    assert_only(&both, "multipath-hash", Level::Note, &[mend]);
}

fn constrained(change: impl FnOnce(&mut Constraints)) -> Facts {
    let mut constraints = Constraints::default();
    change(&mut constraints);
    with(|facts| facts.forwarding.constraints = Ok(constraints))
}

#[test]
fn what_must_not_be_bypassed_slows_down() {
    let text = || Some("something".to_owned());
    let netfilter = constrained(|all| all.netfilter = text());
    assert_only(&netfilter, "netfilter", Level::Warning, &[]);
    let rules = constrained(|all| all.rules = text());
    assert_only(&rules, "rules", Level::Warning, &[]);
    let xfrm = constrained(|all| all.xfrm = text());
    assert_only(&xfrm, "xfrm", Level::Warning, &[]);
}

#[test]
fn what_the_configuration_bypasses_is_well() {
    let mut facts = constrained(|all| all.netfilter = Some("a table".into()));
    facts.config.dataplane.bypass.insert(Bypass::Netfilter);
    assert_well(&facts);
}

#[test]
fn no_port_at_all_is_a_problem() {
    let none = with(|facts| facts.interfaces.clear());
    assert_only(&none, "ports", Level::Problem, &[]);
    assert!(finding(&none, "ports").found.contains("lo (loopback)"));
}

#[test]
fn which_are_ports_is_not_asked_about_interfaces_that_were_named() {
    let named = with(|facts| {
        facts.interfaces.clear();
        facts.left_out = None;
    });
    assert_well(&named);
}

#[test]
fn a_configured_interface_that_is_not_there_is_a_problem() {
    let missing = with(|facts| facts.forwarding.missing = Some("eth7 does not exist".into()));
    assert_only(&missing, "ports", Level::Problem, &[]);
}

#[test]
fn a_sysctl_that_is_no_number_is_not_believed() {
    assert_eq!(number(Ok("1\n".into())), Ok(1));
    assert!(number(Ok("yes".into())).is_err());
    assert_eq!(number(Err("why".into())), Err("why".into()));
}
