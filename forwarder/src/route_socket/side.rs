//! A client's view of one family's routes: how far it has been told of them.

use std::collections::VecDeque;
use std::sync::Arc;

use forwarder_core::net::Family;
use forwarder_core::rib::socket::{ClientId, tell_change};
use forwarder_core::rib::{Batch, Generation};
use forwarder_core::route_msg::RouteMessage;

use crate::rib_task::{Pulled, RibHandle};

/// Batches pulled at a time: some milliseconds of encoding.
const BATCHES: usize = 1024;

/// A cursor on a journal.
pub(super) struct Side<F: Family> {
    pub(super) rib: RibHandle<F>,
    /// Told up to here.
    pub(super) cursor: Generation,
}

/// What a pull came to.
pub(super) enum Told {
    /// All there was, or all that was asked for.
    All,
    /// There is more.
    More,
    /// The journal does not reach back that far: the cursor is at its end now,
    /// and this is where it was.
    Lost(Generation),
}

impl<F: Family> Side<F> {
    pub(super) fn new(rib: RibHandle<F>) -> Self {
        let cursor = *rib.generation.borrow();
        Side { rib, cursor }
    }

    /// The newest generation; what comes later wakes `changed`.
    pub(super) fn head(&mut self) -> Generation {
        *self.rib.generation.borrow_and_update()
    }

    /// How many generations are still to be told.
    pub(super) fn lag(&mut self) -> u64 {
        let head = self.head();
        head.number.saturating_sub(self.cursor.number)
    }

    /// Goes to the end without telling anything; where it was.
    pub(super) fn skip(&mut self) -> Generation {
        let head = self.head();
        std::mem::replace(&mut self.cursor, head)
    }

    /// Tells what follows the cursor, up to a generation if one is named, but for
    /// what `except` has caused.
    pub(super) async fn tell(
        &mut self,
        up_to: Option<u64>,
        except: Option<ClientId>,
        mut to: impl FnMut(RouteMessage),
    ) -> anyhow::Result<Told> {
        let batches: VecDeque<Arc<Batch<F>>> =
            match self.rib.since_at_most(self.cursor, BATCHES).await? {
                Pulled::UpToDate => return Ok(Told::All),
                Pulled::Deltas(batches) => batches.into(),
                Pulled::Snapshot(_) => return Ok(Told::Lost(self.skip())),
            };
        let pulled = batches.len();
        for batch in batches {
            if up_to.is_some_and(|up_to| batch.generation.number > up_to) {
                return Ok(Told::All);
            }
            for change in &batch.changes {
                let own = change.origin.map(|origin| origin.client);
                if own.is_none() || own != except {
                    tell_change(change, &mut to);
                }
            }
            self.cursor = batch.generation;
        }
        Ok(if pulled < BATCHES {
            Told::All
        } else {
            Told::More
        })
    }
}
