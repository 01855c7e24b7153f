//! The shapes of the API's answers. They are a contract: `docs/api.md` lists
//! them, tests pin every key, and a change is in the changelog.
//!
//! Numbers are numbers, times are seconds, addresses and prefixes are strings.
//! A value that does not apply is `null`, never left out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Implements what every shape needs.
macro_rules! shapes {
    ($($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* })*) => { $(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        pub struct $name { $($body)* }
    )* };
}

shapes! {
    /// `GET /v1/status`.
    pub struct Status {
        /// The program's version.
        pub version: String,
        /// The instance's name.
        pub instance: String,
        /// The daemon's process.
        pub pid: u32,
        /// Seconds since it started.
        pub uptime: u64,
        /// The configuration file.
        pub config: String,
        /// The fast path's lookup, "multibit" or "lpm-trie".
        pub engine: String,
        /// How far each sink has followed the RIB.
        pub generation: Generation,
        /// What makes packets take the slow path, or routes be missing; empty is
        /// good.
        pub degraded: Vec<Degraded>,
        /// How many ports there are, by mode.
        pub ports: PortSummary,
        /// How many routes there are.
        pub routes: RouteSummary,
        /// RIP, `null` where it is off.
        pub rip: Option<RipSummary>,
        /// The recording of RIP's inputs, `null` where there is none.
        pub recording: Option<RecordingSummary>,
        /// The netlink sockets' losses.
        pub netlink: NetlinkSummary,
    }

    /// How far the RIB and its sinks are. A sink that is off has nothing to
    /// follow: its number is the RIB's.
    pub struct Generation {
        /// Changes with each start of the daemon.
        pub epoch: u64,
        /// Batches of changes since then.
        pub rib: u64,
        /// The last one that is in the kernel's table.
        pub kernel: u64,
        /// The last one that is in the fast path's maps.
        pub xdp: u64,
        /// The last one that RIP has been told of.
        pub rip: u64,
        /// The same of IPv6, whose database counts by itself.
        pub ipv6: FamilyGeneration,
    }

    /// How far a family's RIB and its sinks are.
    pub struct FamilyGeneration {
        /// Batches of changes since the start.
        pub rib: u64,
        /// The last one that is in the kernel's table.
        pub kernel: u64,
        /// The last one that is in the fast path's maps.
        pub xdp: u64,
        /// The last one that RIPng has been told of.
        pub rip: u64,
    }

    /// Why the fast path does less than it could.
    pub struct Degraded {
        /// "netfilter", "rules", "xfrm", "tc", "fib-full" and the like.
        pub reason: String,
        /// What exactly, in words.
        pub detail: String,
    }

    /// Ports by mode.
    pub struct PortSummary {
        /// Attached by their drivers.
        pub native: u32,
        /// In the generic hook.
        pub generic: u32,
        /// Chosen as ports, but without the program.
        pub none: u32,
    }

    /// Prefixes of the main table.
    pub struct RouteSummary {
        /// That have at least one source.
        pub prefixes: u64,
        /// Selected ones by source.
        pub selected: BTreeMap<String, u64>,
        /// Ours that are in the kernel's table.
        pub kernel: u64,
        /// Ours that should be there and are not.
        pub kernel_missing: u64,
        /// In the fast path's maps.
        pub xdp: u64,
    }

    /// RIP at a glance.
    pub struct RipSummary {
        /// Interfaces it runs on.
        pub interfaces: u32,
        /// Neighbours heard.
        pub neighbors: u32,
        /// Destinations learnt.
        pub routes: u64,
        /// Datagrams lost because the receive buffers were full.
        pub socket_drops: u64,
    }

    /// `run --record`.
    pub struct RecordingSummary {
        /// The file.
        pub file: String,
        /// Bytes in it.
        pub bytes: u64,
        /// Why nothing is added any more; `null` while all is.
        pub stopped: Option<String>,
    }

    /// Netlink's troubles, each of them repaired by reading everything again.
    pub struct NetlinkSummary {
        /// Times that notifications were lost.
        pub overruns: u64,
        /// Messages that could not be understood.
        pub undecodable: u64,
    }

    /// An element of `GET /v1/routes`: what one source offers for one prefix.
    pub struct Route {
        /// "main", "local" or a number.
        pub table: String,
        /// The destination.
        pub prefix: IpNet,
        /// Whether packets go by this one.
        pub selected: bool,
        /// "connected", "static", "rip", "kernel-bgp", "kernel-66".
        pub source: String,
        /// Who put it there: "forwarder", "kernel", or the protocol's name.
        pub owner: String,
        /// Administrative distance.
        pub distance: u8,
        /// The protocol's metric.
        pub metric: u32,
        /// Its metric in the kernel's table; `null` = it is not put there.
        pub kernel_metric: Option<u32>,
        /// Route tag.
        pub tag: u32,
        /// Seconds since it last changed.
        pub age: u64,
        /// Its type where it is not unicast ("blackhole", …), "onlink",
        /// "linkdown".
        pub flags: Vec<String>,
        /// Why it is or is not selected, or why it is not in the kernel.
        pub reason: String,
        /// The ways out; empty for types that have none.
        pub nexthops: Vec<RouteNexthop>,
        /// Where it has arrived.
        pub installed: Installed,
    }

    /// A way out of a route.
    pub struct RouteNexthop {
        /// The router; `null` = on the link.
        pub via: Option<IpAddr>,
        /// The interface; `null` = not resolved yet.
        pub dev: Option<String>,
        /// Share of the traffic.
        pub weight: u16,
        /// Whether it can be used.
        pub resolved: bool,
    }

    /// Where a route has arrived.
    pub struct Installed {
        /// In the kernel's table.
        pub kernel: bool,
        /// In the fast path's.
        pub xdp: bool,
    }

    /// `GET /v1/lookup?address=A`: who would do what with a packet to A.
    pub struct Lookup {
        /// A.
        pub address: IpAddr,
        /// The RIB's winner; `null` = no route.
        pub rib: Option<Route>,
        /// The kernel's choice (`ip route get`).
        pub kernel: KernelAnswer,
        /// The fast path's.
        pub xdp: XdpAnswer,
        /// Whether fast path and kernel agree; handing up is agreeing.
        pub agree: bool,
        /// What differs, in words.
        pub difference: Option<String>,
    }

    /// What the kernel would do.
    pub struct KernelAnswer {
        /// "unicast", "local", "blackhole", "unreachable", "prohibit", … or
        /// "none".
        pub kind: String,
        /// The router.
        pub via: Option<IpAddr>,
        /// The interface.
        pub dev: Option<String>,
    }

    /// What the fast path would do.
    pub struct XdpAnswer {
        /// "forward", "up" or "drop".
        pub verdict: String,
        /// The counter it would count under.
        pub reason: String,
        /// The longest prefix that matches.
        pub prefix: Option<IpNet>,
        /// The router, where it forwards by one.
        pub via: Option<IpAddr>,
        /// The interface, where it forwards by one.
        pub dev: Option<String>,
        /// Where the flow decides: the ways that there are.
        pub ways: Vec<Way>,
    }

    /// One of several ways that flows are shared among.
    pub struct Way {
        /// The router.
        pub via: Option<IpAddr>,
        /// The interface.
        pub dev: Option<String>,
        /// "forward", "up", "drop" or "resolve".
        pub verdict: String,
    }

    /// An element of `GET /v1/interfaces`.
    pub struct Interface {
        /// Its name.
        pub name: String,
        /// Its number.
        pub ifindex: u32,
        /// How the XDP program is attached.
        pub mode: Mode,
        /// Why not natively, or not at all.
        pub reason: Option<String>,
        /// Which program: "frags" (multi-buffer) or "plain".
        pub program: Option<String>,
        /// Its link-layer address.
        pub mac: Option<String>,
        /// Its MTU.
        pub mtu: u32,
        /// Switched on.
        pub up: bool,
        /// Has carrier.
        pub carrier: bool,
        /// Whether frames can be redirected to it.
        pub can_redirect: bool,
        /// The counter under which all IPv4 received here goes up.
        pub hands_up: Option<String>,
        /// The one under which all IPv6 does.
        pub hands_up_ipv6: Option<String>,
        /// `net.ipv4.conf.NAME.forwarding`.
        pub forwarding: bool,
        /// `net.ipv6.conf.all.forwarding`.
        pub forwarding_ipv6: bool,
        /// How the sources of IPv4 received here are checked: "off", "loose" or
        /// "strict"; `null` for what is no port.
        pub reverse_path: Option<String>,
        /// Likewise for IPv6.
        pub reverse_path_ipv6: Option<String>,
        /// "veth", "bridge", "vlan", …; empty for hardware.
        pub kind: String,
        /// Its IPv4 addresses with their prefix lengths.
        pub addresses: Vec<String>,
    }

    /// An element of `GET /v1/neighbors`: a link's other end.
    pub struct Neighbor {
        /// Its address.
        pub address: IpAddr,
        /// Our interface.
        pub interface: String,
        /// Its link-layer address.
        pub mac: Option<String>,
        /// "usable", "resolving" or "failed".
        pub state: String,
        /// Whether the kernel keeps it resolved for us.
        pub managed: bool,
        /// The adjacency that forwards to it.
        pub adjacency: Option<u32>,
        /// Seconds since the fast path last sent to it.
        pub idle: Option<u64>,
    }

    /// An element of `GET /v1/nexthops`: what prefixes point at.
    pub struct Nexthop {
        /// Its number in the maps.
        pub id: u32,
        /// "forward", "up", "drop", "resolve" (up, and the neighbour is asked
        /// for), or "balance" (the flow picks one of several).
        pub kind: String,
        /// The counter, for "up" and "drop".
        pub reason: Option<String>,
        /// The router or host.
        pub via: Option<IpAddr>,
        /// The interface.
        pub dev: Option<String>,
        /// The neighbour's link-layer address, for "forward".
        pub mac: Option<String>,
        /// Largest packet, for "forward".
        pub mtu: Option<u32>,
        /// The adjacency's number, for "forward".
        pub adjacency: Option<u32>,
        /// The group's number, for "balance".
        pub group: Option<u32>,
        /// How many prefixes use it.
        pub prefixes: u64,
        /// How many groups it is a member of.
        pub groups: u64,
    }

    /// `GET /v1/counters`.
    pub struct Counters {
        /// By port.
        pub interfaces: Vec<InterfaceCounters>,
        /// Packets of all ports by reason; every reason is there.
        pub reasons: BTreeMap<String, u64>,
        /// The routes that are counted each by itself, by prefix.
        pub routes: Vec<RouteCounter>,
    }

    /// What a route that is counted by itself has counted.
    pub struct RouteCounter {
        /// Its prefix.
        pub prefix: IpNet,
        /// Packets that it was the longest match of.
        pub packets: u64,
        /// Their bytes, link-layer header included.
        pub bytes: u64,
    }

    /// What the program did on one port.
    pub struct InterfaceCounters {
        /// Its name.
        pub name: String,
        /// Its number.
        pub ifindex: u32,
        /// How the program is attached.
        pub mode: Mode,
        /// Packets that the program saw.
        pub rx_packets: u64,
        /// Their bytes, link-layer header included.
        pub rx_bytes: u64,
        /// Of these, redirected to another port.
        pub forwarded_packets: u64,
        /// Their bytes.
        pub forwarded_bytes: u64,
        /// Of these, handed up to the kernel.
        pub passed: u64,
        /// Of these, dropped.
        pub dropped: u64,
    }

    /// `GET /v1/events`.
    pub struct Events {
        /// Number of the newest event; 0 = there was none yet.
        pub newest: u64,
        /// Events that the limit, or a full ring, kept from being told.
        pub lost: u64,
        /// In their order, the newest last.
        pub events: Vec<Event>,
    }

    /// What the fast path told of one packet.
    pub struct Event {
        /// Its number, from 1.
        pub sequence: u64,
        /// Seconds ago.
        pub age: f64,
        /// "up" or "dropped".
        pub verdict: String,
        /// The counter that it was counted under, or would have been but for a
        /// punt limit.
        pub reason: String,
        /// Where it came in.
        pub interface: String,
        /// Its source; `null` where the frame ends before.
        pub source: Option<IpAddr>,
        /// Its destination, likewise.
        pub destination: Option<IpAddr>,
        /// Bytes of the frame.
        pub length: u32,
    }

    /// `GET /v1/fib`.
    pub struct Fib {
        /// "multibit", "lpm-trie" or "kernel".
        pub engine: String,
        /// Prefixes of IPv4 routes.
        pub prefixes: u64,
        /// Prefixes of neighbours on connected networks.
        pub host_routes: u64,
        /// Next-hop numbers in use, by both families.
        pub nexthops: u64,
        /// Adjacencies in use.
        pub adjacencies: u64,
        /// Our own addresses.
        pub own_addresses: u64,
        /// Prefixes that go up because a table is full.
        pub overflow: u64,
        /// Rows of the engine "multibit" that lookups go through; 0 with another.
        pub rows_used: u64,
        /// All its rows: `ipv4-rows` at the start, more once it has grown; 0 with
        /// another engine.
        pub rows: u64,
        /// Kernel memory that all maps are charged (`memlock`).
        pub bytes: u64,
        /// What IPv6 has for itself.
        pub ipv6: FamilyFib,
    }

    /// An element of `GET /v1/fib/routes`: a route as the fast path has it.
    pub struct FibRoute {
        /// Its destination.
        pub destination: IpNet,
        /// "unicast"; "unreachable" and "blackhole" are dropped; "local" and
        /// "kernel" go up.
        pub kind: String,
        /// Where it leads, in the order that they were given in; of a local one
        /// the interface that has the address.
        pub ways: Vec<FibWay>,
        /// The metric that the kernel has it with, or would have.
        pub metric: u32,
    }

    /// One way of a [`FibRoute`].
    pub struct FibWay {
        /// The router; `null` = the destination is on the link.
        pub via: Option<IpAddr>,
        /// The interface.
        pub dev: Option<String>,
    }

    /// A family's own tables.
    pub struct FamilyFib {
        /// Prefixes of routes.
        pub prefixes: u64,
        /// Prefixes of neighbours on connected networks.
        pub host_routes: u64,
        /// Our own addresses.
        pub own_addresses: u64,
        /// Rows of the engine "multibit" that lookups go through; 0 with another.
        pub rows_used: u64,
        /// All its rows, `ipv6-rows`; 0 with another engine.
        pub rows: u64,
    }

    /// `GET /v1/clients`: who is connected to the routing socket, and what clients
    /// have put into the database.
    pub struct Clients {
        /// The connections.
        pub clients: Vec<RouteClient>,
        /// IPv4 routes.
        pub ipv4: ClientRoutes,
        /// IPv6 routes.
        pub ipv6: ClientRoutes,
        /// Since the daemon started.
        pub totals: ClientTotals,
    }

    /// What has happened on the routing socket, whoever was connected.
    pub struct ClientTotals {
        /// Clients that were accepted.
        pub connections: u64,
        /// Clients that were not: their user had too many connections.
        pub turned_away: u64,
        /// Messages of all clients.
        pub requests: u64,
        /// Of these, refused.
        pub refused: u64,
        /// How often one was told that it had missed something.
        pub lost: u64,
        /// Events by type: "miss", "resolve", "losing", "redirect", "newaddr",
        /// "deladdr", "ifinfo", "ifannounce", "export-failed".
        pub events: BTreeMap<String, u64>,
        /// ICMP redirects: "followed", "not-followed", "refused" (by the rules of
        /// RFC 1122), "malformed".
        pub redirects: BTreeMap<String, u64>,
        /// Misses of the kernel's lookups that no event tells of: more than
        /// `[dataplane.punt] events` a second and CPU.
        pub misses_over_limit: u64,
        /// Packets that no event tells of, since too many came at once.
        pub not_looked_into: u64,
    }

    /// A connection of the routing socket.
    pub struct RouteClient {
        /// Its number in this life of the daemon.
        pub id: u64,
        /// The user who has connected.
        pub uid: u32,
        /// The name that it has registered.
        pub name: Option<String>,
        /// "all", "ipv4", "ipv6": what it is told of; "none" where it does not
        /// listen.
        pub family: String,
        /// "classic", "error", "reliable"; "no-greeting".
        pub mode: String,
        /// Seconds since it has connected.
        pub seconds: u64,
        /// Messages that it has sent.
        pub requests: u64,
        /// Of these, refused.
        pub refused: u64,
        /// How often it was told that it had missed something.
        pub lost: u64,
        /// Bytes that wait for it to read.
        pub waiting: u64,
    }

    /// What clients have put into the database of a family.
    pub struct ClientRoutes {
        /// Their routes.
        pub routes: u64,
        /// `[route-socket] max-routes`.
        pub max_routes: u64,
        /// References to routes.
        pub holds: u64,
        /// Of these, to routes that have left the table.
        pub trash: u64,
        /// Routes by the names of registered clients.
        pub owners: BTreeMap<String, u64>,
    }

    /// An element of `GET /v1/rip/interfaces`.
    pub struct RipInterface {
        /// "rip" or "ripng".
        pub protocol: String,
        /// Its name.
        pub name: String,
        /// Its number.
        pub ifindex: u32,
        /// Sends nothing by multicast.
        pub passive: bool,
        /// The version in packets that are sent.
        pub version: u8,
        /// What is sent: "1", "compat" (RIPv2 by broadcast) or "2"; RIPng has "2".
        pub send_version: String,
        /// What is accepted: "1", "2" or "both".
        pub receive_version: String,
        /// Added to the metric of what is learnt here.
        pub cost: u8,
        /// "simple", "poison" or "off".
        pub split_horizon: String,
        /// How packets are authenticated, "md5"; `null` = not.
        pub auth: Option<String>,
        /// Seconds until the next periodic update.
        pub next_update: Option<u64>,
        /// Milliseconds that a whole update takes at the interface's pace.
        pub full_update_ms: u64,
        /// That is more than half of the time between two updates.
        pub overcommitted: bool,
        /// Neighbours heard here.
        pub neighbors: u32,
        /// Datagrams received.
        pub received: u64,
        /// Datagrams sent.
        pub sent: u64,
        /// Datagrams lost because the receive buffer was full.
        pub socket_drops: u64,
        /// Bytes of the receive buffer.
        pub receive_buffer: u64,
    }

    /// An element of `GET /v1/rip/neighbors`.
    pub struct RipNeighbor {
        /// Its address.
        pub address: IpAddr,
        /// Our interface.
        pub interface: String,
        /// The version it speaks.
        pub version: u8,
        /// Seconds since it was last heard.
        pub last_seen: u64,
        /// Routes that it offers.
        pub routes: u64,
        /// Packets that were refused.
        pub bad_packets: u64,
        /// Entries that were refused.
        pub bad_routes: u64,
        /// What was refused, by reason.
        pub refused: BTreeMap<String, u64>,
        /// How its last packet was authenticated, "text" or "md5 key 1"; `null` =
        /// not.
        pub auth: Option<String>,
    }

    /// An element of `GET /v1/rip/routes`: an offer for a destination.
    pub struct RipRoute {
        /// The destination.
        pub prefix: IpNet,
        /// "learnt", "interface" (a network of our own) or "redistributed".
        pub origin: String,
        /// Whether it is the best offer.
        pub selected: bool,
        /// 1 to 16; 16 = unreachable, and announced so until it is forgotten.
        pub metric: u8,
        /// Route tag.
        pub tag: u16,
        /// Where packets go.
        pub via: Option<IpAddr>,
        /// Who offers it.
        pub neighbor: Option<IpAddr>,
        /// Where it was heard.
        pub interface: Option<String>,
        /// Seconds until it times out, or is forgotten where the metric is 16.
        pub expires: Option<u64>,
        /// Seconds until it is used, where it is the best and settles.
        pub settles: Option<u64>,
    }

    /// An element of `GET /v1/rip/errors`: one reason to refuse something.
    pub struct RipError {
        /// "rip" or "ripng".
        pub protocol: String,
        /// The reason, "metric-too-large".
        pub reason: String,
        /// What was lost: "packet" or "entry".
        pub scope: String,
        /// How often.
        pub count: u64,
        /// When and where it last happened.
        pub last: Option<RipErrorOccurrence>,
    }

    /// Where something was refused.
    pub struct RipErrorOccurrence {
        /// Seconds ago.
        pub age: u64,
        /// The interface.
        pub interface: String,
        /// Whose packet it was.
        pub address: IpAddr,
    }

    /// The answer to a command.
    pub struct Done {
        /// What was done.
        pub message: String,
    }

    /// The answer with a status other than 2xx.
    pub struct Failure {
        /// What was tried and what went wrong.
        pub error: String,
        /// What to do about it.
        pub hint: Option<String>,
    }

    /// Body of `POST /v1/rip/request`.
    pub struct RipRequest {
        /// The interface to ask on.
        pub interface: String,
    }
}

/// How the XDP program is attached to a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// By the driver.
    Native,
    /// In the kernel's generic hook.
    Generic,
    /// Not at all.
    None,
}

impl Mode {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::Generic => "generic",
            Mode::None => "none",
        }
    }
}

/// Body of `POST /v1/rip/clear`: `{"clear": "neighbor", "address": "192.0.2.2"}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "clear", rename_all = "kebab-case")]
pub enum RipClear {
    /// Forget a neighbour and all that it offered.
    Neighbor {
        /// Its address.
        address: IpAddr,
    },
    /// Forget all that was learnt, and ask for it again.
    Routes,
    /// Set the counters to zero.
    Counters,
}
