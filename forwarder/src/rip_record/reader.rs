//! Takes a recording apart, line by line. The file may be cut off, damaged or
//! hostile: a line is bounded, and each error names its line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use forwarder_core::rip::record::{FORMAT, Line, RecordingRecord};

/// The longest line: an interface with 100,000 addresses. A datagram takes a hundredth.
const LINE: usize = 16 << 20;

/// Why a file cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself.
    #[error("cannot read {0}: {1}")]
    Io(String, io::Error),
    /// It does not begin as a recording does.
    #[error("{0} is no recording of forwarder: make one with `forwarder run --record FILE` ({1})")]
    NoRecording(String, String),
    /// Made by a later version.
    #[error("{0} is in format {1}, and this forwarder ({version}) reads {FORMAT}: play it with forwarder {2}", version = env!("CARGO_PKG_VERSION"))]
    Format(String, u32, String),
    /// A line is longer than any that is written.
    #[error("{0}, line {1}: more than {LINE} bytes; the file is damaged there")]
    TooLong(String, u64),
    /// A line is no record.
    #[error("{0}, line {1}: no record ({2}); the file is damaged there")]
    Damaged(String, u64, String),
}

/// A recording that is being read.
pub struct Reader<R = BufReader<File>> {
    name: String,
    input: R,
    line: u64,
    buffer: Vec<u8>,
    /// How the last line ended: not at all.
    cut: bool,
    header: RecordingRecord,
}

impl Reader {
    /// Opens a file and reads its first line.
    ///
    /// # Errors
    /// It cannot be read, or is no recording.
    pub fn open(path: &Path) -> Result<Reader, ReadError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Reader::new(name, BufReader::new(file)),
            Err(error) => Err(ReadError::Io(name, error)),
        }
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from anything that has lines.
    ///
    /// # Errors
    /// It does not begin as a recording does.
    pub fn new(name: String, input: R) -> Result<Reader<R>, ReadError> {
        let mut reader = Reader {
            name,
            input,
            line: 0,
            buffer: Vec::new(),
            cut: false,
            header: RecordingRecord {
                format: FORMAT,
                forwarder: String::new(),
                instance: String::new(),
                unix_time: 0,
            },
        };
        let name = reader.name.clone();
        let no_recording = |why: String| ReadError::NoRecording(name, why);
        let header = match reader.next() {
            Ok(Some(Line::Recording(header))) => header,
            Ok(Some(_)) => return Err(no_recording("its first line is another one".into())),
            Ok(None) => return Err(no_recording("it is empty".into())),
            Err(ReadError::Damaged(_, _, why)) => return Err(no_recording(why)),
            Err(ReadError::TooLong(..)) => return Err(no_recording("it has no lines".into())),
            Err(error) => return Err(error),
        };
        if header.format != FORMAT {
            let (format, version) = (header.format, header.forwarder);
            return Err(ReadError::Format(reader.name, format, version));
        }
        reader.header = header;
        Ok(reader)
    }

    /// What the recording is.
    pub fn header(&self) -> &RecordingRecord {
        &self.header
    }

    /// The number of the line read last, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Whether the file ends within a line: whoever wrote it was killed.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The file's name, for errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next line; `None` at the end, and where the last line is cut off.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    #[expect(
        clippy::should_implement_trait,
        reason = "a line or an error, not both in one"
    )]
    pub fn next(&mut self) -> Result<Option<Line>, ReadError> {
        self.buffer.clear();
        let mut bounded = self.input.by_ref().take(LINE as u64 + 1);
        let read = bounded.read_until(b'\n', &mut self.buffer);
        read.map_err(|error| ReadError::Io(self.name.clone(), error))?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if self.buffer.pop_if(|last| *last == b'\n').is_none() {
            if self.buffer.len() > LINE {
                return Err(ReadError::TooLong(self.name.clone(), self.line));
            }
            self.cut = true;
            return Ok(None);
        }
        let line = serde_json::from_slice(&self.buffer);
        line.map(Some).map_err(|error| {
            // Its own lines are within ours.
            let why = error.to_string().replace(" at line 1 column", " at column");
            ReadError::Damaged(self.name.clone(), self.line, why)
        })
    }
}
