//! Writes a recording, in a thread of its own.
//!
//! A disk can be full, slow or gone. The engine's task hands whole records over and
//! never waits: what cannot be written ends the recording, which the log says once and
//! `show status` from then on. Routing goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use forwarder_core::rip::record::{Ending, FORMAT, Line, RecordingRecord};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use crate::clock;

/// Bytes that may wait for the disk: half a second of the fastest burst, when 100,000
/// routes come at once. Beyond them memory would go where the disk does not.
const QUEUE: u64 = 32 << 20;
/// The daemon's end waits so long for a disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// A recording that is being made. Each engine's task has a handle.
#[derive(Clone, Debug)]
pub struct Recording {
    shared: Arc<Shared>,
    queue: Sender<Message>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// The most bytes of the file; 0 = no limit.
    limit: u64,
    /// Bytes handed over.
    taken: AtomicU64,
    /// Bytes in the file.
    written: AtomicU64,
    engines: AtomicU32,
    /// Why nothing is recorded any more.
    stopped: OnceLock<String>,
}

#[derive(Debug)]
enum Message {
    /// Whole lines.
    Lines(Vec<u8>),
    /// No more of them.
    End(Ending),
    /// Tell when all that came before is written.
    Flushed(oneshot::Sender<()>),
}

/// How a recording is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordingStatus {
    /// The file.
    pub path: PathBuf,
    /// Bytes in it.
    pub bytes: u64,
    /// Why nothing is added any more.
    pub stopped: Option<String>,
}

impl Recording {
    /// Makes the file, which must not be there yet, and starts the thread. It may
    /// have `limit` bytes; 0 = as many as it takes.
    ///
    /// # Errors
    /// What is wrong with the path, for the person at the keyboard.
    pub fn create(path: &Path, instance: &str, limit: u64) -> anyhow::Result<Recording> {
        Recording::begin(create(path)?, path, instance, limit)
    }

    /// The same with a file that is open.
    pub(super) fn begin(
        file: File,
        path: &Path,
        instance: &str,
        limit: u64,
    ) -> anyhow::Result<Recording> {
        let (queue, messages) = channel();
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            limit,
            taken: AtomicU64::new(0),
            written: AtomicU64::new(0),
            engines: AtomicU32::new(0),
            stopped: OnceLock::new(),
        });
        let recording = Recording {
            shared: Arc::clone(&shared),
            queue,
        };
        recording.line(&Line::Recording(RecordingRecord {
            format: FORMAT,
            forwarder: env!("CARGO_PKG_VERSION").to_owned(),
            instance: instance.to_owned(),
            unix_time: clock::time_of_day().0,
        }));
        thread::Builder::new()
            .name("recording".to_owned())
            .spawn(move || write(&shared, file, &messages))
            .context("starting the thread that writes the recording")?;
        Ok(recording)
    }

    /// A number for another engine.
    pub(super) fn next_engine(&self) -> u32 {
        self.shared.engines.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether what is handed over is still written.
    pub(super) fn is_on(&self) -> bool {
        self.shared.stopped.get().is_none()
    }

    /// Hands whole lines over.
    pub(super) fn lines(&self, lines: Vec<u8>) {
        let shared = &self.shared;
        if lines.is_empty() || !self.is_on() {
            return;
        }
        let length = lines.len() as u64;
        let before = shared.taken.load(Ordering::Relaxed);
        // A single record may be longer than the queue: a million routes lost at once.
        let waiting = before.saturating_sub(shared.written.load(Ordering::Relaxed));
        if waiting > QUEUE {
            return self.give_up(Ending::Behind);
        }
        if shared.limit > 0 && before.saturating_add(length) > shared.limit {
            return self.give_up(Ending::Limit);
        }
        shared.taken.fetch_add(length, Ordering::Relaxed);
        // The thread ends with the last handle.
        let _ = self.queue.send(Message::Lines(lines));
    }

    pub(super) fn line(&self, line: &Line) {
        let mut text = Vec::new();
        append(&mut text, line);
        self.lines(text);
    }

    /// It has to end before the daemon does.
    fn give_up(&self, ending: Ending) {
        let why = match ending {
            Ending::Limit => format!(
                "it has the {} MiB that it may have; --record-limit sets another size",
                self.shared.limit >> 20
            ),
            _ => "the disk takes less than there is to write".to_owned(),
        };
        if self.shared.give_up(&why) {
            let _ = self.queue.send(Message::End(ending));
        }
    }

    /// Ends the recording in order; waits for the disk, but not for ever.
    pub(crate) async fn finish(self) {
        if self.shared.stop("the daemon stops".to_owned()) {
            let _ = self.queue.send(Message::End(Ending::Stopped));
        }
        let (done, flushed) = oneshot::channel();
        let _ = self.queue.send(Message::Flushed(done));
        // An error: the thread has ended, and has said why.
        if timeout(PATIENCE, flushed).await.is_err() {
            warn!(
                "{} may lack its end: the disk has not taken it within {PATIENCE:?}",
                self.shared.path.display()
            );
        }
    }

    /// Takes the file away again: nothing has begun that it could be about.
    pub(crate) fn discard(&self) {
        self.shared.stop("the daemon has not started".to_owned());
        // Best effort: a file with a header alone harms nobody.
        let _ = std::fs::remove_file(&self.shared.path);
    }

    /// How it is.
    pub fn status(&self) -> RecordingStatus {
        RecordingStatus {
            path: self.shared.path.clone(),
            bytes: self.shared.written.load(Ordering::Relaxed),
            stopped: self.shared.stopped.get().cloned(),
        }
    }
}

impl Shared {
    /// Nothing more is recorded, for this reason; whether that is news.
    fn stop(&self, why: String) -> bool {
        self.stopped.set(why).is_ok()
    }

    /// The same with a word in the log, once.
    fn give_up(&self, why: &str) -> bool {
        let news = self.stop(why.to_owned());
        if news {
            let path = self.path.display();
            warn!("the recording {path} has ended: {why}; routing goes on");
        }
        news
    }
}

/// Adds a line to a text.
pub(super) fn append(text: &mut Vec<u8>, line: &Line) {
    // No map with other keys than strings, no writer that can fail.
    if serde_json::to_writer(&mut *text, line).is_ok() {
        text.push(b'\n');
    }
}

/// Only its owner may read it, and no other file is lost for it.
fn create(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|error| {
        let name = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => anyhow::anyhow!(
                "cannot record to {name}: it exists, and is not written over; name another file"
            ),
            _ => anyhow::Error::new(error).context(format!("cannot record to {name}")),
        }
    })
}

/// The thread. It flushes nothing: each write is a whole number of records, made
/// when the engine has a pause.
fn write(shared: &Shared, mut file: File, messages: &Receiver<Message>) {
    let mut open = true;
    for message in messages {
        let outcome = match message {
            Message::Lines(lines) if open => put(shared, &mut file, &lines),
            Message::End(ending) if open => {
                open = false;
                let mut line = Vec::new();
                append(&mut line, &Line::End(ending));
                put(shared, &mut file, &line)
            }
            Message::Lines(_) | Message::End(_) => Ok(()),
            Message::Flushed(done) => {
                let _ = done.send(());
                Ok(())
            }
        };
        if let Err(error) = outcome {
            open = false;
            shared.give_up(&format!("cannot write: {error}"));
        }
    }
}

fn put(shared: &Shared, file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    shared
        .written
        .fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}
