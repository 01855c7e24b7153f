//! Who is told what.

use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use forwarder::route_client::blocking as route_client;
use forwarder::route_client::{Options, Route};
use forwarder_core::route_msg::RequestKind;
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, Message, Request, greeting, ip};
use forwarder_tests::lab::SHORT;
use ipnet::IpNet;
use nix::sys::socket::{MsgFlags, send};
use std::os::fd::AsRawFd as _;

use super::{EEXIST, ENOBUFS, EPROTONOSUPPORT, GATEWAY, SUBNET, case, configured};

/// The reply goes to the sender and to every listener, the same bytes.
#[test]
fn route4_copies_of_a_change_go_to_all_listeners() {
    case("copies", |bed, client| {
        let listeners = [bed.client()?, bed.client()?];
        let reply = client.done(Request::add(SUBNET, GATEWAY)?)?;
        for listener in &listeners {
            let copy = listener.wait("the copy", |message| message.kind() == RTM_ADD)?;
            ensure!(copy == reply, "{copy:?} is not {reply:?}");
        }
        Ok(())
    });
}

#[test]
fn route4_failures_and_answers_to_questions_go_to_who_asked_alone() {
    case("alone", |bed, client| {
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        let mut listener = bed.client()?;
        listener.drain()?;
        client.refused(Request::add(SUBNET, GATEWAY)?, EEXIST)?;
        client.done(Request::get(SUBNET)?)?;
        let heard = listener.drain()?;
        ensure!(heard.is_empty(), "{heard:?}");
        Ok(())
    });
}

/// Bytes that nobody reads (`sin_zero`), and that no message of ours has.
const STRAY: [u8; 8] = [0xa5; 8];
/// The route that ends what a listener is asked about.
const END: &str = "203.0.113.128/25";

/// What a listener hears before [`END`].
fn heard(listener: &Client) -> anyhow::Result<Vec<Message>> {
    let mut heard = Vec::new();
    loop {
        let next = listener.next_within(SHORT)?;
        let message = next.with_context(|| format!("{END} is not told of: {heard:#?}"))?;
        if message.prefix().as_deref() == Some(END) {
            return Ok(heard);
        }
        heard.push(message);
    }
}

fn has_stray(message: &Message) -> bool {
    let mut windows = message.bytes().windows(STRAY.len());
    windows.any(|bytes| bytes == STRAY)
}

/// A change, a refusal, a refusal of a message with bytes that are not to be told,
/// one that cannot be read, and a question; then [`END`].
fn ask_and_be_refused(client: &mut Client) -> anyhow::Result<[Message; 3]> {
    let added = client.done(Request::add(SUBNET, GATEWAY)?)?;
    let refused = client.refused(Request::add(SUBNET, GATEWAY)?, EEXIST)?;
    let mut gateway = ip(GATEWAY.parse()?);
    gateway[8..].copy_from_slice(&STRAY);
    let stray = Request::add(SUBNET, GATEWAY)?.raw(RTA_GATEWAY, &gateway);
    let stray = stray.seq(77);
    client.send(&stray.bytes())?;
    let refused_too = client.wait("its refusal", |message| message.seq() == 77)?;
    ensure!(has_stray(&refused_too), "the sender gets its own bytes");
    client.send(&stray.set(2, &[0]).bytes())?;
    client.wait("the other's", |message| message.errno() == EPROTONOSUPPORT)?;
    let got = client.done(Request::get(SUBNET)?)?;
    client.done(Request::add(END, GATEWAY)?)?;
    Ok([added, refused, got])
}

/// Configured for all: each hears all of it in its order, its own once.
#[test]
fn route4_classic_copies_go_to_all_without_a_byte_that_was_not_read() {
    configured(
        "classic",
        "[route-socket]\nclassic-copies = true\n",
        |bed, client| {
            let listener = bed.client()?;
            let [added, refused, got] = ask_and_be_refused(client)?;
            let heard = heard(&listener)?;
            let stray = heard.iter().find(|message| has_stray(message));
            ensure!(stray.is_none(), "{stray:?}");
            let [first, second, third, last] = &heard[..] else {
                bail!("{heard:#?}");
            };
            ensure!(*first == added && *last == got, "{heard:#?}");
            for (told, seq) in [(second, refused.seq()), (third, 77)] {
                ensure!(
                    told.kind() == RTM_ADD
                        && told.errno() == EEXIST
                        && told.flags() & RTF_DONE == 0,
                    "{told:#?}"
                );
                ensure!(
                    told.pid() == refused.pid() && told.seq() == seq,
                    "{told:#?}"
                );
                ensure!(told.prefix().as_deref() == Some(SUBNET), "{told:#?}");
                ensure!(told.gateway().as_deref() == Some(GATEWAY), "{told:#?}");
            }
            // Who asked has read every reply; what is left is not one of them again.
            let left = client.drain()?;
            ensure!(left.is_empty(), "{left:#?}");
            Ok(())
        },
    );
}

/// The same for the one who asks for it in its greeting, and for nobody else.
#[test]
fn route4_a_greeting_asks_for_others_answers_and_failures() {
    const CLASSIC_COPIES: u32 = 0x20;

    case("classic-one", |bed, client| {
        let (listener, other) = (bed.client()?, bed.client()?);
        listener.send(&greeting(0, CLASSIC_COPIES))?;
        listener.wait("the reply", |message| message.kind() == RTM_GREETING_REPLY)?;
        let [added, refused, got] = ask_and_be_refused(client)?;
        let (heard, others) = (heard(&listener)?, heard(&other)?);
        ensure!(others == [added.clone()], "{others:#?}");
        let seqs: Vec<i32> = heard.iter().map(Message::seq).collect();
        ensure!(
            seqs == [added.seq(), refused.seq(), 77, got.seq()],
            "{heard:#?}"
        );
        Ok(())
    });
}

/// Routes of other sources are told of with pid 0.
#[test]
fn route4_changes_of_other_sources_are_told_with_pid_0() {
    case("others", |bed, client| {
        client.drain()?;
        bed.r1
            .run("ip route add 203.0.113.0/24 via 192.0.2.254 proto bird")?;
        let added = client.wait("the addition", |message| message.kind() == RTM_ADD)?;
        ensure!(added.pid() == 0 && added.seq() == 0, "{added:?}");
        ensure!(
            added.prefix().as_deref() == Some("203.0.113.0/24"),
            "{added:?}"
        );
        bed.r1
            .run("ip route replace 203.0.113.0/24 via 198.51.100.2 proto bird")?;
        let changed = client.wait("the change", |message| message.kind() == RTM_CHANGE)?;
        ensure!(changed.index() == bed.eth1, "{changed:?}");
        bed.r1.run("ip route del 203.0.113.0/24 proto bird")?;
        let gone = client.wait("the end", |message| message.kind() == RTM_DELETE)?;
        ensure!(gone.flags() & RTF_UP == 0, "{gone:?}");
        Ok(())
    });
}

/// Another source's route takes the place of one that is deleted.
#[test]
fn route4_the_next_best_is_told_of_when_the_best_is_deleted() {
    case("promoted", |bed, client| {
        bed.r1
            .run("ip route add 203.0.113.0/24 via 198.51.100.2 proto bird metric 100")?;
        client.wait("the foreign route", |message| {
            message.prefix().as_deref() == Some("203.0.113.0/24")
        })?;
        let listener = bed.client()?;
        client.done(Request::add("203.0.113.0/24", GATEWAY)?)?;
        client.done(Request::delete("203.0.113.0/24")?)?;
        listener.wait("ours", |message| {
            message.pid() != 0 && message.gateway().as_deref() == Some(GATEWAY)
        })?;
        let promoted = listener.wait("the other's", |message| {
            message.pid() == 0 && message.flags() & RTF_UP != 0
        })?;
        ensure!(promoted.index() == bed.eth1, "{promoted:?}");
        Ok(())
    });
}

#[test]
fn route4_a_link_that_goes_down_takes_its_routes_with_a_message_each() {
    case("link-down", |bed, client| {
        let prefixes = ["203.0.113.0/24", "198.18.0.0/15", "10.0.0.0/8"];
        for prefix in prefixes {
            client.done(Request::add(prefix, GATEWAY)?)?;
        }
        let mut left: Vec<String> = prefixes.iter().map(|&prefix| prefix.into()).collect();
        left.push(super::CONNECTED.into());
        bed.r1.run("ip link set eth0 down")?;
        while !left.is_empty() {
            let gone = client
                .wait("a deletion", |message| message.kind() == RTM_DELETE)
                .with_context(|| format!("{left:?} are left"))?;
            left.retain(|prefix| gone.prefix().as_ref() != Some(prefix));
        }
        Ok(())
    });
}

#[test]
fn route4_case_71_a_client_that_has_shut_its_reading_down_can_still_write() {
    case("71", |bed, client| {
        let deaf = bed.client()?;
        deaf.socket().shutdown(Shutdown::Read)?;
        deaf.send(&Request::add(SUBNET, GATEWAY)?.bytes())?;
        deaf.send(&Request::add("203.0.113.0/24", GATEWAY)?.bytes())?;
        for prefix in [SUBNET, "203.0.113.0/24"] {
            client.wait("its route", |message| {
                message.kind() == RTM_ADD && message.prefix().as_deref() == Some(prefix)
            })?;
        }
        Ok(())
    });
}

#[test]
fn route4_case_72_a_client_that_has_shut_its_writing_down_still_listens() {
    case("72", |bed, client| {
        let mute = bed.client()?;
        mute.socket().shutdown(Shutdown::Write)?;
        let sent = send(
            mute.socket().as_raw_fd(),
            &Request::get(SUBNET)?.bytes(),
            MsgFlags::MSG_NOSIGNAL,
        );
        ensure!(sent == Err(nix::errno::Errno::EPIPE), "{sent:?}");
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        mute.wait("the copy", |message| message.kind() == RTM_ADD)
            .map(drop)
    });
}

/// Every addition of a flood succeeds, at the usual speed; the one that does
/// not read gets the beginning, and one marker once it reads.
#[test]
fn route4_case_73_a_stalled_listener_holds_nobody_up_and_is_told_once() {
    const ROUTES: u32 = 8000;
    configured("73", "[route-socket]\nqueue = 65536\n", |bed, client| {
        let stalled = bed.client()?;
        client.drain()?;
        for number in 0..ROUTES {
            let prefix = format!(
                "10.{}.{}.{}/32",
                number >> 16,
                number >> 8 & 255,
                number & 255
            );
            client.done(Request::add(&prefix, GATEWAY)?)?;
        }
        let mut additions = 0;
        let mut markers = 0;
        // Reads until the marker and then what came after it.
        while let Some(message) = stalled.next_within(Duration::from_millis(500))? {
            match message.kind() {
                RTM_ADD => additions += 1,
                kind if kind >= 0x40 => markers += 1,
                _ => {}
            }
        }
        ensure!(markers == 1, "{markers} markers, {additions} additions");
        ensure!(additions < ROUTES, "all {additions} came");
        // From the marker on it is told of everything again.
        client.done(Request::add("203.0.113.0/24", GATEWAY)?)?;
        stalled.wait("the next addition", |message| {
            message.prefix().as_deref() == Some("203.0.113.0/24")
        })?;
        Ok(())
    });
}

/// One that is gone with messages under way leaves nothing behind.
#[test]
fn route4_clients_that_die_under_load_are_forgotten() {
    case("dying", |bed, client| {
        for round in 0..50 {
            let doomed: Vec<Client> = (0..4)
                .map(|_| bed.client())
                .collect::<anyhow::Result<_>>()?;
            let prefix = format!("10.{round}.0.0/16");
            doomed[0].send(&Request::add(&prefix, GATEWAY)?.bytes())?;
            drop(doomed);
            client.done(Request::delete(&prefix)?).or_else(|_| {
                // Deleted before it was added: then it is there now.
                client.wait("the addition", |message| {
                    message.kind() == RTM_ADD && message.prefix().as_ref() == Some(&prefix)
                })?;
                client.done(Request::delete(&prefix)?)
            })?;
        }
        Ok(())
    });
}

/// What a listener hears that has not read for so many changes.
fn hear_late(
    listener: &Client,
    client: &mut Client,
    end: &str,
) -> anyhow::Result<(usize, Vec<i32>)> {
    let (mut changes, mut markers) = (0, Vec::new());
    // Whatever it is told from now on goes on to this.
    client.done(Request::add(end, GATEWAY)?)?;
    loop {
        let next = listener.next_within(SHORT)?;
        let message = next.with_context(|| format!("{changes} changes, then silence"))?;
        if message.prefix().as_deref() == Some(end) {
            return Ok((changes, markers));
        }
        match message.kind() {
            RTM_ADD => changes += 1,
            RTM_DESYNC => {
                markers.push(message.errno());
                // The end may be among what it stands for.
                client.done(Request::delete(end)?)?;
                client.done(Request::add(end, GATEWAY)?)?;
            }
            _ => {}
        }
    }
}

#[test]
fn route4_modes_of_slow_listeners() {
    const CHANGES: u32 = 20_000;
    let config = "[route-socket]\nqueue = 65536\n";
    configured("modes", config, |bed, classic| {
        let (error, reliable) = (bed.client()?, bed.client()?);
        for (listener, mode) in [(&error, 1), (&reliable, 2)] {
            listener.send(&greeting(mode, 0))?;
            listener.wait("the reply", |message| message.kind() == RTM_GREETING_REPLY)?;
        }
        let mut writer = route_client::Client::connect(&bed.socket(), &Options::default())?;
        let adds = (0..CHANGES).map(|number| {
            let host = IpNet::from(IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number)));
            let route = Route::to(host).via(GATEWAY.parse()?);
            Ok(route.request(RequestKind::Add))
        });
        let adds: Vec<_> = adds.collect::<anyhow::Result<_>>()?;
        ensure!(writer.pipeline(&adds)?.iter().all(Result::is_ok));
        // One that has not missed anything itself.
        let mut asker = bed.client()?;
        let (changes, markers) = hear_late(&reliable, &mut asker, "203.0.113.0/26")?;
        ensure!(
            (changes, &markers[..]) == (20_000, &[]),
            "reliable: {changes} and {markers:?}"
        );
        for (listener, end, errno) in [
            (&*classic, "203.0.113.64/26", 0),
            (&error, "203.0.113.128/26", ENOBUFS),
        ] {
            let (changes, markers) = hear_late(listener, &mut asker, end)?;
            ensure!(markers == [errno], "{end}: {markers:?}");
            ensure!(changes < 20_000, "{end}: nothing was missed");
        }
        Ok(())
    });
}
