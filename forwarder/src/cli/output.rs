//! Writing to stdout and stderr. A reader that has seen enough (`| head`) is no
//! error.

use std::io::{self, ErrorKind, Write as _};

/// Writes an answer to stdout, with a newline at its end.
///
/// # Errors
/// It cannot be written, for another reason than a closed pipe.
pub(super) fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    match write(text.as_ref()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Writes one of a run of lines; `false` when nobody reads any more.
///
/// # Errors
/// It cannot be written, for another reason than a closed pipe.
pub(super) fn print_line(text: &str) -> anyhow::Result<bool> {
    match write(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => Ok(result.map(|()| true)?),
    }
}

/// Says on stderr what is no error, but worth knowing.
pub(super) fn note(text: &str) {
    // Nobody is left to tell where stderr is closed.
    let _ = writeln!(io::stderr(), "note: {text}");
}

/// Says on stderr what another program would say in these words.
pub(super) fn complain(text: &str) {
    // Nobody is left to tell where stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

fn write(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    if !text.ends_with(b"\n") && !text.is_empty() {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Says on stderr what went wrong: causes on the same line, hints below.
pub(super) fn error(error: &anyhow::Error) {
    // Nobody is left to tell where stderr is closed.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}
