//! ICMP redirects: a router says that another on the same link is nearer to a
//! host (RFC 792; RFC 1122 §3.2.2.2; IPv6: RFC 4861 §8).
//!
//! Called by the RIB's task. The rules are 4.4BSD's (`rtredirect`), but that a
//! route of a client, of RIP or of the operator is not overwritten: the redirect
//! is a candidate behind all others, and one that ages: the hosts that send them
//! are not watched, so that their word is not kept for ever (RFC 1122 §3.3.1.3
//! suggests minutes).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Rib, Slot};
use crate::net::{Family, Ifindex, TableId};
use crate::route::{Attributes, Candidate, Distance, Nexthop, RouteType, Source};
use crate::route_msg::Errno;
use crate::route_msg::number::{RTF_DYNAMIC, RTF_MODIFIED};
use crate::time::Instant;

/// How long a redirect is followed.
pub(super) const LASTS: Duration = Duration::from_secs(600);

/// Redirects that are followed at a time: anybody on a link can send some.
pub(super) const MOST: usize = 4096;

/// Redirects that are followed, and until when.
pub(super) type Followed<F> = BTreeMap<<F as Family>::Prefix, Instant>;

/// The word of a router on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redirect<F: Family> {
    /// The host it is about.
    pub destination: F::Addr,
    /// The router that is nearer; none where the host itself is on the link
    /// (RFC 4861 §8.3, IPv6 alone).
    pub gateway: Option<F::Addr>,
    /// Who says so.
    pub author: F::Addr,
    /// Where it came in.
    pub ifindex: Ifindex,
}

impl<F: Family> Redirect<F> {
    /// The route that it is about.
    pub fn prefix(&self) -> F::Prefix {
        F::host(self.destination)
    }
}

impl<F: Family> Rib<F> {
    /// Judges a redirect, and follows it for a while if that is wanted.
    ///
    /// # Errors
    /// `ENETUNREACH`: the gateway is on no link of that interface. `EINVAL`: the
    /// author is not the router in use. `EHOSTUNREACH`: the gateway is ourselves,
    /// or the host is on the link. `EPERM`: it is right, and not followed.
    /// `ENOBUFS`: too many others are.
    pub fn redirect(
        &mut self,
        now: Instant,
        distance: Distance,
        redirect: &Redirect<F>,
        follow: bool,
    ) -> Result<(), Errno> {
        let link = Nexthop::link(redirect.ifindex);
        let hop = redirect
            .gateway
            .map_or(link, |gateway| Nexthop::via(gateway, redirect.ifindex));
        let nearer = redirect.gateway.unwrap_or(redirect.destination);
        if self.resolver.is_own(nearer, Some(redirect.ifindex)) {
            return Err(Errno::Ehostunreach);
        }
        let on_link = self.resolver.answer(TableId::MAIN, Slot::Redirect, &hop);
        if on_link.is_err() {
            return Err(Errno::Enetunreach);
        }
        let taken = self.lookup(TableId::MAIN, redirect.destination);
        if let Some((_, route)) = &taken {
            if route.nexthops.iter().all(|hop| hop.gateway.is_none()) {
                return Err(Errno::Ehostunreach);
            }
            let from_router = |hop: &Nexthop<F>| {
                hop.gateway == Some(redirect.author) && hop.ifindex == Some(redirect.ifindex)
            };
            if !route.nexthops.iter().any(from_router) {
                return Err(Errno::Einval);
            }
        }
        if !follow {
            return Err(Errno::Eperm);
        }
        let prefix = redirect.prefix();
        if self.followed.len() >= MOST && !self.followed.contains_key(&prefix) {
            return Err(Errno::Enobufs);
        }
        let again =
            taken.is_some_and(|(taken, route)| taken == prefix && route.source == Source::Redirect);
        let modified = if again { RTF_MODIFIED } else { 0 };
        let candidate = Candidate {
            kind: RouteType::Unicast,
            nexthops: vec![hop],
            source: Source::Redirect,
            distance,
            metric: 0,
            tag: 0,
            mtu: None,
            kernel_metric: None,
            preferred_source: None,
            attributes: Some(Arc::new(Attributes {
                flags: RTF_DYNAMIC | modified,
                ..Attributes::default()
            })),
        };
        self.update(now, TableId::MAIN, prefix, candidate);
        self.followed.insert(prefix, now + LASTS);
        Ok(())
    }

    /// A redirect is not followed any more: its gateway has failed.
    pub fn give_up_redirect(&mut self, prefix: F::Prefix) {
        self.withdraw(TableId::MAIN, prefix, Slot::Redirect);
        self.followed.remove(&prefix);
    }

    /// When the first redirect has been followed for long enough.
    pub(super) fn next_redirect(&self) -> Option<Instant> {
        self.followed.values().min().copied()
    }

    pub(super) fn expire_redirects(&mut self, now: Instant) {
        let due = self.followed.iter().filter(|(_, until)| **until <= now);
        let due: Vec<F::Prefix> = due.map(|(prefix, _)| *prefix).collect();
        for prefix in due {
            self.give_up_redirect(prefix);
        }
    }
}
