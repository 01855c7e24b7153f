use std::time::Duration;

use serde_json::json;

use super::converge::{line, parse_ping};
use super::results::{Cut, Ping, Results, Throughput, median};

fn way(name: &'static str, pps: f64) -> Throughput {
    Throughput {
        name,
        hops: 2,
        sent: 1000,
        delivered: 1000,
        damaged: 0,
        right_ttl: true,
        pps,
        wall_pps: pps,
    }
}

fn cuts(milliseconds: [u64; 3]) -> Vec<Cut> {
    let cut = |ms| Cut {
        outage: Duration::from_millis(ms),
        lost: ms,
    };
    milliseconds.map(cut).to_vec()
}

fn good() -> Results {
    Results {
        converged: Some(Duration::from_millis(1234)),
        ping: Some(Ping { sent: 20, lost: 0 }),
        xdp: Some(way("XDP", 6e6)),
        kernel: Some(way("kernel", 2e6)),
        limits: vec![way("no hop", 2e7)],
        carrier_loss: cuts([9, 1, 3]),
        admin_down: cuts([4, 500, 2]),
        clean_stop: true,
        problems: Vec::new(),
    }
}

#[test]
fn json_has_exactly_the_promised_keys() {
    let expected = json!({
        "converged_s": 1.234, "ping_sent": 20, "ping_lost": 0,
        "frames_sent": 1000, "xdp_delivered": 1000, "kernel_delivered": 1000,
        "xdp_pps": 6_000_000, "kernel_pps": 2_000_000, "speedup": 3.0,
        "outage_ms": 4.0, "lost_datagrams": 4, "clean_stop": true, "ok": true,
    });
    assert_eq!(good().json(), expected);
}

#[test]
fn json_of_a_demo_that_did_not_begin_has_the_same_keys() {
    let (empty, full) = (Results::default().json(), good().json());
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&empty), keys(&full));
    assert_eq!(empty["ok"], false);
    assert_eq!(empty["xdp_pps"], json!(null));
}

#[test]
fn any_step_that_fails_or_delivers_less_is_not_ok() {
    assert!(good().ok());
    let spoil: [fn(&mut Results); 9] = [
        |r| r.converged = None,
        |r| r.ping = Some(Ping { sent: 20, lost: 1 }),
        |r| r.xdp.as_mut().unwrap().delivered = 998,
        |r| r.kernel.as_mut().unwrap().delivered = 998,
        |r| r.xdp.as_mut().unwrap().damaged = 1,
        |r| r.xdp.as_mut().unwrap().right_ttl = false,
        |r| r.carrier_loss = cuts([200, 201, 1]),
        |r| r.clean_stop = false,
        |r| r.problems.push("anything".into()),
    ];
    for (number, spoil) in spoil.iter().enumerate() {
        let mut results = good();
        spoil(&mut results);
        assert!(!results.ok(), "{number}");
        assert!(results.summary().contains("NOT ok"), "{number}");
    }
    let mut results = good();
    results.xdp.as_mut().unwrap().delivered = 999;
    assert!(results.ok(), "99.9 % is enough");
}

#[test]
fn summary_tells_what_a_hop_costs() {
    let text = good().summary();
    assert!(text.contains("XDP ÷ kernel"), "{text}");
    // (500 - 50) / 2 and (166.7 - 50) / 2.
    assert!(text.contains("500 ns, 225 ns a hop"), "{text}");
    assert!(text.contains("167 ns, 58 ns a hop"), "{text}");
}

#[test]
fn median_is_the_upper_of_two_and_zero_of_none() {
    assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    assert_eq!(median([1.0, 2.0].into_iter()), 2.0);
    assert_eq!(median([].into_iter()), 0.0);
}

#[test]
fn ping_is_read_from_its_statistics() {
    let text = "PING 10.3.0.2\n\n--- statistics ---\n\
                20 packets transmitted, 19 received, 5% packet loss, time 975ms\n";
    assert_eq!(parse_ping(text), Some(Ping { sent: 20, lost: 1 }));
    assert_eq!(parse_ping("ping: connect: Network is unreachable"), None);
}

#[test]
fn a_route_is_one_line() {
    let route = json!({
        "prefix": "10.3.0.0/24", "source": "rip", "metric": 2,
        "nexthops": [{"via": "10.13.0.3", "dev": "to-r3"}],
    });
    let words: Vec<_> = line(&route).split_whitespace().map(str::to_owned).collect();
    let wanted = "10.3.0.0/24 rip via 10.13.0.3 dev to-r3 metric 2";
    assert_eq!(words.join(" "), wanted);
}
