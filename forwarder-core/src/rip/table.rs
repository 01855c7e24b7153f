//! The table of destinations and its timers.
//!
//! Each destination has one alarm at most, set lazily: a refreshed offer only
//! moves its own time stamp, and the alarm that then rings too early sets
//! itself anew. A periodic update of a whole table so costs no timer work.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::changes::ChangeLog;
use super::config::{Timers, Tuning};
use super::entry::{Advert, Connected, Entry, Offer, Redistributed, Told};
use super::io::{NeighborKey, RouteChange};
use super::metric::Metric;
use super::reject::Reject;
use crate::net::{Family, Ifindex};
use crate::route::Nexthop;
use crate::time::Instant;

/// What the RIB is to be told.
pub(super) type Changes<F> = Vec<RouteChange<F>>;

/// Every destination we know.
#[derive(Clone, Debug)]
pub(super) struct Table<F: Family> {
    entries: BTreeMap<F::Prefix, Entry<F>>,
    alarms: BTreeSet<(Instant, F::Prefix)>,
    pub(super) log: ChangeLog<F::Prefix>,
    pub(super) tuning: Tuning,
    /// How many destinations each neighbour offers; none that offers nothing.
    offers: BTreeMap<NeighborKey<F>, usize>,
}

impl<F: Family> Table<F> {
    pub(super) fn new(tuning: Tuning) -> Self {
        Table {
            entries: BTreeMap::new(),
            alarms: BTreeSet::new(),
            log: ChangeLog::default(),
            tuning,
            offers: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&F::Prefix, &Entry<F>)> {
        self.entries.iter()
    }

    /// How many destinations a neighbour offers.
    pub(super) fn offers_of(&self, neighbor: &NeighborKey<F>) -> usize {
        self.offers.get(neighbor).copied().unwrap_or(0)
    }

    /// What is advertised for a destination.
    pub(super) fn advert(&self, prefix: &F::Prefix) -> Option<&Advert<F>> {
        self.entries.get(prefix)?.advert.as_ref()
    }

    /// What is advertised, from behind `after` on.
    pub(super) fn adverts_after(
        &self,
        after: Option<F::Prefix>,
    ) -> impl Iterator<Item = (F::Prefix, &Advert<F>)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries
            .range((start, Bound::Unbounded))
            .filter_map(|(prefix, entry)| Some((*prefix, entry.advert.as_ref()?)))
    }

    /// What is advertised of a network and its parts.
    pub(super) fn adverts_within(
        &self,
        network: F::Prefix,
    ) -> impl Iterator<Item = (F::Prefix, &Advert<F>)> {
        let last = F::host(F::last(&network));
        self.entries
            .range(network..=last)
            .filter_map(|(prefix, entry)| Some((*prefix, entry.advert.as_ref()?)))
    }

    /// When [`Table::expire`] has something to do.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Takes in an offer of a neighbour, which may make `max` of them.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        prefix: F::Prefix,
        offer: Offer<F>,
        max: usize,
        out: &mut Changes<F>,
    ) -> Result<(), Reject> {
        let full = self.entries.len() >= self.tuning.max_routes;
        let mut known = false;
        if let Some(entry) = self.entries.get_mut(&prefix) {
            if entry.refresh(&offer) {
                return Ok(());
            }
            known = entry.offers.iter().any(|held| held.from == offer.from);
        } else if full {
            return Err(Reject::TableFull);
        }
        if !known && self.offers_of(&offer.from) >= max {
            return Err(Reject::TooManyRoutes);
        }
        self.change(now, prefix, out, |entry| entry.put(offer))
    }

    /// Takes in that a neighbour has no way to a destination.
    pub(super) fn unlearn(
        &mut self,
        now: Instant,
        prefix: F::Prefix,
        from: NeighborKey<F>,
        out: &mut Changes<F>,
    ) {
        let offers = self
            .entries
            .get(&prefix)
            .map_or(&[][..], |entry| &entry.offers);
        if offers.iter().any(|offer| offer.from == from) {
            self.change(now, prefix, out, |entry| {
                entry.offers.retain(|held| held.from != from);
            });
        }
    }

    /// Takes out every offer that `gone` names, wherever it is.
    pub(super) fn drop_offers(
        &mut self,
        now: Instant,
        gone: impl Fn(&Offer<F>) -> bool,
        out: &mut Changes<F>,
    ) {
        let hit = |entry: &Entry<F>| entry.offers.iter().any(&gone);
        let hits = self
            .entries
            .iter()
            .filter(|(_, entry)| hit(entry))
            .map(|(prefix, _)| *prefix);
        for prefix in hits.collect::<Vec<_>>() {
            self.change(now, prefix, out, |entry| {
                entry.offers.retain(|offer| !gone(offer));
            });
        }
    }

    /// An interface costs more or less than before.
    pub(super) fn recost(
        &mut self,
        now: Instant,
        ifindex: Ifindex,
        (old, new): (Metric, Metric),
        out: &mut Changes<F>,
    ) {
        let hit = |entry: &Entry<F>| {
            entry
                .offers
                .iter()
                .any(|offer| offer.from.ifindex == ifindex)
        };
        let hits = self
            .entries
            .iter()
            .filter(|(_, entry)| hit(entry))
            .map(|(prefix, _)| *prefix);
        for prefix in hits.collect::<Vec<_>>() {
            self.change(now, prefix, out, |entry| {
                let here = entry
                    .offers
                    .iter_mut()
                    .filter(|offer| offer.from.ifindex == ifindex);
                here.for_each(|offer| offer.metric = offer.metric.recosted(old, new));
                entry.offers.retain(|offer| offer.metric.is_reachable());
            });
        }
    }

    /// A network of our own comes, changes or goes.
    pub(super) fn set_connected(
        &mut self,
        now: Instant,
        prefix: F::Prefix,
        connected: Option<Connected>,
        out: &mut Changes<F>,
    ) {
        let present = self.entries.get(&prefix).and_then(|entry| entry.connected);
        if present != connected {
            self.change(now, prefix, out, |entry| entry.connected = connected);
        }
    }

    /// A route of another source comes, changes or goes.
    pub(super) fn set_redistributed(
        &mut self,
        now: Instant,
        prefix: F::Prefix,
        route: Option<Redistributed<F>>,
        out: &mut Changes<F>,
    ) {
        let present = self
            .entries
            .get(&prefix)
            .and_then(|entry| entry.redistributed);
        if present != route {
            self.change(now, prefix, out, |entry| entry.redistributed = route);
        }
    }

    /// Looks at every destination whose alarm has rung.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Changes<F>) {
        let timeout = self.tuning.timers.timeout;
        while let Some((at, prefix)) = self.alarms.first().copied().filter(|(at, _)| *at <= now) {
            self.alarms.remove(&(at, prefix));
            let Some(entry) = self.entries.get_mut(&prefix) else {
                continue;
            };
            entry.alarm = None;
            if entry.garbage_at.is_some_and(|end| end <= now) {
                self.log.remove(entry.changed);
                self.entries.remove(&prefix);
                continue;
            }
            self.change(now, prefix, out, |entry| {
                entry.offers.retain(|offer| offer.heard + timeout > now);
            });
        }
    }

    /// Looks at every destination anew after more or fewer next hops were allowed,
    /// or another time to settle.
    pub(super) fn reconsider(&mut self, now: Instant, out: &mut Changes<F>) {
        for prefix in self.entries.keys().copied().collect::<Vec<_>>() {
            self.change(now, prefix, out, |entry| entry.settle_at = None);
        }
    }

    /// Sets every alarm anew after the timers have changed.
    pub(super) fn rearm(&mut self) {
        let timeout = self.tuning.timers.timeout;
        self.alarms.clear();
        for (prefix, entry) in &mut self.entries {
            entry.alarm = entry.due(timeout);
            self.alarms.extend(entry.alarm.map(|at| (at, *prefix)));
        }
    }

    /// Changes a destination and draws all conclusions: selection, the RIB, the
    /// advertisement, garbage and alarm.
    fn change<R>(
        &mut self,
        now: Instant,
        prefix: F::Prefix,
        out: &mut Changes<F>,
        edit: impl FnOnce(&mut Entry<F>) -> R,
    ) -> R {
        let Table {
            entries,
            alarms,
            log,
            tuning,
            offers,
        } = self;
        let timers = &tuning.timers;
        let entry = entries.entry(prefix).or_default();
        let (before, own) = (entry.told(), entry.connected.is_some());
        discount(offers, &entry.offers);
        let result = edit(entry);
        count(offers, &entry.offers);
        entry.select(now, timers.timeout);
        // Only gains can wait: all that packets go by is still there.
        let unharmed = !own && entry.told() == before;
        if !(unharmed && entry.settles(now, tuning)) {
            entry.settle_at = None;
            entry.engage(tuning.paths);
        }
        out.extend(told(prefix, before.as_ref(), entry.told()));

        let advert = entry.render();
        if advert != entry.advert {
            entry.advert = advert;
            entry.changed = log.record(prefix, entry.changed);
        }
        entry.garbage_at = if entry.is_alive() {
            None
        } else {
            entry.garbage_at.or(Some(now + timers.garbage))
        };
        rearm(entry, prefix, timers, alarms);
        result
    }
}

fn discount<F: Family>(counts: &mut BTreeMap<NeighborKey<F>, usize>, offers: &[Offer<F>]) {
    for offer in offers {
        if let MapEntry::Occupied(mut count) = counts.entry(offer.from) {
            *count.get_mut() -= 1;
            // Addresses that somebody makes up leave nothing behind.
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

fn count<F: Family>(counts: &mut BTreeMap<NeighborKey<F>, usize>, offers: &[Offer<F>]) {
    for offer in offers {
        *counts.entry(offer.from).or_default() += 1;
    }
}

/// What the RIB is told about a destination of which it was told `before`.
fn told<F: Family>(
    prefix: F::Prefix,
    before: Option<&Told<F>>,
    after: Option<Told<F>>,
) -> Option<RouteChange<F>> {
    if before == after.as_ref() {
        return None;
    }
    let Some(Told { ways, metric, tag }) = after else {
        return Some(RouteChange::Withdraw { prefix });
    };
    let nexthop = |(ifindex, via)| Nexthop::via(via, ifindex);
    Some(RouteChange::Update {
        prefix,
        nexthops: ways.into_iter().map(nexthop).collect(),
        metric,
        tag,
    })
}

/// Sets the alarm where it would ring too late.
fn rearm<F: Family>(
    entry: &mut Entry<F>,
    prefix: F::Prefix,
    timers: &Timers,
    alarms: &mut BTreeSet<(Instant, F::Prefix)>,
) {
    let Some(due) = entry.due(timers.timeout) else {
        return;
    };
    if let Some(alarm) = entry.alarm {
        if alarm <= due {
            return;
        }
        alarms.remove(&(alarm, prefix));
    }
    entry.alarm = Some(due);
    alarms.insert((due, prefix));
}
