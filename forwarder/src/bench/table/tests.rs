use std::collections::HashSet;

use forwarder_core::net::{Family, Ipv4, Ipv6};

use super::super::family::BenchFamily;
use super::{Table, file};

const ROUTES: usize = 100_000;

fn made<F: BenchFamily>() -> Table<F> {
    Table::made(ROUTES, 32, 7).unwrap()
}

/// Share of the prefixes for which something holds, in percent.
fn percent<F: BenchFamily>(table: &Table<F>, holds: impl Fn(&F::Prefix) -> bool) -> usize {
    let count = table.routes.iter().filter(|(prefix, _)| holds(prefix));
    count.count() * 100 / table.routes.len()
}

/// Prefixes of a length that lie in a shorter one, in percent of their number.
fn nested<F: BenchFamily>(table: &Table<F>, len: u8, least: u8) -> usize {
    let of_len: Vec<_> = table
        .routes
        .iter()
        .filter(|(p, _)| F::len(p) == len)
        .collect();
    let inside = of_len.iter().filter(|(prefix, _)| {
        (least..len).any(|outer| {
            let outer = F::prefix(F::network(prefix), outer).unwrap();
            table.exact.contains_key(&outer)
        })
    });
    inside.count() * 100 / of_len.len()
}

#[test]
fn a_made_table_has_the_asked_number_of_distinct_prefixes() {
    let v4 = made::<Ipv4>();
    let v6 = made::<Ipv6>();
    for (found, name) in [(v4.routes.len(), "ipv4"), (v6.routes.len(), "ipv6")] {
        assert!(
            (ROUTES * 99 / 100..=ROUTES).contains(&found),
            "{name}: {found}"
        );
    }
    let distinct: HashSet<_> = v4.routes.iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(distinct.len(), v4.routes.len());
}

#[test]
fn a_made_table_has_the_lengths_and_the_nesting_of_the_internets() {
    let v4 = made::<Ipv4>();
    for (len, share) in [(24, 59), (22, 12), (23, 10), (20, 4)] {
        let found = percent(&v4, |prefix| Ipv4::len(prefix) == len);
        assert!(found.abs_diff(share) <= 1, "/{len}: {found} %");
    }
    let found = nested(&v4, 24, 16);
    assert!(found.abs_diff(45) <= 3, "nested /24: {found} %");
    let v6 = made::<Ipv6>();
    for (len, share) in [(48, 47), (32, 14), (44, 9), (40, 8)] {
        let found = percent(&v6, |prefix| Ipv6::len(prefix) == len);
        assert!(found.abs_diff(share) <= 1, "/{len}: {found} %");
    }
    let found = nested(&v6, 48, 32);
    assert!(found.abs_diff(45) <= 3, "nested /48: {found} %");
}

/// The real table of 901,899 prefixes needs 25,750 rows beside the root, that of
/// 160,147 IPv6 prefixes 38,155: a made one of that size is as crowded.
#[test]
fn a_made_table_crowds_as_the_internets_does() {
    let rows = Table::<Ipv4>::made(901_899, 32, 1).unwrap().rows();
    assert!((24_000..28_500).contains(&rows), "ipv4: {rows}");
    let rows = Table::<Ipv6>::made(160_147, 32, 1).unwrap().rows();
    assert!((33_000..44_000).contains(&rows), "ipv6: {rows}");
}

#[test]
fn the_same_seed_makes_the_same_table() {
    let table = |seed| Table::<Ipv6>::made(1000, 32, seed).unwrap().routes;
    assert_eq!(table(3), table(3));
    assert_ne!(table(3), table(4));
}

#[test]
fn a_destination_is_found_by_its_longest_prefix() {
    let prefixes = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/0"];
    let table = Table::<Ipv4>::of(prefixes.map(|p| p.parse().unwrap()), 200, 5).unwrap();
    for (address, prefix) in [
        ("10.1.2.9", 2),
        ("10.1.3.9", 1),
        ("10.9.9.9", 0),
        ("11.0.0.1", 3),
    ] {
        let expected = table.exact[&prefixes[prefix].parse().unwrap()];
        assert_eq!(
            table.find(address.parse().unwrap()),
            Some(expected),
            "{address}"
        );
    }
}

#[test]
fn prefixes_that_no_router_forwards_to_are_left_out() {
    let prefixes = [
        "127.0.0.0/8",
        "224.1.0.0/16",
        "198.18.1.0/25",
        "198.18.0.0/15",
    ];
    let table = Table::<Ipv4>::of(prefixes.map(|p| p.parse().unwrap()), 1, 0).unwrap();
    assert_eq!(table.routes, [("198.18.0.0/15".parse().unwrap(), 0)]);
    let error = Table::<Ipv4>::of(["0.0.0.0/8".parse().unwrap()], 1, 0)
        .err()
        .unwrap();
    assert!(error.to_string().contains("no ipv4 prefix"), "{error}");
}

#[test]
fn a_file_holds_both_families_comments_and_columns() {
    let text = "# dump\n\n192.0.2.0/24 65001\n2001:db8::/32 # doc\n198.51.100.0/25\n";
    assert_eq!(file::parse::<Ipv4>(text.as_bytes()).unwrap().len(), 2);
    assert_eq!(file::parse::<Ipv6>(text.as_bytes()).unwrap().len(), 1);
}

#[test]
fn a_bad_line_is_named_by_its_number() {
    for bad in ["192.0.2.0", "192.0.2.0/33", "hello"] {
        let text = format!("192.0.2.0/24\n{bad}\n");
        let error = file::parse::<Ipv4>(text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2") && error.contains(bad), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_named() {
    let error = file::read::<Ipv4>("/no/such/file".as_ref()).unwrap_err();
    assert!(format!("{error:#}").contains("/no/such/file"), "{error:#}");
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in [("table.gz", &b"plain"[..]), ("table", &[0xff, 0xfe, b'\n'])] {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = format!("{:#}", file::read::<Ipv4>(&path).unwrap_err());
        assert!(
            error.contains(name) && error.contains("expected text"),
            "{error}"
        );
    }
}
