//! Which checks a measured program does: all but what its loader says.
//!
//! In the place of the router's `checks.rs`. The switches are in read-only
//! memory, which the verifier knows: it takes a check out, and of its switch
//! nothing is left but a load, in the program with the check and the one without.

use forwarder_common::check::{Check, Skipped};

/// Set at load.
#[unsafe(no_mangle)]
static SKIPPED: Skipped = [0; Check::ALL.len()];

/// Whether a check is done.
#[inline(always)]
pub fn on(check: Check) -> bool {
    // SAFETY: a constant; volatile because the loader sets another value than
    // the one that LLVM sees.
    unsafe { core::ptr::read_volatile(&raw const SKIPPED[check as usize]) == 0 }
}
