//! A router under test: a namespace with the real daemon in it, asked through
//! its own command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::namespace::run;
use super::{Api, Lab, Namespace, Process, SHORT, wait_for};

/// The daemon's binary: `FORWARDER_BIN`, or what cargo has built beside us.
///
/// # Errors
/// It has not been built.
pub fn forwarder_binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("FORWARDER_BIN") {
        return Ok(path.into());
    }
    let exe = std::env::current_exe().context("asking for the path of this executable")?;
    // A test is in PROFILE/deps/, a program in PROFILE/.
    let beside = exe
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("forwarder"));
    beside
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "no forwarder binary near {}: run `cargo build -p forwarder`",
                exe.display()
            )
        })
}

/// How the daemon is started.
#[derive(Clone, Debug)]
pub struct RouterOptions {
    /// `--instance`.
    pub instance: String,
    /// `RUST_LOG`.
    pub log: &'static str,
    /// What else `run` is told.
    pub arguments: Vec<String>,
}

impl Default for RouterOptions {
    fn default() -> Self {
        RouterOptions {
            instance: "default".into(),
            log: "debug,aya=info,aya_obj=info",
            arguments: Vec::new(),
        }
    }
}

/// The command line of one instance: what every `forwarder ...` begins with.
#[derive(Clone, Debug)]
pub(super) struct Client {
    name: String,
    binary: PathBuf,
    directory: PathBuf,
    instance: String,
    namespace: Namespace,
}

impl Client {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn command(&self) -> Command {
        let mut command = self.namespace.command(&self.binary);
        command.args(["--instance", &self.instance]);
        for base in ["run", "bpf", "state"] {
            command
                .arg(format!("--{base}-dir"))
                .arg(self.directory.join(base));
        }
        command
    }

    pub(super) fn show(&self, what: &str) -> anyhow::Result<Value> {
        let mut command = self.command();
        command
            .args(["--json", "show"])
            .args(what.split_whitespace());
        let text = run(&mut command, None)?;
        serde_json::from_str(&text).with_context(|| format!("`show {what} --json` said {text}"))
    }
}

/// A running daemon. It is killed with its lab, not with this handle.
pub struct Router {
    client: Client,
    process: Arc<Process>,
}

impl Router {
    pub(super) fn start(
        lab: &Lab,
        namespace: &Namespace,
        config: &str,
        options: &RouterOptions,
    ) -> anyhow::Result<Router> {
        let router = Self::spawn(lab, namespace, config, options)?;
        router.wait_until_ready()?;
        Ok(router)
    }

    /// Starts the daemon without waiting: for daemons that are expected to
    /// refuse to run.
    ///
    /// # Errors
    /// The binary is not there.
    pub fn spawn(
        lab: &Lab,
        namespace: &Namespace,
        config: &str,
        options: &RouterOptions,
    ) -> anyhow::Result<Router> {
        let client = Client {
            name: namespace.name().into(),
            binary: forwarder_binary()?,
            directory: lab.directory().join(namespace.name()),
            instance: options.instance.clone(),
            namespace: namespace.clone(),
        };
        for base in ["run", "bpf", "state"] {
            fs::create_dir_all(client.directory.join(base))?;
        }
        let file = config_file(&client);
        fs::write(&file, config).with_context(|| format!("writing {}", file.display()))?;
        let mut command = client.command();
        command
            .args(["run", "--config"])
            .arg(&file)
            .args(&options.arguments)
            .env("RUST_LOG", options.log);
        let process = lab.spawn(&format!("{}.forwarder", client.name), command)?;
        lab.state().add_router(client.clone());
        Ok(Router { client, process })
    }

    /// Waits until `show status` answers.
    ///
    /// # Errors
    /// The daemon has ended or does not answer; with the end of its log.
    pub fn wait_until_ready(&self) -> anyhow::Result<Value> {
        let what = format!("forwarder on {} to answer", self.client.name);
        let answer = wait_for(SHORT, &what, || match self.process.status()? {
            Some(status) => Ok(Err(status)),
            None => self.show("status").map(Ok),
        });
        let ended = match answer {
            Ok(Ok(status)) => return Ok(status),
            Ok(Err(status)) => anyhow::anyhow!("the daemon ended with {status}"),
            Err(error) => error,
        };
        bail!("{ended:#}\nits log ends:\n{}", self.process.log_tail())
    }

    /// The namespace it runs in.
    pub fn namespace(&self) -> &Namespace {
        &self.client.namespace
    }

    /// The daemon itself: its pid, its log, signals.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// `forwarder show WHAT --json`.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn show(&self, what: &str) -> anyhow::Result<Value> {
        self.client.show(what)
    }

    /// Runs `forwarder ARGUMENTS` for this instance.
    ///
    /// # Errors
    /// It cannot be started; a failure is in the output.
    pub fn cli(&self, arguments: &str) -> anyhow::Result<Output> {
        let mut command = self.client.command();
        let output = command.args(arguments.split_whitespace()).output();
        output.with_context(|| format!("starting `forwarder {arguments}`"))
    }

    /// Starts `forwarder ARGUMENTS` for this instance, its output in the file
    /// `LABEL.log` of the lab; it is killed with the lab.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn_cli(
        &self,
        lab: &Lab,
        label: &str,
        arguments: &str,
    ) -> anyhow::Result<Arc<Process>> {
        let mut command = self.client.command();
        command.args(arguments.split_whitespace());
        lab.spawn(label, command)
    }

    /// Waits until the kernel, the fast path and RIP have everything that the
    /// RIB has: each sink publishes the generation it has reached.
    ///
    /// # Errors
    /// They do not within the deadline.
    pub fn wait_until_settled(&self) -> anyhow::Result<()> {
        wait_for(
            SHORT,
            &format!("the generations of {} to settle", self.client.name),
            || {
                let status = self.show("status")?;
                let generation = &status["generation"];
                let rib = generation["rib"]
                    .as_u64()
                    .context("no generation.rib in show status")?;
                for sink in ["kernel", "xdp"] {
                    let reached = generation[sink].as_u64();
                    ensure!(reached >= Some(rib), "{sink} has {reached:?} of {rib}");
                    let ipv6 = &generation["ipv6"];
                    let (reached, rib) = (ipv6[sink].as_u64(), ipv6["rib"].as_u64());
                    ensure!(reached >= rib, "{sink} has {reached:?} of {rib:?} for IPv6");
                }
                Ok(())
            },
        )
    }

    /// Where its configuration is, for a change and a reload.
    pub fn config_file(&self) -> PathBuf {
        config_file(&self.client)
    }

    /// The directory with its api.sock.
    pub fn run_dir(&self) -> PathBuf {
        self.client
            .directory
            .join("run")
            .join(&self.client.instance)
    }

    /// A connection to its HTTP interface.
    ///
    /// # Errors
    /// It does not listen.
    pub fn api(&self) -> anyhow::Result<Api> {
        Api::connect(&self.run_dir().join("api.sock"))
    }

    /// Replaces its configuration and has it read again.
    ///
    /// # Errors
    /// The new one is refused; with what `reload` said.
    pub fn reload(&self, config: &str) -> anyhow::Result<()> {
        fs::write(self.config_file(), config)?;
        let output = self.cli("reload")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop(&self) -> anyhow::Result<ExitStatus> {
        self.process.stop(SHORT)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.signal(signal)
    }
}

fn config_file(client: &Client) -> PathBuf {
    Path::new(&client.directory).join("forwarder.toml")
}
