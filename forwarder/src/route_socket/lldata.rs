//! `RTF_LLDATA`: link-layer addresses, which BSD keeps beside its routes and
//! Linux in its neighbour tables. They go there, and the fast path takes them
//! from there as it takes every other.

use forwarder_core::net::Ifindex;
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{
    Errno, Gateway, LinkAddr, RequestKind, RouteMessage, RouteRequest,
};
use tracing::debug;

use crate::kernel::{Neighbours, RequestError};

/// Whether a request is about a link-layer address.
pub(super) fn is_about(request: &RouteRequest) -> bool {
    request.flags & RTF_LLDATA != 0
        && matches!(request.kind, RequestKind::Add | RequestKind::Delete)
}

/// Sets an entry, or removes it.
pub(super) async fn carry_out(request: &RouteRequest, pid: i32) -> Result<RouteMessage, Errno> {
    let Some(Gateway::Link(link)) = &request.gateway else {
        return Err(Errno::Einval);
    };
    let mut neighbours = Neighbours::open().map_err(|_| Errno::Enobufs)?;
    let (ifindex, address) = (Ifindex(u32::from(link.ifindex)), request.address);
    let done = match request.kind {
        RequestKind::Add => {
            let mac: [u8; 6] = link
                .address
                .as_slice()
                .try_into()
                .map_err(|_| Errno::Einval)?;
            // One that expires is the kernel's to confirm from now on.
            let lasts = request.inits & RTV_EXPIRE == 0;
            neighbours.set(ifindex, address, mac, lasts).await
        }
        _ => neighbours.remove(ifindex, address).await,
    };
    done.map_err(|error| refusal(&error))?;
    let mut reply = RouteMessage::new(request.kind.number());
    reply.index = link.ifindex;
    reply.flags = request.flags | RTF_HOST | RTF_DONE;
    if request.kind == RequestKind::Add {
        reply.flags |= RTF_UP;
    }
    reply.pid = pid;
    reply.seq = request.seq;
    reply.destination = Some(address.into());
    reply.gateway = Some(Gateway::Link(LinkAddr {
        kind: IFT_ETHER,
        ..link.clone()
    }));
    Ok(reply)
}

fn refusal(error: &RequestError) -> Errno {
    debug!("a neighbour entry was refused: {error}");
    match error.errno() {
        Some(libc::ENOENT) => Errno::Esrch,
        Some(libc::ENODEV) => Errno::Enetunreach,
        Some(number) => Errno::from_number(number).unwrap_or(Errno::Eio),
        None => Errno::Eio,
    }
}
