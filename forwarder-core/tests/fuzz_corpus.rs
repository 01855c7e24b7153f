//! The fuzz targets' corpus as an ordinary test: every input that was ever worth
//! keeping, and each of them cut short and with single bytes changed.

#[expect(unreachable_pub, reason = "the fuzz targets are other crates")]
#[path = "../../fuzz/src/lib.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// The inputs of a target, with their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&directory).expect("a directory of inputs");
    let inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an input").path();
            let name = path.display().to_string();
            (name, fs::read(path).expect("an input"))
        })
        .collect();
    assert!(inputs.len() >= 8, "{} inputs of {target}", inputs.len());
    inputs
}

/// The input, cut short, and with a byte 255 and one more than it is; at every
/// `step`th place. An odd step meets every field of some request.
fn mutilated(input: &[u8], step: usize, check: impl Fn(&[u8])) {
    for length in (0..input.len()).step_by(step) {
        check(&input[..length]);
    }
    let mut changed = input.to_vec();
    for at in (0..input.len()).step_by(step) {
        for byte in [255, input[at].wrapping_add(1)] {
            changed[at] = byte;
            check(&changed);
        }
        changed[at] = input[at];
    }
}

#[test]
fn route4_case_84_packets() {
    for (name, input) in corpus("route_packet") {
        println!("{name}");
        checks::packet(&input);
        mutilated(&input, 1, checks::packet);
    }
}

#[test]
fn route4_case_84_sequences() {
    for (name, input) in corpus("route_sequence") {
        println!("{name}");
        assert!(checks::sequence(&input) > 0, "nothing was done");
        checks::packet(&input);
        mutilated(&input, 7, |input| {
            checks::sequence(input);
        });
    }
}

#[test]
fn rip_packets() {
    for (name, input) in corpus("rip_packet") {
        println!("{name}");
        checks::rip::packet(&input);
        mutilated(&input, 3, checks::rip::packet);
    }
}

#[test]
fn rip_sequences() {
    for (name, input) in corpus("rip_sequence") {
        println!("{name}");
        assert!(checks::rip::sequence(&input) > 0, "nothing was heard");
        mutilated(&input, 11, |input| {
            checks::rip::sequence(input);
        });
    }
}
