//! What is refused, and with which errno where several things are wrong.

use proptest::prelude::*;

use super::super::Errno;
use super::super::number::*;
use super::super::request::{ClientMessage, Unreadable, read, refuse, refuse_unreadable, split};
use super::super::{Message, bytes as integers};
use super::requests::{bytes, v4};

const NET: [u8; 4] = [10, 0, 0, 0];

fn errno(packet: &[u8]) -> Option<Errno> {
    match read(packet) {
        Err(unreadable) => Some(unreadable.errno),
        Ok(ClientMessage::Route(request)) => request.refused,
        Ok(_) => None,
    }
}

fn add() -> Vec<u8> {
    let bits = RTA_DST | RTA_GATEWAY;
    bytes(RTM_ADD, bits, &[&v4(NET), &v4([192, 0, 2, 1])])
}

#[test]
fn route4_case_58_lengths() {
    let packet = add();
    assert_eq!(errno(&packet), None);
    assert_eq!(errno(&packet[..151]), Some(Errno::Einval));
    assert_eq!(errno(&packet[..packet.len() - 1]), Some(Errno::Einval));
    assert_eq!(errno(&[]), Some(Errno::Einval));
}

#[test]
fn the_length_is_asked_before_the_version_and_that_before_the_addresses() {
    let mut packet = add();
    packet[offset::VERSION] = 4;
    assert_eq!(errno(&packet), Some(Errno::Eprotonosupport));
    packet.pop();
    assert_eq!(errno(&packet), Some(Errno::Einval));
    let mut overruns = add();
    overruns[RT_MSGHDR] = 255;
    assert_eq!(errno(&overruns), Some(Errno::Einval));
    overruns[offset::VERSION] = 4;
    assert_eq!(errno(&overruns), Some(Errno::Eprotonosupport));
}

/// An unknown type is told only to who may ask: rights come before.
#[test]
fn route4_case_60_unknown_types_are_refused_last() {
    for kind in [RTM_MISS, RTM_REDIRECT, RTM_NEWADDR, 0x3f, 0x7f, 0xff] {
        let packet = bytes(kind, RTA_DST, &[&v4(NET)]);
        let Ok(ClientMessage::Route(request)) = read(&packet) else {
            panic!("type {kind} is read");
        };
        assert_eq!(request.refused, Some(Errno::Eopnotsupp));
    }
}

#[test]
fn route4_cases_57_61_64() {
    let no_gateway = bytes(RTM_ADD, RTA_DST, &[&v4(NET)]);
    assert_eq!(errno(&no_gateway), Some(Errno::Einval));
    let no_destination = bytes(RTM_GET, 0, &[]);
    assert_eq!(errno(&no_destination), Some(Errno::Einval));
    let mut strange = v4(NET);
    strange[1] = 99;
    let strange = bytes(RTM_GET, RTA_DST, &[&strange]);
    assert_eq!(errno(&strange), Some(Errno::Eafnosupport));
    let mut both = add();
    integers::put_u32(&mut both, offset::FLAGS, RTF_REJECT | RTF_BLACKHOLE);
    assert_eq!(errno(&both), Some(Errno::Einval));
}

/// A route that drops needs no gateway, of whatever family.
#[test]
fn a_route_that_drops_needs_no_gateway() {
    let mut reject = bytes(RTM_ADD, RTA_DST, &[&v4(NET)]);
    integers::put_u32(&mut reject, offset::FLAGS, RTF_REJECT);
    assert_eq!(errno(&reject), None);
}

#[test]
fn a_refusal_repeats_the_request_in_the_senders_name() {
    let mut request = add();
    integers::put_u32(&mut request, offset::FLAGS, RTF_DONE | RTF_STATIC);
    integers::put_u16(&mut request, offset::SPARE, 7);
    let mut reply = Vec::new();
    refuse(&request, 99, Errno::Eexist, &mut reply);
    let (Message::Route(reply), length) = super::super::read(&reply).expect("a reply") else {
        panic!("not a route's");
    };
    assert_eq!(length, request.len());
    assert_eq!((reply.pid, reply.seq), (99, 42));
    assert_eq!(reply.errno, Some(Errno::Eexist));
    assert_eq!(reply.flags, RTF_STATIC);
}

fn unreadable(kind: u8) -> Vec<u8> {
    let unreadable = Unreadable {
        errno: Errno::Einval,
        seq: 5,
        kind,
    };
    let mut reply = Vec::new();
    refuse_unreadable(unreadable, 99, &mut reply);
    reply
}

/// Whatever the type: the reply is a refusal for its reader, and nothing that
/// the daemon says of itself.
#[test]
fn nothing_of_what_could_not_be_read_goes_back() {
    for kind in 0..=u8::MAX {
        let reply = unreadable(kind);
        let (message, length) = super::super::read(&reply).expect("a message");
        assert_eq!(length, reply.len());
        let (seq, errno) = match message {
            Message::Route(reply) => {
                assert_eq!(reply.pid, 99);
                (reply.seq, reply.errno)
            }
            Message::GreetingReply(reply) if kind == RTM_GREETING => (reply.seq, reply.errno),
            Message::DumpEnd(end) if kind == RTM_DUMP => (end.seq, end.errno),
            Message::BatchReply(ack) if matches!(kind, RTM_BATCH_BEGIN | RTM_BATCH_COMMIT) => {
                (ack.seq, ack.errno)
            }
            other => panic!("type {kind:#x}: {other:?}"),
        };
        assert_eq!((seq, errno), (5, Some(Errno::Einval)), "type {kind:#x}");
    }
}

/// A client that forges the daemon's own messages does not read one as the
/// reply.
#[test]
fn a_refusal_is_no_message_of_the_daemons_own() {
    for kind in [RTM_NEWADDR, RTM_IFINFO, RTM_IFANNOUNCE, RTM_DESYNC, RTM_ACK] {
        let packet = bytes(kind, RTA_DST, &[&v4(NET)]);
        let mut reply = Vec::new();
        refuse(&packet, 99, Errno::Eopnotsupp, &mut reply);
        assert_eq!(reply[offset::TYPE], RTM_REFUSED);
    }
}

/// What is told to others of a refused request is what was understood of it.
#[test]
fn a_refusal_for_others_has_no_byte_that_was_not_read() {
    let mut packet = add();
    packet.extend_from_slice(b"a secret of eight..");
    let length = u16::try_from(packet.len()).expect("short");
    integers::put_u16(&mut packet, offset::MSGLEN, length);
    integers::put_u32(&mut packet, offset::FLAGS, RTF_DONE | RTF_STATIC);
    let Ok(ClientMessage::Route(request)) = read(&packet) else {
        panic!("a request");
    };
    let told = request.refusal(99, Errno::Eexist);
    let mut copy = Vec::new();
    told.encode(&mut copy);
    assert_eq!(copy.len(), add().len());
    assert_eq!(told.flags & RTF_DONE, 0);
    assert_eq!((told.pid, told.seq), (99, 42));
}

/// Newer errnos than a client knows are failures to it nevertheless.
#[test]
fn an_unknown_errno_is_a_failure() {
    let mut reply = Vec::new();
    refuse(&add(), 99, Errno::Eexist, &mut reply);
    integers::put_i32(&mut reply, offset::ERRNO, 4711);
    let (Message::Route(reply), _) = super::super::read(&reply).expect("a reply") else {
        panic!("not a route's");
    };
    assert_eq!(reply.errno, Some(Errno::Eio));
}

/// Any bytes: no panic, and every one of them is looked at once.
fn take(packet: &[u8]) -> usize {
    let mut length = 0;
    for message in split(packet) {
        length += message.len();
        let mut reply = Vec::new();
        match read(message) {
            Ok(ClientMessage::Route(request)) => {
                assert!(message.len() >= RT_MSGHDR);
                assert!(request.destination == request.destination.trunc());
                refuse(message, 1, Errno::Einval, &mut reply);
            }
            Ok(_) => {}
            Err(unreadable) => refuse_unreadable(unreadable, 1, &mut reply),
        }
        let _ = super::super::read(message);
    }
    length
}

proptest! {
    #[test]
    fn route4_case_84_any_bytes(packet in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(take(&packet), packet.len());
    }

    /// Nearly right: what random bytes never come to.
    #[test]
    fn route4_case_84_requests_with_wrong_bytes(
        kind in 0_u8..=0x4b,
        bits in 0_u32..0x200,
        tail in prop::collection::vec(any::<u8>(), 0..300),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut packet = bytes(kind, bits, &[]);
        packet.extend_from_slice(&tail);
        let length = u16::try_from(packet.len()).expect("short");
        integers::put_u16(&mut packet, offset::MSGLEN, length);
        for (at, byte) in wrong {
            let at = at.index(packet.len());
            packet[at] = byte;
        }
        if let Some(cut) = cut {
            let length = cut.index(packet.len());
            packet.truncate(length);
        }
        prop_assert_eq!(take(&packet), packet.len());
    }
}
