//! A lab: network namespaces, links between them, daemons in them, and the
//! promise that nothing of it outlives the lab.
//!
//! ```no_run
//! # use forwarder_tests::lab::{self, end};
//! # fn main() -> anyhow::Result<()> {
//! lab::test("reachable", |lab| {
//!     let host = lab.namespace("host")?;
//!     let r1 = lab.router_namespace("r1")?;
//!     lab.link(end(&host, "eth0").address("10.0.1.2/24"), end(&r1, "eth0").address("10.0.1.1/24"))?;
//!     let router = lab.start_router(&r1, "[dataplane]\nattach = \"native\"\n")?;
//!     host.run("ping -c 1 10.0.1.1")?;
//!     router.show("status")?;
//!     Ok(())
//! });
//! # Ok(())
//! # }
//! ```
//!
//! Everything is done with the commands an operator would type (`ip`,
//! `ethtool`, `nsenter`), so that a failed test can be repeated by hand.
//! Processes enter a namespace through `nsenter --net`: `ip netns exec` would
//! mount a /sys of its own and hide /sys/fs/bpf.
//!
//! Namespaces are called `fw-LAB-PID-NAME`. A lab removes them when it is
//! dropped, also while panicking, and on SIGINT, SIGTERM and SIGHUP
//! ([`signals`]); what a killed process has left is removed by the next lab
//! ([`leftovers`]).

mod api;
mod artifacts;
mod bird;
mod capture;
mod frr;
mod leftovers;
mod link;
mod namespace;
mod observe;
mod process;
mod router;
mod signals;
mod skip;
mod star;
mod state;
pub mod traffic;
mod tun;
mod wait;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context as _;

pub use api::Api;
pub use bird::Bird;
pub use frr::Frr;
pub use link::{End, end};
pub use namespace::Namespace;
pub use process::Process;
pub use router::{Router, RouterOptions, forwarder_binary};
pub use skip::{missing, need, skip};
pub use star::{Star, StarOptions};
pub use tun::Tun;
pub use wait::{LONG, SHORT, patience, wait_for};

use state::State;

/// See the module's head.
pub struct Lab {
    state: Arc<State>,
}

impl Lab {
    /// Makes an empty lab. `name` is unique among the labs of this process and
    /// names the directory of its logs: `target/lab/NAME/`.
    ///
    /// # Errors
    /// Not root, or the directories cannot be made.
    pub fn new(name: &str) -> anyhow::Result<Lab> {
        anyhow::ensure!(
            nix::unistd::geteuid().is_root(),
            "a lab of network namespaces needs root"
        );
        signals::clean_up_on_exit();
        leftovers::remove();
        let state = State::new(name).with_context(|| format!("making the lab {name}"))?;
        if !signals::register(&state) {
            state.tear_down();
            anyhow::bail!("a signal has ended the labs of this process");
        }
        Ok(Lab { state })
    }

    /// A namespace with only `lo`, up, and without IPv6: a host.
    ///
    /// # Errors
    /// `ip netns` fails.
    pub fn namespace(&self, name: &str) -> anyhow::Result<Namespace> {
        let namespace = Namespace::create(name, &self.state.unique_name(name))?;
        self.state.add_namespace(namespace.clone());
        namespace.run("ip link set lo up")?;
        for scope in ["all", "default"] {
            namespace.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "1")?;
        }
        Ok(namespace)
    }

    /// A namespace that forwards IPv4: a router.
    ///
    /// # Errors
    /// As for [`Lab::namespace`].
    pub fn router_namespace(&self, name: &str) -> anyhow::Result<Namespace> {
        let namespace = self.namespace(name)?;
        namespace.sysctl("net/ipv4/ip_forward", "1")?;
        Ok(namespace)
    }

    /// Joins two namespaces by a veth pair and sets both ends up.
    ///
    /// # Errors
    /// `ip` or `ethtool` refuses a part of it.
    #[expect(clippy::needless_pass_by_value, reason = "an end belongs to one link")]
    pub fn link(&self, a: End, b: End) -> anyhow::Result<()> {
        link::create(&a, &b)
    }

    /// Starts `command` (of [`Namespace::command`]) with its output in the file
    /// `LABEL.log` of the lab; it is killed with the lab.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(&self, label: &str, command: Command) -> anyhow::Result<Arc<Process>> {
        let process = Process::spawn(label, command, &self.state.artifacts)?;
        self.state.add_process(Arc::clone(&process));
        Ok(process)
    }

    /// Starts the daemon with this configuration and waits until it answers.
    ///
    /// # Errors
    /// It ends or does not answer in time; the error holds the end of its log.
    pub fn start_router(&self, namespace: &Namespace, config: &str) -> anyhow::Result<Router> {
        self.start_router_with(namespace, config, &RouterOptions::default())
    }

    /// [`Lab::start_router`] with options.
    ///
    /// # Errors
    /// As there.
    pub fn start_router_with(
        &self,
        namespace: &Namespace,
        config: &str,
        options: &RouterOptions,
    ) -> anyhow::Result<Router> {
        Router::start(self, namespace, config, options)
    }

    /// Starts FRR's zebra and these daemons of its: `[("ripd", "router rip\n")]`.
    ///
    /// # Errors
    /// One of them does not come up.
    pub fn start_frr(
        &self,
        namespace: &Namespace,
        daemons: &[(&'static str, &str)],
    ) -> anyhow::Result<Frr<'_>> {
        Frr::start(self, namespace, daemons)
    }

    /// Starts BIRD with `bird.conf`'s text.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_bird(&self, namespace: &Namespace, config: &str) -> anyhow::Result<Bird> {
        Bird::start(self, namespace, config)
    }

    /// Captures on an interface; the file is kept only when the lab fails.
    ///
    /// # Errors
    /// tshark does not come up.
    pub fn capture(&self, namespace: &Namespace, interface: &str) -> anyhow::Result<()> {
        capture::start(self, namespace, interface)
    }

    /// Where sockets, configurations and run directories are: short enough for
    /// a Unix socket's address, and open to other users.
    pub fn directory(&self) -> &Path {
        &self.state.directory
    }

    /// Where its logs are, and after a failure everything else: it is kept then.
    pub fn artifacts(&self) -> &Path {
        &self.state.artifacts
    }

    /// Marks the lab as failed: what it saw is kept when it is dropped.
    pub fn fail(&self) {
        self.state.fail();
    }

    fn state(&self) -> &State {
        &self.state
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.state.fail();
        }
        self.state.tear_down();
    }
}

/// Runs a test in a lab of its own: skipped with the reason when the machine
/// cannot hold one, else `body` must return `Ok`. What routers and namespaces
/// looked like when it failed is under `target/lab/NAME/`.
///
/// # Panics
/// The test fails.
pub fn test(name: &str, body: impl FnOnce(&Lab) -> anyhow::Result<()>) {
    if !nix::unistd::geteuid().is_root() {
        return skip(name, "network namespaces need root");
    }
    if let Err(error) = in_lab(name, body) {
        panic!("{error:?}");
    }
}

/// Runs `body` in a lab of its own. When it fails, what the lab saw is kept.
///
/// # Errors
/// Those of [`Lab::new`] and of `body`.
pub fn in_lab<T>(name: &str, body: impl FnOnce(&Lab) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let lab = Lab::new(name)?;
    let result = body(&lab);
    if result.is_err() {
        lab.fail();
    }
    result
}
