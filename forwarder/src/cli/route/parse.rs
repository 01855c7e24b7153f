//! The words of route(8), and net-tools' of the same name.

use std::net::IpAddr;

use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Gateway, LinkAddr, RequestKind, RouteRequest};
use ipnet::IpNet;

use super::address::{self, Kind};
use super::names::Names;

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Invocation {
    pub(super) options: Options,
    pub(super) verb: Verb,
}

/// Letters before the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Options {
    /// `-n`: numbers and no names.
    pub(super) numeric: bool,
    /// `-q`: nothing on success.
    pub(super) quiet: bool,
    /// `-t`: nothing is sent.
    pub(super) dry: bool,
    /// `-4`, `-6`.
    pub(super) family: Option<u8>,
    /// `-e`, `-ee`.
    pub(super) extended: u8,
}

/// The command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    /// None: net-tools' listing.
    List,
    /// `add`, `change`, `delete`, `get`.
    Request(Box<Request>),
    /// `flush`.
    Flush,
    /// `monitor`.
    Monitor,
    /// `show` without a destination.
    Show,
}

/// A request, and what is said of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) message: RouteRequest,
    /// The destination was a network.
    pub(super) is_net: bool,
    /// The gateway as it was written.
    pub(super) gateway: Option<String>,
    /// In net-tools' words: its silence, errors and exit status.
    pub(super) net_tools: bool,
}

/// Reads the words after `route`.
///
/// # Errors
/// What is wrong, for the person at the keyboard.
pub(super) fn parse(words: &[String], names: &Names) -> Result<Invocation, String> {
    let mut options = Options::default();
    let mut rest = words;
    while let [word, after @ ..] = rest {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            break;
        };
        // net-tools' ways to name the family.
        let (family, after) = match (word.as_str(), after) {
            ("-A", [family, after @ ..]) => (Some(family.as_str()), after),
            _ => (
                word.strip_prefix("--")
                    .or(letters.strip_prefix("inet").map(|_| letters)),
                after,
            ),
        };
        if let Some(family) = family {
            options.family = match family {
                "inet" => Some(AF_INET),
                "inet6" => Some(AF_INET6),
                _ => return Err(format!("unknown option: {word} {family}")),
            };
            rest = after;
            continue;
        }
        for letter in letters.chars() {
            match letter {
                'n' => options.numeric = true,
                'q' => options.quiet = true,
                't' | 'd' => options.dry = true,
                'v' => {}
                '4' => options.family = Some(AF_INET),
                '6' => options.family = Some(AF_INET6),
                'e' => options.extended += 1,
                _ => return Err(format!("unknown option: -{letter} in {word}")),
            }
        }
        rest = after;
    }
    let Some((command, arguments)) = rest.split_first() else {
        let verb = Verb::List;
        return Ok(Invocation { options, verb });
    };
    let request = |kind, options| {
        let request = Words::read(kind, arguments, options, names)?;
        Ok::<_, String>(Verb::Request(Box::new(request)))
    };
    let verb = match command.as_str() {
        "add" => request(RequestKind::Add, options)?,
        "delete" | "del" => request(RequestKind::Delete, options)?,
        "change" => request(RequestKind::Change, options)?,
        "show" if arguments.is_empty() => Verb::Show,
        "get" | "show" => request(RequestKind::Get, options)?,
        "flush" => Verb::Flush,
        "monitor" => Verb::Monitor,
        other => {
            return Err(format!(
                "unknown command: {other} (add, delete, change, get, show, flush, monitor)"
            ));
        }
    };
    if let (Verb::Flush | Verb::Monitor, Some(word)) = (&verb, arguments.first()) {
        let family = match word.as_str() {
            "-inet" | "-4" => AF_INET,
            "-inet6" | "-6" => AF_INET6,
            _ => return Err(format!("{command} takes a family and nothing else: {word}")),
        };
        options.family = Some(family);
    }
    Ok(Invocation { options, verb })
}

/// The words of one request, while they are read.
struct Words<'a> {
    kind: RequestKind,
    names: &'a Names,
    ipv6: bool,
    destination_kind: Kind,
    destination: Option<&'a str>,
    gateway: Option<&'a str>,
    length: Option<u8>,
    /// The gateway is an interface.
    interface: bool,
    message: RouteRequest,
    flags: u32,
    cleared: u32,
    lock_next: bool,
    lock_rest: bool,
    net_tools: bool,
}

impl<'a> Words<'a> {
    fn read(
        kind: RequestKind,
        words: &'a [String],
        options: Options,
        names: &'a Names,
    ) -> Result<Request, String> {
        let colons = words.iter().any(|word| word.matches(':').count() > 1);
        let mut read = Words {
            kind,
            names,
            ipv6: options.family == Some(AF_INET6) || (options.family.is_none() && colons),
            destination_kind: Kind::Any,
            destination: None,
            gateway: None,
            length: None,
            interface: false,
            message: RouteRequest::new(kind, IpNet::default()),
            flags: 0,
            cleared: 0,
            lock_next: false,
            lock_rest: false,
            net_tools: false,
        };
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word.strip_prefix('-') {
                Some(keyword) => read.keyword(keyword, &mut words)?,
                None => read.bare(word, &mut words)?,
            }
        }
        read.finish()
    }

    fn keyword(
        &mut self,
        keyword: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let mut value = || {
            let missing = || format!("-{keyword} wants a value");
            words.next().ok_or_else(missing)
        };
        match keyword {
            "net" => self.destination_kind = Kind::Net,
            "host" => self.destination_kind = Kind::Host,
            "inet" | "4" => self.ipv6 = false,
            "inet6" | "6" => self.ipv6 = true,
            "netmask" => self.length = Some(address::mask(value()?)?),
            "prefixlen" => self.length = Some(number(keyword, value()?)?),
            "genmask" => self.message.genmask = Some(address::mask(value()?)?),
            "dst" => self.destination = Some(value()?),
            "gateway" => self.gateway = Some(value()?),
            "ifp" => {
                self.message.ifp = Some(LinkAddr {
                    name: value()?.to_owned(),
                    ..LinkAddr::default()
                });
            }
            "ifa" => {
                let text = value()?;
                self.message.ifa = Some(address::address(text, self.ipv6, self.names)?);
            }
            "iface" | "interface" => self.interface = true,
            "lock" => self.lock_next = true,
            "lockrest" => self.lock_rest = true,
            "fib" => match value()? {
                "0" | "all" | "default" => {}
                other => return Err(format!("-fib {other}: there is one table, 0")),
            },
            _ if self.flag(keyword) => {}
            _ => self.metric(keyword, value()?)?,
        }
        Ok(())
    }

    fn flag(&mut self, keyword: &str) -> bool {
        let (set, clear) = match keyword {
            "static" => (RTF_STATIC, 0),
            "nostatic" => (0, RTF_STATIC),
            "reject" => (RTF_REJECT, 0),
            "noreject" => (0, RTF_REJECT),
            "blackhole" => (RTF_BLACKHOLE, 0),
            "noblackhole" => (0, RTF_BLACKHOLE),
            "proto1" => (RTF_PROTO1, 0),
            "proto2" => (RTF_PROTO2, 0),
            "proto3" => (RTF_PROTO3, 0),
            "xresolve" => (RTF_XRESOLVE, 0),
            "sticky" => (RTF_STICKY, 0),
            "nostick" => (0, RTF_STICKY),
            "mpath" => (RTF_MPATH, 0),
            _ => return false,
        };
        self.flags |= set;
        self.cleared |= clear;
        true
    }

    fn metric(&mut self, keyword: &str, value: &str) -> Result<(), String> {
        let metrics = &mut self.message.metrics;
        let (bit, field) = match keyword {
            "mtu" => (RTV_MTU, &mut metrics.mtu),
            "hopcount" => (RTV_HOPCOUNT, &mut metrics.hopcount),
            "expire" => (RTV_EXPIRE, &mut metrics.expire),
            "recvpipe" => (RTV_RPIPE, &mut metrics.recvpipe),
            "sendpipe" => (RTV_SPIPE, &mut metrics.sendpipe),
            "ssthresh" => (RTV_SSTHRESH, &mut metrics.ssthresh),
            "rtt" => (RTV_RTT, &mut metrics.rtt),
            "rttvar" => (RTV_RTTVAR, &mut metrics.rttvar),
            "weight" => (RTV_WEIGHT, &mut metrics.weight),
            "metric" => (RTV_METRIC, &mut metrics.metric),
            _ => return Err(format!("bad keyword: -{keyword}")),
        };
        *field = match value.strip_prefix('+').filter(|_| keyword == "expire") {
            // From now on.
            Some(seconds) => now() + number::<u64>(keyword, seconds)?,
            None => number(keyword, value)?,
        };
        self.message.inits |= bit;
        if std::mem::take(&mut self.lock_next) || self.lock_rest {
            self.message.metrics.locks |= bit;
        }
        Ok(())
    }

    /// A word without a dash: the destination, the gateway, the netmask; or one
    /// of net-tools'.
    fn bare(
        &mut self,
        word: &'a str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let mut value = || {
            let missing = || format!("{word} wants a value");
            words.next().ok_or_else(missing)
        };
        let net_tools = self.destination.is_some();
        match word {
            "gw" if net_tools => self.gateway = Some(value()?),
            "netmask" if net_tools => self.length = Some(address::mask(value()?)?),
            "dev" if net_tools => {
                self.message.ifp = Some(LinkAddr {
                    name: value()?.to_owned(),
                    ..LinkAddr::default()
                });
            }
            // The kernel's metric orders routes of a prefix, as the distance does.
            "metric" if net_tools => match number::<u64>(word, value()?)? {
                0 => {}
                metric => {
                    self.message.inits |= RTV_METRIC;
                    self.message.metrics.metric = metric;
                }
            },
            "mss" if net_tools => self.metric("mtu", value()?)?,
            "window" if net_tools => self.metric("recvpipe", value()?)?,
            "irtt" if net_tools => self.metric("rtt", value()?)?,
            "reject" if net_tools => self.flags |= RTF_REJECT,
            // Taken and not kept, as by the kernel.
            "mod" | "dyn" | "reinstate" if net_tools => {}
            _ if self.destination.is_none() => {
                self.destination = Some(word);
                return Ok(());
            }
            _ if self.gateway.is_none() && self.kind != RequestKind::Get => {
                self.gateway = Some(word);
                return Ok(());
            }
            _ if self.length.is_none() => {
                self.length = Some(address::mask(word)?);
                return Ok(());
            }
            _ => return Err(format!("one word too many: {word}")),
        }
        self.net_tools = true;
        Ok(())
    }

    fn finish(mut self) -> Result<Request, String> {
        let text = self.destination.ok_or("destination parameter required")?;
        let kind = match self.destination_kind {
            // net-tools takes for a host what nothing says to be a network.
            Kind::Any if self.net_tools && self.length.is_none() => Kind::Host,
            kind => kind,
        };
        let destination = address::destination(text, kind, self.ipv6, self.length, self.names)?;
        let exact = self.kind != RequestKind::Get || destination.is_net;
        self.message.destination = destination.net;
        self.message.address = destination.net.addr();
        self.message.exact = exact;
        self.message.flags = self.flags;
        let sets = matches!(self.kind, RequestKind::Add | RequestKind::Change);
        if sets {
            self.message.flags |= RTF_STATIC;
        }
        self.message.flags &= !self.cleared;
        match self.gateway {
            Some(interface) if self.interface && interface.parse::<IpAddr>().is_err() => {
                self.message.gateway = Some(Gateway::Link(LinkAddr {
                    name: interface.to_owned(),
                    ..LinkAddr::default()
                }));
            }
            Some(text) => {
                let gateway = address::address(text, self.ipv6, self.names)?;
                self.message.gateway = Some(Gateway::Ip(gateway));
                if sets && !self.interface {
                    self.message.flags |= RTF_GATEWAY;
                }
            }
            // net-tools' `dev` alone: on the link.
            None if self.net_tools => {
                self.message.gateway = self.message.ifp.take().map(Gateway::Link);
            }
            None => {}
        }
        if self.kind == RequestKind::Get {
            (self.message.wants_ifp, self.message.wants_ifa) = (true, true);
        }
        Ok(Request {
            message: self.message,
            is_net: destination.is_net,
            gateway: self.gateway.map(str::to_owned),
            net_tools: self.net_tools,
        })
    }
}

fn number<T: std::str::FromStr>(keyword: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{keyword}: {text:?} is no number that it can have"))
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
