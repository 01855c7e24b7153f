//! `forwarder doctor`: what this machine lacks for forwarding fast, and the
//! commands that mend it.
//!
//! * [`facts`]: what was found, gathered by [`gather`], which only looks
//! * `kernel`, `limits`, `forwarding`, `interface` (with `nic`, `queues`, `veth`):
//!   what follows from it
//! * [`finding`]: one conclusion; [`render`]: all of them for people
//!
//! Judgement is a function of the facts, so that every rule is tested with made-up
//! facts; gathering decides nothing. No daemon is asked: what it would do is told
//! by the code it does it with (`dataplane::ports`, `kernel::constraints`).
//! Called by `cli::doctor`.

pub mod drivers;
pub mod facts;
pub mod finding;
mod forwarding;
pub mod gather;
mod interface;
mod kernel;
mod limits;
mod nic;
mod queues;
pub mod render;
#[cfg(test)]
mod tests;
mod veth;

use facts::Facts;
use finding::Finding;

/// Everything that follows from the facts, group by group.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = kernel::judge(facts);
    findings.extend(limits::judge(facts));
    findings.extend(forwarding::judge(facts));
    for interface in &facts.interfaces {
        findings.extend(interface::judge(interface, facts));
    }
    findings
}
