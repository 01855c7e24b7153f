//! The traffic programs in a lab, with the kernel as the router: what the
//! demo's and the benchmarks' figures stand on.

use std::net::Ipv4Addr;

use aya::programs::XdpMode;
use forwarder::bench::{DEFAULT_BATCH, Flow, Generator, Pass, Relay, Sink};
use forwarder_tests::lab::{self, Lab, Namespace, end};

const PORT: u16 = 9;
const FRAMES: u32 = 100_000;

/// host ── router ── sink.
struct Chain {
    host: Namespace,
    router: Namespace,
    sink: Namespace,
}

impl Chain {
    fn new(lab: &Lab) -> anyhow::Result<Chain> {
        let chain = Chain {
            host: lab.namespace("host")?,
            router: lab.router_namespace("router")?,
            sink: lab.namespace("sink")?,
        };
        lab.link(
            end(&chain.host, "eth0").address("10.0.1.2/24"),
            end(&chain.router, "left").address("10.0.1.1/24"),
        )?;
        lab.link(
            end(&chain.router, "right").address("10.0.2.1/24"),
            end(&chain.sink, "eth0").address("10.0.2.2/24"),
        )?;
        chain.sink.run("ip route add default via 10.0.2.1")?;
        chain.host.run("ip route add default via 10.0.1.1")?;
        Ok(chain)
    }

    fn attach_pass(&self) -> anyhow::Result<[Pass; 2]> {
        self.router.enter(|| {
            Ok([
                Pass::attach("left", XdpMode::Driver)?,
                Pass::attach("right", XdpMode::Driver)?,
            ])
        })
    }

    fn attach_sink(&self) -> anyhow::Result<Sink> {
        let attach = || Ok(Sink::attach("eth0", PORT, XdpMode::Driver)?);
        self.sink.enter(attach)
    }

    fn generator(&self, destinations: &[Ipv4Addr], port: u16) -> anyhow::Result<Generator> {
        let flow = Flow {
            source_mac: self.host.mac_bytes("eth0")?,
            destination_mac: self.router.mac_bytes("left")?,
            source: Ipv4Addr::new(10, 0, 1, 2),
            destinations: destinations.to_vec(),
            source_port: PORT,
            destination_port: port,
            ttl: 64,
            frame_len: 60,
        };
        self.host.enter(|| Ok(Generator::new("eth0", &flow)?))
    }
}

const SINK: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

#[test]
fn every_frame_of_a_paced_run_arrives_through_the_kernel() {
    lab::test("traffic-kernel", |lab| {
        let chain = Chain::new(lab)?;
        let _pass = chain.attach_pass()?;
        let sink = chain.attach_sink()?;
        // The sink hands up what is not its flow: ARP and ping still work.
        chain.host.run("ping -c 1 -W 5 10.0.2.2")?;
        let mut generator = chain.generator(&[SINK], PORT)?;
        for _ in 0..3 {
            let report = generator.run_to(&sink, FRAMES, DEFAULT_BATCH)?;
            assert_eq!(report.sent, u64::from(FRAMES));
            assert_eq!(report.delivered.frames, report.sent, "{report:?}");
            assert_eq!(report.delivered.bytes, 60 * report.sent);
            assert_eq!((report.delivered.damaged, report.refused), (0, 0));
            assert_eq!(report.delivered.ttl, 63);
            assert!(report.delivered_pps() > 0.0 && !report.kernel.is_zero());
        }
        Ok(())
    });
}

#[test]
fn relay_forwards_every_frame_with_a_valid_checksum() {
    lab::test("traffic-relay", |lab| {
        let chain = Chain::new(lab)?;
        let (source, destination) = (
            chain.router.mac_bytes("right")?,
            chain.sink.mac_bytes("eth0")?,
        );
        let attach = || Relay::attach("left", "right", source, destination, XdpMode::Driver);
        let _relay = chain.router.enter(|| Ok(attach()?))?;
        let sink = chain.attach_sink()?;
        let report = chain
            .generator(&[SINK], PORT)?
            .run_to(&sink, FRAMES, DEFAULT_BATCH)?;
        assert_eq!(report.delivered.frames, u64::from(FRAMES), "{report:?}");
        assert_eq!(report.delivered.damaged, 0);
        assert_eq!(report.delivered.ttl, 63);
        Ok(())
    });
}

#[test]
fn a_paced_run_goes_on_when_some_frames_are_lost() {
    lab::test("traffic-lossy", |lab| {
        let chain = Chain::new(lab)?;
        let _pass = chain.attach_pass()?;
        let sink = chain.attach_sink()?;
        chain.host.run("ping -c 1 -W 5 10.0.2.2")?;
        chain.router.run("ip route add blackhole 10.9.9.9")?;
        // 500 of 50,000 frames have no way to the sink: more than a window.
        let mut destinations = vec![SINK; 99];
        destinations.push(Ipv4Addr::new(10, 9, 9, 9));
        let mut generator = chain.generator(&destinations, PORT)?;
        let report = generator.run_to(&sink, 50_000, DEFAULT_BATCH)?;
        assert_eq!(report.sent, 50_000);
        assert_eq!(report.delivered.frames, 49_500, "{report:?}");
        // And the next run begins with a whole window.
        let report = generator.run_to(&sink, 100, DEFAULT_BATCH)?;
        assert_eq!((report.sent, report.delivered.frames), (100, 99));
        Ok(())
    });
}

#[test]
fn a_paced_run_over_a_dead_path_ends_early() {
    lab::test("traffic-dead", |lab| {
        let chain = Chain::new(lab)?;
        let _pass = chain.attach_pass()?;
        let sink = chain.attach_sink()?;
        let mut generator = chain.generator(&[Ipv4Addr::new(10, 9, 9, 9)], PORT)?;
        chain.router.run("ip route add blackhole 10.9.9.9")?;
        let report = generator.run_to(&sink, FRAMES, DEFAULT_BATCH)?;
        assert!(report.sent < u64::from(FRAMES), "{report:?}");
        assert_eq!(report.delivered.frames, 0);
        assert_eq!(report.delivered_pps(), 0.0);
        Ok(())
    });
}

#[test]
fn a_flood_needs_no_sink_and_a_sink_counts_its_own_port_only() {
    lab::test("traffic-flood", |lab| {
        let chain = Chain::new(lab)?;
        let _pass = chain.attach_pass()?;
        let sink = chain.attach_sink()?;
        chain.host.run("ping -c 1 -W 5 10.0.2.2")?;
        let report = chain.generator(&[SINK], PORT + 1)?.flood(FRAMES, 64)?;
        assert_eq!(report.sent, u64::from(FRAMES));
        assert_eq!(report.refused, 0);
        assert_eq!(sink.count()?.arrived(), 0);
        Ok(())
    });
}
