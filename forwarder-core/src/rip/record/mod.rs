//! What the engine was given and what it did, as records that can be written to a
//! file and played again: `forwarder run --record` and `forwarder rip-replay`.
//!
//! The engine is a function of state, time and input, so its inputs, with the
//! configuration it began with, are all there is to know about a run. The outputs are
//! recorded beside them, whole: a player that comes to others can show both sides.
//!
//! This module owns the records' shapes ([`Line`], one JSON object a line, made and
//! read with serde), the way from the engine's types to them ([`Recorder`], fed by the
//! daemon's driver) and back ([`Player`], fed by the command). It neither opens files
//! nor knows of JSON; `forwarder::rip_record` does.
//!
//! Records hold no secrets: keys are numbers, and what they have signed is signed
//! with stand-ins. (ADR 0028)

mod lines;
mod player;
mod read;
mod recorder;
mod text;
mod words;

pub use lines::{
    AuthRecord, Ending, EngineRecord, HopRecord, InputRecord, InterfaceRecord, KeyRecord, Line,
    Output, Payload, Protocol, RecordingRecord, SubnetRecord, TuningRecord, What, WindowRecord,
};
pub use player::Player;
pub use read::Unfit;
pub use recorder::{Recorder, Since};
pub use words::Words;

/// The version of the format; raised when an older reader would misunderstand it.
pub const FORMAT: u32 = 1;
