use super::*;

const NEIGHBOURS: [Table; 2] = [
    Table::Neighbours(libc::AF_INET),
    Table::Neighbours(libc::AF_INET6),
];

/// Runs everything that is due, all dumps ending well; what was requested.
fn run(dumps: &mut Dumps, now: Instant) -> Vec<Table> {
    let mut tables = Vec::new();
    while let Some(start) = dumps.start(now) {
        tables.push(start.table);
        dumps.finished(now);
    }
    tables
}

#[tokio::test]
async fn groups_are_dumped_in_order_one_table_at_a_time() {
    let now = Instant::now();
    let mut dumps = Dumps::default();
    dumps.want_all();
    let first = dumps.start(now).unwrap();
    assert_eq!(
        first,
        Start {
            table: Table::Links,
            begins: Some(Group::Interfaces)
        }
    );
    assert_eq!(dumps.start(now), None, "one dump at a time");
    assert_eq!(dumps.finished(now), Finish::Continues);
    let second = dumps.start(now).unwrap();
    assert_eq!(
        second,
        Start {
            table: Table::Addresses,
            begins: None
        }
    );
    for _ in [libc::AF_INET, libc::AF_INET6] {
        assert_eq!(dumps.finished(now), Finish::Continues);
        dumps.start(now);
    }
    assert_eq!(dumps.finished(now), Finish::Complete(Group::Interfaces));
    let rest = [
        Table::Nexthops,
        Table::Routes(libc::AF_INET, TableId::MAIN),
        Table::Routes(libc::AF_INET, TableId::LOCAL),
        Table::Routes(libc::AF_INET6, TableId::MAIN),
        Table::Routes(libc::AF_INET6, TableId::LOCAL),
        Table::Neighbours(libc::AF_INET),
        Table::Neighbours(libc::AF_INET6),
    ];
    assert_eq!(run(&mut dumps, now), rest);
    assert_eq!(dumps.next_deadline(), None);
}

#[tokio::test]
async fn what_is_wanted_while_it_runs_is_dumped_again() {
    let now = Instant::now();
    let mut dumps = Dumps::default();
    dumps.want(Group::Neighbours);
    dumps.start(now);
    dumps.want(Group::Neighbours);
    assert_eq!(dumps.finished(now), Finish::Continues);
    dumps.start(now);
    assert_eq!(dumps.finished(now), Finish::Complete(Group::Neighbours));
    assert_eq!(run(&mut dumps, now), NEIGHBOURS);
}

#[tokio::test]
async fn an_interrupted_group_starts_over_from_its_first_table() {
    let now = Instant::now();
    let mut dumps = Dumps::default();
    dumps.want(Group::Routes);
    dumps.start(now);
    dumps.finished(now);
    dumps.start(now);
    dumps.interrupted();
    assert_eq!(dumps.finished(now), Finish::Continues);
    let again = dumps.start(now).unwrap();
    assert_eq!(
        again,
        Start {
            table: Table::Nexthops,
            begins: Some(Group::Routes)
        }
    );
}

/// Dumps neighbours until the table is given up.
fn interrupted_for_ever(dumps: &mut Dumps, now: Instant) -> Finish {
    dumps.want(Group::Neighbours);
    for _ in 1..ATTEMPTS {
        dumps.start(now).unwrap();
        dumps.interrupted();
        assert_eq!(dumps.finished(now), Finish::Continues);
    }
    dumps.start(now).unwrap();
    dumps.interrupted();
    assert_eq!(dumps.finished(now), Finish::Continues);
    dumps.start(now).unwrap();
    dumps.finished(now)
}

#[tokio::test]
async fn a_table_that_never_rests_is_taken_as_read_the_first_time_alone() {
    let now = Instant::now();
    let mut dumps = Dumps::default();
    let first = interrupted_for_ever(&mut dumps, now);
    assert_eq!(first, Finish::Complete(Group::Neighbours));
    assert_eq!(dumps.start(now), None);
    assert_eq!(dumps.next_deadline(), Some(now + RETRY));
    let second = interrupted_for_ever(&mut dumps, now + RETRY);
    assert_eq!(second, Finish::Failed(Group::Neighbours));
    assert_eq!(run(&mut dumps, now + RETRY + RETRY), NEIGHBOURS);
}

#[tokio::test]
async fn a_refused_dump_is_tried_again_after_a_pause_and_holds_up_no_other() {
    let now = Instant::now();
    let mut dumps = Dumps::default();
    dumps.want(Group::Routes);
    dumps.start(now);
    assert_eq!(dumps.failed(now), Finish::Failed(Group::Routes));
    dumps.want(Group::Neighbours);
    assert_eq!(run(&mut dumps, now), NEIGHBOURS);
    assert_eq!(dumps.next_deadline(), Some(now + RETRY));
    assert_eq!(run(&mut dumps, now + RETRY).len(), 5);
}

#[tokio::test]
async fn a_long_dump_is_followed_by_as_long_a_pause() {
    let now = Instant::now();
    let long = Duration::from_secs(2);
    let mut dumps = Dumps::default();
    dumps.want(Group::Neighbours);
    dumps.start(now);
    dumps.finished(now + long);
    dumps.start(now + long);
    dumps.finished(now + long);
    dumps.want(Group::Neighbours);
    assert_eq!(dumps.start(now + long), None);
    assert_eq!(dumps.next_deadline(), Some(now + long + long));
}
