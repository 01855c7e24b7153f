//! `ip rule`: anything beyond the three default rules.
//!
//! The rule that VRFs share (`l3mdev`) is left out: it matches only packets of
//! interfaces that belong to a VRF, and those are handed up by their master.
//!
//! Layout: `include/uapi/linux/fib_rules.h`.

use super::super::request::Requester;
use super::super::requests::fixed;
use super::super::wire::{Attributes, Malformed, Request, after, u8_at, u32_at};
use super::ProbeError;

/// Length of `struct fib_rule_hdr`.
const FIXED_LEN: usize = 12;
const FRA_PRIORITY: u16 = 6;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_PAD: u16 = 18;
const FRA_L3MDEV: u16 = 19;
const FRA_PROTOCOL: u16 = 21;
/// `FR_ACT_TO_TBL`.
const TO_TABLE: u8 = 1;
/// `FIB_RULE_INVERT`.
const INVERT: u32 = 2;

/// Priority and table of the rules every namespace starts with; whether
/// lookups differ without it (table `default` is empty).
const DEFAULTS: [(u32, u32, bool); 3] = [(0, 255, true), (32_766, 254, true), (32_767, 253, false)];

/// A rule as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rule {
    priority: u32,
    table: u32,
    /// It sends every packet to its table.
    plain: bool,
    l3mdev: bool,
}

pub(super) async fn read(requester: &mut Requester) -> Result<Vec<String>, ProbeError> {
    let request = Request::new(libc::RTM_GETRULE, 0, &fixed::<FIXED_LEN>(libc::AF_INET));
    let rules = requester.dump(&request, collect).await;
    match rules {
        // No policy routing in this kernel.
        Err(error) if error.errno() == Some(libc::EAFNOSUPPORT) => Ok(Vec::new()),
        rules => Ok(judge(&rules?)),
    }
}

fn judge(rules: &[Rule]) -> Vec<String> {
    let is_default = |rule: &Rule| {
        let known = |(priority, table, _)| (priority, table) == (rule.priority, rule.table);
        rule.plain && DEFAULTS.into_iter().any(known)
    };
    let extra = rules
        .iter()
        .filter(|rule| !is_default(rule) && !rule.l3mdev);
    let mut found: Vec<String> = extra
        .map(|rule| format!("ip rule {}", rule.priority))
        .collect();
    for (priority, table, _) in DEFAULTS.into_iter().filter(|(_, _, matters)| *matters) {
        let there = |rule: &Rule| rule.plain && (rule.priority, rule.table) == (priority, table);
        if !rules.iter().any(there) {
            found.push(format!("default ip rule {priority} missing"));
        }
    }
    found
}

fn collect(found: &mut Vec<Rule>, _kind: u16, payload: &[u8]) -> Result<(), Malformed> {
    let matches_all = u8_at(payload, 1)? == 0 && u8_at(payload, 2)? == 0 && u8_at(payload, 3)? == 0;
    let mut rule = Rule {
        priority: 0,
        table: u32::from(u8_at(payload, 4)?),
        plain: matches_all && u8_at(payload, 7)? == TO_TABLE && u32_at(payload, 8)? & INVERT == 0,
        l3mdev: false,
    };
    for attribute in Attributes::new(after(payload, FIXED_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            FRA_PRIORITY => rule.priority = attribute.u32()?,
            FRA_TABLE => rule.table = attribute.u32()?,
            FRA_SUPPRESS_PREFIXLEN => rule.plain &= attribute.u32()? == u32::MAX,
            FRA_L3MDEV => rule.l3mdev = attribute.u8()? != 0,
            FRA_PAD | FRA_PROTOCOL => {}
            // A selector, or something newer than this list.
            _ => rule.plain = false,
        }
    }
    found.push(rule);
    Ok(())
}

#[cfg(test)]
mod tests;
