//! What is known of drivers by name: for kernels that do not tell (before 6.3),
//! and for the limits that none tells.
//!
//! From the drivers' sources (`drivers/net`, `ndo_bpf`, `ndo_xdp_xmit` and the
//! checks in their `*_xdp_setup`). A list can only go out of date towards "not
//! known", which is said as that.

/// Drivers with native XDP that take redirected frames.
const FULL: [&str; 24] = [
    "atlantic",
    "bnxt_en",
    "ena",
    "fsl_dpaa2_eth",
    "fsl_enetc",
    "gve",
    "hv_netvsc",
    "i40e",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "mana",
    "mlx5_core",
    "mtk_soc_eth",
    "mvneta",
    "mvpp2",
    "netsec",
    "qede",
    "sfc",
    "stmmac",
    "tun",
    "veth",
    "virtio_net",
];

/// Drivers that run programs, but take no redirected frames.
const RECEIVE_ONLY: [&str; 4] = ["ixgbevf", "mlx4_en", "nfp", "thunder-nicvf"];

/// Largest MTUs for programs that see a frame in one buffer.
const MTUS: [(&str, u32); 9] = [
    ("ena", 3498),
    ("i40e", 3046),
    ("ice", 3046),
    ("igb", 3046),
    ("igc", 1500),
    ("ixgbe", 3046),
    ("mlx5_core", 3498),
    ("stmmac", 1500),
    ("virtio_net", 3506),
];
/// A page of 4 KiB without headroom, tail room and headers: what is left in a
/// driver with a buffer a page.
const USUAL_MTU: u32 = 3498;

/// What a driver can do with XDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ability {
    /// Run programs, and take redirected frames.
    Full,
    /// Run programs.
    ReceiveOnly,
    /// Not in the lists.
    Unknown,
}

/// What the lists say.
pub fn ability(driver: &str) -> Ability {
    if FULL.contains(&driver) {
        Ability::Full
    } else if RECEIVE_ONLY.contains(&driver) {
        Ability::ReceiveOnly
    } else {
        Ability::Unknown
    }
}

/// The largest MTU for a program that sees a frame in one buffer.
pub fn single_buffer_mtu(driver: &str) -> u32 {
    let known = MTUS.iter().find(|(name, _)| *name == driver);
    known.map_or(USUAL_MTU, |(_, mtu)| *mtu)
}
