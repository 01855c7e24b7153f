//! The engine and what it wants done, recorded if somebody has asked for it.
//!
//! The one place where the engine is given anything: a recording that lacks an input
//! cannot be played.

use forwarder_core::rip::record::Since;
use forwarder_core::rip::{Actions, Config, Input, Rip};
use forwarder_core::time::Instant;

use super::transport::Transport;
use crate::clock;
use crate::rip_record::{Recording, Tap};

/// See the module's head.
pub(super) struct Engine<F: Transport> {
    /// To ask; [`Engine::handle`] is the way in.
    pub(super) rip: Rip<F>,
    actions: Actions<F>,
    tap: Option<Tap<F>>,
}

impl<F: Transport> Engine<F> {
    pub(super) fn new(config: Config, recording: Option<Recording>) -> Self {
        Engine {
            rip: Rip::new(config),
            actions: Actions::default(),
            tap: recording.map(|recording| Tap::new(recording, clock::now(), &config)),
        }
    }

    /// Takes an input in; what is to be done about it waits for
    /// [`Engine::take_actions`].
    pub(super) fn handle(&mut self, now: Instant, input: Input<'_, F>) {
        let since = Since::now(&self.actions);
        let what = self.tap.as_mut().and_then(|tap| tap.input(&input));
        self.rip.handle(now, input, &mut self.actions);
        if let Some((tap, what)) = self.tap.as_mut().zip(what) {
            tap.outputs(now, what, since, &self.actions);
        }
    }

    /// What is to be done. Called in each round, so it is the recording's pause, too.
    pub(super) fn take_actions(&mut self) -> Actions<F> {
        if let Some(tap) = &mut self.tap {
            tap.flush();
        }
        std::mem::take(&mut self.actions)
    }
}
