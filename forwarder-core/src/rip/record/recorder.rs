//! From the engine's inputs and outputs to records.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lines::{
    AuthRecord, EngineRecord, HopRecord, InterfaceRecord, KeyRecord, Output, Payload, Protocol,
    SubnetRecord, TuningRecord, What, WindowRecord,
};
use super::read;
use crate::net::{Family, Ifindex};
use crate::rip::auth::{self, Disguise, Veil};
use crate::rip::{
    Actions, Auth, AuthLength, Clear, Config, Datagram, Event, Input, InterfaceSetup, Redistribute,
    RouteChange, Send, Tuning, Window, Wire,
};
use crate::route::Nexthop;
use crate::time::Instant;

/// Makes the records of one engine. It has to see every input, in order, each before
/// the engine does: it follows what keys each interface has.
pub struct Recorder<F: Wire> {
    disguise: Disguise,
    /// The keys of each interface as the engine has them. One that is gone stays: the
    /// engine may still say goodbye there.
    veils: BTreeMap<Ifindex, Option<Veil>>,
    /// The engine takes no interfaces any more.
    draining: bool,
    family: std::marker::PhantomData<F>,
}

impl<F: Wire> Default for Recorder<F> {
    fn default() -> Self {
        Recorder {
            disguise: Disguise::default(),
            veils: BTreeMap::new(),
            draining: false,
            family: std::marker::PhantomData,
        }
    }
}

/// How many outputs there are already when an input comes: the driver carries them out
/// for several inputs together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Since {
    routes: usize,
    events: usize,
    sends: usize,
}

impl Since {
    /// As many as here.
    pub fn now<F: Family>(actions: &Actions<F>) -> Since {
        Since {
            routes: actions.routes.len(),
            events: actions.events.len(),
            sends: actions.sends.len(),
        }
    }
}

/// What this family speaks.
pub(super) fn protocol<F: Family>() -> Protocol {
    match F::BITS {
        32 => Protocol::Rip,
        _ => Protocol::Ripng,
    }
}

impl<F: Wire> Recorder<F> {
    /// An engine starts, as number `engine` of the recording.
    pub fn start(&self, engine: u32, at: Instant, config: &Config) -> EngineRecord {
        EngineRecord {
            engine,
            at: at.as_micros(),
            protocol: protocol::<F>(),
            seed: config.seed,
            sequence: config.sequence,
            tuning: tuning(&config.tuning),
        }
    }

    /// What the engine is about to be given.
    pub fn input(&mut self, input: &Input<'_, F>) -> What {
        match input {
            Input::Datagram(datagram) => self.datagram(datagram),
            Input::Deadline => What::Deadline,
            Input::InterfaceUp(setup) => What::InterfaceUp(self.interface(setup)),
            Input::InterfaceDown(ifindex) => What::InterfaceDown(ifindex.0),
            Input::InterfaceRemove(ifindex) => What::InterfaceRemove(ifindex.0),
            Input::Redistribute(change) => redistribute(change),
            Input::Request(ifindex) => What::Request(ifindex.0),
            Input::Clear(Clear::Neighbor(address)) => What::ClearNeighbor((*address).into()),
            Input::Clear(Clear::Routes) => What::ClearRoutes,
            Input::Clear(Clear::Counters) => What::ClearCounters,
            Input::Reconfigure(new) => What::Reconfigure(tuning(new)),
            Input::WallClock(time) => What::WallClock(time.0),
            Input::Shutdown => {
                self.draining = true;
                What::Shutdown
            }
        }
    }

    /// What it has added to `actions` about it, which were so many before: in the
    /// order of a recording's lines.
    pub fn outputs(&self, since: Since, actions: &Actions<F>) -> Vec<Output> {
        let routes = actions.routes.iter().skip(since.routes);
        let events = actions.events.iter().skip(since.events);
        let sends = actions.sends.iter().skip(since.sends);
        let routes = routes.map(Output::from);
        let events = events.map(Output::from);
        let sends = sends.map(|send| self.send(send));
        routes.chain(events).chain(sends).collect()
    }

    fn send(&self, send: &Send<F>) -> Output {
        Output::Send {
            ifindex: send.ifindex.0,
            source: send.source.into(),
            destination: send.destination.into(),
            port: send.port,
            hop_limit: send.hop_limit,
            payload: self.payload(send.ifindex, &send.payload),
        }
    }

    fn datagram(&self, datagram: &Datagram<'_, F>) -> What {
        What::Datagram {
            ifindex: datagram.ifindex.0,
            source: datagram.source.into(),
            port: datagram.source_port,
            hop_limit: datagram.hop_limit,
            multicast: datagram.multicast,
            payload: self.payload(datagram.ifindex, datagram.payload),
        }
    }

    fn payload(&self, ifindex: Ifindex, payload: &[u8]) -> Payload {
        let veil = self.veils.get(&ifindex).and_then(Option::as_ref);
        Payload(auth::disguised::<F>(veil, payload))
    }

    fn interface(&mut self, setup: &InterfaceSetup<F>) -> InterfaceRecord {
        let config = &setup.config;
        let auth = config.auth.as_ref().map(|auth| self.auth(auth));
        if !self.draining {
            let veil = auth.as_ref().zip(config.auth.clone());
            // Keys that were in order are with other secrets, too.
            let veil = veil.and_then(|(record, real)| {
                let stand_in = read::auth(record).ok()?;
                Some(Veil { real, stand_in })
            });
            self.veils.insert(setup.ifindex, veil);
        }
        let subnet = |address: &crate::rip::Address<F>| SubnetRecord {
            local: address.local.into(),
            subnet: address.subnet.into(),
        };
        InterfaceRecord {
            ifindex: setup.ifindex.0,
            name: setup.name.clone(),
            mtu: setup.mtu,
            addresses: setup.addresses.iter().map(subnet).collect(),
            passive: config.passive,
            send_version: config.send_version.name().to_owned(),
            receive_version: config.receive_version.name().to_owned(),
            split_horizon: config.split_horizon.name().to_owned(),
            cost: config.cost.get(),
            neighbors: config.neighbors.iter().map(|n| (*n).into()).collect(),
            auth,
            ttl_security: config.ttl_security,
            max_neighbors: config.max_neighbors,
            max_neighbor_routes: config.max_neighbor_routes,
            pace: config.pace,
        }
    }

    fn auth(&mut self, auth: &Auth) -> AuthRecord {
        let keys = auth.keys().iter().map(|key| KeyRecord {
            id: key.id,
            secret: self.disguise.number(&key.secret),
            send: window(key.send),
            accept: window(key.accept),
        });
        AuthRecord {
            kind: auth.kind().name().to_owned(),
            keys: keys.collect(),
            long: auth.length() == AuthLength::OldRipd,
        }
    }
}

fn window(window: Window) -> WindowRecord {
    WindowRecord {
        from: window.from.map(|time| time.0),
        until: window.until.map(|time| time.0),
    }
}

fn tuning(tuning: &Tuning) -> TuningRecord {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    TuningRecord {
        update: micros(tuning.timers.update),
        timeout: micros(tuning.timers.timeout),
        garbage: micros(tuning.timers.garbage),
        max_routes: tuning.max_routes,
        paths: tuning.paths,
        settle: micros(tuning.settle),
    }
}

fn redistribute<F: Family>(change: &Redistribute<F>) -> What {
    match *change {
        Redistribute::Update {
            prefix,
            metric,
            tag,
            next_hop,
        } => What::Redistribute {
            prefix: prefix.into(),
            metric: metric.get(),
            tag,
            next_hop: next_hop.map(Into::into),
        },
        Redistribute::Withdraw { prefix } => What::RedistributeNoMore {
            prefix: prefix.into(),
        },
    }
}

impl<F: Family> From<&RouteChange<F>> for Output {
    fn from(change: &RouteChange<F>) -> Output {
        let hop = |hop: &Nexthop<F>| HopRecord {
            via: hop.gateway.map(Into::into),
            ifindex: hop.ifindex.map(|ifindex| ifindex.0),
        };
        match change {
            RouteChange::Update {
                prefix,
                nexthops,
                metric,
                tag,
            } => Output::Route {
                prefix: (*prefix).into(),
                metric: metric.get(),
                tag: *tag,
                nexthops: nexthops.iter().map(hop).collect(),
            },
            RouteChange::Withdraw { prefix } => Output::RouteGone {
                prefix: (*prefix).into(),
            },
        }
    }
}

impl<F: Family> From<&Event<F>> for Output {
    fn from(event: &Event<F>) -> Output {
        match *event {
            Event::NeighborUp(key) => Output::NeighborUp {
                ifindex: key.ifindex.0,
                address: key.address.into(),
            },
            Event::NeighborLost(key) => Output::NeighborLost {
                ifindex: key.ifindex.0,
                address: key.address.into(),
            },
            Event::OutOfKeys(ifindex) => Output::OutOfKeys { ifindex: ifindex.0 },
            Event::Rejected(reason, key) => Output::Rejected {
                reason: reason.name().to_owned(),
                ifindex: key.ifindex.0,
                address: key.address.into(),
            },
        }
    }
}
