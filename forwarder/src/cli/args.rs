//! The arguments.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use forwarder_core::config::Engine;
use ipnet::IpNet;

use crate::bench::forward::Way;
use crate::bench::traffic::Destinations;
use crate::paths::{InstanceName, Paths};

/// Where the configuration is unless `--config` says otherwise.
pub(super) const CONFIG_PATH: &str = "/etc/forwarder/forwarder.toml";

/// Forwards IPv4 in XDP, by the routes of RIP, of the configuration and of the
/// kernel.
#[derive(Parser, Debug)]
#[command(name = "forwarder", version, about, arg_required_else_help = true)]
pub struct Arguments {
    /// Which daemon, where several run on this machine.
    #[arg(long, global = true, default_value = "default", value_name = "NAME")]
    pub instance: InstanceName,

    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,

    /// Log more to stderr: -v debug, -vv trace. RUST_LOG has the last word.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Base directory of sockets.
    #[arg(
        long,
        global = true,
        default_value = "/run/forwarder",
        value_name = "DIR"
    )]
    pub run_dir: PathBuf,

    /// Base directory of BPF objects, on a bpffs; nothing is pinned there yet.
    #[arg(
        long,
        global = true,
        default_value = "/sys/fs/bpf/forwarder",
        value_name = "DIR"
    )]
    pub bpf_dir: PathBuf,

    /// Base directory of what outlives the daemon: routes of the routing socket's
    /// clients.
    #[arg(
        long,
        global = true,
        default_value = "/var/lib/forwarder",
        value_name = "DIR"
    )]
    pub state_dir: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// The directories of the chosen instance.
    pub fn paths(&self) -> Paths {
        Paths::below(
            self.instance.clone(),
            &self.run_dir,
            &self.bpf_dir,
            &self.state_dir,
        )
    }
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the daemon in the foreground.
    Run(RunCommand),
    /// Show what a running daemon knows.
    #[command(subcommand)]
    Show(ShowCommand),
    /// Change, ask for and follow routes, as route(8) does; without a command list
    /// the fast path's own table, as net-tools' route does (`route -n`).
    ///
    /// route [-46nqt] add|change|delete|get DESTINATION [GATEWAY [NETMASK]]
    /// [-keyword [VALUE]]…, monitor, flush, show; or net-tools'
    /// route add|del [-net|-host] TARGET [netmask M] [gw G] [metric N] [dev IF].
    /// docs/route.md has every keyword.
    #[command(
        after_help = ROUTE_HELP,
        override_usage = "forwarder route [-46ne] [-A inet|inet6]\n       forwarder route [-46nqt] COMMAND [[MODIFIERS] ARGUMENTS]"
    )]
    Route(RouteCommand),
    /// Read the configuration again; all of it is applied or nothing.
    Reload,
    /// Stop the daemon: its kernel routes and its XDP programs are removed.
    Stop,
    /// Clean up after a daemon that has crashed.
    Detach(DetachCommand),
    /// Follow packets without a route or next hop, and dropped ones, as they come.
    ///
    /// A sample: `[dataplane.punt] events` limits how many are told a second.
    Trace(TraceCommand),
    /// Tell RIP to forget or to ask.
    #[command(subcommand)]
    Rip(RipCommand),
    /// Play a recording of RIP (run --record) again, offline, and compare.
    ///
    /// Needs no daemon and no privilege. Says what was recorded, the neighbours and the
    /// table at the end, and whether the same inputs give the same outputs. Exit
    /// status: 1 where they do not, or the file is damaged.
    RipReplay(RipReplayCommand),
    /// Ask a RIP router for its table, as rtquery(8) does; RIPng where HOST is an IPv6
    /// address.
    ///
    /// Needs no daemon and no privilege. Exit status: 1 where nobody answers.
    Query(QueryCommand),
    /// Measure on this machine, side by side with the alternatives. Needs root;
    /// makes its own network namespaces.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Look this machine over: what it lacks for forwarding fast, and the commands
    /// that mend it.
    ///
    /// Needs no daemon and changes nothing. As root it sees everything; else it says
    /// what it could not look at. Exit status: 0 no problem, 1 problems found, 2
    /// nothing examined.
    Doctor(DoctorCommand),
}

/// `route`: its words are route(8)'s, which no other verb's are like.
#[derive(Args, Debug)]
pub struct RouteCommand {
    /// The words of route(8).
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "WORD"
    )]
    pub words: Vec<String>,
}

/// What `route --help` says of its words.
const ROUTE_HELP: &str = "\
Listing, as `route` of net-tools lists the kernel's table:
  -n           numbers, not names of /etc/hosts and /etc/networks
  -e, -ee      other columns; all columns
  -4, -6       which table; -A inet, -A inet6 likewise

Commands, as route(8) of BSD:
  add DEST GATEWAY [MASK]       a new route; MODIFIERS:
  change DEST [GATEWAY [MASK]]    -net -host -netmask MASK -prefixlen BITS -inet -inet6
  delete DEST [GATEWAY [MASK]]    -interface (GATEWAY is one) -ifp IFACE -ifa ADDRESS
                                  -static -nostatic -reject -noreject -blackhole
                                  -noblackhole -proto1 -proto2 -proto3 -sticky -nostick
                                  -xresolve -mpath -genmask MASK
                                  -mtu -hopcount -expire -recvpipe -sendpipe -ssthresh
                                  -rtt -rttvar -weight -metric N; -lock, -lockrest
  get DEST                      the route that packets to DEST take; with a length
                                exactly that one
  show                          the whole table
  flush [-inet|-inet6]          delete all that was added so
  monitor [-inet|-inet6]        tell what changes, as it changes
  with -t nothing is sent, with -q nothing is said of what was done

Or, as route(8) of Linux:
  add [-net|-host] TARGET[/BITS] [netmask MASK] [gw GATEWAY] [metric N] [reject] [dev IFACE]
  del [-net|-host] TARGET[/BITS] [netmask MASK] [gw GATEWAY] [metric N] [dev IFACE]

Exit status: 0 done, 1 refused, 2 not understood, 7 refused and asked in Linux's words,
77 not allowed.";

/// `query`.
#[derive(Args, Debug)]
pub struct QueryCommand {
    /// Ask in version 1 of RIP.
    #[arg(short = '1')]
    pub version_1: bool,
    /// Numbers for addresses, as rtquery's -n: there never are names.
    #[arg(short = 'n')]
    pub numeric: bool,
    /// Ask with gated's command POLL.
    #[arg(short = 'p')]
    pub poll: bool,
    /// Seconds to wait for an answer.
    #[arg(short = 't', value_name = "SECS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub seconds: u16,
    /// The router: a name or an address; a link-local one with %INTERFACE.
    pub host: String,
}

/// `bench`.
#[derive(Subcommand, Debug)]
pub enum BenchCommand {
    /// What forwarding a packet costs: end to end through a router, by our
    /// engines, by a bare redirect, by the kernel.
    Forward(BenchForwardCommand),
    /// What a lookup costs, by engine: alone, in the table and in the maps of a
    /// router.
    Fib(BenchFibCommand),
    /// What it costs to fill the maps, and to change a route while others change.
    Program(BenchProgramCommand),
}

/// `bench fib`.
#[derive(Args, Debug)]
pub struct BenchFibCommand {
    /// Routes and packets.
    #[command(flatten)]
    pub input: BenchInput,
    /// Which engines: multibit, lpm-trie, kernel.
    #[arg(
        long = "engine",
        value_delimiter = ',',
        value_parser = engine,
        default_value = "multibit,lpm-trie,kernel"
    )]
    pub engines: Vec<Engine>,
    /// How often each is measured, in turns.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub samples: u16,
}

/// `bench program`.
#[derive(Args, Debug)]
pub struct BenchProgramCommand {
    /// Routes, and what is checked after they are in.
    #[command(flatten)]
    pub input: BenchInput,
    /// Which engine: multibit or lpm-trie.
    #[arg(long, value_parser = own_engine, default_value = "multibit")]
    pub engine: Engine,
    /// Changes that are timed.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub changes: u32,
    /// Changes a second, these and as many others.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// How often single requests of the routing socket are measured, in turns
    /// with netlink; 0 = the routing socket is left out.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub samples: u16,
    /// Changes of each turn with a listener that does not read, and of each without.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub stalled_changes: u32,
}

fn engine(text: &str) -> Result<Engine, String> {
    let all = [Engine::Multibit, Engine::LpmTrie, Engine::Kernel];
    let found = all.into_iter().find(|engine| engine.name() == text);
    found.ok_or_else(|| "expected multibit, lpm-trie or kernel".to_owned())
}

fn own_engine(text: &str) -> Result<Engine, String> {
    match engine(text) {
        Ok(engine @ (Engine::Multibit | Engine::LpmTrie)) => Ok(engine),
        _ => Err("expected multibit or lpm-trie: the kernel's table is not ours".to_owned()),
    }
}

/// What all measurements have in common.
#[derive(Args, Debug)]
pub struct BenchInput {
    /// Routes to make, in the shape of the Internet's table.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pub routes: u32,
    /// Read the prefixes from a file instead, one a line; `.gz` is unpacked.
    #[arg(long, value_name = "FILE", conflicts_with = "routes")]
    pub file: Option<PathBuf>,
    /// Where packets go: to so many random hosts of random prefixes, or to a
    /// hundred thousand, some far more often than others (`zipf`).
    #[arg(long, value_name = "COUNT|zipf", default_value = "zipf")]
    pub destinations: Destinations,
    /// Routes and packets of IPv6.
    #[arg(long)]
    pub ipv6: bool,
    /// Next hops that the routes are spread over.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u8).range(1..=200))]
    pub next_hops: u8,
    /// The same seed makes the same routes and packets.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `bench forward`.
#[derive(Args, Debug)]
pub struct BenchForwardCommand {
    /// Routes and packets.
    #[command(flatten)]
    pub input: BenchInput,
    /// Which ways to forward: direct, relay, constant, multibit, lpm-trie, kernel,
    /// ip-forward.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "direct,relay,constant,multibit,lpm-trie,kernel,ip-forward"
    )]
    pub ways: Vec<Way>,
    /// How often each is measured, in turns.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub samples: u16,
    /// Frames a sample.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub frames: u32,
    /// Frames that are made at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub batch: u32,
}

/// `run`.
#[derive(Args, Debug)]
pub struct RunCommand {
    /// The configuration file.
    #[arg(long, short, default_value = CONFIG_PATH, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the configuration and exit.
    #[arg(long)]
    pub check: bool,
    /// Record all that RIP and RIPng are given and do to a new file, for
    /// `forwarder rip-replay`. Keys and passwords are left out.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub record: Option<PathBuf>,
    /// The size at which the recording ends, in MiB; 0 = none. 10,000 routes from one
    /// neighbour to another take about 2 MiB a minute.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 1024,
        requires = "record",
        value_parser = clap::value_parser!(u64).range(..=1 << 30)
    )]
    pub record_limit: u64,
}

/// `rip-replay`.
#[derive(Args, Debug)]
pub struct RipReplayCommand {
    /// The recording.
    pub file: PathBuf,
    /// Tell each input and what came of it.
    #[arg(long)]
    pub trace: bool,
    /// Play only what came within so many seconds, such as 12.5, of the beginning:
    /// the table is the one of then.
    #[arg(long, value_name = "SECS", value_parser = micros)]
    pub until: Option<u64>,
}

/// Seconds with a fraction, as microseconds.
fn micros(text: &str) -> Result<u64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected seconds, such as 12.5")?;
    // A thousand years are exact enough.
    if !(0.0..=3e10).contains(&seconds) {
        return Err("expected seconds from 0 on".to_owned());
    }
    Ok((seconds * 1e6) as u64)
}

/// `detach`.
#[derive(Args, Debug)]
pub struct DetachCommand {
    /// The configuration of the daemon that crashed: it tells which kernel routes
    /// are its own. Defaults apply where there is no such file.
    #[arg(long, short, default_value = CONFIG_PATH, value_name = "FILE")]
    pub config: PathBuf,
}

/// `doctor`.
#[derive(Args, Debug)]
pub struct DoctorCommand {
    /// The configuration that the daemon would run with. Without it
    /// /etc/forwarder/forwarder.toml, or the defaults where there is no such file.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Show in full what is well, too.
    #[arg(long)]
    pub all: bool,
    /// Only these interfaces, ports or not; without any those that would be ports.
    #[arg(value_name = "IFACE")]
    pub interfaces: Vec<String>,
}

/// `show`.
#[derive(Subcommand, Debug)]
pub enum ShowCommand {
    /// The daemon at a glance.
    Status,
    /// Routes of every source; for an ADDRESS, what RIB, kernel and fast path do
    /// with it.
    Routes(ShowRoutesCommand),
    /// Interfaces and how the XDP program is attached.
    Interfaces,
    /// Neighbours of our ports.
    Neighbors,
    /// Who is connected to the routing socket, and how many routes are clients'.
    Clients,
    /// The fast path's next hops.
    Nexthops,
    /// What became of the packets.
    Counters(ShowCountersCommand),
    /// The last packets without a route or next hop, and the last dropped ones.
    Events(ShowEventsCommand),
    /// The fast path's tables.
    Fib,
    /// RIP: its interfaces and neighbours, or one of these.
    Rip(ShowRipCommand),
}

/// `show routes`.
#[derive(Args, Debug)]
pub struct ShowRoutesCommand {
    /// Only this prefix; or who does what with this address.
    #[arg(value_name = "PREFIX|ADDRESS")]
    pub target: Option<RouteTarget>,
    /// Routes of which table.
    #[arg(long, value_enum, default_value_t = TableChoice::Main)]
    pub table: TableChoice,
}

/// What `show routes` is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteTarget {
    /// One prefix.
    Prefix(IpNet),
    /// One destination.
    Address(IpAddr),
}

impl FromStr for RouteTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(RouteTarget::Address(address));
        }
        if text == "default" {
            return Ok(RouteTarget::Prefix(IpNet::V4(ipnet::Ipv4Net::default())));
        }
        let Ok(prefix) = text.parse::<IpNet>() else {
            return Err("expected an IPv4 prefix (198.51.100.0/24) or address".to_owned());
        };
        Ok(RouteTarget::Prefix(prefix.trunc()))
    }
}

/// Tables of `show routes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum TableChoice {
    /// The one that is routed by.
    Main,
    /// The router's own addresses and broadcasts.
    Local,
    /// Every table.
    All,
}

/// `show counters`.
#[derive(Args, Debug)]
pub struct ShowCountersCommand {
    /// Show reasons that nothing was counted under, too.
    #[arg(long)]
    pub all: bool,
}

/// `show events`.
#[derive(Args, Debug)]
pub struct ShowEventsCommand {
    /// How many, the newest.
    #[arg(short, long, default_value_t = 50, value_name = "COUNT")]
    pub number: usize,
}

/// `trace`.
#[derive(Args, Debug)]
pub struct TraceCommand {
    /// End after so many packets.
    #[arg(short, long, value_name = "COUNT")]
    pub count: Option<u64>,
}

/// `show rip`.
#[derive(Args, Debug)]
pub struct ShowRipCommand {
    /// One part of it.
    #[command(subcommand)]
    pub part: Option<ShowRipPart>,
}

/// Parts of `show rip`.
#[derive(Subcommand, Debug)]
pub enum ShowRipPart {
    /// Where RIP runs.
    Interfaces,
    /// Whom it hears.
    Neighbors,
    /// What it was offered.
    Routes,
    /// What it refused, and why.
    Errors {
        /// Show reasons that nothing was refused for, too.
        #[arg(long)]
        all: bool,
    },
}

/// `rip`.
#[derive(Subcommand, Debug)]
pub enum RipCommand {
    /// Forget something.
    #[command(subcommand)]
    Clear(RipClearCommand),
    /// Ask the neighbours on an interface for their tables.
    Request {
        /// The interface.
        interface: String,
    },
}

/// `rip clear`.
#[derive(Subcommand, Debug)]
pub enum RipClearCommand {
    /// Forget a neighbour and all it offered.
    Neighbor {
        /// Its address.
        address: IpAddr,
    },
    /// Forget all that was learnt, and ask for it again.
    Routes,
    /// Set RIP's counters to zero.
    Counters,
}
