//! route(8)'s texts: what BSD's prints, byte for byte where it is fixed.

use std::fmt::Write as _;
use std::net::IpAddr;

use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Errno, Gateway, IfAddr, IfInfo, Message, RouteMessage};
use ipnet::IpNet;

use super::names::Names;

/// `RTF_*` in the order of their bits.
const FLAGS: [(u32, &str); 22] = [
    (RTF_UP, "UP"),
    (RTF_GATEWAY, "GATEWAY"),
    (RTF_HOST, "HOST"),
    (RTF_REJECT, "REJECT"),
    (RTF_DYNAMIC, "DYNAMIC"),
    (RTF_MODIFIED, "MODIFIED"),
    (RTF_DONE, "DONE"),
    (0x100, "CLONING"),
    (RTF_XRESOLVE, "XRESOLVE"),
    (RTF_LLDATA, "LLINFO"),
    (RTF_STATIC, "STATIC"),
    (RTF_BLACKHOLE, "BLACKHOLE"),
    (RTF_PROTO2, "PROTO2"),
    (RTF_PROTO1, "PROTO1"),
    (RTF_PROTO3, "PROTO3"),
    (RTF_FIXEDMTU, "FIXEDMTU"),
    (RTF_PINNED, "PINNED"),
    (RTF_LOCAL, "LOCAL"),
    (RTF_BROADCAST, "BROADCAST"),
    (RTF_MULTICAST, "MULTICAST"),
    (RTF_MPATH, "MPATH"),
    (RTF_STICKY, "STICKY"),
];

const METRICS: [(u64, &str); 10] = [
    (RTV_MTU, "mtu"),
    (RTV_HOPCOUNT, "hopcount"),
    (RTV_EXPIRE, "expire"),
    (RTV_RPIPE, "recvpipe"),
    (RTV_SPIPE, "sendpipe"),
    (RTV_SSTHRESH, "ssthresh"),
    (RTV_RTT, "rtt"),
    (RTV_RTTVAR, "rttvar"),
    (RTV_WEIGHT, "weight"),
    (RTV_METRIC, "metric"),
];

const ADDRESSES: [(u32, &str); 8] = [
    (RTA_DST, "DST"),
    (RTA_GATEWAY, "GATEWAY"),
    (RTA_NETMASK, "NETMASK"),
    (RTA_GENMASK, "GENMASK"),
    (RTA_IFP, "IFP"),
    (RTA_IFA, "IFA"),
    (RTA_AUTHOR, "AUTHOR"),
    (RTA_BRD, "BRD"),
];

/// `<UP,GATEWAY>`.
pub(super) fn flags(flags: u32) -> String {
    let set = FLAGS.iter().filter(|(bit, _)| flags & bit != 0);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    bits(&names)
}

/// `bprintf`: nothing at all where no bit is set.
fn bits(names: &[&str]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!("<{}>", names.join(","))
}

fn metrics(bits_set: u64) -> String {
    let set = METRICS.iter().filter(|(bit, _)| bits_set & bit != 0);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    bits(&names)
}

/// Addresses as numbers, or by name where there are names.
pub(super) struct Namer<'a> {
    /// `None` = `-n`.
    pub(super) names: Option<&'a Names>,
}

impl Namer<'_> {
    /// A host or gateway.
    pub(super) fn host(&self, address: IpAddr) -> String {
        if address.is_unspecified() {
            return "default".into();
        }
        let name = self.names.and_then(|names| names.of_host(address));
        name.map_or_else(|| address.to_string(), str::to_owned)
    }

    /// A destination: of a network without its length.
    pub(super) fn destination(&self, net: IpNet, is_net: bool) -> String {
        if net.prefix_len() == 0 {
            return "default".into();
        }
        if !is_net {
            return self.host(net.addr());
        }
        let name = self.names.and_then(|names| names.of_network(net.addr()));
        name.map_or_else(|| net.addr().to_string(), str::to_owned)
    }
}

/// `add net 10.0.0.0: gateway 192.0.2.254`, and what went wrong.
pub(super) fn result(
    verb: &str,
    destination: &str,
    is_net: bool,
    gateway: Option<&str>,
    errno: Option<Errno>,
) -> String {
    let kind = if is_net { "net" } else { "host" };
    let mut line = format!("{verb} {kind} {destination}");
    if let Some(gateway) = gateway {
        let _ = write!(line, ": gateway {gateway}");
    }
    if let Some(errno) = errno {
        let _ = write!(line, ": {}", words(errno));
    }
    line
}

/// route(8)'s words for an errno.
pub(super) fn words(errno: Errno) -> String {
    match errno {
        Errno::Eexist => "route already in table".into(),
        Errno::Esrch => "not in table".into(),
        Errno::Ebusy => "entry in use".into(),
        Errno::Enobufs => "not enough memory".into(),
        other => std::io::Error::from_raw_os_error(other.number())
            .to_string()
            .split(" (os error")
            .next()
            .unwrap_or_default()
            .into(),
    }
}

/// What `route get` prints.
pub(super) fn answer(asked: &str, route: &RouteMessage, namer: &Namer<'_>, now: u64) -> String {
    let mut text = format!("   route to: {asked}\n");
    if let Some(destination) = route.destination {
        let shown = namer.destination(destination, destination.prefix_len() < full(destination));
        let _ = writeln!(text, "destination: {shown}");
        if destination.prefix_len() < full(destination) {
            let mask = destination.netmask();
            let mask = if mask.is_unspecified() {
                "default".into()
            } else {
                mask.to_string()
            };
            let _ = writeln!(text, "       mask: {mask}");
        }
    }
    if let (Some(Gateway::Ip(gateway)), true) = (&route.gateway, route.flags & RTF_GATEWAY != 0) {
        let _ = writeln!(text, "    gateway: {}", namer.host(*gateway));
    }
    text.push_str("        fib: 0\n");
    if let Some(interface) = route.ifp.as_ref().filter(|link| !link.name.is_empty()) {
        let _ = writeln!(text, "  interface: {}", interface.name);
    }
    let _ = writeln!(text, "      flags: {}", flags(route.flags));
    let _ = writeln!(
        text,
        "{:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9}",
        "recvpipe", "sendpipe", "ssthresh", "rtt,msec", "mtu   ", "weight", "expire"
    );
    let metrics = &route.metrics;
    let lock = |bit| if metrics.locks & bit == 0 { ' ' } else { 'L' };
    for (value, bit) in [
        (metrics.recvpipe, RTV_RPIPE),
        (metrics.sendpipe, RTV_SPIPE),
        (metrics.ssthresh, RTV_SSTHRESH),
        ((metrics.rtt + 500) / 1000, RTV_RTT),
        (metrics.mtu, RTV_MTU),
        (metrics.weight, RTV_WEIGHT),
    ] {
        let _ = write!(text, "{value:>8}{} ", lock(bit));
    }
    let expire = match metrics.expire {
        0 => 0,
        at => i64::try_from(at).unwrap_or(i64::MAX) - i64::try_from(now).unwrap_or(0),
    };
    let _ = writeln!(text, "{expire:>8}{}", lock(RTV_EXPIRE));
    text
}

fn full(net: IpNet) -> u8 {
    net.max_prefix_len()
}

/// A line of `route flush`.
pub(super) fn flushed(destination: &str, gateway: &str) -> String {
    format!("{destination:<20.20} {gateway:<20.20} done")
}

/// What `route monitor` prints of a message; `time` is ctime(3)'s, newline and
/// all.
pub(super) fn told(message: &Message, length: usize, time: &str, namer: &Namer<'_>) -> String {
    let mut text = format!("\ngot message of size {length} on {time}\n");
    match message {
        Message::Route(route) => told_route(&mut text, route, length, namer),
        Message::IfInfo(info) => told_info(&mut text, info, length),
        Message::IfAddr(address) => told_address(&mut text, address, length, namer),
        Message::IfAnnounce(announce) => {
            let what = if announce.arrival {
                "arrival"
            } else {
                "departure"
            };
            let _ = writeln!(
                text,
                "RTM_IFANNOUNCE: interface arrival/departure: len {length}, if# {}, what: {what}",
                announce.index
            );
        }
        Message::Desync(_) => {
            text.push_str("RTM_DESYNC: messages were lost: the listener was too slow\n");
        }
        other => {
            let _ = writeln!(text, "{other:?}");
        }
    }
    text
}

fn told_route(text: &mut String, route: &RouteMessage, length: usize, namer: &Namer<'_>) {
    let head = match route.kind {
        RTM_ADD => "RTM_ADD: Add Route",
        RTM_DELETE => "RTM_DELETE: Delete Route",
        RTM_CHANGE => "RTM_CHANGE: Change Metrics or flags",
        RTM_GET => "RTM_GET: Report Metrics",
        RTM_LOSING => "RTM_LOSING: Kernel Suspects Partitioning",
        RTM_REDIRECT => "RTM_REDIRECT: Told to use different route",
        RTM_MISS => "RTM_MISS: Lookup failed on this address",
        RTM_LOCK => "RTM_LOCK: fix specified metrics",
        RTM_RESOLVE => "RTM_RESOLVE: Route created by cloning",
        RTM_EXPORT_FAILED => "RTM_EXPORT_FAILED: not in the kernel's table",
        _ => "#: message of another type",
    };
    let errno = route.errno.map_or(0, Errno::number);
    let _ = writeln!(
        text,
        "{head}: len {length}, pid: {}, seq {}, errno {errno}, flags:{}",
        route.pid,
        route.seq,
        flags(route.flags)
    );
    let _ = writeln!(
        text,
        "locks: {} inits: {}",
        metrics(route.metrics.locks),
        metrics(route.inits)
    );
    let mut bits = 0;
    let mut values = Vec::new();
    let mut add = |bit, value: String| {
        bits |= bit;
        values.push(value);
    };
    if let Some(destination) = route.destination {
        let is_net = destination.prefix_len() < full(destination);
        add(RTA_DST, namer.destination(destination, is_net));
    }
    match &route.gateway {
        Some(Gateway::Ip(gateway)) => add(RTA_GATEWAY, namer.host(*gateway)),
        Some(Gateway::Link(link)) => add(RTA_GATEWAY, format!("link#{}", link.ifindex)),
        None => {}
    }
    if let Some(net) = route
        .destination
        .filter(|net| net.prefix_len() < full(*net))
    {
        add(RTA_NETMASK, net.netmask().to_string());
    }
    if let Some(length) = route.genmask {
        add(RTA_GENMASK, format!("/{length}"));
    }
    if let Some(link) = &route.ifp {
        add(RTA_IFP, format!("{}:{}", link.name, hex(&link.address)));
    }
    for (bit, address) in [
        (RTA_IFA, route.ifa),
        (RTA_AUTHOR, route.author),
        (RTA_BRD, route.peer),
    ] {
        if let Some(address) = address {
            add(bit, namer.host(address));
        }
    }
    sockaddrs(text, bits, &values);
}

fn told_info(text: &mut String, info: &IfInfo, length: usize) {
    let link = match info.link_state {
        1 => "down",
        2 => "up",
        _ => "unknown",
    };
    let names = [
        (0x1, "UP"),
        (0x2, "BROADCAST"),
        (0x8, "LOOPBACK"),
        (0x10, "PTP"),
        (0x40, "RUNNING"),
        (0x8000, "MULTICAST"),
    ];
    let set = names.iter().filter(|(bit, _)| info.flags & bit != 0);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    let _ = writeln!(
        text,
        "RTM_IFINFO: iface status change: len {length}, if# {}, link: {link}, flags:<{}>",
        info.index,
        names.join(",")
    );
}

fn told_address(text: &mut String, address: &IfAddr, length: usize, namer: &Namer<'_>) {
    let (head, flags) = if address.added {
        ("RTM_NEWADDR: address being added to iface", "<UP>")
    } else {
        ("RTM_DELADDR: address being removed from iface", "<>")
    };
    let _ = writeln!(text, "{head}: len {length}, metric 0, flags:{flags}");
    let mut bits = RTA_NETMASK | RTA_IFP | RTA_IFA;
    let interface = &address.interface;
    let mut values = vec![
        address.address.netmask().to_string(),
        format!("{}:{}", interface.name, hex(&interface.address)),
        namer.host(address.address.addr()),
    ];
    if let Some(broadcast) = address.broadcast {
        bits |= RTA_BRD;
        values.push(broadcast.to_string());
    }
    sockaddrs(text, bits, &values);
}

fn sockaddrs(text: &mut String, bits: u32, values: &[String]) {
    let set = ADDRESSES.iter().filter(|(bit, _)| bits & bit != 0);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    let _ = writeln!(text, "sockaddrs: <{}>", names.join(","));
    let _ = writeln!(text, " {}", values.join(" "));
}

fn hex(bytes: &[u8]) -> String {
    let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:x}")).collect();
    parts.join(".")
}

/// netstat(1)'s table of routes.
pub(super) fn table(routes: &[RouteMessage], namer: &Namer<'_>) -> String {
    let mut text = String::from("Routing tables\n");
    for (title, ipv4) in [("Internet", true), ("Internet6", false)] {
        let of_family: Vec<&RouteMessage> = routes
            .iter()
            .filter(|route| {
                route
                    .destination
                    .is_some_and(|net| net.addr().is_ipv4() == ipv4)
            })
            .collect();
        if of_family.is_empty() {
            continue;
        }
        let (destination, gateway) = if ipv4 { (18, 18) } else { (33, 29) };
        let _ = writeln!(text, "\n{title}:");
        let _ = writeln!(
            text,
            "{:<destination$.destination$} {:<gateway$.gateway$} {:<6.6} {:>12.12} {:>6.6}",
            "Destination", "Gateway", "Flags", "If#", "Expire"
        );
        for route in of_family {
            let Some(net) = route.destination else {
                continue;
            };
            let shown = match net.prefix_len() {
                0 => "default".to_owned(),
                length if length == net.max_prefix_len() => namer.host(net.addr()),
                _ => net.to_string(),
            };
            let via = match &route.gateway {
                Some(Gateway::Ip(gateway)) => namer.host(*gateway),
                Some(Gateway::Link(link)) => format!("link#{}", link.ifindex),
                None => String::new(),
            };
            let _ = writeln!(
                text,
                "{shown:<destination$} {via:<gateway$} {:<6} {:>12}",
                letters(route.flags),
                route.index
            );
        }
    }
    text
}

/// netstat(1)'s letters.
fn letters(flags: u32) -> String {
    const LETTERS: [(u32, char); 12] = [
        (RTF_UP, 'U'),
        (RTF_GATEWAY, 'G'),
        (RTF_HOST, 'H'),
        (RTF_REJECT, 'R'),
        (RTF_DYNAMIC, 'D'),
        (RTF_MODIFIED, 'M'),
        (RTF_XRESOLVE, 'X'),
        (RTF_STATIC, 'S'),
        (RTF_PROTO1, '1'),
        (RTF_PROTO2, '2'),
        (RTF_PROTO3, '3'),
        (RTF_BLACKHOLE, 'B'),
    ];
    let set = LETTERS.iter().filter(|(bit, _)| flags & bit != 0);
    set.map(|(_, letter)| *letter).collect()
}
