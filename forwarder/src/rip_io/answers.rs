//! Questions and orders: what the API and the operator ask of the task.

use std::sync::Arc;

use forwarder_core::rip::Input;
use forwarder_core::time::Instant;
use tokio::sync::oneshot;

use super::command::{Command, InterfaceStatus, Settings};
use super::driver::Driver;
use super::transport::Transport;
use crate::clock;

impl<F: Transport> Driver<F> {
    pub(super) fn command(&mut self, command: Command<F>) {
        let now = clock::now();
        match command {
            Command::Interfaces(reply) => answer(reply, self.interface_status(now)),
            Command::Neighbors(reply) => answer(reply, self.engine.rip.neighbors(now)),
            Command::Routes(reply) => answer(reply, self.engine.rip.routes(now).collect()),
            Command::RouteCount(reply) => answer(reply, self.engine.rip.route_count()),
            Command::Errors(reply) => answer(reply, self.engine.rip.errors()),
            Command::Clear(what, reply) => {
                self.input(Input::Clear(what));
                answer(reply, ());
            }
            Command::Request(name, reply) => {
                let known = self.request(&name);
                answer(reply, known);
            }
            Command::Reconfigure(settings, reply) => {
                self.reconfigure(settings);
                answer(reply, ());
            }
        }
    }

    fn interface_status(&self, now: Instant) -> Vec<InterfaceStatus<F>> {
        let rows = self.engine.rip.interfaces(now).into_iter();
        let status = rows.map(|row| {
            let socket = self.sockets.get(&row.ifindex);
            InterfaceStatus {
                receive_buffer: socket.map_or(0, |socket| socket.receive_buffer),
                socket_drops: socket.map_or(0, |socket| socket.drops),
                send_failures: socket.map_or(0, |socket| socket.send_failures),
                row,
            }
        });
        status.collect()
    }

    fn request(&mut self, name: &str) -> bool {
        let ifindex = self
            .interfaces
            .by_name(name)
            .map(|interface| interface.ifindex);
        let Some(ifindex) = ifindex.filter(|ifindex| self.engine.rip.has_interface(*ifindex))
        else {
            return false;
        };
        self.input(Input::Request(ifindex));
        true
    }

    fn reconfigure(&mut self, settings: Settings<F>) {
        let Settings { tuning, select, .. } = settings;
        self.input(Input::Reconfigure(tuning));
        self.select = select;
        let interfaces = Arc::clone(&self.interfaces);
        self.sync(&interfaces);
    }
}

/// Who asked may have gone: nothing is lost then.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _ = reply.send(value);
}
