//! `docs/route-socket-requirements.md` names tests: those that it has as written
//! are there, those that it marks † are not, and none of the numbered cases is a
//! test that it does not know.

mod tables;

use std::collections::BTreeSet;

/// Names in back quotes, and whether a † follows.
fn named(table: &str) -> Vec<(String, bool)> {
    tables::quoted(table)
        .into_iter()
        .filter_map(|(quoted, to_come)| {
            let name = quoted.rsplit("::").next()?;
            let others = ["no_acknowledged", "every_mirror"];
            let is_test =
                name.starts_with("route4_") || others.iter().any(|other| name.starts_with(other));
            is_test.then(|| (name.to_owned(), to_come))
        })
        .filter(|(name, _)| name != "route4_")
        .collect()
}

#[test]
fn the_tests_of_the_requirements_are_those_that_there_are() {
    let written = tables::written();
    let table = tables::document("route-socket-requirements.md");
    let named = named(&table);
    assert!(named.len() > 150, "{} names in the table", named.len());
    let wrong = |(name, to_come): &&(String, bool)| written.contains(name) == *to_come;
    let wrong: BTreeSet<_> = named.iter().filter(wrong).collect();
    assert!(
        wrong.is_empty(),
        "a † that is missing (false), or to be taken away (true): {wrong:#?}"
    );

    let known: BTreeSet<_> = named.iter().map(|(name, _)| name.as_str()).collect();
    let unknown: Vec<_> = written
        .iter()
        .filter(|name| name.starts_with("route4_case") && !known.contains(name.as_str()))
        .filter(|name| !OF_THE_CODEC.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:#?}");
}

/// The codec's own tests of cases that are tested through the socket, too.
const OF_THE_CODEC: [&str; 6] = [
    "route4_case_58_lengths",
    "route4_case_60_unknown_types_are_refused_last",
    "route4_cases_57_61_64",
    "route4_case_63_masks_cut_after_their_last_byte",
    "route4_case_84_any_bytes",
    "route4_case_84_requests_with_wrong_bytes",
];
