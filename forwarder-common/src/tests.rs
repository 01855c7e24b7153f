use crate::abi::{NexthopKind, nexthop_kind, nexthop_slot, nexthop_word, own_hash};
use crate::checksum;
use crate::reason::{PuntClass, Reason, Verdict};

#[test]
fn reasons_are_numbered_in_the_order_of_the_list() {
    for (i, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, i);
        assert_eq!(Reason::from_u32(i as u32), Some(*reason));
    }
    assert_eq!(Reason::from_u32(Reason::ALL.len() as u32), None);
}

#[test]
fn reason_names_are_distinct() {
    for a in Reason::ALL {
        for b in Reason::ALL {
            assert!(
                a == b || a.name() != b.name(),
                "{a:?} and {b:?} share a name"
            );
        }
    }
}

#[test]
fn only_what_goes_up_has_a_punt_class() {
    for reason in Reason::ALL {
        if reason.punt_class().is_some() {
            assert_eq!(reason.verdict(), Verdict::Up, "{reason:?}");
        }
    }
    for (i, (class, _)) in PuntClass::ALL.iter().enumerate() {
        assert_eq!(*class as usize, i);
    }
}

#[test]
fn nexthop_words_unpack_to_what_was_packed() {
    for kind in [
        NexthopKind::None,
        NexthopKind::Adjacency,
        NexthopKind::Resolve,
    ] {
        let word = nexthop_word(kind, 0x0abc_def1);
        assert_eq!(nexthop_kind(word), kind as u32);
        assert_eq!(nexthop_slot(word), 0x0abc_def1);
    }
}

#[test]
fn own_hash_stays_within_the_filter() {
    for address in [0, 1, u32::MAX, 0x0100_000a, 0xdead_beef] {
        let (word, bit) = own_hash(address);
        assert!(word < crate::abi::OWN_FILTER_WORDS && bit < 32);
    }
}

/// Every TTL and every upper byte that shares its word: the incremental update
/// equals a full recomputation.
#[test]
fn rfc1624_update_equals_recomputation() {
    let mut header = [
        0x45, 0, 0x00, 0x54, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 2,
    ];
    for ttl in 2..=255u8 {
        for protocol in [1u8, 6, 17, 255] {
            header[8] = ttl;
            header[9] = protocol;
            header[10] = 0;
            header[11] = 0;
            let before = checksum::compute(&header);
            header[10..12].copy_from_slice(&before.to_ne_bytes());
            assert!(checksum::is_valid(&header));
            let old = u16::from_ne_bytes([header[8], header[9]]);
            header[8] = ttl - 1;
            let new = u16::from_ne_bytes([header[8], header[9]]);
            let updated = checksum::update(before, old, new);
            header[10..12].copy_from_slice(&updated.to_ne_bytes());
            assert!(checksum::is_valid(&header), "ttl {ttl} protocol {protocol}");
        }
    }
}

#[test]
fn a_corrupt_header_is_not_valid() {
    let mut header = [
        0x45, 0, 0, 20, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1,
    ];
    let sum = checksum::compute(&header);
    header[10..12].copy_from_slice(&sum.to_ne_bytes());
    assert!(checksum::is_valid(&header));
    header[15] ^= 1;
    assert!(!checksum::is_valid(&header));
}
