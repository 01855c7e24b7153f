//! The engine `kernel` where the kernel has no answer: what it says is in
//! namespaces (`netns`), which have routes.

use forwarder_tests::frame::Frame6;

use super::*;

fn on_both(test: impl Fn(&mut Bench)) {
    for name in programs() {
        test(&mut Bench::new(name, Lookup::Kernel));
    }
}

#[test]
fn the_checks_ahead_of_the_lookup_are_the_same() {
    on_both(|bench| {
        let frame = |source: [u8; 4]| Frame {
            source: source.into(),
            ..frame()
        };
        bench.expect(&frame([127, 0, 0, 1]), Reason::MartianSource);
        bench.expect(&frame([169, 254, 0, 1]), Reason::LinkLocal);
    });
}

#[test]
fn destinations_that_are_never_forwarded_go_up_without_being_asked_for() {
    on_both(|bench| {
        for (destination, reason) in [
            ([0, 0, 0, 1], Reason::NotUnicast),
            ([127, 0, 0, 1], Reason::NotUnicast),
            ([224, 0, 0, 9], Reason::NotUnicast),
            ([255, 255, 255, 255], Reason::NotUnicast),
            ([169, 254, 7, 7], Reason::LinkLocal),
        ] {
            let frame = Frame {
                destination: destination.into(),
                ..frame()
            };
            bench.expect(&frame, reason);
        }
        for (destination, reason) in [
            ("::", Reason::NotUnicast),
            ("::1", Reason::NotUnicast),
            ("ff02::9", Reason::NotUnicast),
            ("fe80::9", Reason::LinkLocal),
        ] {
            let frame = Frame6 {
                to: PORT_MAC,
                destination: destination.parse().expect("address"),
                ..Frame6::default()
            };
            bench.expect_bytes(&frame.bytes(), reason);
        }
    });
}
