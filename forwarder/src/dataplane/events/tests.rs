use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn bytes(event: &Raw) -> Vec<u8> {
    let head = [event.reason, event.ifindex, event.family, event.length];
    let words = head.into_iter().chain(event.destination_be);
    words
        .chain(event.source_be)
        .flat_map(u32::to_ne_bytes)
        .collect()
}

fn word(octets: [u8; 4]) -> u32 {
    u32::from_ne_bytes(octets)
}

fn missed(last: u8) -> Raw {
    Raw {
        reason: Reason::NoRoute as u32,
        ifindex: 7,
        family: 4,
        length: 98,
        destination_be: [word([192, 0, 2, last]), 0, 0, 0],
        source_be: [word([198, 51, 100, 1]), 0, 0, 0],
    }
}

fn query(after: Option<u64>, limit: usize) -> EventQuery {
    EventQuery { after, limit }
}

#[test]
fn an_event_is_shown_with_names_and_its_age() {
    let mut recent = Recent::new(8);
    let then = Instant::from_secs(10);
    recent.take(then, &bytes(&missed(9)), &Interfaces::default());
    let answer = recent.answer(then + Duration::from_millis(1250), query(None, 8), 3);
    assert_eq!(
        answer,
        Events {
            newest: 1,
            lost: 3,
            events: vec![Event {
                sequence: 1,
                age: 1.25,
                verdict: "up".into(),
                reason: "no-route".into(),
                interface: "if7".into(),
                source: Some(IpAddr::from([198, 51, 100, 1])),
                destination: Some(IpAddr::from([192, 0, 2, 9])),
                length: 98,
            }],
        }
    );
}

#[test]
fn addresses_of_ipv6_are_read_and_unread_ones_are_none() {
    let mut recent = Recent::new(8);
    let ipv6 = Raw {
        reason: Reason::Blackhole as u32,
        family: 6,
        destination_be: [word([0x20, 1, 0xd, 0xb8]), 0, 0, word([0, 0, 0, 9])],
        ..missed(1)
    };
    let runt = Raw {
        reason: Reason::Truncated as u32,
        family: 0,
        ..missed(1)
    };
    for event in [ipv6, runt] {
        recent.take(Instant::ZERO, &bytes(&event), &Interfaces::default());
    }
    let shown = recent.answer(Instant::ZERO, query(None, 8), 0).events;
    assert_eq!(shown[0].destination, Some("2001:db8::9".parse().unwrap()));
    assert_eq!(shown[0].verdict, "dropped");
    assert_eq!((shown[1].source, shown[1].destination), (None, None));
}

#[test]
fn the_oldest_make_room_and_a_follower_sees_the_gap() {
    let mut recent = Recent::new(3);
    for last in 1..=5 {
        recent.take(Instant::ZERO, &bytes(&missed(last)), &Interfaces::default());
    }
    let numbers = |query| {
        let answer = recent.answer(Instant::ZERO, query, 0);
        assert_eq!(answer.newest, 5);
        let events = answer.events.iter();
        events.map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(numbers(query(None, 10)), [3, 4, 5]);
    assert_eq!(numbers(query(None, 2)), [4, 5]);
    assert_eq!(numbers(query(Some(1), 2)), [3, 4]);
    assert_eq!(numbers(query(Some(4), 10)), [5]);
    assert_eq!(numbers(query(Some(5), 10)), [0; 0]);
    assert_eq!(numbers(query(Some(u64::MAX), 10)), [0; 0]);
}

proptest! {
    #[test]
    fn whatever_the_ring_holds_is_read_or_passed_over(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut recent = Recent::new(2);
        recent.take(Instant::ZERO, &bytes, &Interfaces::default());
        let shown = recent.answer(Instant::ZERO, query(None, 9), 0);
        prop_assert!(shown.events.is_empty() || bytes.len() == size_of::<Raw>());
    }
}
