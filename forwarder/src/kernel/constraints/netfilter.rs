//! nftables: base chains on the forwarding path that do something.
//!
//! Asked of nfnetlink directly (`NFT_MSG_GETTABLE`, `NFT_MSG_GETCHAIN`; some
//! tens of microseconds). A base chain's use count is its number of rules
//! (`nf_tables_newrule`; nothing can jump to a base chain), so that rules
//! needn't be read however many there are. iptables-nft is nftables;
//! conntrack and NAT act on forwarded packets only where rules say so.

use std::collections::BTreeSet;

use super::super::request::Requester;
use super::super::wire::{Attributes, Malformed, Request, after, u8_at};
use super::ProbeError;

/// Length of `struct nfgenmsg`.
const FIXED_LEN: usize = 4;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
/// `NFT_TABLE_F_DORMANT`: its chains are not hooked.
const DORMANT: u32 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_USE: u16 = 6;
const NFTA_HOOK_HOOKNUM: u16 = 1;
/// `NF_DROP`.
const DROP: u32 = 0;

/// A chain as far as it matters.
#[derive(Debug, Default)]
struct Chain {
    family: u8,
    table: String,
    name: String,
    hook: Option<u32>,
    drops: bool,
    rules: u32,
}

pub(super) async fn read(requester: &mut Requester) -> Result<Vec<String>, ProbeError> {
    let dormant: BTreeSet<(u8, String)> = requester
        .dump(&request(libc::NFT_MSG_GETTABLE), collect_dormant)
        .await
        .or_else(absent)?;
    let chains: Vec<Chain> = requester
        .dump(&request(libc::NFT_MSG_GETCHAIN), collect_chain)
        .await
        .or_else(absent)?;
    let awake = |chain: &&Chain| !dormant.contains(&(chain.family, chain.table.clone()));
    Ok(chains.iter().filter(awake).filter_map(describe).collect())
}

/// nfnetlink answers EINVAL for a subsystem that it hasn't got.
fn absent<T: Default>(error: super::RequestError) -> Result<T, super::RequestError> {
    if error.errno() == Some(libc::EINVAL) {
        Ok(T::default())
    } else {
        Err(error)
    }
}

fn request(message: libc::c_int) -> Request {
    let kind = (libc::NFNL_SUBSYS_NFTABLES << 8) | message;
    // Family 0: all of them.
    Request::new(u16::try_from(kind).unwrap_or_default(), 0, &[0; FIXED_LEN])
}

fn collect_dormant(
    found: &mut BTreeSet<(u8, String)>,
    _kind: u16,
    payload: &[u8],
) -> Result<(), Malformed> {
    let (mut name, mut flags) = (String::new(), 0);
    for attribute in Attributes::new(after(payload, FIXED_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            NFTA_TABLE_NAME => name = attribute.text(),
            NFTA_TABLE_FLAGS => flags = attribute.be32()?,
            _ => {}
        }
    }
    if flags & DORMANT != 0 {
        found.insert((u8_at(payload, 0)?, name));
    }
    Ok(())
}

fn collect_chain(found: &mut Vec<Chain>, _kind: u16, payload: &[u8]) -> Result<(), Malformed> {
    let mut chain = Chain {
        family: u8_at(payload, 0)?,
        ..Chain::default()
    };
    for attribute in Attributes::new(after(payload, FIXED_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            NFTA_CHAIN_TABLE => chain.table = attribute.text(),
            NFTA_CHAIN_NAME => chain.name = attribute.text(),
            NFTA_CHAIN_POLICY => chain.drops = attribute.be32()? == DROP,
            NFTA_CHAIN_USE => chain.rules = attribute.be32()?,
            NFTA_CHAIN_HOOK => chain.hook = hook(attribute.nested())?,
            _ => {}
        }
    }
    found.push(chain);
    Ok(())
}

fn hook(attributes: Attributes<'_>) -> Result<Option<u32>, Malformed> {
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind == NFTA_HOOK_HOOKNUM {
            return attribute.be32().map(Some);
        }
    }
    Ok(None)
}

/// Names of the family and hook, for chains that forwarded IPv4 packets pass.
fn on_the_path(family: u8, hook: u32) -> Option<(&'static str, &'static str)> {
    let family = match i32::from(family) {
        libc::NFPROTO_INET => "inet",
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_NETDEV => "netdev",
        _ => return None,
    };
    let hook = match (family, hook) {
        ("netdev", 0) | ("inet", 5) => "ingress",
        ("netdev", 1) => "egress",
        ("netdev", _) => return None,
        (_, 0) => "prerouting",
        (_, 2) => "forward",
        (_, 4) => "postrouting",
        _ => return None,
    };
    Some((family, hook))
}

fn describe(chain: &Chain) -> Option<String> {
    let (family, hook) = on_the_path(chain.family, chain.hook?)?;
    let Chain {
        table, name, rules, ..
    } = chain;
    let what = match (rules, chain.drops) {
        (0, false) => return None,
        (0, true) => "policy drop".to_owned(),
        (1, _) => "1 rule".to_owned(),
        (rules, _) => format!("{rules} rules"),
    };
    Some(format!(
        "nftables {family} {table} {name} (hook {hook}, {what})"
    ))
}
