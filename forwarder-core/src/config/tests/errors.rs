//! A bad file gives one error, at the place, with what would be right.

use proptest::prelude::*;

use super::bad;
use crate::config::Config;

/// The mark points at `marked` in `text`, the message and the help hold these.
#[track_caller]
fn check(text: &str, marked: &str, message: &str, help: &str) {
    let error = bad(text);
    let line = text.lines().nth(error.line - 1).unwrap();
    let at: String = line.chars().skip(error.column - 1).collect();
    assert!(
        at.starts_with(marked),
        "points at {at:?}, not {marked:?}: {error}"
    );
    assert!(error.message.contains(message), "{error}");
    assert!(
        error.help.clone().unwrap_or_default().contains(help),
        "{error}"
    );
}

#[test]
fn the_error_shows_the_line_and_marks_the_place() {
    let error =
        bad("[rip]\ninterfaces = [\"eth*\"]\n\n[[rip.interface]]\nname = \"eth1\"\ncost = 17\n");
    assert_eq!((error.line, error.column), (6, 8));
    assert_eq!(
        error.to_string(),
        "test.toml:6:8: 17 is not within 1 to 15\n  \
           |\n\
         6 | cost = 17\n  \
           |        ^^\n  \
           = help: RIP counts from 1 to 15; 16 means unreachable (RFC 2453 §3.6)"
    );
}

#[test]
fn syntax_errors_have_a_place() {
    check("[dataplane\nattach = 1\n", "", "", "");
    let error = bad("[kernel]\nexport = yes\n");
    assert_eq!(error.line, 2, "{error}");
    let error = bad("[kernel]\nmetric = 1\nmetric = 2\n");
    assert_eq!((error.line, error.column), (3, 1), "{error}");
}

#[test]
fn unknown_keys_are_errors_at_every_level() {
    let known = "expected one of";
    check("dataplan = 1\n", "dataplan", "unknown key `dataplan`", "");
    check("[dataplane]\npin = true\n", "pin", known, "");
    check("[dataplane.punt]\narp = 1\n", "arp", known, "");
    check("[kernel]\nvrf = 1\n", "vrf", known, "");
    check("[distances]\negp = 1\n", "egp", known, "");
    check(
        "[[static]]\nprefix = \"10.0.0.0/8\"\ngateway = \"x\"\n",
        "gateway",
        known,
        "",
    );
    check(
        "static = [{ prefix = \"10.0.0.0/8\", via = [{ gw = \"x\" }] }]\n",
        "gw",
        "unknown key `gw`",
        "",
    );
    check("[rip]\nauth = 1\n", "auth", known, "");
    check(
        "[rip]\nredistribute = [{ source = \"static\", map = 1 }]\n",
        "map",
        known,
        "",
    );
    check(
        "[[rip.interface]]\nname = \"a\"\nkey = 1\n",
        "key",
        known,
        "",
    );
}

#[test]
fn wrong_types_and_missing_keys_say_what_is_expected() {
    check(
        "[kernel]\nexport = \"yes\"\n",
        "\"yes\"",
        "expected a boolean",
        "",
    );
    check(
        "[dataplane]\ninterfaces = \"eth0\"\n",
        "\"eth0\"",
        "expected a sequence",
        "",
    );
    check(
        "[[static]]\nvia = [\"192.0.2.1\"]\n",
        "[[static]]",
        "missing key `prefix`",
        "",
    );
    check(
        "[rip]\ninterface = [{ cost = 1 }]\n",
        "{ cost",
        "missing key `name`",
        "",
    );
    check(
        "[rip]\nredistribute = [7]\n",
        "7",
        "expected a source of routes",
        "",
    );
}

#[test]
fn words_are_from_a_list() {
    check(
        "[dataplane]\nengine = \"trie\"\n",
        "\"trie\"",
        "trie",
        "\"multibit\", \"lpm-trie\" and \"kernel\"",
    );
    check(
        "[dataplane]\nengine = \"dir-24-8\"\n",
        "\"dir-24-8\"",
        "dir-24-8",
        "lpm-trie",
    );
    check(
        "[dataplane]\nattach = \"offload\"\n",
        "\"offload\"",
        "`auto`, `native`, `generic`",
        "",
    );
    check(
        "[dataplane]\nbypass = [\"tc\", \"nft\"]\n",
        "\"nft\"",
        "`netfilter`",
        "",
    );
    check("[rip]\nversion = \"3\"\n", "\"3\"", "RIP version", "\"2\"");
    check(
        "[rip]\nredistribute = [\"bgp\"]\n",
        "\"bgp\"",
        "no source",
        "\"kernel\"",
    );
    check(
        "[rip]\nredistribute = [{ source = \"bgp\" }]\n",
        "\"bgp\"",
        "`kernel`",
        "",
    );
}

#[test]
fn prefixes_have_a_length_and_no_host_bits() {
    let route =
        |prefix: &str| format!("[[static]]\nprefix = \"{prefix}\"\nvia = [\"192.0.2.1\"]\n");
    check(
        &route("198.51.100.7/24"),
        "\"198",
        "beyond its length",
        "\"198.51.100.0/24\"",
    );
    check(
        &route("198.51.100.7"),
        "\"198",
        "not a prefix",
        "\"198.51.100.7/32\"",
    );
    check(
        &route("198.51.100.0/33"),
        "\"198",
        "not a prefix",
        "0 to 32",
    );
    check(
        &route("2001:db8::/129"),
        "\"2001",
        "not a prefix",
        "0 to 128",
    );
    check(
        &route("2001:db8::1"),
        "\"2001",
        "not a prefix",
        "\"2001:db8::1/128\"",
    );
    check(&route("fe80::/64"), "\"fe80", "no unicast", "not routed");
    check(&route("ff02::/16"), "\"ff02", "no unicast", "not routed");
    check(&route("::1/128"), "\"::1", "no unicast", "not routed");
    check(
        &route("2001:db8::/32"),
        "\"192.0.2.1",
        "different families",
        "IPv6 prefix an IPv6",
    );
    check(&route("default"), "\"default", "not a prefix", "0.0.0.0/0");
    check(&route("127.0.0.0/8"), "\"127", "no unicast", "not routed");
    check(&route("224.0.0.0/4"), "\"224", "no unicast", "not routed");
    check(&route("0.0.0.0/8"), "\"0.0", "no unicast", "not routed");
}

#[test]
fn static_routes_lead_somewhere_once() {
    let route = |rest: &str| format!("[[static]]\nprefix = \"10.0.0.0/8\"\n{rest}\n");
    check(&route(""), "\"10.0", "no way out", "via");
    check(
        "[[static]]\nprefix = \"2001:db8::/32\"\nvia = [\"fe80::1\"]\n",
        "\"fe80::1\"",
        "any link",
        "dev = \"eth1\"",
    );
    check(
        &route("via = [\"eth1\"]"),
        "\"eth1\"",
        "not an IP address",
        "\"192.0.2.1\"",
    );
    check(
        &route("via = [\"192.0.2.1\", \"224.0.0.9\"]"),
        "\"224",
        "no unicast",
        "",
    );
    check(
        &route("via = [\"192.0.2.1\", \"192.0.2.1\"]"),
        "\"192.0.2.1\"]",
        "already",
        "weight",
    );
    check(
        &route("via = [{ weight = 2 }]"),
        "{ weight",
        "leads nowhere",
        "dev",
    );
    check(
        &route("via = [{ via = \"192.0.2.1\", weight = 0 }]"),
        "0 }",
        "1 to 256",
        "share",
    );
    check(
        &route("via = [\"192.0.2.1\"]\nonlink = true"),
        "\"192",
        "onlink",
        "dev",
    );
    check(
        &route("dev = \"a/b\""),
        "\"a/b\"",
        "cannot be an interface",
        "15",
    );
    check(
        &route("type = \"blackhole\"\ndev = \"eth1\""),
        "\"blackhole\"",
        "nowhere",
        "type",
    );
    check(
        &route("dev = \"eth1\"\ndistance = 0"),
        "0",
        "1 to 254",
        "connected",
    );
    check(
        &route("dev = \"eth1\"\ntag = 65536"),
        "65536",
        "0 to 65535",
        "16 bits",
    );
    check(&route("dev = \"eth1\"\nmetric = -1"), "-1", "", "");
    let twice = format!("{}\n{}", route("dev = \"eth1\""), route("dev = \"eth2\""));
    check(
        &twice,
        "\"10.0",
        "second static route to 10.0.0.0/8 (first on line 2)",
        "one via",
    );
}

#[test]
fn the_protocol_number_is_nobody_else_s() {
    for number in [1, 2, 3, 4, 9, 11, 12, 16, 42, 84, 186, 188, 189, 192, 196] {
        check(
            &format!("[kernel]\nprotocol = {number}\n"),
            &number.to_string(),
            "belongs to",
            "210",
        );
    }
    check("[kernel]\nprotocol = 0\n", "0", "1 to 255", "8 bits");
    check("[kernel]\nprotocol = 256\n", "256", "1 to 255", "8 bits");
    check(
        "[kernel]\nmetric = 0\n",
        "0",
        "not within",
        "operator's own",
    );
}

#[test]
fn lengths_of_time_have_a_unit_and_bounds() {
    check(
        "[dataplane]\nneighbour-idle = 60\n",
        "60",
        "no unit",
        "\"30s\"",
    );
    check(
        "[dataplane]\nneighbour-idle = \"60\"\n",
        "\"60\"",
        "not a length",
        "\"30s\"",
    );
    check(
        "[dataplane]\nneighbour-idle = \"0s\"\n",
        "\"0s\"",
        "one second",
        "",
    );
    check(
        "[rip]\nupdate = \"3 weeks\"\n",
        "\"3 weeks\"",
        "one day",
        "",
    );
}

#[test]
fn rip_timers_agree_with_each_other() {
    let rip = |rest: &str| format!("[rip]\ninterfaces = [\"a\"]\n{rest}\n");
    check(
        &rip("timeout = \"30s\""),
        "\"30s\"",
        "time out after 30s",
        "longer than update",
    );
    check(
        &rip("update = \"3m\""),
        "\"3m\"",
        "come every 3m",
        "longer than update",
    );
    check(
        &rip("update = \"10s\"\ntimeout = \"10s\""),
        "\"10s\"",
        "10s",
        "six times",
    );
}

#[test]
fn rip_interfaces_are_named_once_and_exist_in_the_file() {
    check("[rip]\n", "[rip]", "no interface", "interfaces =");
    check("[rip]\ninterfaces = [\"eth[0-9]\"]\n", "\"eth[", "'['", "?");
    check("[rip]\ninterfaces = [\"a\", \"\"]\n", "\"\"", "empty", "");
    let twice = "[[rip.interface]]\nname = \"a\"\n[[rip.interface]]\nname = \"a\"\n";
    check(
        twice,
        "\"a\"",
        "second [[rip.interface]] for a (first on line 2)",
        "one table",
    );
    let of = |rest: &str| format!("[[rip.interface]]\nname = \"a\"\n{rest}\n");
    check(&of("cost = 0"), "0", "1 to 15", "unreachable");
    check(&of("split-horizon = true"), "true", "", "");
    check(&of("pace = 0"), "0", "1 to 1000", "20 ms");
    check(&of("max-neighbors = 0"), "0", "1 to 65536", "make up");
    check(
        &of("max-neighbor-routes = 0"),
        "0",
        "1 to 16777216",
        "bytes",
    );
    check("[rip]\nsettle = \"31s\"\n", "\"31s\"", "30s", "");
    check("[rip]\necmp = 17\n", "17", "1 to 16", "offers");
    check("[rip]\nmax-routes = -1\n", "-1", "1 to 16777216", "bytes");
    check(
        &of("neighbors = [\"192.0.2.1\", \"192.0.2.1\"]"),
        "\"192.0.2.1\"]",
        "already",
        "once",
    );
    check(
        &of("neighbors = [\"255.255.255.255\"]"),
        "\"255",
        "no unicast",
        "",
    );
    let rip = |rest: &str| format!("[rip]\ninterfaces = [\"a\"]\n{rest}\n");
    check(
        &rip("redistribute = [\"static\", \"static\"]"),
        "\"static\"]",
        "already",
        "once",
    );
    check(
        &rip("redistribute = [{ source = \"static\", metric = 16 }]"),
        "16",
        "1 to 15",
        "",
    );
}

#[test]
fn control_characters_of_the_file_do_not_reach_the_terminal() {
    let error = bad("[kernel]\nmetric = 0 # \u{1b}[31m\ttab\n").to_string();
    assert!(
        error.chars().all(|c| c == '\n' || !c.is_control()),
        "{error:?}"
    );
    let error = bad("# é\n[kernel]\n\tmetric = \"ü\" \n");
    assert_eq!((error.line, error.column), (3, 11), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the file holds, the answer is a configuration or an error that
    /// can be shown.
    #[test]
    fn any_text_is_read_or_refused(text in "([a-z\\[\\]\"= \n.{},0-9é-]|rip|static|prefix){0,80}") {
        if let Err(error) = Config::parse("x", &text) {
            prop_assert!(error.line >= 1 && error.column >= 1);
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// The same for a good file in which one place was damaged.
    #[test]
    fn a_damaged_file_is_read_or_refused(at in 0usize..4000, junk in "[\"\\[\\]=\n\\\\{}0é]{0,3}", cut in 0usize..9) {
        let mut text: Vec<char> = super::example::uncommented().chars().collect();
        let at = at % text.len();
        let end = (at + cut).min(text.len());
        text.splice(at..end, junk.chars());
        if let Err(error) = Config::parse("x", &text.iter().collect::<String>()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn settings_of_ports_are_checked() {
    let table = "[[dataplane.interface]]\nname = \"eth1\"\n";
    check(
        &format!("{table}reverse-path = \"feasible\"\n"),
        "\"feasible\"",
        "reverse-path \"feasible\" is not known",
        "\"strict\"",
    );
    let twice = bad(&format!("{table}{table}"));
    assert!(
        twice
            .message
            .contains("a second [[dataplane.interface]] for eth1")
    );
    check(
        "[[dataplane.interface]]\nreverse-path = \"off\"\n",
        "",
        "missing key `name`",
        "",
    );
    check(
        "[dataplane]\ncount = [\"10.0.0.1/24\"]\n",
        "\"10.0.0.1/24\"",
        "bits set beyond its length",
        "10.0.0.0/24",
    );
}

#[test]
fn settings_of_the_routing_socket_are_checked() {
    let table = |line: &str| format!("[route-socket]\n{line}\n");
    check(
        &table("group = \"net dev\""),
        "\"net dev\"",
        "cannot be a group",
        "/etc/group",
    );
    check(
        &table("group = \"4294967296\""),
        "\"4294967296\"",
        "cannot be a group",
        "its number",
    );
    check(
        &table("redirects = \"follow\""),
        "\"follow\"",
        "redirects \"follow\" is not known",
        "\"accept\"",
    );
    check(&table("queue = 4096"), "4096", "not within", "64 KiB");
    check(&table("max-connections = 0"), "0", "not within", "256");
    check(&table("mode = 1"), "mode", "expected one of", "");
}

#[test]
fn rip_authentication_has_usable_keys() {
    let auth = |rest: &str| format!("[[rip.interface]]\nname = \"a\"\nauth = {{ {rest} }}\n");
    let key = |rest: &str| auth(&format!("type = \"md5\", keys = [{{ {rest} }}]"));
    check(
        &auth("type = \"sha\""),
        "\"sha\"",
        "no type",
        "hmac-sha-256",
    );
    check(&auth("type = \"md5\""), "{ type", "without a key", "keys =");
    check(&key("id = 1"), "{ id", "without its text", "key-file");
    let both = "key = \"a\", key-file = \"/b\"";
    check(&key(both), "{ key", "or with two", "either");
    check(&key("key-file = \"b\""), "{ key", "relative", "from / on");
    check(
        &key("id = 256, key = \"a\""),
        "256",
        "not within 0 to 255",
        "8 bits",
    );
    check(&key("key = \"\""), "{ key", "empty", "16 bytes");
    let long = "key = \"seventeen letters\"";
    check(&key(long), "{ key", "17 bytes", "16 bytes");
    let never =
        "key = \"a\", send-from = \"2030-01-01T00:00:00Z\", send-until = \"2030-01-01T00:00:00Z\"";
    check(
        &key(never),
        "{ key",
        "send-until is not after",
        "never used",
    );
    let tomorrow = "key = \"a\", accept-from = \"tomorrow\"";
    check(&key(tomorrow), "\"tomorrow\"", "no point in time", "UTC");
    let twice = "type = \"md5\", keys = [{ key = \"a\" }, { key = \"b\" }]";
    check(
        &auth(twice),
        "{ key = \"b\"",
        "second key with id = 1",
        "its own",
    );
}

#[test]
fn rip_versions_are_known_and_version_1_has_no_authentication() {
    let of = |rest: &str| format!("[[rip.interface]]\nname = \"a\"\n{rest}\n");
    check(
        &of("send-version = \"both\""),
        "\"both\"",
        "version",
        "compat",
    );
    check(&of("send-version = 1"), "1", "string", "");
    check(&of("receive-version = \"3\""), "\"3\"", "version", "both");
    let auth = "auth = { type = \"md5\", keys = [{ id = 1, key = \"k\" }] }";
    let with = |rest: &str| of(&format!("{rest}\n{auth}"));
    for (rest, at) in [
        ("send-version = \"1\"", "\"1\""),
        ("receive-version = \"both\"", "\"both\""),
        ("receive-version = \"1\"", "\"1\""),
    ] {
        check(&with(rest), at, "no authentication", "version 1");
    }
    let everywhere = format!("[rip]\nversion = \"1\"\n{}", with(""));
    check(&everywhere, "\"a\"", "no authentication", "version 1");
}

#[test]
fn ripng_has_no_version_and_no_authentication() {
    let ng = |rest: &str| format!("[ripng]\ninterfaces = [\"a\"]\n{rest}\n");
    check(&ng("version = \"2\""), "version", "unknown key", "");
    let interface = "[[ripng.interface]]\nname = \"a\"\nauth = {}\n";
    check(interface, "auth", "unknown key", "");
    check("[ripng]\n", "[ripng]", "no interface", "interfaces =");
}
