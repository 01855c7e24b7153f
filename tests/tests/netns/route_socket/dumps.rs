//! Dumps, in place of `sysctl(2)` and `getkerninfo(2)`: their bytes, as the document
//! has them. (`greeted` has the same with the library.)

use anyhow::ensure;
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, Message, Request};
use forwarder_tests::lab::SHORT;

use super::{CONNECTED, GATEWAY, SUBNET, case, own};

const DUMP: u8 = 0x43;
const END: u8 = 0x44;
/// `NET_RT_DUMP`, `NET_RT_FLAGS`, `NET_RT_IFLIST`, as the document numbers them.
const TABLE: u32 = 0;
const FLAGS: u32 = 1;
const INTERFACES: u32 = 2;

/// Asks for a dump, and returns what comes before its end.
fn dump(client: &Client, kind: u32, family: u8, flags: u32) -> anyhow::Result<Vec<Message>> {
    let mut request = own(DUMP, 24, 77);
    request[4..8].copy_from_slice(&kind.to_ne_bytes());
    request[16] = family;
    request[20..24].copy_from_slice(&flags.to_ne_bytes());
    client.send(&request)?;
    let mut dumped = Vec::new();
    while let Some(message) = client.next_within(SHORT)? {
        if message.kind() == END {
            ensure!(message.bytes()[8..12] == 77_i32.to_ne_bytes());
            ensure!(message.bytes()[12..16] == [0; 4], "{message:?}");
            return Ok(dumped);
        }
        dumped.push(message);
    }
    anyhow::bail!("the dump does not end: {dumped:#?}")
}

fn prefixes(dumped: &[Message]) -> Vec<String> {
    dumped.iter().filter_map(Message::prefix).collect()
}

#[test]
fn route4_case_81_a_dump_is_answers_one_after_the_other() {
    case("81-raw-dump", |_, client| {
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        client.done(Request::add("2001:db8:f::/48", "2001:db8::fe")?)?;
        let dumped = dump(client, TABLE, 0, 0)?;
        for message in &dumped {
            ensure!(message.kind() == RTM_GET, "{message:?}");
            let nobodys = (message.pid(), message.seq(), message.errno()) == (0, 0, 0);
            ensure!(nobodys, "{message:?}");
            ensure!(message.flags() & RTF_UP != 0, "{message:?}");
        }
        for wanted in [SUBNET, CONNECTED, "192.0.2.1", "2001:db8:f::/48"] {
            let there = prefixes(&dumped)
                .iter()
                .filter(|prefix| *prefix == wanted)
                .count();
            ensure!(there == 1, "{wanted} is there {there} times: {dumped:#?}");
        }
        let dumped = prefixes(&dump(client, TABLE, AF_INET, 0)?);
        ensure!(
            dumped.iter().all(|prefix| !prefix.contains(':')),
            "{dumped:?}"
        );
        ensure!(dumped.iter().any(|prefix| prefix == SUBNET), "{dumped:?}");
        Ok(())
    });
}

#[test]
fn route4_case_81_a_dump_by_flags() {
    case("81-raw-flags", |_, client| {
        client.done(Request::add(SUBNET, GATEWAY)?.flags(RTF_GATEWAY | RTF_PROTO1))?;
        client.done(Request::add("203.0.113.0/24", GATEWAY)?)?;
        let dumped = prefixes(&dump(client, FLAGS, 0, RTF_PROTO1)?);
        ensure!(dumped == [SUBNET], "{dumped:?}");
        Ok(())
    });
}

#[test]
fn route4_case_81_interfaces_and_then_their_addresses() {
    case("81-raw-interfaces", |bed, client| {
        let dumped = dump(client, INTERFACES, AF_INET, 0)?;
        let mut of_eth0 = dumped
            .iter()
            .skip_while(|message| message.kind() != RTM_IFINFO || index(message) != bed.eth0);
        let info = of_eth0.next().map(Message::bytes);
        ensure!(info.map(<[u8]>::len) == Some(168), "{dumped:#?}");
        let address = of_eth0.next();
        let address = address.filter(|message| message.kind() == RTM_NEWADDR);
        ensure!(address.map(index) == Some(bed.eth0), "{dumped:#?}");
        let own = address.and_then(|message| message.ip(RTA_IFA));
        ensure!(own == Some("192.0.2.1".parse()?), "{dumped:#?}");
        Ok(())
    });
}

/// `ifm_index`, `ifam_index`.
fn index(message: &Message) -> u16 {
    u16::from_ne_bytes([message.bytes()[12], message.bytes()[13]])
}
