use std::net::Ipv4Addr;

use aya::{TestRun as _, TestRunOptions};
use forwarder_common::{bench as abi, checksum};

use super::{BenchError, Flow, Generator, MIN_FRAME};

fn flow() -> Flow {
    Flow {
        source_mac: [2, 0, 0, 0, 0, 1],
        destination_mac: [2, 0, 0, 0, 0, 2],
        source: Ipv4Addr::new(192, 0, 2, 1),
        destinations: vec![
            Ipv4Addr::new(198, 51, 100, 1),
            Ipv4Addr::new(203, 0, 113, 255),
        ],
        source_port: 1024,
        destination_port: 9,
        ttl: 64,
        frame_len: 128,
    }
}

/// Programs can be loaded: root, and a kernel that lets it.
fn may_load() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("SKIPPED: loading BPF programs needs root");
    }
    root
}

#[test]
fn template_sum_leaves_out_destination_and_checksum_only() {
    let template = flow().template().unwrap();
    let mut frame: Vec<u8> = template
        .template
        .iter()
        .flat_map(|w| w.to_ne_bytes())
        .collect();
    let header = abi::IP..abi::IP + 20;
    assert_eq!(checksum::sum(&frame[header.clone()]), template.header_sum);
    assert_eq!(frame[abi::IP_DESTINATION..abi::IP_DESTINATION + 4], [0; 4]);
    let value = checksum::compute(&frame[header.clone()]).to_ne_bytes();
    frame[abi::IP_CHECKSUM..abi::IP_CHECKSUM + 2].copy_from_slice(&value);
    assert!(checksum::is_valid(&frame[header]));
}

#[test]
fn a_flow_that_no_frame_can_carry_is_refused_with_the_limits() {
    for frame_len in [0, MIN_FRAME - 1, 1515] {
        let error = Flow {
            frame_len,
            ..flow()
        }
        .template()
        .unwrap_err();
        assert!(
            matches!(&error, BenchError::Flow(text) if text.contains("60 to 1514")),
            "{error}"
        );
    }
    let error = Flow {
        destinations: vec![],
        ..flow()
    }
    .template()
    .unwrap_err();
    assert!(error.to_string().contains("one destination"), "{error}");
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let error = Generator::new("no-such-if", &flow()).unwrap_err();
    assert!(error.to_string().contains("no-such-if"), "{error}");
}

#[test]
fn generator_writes_whole_valid_headers_over_whatever_the_page_held() {
    if !may_load() {
        return;
    }
    let flow = flow();
    let generator = Generator::new("lo", &flow).unwrap();
    for number in 0..5_u64 {
        let dirty = vec![0xa5; flow.frame_len];
        let mut out = vec![0; flow.frame_len];
        let result = generator
            .program()
            .unwrap()
            .test_run(TestRunOptions {
                data_in: Some(&dirty),
                data_out: Some(&mut out),
                ..TestRunOptions::new()
            })
            .unwrap();
        assert_eq!(result.return_value, 4, "XDP_REDIRECT");
        assert_eq!(out[..6], flow.destination_mac);
        assert_eq!(out[6..12], flow.source_mac);
        assert!(checksum::is_valid(&out[abi::IP..abi::IP + 20]), "{out:x?}");
        let turn = number as usize % flow.destinations.len();
        assert_eq!(
            out[abi::IP_DESTINATION..][..4],
            flow.destinations[turn].octets()
        );
        assert_eq!(
            out[abi::UDP_DESTINATION..][..2],
            flow.destination_port.to_be_bytes()
        );
        assert_eq!(out[abi::NUMBER..][..8], number.to_ne_bytes());
        assert_eq!(out[abi::GENERATED..], dirty[abi::GENERATED..]);
    }
}
