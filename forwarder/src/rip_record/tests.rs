//! Files of recordings: made, limited, refused, cut off, damaged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as StdInstant};

use forwarder_core::net::{Ifindex, Ipv4};
use forwarder_core::rip::record::{Ending, Since};
use forwarder_core::rip::{
    Actions, Address, Config, Datagram, Input, InterfaceConfig, InterfaceSetup, Metric,
    Redistribute, Rip, Tuning, UnixTime,
};
use forwarder_core::time::Instant;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// An engine that is recorded.
struct Recorded {
    rip: Rip<Ipv4>,
    tap: Tap<Ipv4>,
    now: Instant,
}

impl Recorded {
    fn new(recording: &Recording) -> Self {
        let config = Config {
            tuning: Tuning::default(),
            seed: 7,
            sequence: 0,
        };
        let now = Instant::from_secs(3600);
        Recorded {
            rip: Rip::new(config),
            tap: Tap::new(recording.clone(), now, &config),
            now,
        }
    }

    fn input(&mut self, input: Input<'_, Ipv4>) {
        let mut actions = Actions::default();
        let what = self.tap.input(&input);
        self.rip.handle(self.now, input, &mut actions);
        if let Some(what) = what {
            let since = Since::default();
            self.tap.outputs(self.now, what, since, &actions);
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.rip.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Deadline);
        }
        self.now = end;
        self.tap.flush();
    }

    /// Two minutes with a neighbour that offers 20.0.0.0/8.
    fn live(&mut self) {
        self.input(Input::WallClock(UnixTime(1_000_000)));
        self.input(Input::InterfaceUp(InterfaceSetup {
            ifindex: Ifindex(3),
            name: "eth1".to_owned(),
            mtu: 1500,
            addresses: vec![Address {
                local: [10, 0, 12, 1].into(),
                subnet: "10.0.12.0/24".parse().unwrap(),
            }],
            config: InterfaceConfig::default(),
        }));
        for _ in 0..4 {
            let mut payload = vec![2, 2, 0, 0, 0, 2, 0, 0, 20, 0, 0, 0, 255, 0, 0, 0];
            payload.extend([0, 0, 0, 0, 0, 0, 0, 1]);
            self.input(Input::Datagram(Datagram {
                ifindex: Ifindex(3),
                source: [10, 0, 12, 2].into(),
                source_port: 520,
                hop_limit: Some(1),
                multicast: true,
                payload: &payload,
            }));
            self.pass(Duration::from_secs(30));
        }
    }
}

fn in_directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rip.jsonl");
    (directory, path)
}

/// Waits for the thread.
fn finish(recording: Recording) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(recording.finish());
}

/// The text of a recording.
fn made() -> String {
    let (_directory, path) = in_directory();
    let recording = Recording::create(&path, "default", 0).unwrap();
    Recorded::new(&recording).live();
    finish(recording);
    fs::read_to_string(path).unwrap()
}

/// Plays a text to its end.
fn play(text: &[u8]) -> Result<Replay<&[u8]>, String> {
    let reader = Reader::new("rip.jsonl".to_owned(), text).map_err(|error| error.to_string())?;
    let mut replay = Replay::new(reader, None);
    while replay.step().map_err(|error| error.to_string())?.is_some() {}
    Ok(replay)
}

fn refused(text: &[u8]) -> String {
    play(text).err().expect("a damaged file")
}

/// The prefixes in the table at the end.
fn table(replay: &Replay<&[u8]>) -> Vec<String> {
    let engine = replay.engine(1).unwrap();
    let Family::V4(player) = &engine.player else {
        panic!("IPv4");
    };
    player.routes().map(|row| row.prefix.to_string()).collect()
}

#[test]
fn what_is_recorded_is_played_with_the_same_outputs() {
    let text = made();
    let replay = play(text.as_bytes()).unwrap();
    assert_eq!(replay.difference(), None);
    assert_eq!(replay.ending(), Some(Ending::Stopped));
    assert_eq!(replay.reader().header().instance, "default");
    let engine = replay.engine(1).unwrap();
    assert_eq!(engine.inputs["datagrams"], 4);
    assert_eq!(table(&replay), ["10.0.12.0/24", "20.0.0.0/8"]);
    let outputs = text.matches("{\"output\":").count() as u64;
    assert_eq!(replay.outputs(), outputs);
    assert!(outputs > 4, "{text}");
}

#[test]
fn a_recording_is_private_and_never_replaces_a_file() {
    let (_directory, path) = in_directory();
    finish(Recording::create(&path, "default", 0).unwrap());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    let error = Recording::create(&path, "default", 0).unwrap_err();
    assert!(
        format!("{error:#}").contains("is not written over"),
        "{error:#}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
    let nowhere = path.join("below-a-file");
    assert!(Recording::create(&nowhere, "default", 0).is_err());
}

#[test]
fn a_start_that_fails_leaves_no_file() {
    let (_directory, path) = in_directory();
    let recording = Recording::create(&path, "default", 0).unwrap();
    recording.discard();
    assert!(!path.exists());
}

#[test]
fn a_recording_ends_at_its_limit_and_can_be_played() {
    let (_directory, path) = in_directory();
    let recording = Recording::create(&path, "default", 5000).unwrap();
    let mut engine = Recorded::new(&recording);
    (0..5).for_each(|_| engine.live());
    let stopped = recording.status().stopped.expect("the limit");
    assert!(stopped.contains("--record-limit"), "{stopped}");
    finish(recording);
    let text = fs::read(&path).unwrap();
    assert!(text.len() < 5000 + 20, "{}", text.len());
    let replay = play(&text).unwrap();
    assert_eq!(replay.ending(), Some(Ending::Limit));
    assert_eq!(replay.difference(), None);
    assert!(replay.engine(1).unwrap().count() > 0);
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let full = Path::new("/dev/full");
    let file = OpenOptions::new().write(true).open(full).unwrap();
    let recording = Recording::begin(file, full, "default", 0).unwrap();
    let mut engine = Recorded::new(&recording);
    let end = StdInstant::now() + Duration::from_secs(20);
    while recording.status().stopped.is_none() {
        assert!(StdInstant::now() < end, "the error is not noticed");
        std::thread::sleep(Duration::from_millis(1));
    }
    engine.live();
    assert_eq!(engine.rip.routes(engine.now).count(), 2, "routing goes on");
    let status = recording.status();
    assert!(status.stopped.unwrap().contains("No space left"));
    assert_eq!(status.bytes, 0);
    finish(recording);
}

#[test]
fn a_disk_that_does_not_keep_up_ends_the_recording_and_holds_up_nobody() {
    // Whoever reads this pipe does not, yet.
    let (mut reader, writer) = io::pipe().unwrap();
    let file = File::from(OwnedFd::from(writer));
    let recording = Recording::begin(file, Path::new("pipe"), "default", 0).unwrap();
    let lines = vec![b'\n'; 1 << 20];
    for _ in 0..40 {
        recording.lines(lines.clone());
    }
    let stopped = recording.status().stopped.expect("the queue is bounded");
    assert!(stopped.contains("takes less"), "{stopped}");
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).map(|_| text)
    });
    finish(recording);
    let text = reading.join().unwrap().unwrap();
    assert!(text.len() < 34 << 20, "{}", text.len());
    assert!(text.ends_with(b"{\"end\":\"behind\"}\n"));
}

#[test]
fn what_came_later_than_until_is_not_played() {
    let text = made();
    let played = |until| {
        let reader = Reader::new("rip.jsonl".to_owned(), text.as_bytes()).unwrap();
        let mut replay = Replay::new(reader, until);
        while replay.step().unwrap().is_some() {}
        let engine = replay.engine(1).unwrap();
        let now = replay.since_start(engine.now());
        (replay.is_early(), engine.inputs["datagrams"], now)
    };
    let (early, datagrams, now) = played(Some(65_000_000));
    assert!(early && now <= 65_000_000, "{now}");
    assert_eq!(datagrams, 3);
    assert_eq!(played(Some(u64::MAX)), played(None));
    assert!(!played(None).0);
}

#[test]
fn many_routes_at_once_are_handed_over_in_parts() {
    let (_directory, path) = in_directory();
    let recording = Recording::create(&path, "default", 0).unwrap();
    let mut engine = Recorded::new(&recording);
    for n in 0..5000_u32 {
        let prefix = format!("20.{}.{}.0/24", n >> 8, n & 255).parse().unwrap();
        engine.input(Input::Redistribute(Redistribute::Update {
            prefix,
            metric: Metric::ONE,
            tag: 0,
            next_hop: None,
        }));
    }
    engine.pass(Duration::from_secs(1));
    finish(recording);
    let replay = play(&fs::read(&path).unwrap()).map(|replay| replay.outputs());
    assert!(replay.is_ok());
    assert!(fs::metadata(&path).unwrap().len() > 5 * (64 << 10));
}

#[test]
fn a_recording_that_was_cut_off_anywhere_is_played_up_to_there() {
    let text = made();
    let header = text.find('\n').unwrap() + 1;
    for end in (header..text.len()).step_by(7) {
        let replay = play(&text.as_bytes()[..end]).unwrap();
        assert_eq!(replay.ending(), None, "{end}");
        assert_eq!(replay.difference(), None, "{end}");
    }
    // Without the last line, which says how it ended.
    let whole = text.trim_end().rfind('\n').unwrap() + 1;
    let replay = play(&text.as_bytes()[..whole]).unwrap();
    assert_eq!(table(&replay), ["10.0.12.0/24", "20.0.0.0/8"]);
    assert!(!replay.reader().is_cut());
}

#[test]
fn the_first_difference_is_named_with_both_sides() {
    let text = made();
    let route = "{\"output\":{\"route\":{\"prefix\":\"20.0.0.0/8\",\"metric\":2";
    let line = text
        .lines()
        .position(|line| line.starts_with(route))
        .unwrap();
    let other = text.replace(route, &route.replace(":2", ":3"));
    let replay = play(other.as_bytes()).unwrap();
    let difference = replay.difference().unwrap();
    assert_eq!(difference.line, line as u64 + 1);
    let engine = replay.engine(1).unwrap();
    let tell = |output: &Option<_>| engine.tell_output(output.as_ref().unwrap());
    assert!(tell(&difference.recorded).ends_with("metric 3"));
    assert!(tell(&difference.replayed).ends_with("metric 2"));

    // An output that was not recorded, and one that does not come.
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let input = &lines[..line];
    let input = input
        .iter()
        .rposition(|line| line.starts_with("{\"input\""))
        .unwrap();
    let fewer = lines[input].replace("\"outputs\":2", "\"outputs\":1");
    assert_ne!(lines[input], fewer);
    lines[input] = fewer;
    lines.remove(line);
    let other = lines.join("\n") + "\n";
    let replay = play(other.as_bytes()).unwrap();
    assert!(replay.difference().unwrap().replayed.is_some());
}

#[test]
fn files_that_are_no_recordings_say_what_is_wrong_and_where() {
    let text = made();
    assert!(refused(b"").contains("is no recording of forwarder: make one with"));
    assert!(refused(b"\x7fELF\n").contains("is no recording"));
    let later = text.replacen("\"format\":1", "\"format\":2", 1);
    assert!(refused(later.as_bytes()).contains("is in format 2"));

    let lines: Vec<_> = text.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines.insert(at, line);
        refused((lines.join("\n") + "\n").as_bytes())
    };
    assert!(with(4, "{\"input\":").starts_with("rip.jsonl, line 5: no record"));
    assert!(with(2, lines[0]).contains("line 3: a second beginning"));
    assert!(with(2, lines[1]).contains("a second engine of this number"));
    let stray = lines
        .iter()
        .find(|line| line.starts_with("{\"output\""))
        .unwrap();
    assert!(with(2, stray).contains("an output of no input"));
    assert!(with(lines.len(), stray).contains("a record behind the end"));
    let other = lines[2].replace("\"engine\":1", "\"engine\":9");
    assert!(with(2, &other).contains("an engine that has not started"));
}

#[test]
fn a_line_without_end_costs_bounded_memory() {
    let mut text = made().into_bytes();
    text.resize(text.len() + (17 << 20), b'x');
    assert!(refused(&text).contains("more than 16777216 bytes"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        start in any::<bool>(),
    ) {
        let header = b"{\"recording\":{\"format\":1,\"forwarder\":\"0\",\"instance\":\"a\",\
            \"unix-time\":1}}\n";
        let mut text = if start { header.to_vec() } else { Vec::new() };
        text.extend(bytes);
        let _ = play(&text);
    }
}
