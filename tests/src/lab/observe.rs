//! What tests ask of a router and of a kernel's table, by waiting for it.

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::{Namespace, Router, SHORT, wait_for};

impl Router {
    /// `show routes ADDRESS`: the RIB's, the kernel's and the fast path's answer.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn lookup(&self, address: &str) -> anyhow::Result<Value> {
        self.show(&format!("routes {address}"))
    }

    /// Waits until the fast path's verdict for `address` is "forward", "up" or
    /// "drop", for this reason.
    ///
    /// # Errors
    /// It is another one.
    pub fn wait_verdict(&self, address: &str, verdict: &str, reason: &str) -> anyhow::Result<()> {
        wait_for(
            SHORT,
            &format!("{address} to be {verdict}: {reason}"),
            || {
                let xdp = &self.lookup(address)?["xdp"];
                ensure!(
                    xdp["verdict"] == verdict && xdp["reason"] == reason,
                    "xdp says {xdp}"
                );
                Ok(())
            },
        )
    }

    /// Waits until the fast path forwards `address` through `dev`.
    ///
    /// # Errors
    /// It does something else.
    pub fn wait_forward(&self, address: &str, dev: &str) -> anyhow::Result<()> {
        wait_for(
            SHORT,
            &format!("{address} to be forwarded by {dev}"),
            || {
                let lookup = self.lookup(address)?;
                let xdp = &lookup["xdp"];
                ensure!(
                    xdp["verdict"] == "forward" && xdp["dev"] == dev,
                    "show says {lookup}"
                );
                Ok(())
            },
        )
    }

    /// Packets counted under a reason, all ports together.
    ///
    /// # Errors
    /// There is no such reason.
    pub fn counter(&self, reason: &str) -> anyhow::Result<u64> {
        let counters = self.show("counters")?;
        let count = counters["reasons"][reason].as_u64();
        count.with_context(|| format!("no {reason} in {counters}"))
    }

    /// Runs `body` and returns by how much the counter of `reason` grew.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn counted(
        &self,
        reason: &str,
        body: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let before = self.counter(reason)?;
        body()?;
        Ok(self.counter(reason)?.saturating_sub(before))
    }

    /// Waits until `show status` names `reason` as degrading, exactly once, or
    /// no longer.
    ///
    /// # Errors
    /// It does not in time.
    pub fn wait_degraded(&self, reason: &str, degraded: bool) -> anyhow::Result<()> {
        wait_for(
            SHORT,
            &format!("degraded: {reason} to be {degraded}"),
            || {
                let status = self.show("status")?;
                let all = status["degraded"]
                    .as_array()
                    .context("no `degraded` in show status")?;
                let count = all.iter().filter(|entry| entry["reason"] == reason).count();
                ensure!(
                    count == usize::from(degraded),
                    "degraded is {}",
                    status["degraded"]
                );
                Ok(())
            },
        )
    }

    /// The selected route for exactly this prefix; `None` = there is none.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn route(&self, prefix: &str) -> anyhow::Result<Option<Value>> {
        let routes = self.show("routes")?;
        let routes = routes
            .as_array()
            .context("`show routes --json` is no list")?;
        let ours = |route: &&Value| route["prefix"] == prefix && route["selected"] == true;
        Ok(routes.iter().find(ours).cloned())
    }

    /// Waits until the selected route for a prefix is from `source`, and
    /// returns it.
    ///
    /// # Errors
    /// It is from somebody else, or there is none.
    pub fn wait_route(&self, prefix: &str, source: &str) -> anyhow::Result<Value> {
        wait_for(SHORT, &format!("{prefix} from {source}"), || {
            match self.route(prefix)? {
                Some(route) if route["source"] == source => Ok(route),
                Some(route) => bail!("it is {route}"),
                None => bail!("there is none"),
            }
        })
    }
}

impl Namespace {
    /// Waits until the kernel's main table has a route for exactly `prefix`
    /// whose line holds `part`, and only one with that part.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn wait_route(&self, prefix: &str, part: &str) -> anyhow::Result<()> {
        wait_for(
            SHORT,
            &format!("{prefix} {part} on {}", self.name()),
            || {
                let routes =
                    self.run(&format!("ip {} route show exact {prefix}", family(prefix)))?;
                let count = routes.lines().filter(|line| line.contains(part)).count();
                ensure!(count == 1, "the kernel has {routes:?}");
                Ok(())
            },
        )
    }

    /// Waits until no route for exactly `prefix` holds `part`.
    ///
    /// # Errors
    /// There still is one.
    pub fn wait_no_route(&self, prefix: &str, part: &str) -> anyhow::Result<()> {
        wait_for(
            SHORT,
            &format!("no {prefix} {part} on {}", self.name()),
            || {
                let routes =
                    self.run(&format!("ip {} route show exact {prefix}", family(prefix)))?;
                ensure!(!routes.contains(part), "the kernel has {routes:?}");
                Ok(())
            },
        )
    }

    /// How many routes the daemon has in the kernel's main table.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn own_routes(&self) -> anyhow::Result<usize> {
        Ok(self.run("ip route show proto 210")?.lines().count())
    }
}

/// The option of `ip` for a prefix's family.
fn family(prefix: &str) -> &'static str {
    if prefix.contains(':') { "-6" } else { "-4" }
}
