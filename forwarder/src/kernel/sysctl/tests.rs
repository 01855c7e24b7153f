use super::super::testing::{in_namespace, run, veth_pair};
use super::*;

#[test]
fn forwarding_is_enabled_where_it_is_off() {
    in_namespace(|| async {
        veth_pair();
        assert!(!is_on("v0", "forwarding"));
        enable_forwarding(["v0"]).unwrap();
        assert!(is_on("v0", "forwarding") && is_on("all", "forwarding"));
        assert_eq!(run("cat /proc/sys/net/ipv4/ip_forward").trim(), "1");
        // One port switched off by hand later: only that one is written.
        std::fs::write(conf("v0", "forwarding"), "0").unwrap();
        enable_forwarding(["v0"]).unwrap();
        assert!(is_on("v0", "forwarding"));
    });
}

#[test]
fn a_missing_interface_is_named() {
    in_namespace(|| async {
        let error = enable_forwarding(["nosuch0"]).unwrap_err().to_string();
        assert!(error.contains("conf/nosuch0/forwarding"), "{error}");
    });
}

#[test]
fn redirects_are_sent_if_either_switch_is_on() {
    in_namespace(|| async {
        veth_pair();
        for (all, one, expected) in [("0", "0", false), ("1", "0", true), ("0", "1", true)] {
            std::fs::write(conf("all", "send_redirects"), all).unwrap();
            std::fs::write(conf("v0", "send_redirects"), one).unwrap();
            assert_eq!(send_redirects("v0"), expected, "all {all}, v0 {one}");
        }
    });
}
