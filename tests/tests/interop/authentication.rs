//! Authentication with FRR and BIRD: what we sign they accept, what they sign
//! we accept, and a restart of either side locks nobody out.

use anyhow::ensure;
use forwarder_tests::lab::{self, Bird, Frr, LONG, Lab, Router, wait_for};

use crate::peers::{Net, bird_config, installed};

const OURS: &str = "192.168.9.0/24";
const FRRS: &str = "192.168.1.0/24";
const BIRDS: &str = "192.168.2.0/24";

/// RIP on both links, authenticated, with timers short enough to wait for.
fn config(kind: &str, key: &str) -> String {
    let mut text = "
[dataplane]
attach = \"native\"
[rip]
update = \"2s\"
timeout = \"10s\"
garbage = \"4s\"
redistribute = [\"static\"]
"
    .to_owned();
    for name in ["eth0", "eth1"] {
        text.push_str(&format!(
            "[[rip.interface]]\nname = \"{name}\"\n\
             auth = {{ type = \"{kind}\", keys = [{{ id = 1, key = \"{key}\" }}] }}\n"
        ));
    }
    text.push_str(&format!(
        "[[static]]\nprefix = \"{OURS}\"\ntype = \"blackhole\"\n"
    ));
    text
}

fn start_frr<'lab>(lab: &'lab Lab, net: &Net, authentication: &str) -> anyhow::Result<Frr<'lab>> {
    let ripd = format!(
        "key chain K\n key 1\n  key-string rosebud\n!\n\
         interface eth0\n {authentication}\n!\n\
         router rip\n version 2\n network eth0\n timers basic 5 30 20\n redistribute connected\n"
    );
    lab.start_frr(&net.frr, &[("ripd", &ripd)])
}

const FRR_MD5: &str =
    "ip rip authentication mode md5 auth-length rfc\n ip rip authentication key-chain K";
const FRR_OLD_MD5: &str =
    "ip rip authentication mode md5 auth-length old-ripd\n ip rip authentication key-chain K";
const FRR_TEXT: &str = "ip rip authentication mode text\n ip rip authentication string rosebud";

fn bird(authentication: &str) -> String {
    let interface = format!(
        "interface \"eth0\" {{ update time 2; timeout time 10; garbage time 4; {authentication} }};"
    );
    bird_config(&[BIRDS.to_owned()]).replace("interface \"eth0\" {};", &interface)
}

fn cryptographic(algorithm: &str, key: &str) -> String {
    format!("authentication cryptographic; password \"{key}\" {{ id 1; algorithm {algorithm}; }};")
}

fn start_bird(lab: &Lab, net: &Net, authentication: &str) -> anyhow::Result<Bird> {
    lab.start_bird(&net.bird, &bird(authentication))
}

/// Nothing of what a healthy neighbour sends is refused.
fn assert_nothing_refused(router: &Router, address: &str) -> anyhow::Result<()> {
    let neighbors = router.show("rip neighbors")?;
    let rows = neighbors.as_array().into_iter().flatten();
    let mut of = rows.filter(|row| row["address"] == address);
    let row = of.next();
    ensure!(
        row.is_some_and(|row| row["bad_packets"] == 0),
        "{neighbors}"
    );
    Ok(())
}

/// Routes pass both ways between us and BIRD.
fn with_bird(name: &str, kind: &str, authentication: &str, shown: &str) {
    if !installed(name) {
        return;
    }
    lab::test(name, |lab| {
        let net = Net::new(lab)?;
        let router = lab.start_router(&net.r1, &config(kind, "rosebud"))?;
        let _bird = start_bird(lab, &net, authentication)?;
        net.r1.wait_route(BIRDS, "via 10.0.2.2")?;
        net.bird.wait_route(OURS, "via 10.0.2.1")?;
        assert_nothing_refused(&router, "10.0.2.2")?;
        let neighbors = router.show("rip neighbors")?;
        ensure!(neighbors[0]["auth"] == shown, "{neighbors}");
        Ok(())
    });
}

#[test]
fn text_with_bird() {
    let plaintext = "authentication plaintext; password \"rosebud\";";
    with_bird("interop-text-bird", "text", plaintext, "text");
}

#[test]
fn hmac_sha_1_with_bird() {
    let bird = cryptographic("hmac sha1", "rosebud");
    with_bird("interop-sha1-bird", "hmac-sha-1", &bird, "hmac-sha-1 key 1");
}

#[test]
fn hmac_sha_256_with_bird() {
    let bird = cryptographic("hmac sha256", "rosebud");
    with_bird(
        "interop-sha256-bird",
        "hmac-sha-256",
        &bird,
        "hmac-sha-256 key 1",
    );
}

#[test]
fn hmac_sha_384_with_bird() {
    let bird = cryptographic("hmac sha384", "rosebud");
    with_bird(
        "interop-sha384-bird",
        "hmac-sha-384",
        &bird,
        "hmac-sha-384 key 1",
    );
}

#[test]
fn hmac_sha_512_with_bird() {
    let bird = cryptographic("hmac sha512", "rosebud");
    with_bird(
        "interop-sha512-bird",
        "hmac-sha-512",
        &bird,
        "hmac-sha-512 key 1",
    );
}

#[test]
fn text_with_frr() {
    if !installed("interop-text-frr") {
        return;
    }
    lab::test("interop-text-frr", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.1.1/24 dev lo")?;
        let _router = lab.start_router(&net.r1, &config("text", "rosebud"))?;
        let _frr = start_frr(lab, &net, FRR_TEXT)?;
        net.r1.wait_route(FRRS, "via 10.0.1.2")?;
        net.frr.wait_route(OURS, "via 10.0.1.1")
    });
}

/// FRR's other way of writing the digest's length.
#[test]
fn md5_with_the_old_length_with_frr() {
    if !installed("interop-md5-old-frr") {
        return;
    }
    lab::test("interop-md5-old-frr", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.1.1/24 dev lo")?;
        let _router = lab.start_router(&net.r1, &config("md5", "rosebud"))?;
        let _frr = start_frr(lab, &net, FRR_OLD_MD5)?;
        net.r1.wait_route(FRRS, "via 10.0.1.2")?;
        net.frr.wait_route(OURS, "via 10.0.1.1")
    });
}

/// Through us from one to the other, then each side restarts.
#[test]
fn md5_with_frr_and_bird_and_no_restart_locks_anybody_out() {
    if !installed("interop-md5") {
        return;
    }
    lab::test("interop-md5", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.1.1/24 dev lo")?;
        let router = lab.start_router(&net.r1, &config("md5", "rosebud"))?;
        let mut frr = start_frr(lab, &net, FRR_MD5)?;
        let bird = start_bird(lab, &net, &cryptographic("keyed md5", "rosebud"))?;
        net.frr.wait_route(BIRDS, "proto rip")?;
        net.bird.wait_route(FRRS, "proto bird")?;
        assert_nothing_refused(&router, "10.0.2.2")?;

        // We: what BIRD has heard before must be lower.
        router.stop()?;
        net.bird.wait_no_route(OURS, "via")?;
        let router = lab.start_router(&net.r1, &config("md5", "rosebud"))?;
        net.bird.wait_route(OURS, "via 10.0.2.1")?;
        net.frr.wait_route(OURS, "via 10.0.1.1")?;
        net.r1.wait_route(BIRDS, "via 10.0.2.2")?;

        // BIRD, which numbers by the clock.
        bird.stop()?;
        net.r1.wait_no_route(BIRDS, "via")?;
        let _bird = start_bird(lab, &net, &cryptographic("keyed md5", "rosebud"))?;
        net.r1.wait_route(BIRDS, "via 10.0.2.2")?;

        // FRR, which begins at 1 again: heard after the timeout.
        net.r1.wait_route(FRRS, "via 10.0.1.2")?;
        frr.stop("ripd")?;
        frr.start_daemon("ripd")?;
        net.r1.wait_no_route(FRRS, "via")?;
        wait_for(LONG, "FRR to be believed again", || {
            let routes = net.r1.run(&format!("ip route show exact {FRRS}"))?;
            ensure!(routes.contains("via 10.0.1.2"), "{routes}");
            Ok(())
        })?;
        net.frr.wait_route(OURS, "via 10.0.1.1")?;
        drop(router);
        Ok(())
    });
}

#[test]
fn a_wrong_key_is_refused_on_both_sides_and_shown() {
    if !installed("interop-wrong-key") {
        return;
    }
    lab::test("interop-wrong-key", |lab| {
        let net = Net::new(lab)?;
        let router = lab.start_router(&net.r1, &config("hmac-sha-256", "rosebud"))?;
        let bird = start_bird(lab, &net, &cryptographic("hmac sha256", "sled"))?;
        wait_for(LONG, "BIRD's packets to be refused", || {
            let neighbors = router.show("rip neighbors")?;
            ensure!(
                neighbors[0]["refused"]["auth-failed"].as_u64() >= Some(2)
                    && neighbors[0]["auth"].is_null(),
                "{neighbors}"
            );
            Ok(())
        })?;
        net.r1.wait_no_route(BIRDS, "via")?;
        net.bird.wait_no_route(OURS, "via")?;
        bird.configure(&self::bird(&cryptographic("hmac sha256", "rosebud")))?;
        net.r1.wait_route(BIRDS, "via 10.0.2.2")?;
        net.bird.wait_route(OURS, "via 10.0.2.1")
    });
}

/// Neither old tables nor an unsigned request get anything out of us.
#[test]
fn nothing_is_told_to_who_has_no_key() {
    if !installed("interop-no-key") {
        return;
    }
    lab::test("interop-no-key", |lab| {
        let net = Net::new(lab)?;
        let router = lab.start_router(&net.r1, &config("md5", "rosebud"))?;
        let answers = net.bird.enter(|| {
            let socket = std::net::UdpSocket::bind("10.0.2.2:520")?;
            socket.set_read_timeout(Some(std::time::Duration::from_millis(1500)))?;
            for version in [1, 2] {
                let mut request = [0; 24];
                (request[0], request[1], request[23]) = (1, version, 16);
                socket.send_to(&request, "10.0.2.1:520")?;
            }
            let mut answers = 0;
            while socket.recv(&mut [0; 600]).is_ok() {
                answers += 1;
            }
            Ok(answers)
        })?;
        ensure!(answers == 0, "{answers} answers by unicast");
        let errors = router.show("rip errors")?;
        let mut rows = errors.as_array().into_iter().flatten();
        let missing = rows.find(|row| row["reason"] == "auth-missing");
        ensure!(missing.is_some_and(|row| row["count"] == 2), "{errors}");
        Ok(())
    });
}
