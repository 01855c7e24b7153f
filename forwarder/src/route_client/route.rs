//! A route to be set, said word by word.

use std::net::IpAddr;

use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Gateway, LinkAddr, RequestKind, RouteRequest};
use ipnet::IpNet;

/// What to set of a route. Nothing that is not said is changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    request: RouteRequest,
}

impl Route {
    /// A static route to a network or host.
    pub fn to(destination: IpNet) -> Route {
        let mut request = RouteRequest::new(RequestKind::Add, destination);
        request.flags = RTF_STATIC;
        Route { request }
    }

    /// Through a router.
    #[must_use]
    pub fn via(mut self, gateway: IpAddr) -> Route {
        self.request.flags |= RTF_GATEWAY;
        self.request.gateway = Some(Gateway::Ip(gateway));
        self
    }

    /// Through an interface that the destination is on, or beside a gateway the
    /// interface that the gateway is on.
    #[must_use]
    pub fn dev(mut self, interface: &str) -> Route {
        let link = LinkAddr {
            name: interface.to_owned(),
            ..LinkAddr::default()
        };
        if self.request.gateway.is_none() {
            self.request.gateway = Some(Gateway::Link(link));
        } else {
            self.request.ifp = Some(link);
        }
        self
    }

    /// Packets are dropped, and their senders told.
    #[must_use]
    pub fn reject(self) -> Route {
        self.flag(RTF_REJECT)
    }

    /// Packets are dropped in silence.
    #[must_use]
    pub fn blackhole(self) -> Route {
        self.flag(RTF_BLACKHOLE)
    }

    /// One more way to the prefix, with this share of the traffic (1..=256).
    #[must_use]
    pub fn multipath(mut self, weight: u16) -> Route {
        self.request.inits |= RTV_WEIGHT;
        self.request.metrics.weight = u64::from(weight);
        self.flag(RTF_MPATH)
    }

    /// Packets longer than this are not for this route.
    #[must_use]
    pub fn mtu(mut self, bytes: u32) -> Route {
        self.request.inits |= RTV_MTU;
        self.request.metrics.mtu = u64::from(bytes);
        self
    }

    /// The administrative distance, which is the priority: each is a candidate of
    /// its own.
    #[must_use]
    pub fn distance(mut self, distance: u8) -> Route {
        self.request.inits |= RTV_METRIC;
        self.request.metrics.metric = u64::from(distance);
        self
    }

    /// It goes by itself, at this time in seconds since 1970.
    #[must_use]
    pub fn expire(mut self, at: u64) -> Route {
        self.request.inits |= RTV_EXPIRE;
        self.request.metrics.expire = at;
        self
    }

    /// More of `RTF_*`.
    #[must_use]
    pub fn flag(mut self, flags: u32) -> Route {
        self.request.flags |= flags;
        self
    }

    /// The request itself, for what has no word here.
    #[must_use]
    pub fn with(mut self, set: impl FnOnce(&mut RouteRequest)) -> Route {
        set(&mut self.request);
        self
    }

    /// As a request of this kind.
    pub fn request(&self, kind: RequestKind) -> RouteRequest {
        RouteRequest {
            kind,
            ..self.request.clone()
        }
    }
}
