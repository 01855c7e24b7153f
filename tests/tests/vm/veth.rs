//! Veths on kernels that do not tell what their peers receive.

use anyhow::ensure;
use forwarder::dataplane::object::running_kernel;
use forwarder_tests::lab::{SHORT, Star, skip, wait_for};

use crate::in_guest;

const AUTO: &str = "[dataplane]\nattach = \"auto\"\n";
const NATIVE: &str = "[dataplane]\nattach = \"native\"\n";

/// Before 5.13 only an XDP program of its own has a peer receive: what would
/// be redirected there goes up, and nothing is lost.
#[test]
fn a_veth_gets_no_redirects_where_its_peer_would_lose_them() {
    const NAME: &str = "veth-no-redirects";
    let (release, version) = running_kernel();
    if version.is_none_or(|version| version >= (5, 13)) {
        let why = format!("Linux {release}: a veth's peer receives by GRO (5.13), as labs have it");
        return skip(NAME, &why);
    }
    in_guest(NAME, |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        for (host, net) in [(&star.a, 1), (&star.b, 2)] {
            wait_for(SHORT, "a ping of the router", || {
                host.run(&format!("ping -c 1 -W 1 10.0.{net}.1"))
            })?;
        }
        router.wait_verdict("10.0.2.2", "up", "egress-cannot-redirect")?;
        let up = router.counted("egress-cannot-redirect", || {
            let text = star.a.run("ping -c 20 -i 0.05 -W 3 10.0.2.2")?;
            ensure!(text.contains(" 0% packet loss"), "{text}");
            Ok(())
        })?;
        ensure!(up >= 40, "{up} of 40 went up");
        let findings = star.r1.output(&format!(
            "{} doctor --config {}",
            forwarder_tests::lab::forwarder_binary()?.display(),
            router.config_file().display()
        ))?;
        let text = String::from_utf8_lossy(&findings.stdout).into_owned();
        ensure!(text.contains("before Linux 5.13"), "{text}");
        Ok(())
    });
}

/// The generic hook leaves by the ordinary queue. Before 5.15 it takes no program
/// with our DEVMAPs: their entries could name programs (`generic_xdp_install`).
#[test]
fn veths_forward_to_one_another_in_the_generic_hook() {
    const NAME: &str = "veth-generic";
    let (release, version) = running_kernel();
    if version.is_some_and(|version| version < (5, 15)) {
        let why = format!("Linux {release} refuses the program in the generic hook (5.15)");
        return skip(NAME, &why);
    }
    in_guest(NAME, |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, AUTO)?;
        star.warm_up(&router)?;
        let forwarded = router.counted("forwarded", || {
            let text = star.a.run("ping -c 20 -i 0.05 -W 3 10.0.2.2")?;
            ensure!(text.contains(" 0% packet loss"), "{text}");
            Ok(())
        })?;
        ensure!(forwarded >= 40, "{forwarded} of 40 took the fast path");
        Ok(())
    });
}
