//! Several requests as one: all or nothing, and one generation.

use super::{Op, Outcome, Request};
use crate::net::Family;
use crate::rib::Rib;
use crate::route::Distance;
use crate::route_msg::Errno;
use crate::time::Instant;

/// Which request of a batch was refused, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// From 0.
    pub index: usize,
    /// Why.
    pub errno: Errno,
}

impl<F: Family> Rib<F> {
    /// Carries out all of these, or none of them, as one generation. Each is
    /// judged by what those before it have made of the table.
    ///
    /// # Errors
    /// The first that was refused; nothing has changed.
    pub fn batch(
        &mut self,
        now: Instant,
        distance: Distance,
        requests: &[Request<F>],
    ) -> Result<Vec<Outcome<F>>, Refused> {
        // What holds are taken cannot be given back by restoring routes.
        let held =
            |request: &Request<F>| matches!(request.op, Op::Hold(_) | Op::Held(_) | Op::Release(_));
        if let Some(index) = requests.iter().position(held) {
            let errno = Errno::Eopnotsupp;
            return Err(Refused { index, errno });
        }
        let first = self.stored.len();
        self.undo = Some(Vec::new());
        let mut all = Vec::with_capacity(requests.len());
        let mut refused = None;
        for (index, request) in requests.iter().enumerate() {
            match self.apply(now, distance, request) {
                Ok(applied) => all.push(applied),
                Err(errno) => {
                    refused = Some(Refused { index, errno });
                    break;
                }
            }
        }
        let undo = self.undo.take().unwrap_or_default();
        if let Some(refused) = refused {
            for (key, candidate) in undo.into_iter().rev() {
                self.set_client_route(now, key, candidate);
            }
            self.stored.truncate(first);
            self.origins.clear();
            // Selects again what was marked, and finds nothing changed.
            self.commit();
            return Err(refused);
        }
        self.commit();
        Ok(all.iter().map(|applied| self.outcome(applied)).collect())
    }
}
