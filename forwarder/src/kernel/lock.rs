//! One exporter a network namespace: two that think the same routes theirs
//! would take them from each other for ever.
//!
//! The lock is a Unix socket bound to an abstract name. Such names belong to
//! the network namespace, are taken atomically and vanish with the process,
//! however it ends; a second instance connects to learn the first one's pid.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};

/// The abstract name.
const NAME: &str = "forwarder-exporter";

/// The lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another instance holds it.
    #[error(
        "another forwarder (pid {pid}) already exports routes into this network namespace: \
         stop it, or set `[kernel] export = false` for this one"
    )]
    Held {
        /// Its process id; 0 if that can't be found out, as from another pid namespace.
        pid: i32,
    },
    /// The system refused.
    #[error("taking the exporter's lock (abstract Unix socket {NAME}): {0}")]
    Io(#[from] io::Error),
}

/// Held for as long as it lives.
#[derive(Debug)]
pub struct ExporterLock {
    _listener: UnixListener,
}

impl ExporterLock {
    /// Takes the lock of the calling thread's network namespace.
    pub fn take() -> Result<Self, LockError> {
        let address = SocketAddr::from_abstract_name(NAME)?;
        match UnixListener::bind_addr(&address) {
            Ok(listener) => Ok(ExporterLock {
                _listener: listener,
            }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(holder()?),
            Err(error) => Err(error.into()),
        }
    }
}

/// Asks the kernel whose the other end is. Nobody accepts there, which the
/// kernel doesn't mind; not blocking, in case that very many have asked before.
fn holder() -> io::Result<LockError> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(
        stream.as_raw_fd(),
        &UnixAddr::new_abstract(NAME.as_bytes())?,
    ) {
        Ok(()) => Ok(LockError::Held {
            pid: getsockopt(&stream, PeerCredentials)?.pid(),
        }),
        Err(Errno::EAGAIN) => Ok(LockError::Held { pid: 0 }),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests;
