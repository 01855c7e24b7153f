//! Packets to the daemon and back: the socket and the channel for
//! acknowledgements.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use forwarder_core::route_msg::{Greeting, GreetingReply, Message, read};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Error;

/// Larger than any packet of the daemon: it fills them up to 64 KiB.
const PACKET: usize = 256 << 10;

/// Both of them.
pub(super) struct Transport {
    socket: AsyncFd<Socket>,
    acks: AsyncFd<Socket>,
    pub(super) greeted: GreetingReply,
    buffer: Vec<u8>,
}

impl Transport {
    /// Connects and greets.
    pub(super) async fn connect(path: &Path, greeting: &Greeting) -> Result<Transport, Error> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket.connect(&SockAddr::unix(path)?).map_err(|error| {
            let text = format!("cannot connect to {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        })?;
        socket.set_nonblocking(true)?;
        let socket = watched(socket)?;
        let mut bytes = Vec::new();
        greeting.encode(&mut bytes);
        socket
            .async_io(Interest::WRITABLE, |socket| socket.send(&bytes))
            .await?;
        let mut buffer = vec![0; PACKET];
        // A fast daemon may have told something before it read the greeting.
        let (reply, channel) = loop {
            let (length, channel) = socket
                .async_io(Interest::READABLE, |socket| receive(socket, &mut buffer))
                .await?;
            if length == 0 {
                return Err(Error::Closed);
            }
            if let (Message::GreetingReply(reply), _) = read(&buffer[..length])? {
                break (reply, channel);
            }
        };
        if let Some(errno) = reply.errno {
            return Err(Error::Refused { errno, index: 0 });
        }
        // The daemon is out of descriptors.
        let acks = Socket::from(channel.ok_or(Error::Closed)?);
        acks.set_nonblocking(true)?;
        Ok(Transport {
            socket,
            acks: watched(acks)?,
            greeted: reply,
            buffer,
        })
    }

    /// Nothing more is received but acknowledgements.
    pub(super) fn shutdown_read(&self) -> Result<(), Error> {
        self.socket.get_ref().shutdown(std::net::Shutdown::Read)?;
        Ok(())
    }

    /// Sends a packet; waits while there is no room.
    pub(super) async fn send(&self, packet: &[u8]) -> Result<(), Error> {
        let sent = self
            .socket
            .async_io(Interest::WRITABLE, |socket| socket.send(packet))
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Error::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// The messages of the next packet.
    pub(super) async fn receive(&mut self, to: impl FnMut(Message)) -> Result<(), Error> {
        let buffer = &mut self.buffer;
        let received = self
            .socket
            .async_io(Interest::READABLE, |socket| receive(socket, buffer))
            .await;
        let (length, _) = received?;
        split(&self.buffer[..length], to)
    }

    /// The acknowledgements of the next packet.
    pub(super) async fn receive_acks(&mut self, to: impl FnMut(Message)) -> Result<(), Error> {
        let buffer = &mut self.buffer;
        let received = self
            .acks
            .async_io(Interest::READABLE, |socket| receive(socket, buffer))
            .await;
        let (length, _) = received?;
        split(&self.buffer[..length], to)
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose descriptor changes; a socket's does not"
)]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::new(socket)
}

fn split(packet: &[u8], mut to: impl FnMut(Message)) -> Result<(), Error> {
    if packet.is_empty() {
        return Err(Error::Closed);
    }
    let mut rest = packet;
    while !rest.is_empty() {
        let (message, length) = read(rest)?;
        to(message);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [IoSliceMut::new(buffer)];
    let message = recvmsg(socket, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::other("a packet is larger than any can be"));
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    });
    Ok((message.bytes, descriptor))
}
