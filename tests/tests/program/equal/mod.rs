//! The three engines against one another and a plain longest match: one table
//! in the maps of two routers and in the kernel's own, in a namespace that only
//! this test has, and for each address the next hop that the program takes.
//!
//! [`property`]: small tables that nest, and every kind of change; [`table`]:
//! large ones, and storms.

mod family;
mod property;
mod table;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use forwarder::kernel::{Identity, KernelWriter};
use forwarder_core::kernel::export::{ExportOp, ExportRoute};
use forwarder_core::net::Ifindex;
use forwarder_core::route::{Nexthop, RouteType};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use prefix_trie::PrefixMap;

use super::*;
use family::Side;

/// Next hops, told apart by their MAC addresses.
const HOPS: u32 = 64;
/// Ids and slots from here on.
const FIRST: u32 = 100;

/// One router, by one engine.
struct Engine {
    name: &'static str,
    object: Object,
    tables: Tables,
}

/// See the module's head.
struct Engines<F: Side> {
    engines: [Engine; 3],
    runtime: tokio::runtime::Runtime,
    writer: KernelWriter,
    egress: Ifindex,
    model: PrefixMap<F::Prefix, u32>,
    frame: Vec<u8>,
}

/// Runs a test in a namespace of its own, which goes with its thread.
fn in_namespace(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a namespace: run it as root");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Two ports that forward, every next hop a neighbour of the first; the second
/// is where test_run has frames arrive.
fn ports<F: Side>() -> [u32; 2] {
    let mut batch = String::from(
        "link add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\nlink set lo up\n",
    );
    for hop in 0..HOPS {
        let [.., high, low] = hop.to_be_bytes();
        let gateway = F::gateway(hop);
        let _ = writeln!(
            batch,
            "neighbour add {gateway} lladdr 02:00:00:01:{high:02x}:{low:02x} dev v0 nud permanent"
        );
    }
    for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        std::fs::write(format!("/proc/sys/net/{switch}"), "1").expect("forwarding");
    }
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("ip");
    let mut stdin = ip.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, batch.as_bytes()).expect("ip reads");
    drop(stdin);
    assert!(ip.wait().expect("ip ends").success(), "{batch}");
    ["v0", "lo"].map(|name| if_nametoindex(name).expect(name))
}

impl Engine {
    fn new(name: &'static str, lookup: Lookup, ports: [u32; 2]) -> Engine {
        let mut object = Object::load(lookup).expect("load");
        let mut tables = Tables::new(&mut object).expect("maps");
        for (number, ifindex) in (1..).zip(ports) {
            let port = Port {
                ifindex,
                number,
                mac: PORT_MAC,
                tx: number,
                ..Port::default()
            };
            tables.set_port(port).expect("port");
        }
        for hop in 0..HOPS {
            let [.., high, low] = hop.to_be_bytes();
            let adjacency = Adjacency {
                destination: [2, 0, 0, 1, high, low],
                source: EGRESS_MAC,
                port: 1,
                mtu: MTU,
                ifindex: ports[0],
                ..Adjacency::default()
            };
            let (slot, word) = (FIRST + hop, NexthopKind::Adjacency);
            tables.set_adjacency(slot, adjacency).expect("slot");
            tables
                .set_nexthop(slot, nexthop_word(word, slot))
                .expect("word");
        }
        Engine {
            name,
            object,
            tables,
        }
    }

    /// The next hop that a frame leaves by; `None` where it goes up.
    fn answer(&mut self, frame: &[u8]) -> Option<u32> {
        let mut out = [0; 256];
        let program = self.object.xdp(program::FORWARD).expect("program");
        let result = program.test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ..TestRunOptions::default()
        });
        match result.expect("test_run").return_value {
            XDP_REDIRECT => Some(u32::from(u16::from_be_bytes([out[4], out[5]]))),
            XDP_PASS => None,
            action => panic!("{}: action {action}", self.name),
        }
    }
}

impl<F: Side> Engines<F> {
    /// Empty, with room for so many rows of the trie and so many prefixes.
    fn new(rows: u32, prefixes: u32) -> Self {
        let ports = ports::<F>();
        let multibit = Lookup::Multibit {
            rows4: if F::BITS == 32 { rows } else { 0 },
            rows6: if F::BITS == 32 { 0 } else { rows },
        };
        let engines = [
            ("multibit", multibit),
            ("lpm-trie", Lookup::LpmTrie { prefixes }),
            ("kernel", Lookup::Kernel),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        let identity = Identity {
            protocol: 210,
            metric: 15,
        };
        let writer = runtime.block_on(async { KernelWriter::open(identity).expect("netlink") });
        let frame = F::frame(PORT_MAC);
        Engines {
            engines: engines.map(|(name, lookup)| Engine::new(name, lookup, ports)),
            runtime,
            writer,
            egress: Ifindex(ports[0]),
            model: PrefixMap::new(),
            frame,
        }
    }

    /// Routes prefixes by a next hop each, or no longer; no prefix twice.
    fn change(&mut self, changes: &[(F::Prefix, Option<u32>)]) {
        let mut ops = Vec::new();
        for (prefix, hop) in changes {
            let before = match hop {
                Some(hop) => self.model.insert(*prefix, *hop),
                None => self.model.remove(prefix),
            };
            for engine in &mut self.engines {
                let routes = engine.tables.of_mut::<F>();
                match hop {
                    Some(hop) => routes.set_route(*prefix, FIRST + hop).expect("room"),
                    None => routes.remove_route(*prefix).expect("removed"),
                }
            }
            ops.extend(match (hop, before) {
                (Some(hop), None) => Some(ExportOp::Add(self.route(*prefix, *hop))),
                (Some(hop), Some(_)) => Some(ExportOp::Replace(self.route(*prefix, *hop))),
                (None, Some(_)) => Some(ExportOp::Delete(*prefix)),
                (None, None) => None,
            });
        }
        let results = self.runtime.block_on(self.writer.apply(&ops));
        for (op, result) in ops.iter().zip(results) {
            assert!(result.is_ok(), "{op:?}: {result:?}");
        }
        // No program runs now.
        for engine in &mut self.engines {
            let routes = engine.tables.of_mut::<F>();
            let freed = routes.take_freed_rows();
            routes.release_rows(freed);
        }
    }

    fn route(&self, prefix: F::Prefix, hop: u32) -> Arc<ExportRoute<F>> {
        Arc::new(ExportRoute {
            prefix,
            kind: RouteType::Unicast,
            nexthops: vec![Nexthop {
                onlink: F::ONLINK,
                ..Nexthop::via(F::gateway(hop), self.egress)
            }],
            mtu: None,
        })
    }

    /// All engines take the longest match's next hop.
    fn agree_on(&mut self, address: F::Addr) {
        if F::is_special(address) {
            return;
        }
        F::aim(&mut self.frame, address);
        let expected = self.model.get_lpm(&F::host(address));
        let hop = expected.map(|(_, hop)| *hop);
        for engine in &mut self.engines {
            let answer = engine.answer(&self.frame);
            assert_eq!(
                answer, hop,
                "{} for {address}, the match is {expected:?}",
                engine.name
            );
        }
    }

    /// The ends of prefixes and their neighbours outside.
    fn agree_around(&mut self, prefixes: impl IntoIterator<Item = F::Prefix>) {
        let around = |prefix: F::Prefix| {
            let (first, last) = (F::number(F::network(&prefix)), F::number(F::last(&prefix)));
            [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
        };
        let keys: BTreeSet<u128> = prefixes.into_iter().flat_map(around).collect();
        keys.into_iter()
            .for_each(|key| self.agree_on(F::address(key)));
    }
}
