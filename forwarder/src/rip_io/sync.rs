//! Keeps engine and sockets in line with the interfaces and the configuration.

use std::sync::Arc;
use std::time::Duration;

use forwarder_core::interface::{Interface, Interfaces};
use forwarder_core::rip::{Input, InterfaceSetup};
use tokio::time::Instant;
use tracing::{info, warn};

use super::driver::Driver;
use super::interfaces::{hears_group, setup};
use super::socket::{RipSocket, SocketError};
use super::transport::Transport;
use crate::clock;

/// An interface whose socket could not be opened is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

impl<F: Transport> Driver<F> {
    /// Interfaces or configuration may have changed.
    pub(super) fn sync(&mut self, interfaces: &Arc<Interfaces>) {
        self.retry_at = None;
        let known = self
            .engine
            .rip
            .interfaces(clock::now())
            .into_iter()
            .map(|row| row.ifindex);
        for ifindex in known.filter(|ifindex| interfaces.get(*ifindex).is_none()) {
            self.input(Input::InterfaceDown(ifindex));
        }
        self.interfaces = Arc::clone(interfaces);
        for interface in interfaces.by_index.values() {
            self.sync_one(interface);
        }
    }

    fn sync_one(&mut self, interface: &Interface) {
        let Some(config) = (self.select)(&interface.name) else {
            // Where the link works the neighbours are told first.
            self.input(if interface.is_running() {
                Input::InterfaceRemove(interface.ifindex)
            } else {
                Input::InterfaceDown(interface.ifindex)
            });
            return;
        };
        match setup(interface, config) {
            Some(setup) => self.raise(interface, setup),
            None => self.input(Input::InterfaceDown(interface.ifindex)),
        }
    }

    fn raise(&mut self, interface: &Interface, setup: InterfaceSetup<F>) {
        match self.open(interface) {
            Ok(()) => self.input(Input::InterfaceUp(setup)),
            Err(error) => {
                warn!(%error, "RIP is not running on an interface; trying again in {RETRY:?}");
                self.input(Input::InterfaceDown(interface.ifindex));
                self.retry_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Opens the interface's socket, if it has none and needs one.
    fn open(&mut self, interface: &Interface) -> Result<(), SocketError> {
        if interface.loopback || self.sockets.contains_key(&interface.ifindex) {
            return Ok(());
        }
        let group = hears_group(interface);
        let socket = RipSocket::open(interface.ifindex, &interface.name, group)?;
        let receive_buffer = socket.receive_buffer;
        info!(
            interface = interface.name,
            receive_buffer,
            port = F::PORT,
            "RIP is up"
        );
        self.sockets.insert(interface.ifindex, socket);
        Ok(())
    }
}
