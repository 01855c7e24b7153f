//! A token bucket kept as one virtual time (GCRA, ITU-T I.371): what comes conforms
//! while that time is at most the burst ahead of the clock.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use forwarder_common::abi::{PuntLimit, PuntState};

/// Takes the credit for one; counts it where there is none.
#[inline(always)]
pub fn take(limit: &PuntLimit, state: &mut PuntState) -> bool {
    // SAFETY: no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let tat = if state.tat_ns > now {
        state.tat_ns
    } else {
        now
    };
    if tat - now > limit.burst_ns {
        state.refused += 1;
        return false;
    }
    state.tat_ns = tat + limit.cost_ns;
    true
}
