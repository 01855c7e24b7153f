use super::*;

fn decoded(bytes: [u8; ENTRY]) -> Result<Rte<Ipv4>, Reject> {
    Ipv4::decode(&bytes)
}

fn refused(address: &str, mask: &str, value: u32) -> Reject {
    decoded(entry(2, address, mask, "0.0.0.0", value)).unwrap_err()
}

#[test]
fn rfc2453_4_an_entry_is_laid_out_as_in_the_figure() {
    let rte = Rte {
        prefix: net("192.0.2.128/25"),
        metric: metric(7),
        tag: 0xbeef,
        next_hop: Some(addr("10.0.12.9")),
    };
    let bytes = [
        0, 2, 0xbe, 0xef, 192, 0, 2, 128, 255, 255, 255, 128, 10, 0, 12, 9, 0, 0, 0, 7,
    ];
    assert_eq!(Ipv4::encode(&rte), bytes);
    assert_eq!(decoded(bytes), Ok(rte));
}

#[test]
fn a_packet_is_a_header_and_whole_entries() {
    let parse = |bytes: &[u8]| Packet::parse(bytes, 25).map(|packet| packet.entries().len());
    assert_eq!(parse(&[]), Err(Reject::Truncated));
    assert_eq!(parse(&[2, 2, 0]), Err(Reject::Truncated));
    assert_eq!(parse(&[2, 2, 0, 0]), Err(Reject::NoEntries));
    assert_eq!(
        parse(&[&[2, 2, 0, 0][..], &[0; 19]].concat()),
        Err(Reject::BadLength)
    );
    assert_eq!(
        parse(&[&[2, 2, 0, 0][..], &[0; 30]].concat()),
        Err(Reject::BadLength)
    );
    assert_eq!(parse(&[&[2, 2, 0, 0][..], &[0; 500]].concat()), Ok(25));
    assert_eq!(
        parse(&[&[2, 2, 0, 0][..], &[0; 520]].concat()),
        Err(Reject::TooManyEntries)
    );
}

#[test]
fn rfc2453_4_6_must_be_zero_is_ignored_from_version_2_on() {
    let bytes = [&[2, 2, 7, 7][..], &[0; 20]].concat();
    assert!(Packet::parse(&bytes, 25).is_ok());
}

#[test]
fn rfc2453_3_9_2_rejects_metric_0_and_17_and_more() {
    assert_eq!(refused("20.0.0.0", "255.0.0.0", 0), Reject::MetricZero);
    assert_eq!(refused("20.0.0.0", "255.0.0.0", 17), Reject::MetricTooLarge);
    assert_eq!(
        refused("20.0.0.0", "255.0.0.0", 0x0100_0001),
        Reject::MetricTooLarge
    );
}

#[test]
fn rejects_host_bits_and_masks_with_holes() {
    assert_eq!(refused("20.0.6.1", "255.255.255.0", 1), Reject::HostBits);
    assert_eq!(refused("20.0.6.0", "255.0.255.0", 1), Reject::BadMask);
    assert_eq!(refused("20.0.6.0", "0.0.255.0", 1), Reject::BadMask);
}

#[test]
fn rejects_what_nobody_may_route() {
    for (address, mask) in [
        ("0.0.0.0", "255.0.0.0"),
        ("0.1.0.0", "255.255.0.0"),
        ("127.0.0.0", "255.0.0.0"),
        ("127.0.0.1", "255.255.255.255"),
        ("224.0.0.0", "240.0.0.0"),
        ("224.0.0.0", "224.0.0.0"),
        ("239.1.0.0", "255.255.0.0"),
        ("240.0.0.0", "240.0.0.0"),
        ("255.255.255.255", "255.255.255.255"),
        ("224.0.0.9", "0.0.0.0"),
    ] {
        assert_eq!(
            refused(address, mask, 1),
            Reject::Martian,
            "{address} {mask}"
        );
    }
    // Halves of the default route are what VPNs announce.
    assert!(decoded(entry(2, "0.0.0.0", "128.0.0.0", "0.0.0.0", 1)).is_ok());
    assert!(decoded(entry(2, "128.0.0.0", "128.0.0.0", "0.0.0.0", 1)).is_ok());
}

#[test]
fn rfc2453_4_3_no_mask_means_the_classful_network() {
    let prefix =
        |address| decoded(entry(2, address, "0.0.0.0", "0.0.0.0", 1)).map(|rte| rte.prefix);
    assert_eq!(prefix("0.0.0.0"), Ok(net("0.0.0.0/0")));
    assert_eq!(prefix("20.0.0.0"), Ok(net("20.0.0.0/8")));
    assert_eq!(prefix("172.16.0.0"), Ok(net("172.16.0.0/16")));
    assert_eq!(prefix("192.0.2.0"), Ok(net("192.0.2.0/24")));
    assert_eq!(prefix("20.0.12.0"), Err(Reject::NoMask));
}

#[test]
fn rejects_other_address_families() {
    assert_eq!(
        decoded(entry(1, "20.0.0.0", "255.0.0.0", "0.0.0.0", 1)),
        Err(Reject::BadFamily)
    );
    assert_eq!(
        decoded(entry(0xffff, "20.0.0.0", "255.0.0.0", "0.0.0.0", 1)),
        Err(Reject::BadFamily)
    );
}

#[test]
fn a_datagram_holds_25_entries_or_what_the_mtu_allows() {
    assert_eq!(Ipv4::max_entries(1500), 25);
    assert_eq!(Ipv4::max_entries(532), 25);
    assert_eq!(Ipv4::max_entries(531), 24);
    assert_eq!(Ipv4::max_entries(68), 1);
    assert_eq!(Ipv4::max_entries(0), 1);
}

#[test]
fn names_of_rejects_are_unique() {
    let names: std::collections::BTreeSet<_> = Reject::ALL.iter().map(|r| r.name()).collect();
    assert_eq!(names.len(), Reject::ALL.len());
}
