//! IPsec policies that forwarded IPv4 packets are checked against: directions
//! `out` and `fwd`. Per-socket policies, which key daemons set on their own
//! sockets, don't count.
//!
//! Layout: `include/uapi/linux/xfrm.h`.

use super::super::request::Requester;
use super::super::wire::{Malformed, Request, u8_at, u16_at};
use super::ProbeError;

const XFRM_MSG_GETPOLICY: u16 = 0x15;
/// Length of `struct xfrm_userpolicy_id`.
const ID_LEN: usize = 64;
/// `offsetof(struct xfrm_userpolicy_info, sel.family)`.
const FAMILY: usize = 40;
/// `offsetof(struct xfrm_userpolicy_info, dir)`.
const DIRECTION: usize = 160;
/// `XFRM_POLICY_OUT`, `XFRM_POLICY_FWD`.
const OUT: u8 = 1;
const FORWARD: u8 = 2;

pub(super) async fn read(requester: &mut Requester) -> Result<Option<String>, ProbeError> {
    let request = Request::new(XFRM_MSG_GETPOLICY, 0, &[0; ID_LEN]);
    let policies: usize = match requester.dump(&request, collect).await {
        // A kernel without the user interface of IPsec.
        Err(error) if error.errno() == Some(libc::EINVAL) => 0,
        policies => policies?,
    };
    Ok(match policies {
        0 => None,
        1 => Some("1 IPsec policy".to_owned()),
        policies => Some(format!("{policies} IPsec policies")),
    })
}

fn collect(found: &mut usize, _kind: u16, payload: &[u8]) -> Result<(), Malformed> {
    let family = i32::from(u16_at(payload, FAMILY)?);
    let direction = u8_at(payload, DIRECTION)?;
    let ipv4 = family == libc::AF_INET || family == libc::AF_UNSPEC;
    if ipv4 && (direction == OUT || direction == FORWARD) {
        *found += 1;
    }
    Ok(())
}
