//! A new configuration in place of the running one: all of it or nothing.

use std::sync::Arc;

use forwarder_core::config::Config;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{Daemon, check_interfaces, rip};
use crate::api::backend::{ApiError, ApiErrorKind, Reply};
use crate::api::model::Done;
use crate::config_file;
use crate::dataplane::query::Query;

impl Daemon {
    /// Reads the file, checks all that can be checked, then applies it.
    pub(super) async fn reload(&mut self) -> Reply<Done> {
        let config = config_file::load(&self.options.config_path)
            .and_then(|config| self.check(&config).map(|()| Arc::new(config)))
            .map_err(|error| {
                let hint = "the running configuration is unchanged";
                ApiError::new(ApiErrorKind::Refused, format!("{error:#}"), hint)
            })?;
        let refused = self.apply(&config).await;
        self.config = config;
        let mut message = String::from("configuration reloaded");
        for error in &refused {
            warn!("{error}");
            message.push_str(&format!("; {error}"));
        }
        info!("configuration reloaded");
        Ok(Done { message })
    }

    fn check(&self, new: &Config) -> anyhow::Result<()> {
        let (old_kernel, new_kernel) = (&self.config.kernel, &new.kernel);
        let (old_plane, new_plane) = (&self.config.dataplane, &new.dataplane);
        let fixed = [
            ("[kernel] export", old_kernel.export == new_kernel.export),
            (
                "[kernel] protocol",
                old_kernel.protocol == new_kernel.protocol,
            ),
            ("[kernel] metric", old_kernel.metric == new_kernel.metric),
            (
                "[kernel] forwarding",
                old_kernel.forwarding == new_kernel.forwarding,
            ),
            (
                "[route-socket] enabled",
                self.config.route_socket.enabled == new.route_socket.enabled,
            ),
            ("[dataplane] engine", old_plane.engine == new_plane.engine),
            (
                "[dataplane] ipv4-rows",
                old_plane.ipv4_rows == new_plane.ipv4_rows,
            ),
            (
                "[dataplane] ipv6-rows",
                old_plane.ipv6_rows == new_plane.ipv6_rows,
            ),
        ];
        if let Some((key, _)) = fixed.iter().find(|(_, same)| !same) {
            anyhow::bail!("{key} cannot change while the daemon runs: restart it");
        }
        check_interfaces(new, &self.interfaces.borrow())?;
        rip::check(new, (self.rip.is_running(), self.ripng.is_running()))
    }

    /// What could not be attached to under the new configuration; that is
    /// shown and tried again, as with a port that comes later.
    async fn apply(&mut self, config: &Arc<Config>) -> Vec<String> {
        self.rib4.configure(config.clone()).await;
        self.rib6.configure(config.clone()).await;
        self.misses.set_rate(config.dataplane.punt.events);
        let mut refused = Vec::new();
        if let Err(error) = self.rip.configure(config.rip.as_ref()).await {
            refused.push(format!("RIP stays as it was: {error:#}"));
        }
        if let Err(error) = self.ripng.configure(config.ripng.as_ref()).await {
            refused.push(format!("RIPng stays as it was: {error:#}"));
        }
        let (reply, answer) = oneshot::channel();
        if self
            .dataplane
            .send(Query::Configure(config.clone(), reply))
            .await
            .is_err()
        {
            refused.push("the dataplane has ended".into());
            return refused;
        }
        refused.extend(answer.await.unwrap_or_default());
        refused
    }
}
