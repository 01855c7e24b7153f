use proptest::prelude::*;

use crate::config::{Glob, GlobError};

fn glob(text: &str) -> Glob {
    text.parse().unwrap()
}

#[test]
fn star_is_any_run_and_question_mark_is_one_character() {
    for (pattern, name, expected) in [
        ("eth0", "eth0", true),
        ("eth0", "eth00", false),
        ("eth*", "eth", true),
        ("eth*", "eth12", true),
        ("eth*", "veth1", false),
        ("*", "", true),
        ("*", "lo", true),
        ("?", "", false),
        ("eth?", "eth1", true),
        ("eth?", "eth12", false),
        ("*th*1", "eth0.11", true),
        ("*th*1", "eth0.12", false),
        ("en?s*f*", "enp3s0f1", false),
        ("en*s*f?", "enp3s0f1", true),
        ("a*a*a*b", "aaaaaaaaaaaaaaa", false),
    ] {
        assert_eq!(
            glob(pattern).matches(name),
            expected,
            "{pattern} against {name}"
        );
    }
}

#[test]
fn what_cannot_match_a_name_is_refused() {
    assert_eq!("".parse::<Glob>(), Err(GlobError::Empty));
    assert_eq!("eth[01]".parse::<Glob>(), Err(GlobError::Character('[')));
    assert_eq!("eth{0,1}".parse::<Glob>(), Err(GlobError::Character('{')));
    assert_eq!("!eth0".parse::<Glob>(), Err(GlobError::Character('!')));
    assert_eq!("eth 0".parse::<Glob>(), Err(GlobError::Character(' ')));
    assert_eq!("a/b".parse::<Glob>(), Err(GlobError::Character('/')));
    assert_eq!("sixteen-letters-".parse::<Glob>(), Err(GlobError::TooLong));
    assert!("*fifteen-letter*".parse::<Glob>().is_ok());
}

/// The definition, without regard for time.
fn naive(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) if naive(&pattern[1..], name) => true,
        (Some(b'*'), Some(_)) => naive(pattern, &name[1..]),
        (Some(p), Some(n)) if *p == b'?' || p == n => naive(&pattern[1..], &name[1..]),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_recursive_definition(pattern in "[ab*?]{1,8}", name in "[ab]{0,10}") {
        prop_assert_eq!(glob(&pattern).matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
    }
}
