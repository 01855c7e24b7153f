//! One network namespace: commands and threads inside it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};
use nix::sched::{CloneFlags, setns};

/// A handle: the lab removes the namespace, whoever still holds one.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
    unique: String,
}

impl Namespace {
    pub(super) fn create(name: &str, unique: &str) -> anyhow::Result<Namespace> {
        run(Command::new("ip").args(["netns", "add", unique]), None)?;
        Ok(Namespace {
            name: name.into(),
            unique: unique.into(),
        })
    }

    pub(super) fn delete(&self) -> anyhow::Result<()> {
        run(
            Command::new("ip").args(["netns", "delete", &self.unique]),
            None,
        )
        .map(drop)
    }

    /// The name it was made with: `r1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name `ip netns` knows it by.
    pub fn unique_name(&self) -> &str {
        &self.unique
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.unique)
    }

    /// A command that will run inside. nsenter becomes the program, so the pid
    /// of the child is the program's own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a line such as `ip route show` inside and returns its stdout. The
    /// words are separated by white space; there is no shell and no quoting.
    ///
    /// # Errors
    /// It cannot be started or fails; with its stderr.
    pub fn run(&self, line: &str) -> anyhow::Result<String> {
        run(&mut self.line(line)?, None)
    }

    /// [`Namespace::run`] with text on stdin: `ip -batch -`, `nft -f -`.
    ///
    /// # Errors
    /// As there.
    pub fn run_with_input(&self, line: &str, input: &str) -> anyhow::Result<String> {
        run(&mut self.line(line)?, Some(input))
    }

    /// Runs a line inside and returns its output whether it succeeds or not.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn output(&self, line: &str) -> anyhow::Result<Output> {
        self.line(line)?
            .output()
            .with_context(|| format!("starting `{line}`"))
    }

    fn line(&self, line: &str) -> anyhow::Result<Command> {
        let mut words = line.split_whitespace();
        let program = words.next().context("an empty command")?;
        let mut command = self.command(program);
        command.args(words);
        Ok(command)
    }

    /// Calls `body` in a thread of its own that lives in the namespace. A
    /// socket made there stays there, wherever it is used later.
    ///
    /// # Errors
    /// Those of `body`, or the namespace cannot be entered.
    pub fn enter<T: Send>(
        &self,
        body: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.join()?;
                body()
            });
            match inside.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Moves the calling thread into the namespace, for good.
    ///
    /// # Errors
    /// The namespace is gone.
    pub fn join(&self) -> anyhow::Result<()> {
        let path = self.path();
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        setns(&file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("entering the namespace {}", self.unique))
    }

    /// Writes a sysctl: `net/ipv4/ip_forward`. Slashes, since an interface's
    /// name may hold dots.
    ///
    /// # Errors
    /// There is no such sysctl.
    pub fn sysctl(&self, key: &str, value: &str) -> anyhow::Result<()> {
        // /proc/sys/net shows the namespace of whoever looks.
        let path = format!("/proc/sys/{key}");
        self.enter(|| fs::write(&path, value).with_context(|| format!("writing {value} to {path}")))
    }

    /// Reads a file of /proc as it looks from inside.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read_proc(&self, path: &str) -> anyhow::Result<String> {
        // /proc/net is that of the process; the thread's own is elsewhere.
        let path = match path.strip_prefix("/proc/net/") {
            Some(rest) => format!("/proc/thread-self/net/{rest}"),
            None => path.to_owned(),
        };
        self.enter(|| fs::read_to_string(&path).with_context(|| format!("reading {path}")))
    }

    /// What `ip -json ...` says.
    ///
    /// # Errors
    /// `ip` fails or does not print JSON.
    pub fn ip_json(&self, arguments: &str) -> anyhow::Result<serde_json::Value> {
        let text = self.run(&format!("ip -details -json {arguments}"))?;
        // It prints nothing at all for some empty lists.
        let text = if text.trim().is_empty() { "[]" } else { &text };
        serde_json::from_str(text).with_context(|| format!("`ip {arguments}` printed {text}"))
    }

    /// An interface's MAC address, as `ip` writes it.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn mac(&self, interface: &str) -> anyhow::Result<String> {
        let links = self.ip_json(&format!("link show dev {interface}"))?;
        let mac = links[0]["address"]
            .as_str()
            .context("an interface without a MAC address")?;
        Ok(mac.to_owned())
    }

    /// An interface's MAC address as it lies in a frame.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn mac_bytes(&self, interface: &str) -> anyhow::Result<[u8; 6]> {
        let text = self.mac(interface)?;
        parse_mac(&text).with_context(|| format!("{interface} has the MAC address {text}"))
    }
}

/// Six bytes of hex between colons.
pub(super) fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

/// Runs a command to its end and returns stdout.
pub(super) fn run(command: &mut Command, input: Option<&str>) -> anyhow::Result<String> {
    let stdin = if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    let show = || show(command);
    let shown = show();
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {shown}"))?;
    let writer = input.zip(child.stdin.take()).map(|(input, mut stdin)| {
        let input = input.to_owned();
        // Beside the reader, lest both wait for a full pipe.
        std::thread::spawn(move || stdin.write_all(input.as_bytes()))
    });
    let output = child
        .wait_with_output()
        .with_context(|| format!("waiting for {shown}"))?;
    // A program that ends without reading everything says so by its status.
    drop(writer.map(std::thread::JoinHandle::join));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{shown} ended with {}: {}{}",
            output.status,
            stderr.trim(),
            stdout.trim()
        );
    }
    Ok(stdout)
}

/// The command as one would type it.
fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}
