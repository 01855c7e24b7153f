//! What goes out next on an interface, datagram by datagram.

use std::time::Duration;

use super::{HOLD, SLOT, Source, Stamp, jittered};
use crate::net::Family;
use crate::rip::auth;
use crate::rip::changes::Seq;
use crate::rip::entry::Advert;
use crate::rip::interface::{Interface, Kind, Target};
use crate::rip::io::Send;
use crate::rip::packet::{self, Command, ENTRY, Rte};
use crate::rip::wire::{Dialect, Sayable, Wire};
use crate::time::Instant;

/// Destinations that a datagram is about.
type Page<'a, F> = Vec<(<F as Family>::Prefix, &'a Advert<F>)>;

impl<F: Wire> Interface<F> {
    /// Whether all that was to be sent is sent.
    pub(in crate::rip) fn is_idle(&self) -> bool {
        !self.output.has_work()
    }

    fn pace(&self) -> usize {
        self.setup.config.pace.max(1)
    }

    /// How long an update with so many destinations takes.
    pub(in crate::rip) fn full_update(&self, destinations: usize) -> Duration {
        let datagrams = destinations.div_ceil(self.max_entries()) * self.targets.len();
        let slots = datagrams.div_ceil(self.pace());
        SLOT * u32::try_from(slots).unwrap_or(u32::MAX)
    }

    /// When [`Interface::pump`] has something to do.
    pub(in crate::rip) fn next_send(&self, log_head: Seq, draining: bool) -> Option<Instant> {
        let output = &self.output;
        if output.has_work() {
            // A moment that is past means at once.
            let start = output.slot_start;
            return Some(if output.blocked { start + SLOT } else { start });
        }
        if draining || self.closing || self.targets.is_empty() {
            return None;
        }
        output
            .trigger_at(log_head)
            .into_iter()
            .chain([output.next_update])
            .min()
    }

    /// Starts what is due and sends as much as the pace allows.
    pub(in crate::rip) fn pump(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) {
        if !source.draining && !self.closing {
            self.start_due(source);
        }
        let output = &mut self.output;
        if output.slot_used == 0 || source.now.since(output.slot_start) >= SLOT {
            (output.slot_start, output.slot_used) = (source.now, 0);
        }
        while self.send_next(source, out) {}
        self.output.blocked = self.output.has_work();
    }

    fn start_due(&mut self, source: &mut Source<'_, F>) {
        let head = source.table.log.head();
        if self.targets.is_empty() {
            (self.output.told, self.output.telling) = (head, head);
            return;
        }
        let now = source.now;
        if self.output.next_update <= now {
            self.start_periodic(source);
        } else if self.output.telling == self.output.told
            && self.output.trigger_at(head).is_some_and(|at| at <= now)
        {
            self.output.telling = head;
        }
    }

    /// Starts a periodic update, unless the last one is still being sent. Where
    /// it does not fit into one burst, pending changes go ahead of it.
    fn start_periodic(&mut self, source: &mut Source<'_, F>) {
        let head = source.table.log.head();
        let fits = source.table.len() <= self.max_entries() * self.pace();
        let update = source.table.tuning.timers.update;
        let alone = self.neighbors.iter().len() == 0;
        let output = &mut self.output;
        // The first request may have been lost, on a link that had just come
        // up: nobody else would repeat it.
        output.ask |= alone;
        // Counted from when it was due, so that load does not shift it; but
        // after a long sleep one update is enough.
        let late = source.now.since(output.next_update) > update / 2;
        let from = if late { source.now } else { output.next_update };
        output.next_update = jittered(from, update, source.rng);
        output.telling = head;
        if fits {
            output.told = head;
        }
        let targets = self.targets.clone();
        if output
            .jobs
            .iter()
            .all(|job| job.kind != Kind::Periodic || job.targets != targets)
        {
            output.announce(Kind::Periodic, targets);
        }
    }

    /// Sends the next datagram, to all it is for. `false` when nothing is left
    /// or the slot is full.
    fn send_next(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) -> bool {
        if self.output.ask {
            return self.send_request(source, out);
        }
        if self.output.telling > self.output.told {
            return self.send_changes(source, out);
        }
        self.send_job(source, out)
    }

    fn send_request(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) -> bool {
        self.output.ask = false;
        let entries = [F::table_request()];
        for target in self.targets.clone() {
            let version = target.version.dialect().version::<F>();
            let payload = packet::build(Command::Request, version, entries.into_iter());
            self.send(&mut source.stamp(), target, payload, out);
        }
        true
    }

    /// Only what is really sent makes the next triggered update wait.
    fn send_changes(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) -> bool {
        if !self.output.has_room(self.targets.len(), self.pace()) {
            return false;
        }
        let table = source.table;
        let (mut page, max): (Page<'_, F>, _) = (Vec::new(), self.max_entries());
        let mut reached = self.output.telling;
        let targets = self.targets.clone();
        for (seq, prefix) in table.log.between(self.output.told, self.output.telling) {
            if page.len() == max {
                break;
            }
            if let Some(advert) = table.advert(&prefix)
                && self.adds(Kind::Triggered, &targets, &page, prefix, advert)
            {
                page.push((prefix, advert));
            }
            reached = seq;
        }
        if page.len() < max {
            reached = self.output.telling;
        }
        self.output.told = reached;
        let sent = out.len();
        self.send_response(source, Kind::Triggered, &targets, &page, out);
        if out.len() > sent && self.output.hold_until <= source.now {
            self.output.hold_until = source.now + source.rng.between(HOLD.0, HOLD.1);
        }
        true
    }

    fn send_job(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) -> bool {
        let Some(job) = self.output.jobs.front() else {
            return false;
        };
        if !self.output.has_room(job.targets.len(), self.pace()) {
            return false;
        }
        let max = self.max_entries();
        let (kind, targets) = (job.kind, job.targets.clone());
        let table = source.table;
        let mut page: Page<'_, F> = Vec::new();
        for (prefix, advert) in table.adverts_after(job.after) {
            if page.len() == max {
                break;
            }
            if self.adds(kind, &targets, &page, prefix, advert) {
                page.push((prefix, advert));
            }
        }
        match page.last().filter(|_| page.len() == max) {
            Some((last, _)) => self.output.jobs[0].after = Some(*last),
            None => drop(self.output.jobs.pop_front()),
        }
        self.send_response(source, kind, &targets, &page, out);
        true
    }

    /// Whether a destination has something to say to anybody that the page does not
    /// yet: to routers of RIPv1 the parts of a network are one.
    fn adds(
        &self,
        kind: Kind,
        targets: &[Target<F>],
        page: &Page<'_, F>,
        prefix: F::Prefix,
        advert: &Advert<F>,
    ) -> bool {
        let said = |network: F::Prefix| {
            let mut parts = page.iter().map(|(part, _)| F::network(part));
            parts.any(|part| F::contains(&network, part))
        };
        let rendered = || self.render(kind, prefix, advert).is_some();
        targets.iter().any(|target| match target.sayable(&prefix) {
            Sayable::Itself => rendered(),
            Sayable::Network(network) => !said(network),
            Sayable::Nothing => false,
        })
    }

    fn send_response(
        &mut self,
        source: &mut Source<'_, F>,
        kind: Kind,
        targets: &[Target<F>],
        page: &Page<'_, F>,
        out: &mut Vec<Send<F>>,
    ) {
        for target in targets {
            let mut rtes: Vec<Rte<F>> = Vec::with_capacity(page.len());
            for (prefix, advert) in page {
                let told = self.told(source.table, kind, target, *prefix, advert);
                // Several parts of a network make one entry.
                let again = |rte: &Rte<F>| target.version.is_broadcast() && rtes.contains(rte);
                rtes.extend(told.filter(|rte| !again(rte)));
            }
            if !rtes.is_empty() {
                let payload = response(target.version.dialect(), &rtes);
                self.send(&mut source.stamp(), *target, payload, out);
            }
        }
    }

    /// Signs one datagram, if that is done here, sends it, and counts it against
    /// the slot. Everything that leaves us goes through here.
    pub(in crate::rip) fn send(
        &mut self,
        stamp: &mut Stamp<'_>,
        target: Target<F>,
        payload: Vec<u8>,
        out: &mut Vec<Send<F>>,
    ) {
        let payload = match &self.setup.config.auth {
            Some(auth) => auth::seal(auth, stamp.clock, stamp.now, payload),
            None => payload,
        };
        self.output.slot_used += 1;
        self.traffic.sent += 1;
        let Target {
            source,
            destination,
            port,
            ..
        } = target;
        out.push(Send {
            ifindex: self.ifindex(),
            source,
            destination,
            port,
            hop_limit: self.setup.hop_limit(),
            payload,
        });
    }
}

/// A response with these entries.
pub(in crate::rip) fn response<F: Wire>(dialect: Dialect, rtes: &[Rte<F>]) -> Vec<u8> {
    let encode = match dialect {
        Dialect::Classful => F::encode_v1,
        Dialect::Prefixes => F::encode,
    };
    let entries: Vec<[u8; ENTRY]> = rtes.iter().map(encode).collect();
    packet::build(
        Command::Response,
        dialect.version::<F>(),
        entries.into_iter(),
    )
}
