use super::super::testing::in_namespace;
use super::*;

#[test]
fn a_second_instance_is_refused_with_the_first_ones_pid() {
    in_namespace(|| async {
        let first = ExporterLock::take().unwrap();
        let error = ExporterLock::take().unwrap_err();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(
            matches!(error, LockError::Held { pid } if pid == own),
            "{error}"
        );
        assert!(error.to_string().contains("export = false"));
        drop(first);
        ExporterLock::take().unwrap();
    });
}

#[test]
fn each_namespace_has_its_own_lock() {
    in_namespace(|| async {
        let _first = ExporterLock::take().unwrap();
        in_namespace(|| async {
            ExporterLock::take().unwrap();
        });
    });
}

#[test]
fn very_many_refusals_do_not_block() {
    in_namespace(|| async {
        let _first = ExporterLock::take().unwrap();
        for _ in 0..5000 {
            assert!(matches!(ExporterLock::take(), Err(LockError::Held { .. })));
        }
    });
}
