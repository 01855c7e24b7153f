//! What a driver hands its engine's inputs and outputs to.

use forwarder_core::rip::record::{InputRecord, Line, Recorder, Since, What};
use forwarder_core::rip::{Actions, Config, Input, Wire};
use forwarder_core::time::Instant;

use super::writer::{Recording, append};

/// Handed over at this size, if there is no pause before.
const FULL: usize = 64 << 10;

/// The recording of one engine. Every input has to pass here, before the engine has it
/// and after.
pub(crate) struct Tap<F: Wire> {
    recording: Recording,
    recorder: Recorder<F>,
    engine: u32,
    /// Whole records that have not been handed over.
    lines: Vec<u8>,
}

impl<F: Wire> Tap<F> {
    /// An engine starts.
    pub(crate) fn new(recording: Recording, at: Instant, config: &Config) -> Self {
        let recorder = Recorder::default();
        let engine = recording.next_engine();
        recording.line(&Line::Engine(recorder.start(engine, at, config)));
        Tap {
            recording,
            recorder,
            engine,
            lines: Vec::new(),
        }
    }

    /// Before: what it is; `None` when nothing is recorded any more.
    pub(crate) fn input(&mut self, input: &Input<'_, F>) -> Option<What> {
        self.recording.is_on().then(|| self.recorder.input(input))
    }

    /// After: what the engine has added to `actions`.
    pub(crate) fn outputs(&mut self, at: Instant, what: What, since: Since, actions: &Actions<F>) {
        let outputs = self.recorder.outputs(since, actions);
        let input = InputRecord {
            engine: self.engine,
            at: at.as_micros(),
            outputs: outputs.len() as u64,
            what,
        };
        append(&mut self.lines, &Line::Input(input));
        for output in outputs {
            append(&mut self.lines, &Line::Output(output));
        }
        if self.lines.len() >= FULL {
            self.flush();
        }
    }

    /// There is a pause: hands over what there is.
    pub(crate) fn flush(&mut self) {
        if !self.lines.is_empty() {
            self.recording.lines(std::mem::take(&mut self.lines));
        }
    }
}
