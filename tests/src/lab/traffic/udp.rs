//! UDP request and answer.

use std::net::{SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;

use super::background::{Background, TICK, is_timeout};
use crate::lab::Namespace;

/// Longer than a first packet waits for ARP on a busy machine.
const ANSWER: Duration = Duration::from_secs(3);

/// Sends every datagram back, until it is dropped.
pub struct UdpEcho {
    _thread: Background<()>,
}

impl UdpEcho {
    /// Listens on `address` in `namespace`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(namespace: &Namespace, address: SocketAddrV4) -> anyhow::Result<UdpEcho> {
        let socket = bind(namespace, address)?;
        socket.set_read_timeout(Some(TICK))?;
        let thread = Background::start(namespace, move |stop| echo(&socket, stop));
        Ok(UdpEcho { _thread: thread })
    }
}

fn echo(socket: &UdpSocket, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            // An answer that cannot be sent is a lost one: the asker counts it.
            Ok((length, from)) => drop(socket.send_to(&buffer[..length], from)),
            Err(error) if is_timeout(&error) => {}
            // ICMP errors to earlier answers.
            Err(_) => {}
        }
    }
    Ok(())
}

/// Sends `count` datagrams of `size` bytes one after the other to an
/// [`UdpEcho`] and returns how many came back unchanged.
///
/// # Errors
/// The socket fails otherwise than by a lost datagram.
pub fn exchange(
    from: &Namespace,
    to: SocketAddrV4,
    count: u32,
    size: usize,
) -> anyhow::Result<u32> {
    let socket = bind(from, SocketAddrV4::new([0, 0, 0, 0].into(), 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(ANSWER))?;
    let mut answer = vec![0; 65_536];
    let mut good = 0;
    for number in 0..count {
        let request: Vec<u8> = pattern(number, size);
        // Refused or unreachable by an ICMP error to the one before: lost.
        if socket.send(&request).is_err() {
            continue;
        }
        match socket.recv(&mut answer) {
            Ok(length) if answer[..length] == request => good += 1,
            _ => {}
        }
    }
    Ok(good)
}

/// Bytes that differ from datagram to datagram and within one.
fn pattern(number: u32, size: usize) -> Vec<u8> {
    number
        .to_be_bytes()
        .iter()
        .copied()
        .chain(0..=250)
        .cycle()
        .take(size)
        .collect()
}

fn bind(namespace: &Namespace, address: SocketAddrV4) -> anyhow::Result<UdpSocket> {
    namespace.enter(|| UdpSocket::bind(address).with_context(|| format!("binding udp {address}")))
}
