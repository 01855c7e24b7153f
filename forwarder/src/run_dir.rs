//! The directory of a running instance: `pid`, which is also the lock, and the
//! API's socket.
//!
//! Owned by the daemon from its first step to its last. The lock is an
//! `flock(2)` on the pid file, because it is the kernel that releases it however
//! the daemon ends; a socket that exists while the lock is free is a leftover.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tokio::net::UnixListener;

use crate::paths::Paths;

/// Readable by everybody: which instances run is no secret.
const DIR_MODE: u32 = 0o755;
/// The owner and its group may ask and command.
const SOCKET_MODE: u32 = 0o660;
/// `sun_path` less the closing NUL, unix(7).
const SOCKET_PATH_MAX: usize = 107;
/// How often to start again when another process removes the directory while it
/// is being made. Each round needs another daemon to stop at that very moment.
const CLAIM_ATTEMPTS: usize = 100;

/// Why the directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// Another daemon holds it.
    #[error(
        "forwarder is already running as instance {instance:?} (pid {pid}): stop it with `forwarder --instance {instance} stop`, or give this one another --instance"
    )]
    Running {
        /// The instance's name.
        instance: String,
        /// Its process, or "unknown".
        pid: String,
    },
    /// A file operation failed.
    #[error("cannot {what} {path}: {cause}{}", hint(cause))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// What went wrong.
        cause: io::Error,
    },
    /// A Unix socket's path is limited.
    #[error(
        "the path {0} is longer than the {SOCKET_PATH_MAX} bytes of a Unix socket: choose a shorter --run-dir or --instance"
    )]
    PathTooLong(String),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => " (run as root, or choose another --run-dir)",
        _ => "",
    }
}

/// A claimed directory. Dropping it removes the socket, the pid file and the
/// directory: drop it last, since `forwarder stop` waits for the socket to go.
#[derive(Debug)]
pub struct RunDir {
    dir: PathBuf,
    socket: PathBuf,
    _lock: Flock<File>,
}

impl RunDir {
    /// Makes the directory and takes the lock.
    ///
    /// # Errors
    /// [`RunDirError::Running`] where another daemon has it.
    pub fn claim(paths: &Paths) -> Result<RunDir, RunDirError> {
        let pid_file = paths.pid_file();
        for _ in 0..CLAIM_ATTEMPTS {
            make_dir(&paths.run_dir)?;
            let Some(mut lock) = try_lock(&pid_file, paths)? else {
                continue;
            };
            write_pid(&mut lock).map_err(|cause| io_error("write", &pid_file, cause))?;
            let socket = paths.api_socket();
            // The lock was free: whoever listened there is gone.
            remove(&socket)?;
            return Ok(RunDir {
                dir: paths.run_dir.clone(),
                socket,
                _lock: lock,
            });
        }
        Err(io_error("lock", &pid_file, ErrorKind::ResourceBusy.into()))
    }

    /// Opens the API's socket.
    ///
    /// # Errors
    /// The path is too long, or the kernel refuses.
    pub fn listen(&self) -> Result<UnixListener, RunDirError> {
        let fresh = self.dir.join("api.new");
        if self.socket.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(RunDirError::PathTooLong(self.socket.display().to_string()));
        }
        remove(&fresh)?;
        let listener =
            UnixListener::bind(&fresh).map_err(|cause| io_error("listen on", &fresh, cause))?;
        // Renamed when its permissions are right, so that nobody meets it before.
        std::fs::set_permissions(&fresh, Permissions::from_mode(SOCKET_MODE))
            .map_err(|cause| io_error("set permissions of", &fresh, cause))?;
        std::fs::rename(&fresh, &self.socket).map_err(|cause| io_error("rename", &fresh, cause))?;
        Ok(listener)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // Best effort: the next claim copes with whatever stays.
        for name in ["api.new", "api.sock", "route.new", "route.sock", "pid"] {
            let _ = std::fs::remove_file(self.dir.join(name));
        }
        let _ = std::fs::remove_dir(&self.dir);
    }
}

fn io_error(what: &'static str, path: &Path, cause: io::Error) -> RunDirError {
    RunDirError::Io {
        what,
        path: path.display().to_string(),
        cause,
    }
}

fn make_dir(path: &Path) -> Result<(), RunDirError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
        .map_err(|cause| io_error("create the directory", path, cause))
}

fn remove(path: &Path) -> Result<(), RunDirError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("remove", path, error)),
        _ => Ok(()),
    }
}

/// `None` where the file was removed while it was being locked: its last holder
/// has just stopped, and the lock on a nameless file would protect nothing.
fn try_lock(path: &Path, paths: &Paths) -> Result<Option<Flock<File>>, RunDirError> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", path, error)),
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(is_same_file(&lock, path).then_some(lock)),
        Err((file, Errno::EWOULDBLOCK)) => Err(RunDirError::Running {
            instance: paths.instance.to_string(),
            pid: read_pid(file),
        }),
        Err((_, errno)) => Err(io_error("lock", path, errno.into())),
    }
}

fn is_same_file(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(named)) = (file.metadata(), std::fs::metadata(path)) else {
        return false;
    };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => pid.to_string(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests;
