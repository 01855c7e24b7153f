//! Routes of the routing socket's clients outlive the daemon, as on BSD they
//! outlive the client: a log of what has become of each, one file a family.
//!
//! Owned by the RIB's task, which appends before it answers: what a client was
//! told is done is in the file, so that it survives a SIGKILL. It is not synced
//! to the disk, since it must not survive more than that: after another boot
//! (told by the kernel's boot id) interfaces have other numbers, and the clients
//! have started anew like everything else.
//!
//! ```text
//! "FWROUTES" version: u32 boot id: 36 bytes of text
//! { length: u32, crc32 of the payload: u32, payload }…    integers in host order
//! ```
//!
//! The payload is [`stored`]'s. A record that is cut short or does not fit its
//! sum ends the log: the daemon died while it wrote it, before it answered. Of a
//! log with twice as many records as there are routes a new one is written beside
//! it and renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forwarder_core::net::Family;
use forwarder_core::rib::Rib;
use forwarder_core::rib::socket::{Stored, stored};
use tracing::{info, warn};

use crate::clock;

const MAGIC: &[u8; 8] = b"FWROUTES";
const VERSION: u32 = 1;
/// Magic, version, boot id.
const HEADER: usize = 8 + 4 + 36;
/// Of a record: length and sum.
const FRAME: usize = 8;
/// A log shorter than this is never worth rewriting.
const COMPACT_BYTES: u64 = 8 << 20;

/// How long routes of registered clients wait for them after a restart of the
/// daemon, as FRR's zebra waits (`-K`): their own stale times are not kept.
const RESTART_STALE: Duration = Duration::from_secs(60);

/// The log of one family.
#[derive(Debug)]
pub struct RouteStore {
    path: PathBuf,
    file: File,
    boot_id: String,
    bytes: u64,
    records: usize,
    buffer: Vec<u8>,
    /// A write has failed: said once, not for each.
    failed: bool,
}

impl RouteStore {
    /// Opens the log of a family below a directory, which is made, and reads
    /// what it holds into the RIB; the caller commits.
    ///
    /// # Errors
    /// The directory cannot be made, the files not be read or written.
    pub fn open<F: Family>(directory: &Path, rib: &mut Rib<F>) -> io::Result<RouteStore> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("routes.{}", F::NAME));
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let boot_id = boot_id.trim().to_owned();
        match std::fs::read(&path) {
            Ok(bytes) => restore(&path, &bytes, &boot_id, rib),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        drop(rib.take_stored());
        // Written anew: without a torn end, and with nothing twice.
        let (file, bytes) = write_all(&path, &boot_id, rib)?;
        Ok(RouteStore {
            path,
            file,
            boot_id,
            bytes,
            records: rib.client_route_count(),
            buffer: Vec::new(),
            failed: false,
        })
    }

    /// Appends what has become of candidates. A disk that is full loses what is
    /// kept for after a restart, and nothing else; the next compaction, which
    /// writes all of it, tries again.
    pub fn append<F: Family>(&mut self, records: &[Stored<F>], rib: &Rib<F>) {
        if records.is_empty() {
            return;
        }
        self.buffer.clear();
        for (key, candidate) in records {
            record(&mut self.buffer, |payload| {
                stored::encode::<F>(key, candidate.as_deref(), payload);
            });
        }
        let written = self.file.write_all(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.records += records.len();
        let long = self.bytes > COMPACT_BYTES && self.records > 2 * rib.client_route_count();
        let result = match written {
            Ok(()) if !long => Ok(()),
            // Also after a failure: half a record would end the log there.
            _ => self.compact(rib),
        };
        self.judge(result);
    }

    fn compact<F: Family>(&mut self, rib: &Rib<F>) -> io::Result<()> {
        (self.file, self.bytes) = write_all(&self.path, &self.boot_id, rib)?;
        self.records = rib.client_route_count();
        Ok(())
    }

    fn judge(&mut self, result: io::Result<()>) {
        match result {
            Err(error) if !self.failed => {
                self.failed = true;
                warn!(
                    "cannot write {}: {error}: routes of the routing socket's clients work, \
                     but a restart of the daemon would lose those added from now on",
                    self.path.display()
                );
            }
            Ok(()) if self.failed => {
                self.failed = false;
                info!("{} is written again", self.path.display());
            }
            _ => {}
        }
    }
}

/// Appends a record.
fn record(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    payload(out);
    let body = start + FRAME;
    let length = u32::try_from(out.len() - body).unwrap_or(u32::MAX);
    let sum = crc32fast::hash(&out[body..]);
    out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    out[start + 4..body].copy_from_slice(&sum.to_ne_bytes());
}

fn header(boot_id: &str) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_ne_bytes());
    header.extend_from_slice(boot_id.as_bytes());
    header.resize(HEADER, 0);
    header
}

/// Writes the whole table beside the log and puts it in its place.
fn write_all<F: Family>(path: &Path, boot_id: &str, rib: &Rib<F>) -> io::Result<(File, u64)> {
    /// Bytes written at once.
    const CHUNK: usize = 1 << 20;

    let fresh = path.with_extension(format!("{}.new", F::NAME));
    // Who may listen may know the routes; who may write it decides them.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644);
    let mut file = options.open(&fresh)?;
    let mut buffer = header(boot_id);
    let mut bytes = 0;
    for (key, candidate) in rib.client_routes() {
        record(&mut buffer, |payload| {
            stored::encode::<F>(&key, Some(candidate), payload);
        });
        if buffer.len() > CHUNK {
            file.write_all(&buffer)?;
            bytes += buffer.len() as u64;
            buffer.clear();
        }
    }
    file.write_all(&buffer)?;
    bytes += buffer.len() as u64;
    std::fs::rename(&fresh, path)?;
    Ok((file, bytes))
}

/// Reads a log into the RIB, as far as it makes sense.
fn restore<F: Family>(path: &Path, bytes: &[u8], boot_id: &str, rib: &mut Rib<F>) {
    let Some((found, mut rest)) = bytes.split_at_checked(HEADER) else {
        return;
    };
    if found != header(boot_id) {
        info!(
            "{}: of another boot or version: its routes are not restored",
            path.display()
        );
        return;
    }
    let now = clock::now();
    let mut records = 0_usize;
    while let Some((payload, after)) = next_record(rest) {
        match stored::decode::<F>(payload) {
            Some((key, candidate)) => rib.restore(now, key, candidate, RESTART_STALE),
            None => break,
        }
        rest = after;
        records += 1;
    }
    if !rest.is_empty() {
        warn!(
            "{}: {} bytes after {records} records make no sense and are left out",
            path.display(),
            rest.len()
        );
    }
    let restored = rib.count_client_routes().0.routes;
    if restored > 0 {
        info!("{restored} routes restored from {}", path.display());
    }
}

fn next_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (frame, rest) = bytes.split_first_chunk::<FRAME>()?;
    let [a, b, c, d, sum @ ..] = *frame;
    let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    (crc32fast::hash(payload) == u32::from_ne_bytes(sum)).then_some((payload, rest))
}

#[cfg(test)]
mod tests;
