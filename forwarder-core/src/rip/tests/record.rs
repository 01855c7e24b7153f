//! Recordings: what is played again does the same, and nothing in them is secret.

use std::collections::{BTreeMap, HashSet};
use std::mem::discriminant;

use proptest::prelude::*;

use super::property::{Step, steps, take};
use super::*;
use crate::net::Ipv6;
use crate::rip::auth;
use crate::rip::record::{
    EngineRecord, InputRecord, Line, Output, Player, Recorder, Since, TuningRecord, Unfit, What,
    Words,
};

/// The time of day at which the tests begin.
const NOW: u64 = 1_000_000;
/// A secret that is easily found again, and short enough for every type.
const SECRET: &str = "Rosebud!";

/// What a router did, recorded.
pub(super) struct Tape {
    pub(super) recorder: Recorder<Ipv4>,
    start: EngineRecord,
    lines: Vec<(InputRecord, Vec<Output>)>,
}

impl Tape {
    fn new() -> Self {
        let recorder = Recorder::default();
        let start = recorder.start(1, Instant::ZERO, &config());
        Tape {
            recorder,
            start,
            lines: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, at: Instant, what: What, out: &Actions<Ipv4>) {
        let outputs = self.recorder.outputs(Since::default(), out);
        let input = InputRecord {
            engine: 1,
            at: at.as_micros(),
            outputs: outputs.len() as u64,
            what,
        };
        self.lines.push((input, outputs));
    }

    /// As it stands in a file.
    fn text(&self) -> String {
        let mut lines = vec![Line::Engine(self.start.clone())];
        for (input, outputs) in &self.lines {
            lines.push(Line::Input(input.clone()));
            lines.extend(outputs.iter().cloned().map(Line::Output));
        }
        let text = |line: &Line| serde_json::to_string(line).unwrap() + "\n";
        lines.iter().map(text).collect()
    }
}

/// A router from whose first input on all is recorded.
fn recorded(on_a: InterfaceConfig<Ipv4>) -> Router {
    let mut router = Router::bare();
    router.auth = on_a.auth.clone();
    router.tape = Some(Tape::new());
    router.input(Input::WallClock(UnixTime(NOW)));
    router.up(setup(A, "10.0.12.1/24", on_a));
    router.up(setup(B, "10.0.13.1/24", InterfaceConfig::default()));
    router.advance(Duration::from_secs(6));
    router
}

/// Plays a text; fails where anything else comes of it.
fn play(text: &str) -> Player<Ipv4> {
    let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let Some(Line::Engine(start)) = lines.next() else {
        panic!("no engine first");
    };
    let mut player = Player::<Ipv4>::new(&start).unwrap();
    while let Some(line) = lines.next() {
        let Line::Input(input) = line else {
            panic!("outputs are counted: {line:?}");
        };
        let outputs = lines.by_ref().take(input.outputs as usize);
        let outputs: Vec<_> = outputs
            .map(|line| match line {
                Line::Output(output) => output,
                other => panic!("an output is missing: {other:?}"),
            })
            .collect();
        let played = player.play(input.at, &input.what).unwrap();
        assert_eq!(played, outputs, "{:?}", input.what);
        let words = Words::new(player.names());
        assert!(!words.input::<Ipv4>(&input.what).is_empty());
        assert!(played.iter().all(|o| !words.output::<Ipv4>(o).is_empty()));
    }
    player
}

/// Plays what a router has done, and compares all that can be seen of both.
fn assert_plays(router: &Router) {
    let text = router.tape.as_ref().unwrap().text();
    assert!(!text.contains(SECRET));
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!text.contains(&hex), "a secret is in the recording");
    let player = play(&text);
    assert_eq!(player.errors(), router.rip.errors());
    let routes: Vec<_> = player.routes().collect();
    let last = router.tape.as_ref().unwrap().lines.last().unwrap().0.at;
    let last = Instant::from_micros(last);
    let expected: Vec<_> = router.rip.routes(last).collect();
    assert_eq!(routes, expected);
    assert_eq!(player.neighbors(), router.rip.neighbors(last));
}

fn key(id: u8, secret: &str) -> Key {
    Key {
        id,
        secret: Secret::new(secret),
        send: Window::default(),
        accept: Window::default(),
    }
}

/// One that is accepted, and one whose time is over.
fn keys(kind: AuthType) -> Auth {
    let old = Key {
        accept: Window {
            from: None,
            until: Some(UnixTime(NOW - 1)),
        },
        send: Window {
            from: None,
            until: Some(UnixTime(NOW - 1)),
        },
        ..key(8, "Rosebud!-old")
    };
    Auth::new(kind, AuthLength::Rfc, vec![key(7, SECRET), old]).unwrap()
}

fn with_auth(kind: AuthType) -> InterfaceConfig<Ipv4> {
    InterfaceConfig {
        auth: Some(keys(kind)),
        ..Default::default()
    }
}

/// A response, signed by one of several people.
fn signed(kind: AuthType, signer: usize, sequence: u32, metric: u32) -> Vec<u8> {
    let packet = response(&[rte("20.0.0.0/8", metric)]);
    let own = keys(kind);
    let wrong = Auth::new(kind, AuthLength::Rfc, vec![key(7, "Rosebud!-wrong")]).unwrap();
    let unknown = Auth::new(kind, AuthLength::Rfc, vec![key(9, SECRET)]).unwrap();
    let (auth, key) = match signer {
        0 => (&own, &own.keys()[0]),
        1 => (&own, &own.keys()[1]),
        2 => (&wrong, &wrong.keys()[0]),
        3 => (&unknown, &unknown.keys()[0]),
        _ => return packet,
    };
    auth::sign(auth, key, sequence, packet)
}

/// The reasons for which something was refused.
fn refused(router: &Router) -> Vec<Reject> {
    let rows = router.rip.errors().into_iter();
    let some = rows.filter(|row| row.count > 0);
    some.map(|row| row.reason).collect()
}

#[test]
fn every_input_is_played_as_it_was_recorded() {
    let mut router = recorded(InterfaceConfig {
        neighbors: vec![addr(A3)],
        ..Default::default()
    });
    router.hear(A2, &[rte("20.0.0.0/8", 1), rte("30.0.0.0/8", 16)]);
    router.datagram(B, B2, 4711, &raw(1, 2, &[Ipv4::table_request()]));
    router.datagram(B, B2, 520, b"\x02\x02");
    for change in [
        Redistribute::Update {
            prefix: net("40.0.0.0/8"),
            metric: metric(3),
            tag: 9,
            next_hop: Some(addr("10.0.12.9")),
        },
        Redistribute::Withdraw {
            prefix: net("40.0.0.0/8"),
        },
    ] {
        router.input(Input::Redistribute(change));
        router.advance(Duration::from_secs(6));
    }
    router.input(Input::Request(A));
    router.input(Input::Clear(Clear::Neighbor(addr(A2))));
    router.hear(A2, &[rte("20.0.0.0/8", 1)]);
    router.input(Input::Clear(Clear::Routes));
    router.input(Input::Clear(Clear::Counters));
    let tuning = Tuning {
        settle: Duration::from_secs(3),
        paths: 4,
        ..Tuning::default()
    };
    router.input(Input::Reconfigure(tuning));
    router.hear(B2, &[rte("20.0.0.0/8", 1)]);
    router.advance(Duration::from_secs(200));
    router.input(Input::InterfaceDown(B));
    router.input(Input::InterfaceRemove(A));
    router.advance(Duration::from_secs(1));
    router.up(setup(B, "10.0.13.1/24", InterfaceConfig::default()));
    router.advance(Duration::from_secs(40));
    router.input(Input::Shutdown);
    router.advance(Duration::from_secs(2));
    let lines = router.tape.as_ref().unwrap().lines.iter();
    let kinds: HashSet<_> = lines.map(|(input, _)| discriminant(&input.what)).collect();
    assert_eq!(kinds.len(), 14, "every kind");
    assert_plays(&router);
}

#[test]
fn packets_signed_with_stand_ins_get_the_verdict_that_they_got() {
    for kind in AuthType::ALL {
        let mut router = recorded(with_auth(kind));
        let number = NOW as u32;
        router.datagram(A, A2, 520, &signed(kind, 0, number, 1));
        assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 2)));
        for signer in 1..5 {
            router.datagram(A, A2, 520, &signed(kind, signer, number, 2));
        }
        // Older, and longer than it says, and of another type.
        router.datagram(A, A2, 520, &signed(kind, 0, number - 5, 3));
        let mut long = signed(kind, 0, number, 3);
        long.extend(SECRET.as_bytes());
        router.datagram(A, A2, 520, &long);
        let other = match kind {
            AuthType::Text => AuthType::Md5,
            _ => AuthType::Text,
        };
        router.datagram(A, A2, 520, &signed(other, 0, number, 4));
        // Where nothing is authenticated, and cut off within the password.
        router.datagram(B, B2, 520, &signed(kind, 0, number, 1));
        router.datagram(B, B2, 520, &signed(AuthType::Text, 0, number, 1)[..19]);
        router.advance(Duration::from_secs(60));
        let reasons = refused(&router);
        let expected = [
            Reject::AuthFailed,
            Reject::AuthMissing,
            Reject::AuthType,
            Reject::UnexpectedAuth,
        ];
        assert!(
            expected.iter().all(|reason| reasons.contains(reason)),
            "{reasons:?}"
        );
        if kind != AuthType::Text {
            let more = [
                Reject::AuthKeyTime,
                Reject::AuthUnknownKey,
                Reject::AuthReplay,
                Reject::AuthMalformed,
            ];
            assert!(
                more.iter().all(|reason| reasons.contains(reason)),
                "{reasons:?}"
            );
        }
        assert_plays(&router);
    }
}

#[test]
fn ripng_is_played_as_it_was_recorded() {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap();
    let mut recorder = Recorder::<Ipv6>::default();
    let start = recorder.start(1, Instant::ZERO, &config());
    let mut rip = Rip::<Ipv6>::new(config());
    let mut player = Player::<Ipv6>::new(&start).unwrap();
    let mut now = Instant::from_secs(1);
    let mut done = 0;
    let mut both = |now: Instant, input: Input<'_, Ipv6>| {
        let what = recorder.input(&input);
        let text = serde_json::to_string(&what).unwrap();
        let mut actions = Actions::default();
        rip.handle(now, input, &mut actions);
        let outputs = recorder.outputs(Since::default(), &actions);
        done += outputs.len();
        let played = player.play(now.as_micros(), &serde_json::from_str(&text).unwrap());
        assert_eq!(played.unwrap(), outputs, "{text}");
        (rip.next_deadline(), done)
    };
    both(
        now,
        Input::InterfaceUp(InterfaceSetup {
            ifindex: A,
            name: "eth1".to_owned(),
            mtu: 1500,
            addresses: vec![Address {
                local: address("fe80::1"),
                subnet: "fe80::/64".parse().unwrap(),
            }],
            config: InterfaceConfig::default(),
        }),
    );
    // A prefix that begins as authentication of RIPv2 does is none here.
    for first in [0x20, 0xff] {
        let mut payload = vec![2, 1, 0, 0];
        payload.extend([first, first, 0x0d, 0xb8, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7]);
        payload.extend([0, 0, 32, 1]);
        let datagram = Datagram {
            ifindex: A,
            source: address("fe80::2"),
            source_port: Ipv6::PORT,
            hop_limit: Some(255),
            multicast: true,
            payload: &payload,
        };
        both(now, Input::Datagram(datagram));
    }
    for _ in 0..10 {
        let (deadline, _) = both(now, Input::Deadline);
        now = deadline.unwrap().max(now);
    }
    let (_, done) = both(now, Input::Shutdown);
    assert!(done > 3, "{done}");
    let words = Words::new(player.names());
    let down = words.input::<Ipv6>(&What::InterfaceDown(A.0));
    assert_eq!(down, "eth1 is down");
}

#[test]
fn a_key_that_changes_is_another_one_in_the_recording() {
    let mut router = recorded(with_auth(AuthType::Md5));
    router.datagram(A, A2, 520, &signed(AuthType::Md5, 0, NOW as u32, 1));
    let keys = vec![key(7, "Rosebud!-wrong")];
    let new = Auth::new(AuthType::Md5, AuthLength::OldRipd, keys).unwrap();
    router.auth = Some(new.clone());
    let config = InterfaceConfig {
        auth: Some(new),
        ..Default::default()
    };
    router.up(setup(A, "10.0.12.1/24", config));
    // What was wrong is right now, and the other way round.
    router.datagram(A, A2, 520, &signed(AuthType::Md5, 2, NOW as u32, 3));
    assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 4)));
    router.datagram(A, A2, 520, &signed(AuthType::Md5, 0, NOW as u32, 1));
    assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 4)));
    router.advance(Duration::from_secs(60));
    assert_plays(&router);
}

#[test]
fn passwords_that_stand_where_none_belongs_are_blanked() {
    let mut password = entry(0xffff, "0.0.0.0", "0.0.0.0", "0.0.0.0", 0);
    password[2..4].copy_from_slice(&[0, 2]);
    password[4..12].copy_from_slice(SECRET.as_bytes());
    let good = Ipv4::encode(&rte("20.0.0.0/8", 1));
    let mut router = recorded(InterfaceConfig::default());
    for version in 1..4 {
        router.datagram(A, A2, 520, &raw(2, version, &[good, password]));
        router.datagram(A, A2, 520, &raw(2, version, &[password, password, good]));
    }
    let mut cut = raw(2, 2, &[good, password]);
    cut.truncate(40);
    router.datagram(A, A2, 520, &cut);
    assert_plays(&router);
}

#[test]
fn records_that_no_daemon_makes_are_refused() {
    let start = Recorder::<Ipv4>::default().start(1, Instant::from_secs(5), &config());
    assert_eq!(Player::<Ipv6>::new(&start).err(), Some(Unfit::Protocol));
    let with = |tuning| {
        Player::<Ipv4>::new(&EngineRecord {
            tuning,
            ..start.clone()
        })
        .err()
    };
    let never = TuningRecord {
        update: 0,
        ..start.tuning
    };
    assert_eq!(with(never), Some(Unfit::Timer("update", 0)));
    let none = TuningRecord {
        paths: 0,
        ..start.tuning
    };
    assert_eq!(with(none), Some(Unfit::Count("ecmp", 0)));

    let mut player = Player::<Ipv4>::new(&start).unwrap();
    let mut refused = |at, json: &str| {
        let what: What = serde_json::from_str(json).unwrap();
        player.play(at, &what).unwrap_err()
    };
    assert_eq!(refused(4_999_999, r#""deadline""#), Unfit::Backwards);
    let family = refused(5_000_000, r#"{"clear-neighbor":"fe80::1"}"#);
    assert_eq!(family, Unfit::Family("fe80::1".into()));
    let metric = r#"{"redistribute":{"prefix":"20.0.0.0/8","metric":17,"tag":0,"next-hop":null}}"#;
    assert_eq!(refused(5_000_000, metric), Unfit::Metric(17));
    for damaged in [
        r#"{"datagram":{}}"#,
        r#"{"deadline":1}"#,
        r#"{"interface-down":-1}"#,
        r#"{"unheard-of":1}"#,
        r#"{"redistribute-no-more":{"prefix":"20.0.0.0/99"}}"#,
    ] {
        assert!(serde_json::from_str::<What>(damaged).is_err(), "{damaged}");
    }
}

#[test]
fn a_record_of_each_kind_has_the_shape_that_is_documented() {
    let mut router = recorded(with_auth(AuthType::Md5));
    router.datagram(A, A2, 520, &signed(AuthType::Md5, 0, NOW as u32, 1));
    let text = router.tape.as_ref().unwrap().text();
    let line = |begin: &str| text.lines().find(|line| line.contains(begin)).unwrap();
    assert_eq!(
        line("{\"engine\":{"),
        "{\"engine\":{\"engine\":1,\"at\":0,\"protocol\":\"rip\",\"seed\":1,\"sequence\":0,\
         \"tuning\":{\"update\":30000000,\"timeout\":180000000,\"garbage\":120000000,\
         \"max-routes\":1048576,\"paths\":1,\"settle\":0}}}"
    );
    assert_eq!(
        line("wall-clock"),
        "{\"input\":{\"engine\":1,\"at\":1000000000,\"outputs\":0,\"what\":{\"wall-clock\":1000000}}}"
    );
    assert!(line("interface-up").contains(
        "\"auth\":{\"type\":\"md5\",\"long\":false,\"keys\":[{\"id\":7,\"secret\":0,\
         \"send\":{\"from\":null,\"until\":null}"
    ));
    assert!(line("datagram").contains("\"payload\":\"02020000ffff0003"));
    assert_eq!(
        line("\"route\""),
        "{\"output\":{\"route\":{\"prefix\":\"20.0.0.0/8\",\"metric\":2,\"tag\":0,\
         \"nexthops\":[{\"via\":\"10.0.12.2\",\"ifindex\":1}]}}}"
    );
}

#[test]
fn records_are_told_in_words() {
    let names = BTreeMap::from([(A, "eth1".to_owned())]);
    let words = Words::new(&names);
    let mut router = recorded(with_auth(AuthType::Md5));
    router.datagram(A, A2, 520, &signed(AuthType::Md5, 0, 77, 1));
    let (input, outputs) = router.tape.unwrap().lines.pop().unwrap();
    assert_eq!(
        words.input::<Ipv4>(&input.what),
        "heard 10.0.12.2 on eth1: response 2 with 1 entry, digest by key 7 number 77: \
         20.0.0.0/8 metric 1"
    );
    assert_eq!(
        words.output::<Ipv4>(&outputs[0]),
        "uses 20.0.0.0/8 via 10.0.12.2 dev eth1 metric 2"
    );
}

/// What may be done to a packet on its way.
fn damage() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((0..100_usize, any::<u8>()), 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_history_is_played_again_with_the_same_outputs(
        kind in prop::option::of(prop::sample::select(AuthType::ALL.to_vec())),
        steps in prop::collection::vec(steps(), 1..40),
    ) {
        let mut router = recorded(kind.map_or_else(InterfaceConfig::default, with_auth));
        for step in steps {
            // Another configuration would have other keys than the test opens with.
            if !matches!(step, Step::Up(..)) || kind.is_none() {
                take(&mut router, step);
            }
        }
        router.input(Input::Shutdown);
        router.advance(Duration::from_secs(10));
        assert_plays(&router);
    }

    #[test]
    fn any_damaged_packet_gets_the_same_verdict_and_shows_no_secret(
        configured in prop::sample::select(AuthType::ALL.to_vec()),
        packets in prop::collection::vec(
            (
                prop::sample::select(AuthType::ALL.to_vec()),
                0..5_usize,
                0..3_u32,
                damage(),
                prop::option::of(0..100_usize),
            ),
            1..12,
        ),
    ) {
        let mut router = recorded(with_auth(configured));
        for (kind, signer, sequence, damage, cut) in packets {
            let mut packet = signed(kind, signer, sequence, 1);
            for (at, byte) in damage {
                // Whole secrets are to be looked for.
                if let Some(place) = packet.get_mut(at).filter(|_| !(8..24).contains(&at)) {
                    *place = byte;
                }
            }
            packet.truncate(cut.unwrap_or(usize::MAX));
            router.datagram(A, A2, 520, &packet);
            router.datagram(B, B2, 520, &packet);
        }
        let text = router.tape.as_ref().unwrap().text();
        prop_assert_eq!(play(&text).errors(), router.rip.errors());
    }

    #[test]
    fn a_hostile_recording_does_no_harm(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut router = recorded(with_auth(AuthType::Md5));
        router.hear(B2, &[rte("20.0.0.0/8", 1)]);
        router.advance(Duration::from_secs(60));
        let mut text = router.tape.as_ref().unwrap().text().into_bytes();
        for (place, byte) in places {
            let at = place.index(text.len());
            // A digit more often than not: that is still JSON.
            text[at] = if text[at].is_ascii_digit() { b'0' + byte % 10 } else { byte };
        }
        let mut player = None;
        for line in text.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::Engine(start)) => player = Player::<Ipv4>::new(&start).ok(),
                Ok(Line::Input(input)) => {
                    let player = player.as_mut();
                    let played = player.map(|player| player.play(input.at, &input.what));
                    drop(played);
                }
                _ => {}
            }
        }
    }
}
