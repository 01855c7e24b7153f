//! What a lab owns, and its end. Shared with the signal thread, which has to
//! end it too, and hence the one place of the tests behind a mutex.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;

use super::artifacts;
use super::leftovers;
use super::namespace::Namespace;
use super::process::Process;
use super::router::Client;

/// Where labs keep sockets and configurations.
pub(super) const RUN: &str = "/run/forwarder-lab";

pub(super) struct State {
    pub(super) name: String,
    /// `RUN/NAME-PID`.
    pub(super) directory: PathBuf,
    /// `target/lab/NAME`: logs, and on failure everything else.
    pub(super) artifacts: PathBuf,
    inner: Mutex<Inner>,
    /// Held while the lab ends: whoever comes second waits, lest the process
    /// ends before the first is through.
    ending: Mutex<()>,
    /// Held locked as long as the lab lives, see [`super::leftovers`].
    _lock: File,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) namespaces: Vec<Namespace>,
    pub(super) processes: Vec<Arc<Process>>,
    pub(super) routers: Vec<Client>,
    pub(super) captures: Vec<PathBuf>,
    failed: bool,
    /// It has been torn down: what is added now goes at once.
    ended: bool,
}

impl State {
    pub(super) fn new(name: &str) -> anyhow::Result<Arc<State>> {
        let _exclusive = leftovers::exclusive()?;
        let directory = Path::new(RUN).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        for path in [Path::new(RUN), &directory] {
            fs::set_permissions(path, Permissions::from_mode(0o755))?;
        }
        let lock = File::create(directory.join("lock"))?;
        lock.try_lock()
            .with_context(|| format!("a lab {name} already runs in this process"))?;
        let artifacts = artifacts::root().join(name);
        // The logs of an earlier run would be taken for this one's.
        let _ = fs::remove_dir_all(&artifacts);
        fs::create_dir_all(&artifacts)?;
        let (inner, ending) = (Mutex::default(), Mutex::default());
        Ok(Arc::new(State {
            name: name.into(),
            directory,
            artifacts,
            inner,
            ending,
            _lock: lock,
        }))
    }

    /// A namespace's name that no other lab has.
    pub(super) fn unique_name(&self, name: &str) -> String {
        format!("fw-{}-{}-{name}", self.name, std::process::id())
    }

    pub(super) fn add_namespace(&self, namespace: Namespace) {
        let mut inner = self.inner();
        if inner.ended {
            delete(&namespace);
        } else {
            inner.namespaces.push(namespace);
        }
    }

    pub(super) fn add_process(&self, process: Arc<Process>) {
        let mut inner = self.inner();
        if inner.ended {
            process.kill();
        } else {
            inner.processes.push(process);
        }
    }

    pub(super) fn add_router(&self, client: Client) {
        self.inner().routers.push(client);
    }

    pub(super) fn add_capture(&self, file: PathBuf) {
        self.inner().captures.push(file);
    }

    pub(super) fn fail(&self) {
        self.inner().failed = true;
    }

    /// Saves what there is to see when the lab has failed, and ends it.
    pub(super) fn tear_down(&self) {
        let _ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: a second call, by a signal, finds nothing to do.
        let ended = Inner {
            ended: true,
            ..Inner::default()
        };
        let inner = std::mem::replace(&mut *self.inner(), ended);
        if inner.failed {
            artifacts::save(&self.artifacts, &inner);
        }
        for process in inner.processes.iter().rev() {
            process.kill();
        }
        for namespace in &inner.namespaces {
            delete(namespace);
        }
        let _ = fs::remove_dir_all(&self.directory);
        if !inner.failed {
            let _ = fs::remove_dir_all(&self.artifacts);
        }
    }

    /// Valid also after a panic: every change is one push.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delete(namespace: &Namespace) {
    if let Err(error) = namespace.delete() {
        artifacts::report(&format!("a namespace is left: {error:#}"));
    }
}
