//! The same bytes there and back over a socket of the same kind, with nothing
//! done to them: what a request could cost at best.

use std::io::{Read as _, Write as _};
use std::thread::JoinHandle;

use anyhow::{Context as _, ensure};
use socket2::{Domain, Socket, Type};

/// Longer than a request.
const PACKET: usize = 4096;

/// A thread that sends back what it gets.
pub(super) struct Echo {
    socket: Option<Socket>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(super) fn start() -> anyhow::Result<Echo> {
        let (ours, its) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        let thread = std::thread::spawn(move || echo(&its));
        Ok(Echo {
            socket: Some(ours),
            thread: Some(thread),
        })
    }

    /// Sends messages of one length, each when the one before it is back.
    pub(super) fn pump(&self, messages: &[u8], length: usize) -> anyhow::Result<()> {
        let mut socket = self.socket.as_ref().context("the echo has ended")?;
        let mut buffer = [0; PACKET];
        for message in messages.chunks(length) {
            socket.write_all(message)?;
            let back = socket.read(&mut buffer)?;
            ensure!(back == length, "{back} bytes came back of {length}");
        }
        Ok(())
    }
}

fn echo(mut socket: &Socket) {
    let mut buffer = [0; PACKET];
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        if socket.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // Closed first: that is what ends the thread.
        self.socket = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
