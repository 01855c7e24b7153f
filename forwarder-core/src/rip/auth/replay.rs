//! The sequence numbers heard, so that an old packet is not believed twice.

use std::collections::BTreeMap;
use std::time::Duration;

use super::open::Proof;
use crate::net::Family;
use crate::rip::reject::Reject;
use crate::time::Instant;

/// Pairs of neighbour and key kept on an interface. Only who has a key makes
/// one, but the sender's address is not under the digest.
const MAX_PAIRS: usize = 1024;

/// The last number of each neighbour and key.
#[derive(Clone, Debug)]
pub(in crate::rip) struct Replay<F: Family> {
    last: BTreeMap<(F::Addr, u8), Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    sequence: u32,
    at: Instant,
}

impl<F: Family> Default for Replay<F> {
    fn default() -> Self {
        Replay {
            last: BTreeMap::new(),
        }
    }
}

impl<F: Family> Replay<F> {
    /// Takes note of a packet whose digest is right. RFC 2082 §3.2.2: a number
    /// lower than the last is refused, unless the neighbour has been silent
    /// for the timeout: it may have restarted without knowing its own.
    pub(in crate::rip) fn admit(
        &mut self,
        now: Instant,
        source: F::Addr,
        proof: Proof,
        timeout: Duration,
    ) -> Result<(), Reject> {
        let Some((key, sequence)) = proof.key.zip(proof.sequence) else {
            return Ok(());
        };
        let heard = Heard { sequence, at: now };
        let fresh = |last: &Heard| now.since(last.at) < timeout;
        match self.last.get_mut(&(source, key)) {
            Some(last) if fresh(last) && sequence < last.sequence => Err(Reject::AuthReplay),
            Some(last) => {
                *last = heard;
                Ok(())
            }
            None => {
                if self.last.len() >= MAX_PAIRS {
                    self.last.retain(|_, last| fresh(last));
                }
                if self.last.len() >= MAX_PAIRS {
                    return Err(Reject::TooManyNeighbors);
                }
                self.last.insert((source, key), heard);
                Ok(())
            }
        }
    }

    /// Forgets a neighbour, at the operator's wish.
    pub(in crate::rip) fn remove(&mut self, address: F::Addr) {
        self.last.retain(|(source, _), _| *source != address);
    }
}
