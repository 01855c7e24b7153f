//! `forwarder rip-replay`: plays a recording of RIP again, and compares.

use std::fmt::Write as _;
use std::io::BufRead;

use anyhow::{anyhow, bail};
use forwarder_core::net::Ifindex;
use forwarder_core::rip::Wire;
use forwarder_core::rip::record::{Ending, Player};
use serde::Serialize;
use serde_json::{Value, json};

use super::args::RipReplayCommand;
use super::output::{print, print_line};
use super::show;
use super::table::{age, grouped};
use crate::api::model::{RipError, RipNeighbor, RipRoute};
use crate::rip_record::{Difference, Engine, Family, Reader, Replay, Step};
use crate::rip_rows;

/// Lines of a trace that are written at a time.
const CHUNK: usize = 64 << 10;

pub(super) fn run(command: &RipReplayCommand, json: bool) -> anyhow::Result<()> {
    if json && command.trace {
        bail!("--trace is for people: the recording itself has each input and output as JSON");
    }
    let reader = Reader::open(&command.file);
    let reader = reader.map_err(|error| anyhow!(printable(&error.to_string())))?;
    let mut replay = Replay::new(reader, command.until);
    let damage = match play(&mut replay, command.trace)? {
        Played::Whole => None,
        Played::Damaged(error) => Some(error),
        Played::NobodyReads => return Ok(()),
    };
    if json {
        let damage = damage.as_ref().map(ToString::to_string);
        print(to_json(&replay, damage.as_deref()).to_string())?;
    } else {
        print(printable(&summary(&replay)))?;
    }
    if let Some(error) = damage {
        let error = printable(&error.to_string());
        bail!("{error}; what stands before it was played");
    }
    if replay.difference().is_some() {
        bail!("the outputs are not those that were recorded");
    }
    Ok(())
}

/// A file that somebody else has made says nothing to the terminal itself.
fn printable(text: &str) -> String {
    let replaced = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(replaced).collect()
}

/// What became of playing.
enum Played {
    /// The end was reached, or a difference.
    Whole,
    /// The file is damaged.
    Damaged(anyhow::Error),
    /// The reader of the trace has seen enough.
    NobodyReads,
}

fn play<R: BufRead>(replay: &mut Replay<R>, trace: bool) -> anyhow::Result<Played> {
    let mut text = String::new();
    let mut outcome = Played::Whole;
    loop {
        match replay.step() {
            Ok(Some(step)) if trace => tell(replay, &step, &mut text),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                outcome = Played::Damaged(error.into());
                break;
            }
        }
        if text.len() >= CHUNK {
            if !print_line(&printable(&text))? {
                return Ok(Played::NobodyReads);
            }
            text.clear();
        }
    }
    if text.is_empty() || print_line(&printable(&text))? {
        return Ok(outcome);
    }
    Ok(Played::NobodyReads)
}

/// A step of the trace: the input, and below it what came of it.
fn tell<R: BufRead>(replay: &Replay<R>, step: &Step, text: &mut String) {
    let Some(engine) = replay.engine(step.input.engine) else {
        return;
    };
    let time = seconds(replay.since_start(step.input.at));
    let (protocol, what) = (engine.protocol.name(), engine.tell_input(&step.input.what));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{time:>14} {protocol:<5} {what}");
    for output in &step.outputs {
        let _ = writeln!(
            text,
            "{:>14} {:<5}   {}",
            "",
            "",
            engine.tell_output(output)
        );
    }
}

/// Microseconds as seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn summary<R: BufRead>(replay: &Replay<R>) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<12}{value}", format!("{key}:"));
    };
    let header = replay.reader().header();
    let begun = i64::try_from(header.unix_time).ok();
    let begun = begun.and_then(|time| jiff::Timestamp::from_second(time).ok());
    let begun = begun.map_or_else(String::new, |time| format!(", begun {time}"));
    line(
        "recording",
        format!(
            "instance {}, forwarder {}{begun}",
            header.instance, header.forwarder
        ),
    );
    line("end", ending(replay).to_owned());
    for engine in replay.engines() {
        line(engine.protocol.name(), inputs(engine));
    }
    match replay.difference() {
        None => line(
            "outputs",
            format!("{}, the same as recorded", grouped(replay.outputs())),
        ),
        Some(difference) => {
            let [input, recorded, replayed] = sides(replay, difference);
            let at = seconds(replay.since_start(difference.input.at));
            line(
                "difference",
                format!("line {}, {at} s after the start", difference.line),
            );
            line("  input", input);
            line("  recorded", recorded);
            line("  replayed", replayed);
        }
    }
    for engine in replay.engines() {
        let Rows {
            neighbors, routes, ..
        } = rows(engine);
        let _ = write!(text, "\n{}", show::rip_neighbors(&neighbors));
        let _ = write!(text, "\n{}", show::rip_routes(&routes));
    }
    text
}

fn ending<R: BufRead>(replay: &Replay<R>) -> &'static str {
    match replay.ending() {
        _ if replay.is_early() => "not played to its end (--until)",
        _ if replay.difference().is_some() => "not played to its end",
        Some(Ending::Stopped) => "the daemon stopped",
        Some(Ending::Limit) => "the file had the size that it might have (--record-limit)",
        Some(Ending::Behind) => "the disk took less than there was to write",
        None => {
            "none: the daemon was killed, could not write, or still runs; played up to the last \
             complete record"
        }
    }
}

fn inputs(engine: &Engine) -> String {
    let kinds = engine.inputs.iter();
    let kinds: Vec<_> = kinds
        .map(|(kind, count)| format!("{} {kind}", grouped(*count)))
        .collect();
    format!(
        "{} inputs in {} ({})",
        grouped(engine.count()),
        age((engine.now() - engine.start) / 1_000_000),
        kinds.join(", ")
    )
}

/// Input, recorded and replayed output in words; where these do not tell the two
/// apart, as they are recorded.
fn sides<R: BufRead>(replay: &Replay<R>, difference: &Difference) -> [String; 3] {
    let Some(engine) = replay.engine(difference.input.engine) else {
        return Default::default();
    };
    let outputs = [&difference.recorded, &difference.replayed];
    let words = outputs.map(|output| {
        let words = output.as_ref().map(|output| engine.tell_output(output));
        words.unwrap_or_else(|| "nothing more".to_owned())
    });
    let [recorded, replayed] = if words[0] == words[1] {
        outputs.map(|output| json!(output).to_string())
    } else {
        words
    };
    let input = engine.tell_input(&difference.input.what);
    [input, recorded, replayed]
}

/// An engine's state, as `show rip` has it.
#[derive(Serialize)]
struct Rows {
    neighbors: Vec<RipNeighbor>,
    routes: Vec<RipRoute>,
    errors: Vec<RipError>,
}

fn rows(engine: &Engine) -> Rows {
    match &engine.player {
        Family::V4(player) => player_rows(player),
        Family::V6(player) => player_rows(player),
    }
}

fn player_rows<F: Wire>(player: &Player<F>) -> Rows {
    let name = |ifindex: Ifindex| {
        let known = player.names().get(&ifindex).cloned();
        known.unwrap_or_else(|| format!("if{ifindex}"))
    };
    let neighbors = player.neighbors().into_iter();
    let routes = player.routes();
    let errors = player.errors().into_iter().filter(|row| row.count > 0);
    Rows {
        neighbors: neighbors.map(rip_rows::neighbor).collect(),
        routes: routes
            .flat_map(|row| rip_rows::routes(&row, name))
            .collect(),
        errors: errors
            .map(|row| rip_rows::error(&row, player.now(), name))
            .collect(),
    }
}

fn to_json<R: BufRead>(replay: &Replay<R>, damage: Option<&str>) -> Value {
    let header = replay.reader().header();
    let engines = replay.engines().map(|engine| {
        let rows = rows(engine);
        json!({
            "engine": engine.number,
            "protocol": engine.protocol.name(),
            "inputs": engine.inputs,
            "seconds": (engine.now() - engine.start) / 1_000_000,
            "neighbors": rows.neighbors,
            "routes": rows.routes,
            "errors": rows.errors,
        })
    });
    let difference = replay.difference().map(|difference| {
        json!({
            "line": difference.line,
            "input": difference.input,
            "recorded": difference.recorded,
            "replayed": difference.replayed,
        })
    });
    json!({
        "file": replay.reader().name(),
        "format": header.format,
        "forwarder": header.forwarder,
        "instance": header.instance,
        "unix_time": header.unix_time,
        "ending": replay.ending(),
        "outputs": replay.outputs(),
        "same": replay.difference().is_none() && damage.is_none(),
        "difference": difference,
        "damage": damage,
        "engines": engines.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_says_nothing_to_the_terminal_itself() {
        assert_eq!(printable("eth0\u{1b}[2J\r\n"), "eth0\u{fffd}[2J\u{fffd}\n");
    }

    #[test]
    fn times_are_seconds_to_the_microsecond() {
        assert_eq!(seconds(90_500_001), "90.500001");
    }
}
