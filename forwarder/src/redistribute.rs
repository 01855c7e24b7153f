//! Which of the RIB's selected routes RIP announces.
//!
//! A cursor on the RIB's journal; a task of its own that turns changes into
//! what the configuration says of their source. The networks of RIP's own
//! interfaces are announced by the engine itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use forwarder_core::config::{RedistributeSource, Rip};
use forwarder_core::net::{Family, TableId};
use forwarder_core::rib::Generation;
use forwarder_core::rip::{Metric, Redistribute};
use forwarder_core::route::{Route, RouteType, Source};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::rib_task::{Pulled, RibHandle};

/// Batches waiting for RIP; the task waits when it is full and pulls more at
/// once afterwards.
pub const DEPTH: usize = 16;

/// What is announced of a route.
type Announcement<F> = (Metric, u16, Option<<F as Family>::Addr>);

/// The feed's state: what RIP was told.
pub struct Feed<F: Family> {
    rib: RibHandle<F>,
    settings: watch::Receiver<Option<Arc<Rip>>>,
    output: mpsc::Sender<Vec<Redistribute<F>>>,
    cursor: Generation,
    told: BTreeMap<F::Prefix, Announcement<F>>,
}

impl<F: Family> Feed<F> {
    /// Nothing told yet.
    pub fn new(
        rib: RibHandle<F>,
        settings: watch::Receiver<Option<Arc<Rip>>>,
        output: mpsc::Sender<Vec<Redistribute<F>>>,
    ) -> Feed<F> {
        Feed {
            rib,
            settings,
            output,
            cursor: Generation::default(),
            told: BTreeMap::new(),
        }
    }

    /// Runs until cancelled. `reached` tells the generation that RIP knows.
    pub async fn run(mut self, cancel: CancellationToken, reached: watch::Sender<Generation>) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                Ok(()) = self.rib.generation.changed() => {}
                // Other rules: everything is looked at again.
                Ok(()) = self.settings.changed() => self.cursor = Generation::default(),
            }
            self.rib.generation.borrow_and_update();
            match self.rib.since(self.cursor).await {
                Ok(pulled) => self.pulled(pulled).await,
                Err(error) => warn!("{error:#}"),
            }
            reached.send_replace(self.cursor);
        }
    }

    async fn pulled(&mut self, pulled: Pulled<F>) {
        let settings = self.settings.borrow_and_update().clone();
        let mut out = Vec::new();
        match pulled {
            Pulled::UpToDate => {}
            Pulled::Deltas(batches) => {
                for batch in batches {
                    self.cursor = batch.generation;
                    for change in batch.changes.iter().filter(|c| c.table == TableId::MAIN) {
                        let route = change.new.as_deref();
                        self.tell(&settings, change.prefix, route, &mut out);
                    }
                }
            }
            Pulled::Snapshot(snapshot) => {
                self.cursor = snapshot.generation;
                let routes: BTreeMap<_, _> = snapshot
                    .routes
                    .iter()
                    .filter(|(table, ..)| *table == TableId::MAIN)
                    .map(|(_, prefix, route)| (*prefix, route))
                    .collect();
                let gone: Vec<_> = self
                    .told
                    .keys()
                    .filter(|prefix| !routes.contains_key(prefix))
                    .copied()
                    .collect();
                for prefix in gone {
                    self.tell(&settings, prefix, None, &mut out);
                }
                for (prefix, route) in routes {
                    self.tell(&settings, prefix, Some(&**route), &mut out);
                }
                self.tell_default(&settings, &mut out);
            }
        }
        if !out.is_empty() {
            // RIP ends only when the daemon does.
            let _ = self.output.send(out).await;
        }
    }

    fn tell(
        &mut self,
        settings: &Option<Arc<Rip>>,
        prefix: F::Prefix,
        route: Option<&Route<F>>,
        out: &mut Vec<Redistribute<F>>,
    ) {
        let wanted = settings
            .as_ref()
            .and_then(|rip| announcement(rip, prefix, route));
        self.say(prefix, wanted, out);
    }

    /// `default-originate`: whatever the RIB holds.
    fn tell_default(&mut self, settings: &Option<Arc<Rip>>, out: &mut Vec<Redistribute<F>>) {
        if settings.as_ref().is_some_and(|rip| rip.default_originate) {
            self.say(F::Prefix::default(), Some((Metric::ONE, 0, None)), out);
        }
    }

    fn say(
        &mut self,
        prefix: F::Prefix,
        wanted: Option<Announcement<F>>,
        out: &mut Vec<Redistribute<F>>,
    ) {
        if self.told.get(&prefix) == wanted.as_ref() {
            return;
        }
        match wanted {
            Some((metric, tag, next_hop)) => {
                self.told.insert(prefix, (metric, tag, next_hop));
                out.push(Redistribute::Update {
                    prefix,
                    metric,
                    tag,
                    next_hop,
                });
            }
            None => {
                self.told.remove(&prefix);
                out.push(Redistribute::Withdraw { prefix });
            }
        }
    }
}

fn announcement<F: Family>(
    rip: &Rip,
    prefix: F::Prefix,
    route: Option<&Route<F>>,
) -> Option<Announcement<F>> {
    if prefix == F::Prefix::default() && rip.default_originate {
        return Some((Metric::ONE, 0, None));
    }
    let route = route.filter(|route| is_announced(route))?;
    let source = match route.source {
        Source::Connected => RedistributeSource::Connected,
        Source::Static => RedistributeSource::Static,
        Source::Kernel(_) => RedistributeSource::Kernel,
        Source::Socket => RedistributeSource::Socket,
        // A redirect is about this host's own way (RFC 1122 §3.2.2.2).
        Source::Rip | Source::Redirect => return None,
    };
    let rule = rip.redistribute.iter().find(|rule| rule.source == source)?;
    let metric = Metric::new(u32::from(rule.metric))?;
    let tag = rule
        .tag
        .unwrap_or_else(|| u16::try_from(route.tag).unwrap_or(0));
    let next_hop = match route.nexthops.as_slice() {
        [single] => single.gateway,
        _ => None,
    };
    Some((metric, tag, next_hop))
}

/// Unicast routes; and of the operator's own also those that drop, which are how
/// an aggregate is announced.
fn is_announced<F: Family>(route: &Route<F>) -> bool {
    match route.kind {
        RouteType::Unicast => true,
        RouteType::Blackhole | RouteType::Unreachable | RouteType::Prohibit => {
            matches!(route.source, Source::Static | Source::Socket)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use forwarder_core::config::Config;
    use forwarder_core::net::{Ifindex, Ipv4};
    use forwarder_core::route::{Distance, Nexthop};

    use ipnet::Ipv4Net;

    use super::*;

    const RULES: &str = "[rip]\ninterfaces = [\"eth0\"]\n\
        redistribute = [\"connected\", \"socket\", { source = \"static\", metric = 3, tag = 7 }]\n";

    fn rip(text: &str) -> Rip {
        let config = Config::parse("test", text).expect("a valid configuration");
        config.rip.expect("a table [rip]")
    }

    fn route(source: Source, kind: RouteType) -> Route<Ipv4> {
        Route {
            kind,
            nexthops: vec![Nexthop::via([192, 0, 2, 1].into(), Ifindex(2))],
            source,
            distance: Distance(1),
            metric: 0,
            tag: 0,
            mtu: None,
            kernel_metric: None,
            preferred_source: None,
            attributes: None,
        }
    }

    fn announced(source: Source, kind: RouteType) -> Option<(u8, u16)> {
        let prefix = Ipv4Net::new([198, 51, 100, 0].into(), 24).expect("a prefix");
        let told = announcement(&rip(RULES), prefix, Some(&route(source, kind)));
        told.map(|(metric, tag, _)| (metric.get(), tag))
    }

    #[test]
    fn a_source_is_announced_by_its_rule_or_not_at_all() {
        let unicast = RouteType::Unicast;
        assert_eq!(announced(Source::Static, unicast), Some((3, 7)));
        assert!(announced(Source::Connected, unicast).is_some());
        assert_eq!(announced(Source::Kernel(186), unicast), None);
        assert_eq!(announced(Source::Socket, unicast), Some((1, 0)));
        assert_eq!(announced(Source::Rip, unicast), None);
        assert_eq!(announced(Source::Redirect, unicast), None);
    }

    #[test]
    fn an_aggregate_that_drops_is_announced_where_it_is_the_operators_own() {
        assert_eq!(
            announced(Source::Static, RouteType::Blackhole),
            Some((3, 7))
        );
        assert_eq!(
            announced(Source::Socket, RouteType::Blackhole),
            Some((1, 0))
        );
        assert_eq!(announced(Source::Connected, RouteType::Blackhole), None);
        assert_eq!(announced(Source::Static, RouteType::KernelOnly), None);
    }

    #[test]
    fn the_default_route_is_originated_without_one_in_the_table() {
        let originates = rip("[rip]\ninterfaces = [\"eth0\"]\ndefault-originate = true\n");
        let told = announcement::<Ipv4>(&originates, Ipv4Net::default(), None);
        assert_eq!(told, Some((Metric::ONE, 0, None)));
    }
}
