//! Interfaces and addresses that come, change and go.

use anyhow::ensure;
use forwarder::route_client::blocking::Client;
use forwarder::route_client::{Message, Options};
use forwarder_tests::bsd::number::*;

use super::case;

#[test]
fn route4_case_23_25_an_ipv4_address_is_told_before_its_route_and_after_it() {
    case("23-25", |bed, client| {
        client.drain()?;
        bed.r1.run("ip addr add 203.0.113.1/24 dev eth0")?;
        let mut order = Vec::new();
        let of_interest = |message: &forwarder_tests::bsd::Message| match message.kind() {
            RTM_NEWADDR | RTM_DELADDR => true,
            RTM_ADD | RTM_DELETE => message.prefix().as_deref() == Some("203.0.113.0/24"),
            _ => false,
        };
        for _ in 0..2 {
            let message = client.wait("an event of the address", of_interest)?;
            if message.kind() == RTM_ADD {
                ensure!(
                    message.flags() == RTF_UP | RTF_DONE | RTF_PINNED,
                    "{message:?}"
                );
            }
            order.push(message.kind());
        }
        bed.r1.run("ip addr del 203.0.113.1/24 dev eth0")?;
        for _ in 0..2 {
            let message = client.wait("an event of the address", of_interest)?;
            if message.kind() == RTM_DELETE {
                ensure!(message.flags() == RTF_DONE | RTF_PINNED, "{message:?}");
            }
            order.push(message.kind());
        }
        ensure!(
            order == [RTM_NEWADDR, RTM_ADD, RTM_DELETE, RTM_DELADDR],
            "{order:?}"
        );
        Ok(())
    });
}

#[test]
fn route4_case_69_interfaces_are_told_of_as_they_come_change_and_go() {
    case("69", |bed, client| {
        client.drain()?;
        bed.r1.run("ip link add br7 type bridge")?;
        let arrival = client.wait("the arrival", |message| message.kind() == RTM_IFANNOUNCE)?;
        ensure!(arrival.bytes().len() == 24, "{arrival:?}");
        ensure!(arrival.bytes()[6..9] == *b"br7", "{arrival:?}");
        ensure!(arrival.bytes()[22..24] == [0, 0], "{arrival:?}");
        bed.r1.run("ip link set br7 up")?;
        let changed = client.wait("a change of state", |message| {
            message.kind() == RTM_IFINFO && message.flags() & 1 != 0
        })?;
        ensure!(changed.bytes().len() == 168, "{changed:?}");
        bed.r1.run("ip link set br7 down")?;
        bed.r1.run("ip link set br7 name br8")?;
        for (name, what) in [(b"br7", 1), (b"br8", 0)] {
            let told = client.wait("a rename", |message| message.kind() == RTM_IFANNOUNCE)?;
            ensure!(told.bytes()[6..9] == *name, "{told:?}");
            ensure!(told.bytes()[22] == what, "{told:?}");
        }
        bed.r1.run("ip link del br8")?;
        let gone = client.wait("the departure", |message| message.kind() == RTM_IFANNOUNCE)?;
        ensure!(gone.bytes()[22] == 1, "{gone:?}");
        Ok(())
    });
}

/// As on OpenBSD, and not as on FreeBSD (`docs/adr/0016-no-family-for-all.md`).
#[test]
fn route4_case_69_interfaces_are_told_to_listeners_of_one_family() {
    case("69-family", |bed, _| {
        let of = |family| {
            let options = Options {
                family,
                ..Options::listener()
            };
            Client::connect(&bed.socket(), &options)
        };
        let mut listeners = [of(AF_INET)?, of(AF_INET6)?];
        bed.r1.run("ip link add br7 type bridge")?;
        bed.r1.run("ip link set br7 up")?;
        for client in &mut listeners {
            let (mut announced, mut changed) = (false, false);
            while !(announced && changed) {
                match client.receive()? {
                    Message::IfAnnounce(told) => announced |= told.name == "br7",
                    Message::IfInfo(told) => changed |= announced && told.flags & 1 != 0,
                    _ => {}
                }
            }
        }
        Ok(())
    });
}
