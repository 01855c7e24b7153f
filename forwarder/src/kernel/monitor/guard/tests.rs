use super::*;

#[test]
fn outside_of_dumps_everything_is_believed() {
    let mut guard: DumpGuard<u32> = DumpGuard::new();
    assert!(guard.gone(&1, &()));
    assert!(guard.there(true, &1, &()));
}

#[test]
fn a_dump_does_not_bring_back_what_was_removed_meanwhile() {
    let mut guard: DumpGuard<u32> = DumpGuard::new();
    guard.begin();
    guard.gone(&1, &());
    assert!(!guard.there(true, &1, &()));
    assert!(guard.there(true, &2, &()));
}

#[test]
fn what_came_back_with_a_notification_is_believed_again() {
    let mut guard: DumpGuard<u32> = DumpGuard::new();
    guard.begin();
    guard.gone(&1, &());
    assert!(guard.there(false, &1, &()));
    assert!(guard.there(true, &1, &()));
}

#[test]
fn of_entries_with_one_key_only_the_removed_one_is_doubted() {
    let mut guard: DumpGuard<u32, &str> = DumpGuard::new();
    guard.begin();
    guard.gone(&1, &"first");
    assert!(guard.there(true, &1, &"second"));
    assert!(!guard.there(true, &1, &"first"));
}

#[test]
fn a_new_dump_forgets_what_the_last_one_noted() {
    let mut guard: DumpGuard<u32> = DumpGuard::new();
    guard.begin();
    guard.gone(&1, &());
    guard.begin();
    assert!(guard.there(true, &1, &()));
    guard.gone(&1, &());
    guard.end();
    assert!(guard.there(true, &1, &()));
}
