//! Generations, batches, cursors.

use super::*;
use crate::rib::{Generation, JOURNAL_BATCHES, JOURNAL_CHANGES, Since};

const TO: &str = "203.0.113.0/24";

fn flap(rib: &mut Rib<Ipv4>, metric: u32) -> Generation {
    put(rib, TO, rip(metric, via_dev("192.0.2.9", ETH1)));
    rib.commit().unwrap()
}

#[test]
fn a_new_rib_is_at_number_0_of_its_epoch() {
    let rib = Rib::<Ipv4>::new(42, RibConfig::default());
    assert_eq!(
        rib.generation(),
        Generation {
            epoch: 42,
            number: 0
        }
    );
    assert_eq!(rib.journal().since(rib.generation()), Since::UpToDate);
}

#[test]
fn a_batch_without_effect_is_no_generation() {
    let mut rib = rib();
    let before = rib.generation();
    assert_eq!(rib.commit(), None);
    put(&mut rib, TO, rip(2, via_dev("192.0.2.9", ETH1)));
    rib.withdraw(MAIN, net(TO), Slot::Rip);
    assert_eq!(
        rib.commit(),
        None,
        "what came and went within a batch leaves no trace"
    );
    put(&mut rib, TO, stat(vec![via("10.0.0.9")]));
    assert_eq!(
        rib.commit(),
        None,
        "a candidate that waits changes no winner"
    );
    assert_eq!(rib.generation(), before);
    assert_eq!(rib.entries().count(), 3);
}

#[test]
fn one_change_a_prefix_leads_from_before_the_batch_to_after_it() {
    let mut rib = rib();
    let cursor = flap(&mut rib, 2);
    put(&mut rib, TO, rip(3, via_dev("192.0.2.9", ETH1)));
    put(&mut rib, TO, rip(4, via_dev("192.0.2.9", ETH1)));
    put(&mut rib, TO, stat(vec![via("198.51.100.9")]));
    rib.commit();
    let Since::Deltas(batches) = rib.journal().since(cursor) else {
        panic!("no deltas")
    };
    let [batch] = &batches[..] else {
        panic!("{} batches", batches.len())
    };
    let [change] = &batch.changes[..] else {
        panic!("{} changes", batch.changes.len())
    };
    assert_eq!(change.old.as_ref().unwrap().metric, 2);
    assert_eq!(change.new.as_ref().unwrap().source, Source::Static);
}

#[test]
fn routes_to_the_link_come_before_those_behind_gateways() {
    let mut rib = rib();
    let cursor = rib.generation();
    put(&mut rib, "0.0.0.0/0", stat(vec![via("203.0.113.9")]));
    put(&mut rib, TO, stat(vec![Nexthop::link(ETH1)]));
    rib.commit();
    let Since::Deltas(batches) = rib.journal().since(cursor) else {
        panic!("no deltas")
    };
    let order: Vec<_> = batches[0]
        .changes
        .iter()
        .map(|change| change.prefix)
        .collect();
    assert_eq!(order, [net(TO), net("0.0.0.0/0")]);
}

#[test]
fn a_cursor_of_another_epoch_or_of_the_future_is_off() {
    let mut rib = rib();
    let now = flap(&mut rib, 2);
    let journal = rib.journal();
    assert_eq!(
        journal.since(Generation { epoch: 6, ..now }),
        Since::FellOff
    );
    assert_eq!(
        journal.since(Generation {
            number: now.number + 1,
            ..now
        }),
        Since::FellOff
    );
    assert!(matches!(
        journal.since(Generation { number: 0, ..now }),
        Since::Deltas(_)
    ));
}

#[test]
fn a_cursor_falls_off_only_when_its_next_batch_is_gone() {
    let mut rib = rib();
    let start = rib.generation();
    let after = |n: usize| Generation {
        number: start.number + n as u64,
        ..start
    };
    for n in 0..=JOURNAL_BATCHES as u32 {
        flap(&mut rib, n + 1);
    }
    assert_eq!(rib.journal().since(start), Since::FellOff);
    let Since::Deltas(batches) = rib.journal().since(after(1)) else {
        panic!("fell off")
    };
    assert_eq!(batches.len(), JOURNAL_BATCHES);
    let numbers: Vec<u64> = batches
        .iter()
        .map(|batch| batch.generation.number)
        .collect();
    assert!(numbers.is_sorted());
    assert_eq!(numbers[0], after(2).number);
}

#[test]
fn the_ring_is_bounded_by_changes_and_keeps_the_newest_batch() {
    let mut journal = crate::rib::Journal::<Ipv4>::new(1);
    let change = |n: u32| crate::rib::Change::<Ipv4> {
        table: MAIN,
        prefix: Ipv4Net::new_assert(n.into(), 32),
        old: None,
        new: Some(Arc::new(stat(Vec::new()))),
        origin: None,
    };
    let first = journal.push(smallvec::smallvec![change(1)]);
    journal.push(smallvec::smallvec![change(2)]);
    let huge = journal.push((0..=JOURNAL_CHANGES as u32).map(change).collect());
    assert_eq!(journal.since(first), Since::FellOff);
    let before = Generation {
        number: huge.number - 1,
        ..huge
    };
    assert!(matches!(journal.since(before), Since::Deltas(batches) if batches.len() == 1));
}
