//! What others ask of RIP's task.

use std::path::PathBuf;

use forwarder_core::net::{Family, Ipv4};
use forwarder_core::rip::{
    Clear, ErrorRow, InterfaceConfig, InterfaceRow, NeighborRow, RouteRow, Tuning,
};
use tokio::sync::oneshot;

/// Whether RIP runs on the interface of this name, and how.
pub type Select<F = Ipv4> = Box<dyn Fn(&str) -> Option<InterfaceConfig<F>> + Send>;

/// The configuration of RIP's task.
pub struct Settings<F: Family = Ipv4> {
    /// Where sequence numbers outlive a restart; read at the start only.
    pub state_dir: PathBuf,
    /// The protocol's timers and limits.
    pub tuning: Tuning,
    /// Which interfaces it runs on. Asked again whenever interfaces change.
    pub select: Select<F>,
}

/// What can be asked. Who asks and does not wait for the answer may drop the
/// receiver.
pub enum Command<F: Family = Ipv4> {
    /// `show rip interfaces`.
    Interfaces(oneshot::Sender<Vec<InterfaceStatus<F>>>),
    /// `show rip neighbors`.
    Neighbors(oneshot::Sender<Vec<NeighborRow<F>>>),
    /// `show rip routes`.
    Routes(oneshot::Sender<Vec<RouteRow<F>>>),
    /// How many destinations there are: `show status`.
    RouteCount(oneshot::Sender<usize>),
    /// `show rip errors`.
    Errors(oneshot::Sender<Vec<ErrorRow<F>>>),
    /// `rip clear …`; answered when done.
    Clear(Clear<F>, oneshot::Sender<()>),
    /// `rip request IFACE`, by name; answers whether RIP runs there.
    Request(String, oneshot::Sender<bool>),
    /// A new configuration; answered when it is in force.
    Reconfigure(Settings<F>, oneshot::Sender<()>),
}

/// An interface and its socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceStatus<F: Family = Ipv4> {
    /// What the engine knows.
    pub row: InterfaceRow<F>,
    /// The socket's receive buffer in bytes, as the kernel accounts them.
    pub receive_buffer: usize,
    /// Datagrams the kernel dropped because that buffer was full.
    pub socket_drops: u32,
    /// Datagrams the kernel did not take for sending.
    pub send_failures: u64,
}
