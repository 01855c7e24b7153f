//! The alternative: routes added to the kernel's table by netlink, by a program
//! that does nothing else.

use anyhow::{Context as _, bail, ensure};
use netlink_sys::{Socket, SocketAddr};

use super::super::family::BenchFamily;
use crate::kernel::{Identity, encode_export};
use forwarder_core::kernel::export::ExportOp;

/// Answers of one send.
const ANSWERS: usize = 64 * 1024;
/// `NLMSG_ERROR`, which an acknowledgement is too.
const ERROR: u16 = 2;
/// Bytes of `struct nlmsghdr`, and where the errno follows.
const HEADER: usize = 16;
/// Ours, as the daemon exports them.
const IDENTITY: Identity = Identity {
    protocol: 210,
    metric: 15,
};

/// A socket in the network namespace of the thread that opens it.
pub(super) struct Netlink {
    socket: Socket,
    answers: Vec<u8>,
}

impl Netlink {
    pub(super) fn open() -> anyhow::Result<Netlink> {
        let mut socket = Socket::new(0).context("opening a netlink socket")?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Without the request in it an answer is shorter: as fast as it gets.
        socket.set_cap_ack(true)?;
        Ok(Netlink {
            socket,
            answers: Vec::with_capacity(ANSWERS),
        })
    }

    /// Sends each of these datagrams when the one before it is answered. Only
    /// its last message asks for an answer; a refusal comes in any case.
    pub(super) fn pump(&mut self, datagrams: &[Vec<u8>]) -> anyhow::Result<()> {
        for datagram in datagrams {
            let sent = self
                .socket
                .send(datagram, 0)
                .context("sending to netlink")?;
            ensure!(sent == datagram.len(), "a datagram was sent in part");
            self.answers.clear();
            self.socket
                .recv(&mut self.answers, 0)
                .context("waiting for netlink's answer")?;
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        let answer = &self.answers;
        let word = |at: usize| {
            answer
                .get(at..at + 4)?
                .try_into()
                .ok()
                .map(i32::from_ne_bytes)
        };
        let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok());
        match (kind.map(u16::from_ne_bytes), word(HEADER)) {
            (Some(ERROR), Some(0)) => Ok(()),
            (Some(ERROR), Some(errno)) => {
                Err(std::io::Error::from_raw_os_error(-errno)).context("the kernel refused a route")
            }
            _ => bail!("netlink answered with what is no acknowledgement"),
        }
    }
}

/// Additions as datagrams of so many messages.
pub(super) fn datagrams<F: BenchFamily>(ops: &[ExportOp<F>], packed: usize) -> Vec<Vec<u8>> {
    let mut sequence = 0;
    let datagram = |ops: &[ExportOp<F>]| {
        let mut bytes = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            sequence += 1;
            let last = at + 1 == ops.len();
            encode_export(op, IDENTITY, sequence, last, &mut bytes);
        }
        bytes
    };
    ops.chunks(packed).map(datagram).collect()
}
