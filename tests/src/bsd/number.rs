//! Numbers of FreeBSD's `net/route.h`, `net/if_dl.h` and `sys/socket.h`.
#![expect(missing_docs, reason = "the names are the headers'")]

/// Bytes of `struct rt_msghdr`.
pub const HEADER: usize = 152;
/// `RTM_VERSION`.
pub const VERSION: u8 = 5;

pub const RTM_ADD: u8 = 1;
pub const RTM_DELETE: u8 = 2;
pub const RTM_CHANGE: u8 = 3;
pub const RTM_GET: u8 = 4;
pub const RTM_LOSING: u8 = 5;
pub const RTM_REDIRECT: u8 = 6;
pub const RTM_MISS: u8 = 7;
pub const RTM_LOCK: u8 = 8;
pub const RTM_RESOLVE: u8 = 0xb;
pub const RTM_NEWADDR: u8 = 0xc;
pub const RTM_DELADDR: u8 = 0xd;
pub const RTM_IFINFO: u8 = 0xe;
pub const RTM_IFANNOUNCE: u8 = 0x11;

/// Our own, from 0x40 on.
pub const RTM_GREETING: u8 = 0x40;
pub const RTM_GREETING_REPLY: u8 = 0x41;
pub const RTM_DESYNC: u8 = 0x42;
pub const RTM_DUMP: u8 = 0x43;
pub const RTM_DUMP_END: u8 = 0x44;
pub const RTM_EXPORT_FAILED: u8 = 0x48;

pub const RTF_UP: u32 = 1;
pub const RTF_GATEWAY: u32 = 2;
pub const RTF_HOST: u32 = 4;
pub const RTF_REJECT: u32 = 8;
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
pub const RTF_PINNED: u32 = 0x10_0000;
pub const RTF_LOCAL: u32 = 0x20_0000;
/// Our own: FreeBSD has no bit for it, and OpenBSD's is taken.
pub const RTF_MPATH: u32 = 0x100_0000;

pub const RTA_DST: u32 = 1;
pub const RTA_GATEWAY: u32 = 2;
pub const RTA_NETMASK: u32 = 4;
pub const RTA_GENMASK: u32 = 8;
pub const RTA_IFP: u32 = 0x10;
pub const RTA_IFA: u32 = 0x20;
pub const RTA_AUTHOR: u32 = 0x40;
pub const RTA_BRD: u32 = 0x80;

pub const RTV_MTU: u64 = 1;
pub const RTV_HOPCOUNT: u64 = 2;
pub const RTV_EXPIRE: u64 = 4;
pub const RTV_WEIGHT: u64 = 0x100;
pub const RTV_METRIC: u64 = 0x200;

pub const AF_INET: u8 = 2;
pub const AF_LINK: u8 = 18;
pub const AF_INET6: u8 = 28;

/// Offsets of the metrics that tests set or read.
pub const RMX_LOCKS: usize = 40;
pub const RMX_MTU: usize = 48;
pub const RMX_HOPCOUNT: usize = 56;
pub const RMX_EXPIRE: usize = 64;
pub const RMX_WEIGHT: usize = 120;
pub const RMX_METRIC: usize = 136;
