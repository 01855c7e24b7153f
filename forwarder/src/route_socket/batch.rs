//! A batch that is not complete: its requests, or why it will be refused.

use forwarder_core::rib::socket::Refused;
use forwarder_core::route_msg::{Errno, RouteRequest};

/// Requests of a batch.
const MOST: usize = 65_536;

/// Requests since the begin. Of one that is refused already nothing is kept, so
/// that a client without rights costs no memory.
#[derive(Debug, Default)]
pub(super) struct Pending {
    requests: Vec<RouteRequest>,
    refused: Option<Refused>,
}

impl Pending {
    /// The next is refused, and so is the batch. The first refusal counts.
    pub(super) fn refuse(&mut self, errno: Errno) {
        let index = self.requests.len();
        self.refused.get_or_insert(Refused { index, errno });
        self.requests = Vec::new();
    }

    /// Adds a request, if its sender may make such.
    pub(super) fn push(&mut self, request: RouteRequest, may_change: bool) {
        if self.refused.is_some() {
            return;
        }
        if !may_change {
            self.refuse(Errno::Eperm);
        } else if self.requests.len() == MOST {
            self.refuse(Errno::Emsgsize);
        } else {
            self.requests.push(request);
        }
    }

    /// All of it.
    pub(super) fn complete(self) -> Result<Vec<RouteRequest>, Refused> {
        match self.refused {
            Some(refused) => Err(refused),
            None => Ok(self.requests),
        }
    }
}
