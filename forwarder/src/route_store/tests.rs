use forwarder_core::net::{Ifindex, Ipv4};
use forwarder_core::rib::RibConfig;
use forwarder_core::rib::socket::{ClientId, Op, Request, Settings, Way};
use forwarder_core::route::Distance;

use super::*;

type Rib4 = Rib<Ipv4>;

fn rib() -> Rib4 {
    let mut rib = Rib::new(1, RibConfig::default());
    rib.set_link(Ifindex(2), true, true);
    rib
}

fn request(number: u32, op: Op<Ipv4>) -> Request<Ipv4> {
    Request {
        client: ClientId(1),
        pid: 1,
        seq: 1,
        prefix: Ipv4::host((0x0a00_0000 + number).into()),
        priority: None,
        op,
    }
}

fn add(rib: &mut Rib4, number: u32) {
    let settings = Settings {
        way: Some(Way::Link(Ifindex(2))),
        ..Settings::default()
    };
    rib.request(
        clock::now(),
        Distance(1),
        &request(number, Op::Add(settings)),
    )
    .unwrap();
}

fn delete(rib: &mut Rib4, number: u32) {
    rib.request(
        clock::now(),
        Distance(1),
        &request(number, Op::Delete(None)),
    )
    .unwrap();
}

fn append(store: &mut RouteStore, rib: &mut Rib4) {
    let records = rib.take_stored();
    store.append(&records, rib);
}

fn restored(directory: &Path) -> Rib4 {
    let mut rib = rib();
    RouteStore::open(directory, &mut rib).unwrap();
    rib.commit();
    rib
}

#[test]
fn what_was_appended_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut rib = rib();
    let mut store = RouteStore::open(directory.path(), &mut rib).unwrap();
    for number in 0..1000 {
        add(&mut rib, number);
        append(&mut store, &mut rib);
    }
    for number in 0..500 {
        delete(&mut rib, number);
        append(&mut store, &mut rib);
    }
    // No goodbye: as after a SIGKILL.
    let again = restored(directory.path());
    assert_eq!(again.snapshot().routes, rib.snapshot().routes);
    assert_eq!(again.count_client_routes().0.routes, 500);
}

#[test]
fn a_record_that_was_cut_short_ends_the_log_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut rib = rib();
    let mut store = RouteStore::open(directory.path(), &mut rib).unwrap();
    for number in 0..10 {
        add(&mut rib, number);
    }
    append(&mut store, &mut rib);
    let path = directory.path().join("routes.ipv4");
    let whole = std::fs::read(&path).unwrap();
    for cut in [1, 7, 8, 100, 190] {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let routes = restored(directory.path()).count_client_routes().0.routes;
        assert_eq!(routes, 9, "{cut} bytes less");
        std::fs::write(&path, &whole).unwrap();
    }
    let mut wrong = whole.clone();
    let at = wrong.len() - 1;
    wrong[at] ^= 1;
    std::fs::write(&path, &wrong).unwrap();
    assert_eq!(restored(directory.path()).count_client_routes().0.routes, 9);
    // What it was read as is what it is from now on.
    let mut rib = restored(directory.path());
    let mut store = RouteStore::open(directory.path(), &mut rib).unwrap();
    add(&mut rib, 77);
    append(&mut store, &mut rib);
    assert_eq!(
        restored(directory.path()).count_client_routes().0.routes,
        10
    );
}

#[test]
fn another_boots_routes_are_not_restored() {
    let directory = tempfile::tempdir().unwrap();
    let mut rib = rib();
    let mut store = RouteStore::open(directory.path(), &mut rib).unwrap();
    add(&mut rib, 1);
    append(&mut store, &mut rib);
    let path = directory.path().join("routes.ipv4");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[12] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(restored(directory.path()).count_client_routes().0.routes, 0);
}

#[test]
fn a_long_log_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let mut rib = rib();
    let mut store = RouteStore::open(directory.path(), &mut rib).unwrap();
    let path = directory.path().join("routes.ipv4");
    add(&mut rib, 1);
    for _ in 0..60_000 {
        add(&mut rib, 0);
        delete(&mut rib, 0);
        append(&mut store, &mut rib);
    }
    let longest = std::fs::metadata(&path).unwrap().len();
    assert!(longest < 2 * COMPACT_BYTES, "{longest} bytes");
    assert_eq!(
        restored(directory.path()).snapshot().routes,
        rib.snapshot().routes
    );
}

#[test]
fn an_empty_or_strange_file_is_an_empty_table() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("routes.ipv4");
    for bytes in [&[][..], &[0; 20], &[0; 200]] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(restored(directory.path()).count_client_routes().0.routes, 0);
    }
}
