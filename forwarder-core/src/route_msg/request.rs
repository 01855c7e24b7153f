//! What clients send: checked in the order of FreeBSD's `rts_send`, so that the
//! errno is the one that a program expects.

use std::net::IpAddr;

use ipnet::IpNet;

use super::bytes::{i32_at, put_i32, put_u16, put_u32, put_u64, u16_at, u32_at, u64_at};
use super::extension::{self, Ack, Dump, DumpEnd, Generations, Greeting, GreetingReply};
use super::message::RouteMessage;
use super::number::*;
use super::sockaddr::{self, Addresses, Gateway, LinkAddr, Raw, ip, scope};
use super::{Errno, Metrics};

/// A message of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack; a box would be an allocation each"
)]
pub enum ClientMessage {
    /// One of route(4).
    Route(RouteRequest),
    /// Says who it is and what it wants to hear.
    Greeting(Greeting),
    /// Asks for a table.
    Dump(Dump),
    /// All that follows up to the commit, or nothing of it. With its sequence.
    BatchBegin(i32),
    /// The end of a batch.
    BatchCommit(i32),
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestKind {
    /// `RTM_ADD`.
    Add,
    /// `RTM_DELETE`.
    Delete,
    /// `RTM_CHANGE`.
    Change,
    /// `RTM_GET`.
    Get,
    /// `RTM_LOCK`.
    Lock,
    /// [`RTM_HOLD`]: keeps hold of the route that the destination takes; with a
    /// number in `rmx_nhidx` asks how that hold's route fares.
    Hold,
    /// [`RTM_RELEASE`] of the hold in `rmx_nhidx`.
    Release,
    /// Not a request. Refused, but only after the sender's rights were asked.
    Other(u8),
}

impl RequestKind {
    fn of(kind: u8) -> RequestKind {
        match kind {
            RTM_ADD => RequestKind::Add,
            RTM_DELETE => RequestKind::Delete,
            RTM_CHANGE => RequestKind::Change,
            RTM_GET => RequestKind::Get,
            RTM_LOCK => RequestKind::Lock,
            RTM_HOLD => RequestKind::Hold,
            RTM_RELEASE => RequestKind::Release,
            other => RequestKind::Other(other),
        }
    }

    /// `rtm_type`.
    pub const fn number(self) -> u8 {
        match self {
            RequestKind::Add => RTM_ADD,
            RequestKind::Delete => RTM_DELETE,
            RequestKind::Change => RTM_CHANGE,
            RequestKind::Get => RTM_GET,
            RequestKind::Lock => RTM_LOCK,
            RequestKind::Hold => RTM_HOLD,
            RequestKind::Release => RTM_RELEASE,
            RequestKind::Other(kind) => kind,
        }
    }

    /// Whether anybody may ask: it changes nothing.
    pub const fn is_open_to_all(self) -> bool {
        matches!(
            self,
            RequestKind::Get | RequestKind::Hold | RequestKind::Release
        )
    }
}

/// A request of route(4), parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteRequest {
    /// What is asked for.
    pub kind: RequestKind,
    /// The client's number for it.
    pub seq: i32,
    /// `rtm_index`; where it is 0, the interface that a link-local gateway is on
    /// by its scope.
    pub index: u16,
    /// `rtm_flags`. `RTF_HOST` as the mask says, whatever the client wrote.
    pub flags: u32,
    /// `rtm_fmask`: which flags a change is about; 0 = those it may change.
    pub fmask: u32,
    /// `rtm_inits`: which metrics are set.
    pub inits: u64,
    /// The metrics.
    pub metrics: Metrics,
    /// The destination, host bits cleared.
    pub destination: IpNet,
    /// The destination as it was given: what a longest match is asked for.
    pub address: IpAddr,
    /// The request named a mask: the prefix is meant exactly.
    pub exact: bool,
    /// Where the route leads.
    pub gateway: Option<Gateway>,
    /// The mask of routes cloned from it.
    pub genmask: Option<u8>,
    /// The interface to leave by.
    pub ifp: Option<LinkAddr>,
    /// The source address to prefer.
    pub ifa: Option<IpAddr>,
    /// The reply shall name the interface.
    pub wants_ifp: bool,
    /// The reply shall name the interface's address.
    pub wants_ifa: bool,
    /// What stands against it, once it is clear that the sender may ask.
    pub refused: Option<Errno>,
}

impl RouteRequest {
    /// The candidate's priority, where the request names one.
    pub fn priority(&self) -> Option<u8> {
        if self.inits & RTV_METRIC == 0 {
            return None;
        }
        u8::try_from(self.metrics.metric).ok()
    }

    /// A request of a type about a prefix, which is meant exactly; the rest as
    /// its fields say.
    pub fn new(kind: RequestKind, destination: IpNet) -> RouteRequest {
        RouteRequest {
            kind,
            seq: 0,
            index: 0,
            flags: 0,
            fmask: 0,
            inits: 0,
            metrics: Metrics::default(),
            destination: destination.trunc(),
            address: destination.addr(),
            exact: true,
            gateway: None,
            genmask: None,
            ifp: None,
            ifa: None,
            wants_ifp: false,
            wants_ifa: false,
            refused: None,
        }
    }

    /// Appends its bytes, as a client sends them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + RT_MSGHDR, 0);
        let bits = self.put_addresses(out);
        let length = out.len() - start;
        let header = &mut out[start..start + RT_MSGHDR];
        put_u16(
            header,
            offset::MSGLEN,
            u16::try_from(length).unwrap_or(u16::MAX),
        );
        header[offset::VERSION] = RTM_VERSION;
        header[offset::TYPE] = self.kind.number();
        put_u16(header, offset::INDEX, self.index);
        put_u32(header, offset::FLAGS, self.flags);
        put_u32(header, offset::ADDRS, bits);
        put_i32(header, offset::SEQ, self.seq);
        put_u32(header, offset::FMASK, self.fmask);
        put_u64(header, offset::INITS, self.inits);
        self.metrics.write(header);
    }

    fn put_addresses(&self, out: &mut Vec<u8>) -> u32 {
        let mut bits = RTA_DST;
        sockaddr::put_ip(
            out,
            if self.exact {
                self.destination.addr()
            } else {
                self.address
            },
        );
        match &self.gateway {
            None => {}
            Some(Gateway::Ip(address)) => {
                bits |= RTA_GATEWAY;
                sockaddr::put_ip(out, *address);
            }
            Some(Gateway::Link(link)) => {
                bits |= RTA_GATEWAY;
                sockaddr::put_link(out, link);
            }
        }
        if self.exact {
            bits |= RTA_NETMASK;
            sockaddr::put_mask(out, self.address, self.destination.prefix_len());
        }
        if let Some(genmask) = self.genmask {
            bits |= RTA_GENMASK;
            sockaddr::put_mask(out, self.address, genmask);
        }
        // What is only asked for is an empty place; it ends what is parsed, so
        // that nothing that is given may follow it.
        if let Some(link) = &self.ifp {
            bits |= RTA_IFP;
            sockaddr::put_link(out, link);
        }
        if let Some(address) = self.ifa {
            bits |= RTA_IFA;
            sockaddr::put_ip(out, address);
        }
        let asks = [(self.wants_ifp, RTA_IFP), (self.wants_ifa, RTA_IFA)];
        for (asked, bit) in asks {
            if asked && bits & bit == 0 {
                bits |= bit;
                out.extend_from_slice(&[0; 8]);
            }
        }
        bits
    }

    /// What was understood of it, as a message: how a request that was refused
    /// is told to others, where they are to hear of it.
    pub fn refusal(&self, pid: i32, errno: Errno) -> RouteMessage {
        RouteMessage {
            index: self.index,
            flags: self.flags,
            pid,
            seq: self.seq,
            errno: Some(errno),
            inits: self.inits,
            metrics: self.metrics,
            destination: Some(self.destination),
            gateway: self.gateway.clone(),
            genmask: self.genmask,
            ifp: self.ifp.clone(),
            ifa: self.ifa,
            ..RouteMessage::new(refused_kind(self.kind.number()))
        }
    }
}

/// A message that could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// Why.
    pub errno: Errno,
    /// Its sequence number, where it was long enough to have one.
    pub seq: i32,
    /// Its type.
    pub kind: u8,
}

/// Splits a packet into messages by their lengths; the rest of one whose length
/// makes no sense is the last. At least one comes, however short the packet.
pub fn split(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(packet);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let length = usize::from(u16_at(bytes, 0));
        let fits = length >= 4 && length < bytes.len();
        let (message, after) = bytes.split_at(if fits { length } else { bytes.len() });
        rest = fits.then_some(after);
        Some(message)
    })
}

/// Reads one message, which takes the whole of `bytes`.
///
/// # Errors
/// It makes no sense: the errno is what its sender is told.
pub fn read(bytes: &[u8]) -> Result<ClientMessage, Unreadable> {
    let kind = bytes.get(offset::TYPE).copied().unwrap_or(0);
    let unreadable = |errno| Unreadable {
        errno,
        seq: sequence(bytes, kind),
        kind,
    };
    if bytes.len() < 4 || usize::from(u16_at(bytes, offset::MSGLEN)) != bytes.len() {
        return Err(unreadable(Errno::Einval));
    }
    let own = matches!(
        kind,
        RTM_GREETING | RTM_DUMP | RTM_BATCH_BEGIN | RTM_BATCH_COMMIT
    );
    if !own && bytes.len() < RT_MSGHDR {
        return Err(unreadable(Errno::Einval));
    }
    if bytes[offset::VERSION] != RTM_VERSION {
        return Err(unreadable(Errno::Eprotonosupport));
    }
    let message = if own {
        extension::read_client(bytes, kind)
    } else {
        route(bytes).map(ClientMessage::Route)
    };
    message.map_err(unreadable)
}

fn sequence(bytes: &[u8], kind: u8) -> i32 {
    match kind {
        RTM_GREETING | RTM_DUMP | RTM_BATCH_BEGIN | RTM_BATCH_COMMIT => {
            i32_at(bytes, extension::SEQ)
        }
        _ => i32_at(bytes, offset::SEQ),
    }
}

fn route(bytes: &[u8]) -> Result<RouteRequest, Errno> {
    let kind = RequestKind::of(bytes[offset::TYPE]);
    let bits = u32_at(bytes, offset::ADDRS);
    let addresses = Addresses::split(&bytes[RT_MSGHDR..], bits)?;
    let metrics = Metrics::read(bytes);
    let by_number =
        kind == RequestKind::Release || (kind == RequestKind::Hold && metrics.nhidx != 0);
    let (address, destination) = match addresses.get(RTA_DST) {
        None if by_number => (
            IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            IpNet::default(),
        ),
        None => return Err(Errno::Einval),
        Some(raw) => destination(&addresses, raw, bits)?,
    };
    let host = destination.prefix_len() == destination.max_prefix_len();
    let mut flags = u32_at(bytes, offset::FLAGS) & !(RTF_HOST | RTF_DONE | RTF_UP);
    if host {
        flags |= RTF_HOST;
    }
    let gateway = addresses.gateway()?;
    let ifp = addresses.link(RTA_IFP)?;
    let ifa = match addresses.get(RTA_IFA) {
        Some(raw @ Raw::Bytes(bytes)) if bytes.get(1) != Some(&AF_UNSPEC) => Some(ip(raw)?),
        _ => None,
    };
    let genmask = addresses.generated(address)?;
    let mut request = RouteRequest {
        kind,
        seq: i32_at(bytes, offset::SEQ),
        index: match u16_at(bytes, offset::INDEX) {
            0 => scope(addresses.get(RTA_GATEWAY)),
            index => index,
        },
        flags,
        fmask: u32_at(bytes, offset::FMASK),
        inits: u64_at(bytes, offset::INITS),
        metrics,
        destination,
        address,
        exact: bits & RTA_NETMASK != 0,
        gateway,
        genmask,
        ifp,
        ifa,
        wants_ifp: bits & RTA_IFP != 0,
        wants_ifa: bits & RTA_IFA != 0,
        refused: None,
    };
    request.refused = stands_against(&request).err();
    Ok(request)
}

fn destination(
    addresses: &Addresses<'_>,
    raw: Raw<'_>,
    bits: u32,
) -> Result<(IpAddr, IpNet), Errno> {
    let address = ip(raw)?;
    let length = match (raw, addresses.mask(address)?) {
        (_, Some(length)) => length,
        // "default", written as nothing: its mask was not parsed any more.
        (Raw::Empty, None) if bits & RTA_NETMASK != 0 => 0,
        (_, None) => match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        },
    };
    let net = IpNet::new(address, length).map_err(|_| Errno::Einval)?;
    Ok((address, net.trunc()))
}

/// The checks that come after the sender's rights.
fn stands_against(request: &RouteRequest) -> Result<(), Errno> {
    if request.flags & RTF_LLDATA != 0 {
        return match &request.gateway {
            _ if !matches!(request.kind, RequestKind::Add | RequestKind::Delete) => Ok(()),
            Some(Gateway::Link(link)) if link.ifindex != 0 => Ok(()),
            _ => Err(Errno::Einval),
        };
    }
    if request.inits & RTV_METRIC != 0 && !(1..=255).contains(&request.metrics.metric) {
        return Err(Errno::Einval);
    }
    let drops = request.flags & (RTF_REJECT | RTF_BLACKHOLE);
    if drops == RTF_REJECT | RTF_BLACKHOLE {
        return Err(Errno::Einval);
    }
    match request.kind {
        RequestKind::Other(_) => Err(Errno::Eopnotsupp),
        RequestKind::Add if request.gateway.is_none() && drops == 0 => Err(Errno::Einval),
        _ => match &request.gateway {
            Some(Gateway::Ip(gateway))
                if gateway.is_ipv4() != request.address.is_ipv4() && drops == 0 =>
            {
                Err(Errno::Einval)
            }
            _ => Ok(()),
        },
    }
}

/// Turns the bytes of a request that was refused into the reply: what was
/// sent, with the errno, without `RTF_DONE`, in the sender's own name. For its
/// sender alone: it has bytes that nobody has looked at.
pub fn refuse(bytes: &[u8], pid: i32, errno: Errno, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytes);
    let message = &mut out[start..];
    let flags = u32_at(message, offset::FLAGS);
    put_u32(message, offset::FLAGS, flags & !RTF_DONE);
    put_u16(message, offset::SPARE, 0);
    put_i32(message, offset::PID, pid);
    put_i32(message, offset::ERRNO, errno.number());
    if let Some(kind) = message.get_mut(offset::TYPE) {
        *kind = refused_kind(*kind);
    }
}

/// The type of a refusal: that of the request, unless a reader would take it for
/// a message of another shape.
fn refused_kind(kind: u8) -> u8 {
    match kind {
        RTM_ADD..=RTM_LOCK | RTM_RESOLVE | RTM_HOLD | RTM_RELEASE => kind,
        _ => RTM_REFUSED,
    }
}

/// The reply to what could not be read, without a byte that was not understood:
/// the answer that its type has, or else a bare header.
pub fn refuse_unreadable(what: Unreadable, pid: i32, out: &mut Vec<u8>) {
    let (seq, errno) = (what.seq, Some(what.errno));
    let at = Generations::default();
    match what.kind {
        RTM_GREETING => GreetingReply {
            seq,
            errno,
            revision: extension::REVISION,
            at,
            max_packet: 0,
            window: 0,
        }
        .encode(out),
        RTM_DUMP => DumpEnd { seq, errno, at }.encode(out),
        RTM_BATCH_BEGIN | RTM_BATCH_COMMIT => Ack {
            seq,
            errno,
            index: 0,
            epoch: 0,
            generation: 0,
        }
        .encode_as(RTM_BATCH_COMMIT, out),
        kind => RouteMessage {
            pid,
            seq,
            errno,
            ..RouteMessage::new(refused_kind(kind))
        }
        .encode(out),
    }
}
