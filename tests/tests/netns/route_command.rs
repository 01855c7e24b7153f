//! `forwarder route` as an operator types it, beside the route of net-tools.

use std::process::Output;

use anyhow::ensure;
use forwarder_tests::lab::{self, Lab, Router, SHORT, Star, forwarder_binary, wait_for};

use crate::NATIVE;

const NET: &str = "198.51.100.0/24";

fn ready(lab: &Lab) -> anyhow::Result<(Star, Router)> {
    let star = Star::new(lab)?;
    let router = lab.start_router(&star.r1, NATIVE)?;
    router.wait_until_settled()?;
    Ok((star, router))
}

/// What was printed on stdout, and the exit status.
fn said(output: &Output) -> (String, Option<i32>) {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    (stdout, output.status.code())
}

fn expect(router: &Router, words: &str, stdout: &str, status: i32) -> anyhow::Result<()> {
    let output = router.cli(&format!("route {words}"))?;
    let (text, code) = said(&output);
    ensure!(
        text == stdout && code == Some(status),
        "`route {words}` printed {text:?} and ended with {code:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn routes_are_added_changed_and_deleted_in_bsds_words() {
    lab::test("route-words", |lab| {
        let (_star, router) = ready(lab)?;
        let run = |words: &str, stdout: &str, status| expect(&router, words, stdout, status);
        run(
            "-n add -net 198.51.100 10.0.2.2",
            "add net 198.51.100.0: gateway 10.0.2.2\n",
            0,
        )?;
        run(
            "-n add 198.51.100.0/24 10.0.2.2",
            "add net 198.51.100.0: gateway 10.0.2.2: route already in table\n",
            1,
        )?;
        run(
            "-n change 198.51.100.0/24 10.0.3.2 -mtu 1400",
            "change net 198.51.100.0: gateway 10.0.3.2\n",
            0,
        )?;
        router.wait_forward("198.51.100.7", "eth2")?;
        run(
            "-n add 203.0.113.7 10.9.9.9",
            "add host 203.0.113.7: gateway 10.9.9.9: Network is unreachable\n",
            1,
        )?;
        run("-q delete 198.51.100.0/24", "", 0)?;
        run(
            "-n delete 198.51.100.0/24",
            "delete net 198.51.100.0: not in table\n",
            1,
        )?;
        run(
            "-n delete 10.0.2.0/24",
            "delete net 10.0.2.0: entry in use\n",
            1,
        )?;
        // Nothing is sent.
        run(
            "-n -t add default 10.0.2.2",
            "add net default: gateway 10.0.2.2\n",
            0,
        )?;
        run("-n delete default", "delete net default: not in table\n", 1)?;
        let wrong = router.cli("route add 10.1/8 10.0.2.2")?;
        ensure!(wrong.status.code() == Some(2), "{wrong:?}");
        Ok(())
    });
}

/// A length and a netmask.
#[test]
fn route4_case_43_a_length_and_a_netmask_are_parsed_alike() {
    lab::test("route-43", |lab| {
        let (_star, router) = ready(lab)?;
        let line = "add net 192.0.3.0: gateway 10.0.2.2\n";
        for words in [
            "-nt add -net 192.0.3/24 10.0.2.2",
            "-nt add -net 192.0.3 10.0.2.2 -netmask 255.255.255.0",
        ] {
            expect(&router, words, line, 0)?;
        }
        let routes = router.show("routes 192.0.3.0/24")?;
        ensure!(routes.as_array().is_some_and(Vec::is_empty), "{routes}");
        Ok(())
    });
}

#[test]
fn get_tells_the_route_that_is_taken() {
    lab::test("route-get", |lab| {
        let (_star, router) = ready(lab)?;
        router.cli("route -q add 198.51.100.0/24 10.0.2.2")?;
        let (text, code) = said(&router.cli("route -n get 198.51.100.9")?);
        ensure!(code == Some(0), "{text}");
        for line in [
            "   route to: 198.51.100.9\n",
            "destination: 198.51.100.0\n",
            "       mask: 255.255.255.0\n",
            "    gateway: 10.0.2.2\n",
            "  interface: eth1\n",
            "      flags: <UP,GATEWAY,DONE,STATIC>\n",
        ] {
            ensure!(text.contains(line), "{line:?} is missing in {text}");
        }
        let columns = " recvpipe  sendpipe  ssthresh  rtt,msec    mtu        weight    expire\n\
             \x20      0         0         0         0         0         1         0 \n";
        ensure!(text.ends_with(columns), "{text}");
        let missing = router.cli("route -n get 203.0.113.1")?;
        let stderr = String::from_utf8_lossy(&missing.stderr);
        ensure!(missing.status.code() == Some(1), "{missing:?}");
        ensure!(stderr == "route: route has not been found\n", "{stderr}");
        Ok(())
    });
}

#[test]
fn flush_takes_what_clients_have_added_and_nothing_else() {
    lab::test("route-flush", |lab| {
        let (star, router) = ready(lab)?;
        star.r1
            .run("ip route add 203.0.113.0/24 via 10.0.3.2 proto static")?;
        router.wait_route("203.0.113.0/24", "kernel-static")?;
        for prefix in ["198.51.100.0/24", "198.51.100.0/25"] {
            router.cli(&format!("route -q add {prefix} 10.0.2.2"))?;
        }
        let (text, code) = said(&router.cli("route -n flush")?);
        ensure!(code == Some(0), "{text}");
        ensure!(
            text == "198.51.100.0         10.0.2.2             done\n\
                     198.51.100.0         10.0.2.2             done\n",
            "{text:?}"
        );
        router.wait_until_settled()?;
        let left = star.r1.run("ip route show 203.0.113.0/24")?;
        ensure!(left.contains("10.0.3.2"), "{left}");
        expect(&router, "-n flush", "", 0)
    });
}

/// Of one prefix only the best is in the table that is looked at; and what drops
/// has no gateway.
#[test]
fn flush_takes_every_priority_and_what_drops() {
    lab::test("route-flush-all", |lab| {
        let (_star, router) = ready(lab)?;
        for words in [
            "-q add 198.51.100.0/24 10.0.2.2",
            "-q add 198.51.100.0/24 10.0.3.2 -metric 7",
            "-q add 203.0.113.0/24 127.0.0.1 -blackhole",
            "-q add 203.0.113.9 -interface eth2",
        ] {
            expect(&router, words, "", 0)?;
        }
        let (text, code) = said(&router.cli("route -n flush")?);
        ensure!(
            code == Some(0) && text.lines().count() == 4,
            "{code:?} {text}"
        );
        for line in [
            "198.51.100.0         10.0.2.2             done",
            "198.51.100.0         10.0.3.2             done",
        ] {
            ensure!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        for prefix in ["198.51.100.0/24", "203.0.113.0/24", "203.0.113.9/32"] {
            let left = router.show(&format!("routes {prefix}"))?;
            ensure!(left.as_array().is_some_and(Vec::is_empty), "{left}");
        }
        Ok(())
    });
}

#[test]
fn who_may_not_change_routes_is_told_so() {
    lab::test("route-eperm", |lab| {
        let (star, router) = ready(lab)?;
        let binary = forwarder_binary()?;
        let socket = router.run_dir().join("route.sock");
        let run_dir = socket.ancestors().nth(2).unwrap_or(&socket);
        let mut command = star.r1.command("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(binary)
            .arg("--run-dir")
            .arg(run_dir)
            .args(["route", "add", "198.51.100.0/24", "10.0.2.2"]);
        let output = command.output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(77)
                && stderr == "route: must be root to alter routing table\n",
            "{output:?}"
        );
        let left = router.show("routes 198.51.100.0/24")?;
        ensure!(left.as_array().is_some_and(Vec::is_empty), "{left}");
        Ok(())
    });
}

#[test]
fn monitor_follows_the_table() {
    lab::test("route-monitor", |lab| {
        let (_star, router) = ready(lab)?;
        let monitor = router.spawn_cli(lab, "monitor", "route -n monitor")?;
        // It listens when it hears of something.
        wait_for(SHORT, "the monitor to hear of a route", || {
            router.cli("route -q add 198.51.100.0/24 10.0.2.2")?;
            router.cli("route -q delete 198.51.100.0/24")?;
            let log = monitor.log();
            ensure!(
                log.contains("RTM_DELETE: Delete Route: len 200, pid: "),
                "{log}"
            );
            ensure!(
                log.contains(
                    "sockaddrs: <DST,GATEWAY,NETMASK>\n 198.51.100.0 10.0.2.2 255.255.255.0"
                ),
                "{log}"
            );
            Ok(())
        })
    });
}

#[test]
fn net_tools_words_are_taken_with_its_silence_and_its_errors() {
    lab::test("route-net-tools", |lab| {
        let (_star, router) = ready(lab)?;
        let words = "add -net 198.51.100.0 netmask 255.255.255.0 gw 10.0.2.2 metric 20";
        expect(&router, words, "", 0)?;
        let again = router.cli(&format!("route {words}"))?;
        let stderr = String::from_utf8_lossy(&again.stderr);
        ensure!(again.status.code() == Some(7), "{again:?}");
        ensure!(stderr == "SIOCADDRT: File exists\n", "{stderr}");
        expect(&router, "add -host 203.0.113.7 dev eth2", "", 0)?;
        router.wait_until_settled()?;
        let shown = router.show("routes 203.0.113.7/32")?;
        ensure!(shown[0]["nexthops"][0]["dev"] == "eth2", "{shown}");
        expect(
            &router,
            "del -net 198.51.100.0 netmask 255.255.255.0 metric 20",
            "",
            0,
        )?;
        let gone = router.cli("route del -net 198.51.100.0 netmask 255.255.255.0")?;
        let stderr = String::from_utf8_lossy(&gone.stderr);
        ensure!(stderr == "SIOCDELRT: No such process\n", "{stderr}");
        Ok(())
    });
}

/// The kernel's file, read by the real program, and ours: the same lines.
#[test]
fn the_listing_is_net_tools_own() {
    lab::test("route-listing", |lab| {
        let star = Star::new(lab)?;
        star.r1
            .run("ip route add 198.18.0.0/15 via 10.0.2.2 proto bird metric 32")?;
        star.r1
            .run("ip route add unreachable 203.0.113.0/24 proto static")?;
        star.r1
            .run("ip route add prohibit 203.0.113.9/32 proto static")?;
        star.r1
            .run("ip route add blackhole 203.0.112.0/24 proto static")?;
        star.r1.run(
            "ip route add 192.0.2.0/24 proto static nexthop via 10.0.2.2 weight 2 nexthop via 10.0.3.2",
        )?;
        let config = format!(
            "{NATIVE}[[static]]\nprefix = \"{NET}\"\nvia = [\"10.0.3.2\"]\n\
             [[static]]\nprefix = \"0.0.0.0/0\"\nvia = [\"10.0.1.2\"]\n\
             [[static]]\nprefix = \"198.51.100.128/25\"\nvia = [\"10.0.2.2\"]\n"
        );
        let router = lab.start_router(&star.r1, &config)?;
        router.cli("route -q add 172.16.0.7 10.0.2.2")?;
        router.wait_until_settled()?;
        for letters in ["-n", "-ne", "-nee"] {
            let theirs = star.r1.run(&format!("route {letters}"))?;
            let (ours, code) = said(&router.cli(&format!("route {letters}"))?);
            ensure!(code == Some(0));
            ensure!(
                ours == theirs,
                "route {letters}\nours:\n{ours}\ntheirs:\n{theirs}"
            );
        }
        // And the file itself has as many lines.
        let file = star.r1.read_proc("/proc/net/route")?;
        let (ours, _) = said(&router.cli("route -n")?);
        ensure!(
            file.lines().count() + 1 == ours.lines().count(),
            "{file}\n{ours}"
        );
        Ok(())
    });
}

/// In IPv6 the kernel's counts of references differ from look to look.
#[test]
fn the_ipv6_listing_is_net_tools_own_but_for_its_counts() {
    lab::test("route-listing6", |lab| {
        let star = Star::new(lab)?;
        star.add_ipv6()?;
        star.r1
            .run("ip -6 route add 2001:db8:f::/48 via 2001:db8:2::2 proto bird metric 32")?;
        star.r1
            .run("ip -6 route add unreachable 2001:db8:e::/48 proto static")?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        router.cli("route -q add 2001:db8:d::/48 2001:db8:3::2")?;
        router.wait_until_settled()?;
        let columns = |line: &str| -> Option<String> {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [destination, hop, flag, metric, _, _, interface] = words.as_slice() else {
                return None;
            };
            Some(format!("{destination} {hop} {flag} {metric} {interface}"))
        };
        let theirs = star.r1.run("route -6 -n")?;
        let (ours, _) = said(&router.cli("route -6 -n")?);
        let theirs: Vec<String> = theirs.lines().filter_map(columns).collect();
        for line in ours.lines().skip(2) {
            let line = columns(line).unwrap_or_default();
            ensure!(theirs.contains(&line), "{line} is not in {theirs:#?}");
        }
        for prefix in [
            "2001:db8:d::/48",
            "2001:db8:e::/48",
            "2001:db8:f::/48",
            "2001:db8:1::/64",
        ] {
            ensure!(ours.contains(prefix), "{prefix} is missing in {ours}");
        }
        Ok(())
    });
}
