//! The errors of the routing socket, by Linux's numbers: clients are Linux
//! programs, and compare them with their own `errno.h`.

use std::fmt;

/// Why a request was refused. The names are those of `errno.h`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i32)]
pub enum Errno {
    /// Not the superuser.
    Eperm = 1,
    /// No such route.
    Esrch = 3,
    /// The kernel or the disk failed.
    Eio = 5,
    /// Of the kernel: no memory.
    Enomem = 12,
    /// Of the kernel: IPv6 is switched off there.
    Eacces = 13,
    /// The route is another source's.
    Ebusy = 16,
    /// There is such a route already.
    Eexist = 17,
    /// Of the kernel: no such interface.
    Enodev = 19,
    /// The message makes no sense.
    Einval = 22,
    /// Of the kernel: its table is full.
    Enospc = 28,
    /// Of a batch: given up since another of its requests was refused.
    Ecanceled = 125,
    /// Too many of something in one packet or batch.
    Emsgsize = 90,
    /// Another `rtm_version`.
    Eprotonosupport = 93,
    /// Not a request, or none that is served.
    Eopnotsupp = 95,
    /// Neither IPv4 nor IPv6.
    Eafnosupport = 97,
    /// Of the kernel: the interface is down.
    Enetdown = 100,
    /// The gateway is reached by no interface.
    Enetunreach = 101,
    /// No room.
    Enobufs = 105,
    /// A redirect to a host that cannot be a gateway.
    Ehostunreach = 113,
}

impl Errno {
    /// All of them.
    pub const ALL: [Errno; 19] = [
        Errno::Eperm,
        Errno::Esrch,
        Errno::Eio,
        Errno::Enomem,
        Errno::Eacces,
        Errno::Ebusy,
        Errno::Eexist,
        Errno::Enodev,
        Errno::Einval,
        Errno::Enospc,
        Errno::Ecanceled,
        Errno::Emsgsize,
        Errno::Eprotonosupport,
        Errno::Eopnotsupp,
        Errno::Eafnosupport,
        Errno::Enetdown,
        Errno::Enetunreach,
        Errno::Enobufs,
        Errno::Ehostunreach,
    ];

    /// The number.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The one with this number.
    pub fn from_number(number: i32) -> Option<Errno> {
        Errno::ALL
            .into_iter()
            .find(|errno| errno.number() == number)
    }

    /// What a reader makes of `rtm_errno`: 0 is none, and a number that is not
    /// known here is still a failure.
    pub(super) fn read(number: i32) -> Option<Errno> {
        match number {
            0 => None,
            number => Some(Errno::from_number(number).unwrap_or(Errno::Eio)),
        }
    }

    /// As in `errno.h`.
    pub const fn name(self) -> &'static str {
        match self {
            Errno::Eperm => "EPERM",
            Errno::Esrch => "ESRCH",
            Errno::Eio => "EIO",
            Errno::Enomem => "ENOMEM",
            Errno::Eacces => "EACCES",
            Errno::Ebusy => "EBUSY",
            Errno::Eexist => "EEXIST",
            Errno::Enodev => "ENODEV",
            Errno::Einval => "EINVAL",
            Errno::Enospc => "ENOSPC",
            Errno::Ecanceled => "ECANCELED",
            Errno::Emsgsize => "EMSGSIZE",
            Errno::Eprotonosupport => "EPROTONOSUPPORT",
            Errno::Eopnotsupp => "EOPNOTSUPP",
            Errno::Eafnosupport => "EAFNOSUPPORT",
            Errno::Enetdown => "ENETDOWN",
            Errno::Enetunreach => "ENETUNREACH",
            Errno::Enobufs => "ENOBUFS",
            Errno::Ehostunreach => "EHOSTUNREACH",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Errno {}
