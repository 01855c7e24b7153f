//! The routing socket from outside: every numbered case of the requirements
//! table in `docs/route-socket-requirements.md`, by its number, against the real
//! daemon and without its codec.
//!
//! ```text
//! h0 192.0.2.254    ── eth0 192.0.2.1/24    ┐     2001:db8::1/64   ::fe
//! h1 198.51.100.2   ── eth1 198.51.100.1/24 ┴ r1  2001:db8:1::1/64 ::2
//! ```

mod add_delete;
mod batches;
mod change;
mod dumps;
mod exports;
mod get;
mod greeted;
mod ipv6;
mod killed;
mod links;
mod listeners;
mod mirror;
mod misses;
mod multipath;
mod neighbours;
mod packets;
mod privilege;
mod redirects;
mod redirects6;
mod validation;

use std::path::PathBuf;

use forwarder_tests::bsd::Client;
use forwarder_tests::bsd::bed::{CONNECTED, GATEWAY, SUBNET};
use forwarder_tests::lab::{self, Lab, Namespace, Router, end};

/// h1, behind eth1.
const OTHER_GATEWAY: &str = "198.51.100.2";

const EPERM: i32 = 1;
const ESRCH: i32 = 3;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const EPROTONOSUPPORT: i32 = 93;
const EOPNOTSUPP: i32 = 95;
const EAFNOSUPPORT: i32 = 97;
const ENETUNREACH: i32 = 101;
const ENOBUFS: i32 = 105;
const EHOSTUNREACH: i32 = 113;

/// A router between two hosts.
struct Bed {
    h0: Namespace,
    h1: Namespace,
    r1: Namespace,
    router: Router,
    eth0: u16,
    eth1: u16,
}

impl Bed {
    fn new(lab: &Lab, config: &str) -> anyhow::Result<Bed> {
        let r1 = lab.router_namespace("r1")?;
        let (h0, h1) = (lab.namespace("h0")?, lab.namespace("h1")?);
        for namespace in [&r1, &h0, &h1] {
            for scope in ["all", "default"] {
                namespace.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "0")?;
                namespace.sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "0")?;
            }
        }
        r1.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        lab.link(
            end(&h0, "eth0").address("192.0.2.254/24"),
            end(&r1, "eth0").address("192.0.2.1/24"),
        )?;
        lab.link(
            end(&h1, "eth0").address("198.51.100.2/24"),
            end(&r1, "eth1").address("198.51.100.1/24"),
        )?;
        r1.run("ip -6 addr add 2001:db8::1/64 dev eth0 nodad")?;
        r1.run("ip -6 addr add 2001:db8:1::1/64 dev eth1 nodad")?;
        let config = format!("{}{config}", crate::NATIVE);
        let router = lab.start_router(&r1, &config)?;
        router.wait_until_settled()?;
        let index = |name: &str| -> anyhow::Result<u16> {
            let links = r1.ip_json(&format!("link show dev {name}"))?;
            let number = links[0]["ifindex"].as_u64().unwrap_or_default();
            Ok(u16::try_from(number)?)
        };
        let (eth0, eth1) = (index("eth0")?, index("eth1")?);
        Ok(Bed {
            h0,
            h1,
            r1,
            router,
            eth0,
            eth1,
        })
    }

    fn socket(&self) -> PathBuf {
        self.router.run_dir().join("route.sock")
    }

    fn client(&self) -> anyhow::Result<Client> {
        Client::connect(&self.socket())
    }
}

/// A test of one case with a router of its own.
fn case(name: &str, body: impl FnOnce(&Bed, &mut Client) -> anyhow::Result<()>) {
    configured(name, "", body);
}

/// [`case`] with more in the router's configuration.
fn configured(
    name: &str,
    config: &str,
    body: impl FnOnce(&Bed, &mut Client) -> anyhow::Result<()>,
) {
    lab::test(&format!("route4-{name}"), |lab| {
        let bed = Bed::new(lab, config)?;
        let mut client = bed.client()?;
        body(&bed, &mut client)
    });
}

/// The beginning of one of the daemon's own messages (`docs/route-socket.md`).
fn own(kind: u8, length: u16, seq: i32) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(length)];
    bytes[..2].copy_from_slice(&length.to_ne_bytes());
    bytes[2] = forwarder_tests::bsd::number::VERSION;
    bytes[3] = kind;
    bytes[8..12].copy_from_slice(&seq.to_ne_bytes());
    bytes
}
