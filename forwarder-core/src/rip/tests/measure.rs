//! What an entry and a route cost. Not part of the suite:
//! `cargo test --release -p forwarder-core rip::tests::measure -- --ignored --nocapture`

use std::time::Instant as Clock;

use super::*;

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 4096
}

/// Full datagrams of `count` routes.
fn datagrams(count: u32) -> Vec<Vec<u8>> {
    let prefix = |n: u32| Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + n * 256), 24).unwrap();
    let rte = |n| Rte {
        prefix: prefix(n),
        metric: metric(1),
        tag: 0,
        next_hop: None,
    };
    let rtes: Vec<_> = (0..count).map(rte).collect();
    rtes.chunks(25).map(response).collect()
}

fn timed(what: &str, count: u32, run: impl FnOnce()) {
    let start = Clock::now();
    run();
    println!(
        "{what}: {} ns a route",
        start.elapsed().as_nanos() / u128::from(count)
    );
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_route() {
    for count in [10_000, 100_000] {
        let mut rip = Rip::new(config());
        let mut out = Actions::default();
        let now = Instant::from_secs(1);
        rip.handle(
            now,
            Input::InterfaceUp(setup(A, "10.0.12.1/24", Default::default())),
            &mut out,
        );
        rip.handle(
            now,
            Input::InterfaceUp(setup(B, "10.0.13.1/24", Default::default())),
            &mut out,
        );
        let datagrams = datagrams(count);
        let before = resident();
        let mut hear = |rip: &mut Rip<Ipv4>, source| {
            let ifindex = if source == A2 { A } else { B };
            for payload in &datagrams {
                let (source, source_port) = (addr(source), 520);
                let datagram = Datagram {
                    hop_limit: Some(1),
                    multicast: true,
                    ifindex,
                    source,
                    source_port,
                    payload,
                };
                rip.handle(now, Input::Datagram(datagram), &mut out);
                out.routes.clear();
            }
        };
        println!("{count} routes");
        timed("learnt", count, || hear(&mut rip, A2));
        println!("{} bytes a route", (resident() - before) / count as usize);
        timed("refreshed", count, || hear(&mut rip, A2));
        timed("second offer", count, || hear(&mut rip, B2));
        timed("second offer refreshed", count, || hear(&mut rip, B2));
        println!(
            "{} bytes a route with two offers",
            (resident() - before) / count as usize
        );
        let mut sent = Actions::default();
        timed("told on two interfaces", count, || {
            let mut now = now;
            while rip
                .next_deadline()
                .is_some_and(|at| at < Instant::from_secs(10))
            {
                now = now.max(rip.next_deadline().unwrap());
                rip.handle(now, Input::Deadline, &mut sent);
                sent.sends.clear();
            }
        });
        timed("link lost", count, || {
            rip.handle(now, Input::InterfaceDown(A), &mut sent);
        });
        println!("{} changes", sent.routes.len());
    }
}
