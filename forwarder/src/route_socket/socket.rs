//! The socket itself: `AF_UNIX`, `SOCK_SEQPACKET`, with the sender's credentials
//! at each packet.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixCredentials, recvmsg, sendmsg, setsockopt, socketpair, sockopt,
};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::peer_groups::peer_groups;
use super::users::{Peer, Sender};

/// Everybody may ask and listen, as on BSD: each message is judged by itself.
const SOCKET_MODE: u32 = 0o666;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// The largest packet that is taken: what a sender's default buffer lets through.
pub(super) const MAX_PACKET: usize = 200_000;
/// Room for packets on their way to a client. The kernel counts a packet of 200
/// bytes as 512 to 768 and doubles the number: this is three thousand of them.
const SEND_BUFFER: usize = 1 << 20;
/// Pause after `accept` has failed.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// The socket that clients connect to.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<Socket>,
}

impl Listener {
    /// Listens at a path, which nobody has; it is there for others only when its
    /// permissions are right.
    ///
    /// # Errors
    /// The kernel's.
    pub fn bind(path: &Path) -> io::Result<Listener> {
        let fresh = path.with_extension("new");
        for old in [&fresh, path] {
            match std::fs::remove_file(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        // On the listener, since what a fast client sends before it is accepted
        // would have no credentials otherwise.
        setsockopt(&socket, sockopt::PassCred, &true)?;
        socket.bind(&SockAddr::unix(&fresh)?)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(SOCKET_MODE))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        std::fs::rename(&fresh, path)?;
        Ok(Listener {
            socket: watched(socket)?,
        })
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Connection> {
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| socket.get_ref().accept()) {
                Ok(accepted) => return Connection::new(accepted?.0),
                Err(_would_block) => {}
            }
        }
    }
}

/// The socket with the runtime's eyes on it.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose descriptor changes; a socket's does not"
)]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::new(socket)
}

/// What became of a packet that was to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// It is on its way.
    Whole,
    /// There is no room now.
    Full,
    /// The other end has shut its reading down, or is gone.
    Deaf,
}

/// A packet that was received.
pub(super) enum Received {
    /// This, from this sender; `None` = the kernel has not said who, or the
    /// packet carried more than bytes.
    Packet(Vec<u8>, Option<Sender>),
    /// The other end is gone.
    End,
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: AsyncFd<Socket>,
    peer: Peer,
}

impl Connection {
    fn new(socket: Socket) -> io::Result<Connection> {
        socket.set_nonblocking(true)?;
        // Less where the system's limit is lower; then it is full sooner.
        let _ = socket.set_send_buffer_size(SEND_BUFFER);
        let credentials = nix::sys::socket::getsockopt(&socket, sockopt::PeerCredentials)?;
        let peer = Peer {
            uid: credentials.uid(),
            groups: peer_groups(&socket)?,
        };
        Ok(Connection {
            socket: watched(socket)?,
            peer,
        })
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The next packet.
    pub(super) async fn receive(&self) -> io::Result<Received> {
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| receive(socket.get_ref())) {
                Ok(received) => return received,
                Err(_would_block) => {}
            }
        }
    }

    /// Sends a packet if there is room for it.
    pub(super) fn send(&self, packet: &[u8]) -> Sent {
        send(self.socket.get_ref(), packet, &[])
    }

    /// Sends a packet and a descriptor.
    pub(super) fn send_with(&self, packet: &[u8], descriptor: &OwnedFd) -> Sent {
        let descriptors = [descriptor.as_raw_fd()];
        let rights = ControlMessage::ScmRights(&descriptors);
        send(self.socket.get_ref(), packet, &[rights])
    }

    /// Whether the other end is closed, and not only shut down for writing.
    pub(super) fn is_gone(&self) -> bool {
        let mut asked = [PollFd::new(
            self.socket.get_ref().as_fd(),
            PollFlags::empty(),
        )];
        let hung_up = |asked: &PollFd<'_>| {
            let events = asked.revents();
            events.is_some_and(|events| events.contains(PollFlags::POLLHUP))
        };
        poll(&mut asked, PollTimeout::ZERO).is_ok() && hung_up(&asked[0])
    }

    /// Waits until there may be room.
    pub(super) async fn writable(&self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            // Asked of the kernel: the readiness may be of long ago.
            let mut asked = [PollFd::new(
                self.socket.get_ref().as_fd(),
                PollFlags::POLLOUT,
            )];
            if poll(&mut asked, PollTimeout::ZERO)? > 0 {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}

/// The channel for acknowledgements: our end, and the client's.
pub(super) fn ack_channel() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
    )?;
    let _ = setsockopt(&ours, sockopt::SndBuf, &SEND_BUFFER);
    Ok((ours, theirs))
}

/// Sends on the channel for acknowledgements.
pub(super) fn send_ack(channel: &OwnedFd, packet: &[u8]) -> Sent {
    send(channel, packet, &[])
}

fn send(socket: &impl std::os::fd::AsRawFd, packet: &[u8], control: &[ControlMessage<'_>]) -> Sent {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let bytes = [IoSlice::new(packet)];
    match sendmsg::<()>(socket.as_raw_fd(), &bytes, control, flags, None) {
        Ok(_) => Sent::Whole,
        Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Sent::Full,
        Err(_) => Sent::Deaf,
    }
}

thread_local! {
    /// Packets are received here and copied out: their length is not known
    /// before, and a buffer for each connection would be 50 MB for 256 of them.
    static PACKET: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; MAX_PACKET]);
}

fn receive(socket: &Socket) -> io::Result<Received> {
    PACKET.with_borrow_mut(|buffer| {
        // Room for credentials alone: descriptors that somebody passes find none,
        // and the kernel closes them.
        let mut control = cmsg_space!(UnixCredentials);
        let mut bytes = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut bytes, Some(&mut control), flags)?;
        let sender = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|control| match control {
                ControlMessageOwned::ScmCredentials(who) => Some(Sender {
                    pid: who.pid(),
                    uid: who.uid(),
                    gid: who.gid(),
                }),
                _ => None,
            })
        });
        let length = message.bytes;
        // An empty packet has a sender, the end has none.
        if length == 0 && sender.is_none() {
            return Ok(Received::End);
        }
        let more = message
            .flags
            .intersects(MsgFlags::MSG_CTRUNC | MsgFlags::MSG_TRUNC);
        let sender = sender.filter(|_| !more);
        Ok(Received::Packet(buffer[..length].to_vec(), sender))
    })
}
