//! Authentication: RFC 2453 §4.1 and §5.2, RFC 2082, RFC 4822.

use super::*;
use crate::rip::auth::{self, Clock};

/// The time of day at which the tests begin.
const NOW: u64 = 1_000_000;

fn key(id: u8, secret: &str) -> Key {
    Key {
        id,
        secret: Secret::new(secret),
        send: Window::default(),
        accept: Window::default(),
    }
}

/// A window from and until so many seconds after [`NOW`].
fn window(from: Option<u64>, until: Option<u64>) -> Window {
    let at = |seconds| UnixTime(NOW + seconds);
    Window {
        from: from.map(at),
        until: until.map(at),
    }
}

fn keys(kind: AuthType, keys: Vec<Key>) -> Auth {
    Auth::new(kind, AuthLength::Rfc, keys).unwrap()
}

fn md5() -> Auth {
    keys(AuthType::Md5, vec![key(7, "secret")])
}

/// Somebody else, who signs with his own keys and numbers.
fn signed(auth: &Auth, sequence: u32, packet: Vec<u8>) -> Vec<u8> {
    auth::sign(auth, auth.sending(UnixTime(NOW)), sequence, packet)
}

fn route() -> Vec<u8> {
    response(&[rte("20.0.0.0/8", 1)])
}

/// A router with authentication on [`A`], its wall clock set.
fn router(auth: &Auth) -> Router {
    let mut router = Router::with(InterfaceConfig {
        auth: Some(auth.clone()),
        ..Default::default()
    });
    router.input(Input::WallClock(UnixTime(NOW)));
    router
}

fn answers(router: &Router) -> usize {
    let sent = router.sent.iter();
    sent.filter(|sent| sent.destination == addr(A2)).count()
}

/// A packet is refused, teaches nothing, gets no answer, and counts at its
/// sender.
fn assert_refused(router: &mut Router, payload: &[u8], reason: Reject) {
    let before = (router.refused(reason), answers(router));
    router.datagram(A, A2, 520, payload);
    router.flush();
    assert_eq!(router.refused(reason), before.0 + 1, "{reason}");
    assert_eq!(answers(router), before.1, "answered: {reason}");
    assert_eq!(router.route("20.0.0.0/8"), None);
}

fn assert_learnt(router: &mut Router, payload: &[u8]) {
    router.datagram(A, A2, 520, payload);
    assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 2)));
    router.input(Input::Clear(Clear::Routes));
}

#[test]
fn rfc2082_rfc4822_digests_are_those_of_other_implementations() {
    // Made with Python's hashlib and hmac from the RFCs' descriptions.
    let known = [
        (AuthType::Md5, "secret", "733f0bb0c84126e6c94c5a17cc557407"),
        (
            AuthType::HmacSha1,
            "secret",
            "8aa7c6814e7a236dfc7a34423a16d4bf0b039668",
        ),
        (
            AuthType::HmacSha256,
            "secret",
            "1d5044d4e4d4b47d3ac3b4e18c4f6a294f05a390155d13401367d721e7312d6b",
        ),
        (
            AuthType::HmacSha384,
            "secret",
            "6733feccf16cafad80f2e31882d9c83f619d6f422de2601c24b693d6de63f48a\
             550283cc1714325f759a9677f98fda70",
        ),
        (
            AuthType::HmacSha512,
            "secret",
            "f5a271f19a4fb50d5d5e2e5f5a72f6e21faa35e1e9f638b93551aac91e13437c\
             5ac86da57b52e10c7a6e1d151db81233a6c7f9e0f06a6086ac8a09cc6b048d60",
        ),
        (
            AuthType::HmacSha1,
            "a key of more than twenty bytes",
            "92b6251259b09f785d06da69f1cf72bd4c212b35",
        ),
    ];
    for (kind, secret, digest) in known {
        let packet = signed(&keys(kind, vec![key(7, secret)]), NOW as u32, route());
        let (head, tail) = packet.split_at(48);
        assert_eq!(head[4..8], [0xff, 0xff, 0, 3]);
        assert_eq!(
            head[8..12],
            [0, 44, 7, (digest.len() / 2) as u8],
            "{kind:?}"
        );
        let hex: String = tail.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, digest, "{kind:?}");
    }
}

#[test]
fn every_type_is_spoken_and_understood() {
    for kind in AuthType::ALL {
        let auth = keys(kind, vec![key(7, "secret")]);
        let mut router = router(&auth);
        assert_learnt(&mut router, &signed(&auth, NOW as u32, route()));
        router.hear(B2, &[rte("30.0.0.0/8", 1)]);
        router.advance(Duration::from_secs(40));
        // `Router` has opened what was sent, with the same key.
        assert!(router.told(A, "30.0.0.0/8").contains(&2), "{kind:?}");
        let row = router.rip.neighbors(router.now).remove(0);
        assert_eq!(row.proof.unwrap().kind, kind);
        assert_eq!(row.bad_packets, 0);
    }
}

#[test]
fn rip_case_13_requests_are_signed_and_checked() {
    let auth = md5();
    let mut router = router(&auth);
    let ask = || raw(1, 2, &[Ipv4::table_request()]);
    assert_refused(&mut router, &ask(), Reject::AuthMissing);
    let single = raw(
        1,
        2,
        &[entry(2, "10.0.13.0", "255.255.255.0", "0.0.0.0", 1)],
    );
    assert_refused(&mut router, &single, Reject::AuthMissing);
    router.datagram(A, A2, 520, &signed(&auth, NOW as u32, ask()));
    router.datagram(A, A2, 520, &signed(&auth, NOW as u32, single));
    router.flush();
    assert_eq!(router.sent.len(), 2, "both are answered, and signed");
    assert_eq!(router.sent[0].rtes, [rte("10.0.13.0/24", 1)]);
    // Our own at the start.
    router.forget();
    router.input(Input::Request(A));
    router.flush();
    assert_eq!(router.sent[0].command, Command::Request);
    assert_eq!(router.sent[0].payload[4..8], [0xff, 0xff, 0, 3]);
}

#[test]
fn rip_case_03_nothing_is_told_to_version_1_under_authentication() {
    let mut router = router(&md5());
    let ask = raw(1, 1, &[Ipv4::table_request()]);
    assert_refused(&mut router, &ask, Reject::AuthMissing);
}

#[test]
fn rip_case_53_a_full_packet_holds_no_more_than_512_bytes() {
    let full = [24, 23, 22, 22, 21, 20];
    for (kind, entries) in AuthType::ALL.into_iter().zip(full) {
        let auth = keys(kind, vec![key(7, "secret")]);
        let mut router = router(&auth);
        router.forget();
        for net in 0..100 {
            router.hear(B2, &[rte(&format!("20.0.{net}.0/24"), 1)]);
        }
        router.advance(Duration::from_secs(40));
        let on_a = || router.sent.iter().filter(|sent| sent.ifindex == A);
        let most = on_a().map(|sent| sent.rtes.len()).max();
        assert_eq!(most, Some(entries), "{kind:?}");
        assert!(on_a().all(|sent| sent.payload.len() <= 512), "{kind:?}");
    }
}

#[test]
fn rip_case_55_authentication_is_refused_where_there_is_none() {
    for kind in AuthType::ALL {
        let mut router = Router::settled();
        let packet = signed(&keys(kind, vec![key(7, "secret")]), 1, route());
        assert_refused(&mut router, &packet, Reject::UnexpectedAuth);
    }
}

#[test]
fn rip_case_56_plain_and_version_1_packets_are_refused() {
    let mut router = router(&md5());
    assert_refused(&mut router, &route(), Reject::AuthMissing);
    let plain = Ipv4::encode(&rte("20.0.0.0/8", 1));
    assert_refused(&mut router, &raw(2, 1, &[plain]), Reject::AuthMissing);
    let text = keys(AuthType::Text, vec![key(7, "secret")]);
    assert_refused(&mut router, &signed(&text, 1, route()), Reject::AuthType);
    // Whoever it is can be seen, by reason, and has not become a neighbour.
    let row = router.rip.neighbors(router.now).remove(0);
    assert_eq!((row.packets, row.bad_packets, row.proof), (0, 3, None));
    assert_eq!(row.refused[&Reject::AuthMissing], 2);
    assert!(
        !router
            .events
            .iter()
            .any(|event| matches!(event, Event::NeighborUp(_)))
    );
}

#[test]
fn rip_case_57_a_password_counts_whole_and_in_the_first_entry() {
    let auth = keys(AuthType::Text, vec![key(1, "secret")]);
    let mut router = router(&auth);
    let good = signed(&auth, 1, route());
    let mut second = good.clone();
    second[4..44].rotate_left(20);
    assert_refused(&mut router, &second, Reject::AuthMissing);
    for (at, byte) in [(8, b'S'), (13, b'x'), (14, b'x'), (23, 1)] {
        let mut wrong = good.clone();
        wrong[at] = byte;
        assert_refused(&mut router, &wrong, Reject::AuthFailed);
    }
    assert_learnt(&mut router, &good);
}

#[test]
fn rip_case_58_both_lengths_are_accepted_and_nonsense_is_not() {
    let old = Auth::new(AuthType::Md5, AuthLength::OldRipd, vec![key(7, "secret")]).unwrap();
    let mut router = router(&md5());
    let packet = signed(&old, 1, route());
    assert_eq!(packet[11], 20);
    assert_learnt(&mut router, &packet);
    let good = signed(&md5(), 1, route());
    assert_eq!(good[11], 16);
    assert_learnt(&mut router, &good);

    let change = |at: usize, bytes: &[u8]| {
        let mut packet = good.clone();
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        packet
    };
    let malformed = [
        change(8, &[0, 64]),      // the trailer would be beyond the end
        change(8, &[0xff, 0xff]), // far beyond
        change(8, &[0, 4]),       // within the authentication itself
        change(8, &[0, 0]),
        change(8, &[0, 43]), // within an entry
        change(11, &[0]),    // no digest
        change(11, &[15]),
        change(11, &[255]),
        change(46, &[0, 2]), // not a trailer
        good[..good.len() - 1].to_vec(),
        good[..44].to_vec(), // no trailer at all
        [&good[..], &[0]].concat(),
    ];
    for packet in malformed {
        assert_refused(&mut router, &packet, Reject::AuthMalformed);
    }
    // Every prefix of a good packet is refused for some reason.
    for end in 0..good.len() {
        router.datagram(A, A2, 520, &good[..end]);
        assert_eq!(router.route("20.0.0.0/8"), None);
    }
    // Every bit is under the digest, or says where the digest is.
    for bit in 0..good.len() * 8 {
        let mut packet = good.clone();
        packet[bit / 8] ^= 1 << (bit % 8);
        router.datagram(A, A2, 520, &packet);
        assert_eq!(router.route("20.0.0.0/8"), None, "bit {bit}");
    }
}

#[test]
fn a_signed_packet_without_routes_teaches_nothing() {
    let mut router = router(&md5());
    let packet = signed(&md5(), 1, raw(2, 2, &[]));
    assert_refused(&mut router, &packet, Reject::NoEntries);
}

#[test]
fn rip_case_59_a_wrong_key_number_is_refused() {
    let mut router = router(&keys(
        AuthType::Md5,
        vec![key(7, "secret"), key(9, "other")],
    ));
    for id in [6, 8, 10] {
        let other = keys(AuthType::Md5, vec![key(id, "secret")]);
        assert_refused(
            &mut router,
            &signed(&other, 1, route()),
            Reject::AuthUnknownKey,
        );
    }
    let swapped = keys(AuthType::Md5, vec![key(9, "secret")]);
    assert_refused(
        &mut router,
        &signed(&swapped, 1, route()),
        Reject::AuthFailed,
    );
}

#[test]
fn rip_case_60_replayed_packets_are_refused_until_the_neighbour_times_out() {
    let auth = md5();
    let mut router = router(&auth);
    assert_learnt(&mut router, &signed(&auth, 5000, route()));
    for sequence in [0, 1, 4999] {
        assert_refused(
            &mut router,
            &signed(&auth, sequence, route()),
            Reject::AuthReplay,
        );
    }
    assert_learnt(&mut router, &signed(&auth, 5000, route()));
    // A forgery with a high number does not lock the neighbour out.
    let mut forged = signed(&auth, 9000, route());
    *forged.last_mut().unwrap() ^= 1;
    assert_refused(&mut router, &forged, Reject::AuthFailed);
    assert_learnt(&mut router, &signed(&auth, 5001, route()));
    // Another neighbour and another key count by themselves.
    router.datagram(A, A3, 520, &signed(&auth, 3, route()));
    assert_eq!(router.route("20.0.0.0/8"), Some((addr(A3), A, 2)));
    router.input(Input::Clear(Clear::Routes));
    // Replays do not keep the memory alive.
    for _ in 0..17 {
        router.advance(Duration::from_secs(10));
        router.datagram(A, A2, 520, &signed(&auth, 1, route()));
        assert_eq!(router.route("20.0.0.0/8"), None);
    }
    router.advance(Duration::from_secs(10));
    assert_learnt(&mut router, &signed(&auth, 1, route()));
}

#[test]
fn rip_case_61_keys_roll_over_without_a_gap() {
    let old = Key {
        send: window(None, Some(100)),
        accept: window(None, Some(200)),
        ..key(1, "old")
    };
    let new = Key {
        send: window(Some(100), None),
        accept: window(Some(50), None),
        ..key(2, "new")
    };
    let (only_old, only_new) = (
        keys(AuthType::Md5, vec![key(1, "old")]),
        keys(AuthType::Md5, vec![key(2, "new")]),
    );
    let auth = keys(AuthType::Md5, vec![old, new]);
    let mut router = router(&auth);
    assert_refused(
        &mut router,
        &signed(&only_new, 1, route()),
        Reject::AuthKeyTime,
    );
    router.input(Input::Request(A));
    router.flush();
    assert_eq!(router.sent.last().unwrap().payload[10], 1);
    router.advance(Duration::from_secs(101));
    router.input(Input::Request(A));
    router.flush();
    assert_eq!(router.sent.last().unwrap().payload[10], 2, "the newest");
    assert_learnt(&mut router, &signed(&only_old, 1, route()));
    assert_learnt(&mut router, &signed(&only_new, 1, route()));
    router.advance(Duration::from_secs(100));
    assert_refused(
        &mut router,
        &signed(&only_old, 2, route()),
        Reject::AuthKeyTime,
    );
    assert_learnt(&mut router, &signed(&only_new, 2, route()));
}

#[test]
fn rip_case_61_the_last_key_goes_on_when_all_have_ended() {
    let ended = |id, secret: &str, until| Key {
        send: window(None, Some(until)),
        accept: window(None, Some(until)),
        ..key(id, secret)
    };
    let auth = keys(
        AuthType::Md5,
        vec![ended(1, "old", 10), ended(2, "older", 5)],
    );
    let mut router = router(&auth);
    router.advance(Duration::from_secs(60));
    let event = |router: &Router| {
        let events = router.events.iter();
        events
            .filter(|event| **event == Event::OutOfKeys(A))
            .count()
    };
    assert_eq!(event(&router), 1, "said once");
    assert!(
        router
            .sent
            .iter()
            .filter(|sent| sent.ifindex == A)
            .all(|sent| sent.payload[6] == 0)
    );
    assert_eq!(
        router
            .sent
            .iter()
            .rfind(|sent| sent.ifindex == A)
            .unwrap()
            .payload[10],
        1
    );
    let (last, older) = (
        keys(AuthType::Md5, vec![key(1, "old")]),
        keys(AuthType::Md5, vec![key(2, "older")]),
    );
    assert_refused(
        &mut router,
        &signed(&older, 1, route()),
        Reject::AuthKeyTime,
    );
    assert_learnt(&mut router, &signed(&last, 1, route()));
}

#[test]
fn rip_case_62_truncated_digests_are_refused() {
    let auth = keys(AuthType::HmacSha256, vec![key(7, "secret")]);
    let mut router = router(&auth);
    let good = signed(&auth, 1, route());
    let mut short = good[..good.len() - 16].to_vec();
    short[11] = 16;
    assert_refused(&mut router, &short, Reject::AuthMalformed);
    // Keyed MD5 with the same key is no HMAC.
    assert_refused(
        &mut router,
        &signed(&md5(), 1, route()),
        Reject::AuthMalformed,
    );
    assert_learnt(&mut router, &good);
}

fn sequences(router: &Router) -> Vec<u32> {
    let on_a = router.sent.iter().filter(|sent| sent.ifindex == A);
    let number = |sent: &Sent| u32::from_be_bytes(sent.payload[12..16].try_into().unwrap());
    on_a.map(number).collect()
}

#[test]
fn sequence_numbers_follow_the_wall_clock_and_never_fall() {
    let mut router = router(&md5());
    router.forget();
    router.advance(Duration::from_secs(100));
    router.input(Input::WallClock(UnixTime(NOW - 500)));
    router.advance(Duration::from_secs(100));
    let numbers = sequences(&router);
    assert!(numbers.len() > 4);
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(numbers[0] >= NOW as u32);
    assert_eq!(router.rip.sequence(), *numbers.last().unwrap());
}

#[test]
fn a_restart_goes_on_above_the_last_sequence_number() {
    let last = NOW as u32 + 77;
    let mut clock = Clock::new(last);
    clock.set(Instant::ZERO, UnixTime(NOW));
    assert_eq!(clock.next_sequence(Instant::ZERO), last + 1);
    // Lost with the state: the wall clock is at least as good.
    let mut clock = Clock::new(0);
    clock.set(Instant::ZERO, UnixTime(NOW + 78));
    assert_eq!(clock.next_sequence(Instant::ZERO), last + 1);
}

#[test]
fn sequence_numbers_do_not_run_away_from_the_clock() {
    let mut clock = Clock::new(0);
    clock.set(Instant::ZERO, UnixTime(NOW));
    let last = (0..10_000)
        .map(|_| clock.next_sequence(Instant::ZERO))
        .last();
    assert_eq!(last, Some(NOW as u32 + 3600));
    clock.set(Instant::ZERO, UnixTime(u64::MAX));
    let numbers = [(); 3].map(|()| clock.next_sequence(Instant::ZERO));
    assert_eq!(numbers, [u32::MAX; 3], "in 2106 they stand still");
}

#[test]
fn strangers_leave_room_for_neighbours() {
    let auth = md5();
    let mut router = router(&auth);
    for host in 2..=254 {
        router.datagram(A, &format!("10.0.12.{host}"), 520, &route());
    }
    assert_eq!(router.rip.neighbors(router.now).len(), 32);
    router.datagram(A, "10.0.12.200", 520, &signed(&auth, 1, route()));
    assert_eq!(router.rip.neighbors(router.now).len(), 33);
    router.forget();
    router.advance(Duration::from_secs(181));
    assert!(router.rip.neighbors(router.now).is_empty());
    let lost = router
        .events
        .iter()
        .filter(|event| matches!(event, Event::NeighborLost(_)));
    assert_eq!(lost.count(), 1, "nobody misses a stranger");
}

#[test]
fn unusable_keys_are_refused() {
    let refused = |kind, keys| Auth::new(kind, AuthLength::Rfc, keys).unwrap_err();
    assert_eq!(refused(AuthType::Md5, Vec::new()), KeyError::None);
    assert_eq!(refused(AuthType::Md5, vec![key(1, "")]), KeyError::Empty(1));
    assert_eq!(
        refused(AuthType::Md5, vec![key(1, "seventeen letters")]),
        KeyError::TooLong(1, 17, "md5", 16)
    );
    assert_eq!(
        refused(AuthType::Text, vec![key(1, "a\0b")]),
        KeyError::ZeroByte(1)
    );
    assert_eq!(
        refused(AuthType::HmacSha1, vec![key(1, "a"), key(1, "b")]),
        KeyError::SameId(1)
    );
    let hidden = keys(AuthType::Md5, vec![key(1, "hunter2")]);
    assert!(!format!("{hidden:?}").contains("hunter2"));
}
