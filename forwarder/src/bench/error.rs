//! What can go wrong with the traffic programs.

use std::io;

use aya::maps::MapError;
use aya::maps::xdp::XdpMapError;
use aya::programs::ProgramError;
use thiserror::Error;

/// Why traffic could not be made or counted.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The kernel refused the programs or their maps.
    #[error("loading the traffic programs: {0} (this needs root, and a kernel with BPF)")]
    Load(#[from] aya::EbpfError),
    /// The object lacks a program or map that this code was built with.
    #[error("the traffic programs have no {0:?}: build the project again")]
    Missing(&'static str),
    /// The kernel refused one program.
    #[error("loading the traffic program {name:?}: {source}")]
    Program {
        /// Its name in the object.
        name: &'static str,
        /// The kernel's words.
        source: ProgramError,
    },
    /// There is no such interface in this thread's network namespace.
    #[error("no interface {0:?} in this network namespace: `ip link` lists them")]
    NoInterface(String),
    /// The interface does not take the program.
    #[error(
        "attaching {name:?} to {interface}: {source} (`ip link` shows a program that is already there)"
    )]
    Attach {
        /// The program.
        name: &'static str,
        /// The interface.
        interface: String,
        /// The kernel's words.
        source: ProgramError,
    },
    /// A map could not be written or read.
    #[error("map {name} of the traffic programs: {source}")]
    Map {
        /// Its name in the object.
        name: &'static str,
        /// The kernel's words.
        source: MapError,
    },
    /// The interface cannot be a target of redirects.
    #[error("making the interface a target of redirects: {0}")]
    Egress(#[source] XdpMapError),
    /// A flow that no frame can carry.
    #[error("{0}")]
    Flow(String),
    /// The number of CPUs is not known.
    #[error("reading the number of CPUs from {path}: {source}")]
    Cpus {
        /// The file that says it.
        path: &'static str,
        /// Why it could not be read.
        source: io::Error,
    },
    /// A signal came in while frames were sent.
    #[error("sending frames was interrupted by a signal")]
    Interrupted,
    /// The kernel does not run the generator.
    #[error("sending live frames: {0} (this needs Linux 5.18 or later)")]
    Run(#[source] ProgramError),
}

impl BenchError {
    /// EINTR is how a test run answers a pending signal.
    pub(super) fn run(error: ProgramError) -> Self {
        match &error {
            ProgramError::SyscallError(call)
                if call.io_error.kind() == io::ErrorKind::Interrupted =>
            {
                BenchError::Interrupted
            }
            _ => BenchError::Run(error),
        }
    }
}
