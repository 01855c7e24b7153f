//! A TCP transfer whose every byte is checked.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::lab::{LONG, Namespace};

/// A connection that makes no progress for this long is dead.
const STALL: Duration = Duration::from_secs(20);
const CHUNK: usize = 64 * 1024;

/// Sends `bytes` from `client` to `address` in `server`, checks each, and
/// returns the time from the first to the last.
///
/// # Errors
/// The connection fails, stalls, or a byte is wrong.
pub fn transfer(
    client: &Namespace,
    server: &Namespace,
    address: SocketAddrV4,
    bytes: usize,
) -> anyhow::Result<Duration> {
    let listen = || TcpListener::bind(address).with_context(|| format!("listening on {address}"));
    let listener = server.enter(listen)?;
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&listener, bytes));
        let sent = client.enter(|| send(address, bytes));
        if sent.is_err() {
            // Nothing will come: do not wait for it.
            let _ = server.enter(|| Ok(TcpStream::connect(address)?));
        }
        let received = receiver
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent.and(received)
    })
}

fn send(address: SocketAddrV4, bytes: usize) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address.into(), LONG)
        .with_context(|| format!("connecting to {address}"))?;
    stream.set_write_timeout(Some(STALL))?;
    for start in (0..bytes).step_by(CHUNK) {
        let chunk: Vec<u8> = (start..bytes.min(start + CHUNK)).map(byte_at).collect();
        stream
            .write_all(&chunk)
            .with_context(|| format!("sending after {start} bytes"))?;
    }
    Ok(())
}

fn receive(listener: &TcpListener, bytes: usize) -> anyhow::Result<Duration> {
    let (mut stream, _) = listener.accept().context("accepting")?;
    let start = std::time::Instant::now();
    stream.set_read_timeout(Some(STALL))?;
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let length = stream
            .read(&mut buffer)
            .with_context(|| format!("receiving after {offset} of {bytes} bytes"))?;
        if length == 0 {
            break;
        }
        let wrong = buffer[..length]
            .iter()
            .zip(offset..)
            .position(|(b, at)| *b != byte_at(at));
        ensure!(wrong.is_none(), "a wrong byte near offset {offset}");
        offset += length;
    }
    ensure!(offset == bytes, "{offset} of {bytes} bytes arrived");
    Ok(start.elapsed())
}

/// The byte at an offset of the transfer. Its period, a prime, shares no
/// factor with segment sizes, so a lost or doubled segment shows.
fn byte_at(offset: usize) -> u8 {
    u8::try_from(offset % 251).unwrap_or_default()
}
