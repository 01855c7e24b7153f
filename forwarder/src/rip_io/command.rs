//! What others ask of RIP's task.

use std::path::PathBuf;

use forwarder_core::net::Ipv4;
use forwarder_core::rip::{
    Clear, ErrorRow, InterfaceConfig, InterfaceRow, NeighborRow, RouteRow, Timers,
};
use tokio::sync::oneshot;

/// Whether RIP runs on the interface of this name, and how.
pub type Select = Box<dyn Fn(&str) -> Option<InterfaceConfig<Ipv4>> + Send>;

/// The configuration of RIP's task.
pub struct Settings {
    /// Where sequence numbers outlive a restart; read at the start only.
    pub state_dir: PathBuf,
    /// The protocol's timers.
    pub timers: Timers,
    /// Which interfaces it runs on. Asked again whenever interfaces change.
    pub select: Select,
}

/// What can be asked. Who asks and does not wait for the answer may drop the
/// receiver.
pub enum Command {
    /// `show rip interfaces`.
    Interfaces(oneshot::Sender<Vec<InterfaceStatus>>),
    /// `show rip neighbors`.
    Neighbors(oneshot::Sender<Vec<NeighborRow<Ipv4>>>),
    /// `show rip routes`.
    Routes(oneshot::Sender<Vec<RouteRow<Ipv4>>>),
    /// How many destinations there are: `show status`.
    RouteCount(oneshot::Sender<usize>),
    /// `show rip errors`.
    Errors(oneshot::Sender<Vec<ErrorRow<Ipv4>>>),
    /// `rip clear …`; answered when done.
    Clear(Clear<Ipv4>, oneshot::Sender<()>),
    /// `rip request IFACE`, by name; answers whether RIP runs there.
    Request(String, oneshot::Sender<bool>),
    /// A new configuration; answered when it is in force.
    Reconfigure(Settings, oneshot::Sender<()>),
}

/// An interface and its socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceStatus {
    /// What the engine knows.
    pub row: InterfaceRow<Ipv4>,
    /// The socket's receive buffer in bytes, as the kernel accounts them.
    pub receive_buffer: usize,
    /// Datagrams the kernel dropped because that buffer was full.
    pub socket_drops: u32,
    /// Datagrams the kernel did not take for sending.
    pub send_failures: u64,
}
