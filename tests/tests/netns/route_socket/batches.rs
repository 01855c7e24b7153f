//! Several requests as one: the bytes, as the document has them. (`greeted` has the
//! same with the library.)

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, Request};

use super::{Bed, EAFNOSUPPORT, EEXIST, EINVAL, ESRCH, GATEWAY, case, own};

const BEGIN: u8 = 0x45;
const COMMIT: u8 = 0x46;

/// One of the ten prefixes.
fn net(number: u8) -> String {
    format!("10.{number}.0.0/16")
}

/// Sends a batch, and says which of its requests was refused, and why.
fn batch(client: &Client, requests: &[Vec<u8>]) -> anyhow::Result<(i32, u32)> {
    client.send(&own(BEGIN, 24, 1))?;
    for request in requests {
        client.send(request)?;
    }
    client.send(&own(COMMIT, 24, 2))?;
    let reply = client.wait("the reply to the commit", |message| {
        message.kind() == COMMIT
    })?;
    let word = |offset: usize| -> anyhow::Result<[u8; 4]> {
        let bytes = reply.bytes().get(offset..offset + 4);
        Ok(bytes.context("a reply of 40 bytes")?.try_into()?)
    };
    ensure!(i32::from_ne_bytes(word(8)?) == 2, "{reply:?}");
    Ok((i32::from_ne_bytes(word(12)?), u32::from_ne_bytes(word(16)?)))
}

fn additions() -> anyhow::Result<Vec<Vec<u8>>> {
    (0..10)
        .map(|number| Ok(Request::add(&net(number), GATEWAY)?.bytes()))
        .collect()
}

fn none_is_there(bed: &Bed, client: &mut Client) -> anyhow::Result<()> {
    for number in 0..10 {
        client.refused(Request::get(&net(number))?, ESRCH)?;
    }
    let kernel = bed.r1.run("ip route show proto 210")?;
    ensure!(!kernel.contains("10."), "{kernel}");
    Ok(())
}

#[test]
fn route4_a_batch_is_all_or_nothing() {
    case("batch-raw", |bed, client| {
        let mut listener = bed.client()?;
        let with = |index: usize, request: Vec<u8>| -> anyhow::Result<(i32, u32)> {
            let mut requests = additions()?;
            requests[index] = request;
            batch(client, &requests)
        };
        let twice = Request::add(&net(2), GATEWAY)?.bytes();
        ensure!(with(6, twice)? == (EEXIST, 6));
        let ipv6 = Request::add("2001:db8:f::/48", "2001:db8::fe")?.bytes();
        ensure!(with(4, ipv6)? == (EAFNOSUPPORT, 4));
        let mut garbled = Request::add(&net(0), GATEWAY)?.bytes();
        garbled[152] = 255;
        ensure!(with(9, garbled)? == (EINVAL, 9));
        none_is_there(bed, client)?;
        let heard = listener.drain()?;
        ensure!(heard.is_empty(), "{heard:?}");

        ensure!(batch(client, &additions()?)? == (0, 0));
        for number in 0..10 {
            client.done(Request::get(&net(number))?)?;
        }
        let heard = listener.drain()?;
        let added = heard.iter().filter(|message| message.kind() == RTM_ADD);
        ensure!(added.count() == 10, "{heard:?}");
        Ok(())
    });
}

#[test]
fn route4_a_batch_that_is_not_committed_is_nothing() {
    case("batch-open", |bed, client| {
        let open = bed.client()?;
        open.send(&own(BEGIN, 24, 1))?;
        for request in additions()? {
            open.send(&request)?;
        }
        drop(open);
        let alone = bed.client()?;
        alone.send(&own(COMMIT, 24, 3))?;
        let reply = alone.wait("a refusal", |message| message.kind() == COMMIT)?;
        ensure!(reply.bytes()[12..16] == EINVAL.to_ne_bytes(), "{reply:?}");
        none_is_there(bed, client)
    });
}
