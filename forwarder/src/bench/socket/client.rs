//! A client of the routing socket that costs as little as one can: what is
//! measured is the daemon.
#![expect(
    unsafe_code,
    reason = "a descriptor that recvmsg(2) brings has no owner before it gets one"
)]

use std::io::{self, IoSliceMut, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use forwarder_core::route_msg::extension::Ack;
use forwarder_core::route_msg::number::offset;
use forwarder_core::route_msg::read::{Message, read};
use forwarder_core::route_msg::{Greeting, GreetingReply};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use socket2::{Domain, SockAddr, Socket, Type};

/// A daemon that says nothing for so long never will.
const PATIENCE: Duration = Duration::from_secs(60);
/// Larger than any packet of the daemon.
const PACKET: usize = 256 * 1024;

/// A connection.
pub(super) struct Client {
    socket: Socket,
    acks: Option<Socket>,
    greeted: GreetingReply,
    buffer: Vec<u8>,
}

/// Where acknowledgements are counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Acked {
    /// How many have come.
    pub(super) count: usize,
    /// The last one's generation.
    pub(super) generation: u64,
}

impl Client {
    /// Connects, and says what is wanted.
    pub(super) fn connect(path: &Path, greeting: &Greeting) -> anyhow::Result<Client> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket
            .connect(&SockAddr::unix(path)?)
            .with_context(|| format!("connecting to {}", path.display()))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut bytes = Vec::new();
        greeting.encode(&mut bytes);
        socket.send(&bytes).context("greeting the daemon")?;
        let mut buffer = vec![0; PACKET];
        let (greeted, descriptor) = loop {
            let (length, descriptor) = receive(&socket, &mut buffer)?;
            ensure!(length > 0, "the daemon has hung up");
            // Until it has read the greeting, it tells what has changed.
            if let (Message::GreetingReply(greeted), _) = read(&buffer[..length])? {
                break (greeted, descriptor);
            }
        };
        ensure!(
            greeted.errno.is_none(),
            "the daemon refuses the greeting: {:?}",
            greeted.errno
        );
        let acks = descriptor.map(Socket::from);
        if let Some(acks) = &acks {
            acks.set_nonblocking(false)?;
            acks.set_read_timeout(Some(PATIENCE))?;
        }
        Ok(Client {
            socket,
            acks,
            greeted,
            buffer,
        })
    }

    /// Requests that may be unanswered at a time.
    pub(super) fn window(&self) -> usize {
        self.greeted.window as usize
    }

    /// As many messages of this length as the daemon takes in a packet, with
    /// several packets to a window.
    pub(super) fn packed(&self, length: usize) -> usize {
        let fits = self.greeted.max_packet as usize / length;
        fits.min(self.window() / 4).max(1)
    }

    /// Sends a packet.
    pub(super) fn send(&self, packet: &[u8]) -> anyhow::Result<()> {
        let sent = self.socket.send(packet).context("sending a packet")?;
        ensure!(sent == packet.len(), "a packet was sent in part");
        Ok(())
    }

    /// Waits for acknowledgements; every one has to say that it is done.
    pub(super) fn acks(&mut self, acked: &mut Acked) -> anyhow::Result<()> {
        let mut channel = self.acks.as_ref().context("no acknowledgement channel")?;
        let length = channel
            .read(&mut self.buffer)
            .context("waiting for an acknowledgement")?;
        ensure!(length > 0, "the daemon has closed the connection");
        let mut rest = &self.buffer[..length];
        while !rest.is_empty() {
            let Some((ack, after)) = rest.split_at_checked(Ack::LENGTH) else {
                bail!("an acknowledgement is cut short");
            };
            let (Message::Ack(said), _) = read(ack)? else {
                bail!("not an acknowledgement: type {:#x}", ack[offset::TYPE]);
            };
            ensure!(
                said.errno.is_none(),
                "request {} was refused: {:?}",
                said.seq,
                said.errno
            );
            acked.count += 1;
            acked.generation = said.generation;
            rest = after;
        }
        Ok(())
    }

    /// Sends messages of one length, so many to a packet, while no more than
    /// `window` are unanswered; returns when all are acknowledged.
    pub(super) fn pump(
        &mut self,
        messages: &[u8],
        length: usize,
        packed: usize,
        window: usize,
    ) -> anyhow::Result<Acked> {
        let mut packets = messages.chunks(length * packed).peekable();
        let total = messages.len() / length;
        let (mut sent, mut acked) = (0, Acked::default());
        while acked.count < total {
            while let Some(packet) = packets.peek()
                && sent - acked.count + packet.len() / length <= window
            {
                self.send(packet)?;
                sent += packet.len() / length;
                packets.next();
            }
            self.acks(&mut acked)?;
        }
        Ok(acked)
    }

    /// The next packet of copies and replies; `None` = none came in this time.
    pub(super) fn packet(&mut self, wait: Duration) -> anyhow::Result<Option<&[u8]>> {
        self.socket.set_read_timeout(Some(wait))?;
        match (&self.socket).read(&mut self.buffer) {
            Ok(0) => bail!("the daemon has closed the connection"),
            Ok(length) => Ok(Some(&self.buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("reading from the routing socket"),
        }
    }
}

/// One packet, and the descriptor that comes with it.
fn receive(socket: &Socket, buffer: &mut [u8]) -> anyhow::Result<(usize, Option<OwnedFd>)> {
    let mut space = nix::cmsg_space!(RawFd);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)
        .context("waiting for the reply to a greeting")?;
    let mut descriptor = None;
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = message {
            // SAFETY: the kernel has just made these for this process, and
            // nobody else knows their numbers.
            let owned = |raw: RawFd| unsafe { OwnedFd::from_raw_fd(raw) };
            descriptor = descriptors.into_iter().map(owned).next();
        }
    }
    Ok((received.bytes, descriptor))
}
