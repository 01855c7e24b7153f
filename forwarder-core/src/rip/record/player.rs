//! Plays records: an engine that is given what another one was.

use std::collections::BTreeMap;

use super::lines::{EngineRecord, Output, What};
use super::read::{self, Unfit};
use super::recorder::{Recorder, Since, protocol};
use crate::net::Ifindex;
use crate::rip::{Actions, ErrorRow, Input, NeighborRow, Rip, RouteRow, Wire};
use crate::time::Instant;

/// An engine at some point of a recording.
pub struct Player<F: Wire> {
    rip: Rip<F>,
    /// Its outputs become records the way the recorded ones did.
    recorder: Recorder<F>,
    now: Instant,
    names: BTreeMap<Ifindex, String>,
}

impl<F: Wire> Player<F> {
    /// An engine as it was when it started.
    ///
    /// # Errors
    /// The record is none of such an engine.
    pub fn new(record: &EngineRecord) -> Result<Self, Unfit> {
        if record.protocol != protocol::<F>() {
            return Err(Unfit::Protocol);
        }
        Ok(Player {
            rip: Rip::new(read::config(record)?),
            recorder: Recorder::default(),
            now: Instant::from_micros(record.at),
            names: BTreeMap::new(),
        })
    }

    /// Gives it what it was given at this time; answers what it does about it.
    ///
    /// # Errors
    /// No engine can have been given that; nothing has happened then.
    pub fn play(&mut self, at: u64, what: &What) -> Result<Vec<Output>, Unfit> {
        let at = Instant::from_micros(at);
        if at < self.now {
            return Err(Unfit::Backwards);
        }
        let input = read::input::<F>(what)?;
        self.now = at;
        if let Input::InterfaceUp(setup) = &input {
            self.names.insert(setup.ifindex, setup.name.clone());
        }
        self.recorder.input(&input);
        let mut actions = Actions::default();
        self.rip.handle(at, input, &mut actions);
        Ok(self.recorder.outputs(Since::default(), &actions))
    }

    /// The time of the last record.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What interfaces are called, those that are gone included.
    pub fn names(&self) -> &BTreeMap<Ifindex, String> {
        &self.names
    }

    /// Every router heard.
    pub fn neighbors(&self) -> Vec<NeighborRow<F>> {
        self.rip.neighbors(self.now)
    }

    /// Every reason for refusal, zeros included.
    pub fn errors(&self) -> Vec<ErrorRow<F>> {
        self.rip.errors()
    }

    /// Every destination in the order of prefixes.
    pub fn routes(&self) -> impl Iterator<Item = RouteRow<F>> + '_ {
        self.rip.routes(self.now)
    }
}
