//! The binary as a person at a terminal meets it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

struct Place {
    base: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place {
            base: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// The binary with all its directories in this place.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forwarder"));
        for (option, name) in [
            ("--run-dir", "run"),
            ("--bpf-dir", "bpf"),
            ("--state-dir", "state"),
        ] {
            command.arg(option).arg(self.path(name));
        }
        command
            .args(arguments)
            .env_remove("RUST_LOG")
            .env_remove("JOURNAL_STREAM");
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        self.command(arguments).output().unwrap().into()
    }

    /// A daemon that gives these answers, one connection each.
    fn daemon(&self, instance: &str, answers: &[(&'static str, u16, String)]) {
        let dir = self.path("run").join(instance);
        std::fs::create_dir_all(&dir).unwrap();
        let listener = UnixListener::bind(dir.join("api.sock")).unwrap();
        let answers = answers.to_vec();
        thread::spawn(move || serve(&listener, &answers, &dir));
    }
}

fn serve(listener: &UnixListener, answers: &[(&'static str, u16, String)], dir: &Path) {
    for (request, status, body) in answers {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = [0; 4096];
        let length = stream.read(&mut heard).unwrap();
        let heard = String::from_utf8_lossy(&heard[..length]).into_owned();
        assert!(heard.starts_with(request), "{heard} is not {request}");
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
        // The reader may have gone, as in `| head`.
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()));
    }
    std::fs::remove_file(dir.join("api.sock")).unwrap();
}

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Answer {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/forwarder.toml");

#[test]
fn the_shipped_configuration_is_ok() {
    let answer = Place::new().run(&["run", "--check", "--config", EXAMPLE]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert_eq!(
        answer.stdout,
        "configuration ok\n  \
         ports: every Ethernet device that is up and has an address; attach auto, engine multibit\n  \
         kernel: routes exported as protocol 210 metric 15; other daemons' routes followed\n  \
         static routes: 0\n  \
         rip: off\n"
    );
}

#[test]
fn a_good_configuration_is_summed_up() {
    let place = Place::new();
    let text = "[dataplane]\ninterfaces = [\"eth*\"]\n[kernel]\nexport = false\n\
                [rip]\ninterfaces = [\"eth*\"]\n[[rip.interface]]\nname = \"tun0\"\n";
    let file = place.write("f.toml", text);
    let answer = place.run(&["run", "--check", "--config", &file]);
    assert!(answer.stdout.contains("ports: eth*;"), "{}", answer.stdout);
    assert!(
        answer.stdout.contains("no routes exported"),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains("rip: version 2 on eth*, tun0\n"),
        "{}",
        answer.stdout
    );
}

#[test]
fn a_bad_configuration_is_one_error_with_its_place() {
    let place = Place::new();
    let file = place.write("f.toml", "[kernel]\nprotocol = 189\n");
    for arguments in [
        &["run", "--check", "--config", &file][..],
        &["detach", "--config", &file],
    ] {
        let answer = place.run(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""));
        let expected = format!(
            "error: {file}:2:12: protocol 189 belongs to rip\n  |\n2 | protocol = 189\n  \
             |            ^^^\n  = help: routes with that number would be taken for its own; \
             210 is free by default\n"
        );
        assert_eq!(answer.stderr, expected);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Place::new();
    let answer = place.run(&["run", "--check", "--config", "/nowhere/f.toml"]);
    assert_eq!(answer.code, Some(1));
    assert!(
        answer
            .stderr
            .starts_with("error: cannot read the configuration file /nowhere/f.toml: No"),
        "{}",
        answer.stderr
    );
    std::fs::write(place.path("binary"), [0xff, 0xfe]).unwrap();
    let file = place.path("binary").display().to_string();
    let answer = place.run(&["run", "--check", "--config", &file]);
    assert!(answer.stderr.contains("not UTF-8"), "{}", answer.stderr);
    let directory = place.base.path().display().to_string();
    let answer = place.run(&["run", "--check", "--config", &directory]);
    assert!(
        answer.stderr.contains("Is a directory"),
        "{}",
        answer.stderr
    );
}

#[test]
fn without_a_daemon_every_verb_says_how_to_start_one() {
    let place = Place::new();
    for verb in [
        &["show", "status"][..],
        &["show", "routes"],
        &["show", "routes", "10.0.0.1"],
        &["show", "interfaces"],
        &["show", "neighbors"],
        &["show", "nexthops"],
        &["show", "counters"],
        &["show", "fib"],
        &["show", "rip"],
        &["show", "rip", "errors"],
        &["reload"],
        &["stop"],
        &["rip", "clear", "routes"],
        &["rip", "request", "eth1"],
    ] {
        let answer = place.run(verb);
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (Some(1), ""),
            "{verb:?}"
        );
        let text = "error: no forwarder is running as instance \"default\"";
        assert!(
            answer.stderr.starts_with(text),
            "{verb:?}: {}",
            answer.stderr
        );
        assert!(
            answer.stderr.contains("forwarder run --config FILE"),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn an_unknown_instance_lists_those_that_run() {
    let place = Place::new();
    place.daemon("r1", &[("never asked", 200, String::new())]);
    let answer = place.run(&["--instance", "r2", "show", "status"]);
    assert!(
        answer.stderr.contains("instance \"r2\""),
        "{}",
        answer.stderr
    );
    assert!(
        answer.stderr.ends_with("--instance: r1\n"),
        "{}",
        answer.stderr
    );
}

#[test]
fn what_is_not_understood_exits_with_2() {
    let place = Place::new();
    for (arguments, text) in [
        (&[][..], "Usage: forwarder"),
        (&["frobnicate"], "unrecognized subcommand"),
        (&["show"], "Usage: forwarder show"),
        (
            &["show", "routes", "10.0.0.0/33"],
            "expected an IPv4 prefix",
        ),
        (&["show", "routes", "--table", "7"], "main, local, all"),
        (&["--instance", "../x", "show", "status"], "letters, digits"),
        (&["rip", "clear", "neighbor", "eth1"], "invalid value"),
        (&["run", "--chek"], "--check"),
    ] {
        let answer = place.run(arguments);
        assert_eq!(answer.code, Some(2), "{arguments:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains(text),
            "{arguments:?}: {}",
            answer.stderr
        );
        assert_eq!(answer.stdout, "", "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_answers() {
    let place = Place::new();
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["show", "--help"],
        &["help", "run"],
    ] {
        let answer = place.run(arguments);
        assert_eq!(answer.code, Some(0), "{arguments:?}");
        assert!(answer.stdout.contains("forwarder"), "{}", answer.stdout);
    }
}

#[test]
fn global_options_go_before_or_after_the_verb() {
    let place = Place::new();
    let fib = r#"{"engine":"lpm-trie","prefixes":0,"host_routes":0,"nexthops":0,"adjacencies":0,"own_addresses":0,"overflow":0,"rows_used":0,"rows":0,"bytes":0,"ipv6":{"prefixes":0,"host_routes":0,"own_addresses":0,"rows_used":0,"rows":0}}"#;
    place.daemon(
        "a",
        &[
            ("GET /v1/fib ", 200, fib.into()),
            ("GET /v1/fib ", 200, fib.into()),
        ],
    );
    let answer = place.run(&["show", "fib", "--json", "--instance", "a"]);
    assert_eq!(
        answer.stdout,
        format!("{fib}\n"),
        "the daemon's own words: {}",
        answer.stderr
    );
    let answer = place.run(&["--instance", "a", "show", "fib"]);
    assert!(answer.stdout.starts_with("ENGINE"), "{}", answer.stdout);
}

#[test]
fn routes_are_asked_for_by_prefix_address_and_table() {
    let place = Place::new();
    place.daemon(
        "default",
        &[
            ("GET /v1/routes?table=main ", 200, "[]".into()),
            (
                "GET /v1/routes?table=main&prefix=10.0.0.0/8 ",
                200,
                "[]".into(),
            ),
            (
                "GET /v1/routes?table=main&prefix=0.0.0.0/0 ",
                200,
                "[]".into(),
            ),
            ("GET /v1/routes?table=local ", 200, "[]".into()),
            (
                "GET /v1/lookup?address=10.1.2.3 ",
                400,
                r#"{"error":"no","hint":"so"}"#.into(),
            ),
        ],
    );
    for arguments in [
        &["show", "routes"][..],
        &["show", "routes", "10.1.2.3/8"],
        &["show", "routes", "default"],
        &["show", "routes", "--table", "local"],
    ] {
        let answer = place.run(arguments);
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (Some(0), "no routes\n"),
            "{arguments:?}"
        );
    }
    let answer = place.run(&["show", "routes", "10.1.2.3"]);
    assert_eq!(
        (answer.code, answer.stderr.as_str()),
        (Some(1), "error: no\nhint: so\n")
    );
}

#[test]
fn stop_returns_when_the_socket_is_gone() {
    let place = Place::new();
    let done = r#"{"message":"stopping"}"#.to_owned();
    place.daemon("default", &[("POST /v1/stop ", 200, done)]);
    let answer = place.run(&["stop"]);
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (Some(0), "stopped\n"),
        "{}",
        answer.stderr
    );
    assert!(!place.path("run/default/api.sock").exists());
}

#[test]
fn stop_tells_of_a_daemon_that_ended_without_cleaning_up() {
    let place = Place::new();
    let done = r#"{"message":"stopping"}"#.to_owned();
    place.daemon("default", &[("POST /v1/stop ", 200, done)]);
    std::fs::write(place.path("run/default/pid"), "4711\n").unwrap();
    let answer = place.run(&["stop"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""));
    assert!(
        answer.stderr.contains("forwarder detach"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_run_directory_that_cannot_be_made_is_named_once() {
    let place = Place::new();
    let file = place.write("run", "no directory");
    for verb in ["run", "detach"] {
        let answer = place.run(&[verb, "--config", EXAMPLE]);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""));
        let expected = format!(
            "error: cannot create the directory {file}/default: Not a directory (os error 20)\n"
        );
        assert_eq!(answer.stderr, expected);
    }
}

#[test]
fn rip_commands_are_sent_as_json() {
    let place = Place::new();
    let done = || r#"{"message":"done"}"#.to_owned();
    place.daemon(
        "default",
        &[
            ("POST /v1/rip/clear ", 200, done()),
            ("POST /v1/rip/request ", 200, done()),
        ],
    );
    let answer = place.run(&["rip", "clear", "neighbor", "192.0.2.1"]);
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (Some(0), "done\n"),
        "{}",
        answer.stderr
    );
    let answer = place.run(&["rip", "request", "eth1", "--json"]);
    assert_eq!(answer.stdout, "{\"message\":\"done\"}\n");
}

/// `forwarder show routes | head -1` of a table that does not fit into a pipe.
#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let route = r#"{"table":"main","prefix":"198.51.100.0/24","selected":true,"source":"rip","owner":"forwarder","distance":120,"metric":2,"tag":0,"age":62,"flags":[],"reason":"selected","nexthops":[],"installed":{"kernel":true,"xdp":true}}"#;
    let table = format!("[{}]", vec![route; 5000].join(","));
    for json in [false, true] {
        place.daemon("default", &[("GET /v1/routes", 200, table.clone())]);
        let mut command = place.command(&["show", "routes"]);
        if json {
            command.arg("--json");
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut byte = [0];
        child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
        let answer: Answer = child.wait_with_output().unwrap().into();
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn json_goes_to_stdout_and_errors_to_stderr() {
    let place = Place::new();
    place.daemon(
        "default",
        &[(
            "POST /v1/reload ",
            409,
            r#"{"error":"f.toml:1:1: x","hint":null}"#.into(),
        )],
    );
    let answer = place.run(&["reload", "--json"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""));
    assert_eq!(answer.stderr, "error: f.toml:1:1: x\n");
}

/// Root or not: what is wrong with the arguments is said before anything is done.
#[test]
fn a_measurement_of_nothing_is_a_usage_error_that_says_what_can_be() {
    let place = Place::new();
    for (arguments, hint) in [
        (&["bench", "forward", "--routes", "0"][..], "1..=4000000"),
        (&["bench", "forward", "--ways", "teleport"], "ip-forward"),
        (&["bench", "forward", "--destinations", "0"], "zipf"),
        (&["bench", "forward", "--batch", "257"], "1..=256"),
        (&["bench", "forward", "--next-hops", "0"], "1..=200"),
        (
            &["bench", "fib", "--engine", "dir24"],
            "multibit, lpm-trie or kernel",
        ),
        (
            &["bench", "program", "--engine", "kernel"],
            "multibit or lpm-trie",
        ),
        (
            &["bench", "fib", "--routes", "5", "--file", "x"],
            "cannot be used with",
        ),
    ] {
        let answer = place.run(arguments);
        assert_eq!(answer.code, Some(2), "{arguments:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains(hint),
            "{arguments:?}: {}",
            answer.stderr
        );
    }
}

#[test]
fn a_bad_line_of_a_table_to_measure_is_named_by_file_and_number() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: measuring needs root");
        return;
    }
    let place = Place::new();
    let bad = place.write("bad", "192.0.2.0/24\n192.0.2.0/44\n");
    let empty = place.write("empty", "# nothing\n");
    for (file, hint) in [
        (bad.as_str(), "line 2"),
        (empty.as_str(), "holds no ipv4 prefix"),
        ("/no/such/table", "opening /no/such/table"),
    ] {
        let answer = place.run(&["bench", "fib", "--file", file]);
        assert_eq!(answer.code, Some(1), "{file}: {}", answer.stderr);
        assert!(answer.stderr.contains(hint), "{file}: {}", answer.stderr);
    }
}
