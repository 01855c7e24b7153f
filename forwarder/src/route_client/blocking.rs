//! [`super::Client`] for programs without a runtime: each call waits.

use std::net::IpAddr;
use std::path::Path;

use forwarder_core::route_msg::extension::Generations;
use forwarder_core::route_msg::{DumpKind, Errno, Message, RouteMessage, RouteRequest};
use ipnet::IpNet;
use tokio::runtime::{Builder, Runtime};

use super::{Done, Error, Options, Route};

/// A connection.
pub struct Client {
    runtime: Runtime,
    client: super::Client,
}

impl Client {
    /// As [`super::Client::connect`].
    ///
    /// # Errors
    /// As there.
    pub fn connect(path: &Path, options: &Options) -> Result<Client, Error> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(super::Client::connect(path, options))?;
        Ok(Client { runtime, client })
    }

    /// As [`super::Client::add`].
    ///
    /// # Errors
    /// As there.
    pub fn add(&mut self, route: &Route) -> Result<Done, Error> {
        self.runtime.block_on(self.client.add(route))
    }

    /// As [`super::Client::change`].
    ///
    /// # Errors
    /// As there.
    pub fn change(&mut self, route: &Route) -> Result<Done, Error> {
        self.runtime.block_on(self.client.change(route))
    }

    /// As [`super::Client::delete`].
    ///
    /// # Errors
    /// As there.
    pub fn delete(&mut self, route: &Route) -> Result<Done, Error> {
        self.runtime.block_on(self.client.delete(route))
    }

    /// As [`super::Client::change_by`].
    ///
    /// # Errors
    /// As there.
    pub fn change_by(&mut self, request: RouteRequest) -> Result<Done, Error> {
        self.runtime.block_on(self.client.change_by(request))
    }

    /// As [`super::Client::pipeline`].
    ///
    /// # Errors
    /// As there.
    pub fn pipeline(
        &mut self,
        requests: &[RouteRequest],
    ) -> Result<Vec<Result<Done, Errno>>, Error> {
        self.runtime.block_on(self.client.pipeline(requests))
    }

    /// As [`super::Client::batch`].
    ///
    /// # Errors
    /// As there.
    pub fn batch(&mut self, requests: &[RouteRequest]) -> Result<Done, Error> {
        self.runtime.block_on(self.client.batch(requests))
    }

    /// As [`super::Client::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&mut self, prefix: IpNet) -> Result<RouteMessage, Error> {
        self.runtime.block_on(self.client.get(prefix))
    }

    /// As [`super::Client::lookup`].
    ///
    /// # Errors
    /// As there.
    pub fn lookup(&mut self, address: IpAddr) -> Result<RouteMessage, Error> {
        self.runtime.block_on(self.client.lookup(address))
    }

    /// As [`super::Client::question`].
    ///
    /// # Errors
    /// As there.
    pub fn question(&mut self, request: RouteRequest) -> Result<RouteMessage, Error> {
        self.runtime.block_on(self.client.question(request))
    }

    /// As [`super::Client::hold`].
    ///
    /// # Errors
    /// As there.
    pub fn hold(&mut self, address: IpAddr) -> Result<RouteMessage, Error> {
        self.runtime.block_on(self.client.hold(address))
    }

    /// As [`super::Client::held`].
    ///
    /// # Errors
    /// As there.
    pub fn held(&mut self, hold: u64) -> Result<RouteMessage, Error> {
        self.runtime.block_on(self.client.held(hold))
    }

    /// As [`super::Client::release`].
    ///
    /// # Errors
    /// As there.
    pub fn release(&mut self, hold: u64) -> Result<RouteMessage, Error> {
        self.runtime.block_on(self.client.release(hold))
    }

    /// As [`super::Client::dump`].
    ///
    /// # Errors
    /// As there.
    pub fn dump(&mut self, kind: DumpKind, family: u8) -> Result<Vec<Message>, Error> {
        self.runtime.block_on(self.client.dump(kind, family))
    }

    /// As [`super::Client::resync`].
    ///
    /// # Errors
    /// As there.
    pub fn resync(&mut self) -> Result<(Vec<RouteMessage>, Generations), Error> {
        self.runtime.block_on(self.client.resync())
    }

    /// As [`super::Client::next`].
    ///
    /// # Errors
    /// As there.
    pub fn receive(&mut self) -> Result<Message, Error> {
        self.runtime.block_on(self.client.next())
    }
}
