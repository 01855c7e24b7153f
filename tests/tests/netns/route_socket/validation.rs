//! What is refused before anything is done, in the order of the checks.

use anyhow::ensure;
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Message, Request, ip};
use forwarder_tests::numbers::Numbers;

use super::{EAFNOSUPPORT, EINVAL, EOPNOTSUPP, EPROTONOSUPPORT, ESRCH, GATEWAY, SUBNET, case};

#[test]
fn route4_case_01_the_socket_opens_and_closes() {
    case("01", |bed, _| {
        for _ in 0..100 {
            drop(bed.client()?);
        }
        bed.client()?
            .done(Request::get(super::CONNECTED)?)
            .map(drop)
    });
}

/// What is not parsed is not echoed either: the answer to such a packet is a
/// bare header with the errno, to its sender alone.
#[test]
fn route4_case_58_a_length_that_does_not_fit_is_einval() {
    case("58", |bed, client| {
        let mut listener = bed.client()?;
        listener.drain()?;
        let good = Request::add(SUBNET, GATEWAY)?.bytes();
        let mut longer = good.clone();
        longer.extend_from_slice(&[0; 8]);
        let mut lies = good.clone();
        lies[..2].copy_from_slice(&8u16.to_ne_bytes());
        for packet in [&good[..20], &good[..151], &longer[..], &lies[..]] {
            client.send(packet)?;
            let reply = client.wait("a refusal", |message| message.is_route())?;
            ensure!(reply.errno() == EINVAL, "{reply:?}");
            ensure!(reply.flags() & RTF_DONE == 0, "{reply:?}");
        }
        client.refused(Request::get(SUBNET)?, ESRCH)?;
        let heard = listener.drain()?;
        ensure!(heard.is_empty(), "{heard:?}");
        Ok(())
    });
}

#[test]
fn route4_case_59_another_version_is_eprotonosupport() {
    case("59", |bed, client| {
        let mut listener = bed.client()?;
        listener.drain()?;
        client.send(&Request::add(SUBNET, GATEWAY)?.set(2, &[4]).bytes())?;
        let reply = client.wait("a refusal", |message| message.is_route())?;
        ensure!(reply.errno() == EPROTONOSUPPORT, "{reply:?}");
        ensure!(listener.drain()?.is_empty());
        Ok(())
    });
}

#[test]
fn route4_case_60_types_that_are_not_requests_are_eopnotsupp() {
    case("60", |_, client| {
        for kind in [0x3f, RTM_MISS, RTM_REDIRECT, RTM_LOSING, RTM_RESOLVE] {
            let mut packet = Request::add(SUBNET, GATEWAY)?.set(3, &[kind]).bytes();
            packet[20..24].copy_from_slice(&77i32.to_ne_bytes());
            client.send(&packet)?;
            let reply = client.wait("a refusal", |message| message.errno() != 0)?;
            ensure!(reply.errno() == EOPNOTSUPP, "type {kind}: {reply:?}");
        }
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}

#[test]
fn route4_case_61_another_family_is_eafnosupport() {
    case("61", |_, client| {
        let mut strange = ip("192.0.2.0".parse()?);
        strange[1] = 99;
        let request = Request::add(SUBNET, GATEWAY)?.raw(RTA_DST, &strange);
        client.refused(request, EAFNOSUPPORT).map(drop)
    });
}

#[test]
fn route4_case_62_an_address_that_overruns_is_einval_and_an_empty_one_is_default() {
    case("62", |_, client| {
        let mut long = ip("192.0.2.0".parse()?);
        long[0] = 255;
        let request = Request::new(RTM_ADD).raw(RTA_DST, &long);
        client.refused(request, EINVAL)?;
        // An empty destination is the default route, and ends the parsing.
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        let request = Request::new(RTM_GET)
            .raw(RTA_DST, &[0; 8])
            .raw(RTA_NETMASK, &[0; 8]);
        let reply = client.ask(request)?;
        ensure!(reply.errno() == 0, "{reply:?}");
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_63_compressed_masks() {
    case("63", |_, client| {
        let with = |mask: &[u8]| -> anyhow::Result<Request> {
            Ok(Request::add("10.1.2.0/24", GATEWAY)?.raw(RTA_NETMASK, mask))
        };
        let reply = client.done(with(&[7, 0, 0, 0, 255, 255, 255])?)?;
        ensure!(
            reply.prefix().as_deref() == Some("10.1.2.0/24"),
            "{reply:?}"
        );
        client.refused(with(&[3, 0, 0])?, EINVAL)?;
        // Length 0 of a mask: the wildcard. What follows it is not parsed, so
        // that the gateway must be before.
        let reply = client.done(with(&[0; 8])?)?;
        ensure!(reply.prefix().as_deref() == Some("0.0.0.0/0"), "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_66_67_the_sender_is_told_its_pid_and_its_sequence() {
    case("66-67", |_, client| {
        let first = Request::get(super::CONNECTED)?.set(16, &1i32.to_ne_bytes());
        client.send(&first.clone().seq(4711).bytes())?;
        client.send(&first.seq(-5).bytes())?;
        let pid = i32::try_from(std::process::id())?;
        for seq in [4711, -5] {
            let reply = client.wait("a reply", |message| message.seq() == seq)?;
            ensure!(reply.pid() == pid, "{reply:?}");
        }
        Ok(())
    });
}

/// Random bytes and mutilated requests: the daemon lives, answers, and no
/// listener hears anything of them.
#[test]
fn route4_case_84_garbage_reaches_nobody() {
    case("84", |bed, client| {
        let mut listener = bed.client()?;
        listener.drain()?;
        let mut numbers = Numbers::new(84);
        let good = Request::lookup("192.0.2.9")?.bytes();
        for round in 0..2000_u32 {
            let mut packet = good.clone();
            if round % 2 == 0 {
                let length = 1 + numbers.below(400) as usize;
                packet = (0..length).map(|_| numbers.below(256) as u8).collect();
                if packet.len() >= 4 && round % 4 == 0 {
                    let length = u16::try_from(packet.len())?;
                    packet[..2].copy_from_slice(&length.to_ne_bytes());
                    packet[2] = VERSION;
                }
            } else {
                let at = numbers.below(u32::try_from(packet.len())?) as usize;
                packet[at] = numbers.below(256) as u8;
                if round % 8 == 1 {
                    packet.truncate(at.max(1));
                }
            }
            client.send(&packet)?;
            // Answers are read now and then: our own queue is none of the case.
            if round % 64 == 0 {
                client.drain()?;
            }
        }
        client.drain()?;
        let heard: Vec<Message> = listener.drain()?;
        ensure!(heard.is_empty(), "{heard:?}");
        Ok(())
    });
}
