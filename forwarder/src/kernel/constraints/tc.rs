//! Traffic control on the way out: queueing disciplines that do more than put
//! packets in some order, and egress filters (clsact).
//!
//! A redirected frame goes to the device without passing a qdisc.
//!
//! Layout: `struct tcmsg`, `include/uapi/linux/{rtnetlink,pkt_sched}.h`.

use std::collections::{BTreeMap, BTreeSet};

use forwarder_core::net::Ifindex;

use super::super::request::Requester;
use super::super::requests::fixed;
use super::super::wire::{Attribute, Attributes, Malformed, Request, after, u32_at};
use super::ProbeError;

/// Length of `struct tcmsg`.
const FIXED_LEN: usize = 20;
/// `TC_H_CLSACT | TC_H_MIN_EGRESS`: where clsact's egress filters hang.
const CLSACT_EGRESS: u32 = 0xffff_fff3;
/// `TCA_FQ_FLOW_MAX_RATE` in bytes a second; all ones = none.
const TCA_FQ_FLOW_MAX_RATE: u16 = 7;

/// Queueing disciplines that neither limit, drop by rule, mark nor reorder by
/// class: what they do at most is share a queue that redirected frames don't
/// stand in. `fq` counts when it limits flows; `mq` is the sum of its
/// children, which are listed too; `ingress` and `clsact` are nothing without
/// filters.
const HARMLESS: [&str; 11] = [
    "noqueue",
    "noop",
    "pfifo_fast",
    "pfifo",
    "bfifo",
    "pfifo_head_drop",
    "fq_codel",
    "codel",
    "fq",
    "mq",
    "sfq",
];

/// What a dump of queueing disciplines holds of interest.
#[derive(Debug, Default)]
struct Found {
    shapers: BTreeMap<Ifindex, String>,
    clsact: BTreeSet<Ifindex>,
}

pub(super) async fn read(
    requester: &mut Requester,
) -> Result<BTreeMap<Ifindex, String>, ProbeError> {
    let request = Request::new(libc::RTM_GETQDISC, 0, &fixed::<FIXED_LEN>(libc::AF_UNSPEC));
    let Found {
        mut shapers,
        clsact,
    } = requester.dump(&request, collect).await?;
    for ifindex in clsact {
        if has_egress_filter(requester, ifindex).await? {
            let text = shapers.entry(ifindex).or_default();
            let comma = if text.is_empty() { "" } else { ", " };
            text.push_str(comma);
            text.push_str("clsact egress filter");
        }
    }
    Ok(shapers)
}

fn ifindex_of(payload: &[u8]) -> Result<Ifindex, Malformed> {
    u32_at(payload, 4).map(Ifindex)
}

fn collect(found: &mut Found, _kind: u16, payload: &[u8]) -> Result<(), Malformed> {
    let ifindex = ifindex_of(payload)?;
    let (mut kind, mut limits_flows) = (String::new(), false);
    for attribute in Attributes::new(after(payload, FIXED_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            libc::TCA_KIND => kind = attribute.text(),
            libc::TCA_OPTIONS if kind == "fq" => limits_flows = has_max_rate(&attribute)?,
            _ => {}
        }
    }
    match kind.as_str() {
        "clsact" => {
            found.clsact.insert(ifindex);
        }
        "ingress" => {}
        harmless if HARMLESS.contains(&harmless) && !limits_flows => {}
        _ => {
            found
                .shapers
                .entry(ifindex)
                .or_insert_with(|| format!("qdisc {kind}"));
        }
    }
    Ok(())
}

fn has_max_rate(options: &Attribute<'_>) -> Result<bool, Malformed> {
    for option in options.nested() {
        let option = option?;
        if option.kind == TCA_FQ_FLOW_MAX_RATE {
            return option.u32().map(|rate| rate != u32::MAX);
        }
    }
    Ok(false)
}

async fn has_egress_filter(
    requester: &mut Requester,
    ifindex: Ifindex,
) -> Result<bool, ProbeError> {
    let mut header: [u8; FIXED_LEN] = fixed(libc::AF_UNSPEC);
    header[4..8].copy_from_slice(&ifindex.0.to_ne_bytes());
    header[12..16].copy_from_slice(&CLSACT_EGRESS.to_ne_bytes());
    let request = Request::new(libc::RTM_GETTFILTER, 0, &header);
    let count = |found: &mut usize, _kind: u16, payload: &[u8]| {
        *found += usize::from(ifindex_of(payload)? == ifindex);
        Ok(())
    };
    match requester.dump(&request, count).await {
        Ok(filters) => Ok(filters > 0),
        // The interface or its qdisc has gone meanwhile.
        Err(error) if matches!(error.errno(), Some(libc::ENODEV | libc::EINVAL)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
