//! One destination: every neighbour's offer, the best of them, those that packets
//! go by, and what is advertised because of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::changes::Seq;
use super::config::Tuning;
use super::io::NeighborKey;
use super::metric::Metric;
use super::reject::Reject;
use crate::net::{Family, Ifindex};
use crate::time::Instant;

/// Offers kept for a destination. More backups than a network has paths help
/// nobody, and a hostile segment must not make us keep thousands.
pub(super) const MAX_OFFERS: usize = 16;

/// What one neighbour said about a destination; always reachable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Offer<F: Family> {
    /// Who said it.
    pub(super) from: NeighborKey<F>,
    /// Whom to send to: that neighbour, or a better next hop on the same link.
    pub(super) via: F::Addr,
    /// Our own cost included.
    pub(super) metric: Metric,
    pub(super) tag: u16,
    /// When it was said last.
    pub(super) heard: Instant,
    /// Packets go this way: the RIB has been told.
    pub(super) used: bool,
}

/// A route as the RIB is told it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told<F: Family> {
    /// At least one; in order.
    pub(super) ways: Vec<(Ifindex, F::Addr)>,
    pub(super) metric: Metric,
    pub(super) tag: u16,
}

/// The interfaces that a route was learnt on, and that split horizon is about:
/// most have one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Links {
    /// It is our own.
    None,
    One(Ifindex),
    Several(Arc<[Ifindex]>),
}

impl Links {
    fn new(links: BTreeSet<Ifindex>) -> Self {
        match (links.len(), links.first()) {
            (1, Some(link)) => Links::One(*link),
            (0, _) | (_, None) => Links::None,
            _ => Links::Several(links.into_iter().collect()),
        }
    }

    fn as_slice(&self) -> &[Ifindex] {
        match self {
            Links::None => &[],
            Links::One(link) => std::slice::from_ref(link),
            Links::Several(links) => links,
        }
    }

    pub(super) fn contains(&self, ifindex: Ifindex) -> bool {
        self.as_slice().contains(&ifindex)
    }

    /// Whether the route is our own.
    pub(super) fn is_none(&self) -> bool {
        *self == Links::None
    }

    fn is_within(&self, others: &Links) -> bool {
        self.as_slice().iter().all(|link| others.contains(*link))
    }
}

impl<F: Family> Offer<F> {
    /// Says the same as `other`, whenever it was said.
    fn agrees(&self, other: &Offer<F>) -> bool {
        (self.from, self.via, self.metric, self.tag)
            == (other.from, other.via, other.metric, other.tag)
    }
}

/// A route of another source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Redistributed<F: Family> {
    pub(super) metric: Metric,
    pub(super) tag: u16,
    pub(super) next_hop: Option<F::Addr>,
}

/// A network of an interface that RIP runs on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Connected {
    pub(super) cost: Metric,
    pub(super) ifindex: Ifindex,
}

/// What the neighbours are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Advert<F: Family> {
    pub(super) metric: Metric,
    pub(super) tag: u16,
    /// The interfaces of all its next hops. A lost route keeps them.
    pub(super) learnt_on: Links,
    /// Was advertised on one of them before it was learnt there: the
    /// neighbours have to be told that this is over (in simple split horizon
    /// too, where else they would believe it until it times out).
    pub(super) moved: bool,
    /// The next hop of a route of our own, kept for as long as it has to be
    /// taken back.
    pub(super) next_hop: Option<F::Addr>,
}

/// One destination.
#[derive(Clone, Debug)]
pub(super) struct Entry<F: Family> {
    pub(super) offers: Vec<Offer<F>>,
    best: Option<NeighborKey<F>>,
    pub(super) connected: Option<Connected>,
    pub(super) redistributed: Option<Redistributed<F>>,
    /// `None` until the first selection.
    pub(super) advert: Option<Advert<F>>,
    /// Where it stands in the change log.
    pub(super) changed: Seq,
    /// Lost; forgotten at this time.
    pub(super) garbage_at: Option<Instant>,
    /// The RIB is told of what is better than it has at this time.
    pub(super) settle_at: Option<Instant>,
    /// When the table looks at it next.
    pub(super) alarm: Option<Instant>,
}

impl<F: Family> Default for Entry<F> {
    fn default() -> Self {
        Entry {
            offers: Vec::new(),
            best: None,
            connected: None,
            redistributed: None,
            advert: None,
            changed: 0,
            garbage_at: None,
            settle_at: None,
            alarm: None,
        }
    }
}

impl<F: Family> Entry<F> {
    /// The best offer.
    pub(super) fn best(&self) -> Option<&Offer<F>> {
        let best = self.best?;
        self.offers.iter().find(|offer| offer.from == best)
    }

    /// The route that the RIB has been told.
    pub(super) fn told(&self) -> Option<Told<F>> {
        let used = self.offers.iter().filter(|offer| offer.used);
        let mut ways: Vec<_> = used.clone().map(|o| (o.from.ifindex, o.via)).collect();
        let first = used.clone().next()?;
        ways.sort_unstable();
        Some(Told {
            ways,
            metric: first.metric,
            tag: first.tag,
        })
    }

    /// Chooses the offers that packets go by: the best one, and at most `paths`
    /// that are as good, each with another next hop; those in use first. None
    /// where the network is our own.
    pub(super) fn engage(&mut self, paths: usize) {
        let chosen = self.ways(paths);
        for offer in &mut self.offers {
            offer.used = chosen.contains(&offer.from);
        }
    }

    /// Whether packets had better go another way, but not yet: only now has it
    /// been offered.
    pub(super) fn settles(&mut self, now: Instant, tuning: &Tuning) -> bool {
        let wanted: BTreeSet<_> = self.ways(tuning.paths).into_iter().collect();
        let used = self.offers.iter().filter(|offer| offer.used);
        if wanted.is_empty() || used.map(|offer| offer.from).collect::<BTreeSet<_>>() == wanted {
            return false;
        }
        *self.settle_at.get_or_insert(now + tuning.settle) > now
    }

    fn ways(&self, paths: usize) -> Vec<NeighborKey<F>> {
        let Some(best) = self.best().filter(|_| self.connected.is_none()) else {
            return Vec::new();
        };
        let mut ways = vec![best];
        // As a group they have one tag.
        let as_good = |offer: &&Offer<F>| (offer.metric, offer.tag) == (best.metric, best.tag);
        if paths > 1 {
            let mut others: Vec<_> = self.offers.iter().filter(as_good).collect();
            others.sort_by_key(|offer| (!offer.used, offer.from));
            for offer in others {
                let hop = |way: &Offer<F>| (way.from.ifindex, way.via);
                let new = ways.iter().all(|way| hop(way) != hop(offer));
                if new && ways.len() < paths {
                    ways.push(offer);
                }
            }
        }
        ways.into_iter().map(|offer| offer.from).collect()
    }

    /// Whether anybody still vouches for the destination.
    pub(super) fn is_alive(&self) -> bool {
        self.connected.is_some() || self.redistributed.is_some() || !self.offers.is_empty()
    }

    /// Takes note that the best offer was repeated; `false` where `offer` is
    /// anything else.
    pub(super) fn refresh(&mut self, offer: &Offer<F>) -> bool {
        let best = self.best;
        let held = self.offers.iter_mut().find(|held| held.agrees(offer));
        match held {
            Some(held) if best == Some(held.from) || held.used => {
                held.heard = offer.heard;
                true
            }
            _ => false,
        }
    }

    /// Takes an offer in, in place of the neighbour's last one. A full list
    /// gives up its worst offer for a better one.
    pub(super) fn put(&mut self, offer: Offer<F>) -> Result<(), Reject> {
        if let Some(held) = self.offers.iter_mut().find(|held| held.from == offer.from) {
            let used = held.used && held.agrees(&offer);
            *held = Offer { used, ..offer };
            return Ok(());
        }
        if self.offers.len() >= MAX_OFFERS {
            self.make_room(&offer)?;
        }
        // Most destinations have one offer: no spare capacity for more.
        self.offers.reserve_exact(1);
        self.offers.push(offer);
        Ok(())
    }

    fn make_room(&mut self, offer: &Offer<F>) -> Result<(), Reject> {
        let rank = |held: &Offer<F>| (Some(held.from) != self.best, held.metric, held.from);
        let worst = (0..self.offers.len()).max_by_key(|at| rank(&self.offers[*at]));
        match worst {
            Some(at) if offer.metric < self.offers[at].metric => {
                self.offers.swap_remove(at);
                Ok(())
            }
            _ => Err(Reject::TooManyOffers),
        }
    }

    /// Chooses the best offer: lowest metric; among equals one that was heard
    /// within half the timeout, then the present one, then a fixed order
    /// (RFC 2453 §3.9.2: an equal route may replace one about to time out).
    pub(super) fn select(&mut self, now: Instant, timeout: Duration) {
        let present = self.best;
        let rank = |offer: &&Offer<F>| {
            let stale = now.since(offer.heard) >= timeout / 2;
            (offer.metric, stale, Some(offer.from) != present, offer.from)
        };
        self.best = self.offers.iter().min_by_key(rank).map(|offer| offer.from);
    }

    /// What the neighbours are to be told now.
    pub(super) fn render(&self) -> Option<Advert<F>> {
        let last = self.advert.as_ref();
        let (metric, tag, learnt_on) = if let Some(connected) = self.connected {
            (connected.cost, 0, Links::None)
        } else if let Some(route) = self.redistributed {
            (route.metric, route.tag, Links::None)
        } else if let Some(best) = self.best() {
            (best.metric, best.tag, self.links(best))
        } else {
            return Some(Advert {
                metric: Metric::INFINITY,
                ..last?.clone()
            });
        };
        let moved = last.is_some_and(|last| last.moved || !learnt_on.is_within(&last.learnt_on));
        let moved = moved && !learnt_on.is_none();
        let next_hop = match self.redistributed {
            Some(route) if self.connected.is_none() => route.next_hop,
            _ => last.filter(|_| moved).and_then(|last| last.next_hop),
        };
        Some(Advert {
            metric,
            tag,
            learnt_on,
            moved,
            next_hop,
        })
    }

    /// The interfaces of the best offer and of those in use.
    fn links(&self, best: &Offer<F>) -> Links {
        let used = self.offers.iter().filter(|offer| offer.used);
        Links::new(used.chain([best]).map(|offer| offer.from.ifindex).collect())
    }

    /// When something is due: the first offer's timeout, a better way, or the end.
    pub(super) fn due(&self, timeout: Duration) -> Option<Instant> {
        let offers = self.offers.iter().map(|offer| offer.heard + timeout).min();
        let ends = self.garbage_at.into_iter().chain(self.settle_at);
        offers.into_iter().chain(ends).min()
    }
}
