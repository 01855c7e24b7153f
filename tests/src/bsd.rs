//! A client of the routing socket that knows nothing but BSD's layout.
//!
//! Written from the layout of `struct rt_msghdr` version 5 (FreeBSD amd64) and
//! not with the daemon's codec: where the codec is wrong in the same way in both
//! directions, a test that uses it sees nothing.

pub mod bed;
mod build;
mod message;
pub mod number;

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use socket2::{Domain, SockAddr, Socket, Type};

pub use build::{Request, greeting, ip, link, named, resync};
pub use message::{Link, Message};

use crate::lab::SHORT;

/// Larger than any packet the daemon sends to a client without a greeting.
const PACKET: usize = 65_536;

/// A connection without a greeting: AF_UNSPEC, classic.
pub struct Client {
    socket: Socket,
    /// `rtm_seq` of the last request.
    seq: i32,
}

impl From<OwnedFd> for Client {
    /// A connection that somebody else has made.
    fn from(descriptor: OwnedFd) -> Client {
        Client {
            socket: descriptor.into(),
            seq: 0,
        }
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(path: &Path) -> anyhow::Result<Client> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket
            .connect(&SockAddr::unix(path)?)
            .with_context(|| format!("connecting to {}", path.display()))?;
        Ok(Client { socket, seq: 0 })
    }

    /// The socket, for `shutdown` and the like.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Those of `send(2)`.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.socket.send(bytes)?;
        assert_eq!(sent, bytes.len(), "a packet is sent whole or not at all");
        Ok(())
    }

    /// The next message within `deadline`; `None` = none came.
    ///
    /// # Errors
    /// The daemon has closed the connection, or sends what is no message.
    pub fn next_within(&self, deadline: Duration) -> anyhow::Result<Option<Message>> {
        self.socket
            .set_read_timeout(Some(deadline.max(Duration::from_millis(1))))?;
        let mut packet = vec![0; PACKET];
        // `recv` of socket2 wants memory that is not initialised.
        match (&self.socket).read(&mut packet) {
            Ok(0) => bail!("the daemon has closed the connection"),
            Ok(length) => {
                packet.truncate(length);
                Message::parse(packet).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message for which `wanted` holds; others are passed over.
    ///
    /// # Errors
    /// It does not come in time.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Message) -> bool) -> anyhow::Result<Message> {
        let end = Instant::now() + SHORT;
        let mut seen = Vec::new();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            match self.next_within(left)? {
                Some(message) if wanted(&message) => return Ok(message),
                Some(message) => seen.push(message),
                None => break,
            }
        }
        bail!("{what} did not come; what came: {seen:#?}")
    }

    /// Greets; the errno of the answer.
    ///
    /// # Errors
    /// There is none.
    pub fn greet(&self, greeting: &[u8]) -> anyhow::Result<i32> {
        self.send(greeting)?;
        let is_answer = |message: &Message| message.kind() == number::RTM_GREETING_REPLY;
        let reply = self.wait("the answer to a greeting", is_answer)?;
        Ok(reply.greeting_errno())
    }

    /// Sends a request and waits for the reply to it.
    ///
    /// # Errors
    /// There is none.
    pub fn ask(&mut self, request: Request) -> anyhow::Result<Message> {
        self.seq += 1;
        let seq = self.seq;
        self.send(&request.seq(seq).bytes())?;
        let pid = i32::try_from(std::process::id())?;
        self.wait("the reply", |message| {
            message.is_route() && message.pid() == pid && message.seq() == seq
        })
    }

    /// [`Client::ask`], where the answer must be a success.
    ///
    /// # Errors
    /// It is none.
    pub fn done(&mut self, request: Request) -> anyhow::Result<Message> {
        let reply = self.ask(request)?;
        anyhow::ensure!(
            reply.errno() == 0 && reply.flags() & number::RTF_DONE != 0,
            "refused: {reply:#?}"
        );
        Ok(reply)
    }

    /// [`Client::ask`], where the answer must be this errno, without `RTF_DONE`.
    ///
    /// # Errors
    /// It is another.
    pub fn refused(&mut self, request: Request, errno: i32) -> anyhow::Result<Message> {
        let reply = self.ask(request)?;
        anyhow::ensure!(
            reply.errno() == errno && reply.flags() & number::RTF_DONE == 0,
            "wanted errno {errno}: {reply:#?}"
        );
        Ok(reply)
    }

    /// Passes over everything that is on its way: what follows was caused later.
    /// A request of our own marks the place.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn drain(&mut self) -> anyhow::Result<Vec<Message>> {
        self.seq += 1;
        let seq = self.seq;
        let marker = Request::get("203.0.113.255/32")?.seq(seq);
        self.send(&marker.bytes())?;
        let mut before = Vec::new();
        loop {
            let message = self
                .next_within(SHORT)?
                .context("no answer to a question that marks a place in the stream")?;
            if message.is_route() && message.seq() == seq && message.pid() != 0 {
                return Ok(before);
            }
            before.push(message);
        }
    }
}
