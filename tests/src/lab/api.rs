//! The daemon's HTTP interface over one kept connection: for looks that follow
//! each other closely, where starting a program would hide what is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::SHORT;

/// No header of ours is longer; the answer's size has its own limit.
const MAX_HEADERS: usize = 100;
const MAX_BODY: usize = 256 << 20;

/// A connection to api.sock.
pub struct Api {
    stream: BufReader<UnixStream>,
}

impl Api {
    pub(super) fn connect(socket: &Path) -> anyhow::Result<Api> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("connecting to {}", socket.display()))?;
        stream.set_read_timeout(Some(SHORT))?;
        Ok(Api {
            stream: BufReader::new(stream),
        })
    }

    /// `GET PATH`, which begins with `/v1/`.
    ///
    /// # Errors
    /// The daemon is gone or answers with another status than 200.
    pub fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        write!(
            self.stream.get_mut(),
            "GET {path} HTTP/1.1\r\nHost: forwarder\r\n\r\n"
        )?;
        let status = self.line()?;
        let length = self.headers()?;
        ensure!(length <= MAX_BODY, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let text = String::from_utf8(body)?;
        ensure!(
            status.starts_with("HTTP/1.1 200"),
            "GET {path}: {status}: {text}"
        );
        serde_json::from_str(&text).with_context(|| format!("GET {path} answered {text}"))
    }

    /// Reads the headers and returns the body's length.
    fn headers(&mut self) -> anyhow::Result<usize> {
        let mut length = None;
        for _ in 0..MAX_HEADERS {
            let line = self.line()?;
            if line.is_empty() {
                return length.context("an answer without Content-Length");
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
        anyhow::bail!("an answer with more than {MAX_HEADERS} headers")
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line)?;
        ensure!(length > 0, "the daemon has closed the connection");
        Ok(line.trim_end().to_owned())
    }
}
