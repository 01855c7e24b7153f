//! Plays a recording and compares what comes of it with what was recorded.

use std::collections::BTreeMap;
use std::io::BufRead;

use forwarder_core::net::{Ipv4, Ipv6};
use forwarder_core::rip::record::{
    Ending, EngineRecord, InputRecord, Line, Output, Player, Protocol, Unfit, What, Words,
};

use super::reader::{ReadError, Reader};

/// Engines of a recording. Each start is one, and a reload can start another; a
/// daemon that is reloaded every second does not get here within an hour.
const ENGINES: usize = 4096;

/// Why a recording cannot be played any further.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A line.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record that no engine can have made.
    #[error("{0}, line {1}: {2}; the file is damaged there")]
    Unfit(String, u64, Unfit),
    /// A record where it makes no sense.
    #[error("{0}, line {1}: {2}; the file is damaged there")]
    Misplaced(String, u64, &'static str),
}

/// An engine that plays, in its family.
pub enum Family {
    /// RIP.
    V4(Player<Ipv4>),
    /// RIPng.
    V6(Player<Ipv6>),
}

/// An engine of the recording.
pub struct Engine {
    /// Its number there.
    pub number: u32,
    /// What it speaks.
    pub protocol: Protocol,
    /// When it started, on its clock, in microseconds.
    pub start: u64,
    /// How many inputs it was given, by kind.
    pub inputs: BTreeMap<&'static str, u64>,
    /// Its state.
    pub player: Family,
}

/// The first place where the engine does something else than was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The line of the recorded output, or of the input where there is none.
    pub line: u64,
    /// What the engine was given.
    pub input: InputRecord,
    /// What was recorded; `None` = nothing more.
    pub recorded: Option<Output>,
    /// What came of it now; `None` = nothing more.
    pub replayed: Option<Output>,
}

/// An input that was played.
pub struct Step {
    /// It.
    pub input: InputRecord,
    /// What came of it.
    pub outputs: Vec<Output>,
}

/// A recording that is being played.
pub struct Replay<R> {
    reader: Reader<R>,
    engines: BTreeMap<u32, Engine>,
    /// Inputs later than this, in microseconds after the first engine's start, are
    /// left out.
    until: Option<u64>,
    /// When the first engine started.
    start: Option<u64>,
    outputs: u64,
    ending: Option<Ending>,
    difference: Option<Difference>,
    /// Not played to the end, since `until` has come.
    early: bool,
}

impl<R: BufRead> Replay<R> {
    /// Plays what is read here, up to a time if there is one.
    pub fn new(reader: Reader<R>, until: Option<u64>) -> Self {
        Replay {
            reader,
            engines: BTreeMap::new(),
            until,
            start: None,
            outputs: 0,
            ending: None,
            difference: None,
            early: false,
        }
    }

    /// Plays the next input; `None` at the end, at the time it is to be played
    /// until, and at the first difference.
    ///
    /// # Errors
    /// The recording is damaged; what was played before stands.
    pub fn step(&mut self) -> Result<Option<Step>, ReplayError> {
        while self.difference.is_none() {
            let Some(line) = self.line()? else {
                return Ok(None);
            };
            match line {
                Line::Engine(record) => self.start(&record)?,
                Line::Input(input) if self.is_too_late(&input) => {
                    self.early = true;
                    return Ok(None);
                }
                Line::Input(input) => return self.play(input).map(Some),
                Line::End(ending) => self.ending = Some(ending),
                Line::Output(_) => return Err(self.misplaced("an output of no input")),
                Line::Recording(_) => return Err(self.misplaced("a second beginning")),
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<Line>, ReplayError> {
        let line = self.reader.next()?;
        if line.is_some() && self.ending.is_some() {
            return Err(self.misplaced("a record behind the end"));
        }
        Ok(line)
    }

    fn start(&mut self, record: &EngineRecord) -> Result<(), ReplayError> {
        if self.engines.len() >= ENGINES {
            return Err(self.misplaced("more engines than a daemon starts"));
        }
        let player = match record.protocol {
            Protocol::Rip => Player::new(record).map(Family::V4),
            Protocol::Ripng => Player::new(record).map(Family::V6),
        };
        let player = player.map_err(|unfit| self.unfit(unfit))?;
        self.start.get_or_insert(record.at);
        let engine = Engine {
            number: record.engine,
            protocol: record.protocol,
            start: record.at,
            inputs: BTreeMap::new(),
            player,
        };
        match self.engines.insert(record.engine, engine) {
            None => Ok(()),
            Some(_) => Err(self.misplaced("a second engine of this number")),
        }
    }

    fn is_too_late(&self, input: &InputRecord) -> bool {
        self.until
            .is_some_and(|until| self.since_start(input.at) > until)
    }

    fn play(&mut self, input: InputRecord) -> Result<Step, ReplayError> {
        let line = self.reader.line();
        let Some(engine) = self.engines.get_mut(&input.engine) else {
            return Err(self.misplaced("an input of an engine that has not started"));
        };
        let played = match &mut engine.player {
            Family::V4(player) => player.play(input.at, &input.what),
            Family::V6(player) => player.play(input.at, &input.what),
        };
        let outputs = match played {
            Ok(outputs) => outputs,
            Err(unfit) => return Err(self.unfit(unfit)),
        };
        *engine.inputs.entry(kind(&input.what)).or_default() += 1;
        self.outputs += outputs.len() as u64;
        self.compare(line, &input, &outputs)?;
        Ok(Step { input, outputs })
    }

    fn compare(
        &mut self,
        mut line: u64,
        input: &InputRecord,
        outputs: &[Output],
    ) -> Result<(), ReplayError> {
        let mut outputs = outputs.iter();
        for _ in 0..input.outputs {
            let recorded = match self.line()? {
                Some(Line::Output(recorded)) => recorded,
                // Cut off: compared as far as it goes.
                None => return Ok(()),
                Some(_) => return Err(self.misplaced("fewer outputs than the input says")),
            };
            line = self.reader.line();
            let replayed = outputs.next();
            if replayed != Some(&recorded) {
                let replayed = replayed.cloned();
                self.differ(line, input, Some(recorded), replayed);
                return Ok(());
            }
        }
        if let Some(replayed) = outputs.next() {
            self.differ(line, input, None, Some(replayed.clone()));
        }
        Ok(())
    }

    fn differ(
        &mut self,
        line: u64,
        input: &InputRecord,
        recorded: Option<Output>,
        replayed: Option<Output>,
    ) {
        self.difference = Some(Difference {
            line,
            input: input.clone(),
            recorded,
            replayed,
        });
    }

    fn misplaced(&self, what: &'static str) -> ReplayError {
        ReplayError::Misplaced(self.reader.name().to_owned(), self.reader.line(), what)
    }

    fn unfit(&self, unfit: Unfit) -> ReplayError {
        ReplayError::Unfit(self.reader.name().to_owned(), self.reader.line(), unfit)
    }

    /// The file.
    pub fn reader(&self) -> &Reader<R> {
        &self.reader
    }

    /// The engines, by number.
    pub fn engines(&self) -> impl Iterator<Item = &Engine> {
        self.engines.values()
    }

    /// The engine of a number.
    pub fn engine(&self, number: u32) -> Option<&Engine> {
        self.engines.get(&number)
    }

    /// Microseconds from the first engine's start to a time on the engines' clock.
    pub fn since_start(&self, at: u64) -> u64 {
        at.saturating_sub(self.start.unwrap_or(at))
    }

    /// How many outputs came.
    pub fn outputs(&self) -> u64 {
        self.outputs
    }

    /// How the recording ended; `None` where it was cut off, or not played to its end.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Whether it was played up to a time before its end.
    pub fn is_early(&self) -> bool {
        self.early
    }

    /// The first difference, where there is one.
    pub fn difference(&self) -> Option<&Difference> {
        self.difference.as_ref()
    }
}

impl Engine {
    /// How many inputs it was given.
    pub fn count(&self) -> u64 {
        self.inputs.values().sum()
    }

    /// The time of its last input, in microseconds.
    pub fn now(&self) -> u64 {
        match &self.player {
            Family::V4(player) => player.now().as_micros(),
            Family::V6(player) => player.now().as_micros(),
        }
    }

    /// An input in words.
    pub fn tell_input(&self, what: &What) -> String {
        match &self.player {
            Family::V4(player) => Words::new(player.names()).input::<Ipv4>(what),
            Family::V6(player) => Words::new(player.names()).input::<Ipv6>(what),
        }
    }

    /// An output in words.
    pub fn tell_output(&self, output: &Output) -> String {
        match &self.player {
            Family::V4(player) => Words::new(player.names()).output::<Ipv4>(output),
            Family::V6(player) => Words::new(player.names()).output::<Ipv6>(output),
        }
    }
}

/// The kind of an input, for the summary.
fn kind(what: &What) -> &'static str {
    match what {
        What::Datagram { .. } => "datagrams",
        What::Deadline => "deadlines",
        What::InterfaceUp(_) | What::InterfaceDown(_) | What::InterfaceRemove(_) => "interfaces",
        What::Redistribute { .. } | What::RedistributeNoMore { .. } => "redistributed",
        What::Request(_) | What::ClearNeighbor(_) | What::ClearRoutes | What::ClearCounters => {
            "operator"
        }
        What::Reconfigure(_) => "configurations",
        What::WallClock(_) => "clock",
        What::Shutdown => "shutdown",
    }
}
