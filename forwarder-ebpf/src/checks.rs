//! Which checks a router's program does: all of them.
//!
//! Asked where the checks are. In the program of `forwarder bench`
//! (`measured.rs`) another module takes this one's place, which leaves one out;
//! here the question is answered when it is compiled, and costs nothing.

use forwarder_common::check::Check;

/// Whether a check is done.
#[inline(always)]
pub const fn on(_: Check) -> bool {
    true
}
