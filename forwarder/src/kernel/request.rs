//! A question and its answer: one netlink request at a time, waited for.
//!
//! Used where order relative to notifications doesn't matter: the constraint
//! watcher's dumps, neighbour control. Not by the monitor, whose dumps have to
//! come through the socket that its notifications come through.

use std::io;
use std::time::Duration;

use super::socket::{NetlinkSocket, OpenError, Protocol, READ_BUFFER, ReceiveError};
use super::wire::{Header, Malformed, Messages, Request, outcome};

/// The kernel answers within this or never.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a dump that the table changed under is started over.
const DUMP_ATTEMPTS: usize = 8;
/// Enough for the answers of one request; a dump waits for its reader.
const RECEIVE_BUFFER: usize = 1024 * 1024;

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The kernel refused it.
    #[error("{}{}", io::Error::from_raw_os_error(*errno), text(words.as_deref()))]
    Refused {
        /// The errno.
        errno: i32,
        /// The kernel's own words, if it had any.
        words: Option<String>,
    },
    /// The table kept changing while it was read.
    #[error("the kernel's table kept changing while it was read")]
    Unstable,
    /// No answer came.
    #[error("the kernel did not answer within {} s", ANSWER.as_secs())]
    TimedOut,
    /// The answer was lost.
    #[error("the kernel's answer was lost for want of buffer space")]
    Lost,
    /// The socket failed.
    #[error("netlink socket: {0}")]
    Io(#[from] io::Error),
}

fn text(words: Option<&str>) -> String {
    words.map(|words| format!(" ({words})")).unwrap_or_default()
}

impl RequestError {
    /// The errno of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            RequestError::Refused { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// The kernel has no such facility.
    pub(crate) fn is_unsupported(&self) -> bool {
        let unsupported = [libc::EOPNOTSUPP, libc::EPROTONOSUPPORT, libc::ENOPROTOOPT];
        self.errno()
            .is_some_and(|errno| unsupported.contains(&errno))
    }
}

impl From<ReceiveError> for RequestError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Overrun => RequestError::Lost,
            ReceiveError::Io(error) => RequestError::Io(error),
        }
    }
}

/// How one pass over the answers ended.
enum End {
    Complete,
    Interrupted,
}

/// A socket for requests.
#[derive(Debug)]
pub(crate) struct Requester {
    socket: NetlinkSocket,
}

impl Requester {
    pub(crate) fn open(protocol: Protocol) -> Result<Self, OpenError> {
        NetlinkSocket::open(protocol, &[], RECEIVE_BUFFER).map(|socket| Requester { socket })
    }

    /// Sends a request and waits for its acknowledgement.
    pub(crate) async fn acknowledged(&mut self, request: &Request) -> Result<(), RequestError> {
        self.exchange(request, libc::NLM_F_ACK, |_, _| {})
            .await
            .map(drop)
    }

    /// Asks for one object and reads it with `decode`.
    pub(crate) async fn get<T>(
        &mut self,
        request: &Request,
        decode: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, RequestError> {
        let mut found = None;
        let keep = |_: Header, payload: &[u8]| found = decode(payload).ok();
        self.exchange(request, libc::NLM_F_ACK, keep).await?;
        Ok(found)
    }

    /// Dumps a table, folding its messages into a `T`. A message that `each`
    /// can't read is left out.
    pub(crate) async fn dump<T: Default>(
        &mut self,
        request: &Request,
        mut each: impl FnMut(&mut T, u16, &[u8]) -> Result<(), Malformed>,
    ) -> Result<T, RequestError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut found = T::default();
            let fold = |header: Header, payload: &[u8]| {
                if let Err(error) = each(&mut found, header.kind, payload) {
                    tracing::debug!(kind = header.kind, %error, "netlink dump entry skipped");
                }
            };
            if let End::Complete = self.exchange(request, libc::NLM_F_DUMP, fold).await? {
                return Ok(found);
            }
        }
        Err(RequestError::Unstable)
    }

    async fn exchange(
        &mut self,
        request: &Request,
        flags: libc::c_int,
        each: impl FnMut(Header, &[u8]),
    ) -> Result<End, RequestError> {
        let sequence = self.socket.next_sequence();
        let mut bytes = Vec::new();
        request.append(sequence, flags, &mut bytes);
        self.socket.send(&bytes).await?;
        let answer = self.answer(sequence, each);
        tokio::time::timeout(ANSWER, answer)
            .await
            .map_err(|_| RequestError::TimedOut)?
    }

    async fn answer(
        &mut self,
        sequence: u32,
        mut each: impl FnMut(Header, &[u8]),
    ) -> Result<End, RequestError> {
        let mut interrupted = false;
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            let datagram = self.socket.receive(&mut buffer).await?;
            // A malformed tail is as good as lost; the timeout tells.
            for (header, payload) in Messages::new(datagram).flatten() {
                if header.sequence != sequence {
                    continue;
                }
                interrupted |= i32::from(header.flags) & libc::NLM_F_DUMP_INTR != 0;
                match i32::from(header.kind) {
                    libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                        return finish(header, payload, interrupted);
                    }
                    _ => each(header, payload),
                }
            }
        }
    }
}

fn finish(header: Header, payload: &[u8], interrupted: bool) -> Result<End, RequestError> {
    match outcome(header, payload) {
        (0, _) if interrupted => Ok(End::Interrupted),
        (0, _) => Ok(End::Complete),
        (libc::EINTR, _) => Ok(End::Interrupted),
        (errno, words) => Err(RequestError::Refused { errno, words }),
    }
}
