//! `docs/rip-cases.md` names tests: those that it has as written are there, those
//! that it marks † are not, and every test of a numbered case is in that case's row.

mod tables;

use std::collections::BTreeMap;

const CASES: std::ops::RangeInclusive<u32> = 1..=70;

/// The rows with a number.
fn rows(table: &str) -> Vec<(u32, &str)> {
    let number = |row: &str| row.strip_prefix("| ")?.split_once(" |")?.0.parse().ok();
    table
        .lines()
        .filter_map(|row| Some((number(row)?, row)))
        .collect()
}

/// The tests in a row's last column.
fn tests(row: &str) -> Vec<(&str, bool)> {
    let column = row.trim_end_matches([' ', '|']).rsplit_once(" | ");
    column.map_or_else(Vec::new, |(_, tests)| tables::quoted(tests))
}

#[test]
fn each_case_has_one_row_and_tests() {
    let table = tables::document("rip-cases.md");
    let rows = rows(&table);
    assert!(rows.iter().map(|(number, _)| *number).eq(CASES));
    for (number, row) in rows {
        assert!(!tests(row).is_empty(), "case {number} has no test");
    }
}

#[test]
fn the_tests_of_the_cases_are_those_that_there_are() {
    let (table, written) = (tables::document("rip-cases.md"), tables::written());
    let in_tables = table.lines().filter(|line| line.starts_with("| "));
    let named: Vec<_> = in_tables.flat_map(tests).collect();
    assert!(named.len() > 100, "{} names in the table", named.len());
    let wrong = |(name, to_come): &&(&str, bool)| written.contains(*name) == *to_come;
    let wrong: Vec<_> = named.iter().filter(wrong).collect();
    assert!(
        wrong.is_empty(),
        "a † that is missing (false), or to be taken away (true): {wrong:#?}"
    );
}

#[test]
fn tests_with_a_case_s_number_are_in_its_row() {
    let table = tables::document("rip-cases.md");
    let rows: BTreeMap<u32, &str> = rows(&table).into_iter().collect();
    let written = tables::written();
    let numbered: Vec<_> = written
        .iter()
        .filter_map(|name| Some((name, name.strip_prefix("rip_case_")?)))
        .collect();
    assert!(numbered.len() > 20, "{} tests of cases", numbered.len());
    for (name, rest) in numbered {
        let number: u32 = rest[..2].parse().expect("two digits");
        let row = tests(rows[&number]);
        assert!(row.iter().any(|(test, _)| test == name), "{name}");
    }
}
