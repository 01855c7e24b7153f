//! Numbers of FreeBSD's `net/route.h`, `net/if.h` and `sys/socket.h`, and our
//! own beside them. The headers' values rule where the manual page prints
//! others.
#![expect(missing_docs, reason = "the names are the headers'")]

pub const RTM_VERSION: u8 = 5;

pub const RTM_ADD: u8 = 0x1;
pub const RTM_DELETE: u8 = 0x2;
pub const RTM_CHANGE: u8 = 0x3;
pub const RTM_GET: u8 = 0x4;
pub const RTM_LOSING: u8 = 0x5;
pub const RTM_REDIRECT: u8 = 0x6;
pub const RTM_MISS: u8 = 0x7;
pub const RTM_LOCK: u8 = 0x8;
pub const RTM_RESOLVE: u8 = 0xb;
pub const RTM_NEWADDR: u8 = 0xc;
pub const RTM_DELADDR: u8 = 0xd;
pub const RTM_IFINFO: u8 = 0xe;
pub const RTM_IFANNOUNCE: u8 = 0x11;

/// What was refused and has a type that would be taken for something else.
pub const RTM_REFUSED: u8 = 0x3f;
/// The first of our own types.
pub const RTM_EXTENSION: u8 = 0x40;
pub const RTM_GREETING: u8 = 0x40;
pub const RTM_GREETING_REPLY: u8 = 0x41;
pub const RTM_DESYNC: u8 = 0x42;
pub const RTM_DUMP: u8 = 0x43;
pub const RTM_DUMP_END: u8 = 0x44;
pub const RTM_BATCH_BEGIN: u8 = 0x45;
pub const RTM_BATCH_COMMIT: u8 = 0x46;
pub const RTM_ACK: u8 = 0x47;
pub const RTM_EXPORT_FAILED: u8 = 0x48;
pub const RTM_HOLD: u8 = 0x49;
pub const RTM_RELEASE: u8 = 0x4a;

pub const RTF_UP: u32 = 0x1;
pub const RTF_GATEWAY: u32 = 0x2;
pub const RTF_HOST: u32 = 0x4;
pub const RTF_REJECT: u32 = 0x8;
pub const RTF_DYNAMIC: u32 = 0x10;
pub const RTF_MODIFIED: u32 = 0x20;
pub const RTF_DONE: u32 = 0x40;
pub const RTF_XRESOLVE: u32 = 0x200;
pub const RTF_LLDATA: u32 = 0x400;
pub const RTF_STATIC: u32 = 0x800;
pub const RTF_BLACKHOLE: u32 = 0x1000;
pub const RTF_PROTO2: u32 = 0x4000;
pub const RTF_PROTO1: u32 = 0x8000;
pub const RTF_PROTO3: u32 = 0x4_0000;
pub const RTF_FIXEDMTU: u32 = 0x8_0000;
pub const RTF_PINNED: u32 = 0x10_0000;
pub const RTF_LOCAL: u32 = 0x20_0000;
pub const RTF_BROADCAST: u32 = 0x40_0000;
pub const RTF_MULTICAST: u32 = 0x80_0000;
/// Our own: one more way to the prefix. FreeBSD has no such flag, and OpenBSD's
/// value is FreeBSD's `RTF_PROTO3`.
pub const RTF_MPATH: u32 = 0x100_0000;
pub const RTF_STICKY: u32 = 0x1000_0000;

/// The flags that `RTM_CHANGE` changes.
pub const RTF_FMASK: u32 =
    RTF_PROTO1 | RTF_PROTO2 | RTF_PROTO3 | RTF_BLACKHOLE | RTF_REJECT | RTF_STATIC | RTF_STICKY;

pub const RTA_DST: u32 = 0x1;
pub const RTA_GATEWAY: u32 = 0x2;
pub const RTA_NETMASK: u32 = 0x4;
pub const RTA_GENMASK: u32 = 0x8;
pub const RTA_IFP: u32 = 0x10;
pub const RTA_IFA: u32 = 0x20;
pub const RTA_AUTHOR: u32 = 0x40;
pub const RTA_BRD: u32 = 0x80;

pub const RTV_MTU: u64 = 0x1;
pub const RTV_HOPCOUNT: u64 = 0x2;
pub const RTV_EXPIRE: u64 = 0x4;
pub const RTV_RPIPE: u64 = 0x8;
pub const RTV_SPIPE: u64 = 0x10;
pub const RTV_SSTHRESH: u64 = 0x20;
pub const RTV_RTT: u64 = 0x40;
pub const RTV_RTTVAR: u64 = 0x80;
pub const RTV_WEIGHT: u64 = 0x100;
/// The administrative distance, which is the priority of a candidate.
pub const RTV_METRIC: u64 = 0x200;

pub const AF_UNSPEC: u8 = 0;
pub const AF_INET: u8 = 2;
pub const AF_LINK: u8 = 18;
pub const AF_INET6: u8 = 28;

/// `IFT_ETHER`.
pub const IFT_ETHER: u8 = 6;

/// Bytes of `struct rt_msghdr`.
pub const RT_MSGHDR: usize = 152;
/// Bytes of `struct ifa_msghdr`.
pub const IFA_MSGHDR: usize = 20;
/// Bytes of `struct if_msghdr`.
pub const IF_MSGHDR: usize = 168;
/// Bytes of `struct if_announcemsghdr`.
pub const IF_ANNOUNCEMSGHDR: usize = 24;

/// Offsets in `struct rt_msghdr`.
pub mod offset {
    pub const MSGLEN: usize = 0;
    pub const VERSION: usize = 2;
    pub const TYPE: usize = 3;
    pub const INDEX: usize = 4;
    pub const SPARE: usize = 6;
    pub const FLAGS: usize = 8;
    pub const ADDRS: usize = 12;
    pub const PID: usize = 16;
    pub const SEQ: usize = 20;
    pub const ERRNO: usize = 24;
    pub const FMASK: usize = 28;
    pub const INITS: usize = 32;
    pub const LOCKS: usize = 40;
    pub const MTU: usize = 48;
    pub const HOPCOUNT: usize = 56;
    pub const EXPIRE: usize = 64;
    pub const RECVPIPE: usize = 72;
    pub const SENDPIPE: usize = 80;
    pub const SSTHRESH: usize = 88;
    pub const RTT: usize = 96;
    pub const RTTVAR: usize = 104;
    pub const PKSENT: usize = 112;
    pub const WEIGHT: usize = 120;
    pub const NHIDX: usize = 128;
    pub const METRIC: usize = 136;
}
