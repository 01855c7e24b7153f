//! What follows for routes from links and addresses: all that the kernel does
//! without a message (the list is in the head of [`super`]).

use super::bucket::{Bucket, inline, leaves_by};
use super::uses::Use;
use super::{ImportOp, KernelTable, is_own_address};
use crate::kernel::event::KernelRoute;
use crate::net::{Family, Ifindex, TableId};
use crate::route::RouteType;

impl<F: Family> KernelTable<F> {
    pub(super) fn link(
        &mut self,
        link: Ifindex,
        up: bool,
        carrier: bool,
        out: &mut Vec<ImportOp<F>>,
    ) {
        if !up || !carrier {
            self.drop_objects_on(link, out);
        }
        match (self.links.insert(link, up), up) {
            (Some(true) | None, false) => {
                self.edit_all(Use::Link(link), out, |bucket| bucket.lose(link, false));
            }
            (Some(false), true) => {
                self.edit_all(Use::Link(link), out, |bucket| bucket.revive(link));
            }
            _ => {}
        }
    }

    pub(super) fn link_gone(&mut self, link: Ifindex, out: &mut Vec<ImportOp<F>>) {
        self.drop_objects_on(link, out);
        self.links.remove(&link);
        self.edit_all(Use::Link(link), out, |bucket| bucket.drop_link(link));
    }

    fn drop_objects_on(&mut self, link: Ifindex, out: &mut Vec<ImportOp<F>>) {
        for id in self.objects.on_link(link) {
            self.object_gone(id, out);
        }
    }

    /// An own address is new: it lets its link carry IPv4 again, if it is up.
    pub(super) fn address_added(&mut self, address: &KernelRoute<F>, out: &mut Vec<ImportOp<F>>) {
        for link in inline(address).iter().filter_map(|hop| hop.ifindex) {
            if self.is_up(link) {
                self.edit_all(Use::Link(link), out, |bucket| bucket.revive(link));
            }
        }
    }

    /// An own address is gone: with it go routes that prefer it as source, and,
    /// if it was its link's last, all of the link.
    pub(super) fn address_gone(&mut self, route: &KernelRoute<F>, out: &mut Vec<ImportOp<F>>) {
        let address = F::network(&route.prefix);
        if F::NEEDS_ADDRESSES && F::len(&route.prefix) == F::BITS && !self.is_own(address) {
            self.edit_all(Use::Source(address), out, |bucket| {
                bucket.drop_source(address);
            });
        }
        for link in inline(route).iter().filter_map(|hop| hop.ifindex) {
            if F::NEEDS_ADDRESSES && !self.has_address(link) {
                self.edit_all(Use::Link(link), out, |bucket| bucket.lose(link, true));
            }
        }
    }

    /// The interfaces of a route that are known to be down. Addresses stay
    /// ours whatever becomes of their link.
    pub(super) fn down_links(&self, route: &KernelRoute<F>) -> Vec<Ifindex> {
        let links = inline(route)
            .iter()
            .filter(|_| route.kind != RouteType::Local);
        links
            .filter_map(|hop| hop.ifindex)
            .filter(|link| !self.is_up(*link))
            .collect()
    }

    fn is_up(&self, link: Ifindex) -> bool {
        self.links.get(&link) != Some(&false)
    }

    /// Whether table local still has the address, itself or in a wider prefix.
    fn is_own(&self, address: F::Addr) -> bool {
        (0..=F::BITS)
            .filter_map(|len| F::prefix(address, len))
            .filter_map(|prefix| self.prefixes.get(&(TableId::LOCAL, prefix)))
            .flat_map(Bucket::routes)
            .any(|stored| stored.route.kind == RouteType::Local)
    }

    /// Whether a link still has an address, by its route in table local.
    fn has_address(&self, link: Ifindex) -> bool {
        let local = self.uses.keys_from(Use::Link(link), TableId::LOCAL);
        local
            .iter()
            .filter_map(|key| self.prefixes.get(key))
            .flat_map(Bucket::routes)
            .any(|stored| is_own_address(&stored.route) && leaves_by(&stored.route, link))
    }
}
