//! What the daemon is told of single packets, and what that costs the others:
//! nothing is told of what is forwarded.

use forwarder::dataplane::events::EventMaps;
use forwarder_common::abi::Event;
use forwarder_tests::frame::Frame6;

use super::*;

/// What the ring holds, as words.
fn told(events: &mut EventMaps) -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    while let Some(item) = events.ring.next() {
        let words = item.as_chunks::<4>().0.iter().copied();
        all.push(words.map(u32::from_ne_bytes).collect());
    }
    all
}

fn refused(events: &EventMaps) -> u64 {
    let states = events.state.get(&PuntClass::EVENT_SLOT, 0).expect("state");
    states.iter().map(|state| state.refused).sum()
}

/// Reason, ifindex, family, length, destination, source.
fn expected(reason: Reason, family: u32, frame: &[u8]) -> Vec<u32> {
    let mut words = vec![reason as u32, PORT, family, frame.len() as u32];
    let (source, length) = match family {
        4 => (14 + 12, 4),
        6 => (14 + 8, 16),
        _ => (0, 0),
    };
    for start in [source + length, source] {
        let mut address = frame[start..start + length].to_vec();
        address.resize(16, 0);
        let four = address.as_chunks::<4>().0.iter().copied();
        words.extend(four.map(u32::from_ne_bytes));
    }
    words
}

#[test]
fn a_drop_is_told_with_its_addresses_where_it_has_some() {
    on_all(|bench| {
        let mut events = Tables::events(&mut bench.object).expect("maps");
        let bad = Frame {
            checksum_error: 1,
            ..frame()
        };
        let bad6 = Frame6 {
            to: PORT_MAC,
            version: 5,
            ..Frame6::default()
        };
        let short = frame().bytes()[..14 + 16].to_vec();
        for (bytes, reason, family) in [
            (bad.bytes(), Reason::BadChecksum, 4),
            (bad6.bytes(), Reason::BadVersion, 6),
            (short, Reason::Truncated, 0),
        ] {
            bench.run(&bytes);
            assert_eq!(
                told(&mut events),
                [expected(reason, family, &bytes)],
                "{reason:?}"
            );
        }
    });
}

#[test]
fn misses_are_told_and_what_is_forwarded_or_goes_up_otherwise_is_not() {
    on_all(|bench| {
        let mut events = Tables::events(&mut bench.object).expect("maps");
        bench.forwards(&frame());
        let options = Frame {
            options: vec![1; 4],
            ..frame()
        };
        bench.run(&options.bytes());
        assert!(told(&mut events).is_empty());
        let missed = Frame {
            destination: Ipv4Addr::new(192, 0, 2, 1),
            ..frame()
        };
        bench.run(&missed.bytes());
        let expected = expected(Reason::NoRoute, 4, &missed.bytes());
        assert_eq!(told(&mut events), [expected]);
    });
}

#[test]
fn what_is_over_the_limit_or_finds_the_ring_full_is_counted() {
    on_all(|bench| {
        let mut events = Tables::events(&mut bench.object).expect("maps");
        let bad = Frame {
            checksum_error: 1,
            ..frame()
        };
        let many = 256 * 1024 / size_of::<Event>() + 1;
        for _ in 0..many {
            bench.run(&bad.bytes());
        }
        let held = told(&mut events).len();
        assert_eq!(held as u64 + refused(&events), many as u64);
        assert!(held < many, "the ring holds {held}");

        let before = refused(&events);
        bench.tables.set_event_limit(1).expect("limit");
        for _ in 0..64 {
            bench.run(&bad.bytes());
        }
        // Each CPU that it ran on had credit for one.
        let held = told(&mut events).len() as u64;
        assert_eq!(held + refused(&events) - before, 64);
        assert!((1..=16).contains(&held), "{held} were told");
        assert_eq!(bench.count(NUMBER, Reason::BadChecksum), many as u64 + 64);
    });
}
