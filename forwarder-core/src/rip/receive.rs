//! What comes in: every check of RFC 2453 §3.9 and §4, and what passes them.
//!
//! A packet is refused as a whole for what is wrong with the packet; a bad
//! entry is skipped and the others are used. Either counts under its
//! [`Reject`].

use std::time::Duration;

use super::auth::{self, Proof};
use super::config::InterfaceSetup;
use super::entry::Offer;
use super::interface::{Kind, Target, unicast};
use super::io::{Actions, Datagram, Event, NeighborKey, Send};
use super::neighbor::Heard;
use super::output::{self, Stamp};
use super::packet::{Command, Packet, Rte};
use super::reading::Reading;
use super::reject::{Occurrence, Reject, Scope};
use super::{Metric, Rip, Wire};
use crate::time::Instant;

/// A reason is worth a line in the log when it was quiet for this long.
const QUIET: Duration = Duration::from_secs(60);

impl<F: Wire> Rip<F> {
    /// Takes a datagram in.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_, F>,
        out: &mut Actions<F>,
    ) {
        if let Some(interface) = self.interfaces.get_mut(&datagram.ifindex) {
            if is_echo(&interface.setup, datagram) {
                return;
            }
            interface.traffic.received += 1;
        }
        if let Err(reject) = self.packet(now, datagram, out) {
            self.reject(now, datagram, reject, out);
        }
    }

    fn packet(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_, F>,
        out: &mut Actions<F>,
    ) -> Result<(), Reject> {
        self.check_sender(datagram)?;
        let (payload, proof) = self.authenticate(now, datagram)?;
        let mut packet = Packet::parse(payload, F::MAX_ENTRIES)?;
        if proof.is_some() {
            packet = packet.without_authentication()?;
        }
        match packet.command {
            Command::Request => self.answer(now, datagram, &packet, &mut out.sends),
            Command::Response => self.response(now, datagram, &packet, proof, out),
        }
    }

    /// Before anything else in it is believed: the packet without its trailer,
    /// and who signed it. The sequence number counts only once the digest is
    /// found right.
    fn authenticate<'a>(
        &mut self,
        now: Instant,
        datagram: &Datagram<'a, F>,
    ) -> Result<(&'a [u8], Option<Proof>), Reject> {
        let (source, timeout) = (datagram.source, self.table.tuning.timers.timeout);
        let time = self.clock.time(now);
        let interface = self
            .interfaces
            .get_mut(&datagram.ifindex)
            .ok_or(Reject::NoInterface)?;
        let auth = interface.setup.config.auth.as_ref();
        let opened = auth::open(auth, time, datagram.payload).and_then(|(payload, proof)| {
            let admitted = proof.map(|proof| interface.replay.admit(now, source, proof, timeout));
            admitted.unwrap_or(Ok(())).map(|()| (payload, proof))
        });
        if let (Err(_), [command, version, ..]) = (&opened, datagram.payload)
            && *command == Command::Response.code()
            && datagram.source_port == F::PORT
        {
            let max = interface.setup.config.max_neighbors;
            interface
                .neighbors
                .suspected(now, source, *version, max, timeout);
        }
        opened
    }

    /// RFC 2453 §3.9.2: not ourselves, and directly connected by the interface
    /// that it arrived on.
    fn check_sender(&self, datagram: &Datagram<'_, F>) -> Result<(), Reject> {
        let interface = self
            .interfaces
            .get(&datagram.ifindex)
            .filter(|i| !i.closing);
        let interface = interface.ok_or(Reject::NoInterface)?;
        if self
            .interfaces
            .values()
            .any(|i| i.setup.is_ours(datagram.source))
        {
            return Err(Reject::OwnPacket);
        }
        let setup = &interface.setup;
        // RIPng's unicast comes with any: FRR sends 1.
        let checked = setup.config.ttl_security || datagram.multicast;
        if checked && setup.hop_limit() == u8::MAX && datagram.hop_limit != Some(u8::MAX) {
            return Err(Reject::HopLimit);
        }
        setup
            .facing(datagram.source)
            .ok_or(Reject::NotOnLink)
            .map(drop)
    }

    fn response(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_, F>,
        packet: &Packet<'_>,
        proof: Option<Proof>,
        out: &mut Actions<F>,
    ) -> Result<(), Reject> {
        if datagram.source_port != F::PORT {
            return Err(Reject::BadSourcePort);
        }
        if !F::is_router(datagram.source) {
            return Err(Reject::NotLinkLocal);
        }
        let timeout = self.table.tuning.timers.timeout;
        let interface = self
            .interfaces
            .get_mut(&datagram.ifindex)
            .ok_or(Reject::NoInterface)?;
        let from = interface.key(datagram.source);
        let heard = Heard {
            at: now,
            version: packet.version,
            proof,
        };
        let max = interface.setup.config.max_neighbors;
        if interface
            .neighbors
            .heard(from.address, heard, max, timeout)?
        {
            out.events.push(Event::NeighborUp(from));
        }
        let reading = Reading::new(interface, datagram, packet)?;
        let mut next_hop = None;
        for entry in packet.entries() {
            if let Some(hop) = F::next_hop(entry) {
                next_hop = hop;
                continue;
            }
            let learnt = reading.rte(entry).and_then(|mut rte| {
                rte.next_hop = rte.next_hop.or(next_hop);
                self.entry(now, from, &rte, out)
            });
            if let Err(reject) = learnt {
                self.reject(now, datagram, reject, out);
            }
        }
        Ok(())
    }

    /// RFC 2453 §3.9.2: the cost of the link is added, and 16 takes back.
    fn entry(
        &mut self,
        now: Instant,
        from: NeighborKey<F>,
        rte: &Rte<F>,
        out: &mut Actions<F>,
    ) -> Result<(), Reject> {
        let interface = self
            .interfaces
            .get(&from.ifindex)
            .ok_or(Reject::NoInterface)?;
        let setup = &interface.setup;
        let metric = rte.metric.plus(setup.config.cost);
        let through_us = rte.next_hop.is_some_and(|hop| setup.is_ours(hop));
        if through_us || !metric.is_reachable() {
            self.table.unlearn(now, rte.prefix, from, &mut out.routes);
            let looped = through_us && rte.metric.is_reachable();
            return if looped {
                Err(Reject::NextHopIsUs)
            } else {
                Ok(())
            };
        }
        // RFC 2453 §4.4: a next hop that is not on the link is the sender.
        let on_link = rte.next_hop.filter(|hop| setup.facing(*hop).is_some());
        let via = on_link.unwrap_or(from.address);
        let offer = Offer {
            from,
            via,
            metric,
            tag: rte.tag,
            heard: now,
            used: false,
        };
        let max = setup.config.max_neighbor_routes;
        self.table
            .learn(now, rte.prefix, offer, max, &mut out.routes)
    }

    /// RFC 2453 §3.9.1.
    fn answer(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_, F>,
        packet: &Packet<'_>,
        sends: &mut Vec<Send<F>>,
    ) -> Result<(), Reject> {
        let interface = self
            .interfaces
            .get_mut(&datagram.ifindex)
            .ok_or(Reject::NoInterface)?;
        let reading = Reading::new(interface, datagram, packet)?;
        let version = reading.answer(interface)?;
        let (source, port) = (datagram.source, datagram.source_port);
        let config = &interface.setup.config;
        if config.passive && !config.neighbors.contains(&source) {
            return Err(Reject::PassiveInterface);
        }
        let target = unicast(&interface.setup, source, port).ok_or(Reject::NotOnLink)?;
        let target = Target { version, ..target };
        interface.requests.admit(now, source)?;
        if let [entry] = packet.entries()
            && F::asks_for_table(entry)
        {
            // Only another router is given what it may believe.
            let kind = if port == F::PORT {
                Kind::Periodic
            } else {
                Kind::Inspection
            };
            return interface.output.answer(kind, target);
        }
        let asked = packet.entries().iter().map(|entry| reading.prefix(entry));
        let told = asked.map(|asked| asked.map(|prefix| self.lookup(prefix)));
        let told: Vec<Rte<F>> = told
            .collect::<Result<_, _>>()
            .map_err(|_| Reject::BadRequest)?;
        let Some(interface) = self.interfaces.get_mut(&datagram.ifindex) else {
            return Err(Reject::NoInterface);
        };
        let clock = &mut self.clock;
        let mut stamp = Stamp { now, clock };
        for told in told.chunks(interface.max_entries()) {
            let payload = output::response(version.dialect(), told);
            interface.send(&mut stamp, target, payload, sends);
        }
        Ok(())
    }

    /// What is told to whoever asks for a single destination; without split
    /// horizon.
    fn lookup(&self, prefix: F::Prefix) -> Rte<F> {
        let advert = self.table.advert(&prefix);
        let (metric, tag) = advert.map_or((Metric::INFINITY, 0), |a| (a.metric, a.tag));
        Rte {
            prefix,
            metric,
            tag,
            next_hop: None,
        }
    }

    /// Counts a refusal wherever it is shown.
    fn reject(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_, F>,
        reject: Reject,
        out: &mut Actions<F>,
    ) {
        let Datagram {
            ifindex, source, ..
        } = *datagram;
        if let Some(interface) = self.interfaces.get_mut(&ifindex) {
            interface.neighbors.rejected(source, reject);
            match reject.scope() {
                Scope::Packet => interface.traffic.bad_packets += 1,
                Scope::Entry => interface.traffic.bad_routes += 1,
            }
        }
        let last = self.rejects.count(
            reject,
            Occurrence {
                at: now,
                ifindex,
                source,
            },
        );
        if last.is_none_or(|last| now.since(last) >= QUIET) {
            out.events.push(Event::Rejected(
                reject,
                NeighborKey {
                    ifindex,
                    address: source,
                },
            ));
        }
    }
}

/// A broadcast of ours, which the kernel hands back.
fn is_echo<F: Wire>(setup: &InterfaceSetup<F>, datagram: &Datagram<'_, F>) -> bool {
    setup.config.send_version.is_broadcast()
        && datagram.source_port == F::PORT
        && setup.is_ours(datagram.source)
}
