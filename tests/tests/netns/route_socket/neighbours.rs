//! `RTF_LLDATA`: link-layer addresses, which are the kernel's neighbour entries.

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Request, link};
use forwarder_tests::lab::{SHORT, wait_for};

use super::{EINVAL, case};

const MAC: [u8; 6] = [2, 0, 0, 0x11, 0x22, 0x33];

fn entry(kind: u8, address: &str, ifindex: u16) -> anyhow::Result<Request> {
    Ok(Request::new(kind)
        .destination(address)?
        .raw(RTA_GATEWAY, &link(ifindex, "", &MAC))
        .flags(RTF_LLDATA | RTF_HOST | RTF_STATIC))
}

#[test]
fn route4_case_26_27_an_entry_is_made_and_deleted() {
    case("26-27", |bed, client| {
        for address in ["192.0.2.2", "2001:db8::2"] {
            let reply = client.done(entry(RTM_ADD, address, bed.eth0)?)?;
            let gateway = reply.link(RTA_GATEWAY).context("an AF_LINK gateway")?;
            ensure!(gateway.ifindex == bed.eth0, "{gateway:?}");
            ensure!(gateway.lladdr == MAC, "{gateway:?}");
            wait_for(SHORT, "the neighbour entry", || {
                let known = bed.r1.run(&format!("ip neigh show {address} dev eth0"))?;
                ensure!(known.contains("02:00:00:11:22:33"), "{known:?}");
                Ok(())
            })?;
            let reply = client.done(entry(RTM_DELETE, address, bed.eth0)?)?;
            ensure!(reply.ip(RTA_DST) == Some(address.parse()?), "{reply:?}");
            ensure!(reply.addrs() & RTA_GATEWAY != 0, "{reply:?}");
            wait_for(SHORT, "the end of the entry", || {
                let known = bed.r1.run(&format!("ip neigh show {address} dev eth0"))?;
                ensure!(!known.contains("02:00:00:11:22:33"), "{known:?}");
                Ok(())
            })?;
        }
        Ok(())
    });
}

#[test]
fn route4_case_28_an_entry_needs_an_interface_and_a_link_layer_address() {
    case("28", |bed, client| {
        client.refused(entry(RTM_ADD, "192.0.2.2", 0)?, EINVAL)?;
        let wrong = entry(RTM_ADD, "192.0.2.2", bed.eth0)?.gateway("192.0.2.9")?;
        client.refused(wrong, EINVAL).map(drop)
    });
}
