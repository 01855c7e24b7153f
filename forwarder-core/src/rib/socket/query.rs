//! Questions, and references to what they find.

use std::sync::Arc;

use super::apply::{Applied, TABLE};
use super::holds::Hold;
use super::settings::find;
use super::{ClientId, Request, Way};
use crate::net::{Family, TableId};
use crate::rib::Rib;
use crate::rib::entry::Slot;
use crate::route::Route;
use crate::route_msg::Errno;

/// A route with its place.
type Found<F> = (TableId, <F as Family>::Prefix, Arc<Route<F>>);

impl<F: Family> Rib<F> {
    pub(super) fn get_route(
        &self,
        request: &Request<F>,
        way: Option<Way<F>>,
    ) -> Result<Applied<F>, Errno> {
        let prefix = request.prefix;
        let (table, route) = match request.priority {
            Some(priority) => {
                let route = self.client_route(&prefix, priority);
                (TABLE, route.cloned().ok_or(Errno::Esrch)?)
            }
            None => {
                let selected = |table| self.selected(table, &prefix).map(|route| (table, route));
                // One that waits for its link is there, too, but not up.
                let waits = || Some((TABLE, self.own(request).ok()?.1));
                selected(TABLE)
                    .or_else(waits)
                    .or_else(|| selected(TableId::LOCAL))
                    .ok_or(Errno::Esrch)?
            }
        };
        self.found(table, prefix, route, way)
    }

    pub(super) fn look_up(
        &self,
        address: F::Addr,
        way: Option<Way<F>>,
    ) -> Result<Applied<F>, Errno> {
        let (table, prefix, route) = self.taken_by(address)?;
        self.found(table, prefix, route, way)
    }

    /// By the kernel's first two rules: table local, then main.
    fn taken_by(&self, address: F::Addr) -> Result<Found<F>, Errno> {
        [TableId::LOCAL, TABLE]
            .into_iter()
            .find_map(|table| {
                let (prefix, route) = self.lookup(table, address)?;
                Some((table, prefix, route))
            })
            .ok_or(Errno::Esrch)
    }

    fn found(
        &self,
        table: TableId,
        prefix: F::Prefix,
        route: Arc<Route<F>>,
        way: Option<Way<F>>,
    ) -> Result<Applied<F>, Errno> {
        Ok(Applied {
            table,
            prefix,
            slot: Slot::of(&route),
            way: find(&route, way)?,
            before: self.selected(table, &prefix),
            candidate: route,
            deleted: false,
            hold: None,
            down: false,
        })
    }

    pub(super) fn hold(&mut self, client: ClientId, address: F::Addr) -> Result<Applied<F>, Errno> {
        let (table, prefix, route) = self.taken_by(address)?;
        let hold = self.clients.holds.add(Hold {
            client,
            table,
            prefix,
            route: Arc::clone(&route),
            down: false,
        })?;
        let mut applied = self.found(table, prefix, route, None)?;
        applied.hold = Some(hold);
        Ok(applied)
    }

    pub(super) fn held(&self, client: ClientId, number: u64) -> Result<Applied<F>, Errno> {
        let hold = self.clients.holds.get(client, number)?.clone();
        self.of_hold(number, hold)
    }

    pub(super) fn release(&mut self, client: ClientId, number: u64) -> Result<Applied<F>, Errno> {
        let hold = self.clients.holds.release(client, number)?;
        self.of_hold(number, hold)
    }

    fn of_hold(&self, number: u64, hold: Hold<F>) -> Result<Applied<F>, Errno> {
        let mut applied = self.found(hold.table, hold.prefix, hold.route, None)?;
        applied.hold = Some(number);
        applied.down = hold.down;
        Ok(applied)
    }
}
