//! A daemon that knows one of each thing and remembers what it was told.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::fixtures;
use crate::api::backend::{ApiError, ApiErrorKind, Backend, EventQuery, Reply, RouteQuery};
use crate::api::counters::PortCounters;
use crate::api::model::*;
use crate::api::server;
use crate::paths::Paths;
use crate::run_dir::RunDir;

#[derive(Default)]
pub(super) struct Fake {
    pub(super) rip_off: bool,
    pub(super) routes: Option<Vec<Route>>,
    pub(super) heard: Mutex<Vec<String>>,
}

impl Fake {
    fn hear(&self, what: String) -> Reply<Done> {
        self.heard.lock().unwrap().push(what.clone());
        Ok(Done { message: what })
    }

    fn rip<T>(&self, value: T) -> Reply<T> {
        if self.rip_off {
            Err(ApiError::rip_is_off())
        } else {
            Ok(value)
        }
    }
}

impl Backend for Fake {
    async fn status(&self) -> Reply<Status> {
        let mut status = fixtures::status();
        if self.rip_off {
            status.rip = None;
        }
        Ok(status)
    }
    async fn routes(&self, query: RouteQuery) -> Reply<Vec<Route>> {
        self.hear(format!("{query:?}"))?;
        Ok(self
            .routes
            .clone()
            .unwrap_or_else(|| vec![fixtures::route()]))
    }
    async fn lookup(&self, address: IpAddr) -> Reply<Lookup> {
        Ok(Lookup {
            address,
            ..fixtures::lookup()
        })
    }
    async fn interfaces(&self) -> Reply<Vec<Interface>> {
        Ok(vec![fixtures::interface()])
    }
    async fn neighbors(&self) -> Reply<Vec<Neighbor>> {
        Ok(vec![fixtures::neighbor()])
    }
    async fn clients(&self) -> Reply<Clients> {
        Ok(fixtures::clients())
    }
    async fn nexthops(&self) -> Reply<Vec<Nexthop>> {
        Ok(vec![fixtures::nexthop()])
    }
    async fn counters(&self) -> Reply<Vec<PortCounters>> {
        Ok(vec![fixtures::port_counters()])
    }
    async fn route_counters(&self) -> Reply<Vec<RouteCounter>> {
        Ok(vec![fixtures::route_counter()])
    }
    async fn events(&self, query: EventQuery) -> Reply<Events> {
        let mut events = fixtures::events();
        events
            .events
            .retain(|event| query.limit > 0 && event.sequence > query.after.unwrap_or(0));
        Ok(events)
    }
    async fn fib(&self) -> Reply<Fib> {
        Ok(fixtures::fib())
    }
    async fn fib_routes(&self, ipv6: bool) -> Reply<Vec<FibRoute>> {
        let mut routes = vec![fixtures::fib_route()];
        routes.retain(|route| matches!(route.destination, ipnet::IpNet::V6(_)) == ipv6);
        Ok(routes)
    }
    async fn rip_interfaces(&self) -> Reply<Vec<RipInterface>> {
        self.rip(vec![fixtures::rip_interface()])
    }
    async fn rip_neighbors(&self) -> Reply<Vec<RipNeighbor>> {
        self.rip(vec![fixtures::rip_neighbor()])
    }
    async fn rip_routes(&self) -> Reply<Vec<RipRoute>> {
        self.rip(vec![fixtures::rip_route()])
    }
    async fn rip_errors(&self) -> Reply<Vec<RipError>> {
        self.rip(vec![fixtures::rip_error()])
    }
    async fn rip_clear(&self, what: RipClear) -> Reply<Done> {
        self.hear(format!("{what:?}"))
    }
    async fn rip_request(&self, interface: String) -> Reply<Done> {
        self.hear(format!("request {interface}"))
    }
    async fn reload(&self) -> Reply<Done> {
        let error = "forwarder.toml:3:1: unknown key `x`";
        Err(ApiError::new(
            ApiErrorKind::Refused,
            error,
            "nothing was changed",
        ))
    }
    async fn stop(&self) -> Reply<Done> {
        self.hear("stop".to_owned())
    }
}

/// A server with its socket in a directory of its own.
pub(super) struct Running {
    pub(super) fake: Arc<Fake>,
    pub(super) paths: Paths,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
    run_dir: Option<RunDir>,
    base: tempfile::TempDir,
}

impl Running {
    pub(super) fn start(fake: Fake) -> Running {
        let base = tempfile::tempdir().unwrap();
        let paths = Paths::below(
            "default".parse().unwrap(),
            base.path(),
            base.path(),
            base.path(),
        );
        let run_dir = RunDir::claim(&paths).unwrap();
        let fake = Arc::new(fake);
        let (stop, stopped) = oneshot::channel();
        let listener = run_dir.listen().unwrap();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(server::serve(listener, Arc::clone(&fake), shutdown));
        Running {
            fake,
            paths,
            stop: Some(stop),
            task,
            run_dir: Some(run_dir),
            base,
        }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.paths.api_socket()
    }

    pub(super) fn base(&self) -> &std::path::Path {
        self.base.path()
    }

    pub(super) async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap().unwrap();
        drop(self.run_dir.take());
    }
}
