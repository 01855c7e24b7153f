//! `packaging/forwarder.toml` is the reference of every key and its default.

use super::{bad, good};
use crate::config::Config;

const EXAMPLE: &str = include_str!("../../../../packaging/forwarder.toml");

/// The file with its settings switched on: they follow the `#` directly, prose
/// and examples after a blank.
pub(super) fn uncommented() -> String {
    EXAMPLE
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' '))
        .fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        })
}

#[test]
fn as_shipped_it_changes_nothing() {
    assert_eq!(good(EXAMPLE), Config::default());
}

#[test]
fn the_values_shown_are_the_defaults() {
    let shown = good(&uncommented());
    let mut plain = Config {
        rip: None,
        ripng: None,
        ..shown.clone()
    };
    // A table of ports has to be there to have defaults.
    let ports = std::mem::take(&mut plain.dataplane.ports);
    assert_eq!(ports.len(), 1);
    assert_eq!(ports[0].reverse_path, None);
    assert_eq!(plain, Config::default());
    // [rip] has to be there to have defaults.
    let smallest = good("[rip]\n[[rip.interface]]\nname = \"*\"\n");
    assert_eq!(shown.rip, smallest.rip);
    let smallest = good("[ripng]\n[[ripng.interface]]\nname = \"*\"\n");
    assert_eq!(shown.ripng, smallest.ripng);
}

/// The keys that a table knows, as the error about an unknown one lists them.
fn keys_of(table: &str) -> Vec<String> {
    let message = bad(&format!("{table}\nno-such-key = 1\n")).message;
    let (_, list) = message.split_once(", expected ").unwrap();
    // One of `a`, `b`, `c`; `a` or `b`.
    list.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_key_is_shown() {
    let text: Vec<&str> = EXAMPLE.lines().collect();
    for table in [
        "[dataplane]",
        "[dataplane.punt]",
        "[[dataplane.interface]]",
        "[kernel]",
        "[distances]",
        "[route-socket]",
        "[rip]",
        "[[rip.interface]]",
        "[ripng]",
        "[[ripng.interface]]",
        "[[static]]",
    ] {
        let start = text
            .iter()
            .position(|line| line.trim_start_matches(['#', ' ']) == table);
        let section = &text[start.unwrap_or_else(|| panic!("{table} is not shown")) + 1..];
        for key in keys_of(table) {
            let is_table = |line: &&str| line.contains(&format!(".{key}]"));
            let is_key = |line: &&str| {
                line.trim_start_matches(['#', ' '])
                    .split_once(" = ")
                    .is_some_and(|(k, _)| k == key)
            };
            let shown = section.iter().any(|line| is_key(line) || is_table(line));
            assert!(shown, "{key} of {table} is not shown");
        }
    }
}

/// The example of `[[static]]` is prose; it has to be right nevertheless.
#[test]
fn the_static_example_is_valid() {
    let start = EXAMPLE.find("# [[static]]").unwrap();
    let table: String = EXAMPLE[start..]
        .lines()
        .take_while(|line| line.starts_with("# "))
        .map(|line| format!("{}\n", &line[2..]))
        .collect();
    assert_eq!(good(&table).statics.len(), 1);
}

/// So are those of `auth`.
#[test]
fn the_authentication_examples_are_valid() {
    let start = EXAMPLE.find("# auth = {").unwrap();
    let lines: Vec<&str> = EXAMPLE[start..].lines().collect();
    let with = |auth: &str| good(&format!("[[rip.interface]]\nname = \"a\"\n{auth}\n"));
    let one = with(&lines[0][2..]).rip.unwrap();
    assert_eq!(one.interface[0].auth.as_ref().unwrap().keys.len(), 1);
    let keys = lines.iter().skip_while(|line| **line != "# keys = [");
    let keys: String = keys.take(4).map(|line| &line[2..]).collect();
    let two = with(&format!("auth = {{ type = \"md5\", {keys} }}"))
        .rip
        .unwrap();
    assert_eq!(two.interface[0].auth.as_ref().unwrap().keys.len(), 2);
}
